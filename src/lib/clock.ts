/** The one place that knows what time it is. `now` is wall time for people; `elapsed` never jumps and is for deadlines. */
export interface Clock {
  /** ISO 8601, UTC, milliseconds. */
  now(): string
  /** Milliseconds since some fixed moment, monotonic. */
  elapsed(): number
}

export const systemClock: Clock = {
  now: () => new Date().toISOString(),
  elapsed: () => performance.now(),
}

/** Resolves after `ms`, or rejects with the signal's reason as soon as it is aborted. */
export function delay(ms: number, signal?: AbortSignal): Promise<void> {
  return new Promise((resolve, reject) => {
    if (signal?.aborted) return reject(abortReason(signal))
    const timer = setTimeout(() => {
      signal?.removeEventListener('abort', onAbort)
      resolve()
    }, ms)
    const onAbort = (): void => {
      clearTimeout(timer)
      reject(signal ? abortReason(signal) : new Error('aborted'))
    }
    signal?.addEventListener('abort', onAbort, { once: true })
  })
}

export function abortReason(signal: AbortSignal): Error {
  return signal.reason instanceof Error ? signal.reason : new Error('aborted', { cause: signal.reason })
}

/** Wall time in milliseconds since 1970, for comparing with another machine's clock. */
export function wallMs(): number {
  return Date.now()
}

/** The moment `ms` milliseconds after an ISO 8601 time, in the same form. */
export function addMs(at: string, ms: number): string {
  return new Date(Date.parse(at) + ms).toISOString()
}

/** Milliseconds from one ISO 8601 time to another; negative where that comes first. */
export function msBetween(from: string, to: string): number {
  return Date.parse(to) - Date.parse(from)
}

/** The moment of an HTTP date in milliseconds since 1970; null where it is none. */
export function httpDateMs(text: string): number | null {
  const ms = Date.parse(text)
  return Number.isNaN(ms) ? null : ms
}

/** Microseconds since 1970 as an ISO 8601 time, to the millisecond. */
export function microsToTime(micros: bigint): string {
  return new Date(Number(micros / 1_000n)).toISOString()
}
