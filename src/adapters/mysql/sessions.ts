import { createHash } from 'node:crypto'
import { must } from '#lib/assert.ts'
import type { Connection } from './connection.ts'
import { isServerError } from './errors.ts'
import { ownTable } from './own-tables.ts'

/**
 * Sessions that write, and how one that was overtaken is found: each holds a lock under a name of its own for as long as it
 * lives, and `syncline_session` says whose it is. The server tells who holds a lock, and forgets it with the session, so
 * that a number which another session has got since is never taken for it.
 */

/** Whose sessions they are: one writer of one process. */
export interface SessionOwner {
  readonly writer: string
  readonly job: string | null
  readonly lease: number | null
}

/** A session by what tells it from every other one. */
export interface KnownSession {
  readonly id: number
  readonly token: string
}

/** Takes the lock that says that this session lives. */
export async function markSession(connection: Connection): Promise<KnownSession> {
  const [row] = await connection.query('SELECT UUID()')
  const token = must(row?.[0], 'a token of the server')
  await connection.query('SELECT GET_LOCK(CONCAT(?, ?), 0)', [SESSION, token])
  return { id: connection.id, token }
}

const SESSION = 'syncline '

/** Says whose a session is; the tables of the state are there. */
export async function registerSession(
  connection: Connection,
  { token }: KnownSession,
  { writer, job, lease }: SessionOwner,
): Promise<void> {
  await connection.execute(
    `INSERT INTO ${ownTable(connection.endpoint.database, 'session')} (token, writer, job_id, lease, connection_id)
     VALUES (?, ?, ?, ?, CONNECTION_ID())`,
    [token, writer, job, lease === null ? null : String(lease)],
  )
}

/** Ends the sessions that older leases of a job hold still, and waits until they are gone. */
export async function endOlderLeases(connection: Connection, job: string, lease: number): Promise<void> {
  await endRegistered(connection, 'job_id = ? AND lease < CAST(? AS SIGNED)', [job, String(lease)])
}

/** Ends the sessions of a writer that has been overtaken. */
export async function endWriter(connection: Connection, writer: string): Promise<void> {
  await endRegistered(connection, 'writer = ?', [writer])
}

async function endRegistered(connection: Connection, where: string, parameters: readonly string[]): Promise<void> {
  const sessions = ownTable(connection.endpoint.database, 'session')
  const rows = await connection.query(
    `SELECT token, connection_id FROM ${sessions} WHERE ${where} AND connection_id <> CONNECTION_ID()`,
    parameters,
  )
  const known = rows.map(([token, id]) => ({ token: token ?? '', id: Number(id) }))
  await endSessions(connection, known)
  for (const { token } of known) await connection.execute(`DELETE FROM ${sessions} WHERE token = ?`, [token])
}

/** There is no such session: it has ended by itself. */
const GONE = 1094

/** How long the server may take to undo what a session has written. */
const END_SECONDS = '15'

/** Ends sessions and what they have not committed; those that are gone are left alone. */
export async function endSessions(connection: Connection, sessions: readonly KnownSession[]): Promise<void> {
  for (const { token, id } of sessions) {
    const [holder] = await connection.query('SELECT IS_USED_LOCK(CONCAT(?, ?))', [SESSION, token])
    if (holder?.[0] !== String(id)) continue
    try {
      await connection.execute(`KILL CONNECTION ${id}`)
    } catch (error) {
      if (!isServerError(error) || error.errno !== GONE) throw error
    }
    await connection.query('SELECT GET_LOCK(CONCAT(?, ?), ?)', [SESSION, token, END_SECONDS])
    await connection.query('SELECT RELEASE_LOCK(CONCAT(?, ?))', [SESSION, token])
  }
}

/** Waits for the lock of a name, which is the session's until it ends. */
export async function lockName(connection: Connection, name: string, seconds: number): Promise<boolean> {
  const [row] = await connection.query('SELECT GET_LOCK(?, ?)', [lockOf(name), String(seconds)])
  return row?.[0] === '1'
}

/** The server takes 64 characters, and does not tell their case apart. */
function lockOf(name: string): string {
  return `syncline ${createHash('md5').update(name).digest('hex')}`
}
