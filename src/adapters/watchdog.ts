import type { Watched } from '#adapters/adapter.ts'
import { AppError } from '#model/errors.ts'

/** No byte and no work of the server for this long: ask it. Twice in a row with nothing to show: give up. */
export const STALL_MS = 8_000

/**
 * Waits for `work` as long as it makes progress. A dead peer is noticed within three times `stallMs`, because every
 * wait of ours on a server goes through here (hazard A15). A pipe names both its ends: while one end works, the other
 * may rest.
 */
export async function watch<T>(
  connections: readonly Watched[],
  work: Promise<T>,
  { stallMs = STALL_MS }: { stallMs?: number } = {},
): Promise<T> {
  let last = totalBytes(connections)
  let strikes = 0
  let probing = false
  const timer = setInterval(() => {
    const now = totalBytes(connections)
    if (now !== last || probing) {
      last = now
      strikes = 0
      return
    }
    probing = true
    void judge(connections).then((verdict) => {
      probing = false
      if (totalBytes(connections) !== last || verdict === 'working') strikes = 0
      else strikes += verdict === 'gone' ? 2 : 1
      if (strikes >= 2) destroyAll(connections)
    })
  }, stallMs)
  timer.unref()
  // The driver does not end everything that waits on a connection when the connection ends (a COPY, for one).
  const { promise: lost, reject } = Promise.withResolvers<never>()
  const unsubscribe = connections.map((connection) => connection.onLost(reject))
  work.catch(() => {})
  try {
    return await Promise.race([work, lost])
  } finally {
    clearInterval(timer)
    for (const off of unsubscribe) off()
  }
}

async function judge(connections: readonly Watched[]): Promise<'working' | 'waiting' | 'gone'> {
  const verdicts = await Promise.all(connections.map((connection) => connection.probe().catch(() => 'gone' as const)))
  if (verdicts.includes('gone')) return 'gone'
  return verdicts.includes('working') ? 'working' : 'waiting'
}

function destroyAll(connections: readonly Watched[]): void {
  for (const connection of connections) {
    connection.destroy(
      new AppError(
        'connection_lost',
        'The connection fell silent: no bytes arrive, and the server does no work for it.',
      ),
    )
  }
}

function totalBytes(connections: readonly Watched[]): number {
  return connections.reduce((sum, connection) => sum + connection.bytes, 0)
}
