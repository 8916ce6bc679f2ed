import { createHash } from 'node:crypto'
import { isRecord } from '#lib/record.ts'
import { AppError } from '#model/errors.ts'
import type { Column, ForeignKey, TableRef, TableSchema, UniqueKey } from '#model/table.ts'
import type { Answer } from './http.ts'
import { columnText, type ColumnText } from './types.ts'

/** A table as the API describes it, and how each of its columns is asked for. */
export interface RestTable {
  readonly schema: TableSchema
  /** In the order of `schema.columns`. */
  readonly texts: readonly ColumnText[]
}

/** What an API says of one of its schemas. */
export interface ApiDescription {
  /** For people: `PostgREST 12.2.3`. */
  readonly product: string
  readonly tables: readonly RestTable[]
}

/**
 * Reads the description of a schema that the API gives at its root (OpenAPI 2.0). It tells tables, columns, types without
 * modifiers, which columns may be NULL, the primary key and foreign keys of one column. It does not tell unique keys,
 * generated columns, triggers, what the key's role may do, nor whether something is a view that can be written.
 * @throws AppError `unexpected_answer`
 */
export function readDescription({ body }: Answer, schema: string): ApiDescription {
  const document = parse(body)
  const { definitions, paths, info } = document
  if (document['swagger'] !== '2.0' || !isRecord(definitions) || !isRecord(paths) || !isRecord(info)) {
    throw new AppError('unexpected_answer', 'The API does not describe its tables.', {
      hint: 'Let PostgREST describe them (openapi-mode=follow-privileges), and check the project URL.',
    })
  }
  const tables = Object.entries(definitions).flatMap(([name, definition]) => {
    const path = Object.hasOwn(paths, `/${name}`) ? paths[`/${name}`] : undefined
    // Functions are described as well, under names that are no paths of tables.
    if (!isRecord(definition) || !isRecord(path) || !isRecord(definition['properties'])) return []
    return [toTable({ schema, name }, definition, 'post' in path || 'patch' in path || 'delete' in path)]
  })
  return {
    product: `PostgREST ${typeof info['version'] === 'string' ? info['version'].slice(0, 40) : ''}`.trimEnd(),
    tables: tables.toSorted((a, b) => (a.schema.ref.name < b.schema.ref.name ? -1 : 1)),
  }
}

function parse(body: string): Record<string, unknown> {
  try {
    const document: unknown = JSON.parse(body)
    if (isRecord(document)) return document
  } catch {
    // Said below.
  }
  throw new AppError('unexpected_answer', 'What answers at the project URL gives no JSON.')
}

function toTable(ref: TableRef, definition: Record<string, unknown>, written: boolean): RestTable {
  const properties = Object.entries(isRecord(definition['properties']) ? definition['properties'] : {})
  const required = Array.isArray(definition['required']) ? definition['required'] : []
  const described = properties.map(([name, property]) => ({ name, ...readProperty(property) }))
  const texts = described.map((each) => columnText(each))
  const columns = described.map((each, i) =>
    toColumn(each, i, { text: texts[i], nullable: !required.includes(each.name) }),
  )
  const keyColumns = described.filter(({ isKey }) => isKey).map(({ name }) => name)
  const primaryKey: UniqueKey | null =
    keyColumns.length === 0
      ? null
      : {
          name: `${ref.name} primary key`,
          columns: keyColumns,
          notNull: keyColumns.every((name) => required.includes(name)),
          immediate: true,
        }
  const schema: TableSchema = {
    ref,
    id: `${ref.schema}.${ref.name}`,
    definition: createHash('sha256')
      .update(JSON.stringify([definition, written]))
      .digest('hex'),
    storage: '',
    kind: written ? 'table' : 'view',
    columns,
    primaryKey,
    uniqueKeys: [],
    foreignKeys: described.flatMap((each) => toForeignKey(each, ref)),
    referenced: false,
    triggers: [],
    rowSecurity: false,
    rights: { use: true, select: true, insert: false, update: false, delete: false },
    partitions: [],
    rowEstimate: null,
    bytes: 0,
  }
  return { schema, texts }
}

interface Property {
  readonly format: string
  readonly maxLength: number | null
  readonly labels: readonly string[] | null
  readonly hasDefault: boolean
  readonly isKey: boolean
  readonly parent: { readonly table: string; readonly column: string } | null
}

function readProperty(property: unknown): Property {
  const { format, maxLength, enum: labels, description, default: given } = isRecord(property) ? property : {}
  const text = typeof description === 'string' ? description : ''
  const [, table, column] = /<fk table='(.*?)' column='(.*?)'\/>/s.exec(text) ?? []
  return {
    format: typeof format === 'string' ? format : '',
    maxLength: typeof maxLength === 'number' ? maxLength : null,
    labels: Array.isArray(labels) ? labels.map(String) : null,
    hasDefault: given !== undefined,
    isKey: text.includes('<pk/>'),
    parent: table === undefined || column === undefined ? null : { table, column },
  }
}

function toColumn(
  { name, format, maxLength, hasDefault }: Property & { name: string },
  place: number,
  { text, nullable }: { text: ColumnText | undefined; nullable: boolean },
): Column {
  return {
    name,
    id: place + 1,
    type: text?.type ?? { kind: 'other', native: format },
    nativeType: maxLength === null ? format : `${format}(${maxLength})`,
    nullable,
    hasDefault,
    generated: null,
    expression: null,
    collation: null,
    identity: null,
    sequence: null,
  }
}

function toForeignKey({ name, parent }: Property & { name: string }, { schema }: TableRef): ForeignKey[] {
  if (parent === null) return []
  return [
    {
      name: `${name} to ${parent.table}`,
      columns: [name],
      parent: { schema, name: parent.table },
      parentColumns: [parent.column],
      deferrable: false,
    },
  ]
}
