import { abortReason } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import type { Position } from '#model/position.ts'
import type { Connection } from './connection.ts'
import { sqlStateOf, toAppError } from './errors.ts'
import type { PgTable } from './introspect.ts'
import type { ReadingSessions } from './reading-sessions.ts'
import { queryInFrom, quoteTable } from './sql.ts'

/** What of a table is locked. */
export interface HeldTable extends Pick<PgTable, 'query'> {
  readonly schema: Pick<PgTable['schema'], 'ref' | 'kind' | 'partitions'>
}

/** Sessions that see the same state of a database, to be used by one reader each. */
export interface Sessions extends AsyncDisposable {
  readonly position: Position
  readonly id: string | null
  readonly major: number
  hold(tables: readonly HeldTable[]): Promise<void>
  use<T>(body: (connection: Connection) => Promise<T>): Promise<T>
  acquire(): Promise<Connection>
  release(connection: Connection): void
}

/**
 * One moment of a database, seen over several connections. The first connection exports its snapshot, and does nothing
 * else where there are several: it is held until the end, so that a reader that is lost can be replaced by another. The
 * others import it. All of them are in READ ONLY transactions.
 */
export class SharedSnapshot implements Sessions {
  readonly position: Position
  readonly id: string | null
  readonly major: number
  readonly #sessions: ReadingSessions
  readonly #signal: AbortSignal
  readonly #limit: number
  readonly #all: Connection[]
  /** Holds the snapshot, and the locks on what must not change under it. */
  readonly #first: Connection
  readonly #idle: Connection[]
  readonly #waiting: ((connection: Connection | Error) => void)[] = []
  #opening = 0
  readonly #onAbort: () => void

  private constructor(
    first: Connection,
    facts: { position: Position; id: string | null },
    options: { sessions: ReadingSessions; connections: number; signal: AbortSignal },
  ) {
    this.position = facts.position
    this.id = facts.id
    this.major = first.major
    this.#sessions = options.sessions
    this.#signal = options.signal
    // Where a snapshot cannot be exported, the one connection does all the reading.
    const alone = facts.id === null || options.connections <= 1
    this.#limit = alone ? 1 : options.connections + 1
    this.#first = first
    this.#all = [first]
    this.#idle = alone ? [first] : []
    this.#onAbort = () => {
      const reason = toAppError(abortReason(options.signal), 'reading')
      for (const connection of this.#all) connection.destroy(reason)
    }
    options.signal.addEventListener('abort', this.#onAbort, { once: true })
  }

  static async open(
    sessions: ReadingSessions,
    options: { connections: number; signal: AbortSignal },
  ): Promise<SharedSnapshot> {
    const first = await sessions.take(options.signal)
    try {
      await first.begin('read snapshot')
      const id = await exportSnapshot(first)
      const [row] = await first.query(POSITION)
      const position = { order: lsnOrder(row?.[0] ?? '0/0'), label: `lsn ${row?.[0]}, snapshot ${row?.[1]}` }
      return new SharedSnapshot(first, { position, id }, { ...options, sessions })
    } catch (error) {
      await first[Symbol.asyncDispose]()
      throw toAppError(error, 'opening a snapshot')
    }
  }

  /**
   * Locks tables against ALTER, TRUNCATE and DROP for as long as the snapshot lives. Every connection takes the locks,
   * because one that came later would wait behind an ALTER that waits for the others.
   * @throws AppError `schema_changed`
   */
  async hold(tables: readonly HeldTable[]): Promise<void> {
    const alone = this.#limit <= 1
    // The server's table of locks is shared by all; beyond this the first connection alone holds on.
    const locks = tables.reduce((sum, { schema }) => sum + 1 + schema.partitions.length, 0)
    const all = !alone && locks * this.#limit <= MOST_LOCKS
    const wanted = alone ? 1 : all ? this.#limit - 1 : 0
    const taken = await Promise.allSettled(Array.from({ length: wanted }, () => this.acquire()))
    const readers = taken.flatMap((each) => (each.status === 'fulfilled' ? [each.value] : []))
    try {
      for (const each of taken) if (each.status === 'rejected') throw each.reason
      const holders = alone ? readers : [this.#first, ...readers]
      for (const connection of holders) await lockTables(connection, tables)
    } catch (error) {
      if (sqlStateOf(error) !== '42P01') throw toAppError(error, 'holding the tables as they are')
      throw new AppError('schema_changed', 'A table was dropped or renamed while the run began.', {
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
    if (this.#all.length + this.#opening < this.#limit) return this.#import()
    return new Promise((resolve, reject) => {
      this.#waiting.push((connection) => (connection instanceof Error ? reject(connection) : resolve(connection)))
    })
  }

  release(connection: Connection): void {
    if (connection.broken && this.#limit > 1) {
      this.#all.splice(this.#all.indexOf(connection), 1)
      const next = this.#waiting.shift()
      if (next) void this.#replace(next)
      return
    }
    const next = this.#waiting.shift()
    if (next) next(connection)
    else this.#idle.push(connection)
  }

  async #replace(give: (connection: Connection | Error) => void): Promise<void> {
    try {
      give(await this.#import())
    } catch (error) {
      give(toAppError(error, 'replacing a lost reader'))
    }
  }

  async #import(): Promise<Connection> {
    this.#opening += 1
    try {
      const connection = await this.#sessions.take(this.#signal)
      try {
        await connection.begin('read snapshot', importSql(this.id))
      } catch (error) {
        await connection[Symbol.asyncDispose]()
        throw toAppError(toLost(error), 'sharing a snapshot')
      }
      this.#all.push(connection)
      return connection
    } finally {
      this.#opening -= 1
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#signal.removeEventListener('abort', this.#onAbort)
    const closed = new AppError('internal', 'The snapshot was used after it was closed.')
    for (const waiting of this.#waiting.splice(0)) waiting(closed)
    await Promise.all(this.#all.map((connection) => this.#end(connection)))
  }

  /** What somebody still reads with is ended with what he reads; the others serve again. */
  async #end(connection: Connection): Promise<void> {
    const unused = this.#idle.includes(connection) || (connection === this.#first && this.#limit > 1)
    if (unused) await this.#sessions.endTransaction(connection)
    else await connection[Symbol.asyncDispose]()
  }
}

const POSITION = `
  SELECT CASE WHEN pg_catalog.pg_is_in_recovery() THEN pg_catalog.pg_last_wal_replay_lsn()
              ELSE pg_catalog.pg_current_wal_lsn() END, pg_catalog.pg_current_snapshot()`

/** In one round trip. */
const LOCKS_AT_ONCE = 200
/** A server of default settings has room for 6,400 locks, of all its sessions. */
const MOST_LOCKS = 2_000

async function lockTables(connection: Connection, tables: readonly HeldTable[]): Promise<void> {
  for (let start = 0; start < tables.length; start += LOCKS_AT_ONCE) {
    await connection.script(
      tables
        .slice(start, start + LOCKS_AT_ONCE)
        .map(lockSql)
        .join(';'),
    )
  }
}

/** What cannot be locked by name is locked by being read. */
function lockSql({ query, schema: { ref, kind } }: HeldTable): string {
  if (query !== null) return `SELECT FROM ${queryInFrom(query)} t LIMIT 0`
  if (kind === 'table') return `LOCK TABLE ONLY ${quoteTable(ref)} IN ACCESS SHARE MODE`
  if (kind === 'partitioned') return `LOCK TABLE ${quoteTable(ref)} IN ACCESS SHARE MODE`
  return `SELECT FROM ${quoteTable(ref)} LIMIT 0`
}

/** Exports the snapshot of the open transaction; null where the server cannot (then one connection does all the reading). */
async function exportSnapshot(connection: Connection): Promise<string | null> {
  try {
    const [row] = await connection.query('SELECT pg_catalog.pg_export_snapshot()')
    return row?.[0] ?? null
  } catch (error) {
    if (connection.broken) throw error
    await connection.script('ROLLBACK')
    await connection.begin('read snapshot')
    return null
  }
}

/** Makes the open transaction see the snapshot of that name. @throws AppError `connection_lost` where it is gone */
export async function importSnapshot(connection: Connection, id: string | null): Promise<void> {
  try {
    await connection.script(importSql(id))
  } catch (error) {
    throw toLost(error)
  }
}

function importSql(id: string | null): string {
  return `SET TRANSACTION SNAPSHOT '${id}'`
}

/** Where the server knows no such snapshot, by the state that it says up to PostgreSQL 16 or the one since. */
function toLost(error: unknown): unknown {
  const state = sqlStateOf(error)
  if (state !== '22023' && state !== '42704') return error
  return new AppError('connection_lost', 'The session that held the snapshot has ended.', { cause: error })
}

/** An LSN `X/Y` as 16 hex digits, so that plain string order is log order. */
function lsnOrder(lsn: string): string {
  const [high = '0', low = '0'] = lsn.split('/')
  return high.padStart(8, '0') + low.padStart(8, '0')
}
