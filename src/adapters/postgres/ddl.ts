/**
 * The definitions of tables, as statements that make the same tables elsewhere. pg_dump writes and orders them; the
 * catalog says which of them the tables need; both look at one snapshot.
 */
import { DatabaseError, escapeLiteral, type Client } from 'pg'

import type { TableDdl } from '#adapters/table-ddl.ts'
import { AppError } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'

import { INSUFFICIENT_PRIVILEGE, NEWEST_SERVER, runPgDump } from './ddl-bridge.ts'
import {
  readClosure,
  readExclusions,
  readForeignKeys,
  readTableFacts,
  readTableOids,
  type CatalogObject,
  type Exclusions,
  type TableFacts,
} from './ddl-catalog.ts'
import { selectTableDdl, type TableSet } from './ddl-select.ts'
import { readDumpEntries } from './dump-entries.ts'
import { quote, quoteTable } from './sql.ts'

export interface TableDdlOptions {
  /** Gives a new connection each time, connected and idle; it is ended here. Two are used at once. */
  readonly connect: () => Promise<Client>
  /** Ordinary and partitioned tables. A root brings its partitions, and a partition its root. */
  readonly tables: readonly TableRef[]
  /** Of pg_export_snapshot(), held open by the caller; without it the dump has a snapshot of its own. */
  readonly snapshot?: string
  /** Major version of the server that the statements are for. */
  readonly targetMajor: number
  readonly signal: AbortSignal
  /** Limit of the whole in milliseconds, from its turn on: one dump runs at a time in a process. */
  readonly timeoutMs: number
}

let turn: Promise<unknown> = Promise.resolve()

/**
 * Reads the definitions of tables.
 *
 * @throws {AppError} `table_not_found`, `missing_privilege`, `server_not_supported`, `pooler_not_supported`,
 *   `connection_lost` (also when the time is up), `interrupted` (by the signal), `database_error`.
 */
export async function readTableDdl(options: TableDdlOptions): Promise<TableDdl> {
  const previous = turn
  const { promise: done, resolve: release } = Promise.withResolvers<void>()
  turn = Promise.all([previous, done])
  try {
    await unlessAborted(previous, options.signal)
    const timeout = AbortSignal.timeout(options.timeoutMs)
    return await readInTime({ ...options, signal: AbortSignal.any([options.signal, timeout]) })
  } catch (error) {
    throw asAppError(error, options)
  } finally {
    release()
  }
}

async function readInTime(options: TableDdlOptions): Promise<TableDdl> {
  const sessions = new Sessions()
  const work = readThrough(sessions, options)
  try {
    return await unlessAborted(work, options.signal)
  } catch (error) {
    await sessions.terminateDumper()
    throw error
  } finally {
    await sessions.close()
    // Without its connections it ends at once; its worker is gone after that.
    await work.catch(() => undefined)
  }
}

async function readThrough(sessions: Sessions, options: TableDdlOptions): Promise<TableDdl> {
  const dumper = await sessions.open(options)
  const catalog = await sessions.open(options)
  await assertKnownServer(catalog)
  const pid = await backendPid(dumper)
  const snapshot = await beginSnapshot(catalog, options.snapshot)
  await assertNoTransactionPooler(catalog, dumper, pid)
  const set = await readTableSet(catalog, options.tables)
  await assertReadable(catalog, set)
  const exclusions = await excludePatterns(catalog, set)
  sessions.dumping = { catalog, pid }
  const dump = await runPgDump({
    client: dumper,
    args: dumpArguments(snapshot, options.targetMajor, exclusions),
    signal: options.signal,
    silenceMs: options.timeoutMs,
  })
  sessions.dumping = undefined
  return selectTableDdl(readDumpEntries(dump), set)
}

const FAREWELL_MS = 1_000

/** The connections of one dump. However it ends, none is left, neither here nor as a session of the server. */
class Sessions {
  /** Set while pg_dump uses its session: the other one, and the backend of pg_dump. */
  dumping: { readonly catalog: Client; readonly pid: string } | undefined
  readonly #clients: Client[] = []

  async open({ connect, signal }: Pick<TableDdlOptions, 'connect' | 'signal'>): Promise<Client> {
    const opening = connect()
    try {
      const client = await unlessAborted(opening, signal)
      // A cut connection shows in the statement that runs on it.
      client.on('error', () => undefined)
      this.#clients.push(client)
      return client
    } catch (error) {
      opening.then(endClient, () => undefined)
      throw error
    }
  }

  /** A backend that waits for a lock does not see that its client is gone, so the other session ends it. */
  async terminateDumper(): Promise<void> {
    if (!this.dumping) return
    const { catalog, pid } = this.dumping
    await settled(catalog.query('SELECT pg_catalog.pg_terminate_backend($1::int)', [pid]), FAREWELL_MS)
  }

  async close(): Promise<void> {
    await Promise.all(this.#clients.map(endClient))
  }
}

/** Says good-bye, and hangs up where nobody answers. */
async function endClient(client: Client): Promise<void> {
  await settled(client.end(), FAREWELL_MS)
  client.connection.stream.destroy()
}

/** Waits until a promise settles, but no longer than some milliseconds. */
async function settled(promise: Promise<unknown>, limitMs: number): Promise<void> {
  await unlessAborted(promise, AbortSignal.timeout(limitMs)).catch(() => undefined)
}

/** @throws the reason of the signal, without waiting for the promise, once it is aborted. */
async function unlessAborted<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  const { promise: aborted, reject } = Promise.withResolvers<never>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  if (signal.aborted) abort()
  try {
    return await Promise.race([promise, aborted])
  } finally {
    signal.removeEventListener('abort', abort)
  }
}

const OLDEST_SERVER = 13

async function assertKnownServer(client: Client): Promise<void> {
  const major = Number(await readValue(client, "current_setting('server_version_num')::int / 10000"))
  if (major >= OLDEST_SERVER && major <= NEWEST_SERVER) return
  const known = `PostgreSQL ${OLDEST_SERVER} to ${NEWEST_SERVER}`
  throw new AppError('server_not_supported', `the definitions of ${known} can be read; this server is ${major}`)
}

async function readValue(client: Client, expression: string): Promise<string> {
  const { rows } = await client.query<[string]>({ text: `SELECT (${expression})::text`, rowMode: 'array' })
  return rows[0]?.[0] ?? ''
}

function backendPid(client: Client): Promise<string> {
  return readValue(client, 'pg_catalog.pg_backend_pid()')
}

/** Opens the transaction of the catalog's queries; returns the name of its snapshot. */
async function beginSnapshot(client: Client, snapshot: string | undefined): Promise<string> {
  await client.query('BEGIN ISOLATION LEVEL REPEATABLE READ, READ ONLY')
  if (snapshot !== undefined) await client.query(`SET TRANSACTION SNAPSHOT ${escapeLiteral(snapshot)}`)
  // It is idle while pg_dump works. Names mean the catalog's, whatever objects a user has made. Compiling one of these
  // queries would take many times what it takes to run it.
  await client.query(
    `SELECT pg_catalog.set_config('search_path', 'pg_catalog', true), pg_catalog.set_config('jit', 'off', true);
     SELECT pg_catalog.set_config(name, '0', true) FROM pg_catalog.pg_settings
      WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')`,
  )
  return snapshot ?? readValue(client, 'pg_catalog.pg_export_snapshot()')
}

/**
 * A transaction pooler lends one server session to many clients: two clients at once have had the same backend, or one
 * client changes its backend while another holds a transaction open.
 */
async function assertNoTransactionPooler(inTransaction: Client, idle: Client, idlePid: string): Promise<void> {
  const pid = await backendPid(inTransaction)
  if (pid !== idlePid && (await backendPid(idle)) === idlePid) return
  throw new AppError('pooler_not_supported', 'the definitions cannot be read through a transaction pooler')
}

async function readTableSet(client: Client, tables: readonly TableRef[]): Promise<TableSet> {
  const oids = await readTableOids(client, tables)
  const missing = tables.filter((_, index) => oids[index] === null)
  if (missing.length > 0) {
    throw new AppError('table_not_found', `the source has no table ${missing.map(quoteTable).join(', ')}`)
  }
  const wanted = oids.filter((oid) => oid !== null)
  const objects = await readClosure(client, wanted)
  const relations = objects.filter(isTable).map((object) => object.objectId)
  const facts = await readTableFacts(client, relations)
  return { wanted, objects, tables: facts, foreignKeys: await readForeignKeys(client, relations) }
}

function isTable({ catalog, kind }: CatalogObject): boolean {
  return catalog === 'pg_class' && (kind === 'r' || kind === 'p' || kind === 'f')
}

/** pg_dump locks each table in ACCESS SHARE mode, for which it takes the right to read it. */
async function assertReadable(client: Client, { tables }: TableSet): Promise<void> {
  const refused = tables.filter((table) => !table.selectable || !table.schemaUsable)
  if (refused.length === 0) return
  const role = quote(await readValue(client, 'current_user'))
  const names = refused.map(quoteTable).join(', ')
  throw new AppError('missing_privilege', `permission denied for ${names}: pg_dump locks each table for reading`, {
    hint: `Run as the owner: ${grants(refused, role).join('; ')}`,
  })
}

function grants(refused: readonly TableFacts[], role: string): string[] {
  const schemas = refused.filter((table) => !table.schemaUsable).map((table) => quote(table.schema))
  const tables = refused.filter((table) => !table.selectable).map(quoteTable)
  return [
    ...(schemas.length > 0 ? [`GRANT USAGE ON SCHEMA ${[...new Set(schemas)].join(', ')} TO ${role}`] : []),
    ...(tables.length > 0 ? [`GRANT SELECT ON ${tables.join(', ')} TO ${role}`] : []),
  ]
}

const OLDEST_WITH_TOAST_COMPRESSION = 14

/** All identifiers are quoted, because a name may be a key word to a newer server, and then mean something else. */
function dumpArguments(snapshot: string, targetMajor: number, exclusions: readonly string[]): string[] {
  return [
    '--schema-only',
    '--verbose',
    '--quote-all-identifiers',
    '--encoding=UTF8',
    `--snapshot=${snapshot}`,
    '--no-owner',
    '--no-privileges',
    '--no-tablespaces',
    '--no-table-access-method',
    '--no-security-labels',
    '--no-publications',
    '--no-subscriptions',
    '--no-policies',
    ...(targetMajor < OLDEST_WITH_TOAST_COMPRESSION ? ['--no-toast-compression'] : []),
    ...exclusions,
  ]
}

/** The arguments lie on the stack of the WebAssembly program: 60 kB were found to pass, 200 kB to overflow it. */
const MAX_PATTERN_BYTES = 48 * 1024

/**
 * Keeps pg_dump from what is not needed, above all from locking it. Where that is too much to say, it looks at readable
 * tables in vain.
 */
async function excludePatterns(client: Client, { objects }: TableSet): Promise<string[]> {
  for (const which of ['all', 'unreadable'] as const) {
    const patterns = patternsOf(await readExclusions(client, objects, which))
    if (Buffer.byteLength(patterns.join('')) <= MAX_PATTERN_BYTES) return patterns
  }
  return []
}

function patternsOf({ schemas, relations }: Exclusions): string[] {
  return [
    ...alternatives(schemas).map((pattern) => `--exclude-schema=${pattern}`),
    ...relations.flatMap(({ schema, names }) =>
      alternatives(names).map((pattern) => `--exclude-table=${quote(schema)}.${pattern}`),
    ),
  ]
}

/** Each pattern is a query of its own to pg_dump. */
const NAMES_PER_PATTERN = 100

/** Patterns of psql that match these names and no other. */
function alternatives(names: readonly string[]): string[] {
  const patterns: string[] = []
  for (let at = 0; at < names.length; at += NAMES_PER_PATTERN) {
    patterns.push(
      `(${names
        .slice(at, at + NAMES_PER_PATTERN)
        .map((name) => quote(name))
        .join('|')})`,
    )
  }
  return patterns
}

function asAppError(error: unknown, { signal, timeoutMs }: TableDdlOptions): AppError {
  if (signal.aborted) {
    return signal.reason instanceof AppError
      ? signal.reason
      : new AppError('interrupted', 'reading the definitions was stopped', { cause: signal.reason })
  }
  if (error instanceof AppError) return error
  if (error instanceof DOMException && error.name === 'TimeoutError') {
    return new AppError('connection_lost', `reading the definitions took longer than ${timeoutMs} ms`)
  }
  const message = error instanceof Error ? error.message : String(error)
  if (!(error instanceof DatabaseError)) return new AppError('connection_lost', message, { cause: error })
  const code = error.code === INSUFFICIENT_PRIVILEGE ? 'missing_privilege' : 'database_error'
  return new AppError(code, message, { cause: error })
}
