import type { Adapter } from '#adapters/adapter.ts'
import { lookAtClock, lookAtLatency, pass, timer, warn, type Finding } from '#adapters/finding.ts'
import { reach } from '#adapters/socket.ts'
import type { Check } from '#model/check.ts'
import { tableName, type Right } from '#model/table.ts'
import { isLocalHost } from '#model/write-protection.ts'
import { openMysql } from './adapter.ts'
import { Connection } from './connection.ts'
import { describeEndpoint, type MysqlEndpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import { CAPTURE_STEPS } from './examine-capture.ts'
import { ownTable } from './own-tables.ts'
import { accountOf, may, readRights } from './rights.ts'
import { quote } from './sql.ts'
import { hasOwnTable, STATE_VERSION } from './state-tables.ts'

/** Tables that are named where a right is missing. */
const NAMED = 5

interface ExamineOptions {
  readonly steps: 'sync' | 'all'
  readonly signal: AbortSignal
}

/**
 * Looks at a database step by step, as a sync would meet it: the way there, the login, the server, the rights, and what
 * earlier runs have left; with `all` also what change capture needs. Each step is told as soon as it is known; the first
 * that fails on the way there is the last. Nothing is written.
 */
export async function* examineMysql(endpoint: MysqlEndpoint, { steps, signal }: ExamineOptions): AsyncGenerator<Check> {
  const timed = timer()
  for await (const { step, ...finding } of examineWay(endpoint)) {
    const check = timed(step, finding)
    yield check
    if (check.state === 'fail') return
  }
  let connection: Connection
  try {
    connection = await Connection.open(endpoint, { readOnly: true, signal })
  } catch (error) {
    for (const [step, finding] of failedLogin(endpoint, error)) yield timed(step, finding)
    return
  }
  await using _closed = connection
  yield timed('encryption', await caught(() => lookAtEncryption(connection)))
  yield timed('login', await caught(() => lookAtLogin(connection)))
  yield timed('database', pass(endpoint.database))
  let adapter: Adapter
  try {
    adapter = await openMysql(endpoint, { write: false, signal })
  } catch (error) {
    yield timed('server', failed(error))
    return
  }
  await using opened = adapter
  const { server } = opened
  yield timed('server', pass(server.product))
  yield timed('role of the server', lookAtRole(server.readOnly))
  yield timed('clock', lookAtClock(server))
  yield timed('latency', await caught(() => lookAtLatency(async () => void (await connection.query('SELECT 1')))))
  yield timed('read tables', await caught(() => lookAtTables(opened, READING)))
  yield timed('write tables', await caught(() => lookAtTables(opened, WRITING)))
  for (const { step, look } of [...STEPS, ...(steps === 'all' ? CAPTURE_STEPS : [])]) {
    yield timed(step, await caught(() => look(connection)))
  }
}

const STEPS: readonly { readonly step: string; readonly look: (connection: Connection) => Promise<Finding> }[] = [
  { step: 'state tables', look: lookAtState },
  { step: 'temporary tables', look: lookAtTemporary },
  { step: 'triggers', look: lookAtTriggers },
  { step: 'bulk load', look: lookAtLoad },
  { step: 'one moment over several connections', look: lookAtLock },
  { step: 'unfinished jobs', look: lookAtJobs },
  { step: 'pending statements', look: lookAtPending },
]

const READING: readonly Right[] = ['use', 'select']
const WRITING: readonly Right[] = ['use', 'select', 'insert', 'update', 'delete']

/** The way to a server, step by step: its name, its port. Ends after the first failure. */
async function* examineWay(endpoint: MysqlEndpoint): AsyncGenerator<Finding & { step: string }> {
  const { host, port } = endpoint
  if (host.startsWith('/')) return
  try {
    const addresses = await endpoint.resolve(host)
    yield { step: 'host name', ...pass(`${host} is ${addresses.map(({ address }) => address).join(', ')}`) }
  } catch (error) {
    yield { step: 'host name', ...failed(error) }
    return
  }
  try {
    const socket = await reach(endpoint)
    socket.destroy()
    yield { step: 'port', ...pass(`${host}:${port} accepts connections`) }
  } catch (error) {
    yield { step: 'port', ...failed(error) }
  }
}

/** The server settles encryption first, then the login, then the database: what it refuses says how far it came. */
function failedLogin(endpoint: MysqlEndpoint, error: unknown): [step: string, Finding][] {
  const failure = toAppError(error, 'examining the database')
  if (failure.code === 'tls_failed') return [['encryption', failed(failure)]]
  if (failure.code !== 'database_not_found') return [['login', failed(failure)]]
  return [
    ['login', pass(describeEndpoint(endpoint))],
    ['database', failed(failure)],
  ]
}

async function lookAtEncryption(connection: Connection): Promise<Finding> {
  const rows = await connection.query(`SHOW SESSION STATUS WHERE Variable_name IN ('Ssl_version', 'Ssl_cipher')`)
  const known = new Map(rows.map(([name, value]) => [name, value]))
  const { ssl, host, ca } = connection.endpoint
  const version = known.get('Ssl_version') ?? ''
  const local = isLocalHost(host)
  if (version === '') {
    return local
      ? pass('none, on this machine')
      : warn('not encrypted', 'Switch TLS on in the server, and use sslmode=verify-full.')
  }
  const found = `${version}, ${known.get('Ssl_cipher')}`
  if (ssl.startsWith('verify') || ca !== null) return pass(`${found}, verified`)
  if (local) return pass(found)
  return warn(
    `${found}, and the server is not verified`,
    'Choose verify-full, and paste the CA where it is not a public one.',
  )
}

/** The account that let us in may be another one than was meant. */
async function lookAtLogin(connection: Connection): Promise<Finding> {
  const { endpoint } = connection
  const [row] = await connection.query('SELECT CURRENT_USER()')
  const account = row?.[0] ?? ''
  const found = describeEndpoint(endpoint)
  if (!account.startsWith('@')) return pass(`${found}, as the account ${account}`)
  return warn(
    `${found} was let in as the anonymous account ''${account}, which stands before accounts of any host`,
    `Remove it: DROP USER ''@'${account.slice(1)}'; or name an account for that host.`,
  )
}

function lookAtRole(readOnly: string | null): Finding {
  return readOnly === null
    ? pass('primary, can be written')
    : warn(`read only: ${readOnly}`, 'It serves as a source; as a target, name the primary.')
}

async function lookAtTables(adapter: Adapter, wanted: readonly Right[]): Promise<Finding> {
  const tables = (await adapter.describe('all')).filter(({ kind }) => kind === 'table' || kind === 'partitioned')
  const lacking = tables
    .map(({ ref, rights }) => ({ ref, missing: wanted.filter((right) => !rights[right]) }))
    .filter(({ missing }) => missing.length > 0)
  if (lacking.length === 0) return pass(`all ${tables.length}`)
  const named = lacking.slice(0, NAMED)
  const more = lacking.length > named.length ? ` and ${lacking.length - named.length} more` : ''
  const grants = named.map(({ ref, missing }) => adapter.grant(ref, missing))
  return warn(
    `${tables.length - lacking.length} of ${tables.length}; not ${named.map(({ ref }) => tableName(ref)).join(', ')}${more}`,
    `${wanted.includes('insert') ? 'Only for a target' : 'To read them'}: ${grants.join(' ')}`,
  )
}

async function lookAtState(connection: Connection): Promise<Finding> {
  const { database } = connection.endpoint
  if (await hasOwnTable(connection, 'meta')) {
    const [row] = await connection.query(`SELECT version FROM ${ownTable(database, 'meta')}`)
    const version = Number(row?.[0])
    return version > STATE_VERSION
      ? { state: 'fail', found: `version ${version}, newer than this program knows`, next: 'Use a newer version.' }
      : pass(`there, version ${version}`)
  }
  if (await may(connection, 'CREATE')) return pass('not there yet; may be created')
  return warn('not there, and this login may not create them', await grantFor(connection, 'CREATE'))
}

async function lookAtTemporary(connection: Connection): Promise<Finding> {
  if (await may(connection, 'CREATE TEMPORARY TABLES')) return pass('may be created')
  return warn('may not be created by this login', await grantFor(connection, 'CREATE TEMPORARY TABLES'))
}

async function lookAtTriggers(connection: Connection): Promise<Finding> {
  if (await may(connection, 'TRIGGER')) return pass('may be seen')
  return warn(
    'may not be seen by this login: rows that others change during a run are taken for its own, and written again',
    await grantFor(connection, 'TRIGGER'),
  )
}

async function lookAtLoad(connection: Connection): Promise<Finding> {
  const [row] = await connection.query('SELECT @@GLOBAL.local_infile + 0')
  if (row?.[0] === '1') return pass('by LOAD DATA LOCAL')
  return warn(
    'local_infile is off: rows go by INSERT, which takes several times as long',
    "Only for a target: SET GLOBAL local_infile = ON; and in the server's configuration.",
  )
}

async function lookAtLock(connection: Connection): Promise<Finding> {
  const rights = await readRights(connection)
  if (rights.has('RELOAD')) return pass('may be taken: FLUSH TABLES WITH READ LOCK')
  return warn(
    'this login may not lock all tables for an instant: one connection reads everything',
    `Only for large sources: GRANT RELOAD ON *.* TO ${await accountOf(connection)};`,
  )
}

async function lookAtJobs(connection: Connection): Promise<Finding> {
  if (!(await hasOwnTable(connection, 'state'))) return pass('none')
  const state = ownTable(connection.endpoint.database, 'state')
  const rows = await connection.query(
    `SELECT job_id, CAST(COUNT(*) AS CHAR), CAST(MAX(updated_at) AS CHAR) FROM ${state} WHERE phase <> 'done' GROUP BY job_id ORDER BY job_id`,
  )
  if (rows.length === 0) return pass('none')
  const jobs = rows.map(([job, tables, when]) => `${job} (${tables} tables, ${when})`)
  return warn(jobs.join(', '), 'Under way, or interrupted: calling the same line again goes on with it.')
}

async function lookAtPending(connection: Connection): Promise<Finding> {
  if (!(await hasOwnTable(connection, 'pending_ddl'))) return pass('none')
  const pending = ownTable(connection.endpoint.database, 'pending_ddl')
  const rows = await connection.query(`SELECT kind, CAST(COUNT(*) AS CHAR) FROM ${pending} GROUP BY kind ORDER BY kind`)
  if (rows.length === 0) return pass('none')
  return warn(
    rows.map(([kind, n]) => `${n} × ${kind}`).join(', '),
    'Indexes or foreign keys of tables that were created are missing still: call the same sync again, with --create.',
  )
}

async function grantFor(connection: Connection, privilege: string): Promise<string> {
  const { database } = connection.endpoint
  return `Only for a target: GRANT ${privilege} ON ${quote(database)}.* TO ${await accountOf(connection)};`
}

function failed(thrown: unknown): Finding {
  const { message, hint } = toAppError(thrown, 'examining the database')
  return { state: 'fail', found: message, next: hint }
}

async function caught(look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look()
  } catch (error) {
    return failed(error)
  }
}
