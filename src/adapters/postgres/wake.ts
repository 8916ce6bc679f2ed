import { backoffMs } from '#lib/backoff.ts'
import { delay, systemClock } from '#lib/clock.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'

/** How a server that is being woken up fails. */
const ASLEEP: readonly ErrorCode[] = [
  'connection_refused',
  'connection_timeout',
  'connection_lost',
  'server_unavailable',
]

/** A compute that was put to sleep is up within seconds; after this long it is something else. */
const PATIENCE_MS = 30_000
const BACKOFF = { firstMs: 250, ceilingMs: 4_000 }

/**
 * Opens a connection, and where the server is one that is put to sleep when nobody uses it, tries again with back-off
 * while it wakes up. `attempts` is 1 where it was awake.
 */
export async function openAwake(
  endpoint: Endpoint,
  signal: AbortSignal,
): Promise<{ readonly connection: Connection; readonly attempts: number; readonly ms: number }> {
  const start = systemClock.elapsed()
  for (let attempts = 1; ; attempts++) {
    try {
      const connection = await Connection.open(endpoint, signal)
      return { connection, attempts, ms: Math.round(systemClock.elapsed() - start) }
    } catch (error) {
      const patient = systemClock.elapsed() - start < PATIENCE_MS && !signal.aborted
      if (!endpoint.suspends || !patient || !(error instanceof AppError) || !ASLEEP.includes(error.code)) throw error
    }
    await delay(backoffMs(BACKOFF, attempts, Math.random()), signal)
  }
}
