import { changeScriptIn, type ChangeScript, type ScriptColumn } from '#adapters/change-script.ts'
import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { TEXT_SETTINGS } from './session.ts'
import { literal, quote, quoteTable } from './sql.ts'

/** A change set as a script for psql. */
export const changeScript: ChangeScript = changeScriptIn({
  begin: [
    'BEGIN;',
    `SET LOCAL client_encoding = 'UTF8';`,
    ...TEXT_SETTINGS.map(([name, value]) => `SET LOCAL ${name} = ${literal(value)};`),
    'SET CONSTRAINTS ALL DEFERRED;',
  ],
  overriding: 'OVERRIDING SYSTEM VALUE ',
  quote,
  quoteTable,
  constant,
  isKey,
  isStill,
})

function isKey(column: ScriptColumn, value: Value): string {
  const found = value === null || column.type.kind === 'other'
  return found ? isStill(column, value) : `${quote(column.name)} = ${constant(column.type, value)}`
}

/**
 * Whether a column has a value still. Types that are equal for values that differ, or have no equality that is found
 * without a search path, are compared by their texts.
 */
function isStill({ name, type }: ScriptColumn, value: Value): string {
  const column = quote(name)
  switch (type.kind) {
    case 'json':
    case 'interval':
    case 'array':
    case 'other':
      // num_nulls, not IS NULL: a composite whose fields are all NULL is not itself NULL.
      return value === null
        ? `pg_catalog.num_nulls(${column}) = 1`
        : `(pg_catalog.num_nulls(${column}) = 0 AND pg_catalog.concat(${column}) COLLATE "C" = ${constant(type, value)})`
    case 'text':
    case 'padded text':
      return value === null ? `${column} IS NULL` : `${column} COLLATE "C" = ${constant(type, value)}`
    default:
      return value === null ? `${column} IS NULL` : `${column} = ${constant(type, value)}`
  }
}

function constant(_type: ColumnType, value: Value): string {
  if (value === null) return 'NULL'
  if (typeof value === 'string') return literal(value)
  // Bytes that are no UTF-8 come from a database without an encoding, which keeps them as they are.
  const hex = Buffer.from(value).toString('hex')
  return `pg_catalog.convert_from('\\x${hex}'::pg_catalog.bytea, 'SQL_ASCII')`
}
