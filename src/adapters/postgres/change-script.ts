import type { ChangeScript, ScriptTable } from '#adapters/change-script.ts'
import type { SetChange } from '#model/change-set.ts'
import type { Row, Value } from '#model/value.ts'
import { TEXT_SETTINGS } from './session.ts'
import { literal, quote, quoteTable } from './sql.ts'

type Column = ScriptTable['columns'][number]

/**
 * A change set as a script for psql. Every name and every value is quoted: nothing that a database holds is read as a
 * statement. Updates and deletes name the whole row as it was decided on, and leave any other as it is (invariant 9).
 */
export const changeScript: ChangeScript = {
  begin: (notes) =>
    [
      ...notes.map(comment),
      'BEGIN;',
      `SET LOCAL client_encoding = 'UTF8';`,
      ...TEXT_SETTINGS.map(([name, value]) => `SET LOCAL ${name} = ${literal(value)};`),
      'SET CONSTRAINTS ALL DEFERRED;',
      '',
    ].join('\n'),
  statement: (table, change) => `${statementOf(table, change)}\n`,
  comment: (text) => `${comment(text)}\n`,
  end: () => 'COMMIT;\n',
}

/** On one line, whatever the text holds. */
function comment(text: string): string {
  return `-- ${JSON.stringify(text)
    .slice(1, -1)
    .replaceAll(/[\u007F-\u009F\u2028\u2029]/g, ' ')}`
}

function statementOf(table: ScriptTable, { op, seq, key, before, after }: SetChange): string {
  switch (op) {
    case 'insert':
      return after === null ? tooLarge(seq) : insert(table, after)
    case 'update':
      return before === null || after === null ? tooLarge(seq) : update(table, { seq, key, before, after })
    case 'delete':
      return before === null
        ? tooLarge(seq)
        : `DELETE FROM ${quoteTable(table.target)} WHERE ${whole(table, key, before)};`
    default:
      throw new Error(`unknown operation ${String(op satisfies never)}`)
  }
}

function tooLarge(seq: number): string {
  return comment(`change ${seq}: the row is too large to be kept, and no part of this script`)
}

/** A column that is always an identity takes the value that it is given. */
function insert({ target, columns }: ScriptTable, after: Row): string {
  const written = columns.flatMap(({ name, computed }, i) =>
    computed ? [] : [{ name: quote(name), value: constant(after[i] ?? null) }],
  )
  const names = written.map(({ name }) => name).join(', ')
  const values = written.map(({ value }) => value).join(', ')
  return `INSERT INTO ${quoteTable(target)} (${names}) OVERRIDING SYSTEM VALUE VALUES (${values});`
}

function update(
  table: ScriptTable,
  { seq, key, before, after }: { seq: number; key: Row; before: Row; after: Row },
): string {
  const changed = table.columns.flatMap(({ name, computed }, i) => {
    const [was, is] = [before[i] ?? null, after[i] ?? null]
    return computed || sameValue(was, is) ? [] : [`${quote(name)} = ${constant(is)}`]
  })
  if (changed.length === 0) return comment(`change ${seq}: nothing that can be written is different`)
  return `UPDATE ${quoteTable(table.target)} SET ${changed.join(', ')} WHERE ${whole(table, key, before)};`
}

/** The row under a key, as it was. The key comes first, as an index wants it. */
function whole({ key: names, columns }: ScriptTable, key: Row, before: Row): string {
  const byKey = names.map((name, i) => {
    const column = columns.find((each) => each.name === name)
    return column === undefined ? `${quote(name)} = ${constant(key[i] ?? null)}` : isKey(column, key[i] ?? null)
  })
  const others = columns.flatMap((column, i) =>
    names.includes(column.name) ? [] : [isStill(column, before[i] ?? null)],
  )
  return [...byKey, ...others].join(' AND ')
}

function isKey(column: Column, value: Value): string {
  const found = value === null || column.type.kind === 'other'
  return found ? isStill(column, value) : `${quote(column.name)} = ${constant(value)}`
}

/**
 * Whether a column has a value still. Types that are equal for values that differ, or have no equality that is found
 * without a search path, are compared by their texts.
 */
function isStill({ name, type }: Column, value: Value): string {
  const column = quote(name)
  switch (type.kind) {
    case 'json':
    case 'interval':
    case 'array':
    case 'other':
      // num_nulls, not IS NULL: a composite whose fields are all NULL is not itself NULL.
      return value === null
        ? `pg_catalog.num_nulls(${column}) = 1`
        : `(pg_catalog.num_nulls(${column}) = 0 AND pg_catalog.concat(${column}) COLLATE "C" = ${constant(value)})`
    case 'text':
    case 'padded text':
      return value === null ? `${column} IS NULL` : `${column} COLLATE "C" = ${constant(value)}`
    default:
      return value === null ? `${column} IS NULL` : `${column} = ${constant(value)}`
  }
}

function constant(value: Value): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return literal(value)
  // Bytes that are no UTF-8 come from a database without an encoding, which keeps them as they are.
  const hex = Buffer.from(value).toString('hex')
  return `pg_catalog.convert_from('\\x${hex}'::pg_catalog.bytea, 'SQL_ASCII')`
}

function sameValue(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  return a === b
}
