import { abortReason } from '#lib/clock.ts'

/** As many as a proof reads with at once; more would stand in the way of those that write. */
const MOST_IDLE = 3

interface Session extends AsyncDisposable {
  readonly broken: boolean
  /** Whom it ends with, from now on. */
  endWith(signal: AbortSignal): void
  /** Takes back what its transaction has begun. False where it is of no use any more. */
  reset(): Promise<boolean>
}

/** Sessions kept from one question to the next. Nothing of ours outlives a transaction in them: one is as good as new. */
export class IdleSessions<S extends Session> implements AsyncDisposable {
  readonly #open: (signal: AbortSignal) => Promise<S>
  /** Ends every session, kept or not. */
  readonly #signal: AbortSignal
  readonly #idle: S[] = []
  #closed = false

  constructor(open: (signal: AbortSignal) => Promise<S>, signal: AbortSignal) {
    this.#open = open
    this.#signal = signal
  }

  /** A session that the caller gives back or ends; the signal ends it meanwhile. @throws AppError where none can be opened */
  async take(signal: AbortSignal = this.#signal): Promise<S> {
    if (signal.aborted) throw abortReason(signal)
    for (let kept = this.#idle.pop(); kept !== undefined; kept = this.#idle.pop()) {
      if (kept.broken) continue
      kept.endWith(signal)
      return kept
    }
    return await this.#open(signal)
  }

  /** Of a session that is between two transactions. */
  async giveBack(session: S): Promise<void> {
    if (this.#closed || session.broken || this.#idle.length >= MOST_IDLE) {
      await session[Symbol.asyncDispose]()
      return
    }
    session.endWith(this.#signal)
    this.#idle.push(session)
  }

  /** Of a session in a transaction that nobody needs any more. */
  async endTransaction(session: S): Promise<void> {
    if (await session.reset()) await this.giveBack(session)
    else await session[Symbol.asyncDispose]()
  }

  /** Asks something in a session: in transactions that end with it. */
  async use<T>(body: (session: S) => Promise<T>): Promise<T> {
    const session = await this.take()
    try {
      return await body(session)
    } finally {
      await this.giveBack(session)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    await Promise.all(this.#idle.splice(0).map((session) => session[Symbol.asyncDispose]()))
  }
}
