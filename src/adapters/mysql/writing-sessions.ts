import type { JobIdentity } from '#adapters/adapter.ts'
import { abortReason } from '#lib/clock.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { Connection } from './connection.ts'
import type { MysqlEndpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import { endOlderLeases, endSessions, lockName, markSession, registerSession, type KnownSession } from './sessions.ts'
import { ensureState } from './state-tables.ts'

/** How long a new run waits for the sessions of one that was killed to be noticed by the server. */
const TAKEOVER_SECONDS = 15

/** The sessions of one writer, kept from one statement to the next. */
export class WritingSessions implements AsyncDisposable {
  readonly #endpoint: MysqlEndpoint
  readonly #signal: AbortSignal
  readonly #idle: Connection[] = []
  readonly #open = new Map<Connection, KnownSession>()
  /** Sessions whose connection broke here: the server may keep them for as long as it does not know. */
  readonly #lost: KnownSession[] = []
  readonly #registered = new WeakSet<Connection>()
  /** The name that the state knows this writer by, once it does. */
  #writer: string | null = null
  /** Holds the names of the claimed mappings. */
  #guard: { readonly connection: Connection; readonly held: Set<string> } | null = null
  /** The job whose sessions these are, where it has a lease. */
  #job: (JobIdentity & { readonly lease: number }) | null = null

  constructor(endpoint: MysqlEndpoint, signal: AbortSignal) {
    this.#endpoint = endpoint
    this.#signal = signal
  }

  /** Lends a session to `body`, which leaves it between two transactions. */
  async use<T>(body: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = this.#takeIdle() ?? (await this.#connect())
    try {
      await this.#endLost(connection)
      if (this.#writer !== null) await this.register(connection)
      return await body(connection)
    } finally {
      if (connection.broken) this.#forget(connection)
      else this.#idle.push(connection)
    }
  }

  /**
   * Says in the state whose session this is, and from now on of all that come later. Returns the name of the writer.
   * The tables of the state are there.
   */
  async register(connection: Connection): Promise<string> {
    const session = must(this.#open.get(connection), 'a session that was marked')
    this.#writer ??= session.token
    if (!this.#registered.has(connection)) {
      const owner = { writer: this.#writer, job: this.#job?.id ?? null, lease: this.#job?.lease ?? null }
      await registerSession(connection, session, owner)
      this.#registered.add(connection)
    }
    return this.#writer
  }

  /** See `Writer.keepOthersOut`. */
  async keepOthersOut(mappingIds: readonly string[], { id, lease }: JobIdentity): Promise<void> {
    if (lease !== null) this.#job = { id, lease }
    if (this.#guard === null || this.#guard.connection.broken) {
      if (this.#guard !== null) this.#forget(this.#guard.connection)
      const connection = await this.#connect()
      this.#guard = { connection, held: new Set() }
      await this.#endLost(connection)
    }
    const { connection, held } = this.#guard
    try {
      if (lease !== null) {
        await ensureState(connection)
        await this.register(connection)
        await endOlderLeases(connection, id, lease)
      }
      for (const mappingId of mappingIds.filter((each) => !held.has(each)).toSorted()) {
        if (!(await lockName(connection, `mapping ${mappingId}`, TAKEOVER_SECONDS))) throw othersAreAlive()
        held.add(mappingId)
      }
    } catch (error) {
      const failure = toAppError(error, 'waiting for another run')
      connection.destroy(failure)
      throw failure
    }
  }

  #takeIdle(): Connection | undefined {
    for (let idle = this.#idle.pop(); idle !== undefined; idle = this.#idle.pop()) {
      if (!idle.broken) return idle
      this.#forget(idle)
    }
    return undefined
  }

  #forget(connection: Connection): void {
    const session = this.#open.get(connection)
    this.#open.delete(connection)
    if (session !== undefined) this.#lost.push(session)
  }

  /**
   * Ends the sessions of connections that broke: behind a network that has fallen silent the server keeps them, with
   * their locks, and whoever tries again over another connection would wait for himself. Their transactions are over
   * for us either way; what became of a COMMIT is told by the state.
   */
  async #endLost(connection: Connection): Promise<void> {
    if (this.#lost.length === 0) return
    await endSessions(connection, this.#lost)
    this.#lost.length = 0
  }

  async #connect(): Promise<Connection> {
    if (this.#signal.aborted) throw abortReason(this.#signal)
    const connection = await Connection.open(this.#endpoint, { readOnly: false, signal: this.#signal })
    try {
      this.#open.set(connection, await markSession(connection))
      return connection
    } catch (error) {
      await connection[Symbol.asyncDispose]()
      throw error
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.#open.keys()].map((connection) => connection[Symbol.asyncDispose]()))
    this.#open.clear()
    this.#idle.length = 0
  }
}

function othersAreAlive(): AppError {
  return new AppError('already_running', 'Another run of the same sync is under way.')
}
