import { assert, must } from '#lib/assert.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import { assignments, insertSql, type Staged } from './staged.ts'
import { hashLargeRow } from './cells.ts'
import { asRefused } from './refusals.ts'

/**
 * Writes a batch to a table without transactions (hazard B9): nothing that is written can be taken back, and of a statement
 * that writes several rows some would stay. Each row has a statement of its own, which compares and writes at once. What is
 * found as it was to become counts as written: an attempt that was broken off has written it (at least once, by key).
 */
export async function writeOneByOne(
  staged: Staged,
  lookBefore: () => Promise<void>,
): Promise<{ moved: Set<number>; blocked: Set<number> }> {
  await lookBefore()
  const moved = new Set<number>()
  const found = await look(staged)
  for (const [seq, { op, expect }] of staged.rows.entries()) {
    const { there, wanted } = must(found.get(seq), 'a staged row')
    const after = op === 'delete' ? null : wanted
    if (there === after) continue
    if (there !== expect || !(await writeRow(staged, seq))) moved.add(seq)
  }
  return { moved, blocked: new Set() }
}

interface Found {
  /** The row that is there; null where there is none. */
  readonly there: Fingerprint | null
  /** The row that was sent. */
  readonly wanted: Fingerprint | null
}

async function look({ connection, sql, rows, stage }: Staged): Promise<ReadonlyMap<number, Found>> {
  const key = must(sql.keyExpressions[0], 'a key')
  const rowsThere = await connection.query(
    `SELECT CAST(s.seq AS CHAR), CAST(${sql.fingerprintOf('s.c')} AS CHAR), CAST(${key} IS NOT NULL AS CHAR),
       CAST(${sql.fingerprint} AS CHAR)
     FROM ${stage} s LEFT JOIN ${sql.from} t ON ${sql.keyEquals('s.c')}`,
  )
  const found = new Map<number, Found>()
  for (const [place, wanted, isThere, hash] of rowsThere) {
    const seq = Number(place)
    const { key: name } = must(rows[seq], 'a row of the batch')
    const large = async (): Promise<string> => (await hashLargeRow(connection, sql, name)).readBigInt64BE(0).toString()
    found.set(seq, { wanted: wanted ?? null, there: isThere === '1' ? (hash ?? (await large())) : null })
  }
  return found
}

/** Whether the row was as expected in the moment of writing. */
async function writeRow({ connection, sql, plan, table, rows, stage }: Staged, seq: number): Promise<boolean> {
  const { op, expect } = must(rows[seq], 'a row of the batch')
  const joined = `${stage} s STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('s.c')}`
  const sets = assignments(plan, table)
  try {
    if (op === 'insert') {
      await connection.execute(insertSql({ connection, sql, plan, table, rows, stage }, `s.seq = ${seq}`))
      return true
    }
    assert(expect !== null && /^-?\d+$/.test(expect), 'a fingerprint is a whole number')
    const where = sql.where(`s.seq = ${seq}`, `${sql.fingerprint} = CAST('${expect}' AS SIGNED)`)
    if (op === 'delete') return (await connection.execute(`DELETE t FROM ${joined} ${where}`)) > 0
    return sets.length === 0 || (await connection.execute(`UPDATE ${joined} SET ${sets.join(', ')} ${where}`)) > 0
  } catch (error) {
    throw asRefused(error, table) ?? error
  }
}
