import { sql } from 'kysely'
import type { ApiTools } from '#api/tools.ts'
import { delay } from '#lib/clock.ts'

/** A store that takes longer than this to say anything is down. */
const PATIENCE_MS = 3_000

/** Whether work is taken on: the service says so, and its store answers. */
export async function isUp({ store, readStatus }: ApiTools): Promise<boolean> {
  return readStatus().ready && (await storeLatency(store)) !== null
}

/** Milliseconds that the store takes to answer, or null where it does not. */
export async function storeLatency(store: ApiTools['store']): Promise<number | null> {
  const started = store.clock.elapsed()
  const stop = new AbortController()
  const late = delay(PATIENCE_MS, stop.signal).then(
    () => false,
    () => false,
  )
  const answers = sql`SELECT 1`.execute(store.db).then(
    () => true,
    () => false,
  )
  try {
    return (await Promise.race([answers, late])) ? store.clock.elapsed() - started : null
  } finally {
    stop.abort()
  }
}
