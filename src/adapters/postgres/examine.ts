import type { Check } from '#model/check.ts'
import { tableName, type Right } from '#model/table.ts'
import type { ServerInfo } from '#adapters/adapter.ts'
import { lookAtClock, lookAtLatency, pass, timer, warn, type Finding } from '#adapters/finding.ts'
import type { Connection } from './connection.ts'
import { describeEndpoint, offersSchema, type Endpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import { CAPTURE_STEPS } from './examine-capture.ts'
import { examineWay } from './examine-way.ts'
import { ask, caught, failed, type Step } from './finding.ts'
import { introspect } from './introspect.ts'
import { grantSql, quote } from './sql.ts'
import { STATE_VERSION } from './state.ts'
import { openAwake } from './wake.ts'

/** Tables that are named where a right is missing. */
const NAMED = 5

/**
 * Looks at a database step by step, as a sync would meet it: the way there, the login, the server, the rights, and what
 * earlier runs have left; with `all` also what change capture needs. Each step is told as soon as it is known; the first
 * that fails on the way there is the last. Nothing is written; the one right that only a trial shows (silencing triggers)
 * is tried in a transaction that is rolled back.
 */
export async function* examinePostgres(endpoint: Endpoint, options: ExamineOptions): AsyncGenerator<Check> {
  const timed = timer()
  for await (const { step, ...finding } of examineWay(endpoint)) {
    const check = timed(step, finding)
    yield check
    if (check.state === 'fail') return
  }
  let connection: Connection
  try {
    const opened = await openAwake(endpoint, options.signal)
    connection = opened.connection
    yield timed('login', lookAtLogin(endpoint, opened))
  } catch (error) {
    const failure = toAppError(error, 'examining the database')
    // The server looks for the database once it has let the login in.
    if (failure.code === 'database_not_found') yield timed('login', pass(describeEndpoint(endpoint)))
    yield timed(failure.code === 'database_not_found' ? 'database' : 'login', failed(failure))
    return
  }
  await using _closed = connection
  yield timed('database', pass(endpoint.database))
  let server: ServerInfo
  try {
    server = await options.readServer(connection)
  } catch (error) {
    yield timed('server', failed(error))
    return
  }
  for (const [step, finding] of lookAtServer(server)) yield timed(step, finding)
  yield timed('latency', await caught(() => lookAtLatency(async () => void (await connection.query('SELECT 1')))))
  for (const { step, look } of [...STEPS, ...(options.steps === 'all' ? CAPTURE_STEPS : [])]) {
    yield timed(step, await caught(() => look(connection, server)))
  }
}

interface ExamineOptions {
  readonly steps: 'sync' | 'all'
  readonly signal: AbortSignal
  readonly readServer: (connection: Connection) => Promise<ServerInfo>
}

const STEPS: readonly Step[] = [
  { step: 'read tables', look: (connection) => lookAtTables(connection, ['use', 'select']) },
  {
    step: 'write tables',
    look: (connection) => lookAtTables(connection, ['use', 'select', 'insert', 'update', 'delete']),
  },
  { step: 'state schema', look: lookAtState },
  { step: 'temporary tables', look: lookAtTemporary },
  { step: 'triggers', look: lookAtTriggers },
  { step: 'unfinished jobs', look: lookAtJobs },
  { step: 'pending statements', look: lookAtPending },
]

function lookAtLogin(endpoint: Endpoint, { attempts, ms }: { attempts: number; ms: number }): Finding {
  const found = describeEndpoint(endpoint)
  if (attempts === 1) return pass(found)
  return pass(`${found}, awake at attempt ${attempts} after ${(ms / 1000).toFixed(1)} s (cold start)`)
}

function lookAtServer(server: ServerInfo): [step: string, Finding][] {
  return [
    ['server', pass(server.product)],
    [
      'pooler',
      server.pooled
        ? warn('a connection pooler stands between', 'Use the direct connection string where tables are to be created.')
        : pass('none: a direct connection'),
    ],
    [
      'role of the server',
      server.readOnly === null
        ? pass('primary, can be written')
        : warn(`read only: ${server.readOnly}`, 'It serves as a source; as a target, name the primary.'),
    ],
    ['clock', lookAtClock(server)],
  ]
}

async function lookAtTables(connection: Connection, wanted: readonly Right[]): Promise<Finding> {
  const all = await connection.transaction('read', () => introspect(connection, 'all'))
  const tables = all
    .map(({ schema }) => schema)
    .filter(
      ({ kind, ref }) => (kind === 'table' || kind === 'partitioned') && offersSchema(connection.endpoint, ref.schema),
    )
  const lacking = tables
    .map(({ ref, rights }) => ({ ref, missing: wanted.filter((right) => !rights[right]) }))
    .filter(({ missing }) => missing.length > 0)
  if (lacking.length === 0) return pass(`all ${tables.length}`)
  const named = lacking.slice(0, NAMED)
  const more = lacking.length > named.length ? ` and ${lacking.length - named.length} more` : ''
  const grants = named.map(({ ref, missing }) => grantSql(ref, missing, connection.endpoint.user))
  return warn(
    `${tables.length - lacking.length} of ${tables.length}; not ${named.map(({ ref }) => tableName(ref)).join(', ')}${more}`,
    `${wanted.includes('insert') ? 'Only for a target' : 'To read them'}: ${grants.join(' ')}`,
  )
}

async function lookAtState(connection: Connection): Promise<Finding> {
  const [row] = await ask(
    connection,
    `SELECT pg_catalog.to_regclass('syncline.meta'), has_database_privilege(current_database(), 'CREATE'),
            current_database(), current_user`,
  )
  if (row?.[0]) {
    const [meta] = await ask(connection, 'SELECT max(version) FROM syncline.meta')
    const version = Number(meta?.[0])
    return version > STATE_VERSION
      ? { state: 'fail', found: `version ${version}, newer than this program knows`, next: 'Use a newer version.' }
      : pass(`there, version ${version}`)
  }
  if (row?.[1] === 't') return pass('not there yet; may be created')
  return warn(
    'not there, and this login may not create it',
    `Only for a target: GRANT CREATE ON DATABASE ${quote(row?.[2] ?? '')} TO ${quote(row?.[3] ?? '')};`,
  )
}

async function lookAtTemporary(connection: Connection): Promise<Finding> {
  const [row] = await ask(
    connection,
    `SELECT has_database_privilege(current_database(), 'TEMP'), current_database(), current_user`,
  )
  if (row?.[0] === 't') return pass('may be created')
  return warn(
    'may not be created by this login',
    `Only for a target: GRANT TEMPORARY ON DATABASE ${quote(row?.[1] ?? '')} TO ${quote(row?.[2] ?? '')};`,
  )
}

async function lookAtTriggers(connection: Connection): Promise<Finding> {
  await connection.script('BEGIN')
  try {
    await connection.query('SET LOCAL session_replication_role = replica')
    return pass('can be silenced for the rows of a run')
  } catch {
    return warn(
      'this login may not silence them: they fire for what a run writes',
      'Only for a target with triggers: a superuser, or from version 15 GRANT SET ON PARAMETER session_replication_role.',
    )
  } finally {
    await connection.script('ROLLBACK')
  }
}

async function lookAtJobs(connection: Connection): Promise<Finding> {
  if (!(await exists(connection, 'syncline.state'))) return pass('none')
  const rows = await ask(
    connection,
    `SELECT job_id, count(*), max(updated_at)::timestamptz(0) FROM syncline.state WHERE phase <> 'done' GROUP BY 1 ORDER BY 1`,
  )
  if (rows.length === 0) return pass('none')
  const jobs = rows.map(([job, tables, when]) => `${job} (${tables} tables, ${when})`)
  return warn(jobs.join(', '), 'Under way, or interrupted: calling the same line again goes on with it.')
}

async function lookAtPending(connection: Connection): Promise<Finding> {
  if (!(await exists(connection, 'syncline.pending_ddl'))) return pass('none')
  const rows = await ask(connection, 'SELECT kind, count(*) FROM syncline.pending_ddl GROUP BY 1 ORDER BY 1')
  if (rows.length === 0) return pass('none')
  return warn(
    rows.map(([kind, n]) => `${n} × ${kind}`).join(', '),
    'Indexes or foreign keys of tables that were created are missing still: call the same sync again, with --create.',
  )
}

async function exists(connection: Connection, table: string): Promise<boolean> {
  const [row] = await ask(connection, 'SELECT pg_catalog.to_regclass($1)', [table])
  return Boolean(row?.[0])
}
