import { AppError } from '#model/errors.ts'
import type { Hold } from '#control/jobs.ts'
import { renewLease } from '#control/leases.ts'
import type { Store } from '#control/store.ts'
import { fromStore } from './from-store.ts'

/** Renewals within the time of a lease: one may fail, and one may come late. */
const BEATS = 3

export interface LeaseOptions {
  readonly store: Store
  readonly hold: Hold
  readonly leaseMs: number
  /** Somebody wants the job to stop. May be told more than once. */
  readonly onIntent: (intent: 'stop' | 'cancel') => void
}

/**
 * Keeps a lease alive while its process lives, whatever that is at work on. Where it is lost, or could not be renewed
 * in its time, `lost` is aborted, and the process may write nothing any more.
 */
export class Lease implements Disposable {
  readonly #options: LeaseOptions
  readonly #lost = new AbortController()
  readonly #timer: NodeJS.Timeout
  readonly #deadline: NodeJS.Timeout
  #renewedMs = performance.now()

  constructor(options: LeaseOptions) {
    this.#options = options
    this.#timer = setInterval(() => void this.beat(), options.leaseMs / BEATS)
    this.#deadline = setInterval(() => this.#check(), options.leaseMs / (BEATS * 5))
  }

  /** The reason is an AppError `lease_lost`. */
  get lost(): AbortSignal {
    return this.#lost.signal
  }

  /** Renews the lease where the store answers; a store that is away for a moment is asked again at the next beat. */
  async beat(): Promise<void> {
    try {
      await this.confirm()
    } catch {
      // A lease that is lost tells by its signal.
    }
  }

  /** Renews the lease. @throws AppError `lease_lost`, `store_failed` */
  async confirm(): Promise<void> {
    this.#check()
    this.lost.throwIfAborted()
    const asked = performance.now()
    const { store, hold, leaseMs, onIntent } = this.#options
    try {
      const { intent } = await fromStore(renewLease(store, hold, leaseMs))
      this.#renewedMs = asked
      if (intent !== null) onIntent(intent)
    } catch (error) {
      if (error instanceof AppError && error.code === 'lease_lost') this.#lost.abort(error)
      throw error
    }
  }

  /** A process that was paused finds here that its time is over, before it has asked anybody. */
  #check(): void {
    const { hold, leaseMs } = this.#options
    if (this.lost.aborted || performance.now() - this.#renewedMs < leaseMs) return
    this.#lost.abort(
      new AppError('lease_lost', `The lease of the job ${hold.jobId} ran out before it could be renewed.`),
    )
  }

  [Symbol.dispose](): void {
    clearInterval(this.#timer)
    clearInterval(this.#deadline)
  }
}
