/**
 * Positions of sequences, which the server does not undo: code of a file that is rolled back may have moved those of others, and
 * what they gave out once they would give out again (hazard D1).
 */
import type { Connection } from './connection.ts'

/** By the OID of a sequence: where it stands, null before its first value, and whether it counts upwards. */
export type Positions = ReadonlyMap<string, { readonly last: bigint | null; readonly rises: boolean }>

const POSITIONS = `
  SELECT s.seqrelid::pg_catalog.text, s.seqincrement > 0, pg_catalog.pg_sequence_last_value(s.seqrelid)::pg_catalog.text
  FROM pg_catalog.pg_sequence s JOIN pg_catalog.pg_class c ON c.oid = s.seqrelid
  WHERE c.relpersistence = 'p' AND pg_catalog.has_sequence_privilege(s.seqrelid, 'UPDATE')`

/** Of the sequences that the login may move. */
export async function readPositions(connection: Connection): Promise<Positions> {
  const rows = await connection.query(POSITIONS)
  return new Map(
    rows.map(([oid, rises, last = null]) => [
      oid ?? '',
      { last: last === null ? null : BigInt(last), rises: rises === 't' },
    ]),
  )
}

/** Sequences that stand before where they stood go on from there: by themselves they never go back. */
export async function putBack(connection: Connection, before: Positions): Promise<void> {
  for (const [oid, { last }] of await readPositions(connection)) {
    const was = before.get(oid)
    if (was === undefined || was.last === null) continue
    const isBack = last === null || (was.rises ? last < was.last : last > was.last)
    if (isBack) await connection.query('SELECT pg_catalog.setval($1::pg_catalog.oid, $2)', [oid, String(was.last)])
  }
}
