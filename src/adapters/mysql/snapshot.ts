import { abortReason, wallMs } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import type { Position } from '#model/position.ts'
import type { Connection } from './connection.ts'
import { isServerError, toAppError } from './errors.ts'
import type { MyTable } from './introspect.ts'
import type { ReadingSessions } from './reading-sessions.ts'
import { PIN_WAITS } from './session.ts'
import { queryInFrom, quoteTable } from './sql.ts'

/** Sessions that see the same state of a database, to be used by one reader each. */
export interface Sessions extends AsyncDisposable {
  readonly position: Position
  hold(tables: readonly MyTable[]): Promise<void>
  use<T>(body: (connection: Connection) => Promise<T>): Promise<T>
  acquire(): Promise<Connection>
  release(connection: Connection): void
}

/** Writers wait as long as we wait for the lock, so that we do not wait long. */
const LOCK_SECONDS = 5
/** Where we fall silent while we hold it, the server ends our session after this, and lets the writers go on. */
const SILENT_SECONDS = 20
/** Access denied, not among what the login may do, or waited for in vain: then one session does all the reading. */
const NO_LOCK = new Set([1044, 1045, 1142, 1205, 1227, 1290, 3572])

/**
 * One moment of a database, seen over several connections. The server has no name for a moment that a later session could
 * ask for: all sessions begin while a lock keeps every writer of the server from committing, for as long as it takes to
 * begin them. Where the lock cannot be had, one session alone reads.
 */
export class SharedSnapshot implements Sessions {
  readonly position: Position
  readonly #sessions: ReadingSessions
  readonly #signal: AbortSignal
  readonly #all: Connection[]
  readonly #idle: Connection[]
  readonly #waiting: ((connection: Connection | Error) => void)[] = []
  readonly #onAbort: () => void

  private constructor(
    all: readonly Connection[],
    position: Position,
    { sessions, signal }: { sessions: ReadingSessions; signal: AbortSignal },
  ) {
    this.position = position
    this.#sessions = sessions
    this.#signal = signal
    this.#all = [...all]
    this.#idle = [...all]
    this.#onAbort = () => {
      const reason = toAppError(abortReason(signal), 'reading')
      for (const connection of this.#all) connection.destroy(reason)
    }
    signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  static async open(
    sessions: ReadingSessions,
    { connections, signal }: { connections: number; signal: AbortSignal },
  ): Promise<SharedSnapshot> {
    const opened = await openAll(sessions, { connections: Math.max(1, connections), signal })
    try {
      const { all, position } = await beginTogether(opened)
      for (const unused of opened.filter((connection) => !all.includes(connection))) {
        await sessions.endTransaction(unused)
      }
      return new SharedSnapshot(all, position, { sessions, signal })
    } catch (error) {
      await Promise.all(opened.map((connection) => connection[Symbol.asyncDispose]()))
      throw toAppError(error, 'opening a snapshot')
    }
  }

  /**
   * A transaction that has read of a table keeps it from being altered, emptied or dropped. Every session takes the locks:
   * one that came later would wait behind an ALTER that waits for the others.
   * @throws AppError `schema_changed`
   */
  async hold(tables: readonly MyTable[]): Promise<void> {
    const readers = await Promise.all(this.#all.map(() => this.acquire()))
    try {
      await Promise.all(readers.map((connection) => holdTables(connection, tables)))
    } catch (error) {
      const failure = toAppError(error, 'holding the tables as they are')
      if (failure.code !== 'schema_changed') throw failure
      throw new AppError('schema_changed', 'A table was altered, dropped or renamed while the run began.', {
        retry: 'later',
        cause: error,
      })
    } finally {
      for (const connection of readers) this.release(connection)
    }
  }

  /** Runs `body` with a connection of the snapshot to itself. */
  async use<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.acquire()
    try {
      return await body(connection)
    } catch (error) {
      throw toAppError(error, 'reading')
    } finally {
      this.release(connection)
    }
  }

  /** Takes a connection out; `release` must follow. Waits where all are in use. */
  async acquire(): Promise<Connection> {
    if (this.#signal.aborted) throw abortReason(this.#signal)
    const idle = this.#idle.pop()
    if (idle !== undefined) return idle
    if (this.#all.length === 0) throw lost()
    return new Promise((resolve, reject) => {
      this.#waiting.push((connection) => (connection instanceof Error ? reject(connection) : resolve(connection)))
    })
  }

  /** A session that was lost cannot be replaced: its moment has passed. The others go on. */
  release(connection: Connection): void {
    if (connection.broken) {
      this.#all.splice(this.#all.indexOf(connection), 1)
      if (this.#all.length === 0) for (const waiting of this.#waiting.splice(0)) waiting(lost())
      return
    }
    const next = this.#waiting.shift()
    if (next) next(connection)
    else this.#idle.push(connection)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort)
    const closed = new AppError('internal', 'The snapshot was used after it was closed.')
    for (const waiting of this.#waiting.splice(0)) waiting(closed)
    // What somebody still reads with is ended with what he reads; the others serve again.
    await Promise.all(
      this.#all.map((connection) =>
        this.#idle.includes(connection) ? this.#sessions.endTransaction(connection) : connection[Symbol.asyncDispose](),
      ),
    )
  }
}

function lost(): AppError {
  return new AppError('connection_lost', 'All sessions that saw the moment have ended.')
}

async function openAll(
  sessions: ReadingSessions,
  { connections, signal }: { connections: number; signal: AbortSignal },
): Promise<Connection[]> {
  const opening = Array.from({ length: connections }, () => sessions.take(signal))
  const settled = await Promise.allSettled(opening)
  const opened = settled.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
  const failed = settled.find((each) => each.status === 'rejected')
  // One session reads all that several would, but later.
  if (opened.length > 0 && (failed === undefined || isTooMany(failed.reason))) return opened
  await Promise.all(opened.map((connection) => connection[Symbol.asyncDispose]()))
  throw failed?.reason
}

function isTooMany(error: unknown): boolean {
  return error instanceof AppError && error.code === 'server_unavailable'
}

/** Begins a transaction in each session, all of them at one moment; in the first alone where that cannot be had. */
async function beginTogether(
  opened: readonly Connection[],
): Promise<{ all: readonly Connection[]; position: Position }> {
  const [first, ...others] = opened
  if (first === undefined) throw lost()
  if (others.length === 0 || !(await lockServer(first))) {
    await first.begin('read snapshot')
    return { all: [first], position: await positionOf(first) }
  }
  try {
    await Promise.all(others.map((connection) => connection.begin('read snapshot')))
    // A lock is not ended by beginning a transaction.
    await first.begin('read snapshot')
    const position = await positionOf(first)
    return { all: opened, position }
  } finally {
    if (!first.broken) await unlockServer(first)
  }
}

/** Keeps every writer of the server from committing, until `unlockServer`. False where that cannot be had. */
async function lockServer(connection: Connection): Promise<boolean> {
  await connection.execute(`SET SESSION lock_wait_timeout = ${LOCK_SECONDS}, SESSION wait_timeout = ${SILENT_SECONDS}`)
  try {
    await connection.execute('FLUSH TABLES WITH READ LOCK')
    return true
  } catch (error) {
    if (connection.broken || !isServerError(error) || !NO_LOCK.has(error.errno)) throw error
    await connection.execute(PIN_WAITS)
    return false
  }
}

async function unlockServer(connection: Connection): Promise<void> {
  await connection.execute('UNLOCK TABLES')
  await connection.execute(PIN_WAITS)
}

/** Where the log stands, for people; by the server's clock where there is none. */
async function positionOf(connection: Connection): Promise<Position> {
  const [clock] = await connection.query('SELECT CAST(UNIX_TIMESTAMP(NOW(6)) * 1000000 AS DECIMAL(20,0))')
  const micros = clock?.[0] ?? String(wallMs() * 1_000)
  const [gtid] = await connection
    .query(connection.version.mariadb ? 'SELECT @@gtid_binlog_pos' : 'SELECT @@gtid_executed')
    .catch(() => [])
  const log = gtid?.[0] ? `gtid ${gtid[0].replaceAll(/\s+/g, '')}, ` : ''
  return { order: micros.padStart(20, '0'), label: `${log}clock ${micros}` }
}

async function holdTables(connection: Connection, tables: readonly MyTable[]): Promise<void> {
  for (const { query, schema } of tables) {
    const from = query === null ? quoteTable(schema.ref) : queryInFrom(query)
    // One row is looked for, so that the server opens the table as the transaction sees it.
    await connection.query(`SELECT 1 FROM ${from} t LIMIT ${query === null && schema.kind === 'table' ? 1 : 0}`)
  }
}
