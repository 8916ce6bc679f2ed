/**
 * The sessions of pg_dump: one that it speaks over, and one beside it that looks at the catalogue in the same snapshot. However
 * a reading ends, none of them is left.
 */
import { DatabaseError, escapeLiteral, type Client } from 'pg'

import { AppError } from '#model/errors.ts'

import { INSUFFICIENT_PRIVILEGE, NEWEST_SERVER, runPgDump } from './ddl-bridge.ts'

export interface DumperOptions {
  /** Gives a new connection each time, connected and idle; it is ended here. Two are used at once. */
  readonly connect: () => Promise<Client>
  /** Of pg_export_snapshot(), held open by the caller; without it the dump has a snapshot of its own. */
  readonly snapshot?: string
  readonly signal: AbortSignal
  /** Limit of the whole in milliseconds, from its turn on: one dump runs at a time in a process. */
  readonly timeoutMs: number
}

/** What definitions are read with. */
export interface Dumper {
  /** A session in a read-only transaction of the snapshot. */
  readonly catalog: Client
  /** The text of a plain dump of this very snapshot; once. */
  run(args: readonly string[]): Promise<string>
}

let turn: Promise<unknown> = Promise.resolve()

/**
 * Reads definitions: `read` is called once, with sessions of its own.
 *
 * @throws {AppError} `missing_privilege`, `server_not_supported`, `pooler_not_supported`, `connection_lost` (also when the
 *   time is up), `interrupted` (by the signal), `database_error`, and what `read` throws.
 */
export async function withDumper<T>(options: DumperOptions, read: (dumper: Dumper) => Promise<T>): Promise<T> {
  const previous = turn
  const { promise: done, resolve: release } = Promise.withResolvers<void>()
  turn = Promise.all([previous, done])
  try {
    await unlessAborted(previous, options.signal)
    const timeout = AbortSignal.timeout(options.timeoutMs)
    return await readInTime({ ...options, signal: AbortSignal.any([options.signal, timeout]) }, read)
  } catch (error) {
    throw asAppError(error, options)
  } finally {
    release()
  }
}

async function readInTime<T>(options: DumperOptions, read: (dumper: Dumper) => Promise<T>): Promise<T> {
  const sessions = new Sessions()
  const work = readThrough(sessions, options, read)
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

async function readThrough<T>(
  sessions: Sessions,
  options: DumperOptions,
  read: (dumper: Dumper) => Promise<T>,
): Promise<T> {
  const dumper = await sessions.open(options)
  const catalog = await sessions.open(options)
  await assertKnownServer(catalog)
  const pid = await backendPid(dumper)
  const snapshot = await beginSnapshot(catalog, options.snapshot)
  await assertNoTransactionPooler(catalog, dumper, pid)
  return read({
    catalog,
    run: async (args) => {
      sessions.dumping = { catalog, pid }
      const text = await runPgDump({
        client: dumper,
        args: [...args, '--encoding=UTF8', `--snapshot=${snapshot}`],
        signal: options.signal,
        silenceMs: options.timeoutMs,
      })
      sessions.dumping = undefined
      return text
    },
  })
}

const FAREWELL_MS = 1_000

/** The connections of one dump. However it ends, none is left, neither here nor as a session of the server. */
class Sessions {
  /** Set while pg_dump uses its session: the other one, and the backend of pg_dump. */
  dumping: { readonly catalog: Client; readonly pid: string } | undefined
  readonly #clients: Client[] = []

  async open({ connect, signal }: Pick<DumperOptions, 'connect' | 'signal'>): Promise<Client> {
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

export async function readValue(client: Client, expression: string): Promise<string> {
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

function asAppError(error: unknown, { signal, timeoutMs }: DumperOptions): AppError {
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
