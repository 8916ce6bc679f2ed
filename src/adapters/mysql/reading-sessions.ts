import { abortReason } from '#lib/clock.ts'
import { Connection } from './connection.ts'
import type { MysqlEndpoint } from './endpoint.ts'

/** As many as a proof reads with at once. */
const MOST_IDLE = 3

/**
 * Sessions that read, kept from one question to the next. They are read-only in the server itself (invariant 5), and
 * nothing of ours outlives a transaction in them: between two, one is as good as new.
 */
export class ReadingSessions implements AsyncDisposable {
  readonly endpoint: MysqlEndpoint
  /** Ends every session, kept or not. */
  readonly #signal: AbortSignal
  readonly #idle: Connection[] = []
  #closed = false

  constructor(endpoint: MysqlEndpoint, signal: AbortSignal) {
    this.endpoint = endpoint
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
    return await Connection.open(this.endpoint, { readOnly: true, signal })
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
