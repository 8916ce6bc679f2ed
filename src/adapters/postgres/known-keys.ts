import type { Key } from '#model/change.ts'
import type { Connection } from './connection.ts'
import { asRowsRefused } from './errors.ts'
import { keyParameters, type TableSql } from './table-sql.ts'

/**
 * Reads by keys of the other side, of which this server may refuse some: an older version knows fewer values of a type,
 * and a domain has a CHECK of its own. Such a key is the key of no row here. The transaction lives on.
 */
export async function readKnownKeys<T>(
  connection: Connection,
  { sql, keys }: { sql: TableSql; keys: readonly Key[] },
  read: (keys: readonly Key[]) => Promise<T>,
): Promise<T> {
  const found = await tryIn(connection, () => read(keys))
  return found === REFUSED ? await read(await knownKeys(connection, sql, keys)) : found
}

/** The keys that are values of the key's types here; what is refused is halved until it stands alone. */
async function knownKeys(connection: Connection, sql: TableSql, keys: readonly Key[]): Promise<readonly Key[]> {
  // The whole row, or the planner would leave the casts out.
  const cast = `SELECT count(k) FROM ${sql.keysFrom(1)}`
  const found = await tryIn(connection, () => connection.query(cast, keyParameters(keys, sql.scan.keyLength)))
  if (found !== REFUSED) return keys
  if (keys.length === 1) return []
  const half = keys.length >> 1
  const first = await knownKeys(connection, sql, keys.slice(0, half))
  return [...first, ...(await knownKeys(connection, sql, keys.slice(half)))]
}

const REFUSED = Symbol('refused')

async function tryIn<T>(connection: Connection, body: () => Promise<T>): Promise<T | typeof REFUSED> {
  await connection.script('SAVEPOINT keys')
  try {
    const found = await body()
    await connection.script('RELEASE SAVEPOINT keys')
    return found
  } catch (error) {
    if (connection.broken || asRowsRefused(error) === null) throw error
    await connection.script('ROLLBACK TO SAVEPOINT keys; RELEASE SAVEPOINT keys')
    return REFUSED
  }
}
