import type {
  ColumnOutline,
  DefaultOutline,
  ForeignKeyAction,
  IndexOutline,
  TableOutline,
} from '#model/table-outline.ts'
import { tableId, type Column, type TableSchema } from '#model/table.ts'
import type { Connection, TextRow } from './connection.ts'
import { literalText } from './sql.ts'

const TABLES = `
  SELECT t.table_schema, t.table_name, t.table_comment FROM information_schema.tables t WHERE t.table_schema = ?`
const COLUMNS = `
  SELECT c.table_schema, c.table_name, c.column_name, c.column_default, c.extra, c.column_comment
  FROM information_schema.columns c WHERE c.table_schema = ?`
/** Null where an index is over an expression. */
const INDEXES = `
  SELECT s.table_schema, s.table_name, s.index_name, s.column_name, s.sub_part, s.index_type, s.non_unique
  FROM information_schema.statistics s WHERE s.table_schema = ? ORDER BY s.index_name, s.seq_in_index`
const ACTIONS = `
  SELECT r.constraint_schema, r.table_name, r.constraint_name, r.delete_rule, r.update_rule
  FROM information_schema.referential_constraints r WHERE r.constraint_schema = ?`
const CHECKS = `
  SELECT k.constraint_schema, k.table_name, k.constraint_name, c.check_clause
  FROM information_schema.table_constraints k JOIN information_schema.check_constraints c
    ON c.constraint_schema = k.constraint_schema AND c.constraint_name = k.constraint_name
  WHERE k.constraint_type = 'CHECK' AND k.constraint_schema = ? ORDER BY k.constraint_name`

/** What belongs to tables beside what every engine knows of them. In the order of the schemas. */
export async function outlineTables(
  connection: Connection,
  schemas: readonly TableSchema[],
): Promise<readonly TableOutline[]> {
  const databases = [...new Set(schemas.map(({ ref }) => ref.schema))]
  const rowsOf = async (sql: string): Promise<Map<string, TextRow[]>> => {
    const rows: TextRow[] = []
    for (const database of databases) rows.push(...(await connection.query(sql, [database])))
    return Map.groupBy(rows, ([schema, name]) => tableId({ schema: schema ?? '', name: name ?? '' }))
  }
  const [tables, columns, indexes, actions, checks] = [
    await rowsOf(TABLES),
    await rowsOf(COLUMNS),
    await rowsOf(INDEXES),
    await rowsOf(ACTIONS),
    await rowsOf(CHECKS),
  ]
  const { mariadb } = connection.version
  return schemas.map((schema) => {
    const of = (rows: ReadonlyMap<string, TextRow[]>): TextRow[] => rows.get(tableId(schema.ref)) ?? []
    const found = { columns: of(columns), indexes: of(indexes), actions: of(actions), checks: of(checks) }
    return toOutline(schema, { ...found, comment: of(tables)[0]?.[2] || null, mariadb })
  })
}

interface Found {
  readonly comment: string | null
  readonly columns: readonly TextRow[]
  readonly indexes: readonly TextRow[]
  readonly actions: readonly TextRow[]
  readonly checks: readonly TextRow[]
  readonly mariadb: boolean
}

function toOutline(schema: TableSchema, { comment, columns, indexes, actions, checks, mariadb }: Found): TableOutline {
  const said = new Map(columns.map((row) => [row[2] ?? '', row]))
  const named = [...Map.groupBy(indexes, ([, , name]) => name ?? '')].map(([name, parts]) => toIndex(name, parts))
  const updated = columns.filter(([, , , , extra]) => /on update/i.test(extra ?? ''))
  return {
    engine: 'mysql',
    schema,
    comment,
    columns: new Map(
      schema.columns.map((column): [string, ColumnOutline] => {
        const [, , , text = null, extra, about] = said.get(column.name) ?? []
        return [
          column.name,
          { default: toDefault(column, { text, extra: extra ?? '', mariadb }), comment: about || null },
        ]
      }),
    ),
    indexes: named
      .filter(({ unique, plain }) => !unique && plain)
      .map(({ name, columns: of }) => ({ name, columns: of })),
    actions: new Map(
      actions.map(([, , name, onDelete, onUpdate]) => [
        name ?? '',
        { onDelete: toAction(onDelete), onUpdate: toAction(onUpdate) },
      ]),
    ),
    left: [
      ...checks
        .filter(([, , , clause]) => !/^json_valid\(/i.test(clause ?? ''))
        .map(([, , name]) => `the check ${name}`),
      ...named.filter(({ plain }) => !plain).map(({ name, kind }) => `the index ${name} (${kind})`),
      ...updated.map(([, , name]) => `ON UPDATE CURRENT_TIMESTAMP of ${name}`),
    ],
  }
}

function toIndex(
  name: string,
  parts: readonly TextRow[],
): IndexOutline & { readonly unique: boolean; readonly plain: boolean; readonly kind: string } {
  const [first] = parts
  const type = first?.[5] ?? ''
  const whole = parts.every(([, , , column, part]) => (column ?? null) !== null && (part ?? null) === null)
  return {
    name,
    columns: parts.map(([, , , column]) => column ?? ''),
    unique: first?.[6] === '0',
    plain: whole && /^(?:btree|hash)$/i.test(type),
    kind: whole ? type.toLowerCase() : 'over parts of values, or over expressions',
  }
}

function toAction(rule: string | null | undefined): ForeignKeyAction {
  switch (rule) {
    case 'CASCADE':
      return 'cascade'
    case 'SET NULL':
      return 'set null'
    default:
      // RESTRICT and NO ACTION are one thing here.
      return 'no action'
  }
}

/** MariaDB writes a default as an expression; MySQL writes a value as it is, and says where it is an expression. */
function toDefault(
  column: Column,
  { text, extra, mariadb }: { text: string | null; extra: string; mariadb: boolean },
): DefaultOutline | null {
  if (/auto_increment/i.test(extra)) return { kind: 'number' }
  if (text === null || (mariadb && text === 'NULL') || column.generated !== null) return null
  const isExpression = mariadb ? !/^(?:'.*'|-?\d+(?:\.\d+)?)$/s.test(text) : /DEFAULT_GENERATED/i.test(extra)
  const isBits = /^b'[01]*'$/.test(text)
  if (!isExpression && !isBits) {
    const value = canonical(column, mariadb ? unquote(text) : text)
    return value === null ? { kind: 'expression', sql: text } : { kind: 'value', text: value }
  }
  if (/^(?:current_timestamp|now|localtimestamp|curdate|current_date)\b/i.test(text)) return { kind: 'now' }
  if (/^uuid\(\)$/i.test(text)) return { kind: 'random uuid' }
  return { kind: 'expression', sql: text }
}

function unquote(text: string): string {
  const [, inner] = /^'(.*)'$/s.exec(text) ?? []
  return inner === undefined ? text : literalText(inner)
}

/**
 * Null where the catalogue does not tell the value: it writes a `?` for every character that its own character set lacks, and for
 * bytes that are none.
 */
function canonical({ type }: Column, text: string): string | null {
  switch (type.kind) {
    case 'boolean':
      return text === '1' ? 't' : text === '0' ? 'f' : text
    case 'timestamp':
      return type.zoned ? `${text}+00` : text
    case 'bytes': {
      if (type.padded !== undefined) return null
      const [, hex] = /^0x((?:[0-9a-f]{2})+)$/i.exec(text) ?? []
      if (hex !== undefined) return `\\x${hex.toLowerCase()}`
      return /^[ -~]*$/.test(text) && !text.includes('?') ? `\\x${Buffer.from(text).toString('hex')}` : null
    }
    default:
      return /[?\0]/.test(text) ? null : text
  }
}
