import type { ChangeScript, ScriptTable } from '#adapters/change-script.ts'
import type { SetChange } from '#model/change-set.ts'
import type { ColumnType } from '#model/column-type.ts'
import type { Row, Value } from '#model/value.ts'
import { SQL_MODE } from './session.ts'
import { asBytes, literal, quote, quoteTable } from './sql.ts'

type Column = ScriptTable['columns'][number]

/**
 * A change set as a script for the client of MySQL or MariaDB, which stops at the first error and leaves the transaction
 * open: nothing is committed then. Every name and every value is quoted. Updates and deletes name the whole row as it was
 * decided on, and leave any other as it is (invariant 9).
 */
export const mysqlChangeScript: ChangeScript = {
  begin: (notes) =>
    [
      ...notes.map(comment),
      'SET NAMES utf8mb4 COLLATE utf8mb4_bin;',
      `SET SESSION sql_mode = ${literal(SQL_MODE)}, SESSION time_zone = '+00:00', SESSION sql_safe_updates = 0;`,
      'START TRANSACTION;',
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

function insert({ target, columns }: ScriptTable, after: Row): string {
  const written = columns.flatMap(({ name, computed, type }, i) =>
    computed ? [] : [{ name: quote(name), value: constant(type, after[i] ?? null) }],
  )
  const names = written.map(({ name }) => name).join(', ')
  const values = written.map(({ value }) => value).join(', ')
  return `INSERT INTO ${quoteTable(target)} (${names}) VALUES (${values});`
}

function update(
  table: ScriptTable,
  { seq, key, before, after }: { seq: number; key: Row; before: Row; after: Row },
): string {
  const changed = table.columns.flatMap(({ name, computed, type }, i) => {
    const [was, is] = [before[i] ?? null, after[i] ?? null]
    return computed || sameValue(was, is) ? [] : [`${quote(name)} = ${constant(type, is)}`]
  })
  if (changed.length === 0) return comment(`change ${seq}: nothing that can be written is different`)
  return `UPDATE ${quoteTable(table.target)} SET ${changed.join(', ')} WHERE ${whole(table, key, before)};`
}

/** The row under a key, as it was. The key comes first, as an index wants it. */
function whole({ key: names, columns }: ScriptTable, key: Row, before: Row): string {
  const byKey = names.map((name, i) => {
    const column = columns.find((each) => each.name === name)
    const value = key[i] ?? null
    if (column === undefined) return `${quote(name)} = ${asText(value)}`
    const still = isStill(column, value)
    // The index finds by its own collation what is then compared by bytes.
    return column.type.kind === 'text' && value !== null ? `${quote(name)} = ${asText(value)} AND ${still}` : still
  })
  const others = columns.flatMap((column, i) =>
    names.includes(column.name) ? [] : [isStill(column, before[i] ?? null)],
  )
  return [...byKey, ...others].join(' AND ')
}

/** Whether a column has a value still, to the byte: what a collation takes for equal is another value. */
function isStill({ name, type }: Column, value: Value): string {
  const column = quote(name)
  if (value === null) return `${column} IS NULL`
  switch (type.kind) {
    case 'text':
    case 'padded text':
    case 'json':
    case 'enum':
    case 'other':
      if (bitsOf(type, value) !== null) return `${column} = ${constant(type, value)}`
      return `${asBytes(`CONVERT(${column} USING utf8mb4)`)} = ${asBytes(constant(type, value))}`
    case 'float':
      // A FLOAT is compared as the double that it is.
      return `${column} + 0e0 = ${constant(type, value)}`
    default:
      return `${column} = ${constant(type, value)}`
  }
}

/** A value in the words of this server; the texts of values are those of the canonical form. */
function constant(type: ColumnType, value: Value): string {
  if (value === null) return 'NULL'
  if (typeof value !== 'string') return `CONVERT(${hex(Buffer.from(value).toString('hex'))} USING utf8mb4)`
  switch (type.kind) {
    case 'boolean':
      return value === 't' ? '1' : value === 'f' ? '0' : literal(value)
    case 'bytes':
      return /^\\x[0-9a-f]*$/i.test(value) ? hex(value.slice(2)) : literal(value)
    case 'float':
      return /^-?[\d.]+(?:e[+-]?\d+)?$/i.test(value) ? `${value}${/e/i.test(value) ? '' : 'e0'}` : literal(value)
    case 'timestamp':
      return literal(type.zoned ? value.replace(/\+00$/, '') : value)
    default: {
      const bits = bitsOf(type, value)
      return bits === null ? literal(value) : `b'${bits}'`
    }
  }
}

function bitsOf(type: ColumnType, value: Value): string | null {
  const isBits = type.kind === 'other' && /^bit\b/i.test(type.native)
  return isBits && typeof value === 'string' && /^[01]*$/.test(value) ? value : null
}

function asText(value: Value): string {
  return constant({ kind: 'text', maxLength: null }, value)
}

function hex(digits: string): string {
  return `x'${digits}'`
}

function sameValue(a: Value, b: Value): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  return a === b
}
