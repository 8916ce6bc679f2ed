import { changeScriptIn, type ChangeScript, type ScriptColumn } from '#adapters/change-script.ts'
import { isSpatial, type ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { fromForm, inForm } from './forms.ts'
import { zeroDatesSql } from './session.ts'
import { asBytes, literal, quote, quoteTable } from './sql.ts'

/**
 * A change set as a script for the client of MySQL or MariaDB, which stops at the first error and leaves the transaction
 * open: nothing is committed then.
 */
export const mysqlChangeScript: ChangeScript = changeScriptIn({
  begin: [
    'SET NAMES utf8mb4 COLLATE utf8mb4_bin;',
    // A day of zeros is what a row may have, or had.
    `${zeroDatesSql(true)}, SESSION time_zone = '+00:00', SESSION sql_safe_updates = 0;`,
    'START TRANSACTION;',
  ],
  overriding: '',
  quote,
  quoteTable,
  constant,
  isKey,
  isStill,
})

function isKey(column: ScriptColumn, value: Value): string {
  const still = isStill(column, value)
  if (column.type.kind !== 'text' || value === null) return still
  // The index finds by its own collation what is then compared by bytes.
  return `${quote(column.name)} = ${constant(column.type, value)} AND ${still}`
}

/** Whether a column has a value still, to the byte: what a collation takes for equal is another value. */
function isStill({ name, type }: ScriptColumn, value: Value): string {
  const column = quote(name)
  if (value === null) return `${column} IS NULL`
  if (isSpatial(type)) return `${asBytes(inForm(column, type, 'own'))} = ${asBytes(textConstant(value))}`
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
  if (typeof value !== 'string') return textConstant(value)
  switch (type.kind) {
    case 'boolean':
      return value === 't' ? '1' : value === 'f' ? '0' : numberConstant(value)
    case 'integer':
    case 'decimal':
      return numberConstant(value)
    case 'bytes':
      return /^\\x[0-9a-f]*$/i.test(value) ? hex(value.slice(2)) : textConstant(value)
    case 'float':
      return /^-?[\d.]+(?:e[+-]?\d+)?$/i.test(value) ? `${value}${/e/i.test(value) ? '' : 'e0'}` : textConstant(value)
    case 'timestamp':
      return textConstant(type.zoned ? value.replace(/\+00$/, '') : value)
    default: {
      if (isSpatial(type)) return fromForm(textConstant(value), type, 'own')
      const bits = bitsOf(type, value)
      return bits === null ? textConstant(value) : `b'${bits}'`
    }
  }
}

/** Between quotes a number would be compared as a double, and the year 0 would be 2000. */
function numberConstant(value: string): string {
  return /^-?\d+(?:\.\d+)?$/.test(value) ? value : textConstant(value)
}

/** On one line: the client changes ends of lines that it reads from a file, and stops at some characters. */
function textConstant(value: string | Uint8Array): string {
  if (typeof value !== 'string') return `CONVERT(${hex(Buffer.from(value).toString('hex'))} USING utf8mb4)`
  const escaped = literal(value).replaceAll('\0', '\\0').replaceAll('\u001A', '\\Z')
  return escaped.replaceAll('\n', '\\n').replaceAll('\r', '\\r')
}

function bitsOf(type: ColumnType, value: Value): string | null {
  const isBits = type.kind === 'other' && /^bit\b/i.test(type.native)
  return isBits && typeof value === 'string' && /^[01]*$/.test(value) ? value : null
}

function hex(digits: string): string {
  return `x'${digits}'`
}
