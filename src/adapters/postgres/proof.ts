import type { Proof } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import type { Connection } from './connection.ts'
import { readKnownKeys } from './known-keys.ts'
import { keyParameters, type TableSql } from './table-sql.ts'
import { canonicalSql, md5Sql, xorSql } from './sql.ts'

/**
 * The proof of verification: every row once, as MD5 over its canonical form, folded into 128-bit xor and sums over all
 * rows. It shares the canonical form with the engine and nothing else: no buckets, no slices, no fast hash.
 */
export async function readProof(connection: Connection, sql: TableSql, keys?: readonly Key[]): Promise<Proof> {
  if (keys === undefined) return foldRows(connection, sql)
  return readKnownKeys(connection, { sql, keys }, (some) => foldRows(connection, sql, some))
}

async function foldRows(connection: Connection, sql: TableSql, keys?: readonly Key[]): Promise<Proof> {
  const xor = (column: string): string => `coalesce(${xorSql(column, connection.major)}, 0)`
  const from = keys === undefined ? `${sql.from} t` : `${sql.keysFrom(1)} JOIN ${sql.from} t ON ${sql.keyEquals('k.k')}`
  const md5 = md5Sql(canonicalSql(sql.expressions, sql.table.utf8), sql.table.utf8)
  const [row] = await connection.query(
    `SELECT count(*), ${xor('m.hi')}, ${xor('m.lo')}, coalesce(sum(m.hi), 0), coalesce(sum(m.lo), 0)
     FROM (SELECT ('x' || pg_catalog.left(d.md5, 16))::bit(64)::int8 AS hi, ('x' || pg_catalog.right(d.md5, 16))::bit(64)::int8 AS lo
           FROM (SELECT ${md5} AS md5 FROM ${from} OFFSET 0) d OFFSET 0) m`,
    keys === undefined ? [] : keyParameters(keys, sql.scan.keyLength),
  )
  const [rows, ...words] = row ?? []
  return { rows: Number(rows), digest: words.map((word) => toHex(word ?? '0')).join('') }
}

/** A signed integer modulo 2^64 as 16 hex digits. */
function toHex(text: string): string {
  return BigInt.asUintN(64, BigInt(text)).toString(16).padStart(16, '0')
}
