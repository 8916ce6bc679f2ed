import { backoffMs } from '#lib/backoff.ts'
import { delay, type Clock } from '#lib/clock.ts'
import { AppError, EXIT, type ErrorCode } from '#model/errors.ts'
import type { Journal } from './journal.ts'

/** What failed is tried again so often without having got anywhere; then it fails. */
const ATTEMPTS = 3
const BACKOFF = { firstMs: 500, ceilingMs: 5_000 }

/** A server that cannot be reached is waited for this long, so that it may restart under us. */
const RESTART_MS = 60_000
const UNREACHABLE: readonly ErrorCode[] = [
  'connection_lost',
  'connection_refused',
  'connection_timeout',
  'server_unavailable',
]

/** What another attempt with the same means would meet again. */
const FOR_THE_CALLER: readonly ErrorCode[] = ['already_running', 'change_set_lost']

interface Tools {
  readonly journal: Journal
  readonly clock: Clock
  readonly signal: AbortSignal
}

/**
 * Tries work again that may succeed by itself later, and waits for a server that restarts. Both ends must have been
 * reached before, and an attempt that failed must have left nothing that the next one cannot go on from. `gotOn` says
 * of a failed attempt whether it got anywhere: then patience begins anew.
 */
export async function withPatience<T>(
  { journal, clock, signal }: Tools,
  work: () => Promise<T>,
  gotOn: (error: unknown) => boolean = () => false,
): Promise<T> {
  for (let attempt = 1, fruitless = 1, failingSince: number | null = null; ; attempt++, fruitless++) {
    try {
      return await work()
    } catch (error) {
      if (gotOn(error)) {
        fruitless = 1
        failingSince = null
      }
      failingSince ??= clock.elapsed()
      const worthwhile = error instanceof AppError && error.retry === 'later' && !FOR_THE_CALLER.includes(error.code)
      if (signal.aborted || !worthwhile) throw error
      const restarting = UNREACHABLE.includes(error.code) && clock.elapsed() - failingSince < RESTART_MS
      if (fruitless >= ATTEMPTS && !restarting) throw asLost(error)
      const afterMs = backoffMs(BACKOFF, fruitless, Math.random())
      journal.record({ type: 'retry', attempt, afterMs, reason: error.message })
      await delay(afterMs, signal)
    }
  }
}

/** What could be connected before and cannot be connected any more has been lost. */
function asLost(error: AppError): AppError {
  if (error.exit !== EXIT.cannotConnect) return error
  return new AppError('connection_lost', error.message, { hint: error.hint, cause: error })
}
