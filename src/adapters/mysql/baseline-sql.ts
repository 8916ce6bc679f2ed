import type { Scan } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { tableName, type Column, type TableRef } from '#model/table.ts'
import { DETAIL_COLUMNS } from './baseline-details.ts'
import type { MyTable } from './introspect.ts'
import { asBytes } from './sql.ts'

/**
 * The baseline of a mapping: a row per key with the fingerprint of each side, of which one is NULL where that side had no
 * row, and what else may be kept of the row that both had. A key is kept as its canonical text, byte for byte, whatever
 * the comparison of the target's own column is (hazard C12); a whole number as what it is, so that ranges are found.
 */

/** Bytes of an index of InnoDB. */
const INDEX_BYTES = 3_072

export function createBaselineSql(baseline: string, ref: TableRef, { columns }: KeyColumns): string {
  const keys = columns.map((column, i) => `k${i} ${keyType(column)} NOT NULL`)
  const bytes = columns.reduce((sum, column) => sum + keyBytes(column), 0)
  if (bytes > INDEX_BYTES) {
    throw new AppError(
      'schema_differs',
      `The key of ${tableName(ref)} may have ${bytes} bytes as text; a baseline can hold keys of ${INDEX_BYTES}.`,
    )
  }
  return `CREATE TABLE IF NOT EXISTS ${baseline} (
    ${[...keys, 'source_fingerprint BIGINT NULL', 'target_fingerprint BIGINT NULL', ...DETAIL_COLUMNS].join(', ')},
    PRIMARY KEY (${columns.map((_, i) => `k${i}`).join(', ')})) ENGINE = InnoDB`
}

interface KeyColumns {
  readonly columns: readonly Column[]
}

export function keyColumns({ schema }: MyTable, names: readonly string[]): Column[] {
  return names.map((name) =>
    must(
      schema.columns.find((column) => column.name === name),
      `no key column ${name}`,
    ),
  )
}

function keyType(column: Column): string {
  if (column.type.kind === 'integer') return isUnsigned(column) ? 'BIGINT UNSIGNED' : 'BIGINT'
  return `VARBINARY(${keyBytes(column)})`
}

function isUnsigned({ nativeType }: Column): boolean {
  return /\bunsigned\b/i.test(nativeType)
}

/** Texts of numbers, times and the like. */
const SHORT = 80

function keyBytes({ type, nativeType }: Column): number {
  const length = Number(/\((\d+)\)/.exec(nativeType)?.[1] ?? 0)
  switch (type.kind) {
    case 'integer':
      return 8
    case 'text':
    case 'padded text':
      return length === 0 ? INDEX_BYTES : Math.min(4 * length, INDEX_BYTES)
    case 'bytes':
      return length === 0 ? INDEX_BYTES : 2 + 2 * length
    case 'enum':
      return 4 * Math.max(...type.labels.map((label) => label.length), 1)
    default:
      return SHORT
  }
}

/** The key of a row of a baseline `b` is that of canonical texts `prefix0`, `prefix1`, … */
export function baselineKeyEquals(table: MyTable, { columns, keyLength }: Scan, prefix: string): string {
  return keyColumns(
    table,
    columns.slice(0, keyLength).map(({ name }) => name),
  )
    .map((column, i) => `b.k${i} = ${baselineKey(column, `${prefix}${i}`)}`)
    .join(' AND ')
}

/** A canonical text as the baseline keeps it. */
export function baselineKey(column: Column, text: string): string {
  if (column.type.kind !== 'integer') return asBytes(text)
  return `CAST(${text} AS ${isUnsigned(column) ? 'UNSIGNED' : 'SIGNED'})`
}

/** The canonical text of a key that the baseline keeps, for SELECT. */
export function baselineKeyText(column: Column, kept: string): string {
  return column.type.kind === 'integer' ? `CAST(${kept} AS CHAR)` : `CONVERT(${kept} USING utf8mb4)`
}
