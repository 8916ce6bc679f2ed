import { IdleSessions } from '#adapters/idle-sessions.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'

/**
 * Sessions that read: a server makes a process for each that is opened, and that takes longer than many a question does.
 * They are read-only by themselves where they are ours alone; through a pooler each transaction says so.
 */
export class ReadingSessions extends IdleSessions<Connection> {
  readonly endpoint: Endpoint
  readonly #pooled: boolean

  constructor(endpoint: Endpoint, { pooled, signal }: { pooled: boolean; signal: AbortSignal }) {
    super(async (ends) => this.#makeReading(await Connection.open(endpoint, ends)), signal)
    this.endpoint = endpoint
    this.#pooled = pooled
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
}
