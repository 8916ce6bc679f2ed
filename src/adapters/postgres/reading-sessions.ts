import { abortReason } from '#lib/clock.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'

/** As many as a proof reads with at once; more would stand in the way of those that write. */
const MOST_IDLE = 3

/**
 * Sessions that read, kept from one question to the next: a server makes a process for each that is opened, and that takes
 * longer than many a question does. They are read-only by themselves where they are ours alone (through a pooler each
 * transaction says so), and nothing of ours outlives a transaction in them: between two, one is as good as new.
 */
export class ReadingSessions implements AsyncDisposable {
  readonly endpoint: Endpoint
  readonly #pooled: boolean
  /** Ends every session, kept or not. */
  readonly #signal: AbortSignal
  readonly #idle: Connection[] = []
  #closed = false

  constructor(endpoint: Endpoint, { pooled, signal }: { pooled: boolean; signal: AbortSignal }) {
    this.endpoint = endpoint
    this.#pooled = pooled
    this.#signal = signal
  }

  /** A session that the caller gives back or ends; the signal ends it meanwhile. @throws AppError as `Connection.open` */
  async take(signal: AbortSignal = this.#signal): Promise<Connection> {
    if (signal.aborted) throw abortReason(signal)
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.broken) continue
      kept.endWith(signal)
      return kept
    }
    return await this.#makeReading(await Connection.open(this.endpoint, signal))
  }

  /** Takes over a session that was opened for something else, and is between two transactions. */
  async adopt(connection: Connection): Promise<void> {
    await this.giveBack(await this.#makeReading(connection))
  }

  async #makeReading(connection: Connection): Promise<Connection> {
    if (this.#pooled) return connection
    try {
      await connection.script('SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY')
      return connection
    } catch (error) {
      await connection[Symbol.asyncDispose]()
      throw error
    }
  }

  /** Of a session that is between two transactions. */
  async giveBack(connection: Connection): Promise<void> {
    if (this.#closed || connection.broken || this.#idle.length >= MOST_IDLE) {
      await connection[Symbol.asyncDispose]()
      return
    }
    connection.endWith(this.#signal)
    this.#idle.push(connection)
  }

  /** Of a session in a transaction that nobody needs any more. */
  async endTransaction(connection: Connection): Promise<void> {
    if (await connection.reset()) await this.giveBack(connection)
    else await connection[Symbol.asyncDispose]()
  }

  /** Asks something in a session: in transactions that end with it. */
  async use<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await this.take()
    try {
      return await body(connection)
    } finally {
      await this.giveBack(connection)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.all(this.#idle.splice(0).map((connection) => connection[Symbol.asyncDispose]()))
  }
}
