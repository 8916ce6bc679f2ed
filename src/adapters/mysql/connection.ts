import { isIP, type Socket } from 'node:net'
import { Readable } from 'node:stream'
import mysql, { type Connection as Driver, type FieldPacket, type SslOptions } from 'mysql2'
import { assert, toError } from '#lib/assert.ts'
import { abortReason } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import type { Watched } from '#adapters/adapter.ts'
import { openSocket } from '#adapters/socket.ts'
import { CommitUnknown } from '#adapters/commits.ts'
import { watch } from '#adapters/watchdog.ts'
import { describeEndpoint, type MysqlEndpoint } from './endpoint.ts'
import { failingWarning, isServerError, toAppError, toleratingLimit } from './errors.ts'
import { readCells, type RowLines, type RowPacket, type TextCell } from './row-packets.ts'
import { readVersion, type ServerVersion } from './server-version.ts'
import { beginSql, pinSql, zeroDatesSql, type Mode } from './session.ts'

/** A row as the server writes it: text, never a number, a date or an object. */
export type TextRow = TextCell[]

/** A parameter is a text: a number would travel as a double, an object would become SQL (security item S23). */
export type Parameter = string | null

/** A column of a result, by the numbers of the protocol. */
export interface ResultField {
  readonly name: string
  readonly type: number
  readonly flags: number
  readonly characterSet: number
  /** In bytes, as the session gets it. */
  readonly length: number
  readonly decimals: number
}

/** Statements that a session keeps prepared; the server has a bound for all sessions together. */
const PREPARED = 64
/** Rows that wait here for whoever consumes them. */
const STREAM_ROWS = 500
/** The same of lines, which come together. */
const STREAM_CHUNKS = 4
/** A session that does not say goodbye within this is cut. */
const GRACE_MS = 2_000

/** The driver is to make no code of the names of columns: it would refuse `__proto__` (hazard C19). */
const ANY_NAMES = { rowsAsArray: true, disableEval: true } as const

interface Answer {
  readonly rows: readonly (readonly unknown[])[]
  readonly affected: number
  readonly warnings: number
}

/**
 * One session. Every wait on it has a watchdog and ends with its connection: the driver's own streams never end where the
 * connection breaks (hazard A15). Every error that leaves it is an AppError or the server's own; once broken it stays
 * broken. Statements with parameters are prepared, one statement each; a writing statement that succeeded with a warning
 * has failed (hazard C14).
 */
export class Connection implements AsyncDisposable, Watched {
  readonly endpoint: MysqlEndpoint
  readonly #driver: Driver
  readonly #socket: Socket | null
  readonly #listeners = new Set<(error: AppError) => void>()
  #broken: AppError | null = null
  #forgetSignal = (): void => {}
  #takesZeroDates = false
  /** The server's number of the session. */
  id = 0
  version: ServerVersion = { mariadb: false, major: 0, minor: 0, product: '' }

  private constructor(endpoint: MysqlEndpoint, driver: Driver, socket: Socket | null) {
    this.endpoint = endpoint
    this.#driver = driver
    this.#socket = socket
    driver.on('error', (error) => this.#lose(toAppError(error, 'a connection was open')))
    driver.on('end', () => this.#lose(new AppError('connection_lost', 'The server closed the connection.')))
  }

  /**
   * `readOnly`: the server refuses every write in this session. The signal ends the attempt to connect and, later, the
   * session with whatever it waits for.
   * @throws AppError with the cause in plain words: host, port, TLS, password, database
   */
  static async open(
    endpoint: MysqlEndpoint,
    { readOnly, signal }: { readOnly: boolean; signal?: AbortSignal },
  ): Promise<Connection> {
    if (signal?.aborted) throw abortReason(signal)
    try {
      return await Connection.#open(endpoint, { readOnly, signal, ssl: sslOptions(endpoint) })
    } catch (error) {
      const offersNone = error instanceof AppError && error.code === 'tls_failed' && endpoint.ssl === 'prefer'
      if (!offersNone) throw error
      return await Connection.#open(endpoint, { readOnly, signal, ssl: null })
    }
  }

  static async #open(
    endpoint: MysqlEndpoint,
    { readOnly, signal, ssl }: { readOnly: boolean; signal: AbortSignal | undefined; ssl: SslOptions | null },
  ): Promise<Connection> {
    const isPath = endpoint.host.startsWith('/')
    // A host that is an address already is not looked up by the socket.
    if (!isPath && isIP(endpoint.host) !== 0) await endpoint.resolve(endpoint.host)
    const socket = isPath ? null : openSocket(endpoint)
    socket?.setKeepAlive(true, 10_000).setNoDelay(true)
    const driver = mysql.createConnection({
      ...(socket === null ? { socketPath: endpoint.host } : { host: endpoint.host, port: endpoint.port }),
      ...(socket === null ? {} : { stream: () => socket.connect(endpoint.port, endpoint.host) }),
      ...(ssl === null || socket === null ? {} : { ssl }),
      database: endpoint.database,
      user: endpoint.user,
      password: endpoint.password?.reveal() ?? '',
      charset: 'utf8mb4_bin',
      connectTimeout: endpoint.connectTimeoutMs,
      connectAttributes: { program_name: 'syncline' },
      maxPreparedStatements: PREPARED,
      rowsAsArray: true,
      multipleStatements: false,
      supportBigNumbers: true,
      bigNumberStrings: true,
      dateStrings: true,
      jsonStrings: true,
      flags: ['-FOUND_ROWS'],
    })
    const connection = new Connection(endpoint, driver, socket)
    if (signal !== undefined) connection.endWith(signal)
    try {
      await connection.#connect()
      await connection.#pin(readOnly)
      return connection
    } catch (error) {
      connection.destroy(toAppError(error, `connecting to ${describeEndpoint(endpoint)}`))
      throw toAppError(error, `connecting to ${describeEndpoint(endpoint)}`)
    }
  }

  async #connect(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    this.#driver.connect((error) => (error === null ? resolve() : reject(error)))
    const forget = this.onLost(reject)
    const timer = setTimeout(() => {
      const { host, port, connectTimeoutMs } = this.endpoint
      const seconds = Math.round(connectTimeoutMs / 1000)
      this.destroy(new AppError('connection_timeout', `${host}:${port} did not answer within ${seconds} s.`))
    }, this.endpoint.connectTimeoutMs)
    try {
      await promise
    } finally {
      clearTimeout(timer)
      forget()
    }
  }

  async #pin(readOnly: boolean): Promise<void> {
    const [row] = await this.query('SELECT VERSION(), @@version_comment, CONNECTION_ID()')
    this.version = readVersion(row?.[0] ?? '')
    this.id = Number(row?.[2])
    for (const statement of pinSql({ mariadb: this.version.mariadb, readOnly })) await this.execute(statement)
    // Rows are found by a day of zeros that is part of their key; what is read is written nowhere here.
    await this.takeZeroDates(readOnly)
  }

  /** Whether days of zeros are values of this session, or refused: until it is said otherwise, whatever becomes of a transaction. */
  async takeZeroDates(takes: boolean): Promise<void> {
    if (takes === this.#takesZeroDates) return
    // MySQL warns of a strict mode without these: nothing is cut or made up by it.
    await this.query(zeroDatesSql(takes))
    this.#takesZeroDates = takes
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

  get broken(): boolean {
    return this.#broken !== null
  }

  get bytes(): number {
    return this.#socket === null ? 0 : this.#socket.bytesRead + this.#socket.bytesWritten
  }

  /** Rows of one statement, as text. What it gives beside text is written as the driver writes numbers: cast it in SQL. */
  async query(sql: string, parameters: readonly Parameter[] = []): Promise<TextRow[]> {
    return (await this.#run(sql, parameters)).rows.map((row) => row.map(toText))
  }

  /**
   * How many rows one statement changed: of an UPDATE, those that were found with other values.
   * @throws RowsRefused-able server errors, and a warning as if it were one
   */
  async execute(sql: string, parameters: readonly Parameter[] = []): Promise<number> {
    const { affected, warnings } = await this.#run(sql, parameters)
    if (warnings > 0) await this.#refuseWarnings()
    return affected
  }

  async #run(sql: string, parameters: readonly Parameter[]): Promise<Answer> {
    this.#assertUsable()
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const done = (error: unknown, result: unknown): void => {
      if (error === null || error === undefined) resolve(toAnswer(result))
      else reject(error)
    }
    if (parameters.length === 0) this.#driver.query({ sql, rowsAsArray: true }, done)
    else this.#driver.execute({ sql, rowsAsArray: true, values: [...parameters] }, done)
    return await this.#watched(promise)
  }

  /** What a statement gives, by its columns: it is run, and should be one that finds no rows. */
  async fields(sql: string): Promise<readonly ResultField[]> {
    this.#assertUsable()
    const { promise, resolve, reject } = Promise.withResolvers<readonly FieldPacket[]>()
    this.#driver.query({ sql, ...ANY_NAMES }, (error, _, fields: unknown) => {
      if (error === null) resolve(Array.isArray(fields) ? fields : [])
      else reject(error)
    })
    return (await this.#watched(promise)).map(toField)
  }

  /**
   * Rows of a large result, fetched as they are consumed; the statement has no parameters. All of its columns are text.
   * @param ahead how many rows may wait here: few where they may be large
   */
  stream(sql: string, ahead = STREAM_ROWS): AsyncGenerator<TextRow> {
    return this.#read(sql, { parse: readCells, ahead })
  }

  /** The same rows as lines, many of them at once. */
  async *lines(sql: string, lines: RowLines): AsyncGenerator<Buffer> {
    yield* this.#read(sql, { parse: (packet) => lines.next(packet), ahead: STREAM_CHUNKS })
    const rest = lines.rest()
    if (rest !== null) yield rest
  }

  /**
   * What `parse` makes of the rows of a result; null is nothing to be read yet.
   * @param ahead how many of these may wait here
   */
  async *#read<T>(
    sql: string,
    { parse, ahead }: { parse: (packet: RowPacket) => T | null; ahead: number },
  ): AsyncGenerator<T> {
    this.#assertUsable()
    const command = this.#driver.query({ sql, ...ANY_NAMES })
    // In the place of the driver's own parser of rows: its readers make a text, and a closure for it, of each cell.
    Object.defineProperty(command, '_rowParser', { get: () => ({ next: parse }), set: () => {} })
    const driver = this.#driver
    const stream = new Readable({ objectMode: true, highWaterMark: ahead, read: () => driver.resume() })
    command.on('result', (made: T | null) => {
      if (made !== null && !stream.push(made)) driver.pause()
    })
    command.on('end', () => stream.push(null))
    command.on('error', (error) => void stream.destroy(error))
    // The driver tells nobody who reads that the connection is gone.
    const forget = this.onLost((error) => void stream.destroy(error))
    let ended = false
    let failure: Error | null = null
    stream.once('end', () => void (ended = true))
    stream.on('error', (error) => void (failure ??= error))
    try {
      for (;;) {
        // What is here already needs no watching, which costs more than a row.
        const made: T | null = stream.read()
        if (made !== null) yield made
        else if (ended) return
        else await this.#watched(failure === null ? nextOf(stream) : Promise.reject(toError(failure)))
      }
    } finally {
      forget()
      // What is left of the answer would have to be read to the end: the session is given up instead.
      if (!ended && !this.broken) this.destroy(new AppError('connection_lost', 'A result was not read to its end.'))
    }
  }

  /**
   * LOAD DATA LOCAL: the server asks for the file that the statement names, and gets this stream, whatever that name is. No
   * other statement of ours can make the driver read anything.
   * @param others where the stream comes from: while it works there, the server may wait
   * @returns rows that were loaded; a warning is an error
   */
  async load(sql: string, source: Readable, others: readonly Watched[] = []): Promise<number> {
    this.#assertUsable()
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    source.once('error', (error) => this.#cutLoad(error))
    this.#driver.query({ sql, infileStreamFactory: () => source }, (error: unknown, result: unknown) => {
      if (error === null || error === undefined) resolve(toAnswer(result))
      else reject(error)
    })
    const { affected, warnings } = await this.#watched(promise, others)
    if (warnings > 0) await this.#refuseWarnings()
    return affected
  }

  /** The protocol has no word for "no more of this": a load that is cut short has to end with its session. */
  #cutLoad(error: Error): void {
    this.destroy(toAppError(error, 'rows were being sent'))
  }

  async #refuseWarnings(): Promise<void> {
    const refused = failingWarning(await this.query('SHOW WARNINGS'))
    if (refused !== null) throw refused
  }

  async begin(mode: Mode): Promise<void> {
    for (const statement of beginSql(mode)) await this.execute(statement)
  }

  /**
   * Runs `body` in a transaction. A failure of the body rolls back; a failure of COMMIT itself is a CommitUnknown where the
   * connection broke, because the server may have committed.
   */
  async transaction<T>(mode: Mode, body: () => Promise<T>): Promise<T> {
    let result: T
    try {
      await this.begin(mode)
      result = await body()
    } catch (error) {
      await this.#rollback()
      throw error
    }
    try {
      await this.commit()
    } catch (error) {
      // Nothing was written whose fate could be unknown.
      if (error instanceof CommitUnknown && (mode === 'read' || mode === 'read snapshot'))
        throw toAppError(error.cause, 'ending a transaction')
      throw error
    }
    return result
  }

  async commit(): Promise<void> {
    try {
      // What has succeeded with a warning is committed all the same.
      await this.query('COMMIT')
    } catch (error) {
      if (isServerError(error) && !this.broken) {
        // Whatever it left open the next BEGIN would commit.
        await this.#rollback()
        throw error
      }
      throw new CommitUnknown('The connection broke while a COMMIT was under way.', { cause: error })
    }
  }

  async #rollback(): Promise<void> {
    if (this.broken) return
    try {
      // That a table without transactions keeps its rows is a warning, and no failure of this.
      await this.query('ROLLBACK')
    } catch (error) {
      this.destroy(toAppError(error, 'rolling back'))
    }
  }

  /** Ends the transaction in hand: whether the session can be used for something else. */
  async reset(): Promise<boolean> {
    await this.#rollback()
    return !this.broken
  }

  /** Asks the server to end the statement that runs here. Safe at any time; does nothing if none runs. */
  async cancel(): Promise<void> {
    await using other = await Connection.open(this.endpoint, { readOnly: true })
    await other.query(`KILL QUERY ${this.id}`)
  }

  async probe(): Promise<'working' | 'waiting' | 'gone'> {
    const patience = Math.min(this.endpoint.connectTimeoutMs, 5_000)
    await using other = await Connection.open(
      { ...this.endpoint, connectTimeoutMs: patience },
      { readOnly: true, signal: AbortSignal.timeout(patience) },
    ).catch(toleratingLimit)
    // A server without room for the question is alive, and says nothing against the session.
    if (other === null) return 'working'
    const sql = 'SELECT command, state FROM information_schema.processlist WHERE id = ?'
    const [row] = (await other.#unwatched(sql, [String(this.id)])) ?? []
    if (row === undefined) return 'gone'
    const [command, state] = row
    return command === 'Sleep' || /to net|to client|from net|from client/i.test(state ?? '') ? 'waiting' : 'working'
  }

  #unwatched(sql: string, values: Parameter[]): Promise<TextRow[]> {
    return new Promise((resolve, reject) => {
      this.onLost(reject)
      this.#driver.execute({ sql, rowsAsArray: true, values }, (error: unknown, result: unknown) => {
        if (error === null || error === undefined) resolve(toAnswer(result).rows.map((row) => row.map(toText)))
        else reject(toAppError(error, 'looking at a session'))
      })
    })
  }

  onLost(callback: (error: AppError) => void): () => void {
    if (this.#broken) callback(this.#broken)
    else this.#listeners.add(callback)
    return () => this.#listeners.delete(callback)
  }

  destroy(error: AppError): void {
    this.#lose(error)
    this.#driver.destroy()
    this.#socket?.destroy()
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
      this.#driver.destroy()
      this.#socket?.destroy()
      return
    }
    this.#broken = new AppError('internal', 'The connection was used after it was closed.')
    this.#forgetSignal()
    const { promise, resolve } = Promise.withResolvers<void>()
    const timer = setTimeout(() => {
      this.#driver.destroy()
      resolve()
    }, GRACE_MS)
    this.#driver.end(() => resolve())
    await promise
    clearTimeout(timer)
  }

  async #watched<T>(work: Promise<T>, others: readonly Watched[] = []): Promise<T> {
    try {
      return await watch([this, ...others], work)
    } catch (error) {
      if (isServerError(error) && this.#broken === null && !FATAL.has(error.errno)) throw error
      const failure = toAppError(error, 'talking to the server')
      this.#lose(failure)
      throw isServerError(error) ? error : (this.#broken ?? failure)
    }
  }

  #assertUsable(): void {
    if (this.#broken) throw this.#broken
  }
}

/** Errors with which the server closes the session: shutdown, killed, too large a packet, a broken conversation. */
const FATAL: ReadonlySet<number> = new Set([
  1040, 1053, 1152, 1153, 1154, 1155, 1156, 1157, 1158, 1159, 1160, 1161, 1184, 1927,
])

function toAnswer(result: unknown): Answer {
  if (Array.isArray(result)) return { rows: result as readonly (readonly unknown[])[], affected: 0, warnings: 0 }
  const header: Readonly<Record<string, unknown>> = typeof result === 'object' && result !== null ? { ...result } : {}
  return { rows: [], affected: Number(header['affectedRows'] ?? 0), warnings: Number(header['warningStatus'] ?? 0) }
}

/** Resolves when a stream has more to read, or has ended; rejects when it fails. */
async function nextOf(stream: Readable): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>()
  const events = [
    ['readable', resolve],
    ['end', resolve],
    ['error', reject],
  ] as const
  for (const [event, settle] of events) stream.once(event, settle)
  try {
    await promise
  } finally {
    for (const [event, settle] of events) stream.off(event, settle)
  }
}

function toField({ name, type, flags, characterSet, columnLength, decimals }: FieldPacket): ResultField {
  assert(typeof flags === 'number', 'the driver gives the flags of a column as a number')
  return { name, type: type ?? 0, flags, characterSet: characterSet ?? 0, length: columnLength ?? 0, decimals }
}

function toText(cell: unknown): string | null {
  if (cell === null || cell === undefined) return null
  if (Buffer.isBuffer(cell)) return cell.toString('utf8')
  if (typeof cell === 'number') return String(cell)
  assert(typeof cell === 'string', 'the driver gives texts, numbers and bytes')
  return cell
}

function sslOptions({ ssl, ca }: MysqlEndpoint): SslOptions | null {
  if (ssl === 'disable') return null
  if (ssl === 'prefer' || (ssl === 'require' && ca === null)) return { rejectUnauthorized: false }
  return { ...(ca === null ? {} : { ca }), rejectUnauthorized: true, verifyIdentity: ssl === 'verify-full' }
}
