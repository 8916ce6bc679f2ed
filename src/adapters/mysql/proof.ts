import type { Proof } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { hashLargeRow } from './cells.ts'
import type { Connection } from './connection.ts'
import { byKeys, keyChunks } from './read.ts'
import { APART } from './sql.ts'
import { keyParameter, type TableSql } from './table-sql.ts'

/**
 * The proof of verification: every row once, as MD5 over its canonical form, folded into 128-bit xor and sums over all
 * rows. It shares the canonical form with the engine and nothing else: no buckets, no ranges, no 64-bit hash.
 */
export async function readProof(connection: Connection, sql: TableSql, keys?: readonly Key[]): Promise<Proof> {
  const fold = new Fold()
  const all: From = (...conditions) => `FROM ${sql.from} t ${sql.where(...conditions)}`
  if (keys === undefined) await foldRows(connection, sql, { from: all, fold })
  for (const part of keyChunks(keys ?? [])) {
    await foldRows(connection, sql, { from: (...conditions) => byKeys(sql, ...conditions), keys: part, fold })
  }
  return fold.proof
}

/** From FROM on, with more conditions. */
type From = (...conditions: readonly string[]) => string

class Fold {
  #rows = 0
  readonly #words = [0n, 0n, 0n, 0n]

  /** Xor of both halves, then the sum of each. */
  add(rows: number, words: readonly (string | bigint | null | undefined)[]): void {
    this.#rows += rows
    for (const [i, word] of words.entries()) {
      const value = BigInt.asUintN(64, BigInt(word ?? 0))
      const own = this.#words[i] ?? 0n
      this.#words[i] = i < 2 ? own ^ value : BigInt.asUintN(64, own + value)
    }
  }

  get proof(): Proof {
    return { rows: this.#rows, digest: this.#words.map((word) => word.toString(16).padStart(16, '0')).join('') }
  }
}

async function foldRows(
  connection: Connection,
  sql: TableSql,
  { from, keys, fold }: { from: From; keys?: readonly Key[]; fold: Fold },
): Promise<void> {
  const parameters = keys === undefined ? [] : [keyParameter(keys)]
  const half = (side: 'LEFT' | 'RIGHT'): string => `CAST(CONV(${side}(d.md5, 16), 16, 10) AS UNSIGNED)`
  const [row] = await connection.query(
    `SELECT CAST(COUNT(*) AS CHAR), CAST(COUNT(m.hi) AS CHAR), CAST(BIT_XOR(m.hi) AS CHAR), CAST(BIT_XOR(m.lo) AS CHAR),
            CAST(SUM(m.hi) AS CHAR), CAST(SUM(m.lo) AS CHAR)
     FROM (SELECT ${half('LEFT')} AS hi, ${half('RIGHT')} AS lo
           FROM (SELECT MD5(${sql.canonical}) AS md5 ${from()} ${APART}) d ${APART}) m`,
    parameters,
  )
  const [rows, hashed, ...words] = row ?? []
  fold.add(Number(rows), words)
  if (rows === hashed) return
  const large = await connection.query(
    `SELECT ${sql.keyExpressions.join(', ')} ${from(`MD5(${sql.canonical}) IS NULL`)}`,
    parameters,
  )
  for (const key of large) {
    const md5 = await hashLargeRow(connection, sql, key)
    const [hi, lo] = [md5.readBigUInt64BE(0), md5.readBigUInt64BE(8)]
    fold.add(0, [hi, lo, hi, lo])
  }
}
