import {
  carriedForeignKeys,
  chooseType,
  commonNotes,
  fitName,
  likeSchema,
  noteDefault,
  noteType,
  schemasOf,
  type Candidate,
} from '#adapters/draft-words.ts'
import type { DdlStatement } from '#adapters/table-ddl.ts'
import type { TableDraft, TablesDraft } from '#adapters/table-draft.ts'
import { must } from '#lib/assert.ts'
import { isDateOrTimestamp, type ColumnType } from '#model/column-type.ts'
import type { DefaultOutline, TableLikeness } from '#model/table-outline.ts'
import { tableName, type Column, type TableRef } from '#model/table.ts'
import { isZeroDate } from '#model/zero-dates.ts'
import { literal, quote, quoteTable } from './sql.ts'

/** Bytes of a name. What is longer would be cut without a word. */
const MOST_NAME = 63

interface DraftedTable {
  readonly draft: TableDraft
  readonly before: readonly DdlStatement[]
  readonly after: readonly DdlStatement[]
  readonly foreignKeys: readonly DdlStatement[]
  readonly notes: readonly string[]
}

/**
 * Tables of another engine as PostgreSQL would have them: types that take every value as it is where there is one, keys and
 * indexes after the data, foreign keys last.
 */
export function draftTables(tables: readonly TableLikeness[]): TablesDraft {
  const taken = new Map(schemasOf(tables).map((schema) => [schema, new Set<string>()]))
  const drafted = tables.map((table) =>
    draftTable(table, { all: tables, taken: must(taken.get(table.target.schema), 'the names of a schema') }),
  )
  return {
    tables: drafted.map(({ draft }) => draft),
    ddl: {
      tables: tables.map(({ target }) => target),
      beforeData: [...schemasOf(tables).flatMap(createSchema), ...drafted.flatMap(({ before }) => before)],
      afterData: drafted.flatMap(({ after }) => after),
      foreignKeys: drafted.flatMap(({ foreignKeys }) => foreignKeys),
      notes: drafted.flatMap(({ notes }) => notes),
    },
  }
}

function createSchema(name: string): DdlStatement[] {
  if (name === 'public') return []
  return [
    { kind: 'SCHEMA', sql: `CREATE SCHEMA ${quote(name)}`, tables: [], object: { kind: 'SCHEMA', schema: '', name } },
  ]
}

function draftTable(
  like: TableLikeness,
  { all, taken }: { all: readonly TableLikeness[]; taken: Set<string> },
): DraftedTable {
  const { outline, target } = like
  const { schema } = outline
  const notes = commonNotes(like)
  const types: DdlStatement[] = []
  const columns = schema.columns.map((column) => {
    const chosen = chooseType(column.type, candidatesFor(column, { target, taken }))
    notes.push(...noteType(target, column, chosen))
    if (chosen.type.kind === 'enum') types.push(createEnum(target, chosen))
    return { column, chosen, ...defaultOf(like, column, { chosen, notes }) }
  })
  const { keys, notes: keyNotes } = carriedForeignKeys(like, all)
  notes.push(...keyNotes)
  const on = { tables: [target] }
  const lines = columns.map(
    ({ column, chosen, sql }) => `${quote(column.name)} ${chosen.sql}${sql}${column.nullable ? '' : ' NOT NULL'}`,
  )
  const named = (name: string): string => quote(fitName(`${target.name}_${name}`, { most: MOST_NAME, taken }))
  const table: DdlStatement = {
    ...on,
    kind: 'TABLE',
    sql: `CREATE TABLE ${quoteTable(target)} (${lines.join(', ')})`,
    object: { kind: 'TABLE', ...target },
  }
  return {
    draft: {
      schema: {
        ...likeSchema(schema),
        ref: target,
        kind: 'table',
        columns: columns.map(({ column, chosen, identity, sql }, i) => ({
          ...column,
          id: i + 1,
          type: chosen.type,
          nativeType: chosen.sql,
          hasDefault: sql !== '',
          generated: null,
          expression: null,
          collation: null,
          identity: identity ? 'by default' : null,
          sequence: identity ? column.name : null,
        })),
        foreignKeys: schema.foreignKeys.flatMap((key) => {
          const carried = keys.find(({ name }) => name === key.name)
          return carried === undefined ? [] : [{ ...key, parent: carried.parent, deferrable: true }]
        }),
        triggers: [],
        partitions: [],
        rowEstimate: 0,
        bytes: 0,
      },
      problems: longNames(target, schema.columns),
    },
    before: [...types, table, ...commentsOf(like)],
    after: [
      ...uniqueOf(like).map(({ columns: of, primary }) => ({
        ...on,
        kind: 'CONSTRAINT',
        sql: `ALTER TABLE ${quoteTable(target)} ADD CONSTRAINT ${named(primary ? 'pkey' : `${of.join('_')}_key`)} ${primary ? 'PRIMARY KEY' : 'UNIQUE'} (${of.map(quote).join(', ')})`,
      })),
      ...outline.indexes.map(({ name, columns: of }) => ({
        ...on,
        kind: 'INDEX',
        sql: `CREATE INDEX ${named(name)} ON ${quoteTable(target)} (${of.map(quote).join(', ')})`,
      })),
    ],
    foreignKeys: foreignKeysOf(like, keys, named),
    notes,
  }
}

function uniqueOf({ outline: { schema } }: TableLikeness): { columns: readonly string[]; primary: boolean }[] {
  const { primaryKey, uniqueKeys } = schema
  return [
    ...(primaryKey === null ? [] : [{ columns: primaryKey.columns, primary: true }]),
    ...uniqueKeys.map(({ columns }) => ({ columns, primary: false })),
  ]
}

/** They are looked at when a transaction ends, so that rows may come in any order. */
function foreignKeysOf(
  { outline, target }: TableLikeness,
  keys: readonly { readonly name: string; readonly parent: TableRef }[],
  named: (name: string) => string,
): DdlStatement[] {
  return keys.map(({ name, parent }) => {
    const { columns, parentColumns } = must(
      outline.schema.foreignKeys.find((key) => key.name === name),
      'a foreign key',
    )
    const { onDelete = 'no action', onUpdate = 'no action' } = outline.actions.get(name) ?? {}
    const actions = [
      ...(onDelete === 'no action' ? [] : [` ON DELETE ${onDelete.toUpperCase()}`]),
      ...(onUpdate === 'no action' ? [] : [` ON UPDATE ${onUpdate.toUpperCase()}`]),
    ]
    return {
      kind: 'FK CONSTRAINT',
      tables: [target, parent],
      sql:
        `ALTER TABLE ${quoteTable(target)} ADD CONSTRAINT ${named(`${columns.join('_')}_fkey`)} ` +
        `FOREIGN KEY (${columns.map(quote).join(', ')}) REFERENCES ${quoteTable(parent)} ` +
        `(${parentColumns.map(quote).join(', ')})${actions.join('')} DEFERRABLE`,
    }
  })
}

function commentsOf({ outline, target }: TableLikeness): DdlStatement[] {
  const on = { kind: 'COMMENT', tables: [target] }
  const whole =
    outline.comment === null
      ? []
      : [{ ...on, sql: `COMMENT ON TABLE ${quoteTable(target)} IS ${literal(outline.comment)}` }]
  const columns = [...outline.columns].flatMap(([name, { comment }]) =>
    comment === null
      ? []
      : [{ ...on, sql: `COMMENT ON COLUMN ${quoteTable(target)}.${quote(name)} IS ${literal(comment)}` }],
  )
  return [...whole, ...columns]
}

function longNames(target: TableRef, columns: readonly Column[]): string[] {
  return [target.schema, target.name, ...columns.map(({ name }) => name)]
    .filter((name) => Buffer.byteLength(name) > MOST_NAME)
    .map((name) => `${tableName(target)}: "${name}" is longer than the ${MOST_NAME} bytes of a name in PostgreSQL.`)
}

function defaultOf(
  { outline, target }: TableLikeness,
  column: Column,
  { chosen, notes }: { chosen: Candidate; notes: string[] },
): { readonly sql: string; readonly identity: boolean } {
  const found = outline.columns.get(column.name)?.default ?? null
  if (found === null) return { sql: '', identity: false }
  const isInteger = chosen.type.kind === 'integer'
  if (found.kind === 'number' && isInteger) return { sql: ' GENERATED BY DEFAULT AS IDENTITY', identity: true }
  const text = defaultText(found, chosen.type)
  if (text === null) notes.push(noteDefault(target, column, found))
  return { sql: text === null ? '' : ` DEFAULT ${text}`, identity: false }
}

function defaultText(found: DefaultOutline, type: ColumnType): string | null {
  switch (found.kind) {
    case 'value':
      // No calendar but that of MySQL has such a day.
      return isDateOrTimestamp(type) && isZeroDate(found.text) ? null : literal(found.text)
    case 'now':
      return type.kind === 'timestamp' || type.kind === 'date' ? 'CURRENT_TIMESTAMP' : null
    case 'random uuid':
      return type.kind === 'uuid' ? 'gen_random_uuid()' : type.kind === 'text' ? 'gen_random_uuid()::text' : null
    case 'number':
    case 'expression':
      return null
    default:
      throw new Error(`unknown default ${String(found satisfies never)}`)
  }
}

function createEnum({ schema }: TableRef, { sql, type }: Candidate): DdlStatement {
  const labels = type.kind === 'enum' ? type.labels : []
  const name = sql.slice(quote(schema).length + 2, -1).replaceAll('""', '"')
  return {
    kind: 'TYPE',
    tables: [],
    sql: `CREATE TYPE ${sql} AS ENUM (${labels.map(literal).join(', ')})`,
    object: { kind: 'TYPE', schema, name },
  }
}

const TEXT: Candidate = { sql: 'text', type: { kind: 'text', maxLength: null } }

/** What a column could be here, what is closest first; text holds whatever can be written down. */
function candidatesFor(
  { name, type }: Column,
  { target, taken }: { target: TableRef; taken: Set<string> },
): [Candidate, ...Candidate[]] {
  switch (type.kind) {
    case 'integer':
      return [
        { sql: 'smallint', type: { kind: 'integer', bits: 16 } },
        { sql: 'integer', type: { kind: 'integer', bits: 32 } },
        { sql: 'bigint', type: { kind: 'integer', bits: 64 } },
        numeric(20, 0),
      ]
    case 'decimal':
      return type.precision === null
        ? [{ sql: 'numeric', type: { kind: 'decimal', precision: null, scale: null } }]
        : [numeric(type.precision, type.scale ?? 0)]
    case 'float': {
      const double: Candidate = { sql: 'double precision', type: { kind: 'float', bits: 64 } }
      return type.bits === 32 ? [{ sql: 'real', type: { kind: 'float', bits: 32 } }, double] : [double]
    }
    case 'boolean':
      return [{ sql: 'boolean', type: { kind: 'boolean' } }]
    case 'text':
      return type.maxLength === null ? [TEXT] : [varchar(type.maxLength), TEXT]
    case 'padded text':
      return [varchar(type.length), TEXT]
    case 'timestamp':
      return [
        {
          sql: `timestamp(${type.digits}) ${type.zoned ? 'with' : 'without'} time zone`,
          type: { kind: 'timestamp', zoned: type.zoned, digits: type.digits },
        },
      ]
    case 'date':
      return [{ sql: 'date', type: { kind: 'date' } }]
    case 'time':
      return [{ sql: `time(${type.digits})`, type: { kind: 'time', zoned: false, digits: type.digits } }]
    case 'uuid':
      return [{ sql: 'uuid', type: { kind: 'uuid' } }]
    case 'bytes':
      return [{ sql: 'bytea', type: { kind: 'bytes' } }]
    case 'json':
      return [
        { sql: 'jsonb', type: { kind: 'json', binary: true } },
        { sql: 'json', type: { kind: 'json', binary: false } },
        TEXT,
      ]
    case 'enum': {
      const own = fitName(`${target.name}_${name}`, { most: MOST_NAME, taken })
      return [{ sql: `${quote(target.schema)}.${quote(own)}`, type: { kind: 'enum', labels: type.labels } }, TEXT]
    }
    default:
      return /^bit\(\d+\)$/.test(type.kind === 'other' ? type.native : '') && type.kind === 'other'
        ? [{ sql: type.native, type: { kind: 'other', native: type.native } }, TEXT]
        : [TEXT]
  }
}

function numeric(precision: number, scale: number): Candidate {
  return { sql: `numeric(${precision},${scale})`, type: { kind: 'decimal', precision, scale } }
}

function varchar(length: number): Candidate {
  const bounded = length > 0 && length <= 10_485_760
  return bounded ? { sql: `character varying(${length})`, type: { kind: 'text', maxLength: length } } : TEXT
}
