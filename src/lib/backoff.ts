/**
 * Waiting times between attempts: doubled each time up to a ceiling, with full jitter so that many workers that failed
 * together do not come back together.
 */
export interface Backoff {
  readonly firstMs: number
  readonly ceilingMs: number
}

/** How long to wait before attempt `attempt` (1 = the first repetition), given a random number in [0, 1). */
export function backoffMs(backoff: Backoff, attempt: number, random: number): number {
  const ceiling = Math.min(backoff.ceilingMs, backoff.firstMs * 2 ** Math.min(attempt - 1, 30))
  return Math.round(ceiling / 2 + (ceiling / 2) * random)
}
