import { isIP, Socket } from 'node:net'
import { checkServerIdentity, type ConnectionOptions } from 'node:tls'
import type { Readable, Writable } from 'node:stream'
import pg from 'pg'
import { from as copyFrom } from 'pg-copy-streams'
import Cursor from 'pg-cursor'
import { abortReason, delay } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import { CopyOut } from './copy-out.ts'
import type { Endpoint } from './endpoint.ts'
import { describeEndpoint, isLocalHost } from './endpoint.ts'
import { toAppError, toleratingLimit } from './errors.ts'
import { limitMessages } from './protocol-limits.ts'
import { beginSql, type Mode } from './session.ts'
import type { Watched } from '#adapters/adapter.ts'
import { openSocket } from '#adapters/socket.ts'
import { CommitUnknown } from '#adapters/commits.ts'
import { watch } from '#adapters/watchdog.ts'

/** A row as the server writes it: text, never a number, a date or an object. */
export type TextRow = (string | null)[]

/** Every value stays the server's own text (hazards C1 to C9). */
const AS_TEXT = { getTypeParser: () => (value: string | Buffer) => value }

/** Servers on this machine that do without TLS: asking each of them once is enough. */
const WITHOUT_TLS = new WeakSet<Endpoint>()

/** Rows that a cursor fetches at once. */
const FETCH_ROWS = 2_000

/**
 * One session. Every wait on it has a watchdog; every error that leaves it is an AppError or the driver's DatabaseError;
 * once broken it stays broken. Parameters go by the extended protocol, unnamed, so that a transaction pooler may stand
 * between; `script` is for text that is wholly ours.
 */
export class Connection implements AsyncDisposable, Watched {
  readonly endpoint: Endpoint
  readonly #client: pg.Client
  readonly #listeners = new Set<(error: AppError) => void>()
  #broken: AppError | null = null
  #major = 0
  #forgetSignal = (): void => {}
  /** The backend's process id by its own word; through a pooler it differs from the one given at start-up. */
  pid = 0
  /** When the backend was started, in seconds of the epoch as the server writes them: with the id it names one session for ever. */
  startedAt = ''
  /** The texts of the database are in UTF-8, as those of the session always are. */
  utf8 = true

  private constructor(endpoint: Endpoint, client: pg.Client) {
    this.endpoint = endpoint
    this.#client = client
    client.on('error', (error) => this.#lose(toAppError(error, 'a connection was open')))
    client.on('end', () => this.#lose(new AppError('connection_lost', 'The server closed the connection.')))
  }

  /**
   * The signal ends the attempt to connect and, later, the session with whatever it waits for.
   * @throws AppError with the cause in plain words: host, port, TLS, password, database
   */
  static async open(endpoint: Endpoint, signal?: AbortSignal): Promise<Connection> {
    if (signal?.aborted) throw abortReason(signal)
    // Beyond this machine nothing falls back to clear text by itself.
    if (endpoint.ssl !== 'prefer' || !isLocalHost(endpoint.host))
      return Connection.#open(endpoint, tlsOptions(endpoint), signal)
    if (WITHOUT_TLS.has(endpoint)) return Connection.#open(endpoint, false, signal)
    try {
      return await Connection.#open(endpoint, tlsOptions(endpoint), signal)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'tls_failed') throw error
      const connection = await Connection.#open(endpoint, false, signal)
      WITHOUT_TLS.add(endpoint)
      return connection
    }
  }

  static async #open(
    endpoint: Endpoint,
    ssl: ConnectionOptions | false,
    signal: AbortSignal | undefined,
  ): Promise<Connection> {
    const client = new pg.Client({
      host: endpoint.host,
      port: endpoint.port,
      database: endpoint.database,
      user: endpoint.user,
      // A function, because the driver looks into PGPASSWORD and ~/.pgpass where it is given none.
      password: () => endpoint.password?.reveal() ?? '',
      ssl: endpoint.host.startsWith('/') ? false : ssl,
      ...(endpoint.host.startsWith('/') ? {} : { stream: () => openSocket(endpoint) }),
      connectionTimeoutMillis: endpoint.connectTimeoutMs,
      keepAlive: true,
      keepAliveInitialDelayMillis: 10_000,
      application_name: 'syncline',
      types: AS_TEXT,
    })
    const connection = new Connection(endpoint, client)
    limitMessages(client, (error) => connection.destroy(error))
    if (signal !== undefined) connection.endWith(signal)
    try {
      await connection.#connect()
      const [row] = await connection.query(
        `SELECT pg_backend_pid(), current_setting('server_version_num'), extract(epoch FROM s.backend_start)::text,
                current_setting('server_encoding')
         FROM pg_catalog.pg_stat_get_activity(pg_catalog.pg_backend_pid()) s`,
      )
      connection.pid = Number(row?.[0])
      connection.#major = Math.floor(Number(row?.[1]) / 10_000)
      connection.startedAt = row?.[2] ?? ''
      connection.utf8 = row?.[3] === 'UTF8'
      return connection
    } catch (error) {
      connection.#forgetSignal()
      client.end().catch(() => {})
      throw toAppError(error, `connecting to ${describeEndpoint(endpoint)}`)
    }
  }

  /** The driver's own promise stays open where the peer hangs up in the middle of the start, and so does its timer. */
  async #connect(): Promise<void> {
    const { promise: lost, reject } = Promise.withResolvers<never>()
    this.onLost(reject)
    const timer = setTimeout(() => {
      const { host, port, connectTimeoutMs } = this.endpoint
      const seconds = Math.round(connectTimeoutMs / 1000)
      this.destroy(new AppError('connection_timeout', `${host}:${port} did not answer within ${seconds} s.`))
    }, this.endpoint.connectTimeoutMs)
    try {
      // A host that is an address already is not looked up by the socket.
      if (isIP(this.endpoint.host) !== 0) await this.endpoint.resolve(this.endpoint.host)
      await Promise.race([this.#client.connect(), lost])
    } finally {
      clearTimeout(timer)
      this.#listeners.delete(reject)
    }
  }

  /** From now on this signal ends the session, and no other. */
  endWith(signal: AbortSignal): void {
    this.#forgetSignal()
    if (this.broken) return
    const end = (): void => this.destroy(toAppError(abortReason(signal), 'talking to the server'))
    this.#forgetSignal = () => signal.removeEventListener('abort', end)
    signal.addEventListener('abort', end, { once: true })
    if (signal.aborted) end()
  }

  get major(): number {
    return this.#major
  }

  /** The process id that the server, or a pooler in its place, gave at start-up. */
  get startupPid(): number {
    const client: unknown = this.#client
    return isStarted(client) ? (client.processID ?? 0) : 0
  }

  get broken(): boolean {
    return this.#broken !== null
  }

  get bytes(): number {
    const { stream } = this.#client.connection
    return stream instanceof Socket ? stream.bytesRead + stream.bytesWritten : 0
  }

  /** The raw driver client, for the one use that must speak the protocol itself. */
  get client(): pg.Client {
    return this.#client
  }

  /** One statement with parameters as text; rows as text. */
  async query(text: string, parameters: readonly unknown[] = []): Promise<TextRow[]> {
    this.#assertUsable()
    const pending = this.#client.query<TextRow>({ text, values: [...parameters], rowMode: 'array' })
    return (await this.#watched(pending)).rows
  }

  /**
   * The columns that one statement gives. It goes by the extended protocol, which takes one statement and no more,
   * whatever its text holds.
   */
  async fields(text: string): Promise<readonly { name: string; oid: number; modifier: number }[]> {
    this.#assertUsable()
    const config: pg.QueryArrayConfig & { queryMode: 'extended' } = { text, rowMode: 'array', queryMode: 'extended' }
    const { fields } = await this.#watched(this.#client.query(config))
    return fields.map(({ name, dataTypeID: oid, dataTypeModifier: modifier }) => ({ name, oid, modifier }))
  }

  /** How many rows one statement touched. */
  async execute(text: string, parameters: readonly unknown[] = []): Promise<number> {
    this.#assertUsable()
    const pending = this.#client.query({ text, values: [...parameters], rowMode: 'array' })
    return (await this.#watched(pending)).rowCount ?? 0
  }

  /** Several statements of our own text, in one round trip. */
  async script(text: string): Promise<void> {
    this.#assertUsable()
    await this.#watched(this.#client.query(text))
  }

  /** Rows of a large result, fetched as they are consumed. Must run inside a transaction. */
  async *stream(text: string, parameters: readonly unknown[] = []): AsyncGenerator<TextRow> {
    this.#assertUsable()
    const cursor = this.#client.query(new Cursor<TextRow>(text, [...parameters], { rowMode: 'array', types: AS_TEXT }))
    let ended = false
    try {
      for (;;) {
        const rows = await this.#watched(cursor.read(FETCH_ROWS)).catch((error: unknown) => {
          ended = true
          throw error
        })
        ended = rows.length < FETCH_ROWS
        yield* rows
        if (ended) return
      }
    } finally {
      if (!ended && !this.broken) await this.#watched(cursor.close())
    }
  }

  /**
   * COPY … TO STDOUT. `rows()` is what the server says it sent; it is valid once the stream has ended. `seen()` is what has
   * come until now. Up to `aheadBytes` are fetched before anybody reads them.
   */
  copyOut(sql: string, aheadBytes?: number): { stream: Readable; rows: () => number; seen: () => number } {
    this.#assertUsable()
    const stream = this.#client.query(new CopyOut(sql, aheadBytes))
    stream.on('error', toldElsewhere)
    return { stream, rows: () => stream.rowCount, seen: () => stream.seen }
  }

  /** COPY … FROM STDIN. `rows()` is what the server says it took; it is valid once the stream has finished. */
  copyIn(sql: string): { stream: Writable; rows: () => number } {
    this.#assertUsable()
    const stream = this.#client.query(copyFrom(sql))
    stream.on('error', toldElsewhere)
    return { stream, rows: () => stream.rowCount }
  }

  /** `first` is a script of our own that goes with BEGIN. */
  async begin(mode: Mode, first = ''): Promise<void> {
    await this.script(`${beginSql(mode, this.#major)}; ${first}`)
  }

  /**
   * Runs `body` in a transaction. A failure of the body rolls back; a failure of COMMIT itself is a CommitUnknown
   * where the connection broke, because the server may have committed. `first` is a script of our own that goes with BEGIN.
   */
  async transaction<T>(mode: Mode, body: () => Promise<T>, first = ''): Promise<T> {
    let result: T
    try {
      await this.script(`${beginSql(mode, this.#major)}; ${first}`)
      result = await body()
    } catch (error) {
      await this.#rollback()
      throw error
    }
    try {
      await this.commit()
    } catch (error) {
      // Nothing was written whose fate could be unknown.
      if (error instanceof CommitUnknown && mode !== 'write') throw toAppError(error.cause, 'ending a transaction')
      throw error
    }
    return result
  }

  async commit(): Promise<void> {
    let command: string
    try {
      command = (await this.#watched(this.#client.query('COMMIT'))).command
    } catch (error) {
      if (error instanceof pg.DatabaseError && !this.broken) throw error
      throw new CommitUnknown('The connection broke while a COMMIT was under way.', { cause: error })
    }
    // A transaction that had failed answers COMMIT with ROLLBACK and no error.
    if (command !== 'COMMIT') throw new AppError('internal', `The server answered COMMIT with ${command}.`)
  }

  async #rollback(): Promise<void> {
    if (this.broken) return
    try {
      await this.script('ROLLBACK')
    } catch (error) {
      this.destroy(toAppError(error, 'rolling back'))
    }
  }

  /** Ends the transaction in hand: whether the server did so at once, and the session can be used for something else. */
  async reset(): Promise<boolean> {
    if (this.broken) return false
    const ended = this.script('ROLLBACK').then(
      () => true,
      () => false,
    )
    const timer = new AbortController()
    const late = delay(GRACE_MS, timer.signal).then(
      () => false,
      () => false,
    )
    return Promise.race([ended, late]).finally(() => timer.abort())
  }

  /** Asks the server to end the statement that runs here. Safe at any time; does nothing if none runs. */
  async cancel(): Promise<void> {
    await using other = await Connection.open(this.endpoint)
    await other.query('SELECT pg_cancel_backend($1)', [this.pid])
  }

  async probe(): Promise<'working' | 'waiting' | 'gone'> {
    const patience = Math.min(this.endpoint.connectTimeoutMs, 5_000)
    const open = Connection.open({ ...this.endpoint, connectTimeoutMs: patience })
    await using other = await open.catch(toleratingLimit)
    // A server without room for the question is alive, and says nothing against the session.
    if (other === null) return 'working'
    const timer = setTimeout(() => {
      other.destroy(new AppError('connection_timeout', 'The server does not answer.'))
    }, patience)
    try {
      const [row] = await other.#plain(
        `SELECT state, coalesce(wait_event_type, '') FROM pg_catalog.pg_stat_activity WHERE pid = $1`,
        [this.pid],
      )
      if (row === undefined) return 'gone'
      return row[0] === 'active' && row[1] !== 'Client' ? 'working' : 'waiting'
    } finally {
      clearTimeout(timer)
    }
  }

  async #plain(text: string, values: unknown[]): Promise<TextRow[]> {
    return (await this.#client.query<TextRow>({ text, values, rowMode: 'array' })).rows
  }

  onLost(callback: (error: AppError) => void): () => void {
    if (this.#broken) callback(this.#broken)
    else this.#listeners.add(callback)
    return () => this.#listeners.delete(callback)
  }

  destroy(error: AppError): void {
    this.#lose(error)
    this.#client.connection.stream.destroy(error)
  }

  #lose(error: AppError): void {
    if (this.#broken) return
    this.#broken = error
    this.#forgetSignal()
    for (const listener of this.#listeners) listener(error)
    this.#listeners.clear()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.broken) {
      this.#client.connection.stream.destroy()
      return
    }
    this.#broken = new AppError('internal', 'The connection was used after it was closed.')
    this.#forgetSignal()
    await Promise.race([this.#client.end().catch(() => {}), afterGrace(this.#client)])
  }

  async #watched<T>(work: Promise<T>): Promise<T> {
    try {
      return await watch([this], work)
    } catch (error) {
      if (error instanceof pg.DatabaseError && this.#broken === null && !isFatal(error)) throw error
      const failure = toAppError(error, 'talking to the server')
      this.#lose(failure)
      throw error instanceof pg.DatabaseError ? error : (this.#broken ?? failure)
    }
  }

  #assertUsable(): void {
    if (this.#broken) throw this.#broken
  }
}

/**
 * A COPY fails by its stream, its pipe and its connection, in any order; whoever pipes it learns it from the pipe or the
 * watchdog. Without a listener of its own the stream would end the process where it fails last.
 */
function toldElsewhere(): void {}

/** A session that does not say goodbye within this is cut. */
const GRACE_MS = 2_000

function afterGrace(client: pg.Client): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      client.connection.stream.destroy()
      resolve()
    }, GRACE_MS)
    timer.unref()
  })
}

/** Errors after which the server closes the session by itself. */
function isFatal(error: pg.DatabaseError): boolean {
  return error.severity === 'FATAL' || error.severity === 'PANIC'
}

function isStarted(client: unknown): client is { processID?: number } {
  return typeof client === 'object' && client !== null && 'processID' in client
}

export function tlsOptions(endpoint: Endpoint): ConnectionOptions | false {
  const { ssl, ca, host } = endpoint
  if (ssl === 'disable') return false
  const trust = ca === null ? {} : { ca }
  if (ssl === 'prefer' || (ssl === 'require' && ca === null)) return { rejectUnauthorized: false }
  // As in libpq, a root certificate makes `require` verify the chain.
  if (ssl === 'verify-ca' || ssl === 'require') return { ...trust, checkServerIdentity: () => undefined }
  return { ...trust, checkServerIdentity: (_name, certificate) => checkServerIdentity(host, certificate) }
}
