import type { MappingIdentity } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { baselineKeyEquals } from './baseline-sql.ts'
import type { Connection } from './connection.ts'
import { isServerError } from './errors.ts'
import { baselineName, baselineTable, ownTable } from './own-tables.ts'
import { keyChunks } from './read.ts'
import { hasOwnTable, hasTable } from './state-tables.ts'
import { keyParameter, type TableSql } from './table-sql.ts'

/** The table was made or altered after the moment that a snapshot sees. */
const NEWER = 1412

/** What is read of a table of ours that a snapshot may be older than. */
export async function orNothing<T>(nothing: T, read: () => Promise<T>): Promise<T> {
  try {
    return await read()
  } catch (error) {
    if (isServerError(error) && error.errno === NEWER) return nothing
    throw error
  }
}

/** Which of these mappings a run has claimed before. */
export async function readKnownMappings(connection: Connection, ids: readonly string[]): Promise<ReadonlySet<string>> {
  if (ids.length === 0 || !(await hasOwnTable(connection, 'state'))) return new Set()
  const rows = await orNothing([], () =>
    connection.query(
      `SELECT mapping_id FROM ${ownTable(connection.endpoint.database, 'state')} WHERE mapping_id IN (${ids.map(() => '?').join(', ')})`,
      ids,
    ),
  )
  return new Set(rows.map(([id]) => id ?? ''))
}

/** What the last run of a mapping wrote down for the next one to find changes by; null under another mapping. */
export async function readDetectionState(
  connection: Connection,
  { mappingId, mappingHash }: Pick<MappingIdentity, 'mappingId' | 'mappingHash'>,
): Promise<string | null> {
  if (!(await hasOwnTable(connection, 'state'))) return null
  const [row] = await orNothing([], () =>
    connection.query(
      `SELECT detection FROM ${ownTable(connection.endpoint.database, 'state')} WHERE mapping_id = ? AND mapping_hash = ?`,
      [mappingId, mappingHash],
    ),
  )
  return row?.[0] ?? null
}

/** Which of these keys the baseline holds, as JSON. */
export async function readOwned(
  connection: Connection,
  { scan, table, keysFrom }: TableSql,
  { mappingId, keys }: { mappingId: string; keys: readonly Key[] },
): Promise<ReadonlySet<string>> {
  const owned = new Set<string>()
  if (keys.length === 0 || !(await hasTable(connection, baselineName(mappingId)))) return owned
  const baseline = baselineTable(connection.endpoint.database, mappingId)
  const statement = `SELECT CAST(k.n AS CHAR) FROM ${keysFrom}
    STRAIGHT_JOIN ${baseline} b ON ${baselineKeyEquals(table, scan, 'k.k')}`
  for (const part of keyChunks(keys)) {
    const rows = await orNothing([], () => connection.query(statement, [keyParameter(part)]))
    for (const [n] of rows) owned.add(JSON.stringify(part[Number(n) - 1]))
  }
  return owned
}
