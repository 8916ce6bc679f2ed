import { HttpError } from '#api/problem.ts'
import type { Clock } from '#lib/clock.ts'

/** Wrong keys that are free; each one after them doubles the time that its address is not heard. */
const FREE_TRIES = 5
const FIRST_DELAY_MS = 1_000
const LONGEST_DELAY_MS = 5 * 60_000

/** An address that has been quiet for this long starts anew. */
const FORGET_MS = 15 * 60_000

/** Addresses that are remembered; the one that failed longest ago gives way. */
const MOST_ADDRESSES = 10_000

interface Tries {
  readonly failures: number
  readonly lastMs: number
  readonly openAgainMs: number
}

/** Slows down whoever tries keys, by address (S4). A good key is not heard either while its address must wait. */
export class KeyThrottle {
  readonly #clock: Clock
  readonly #addresses = new Map<string, Tries>()

  constructor(clock: Clock) {
    this.#clock = clock
  }

  /** @throws HttpError 429 with `Retry-After` while the address must wait */
  check(address: string): void {
    const tries = this.#addresses.get(address)
    const left = (tries?.openAgainMs ?? 0) - this.#clock.elapsed()
    if (left <= 0) return
    throw new HttpError('rate_limited', 'Too many wrong keys came from this address.', {
      status: 429,
      headers: { 'retry-after': String(Math.ceil(left / 1_000)) },
    })
  }

  fail(address: string): void {
    const now = this.#clock.elapsed()
    const before = this.#addresses.get(address)
    const failures = before === undefined || now - before.lastMs > FORGET_MS ? 1 : before.failures + 1
    const over = failures - FREE_TRIES
    const delay = over < 0 ? 0 : Math.min(LONGEST_DELAY_MS, FIRST_DELAY_MS * 2 ** Math.min(over, 30))
    this.#addresses.delete(address)
    this.#addresses.set(address, { failures, lastMs: now, openAgainMs: now + delay })
    const [oldest] = this.#addresses.keys()
    if (this.#addresses.size > MOST_ADDRESSES && oldest !== undefined) this.#addresses.delete(oldest)
  }

  succeed(address: string): void {
    this.#addresses.delete(address)
  }
}
