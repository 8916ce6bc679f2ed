import type { Transaction } from 'kysely'
import { addMs } from '#lib/clock.ts'
import type { Tables } from './schema.ts'
import type { Store } from './store.ts'

/**
 * A breaker per datasource: after five failures to connect in a row it is left alone for half a minute, then for longer
 * and longer, up to five minutes. In between one job may try. Jobs wait in the queue meanwhile.
 */
const TRIPS_AT = 5
const FIRST_MS = 30_000
const CEILING_MS = 300_000

/** How long the one job that tries has, before another may. */
const PROBE_MS = 30_000

/** A datasource that is left alone. */
export interface OpenBreaker {
  readonly datasourceId: string
  /** ISO 8601. */
  readonly until: string
  readonly reason: string
}

/** A connection could not be made. Returns until when the datasource is left alone now, or null. */
export function recordConnectionFailure(store: Store, datasourceId: string, reason: string): Promise<string | null> {
  return store.exclusively(`breaker ${datasourceId}`, async (tx) => {
    const before = await tx
      .selectFrom('breaker')
      .select('failures')
      .where('datasource_id', '=', datasourceId)
      .executeTakeFirst()
    const failures = (before?.failures ?? 0) + 1
    const waitMs = Math.min(CEILING_MS, FIRST_MS * 2 ** Math.min(failures - TRIPS_AT, 30))
    const until = failures < TRIPS_AT ? null : addMs(await store.now(tx), waitMs)
    const row = { datasource_id: datasourceId, failures, open_until: until, reason }
    await tx
      .insertInto('breaker')
      .values(row)
      .onConflict((conflict) => conflict.column('datasource_id').doUpdateSet(row))
      .execute()
    return until
  })
}

/** A connection was made: whatever was counted is forgotten. */
export async function recordConnectionSuccess(store: Store, datasourceId: string): Promise<void> {
  const found = await store.db
    .selectFrom('breaker')
    .select('failures')
    .where('datasource_id', '=', datasourceId)
    .executeTakeFirst()
  if (found !== undefined) await store.db.deleteFrom('breaker').where('datasource_id', '=', datasourceId).execute()
}

/** Lets the job that is about to be claimed try a datasource whose time is over, and everybody else wait for it. */
export async function takeProbe(tx: Transaction<Tables>, datasourceId: string, now: string): Promise<void> {
  await tx
    .updateTable('breaker')
    .set({ open_until: addMs(now, PROBE_MS) })
    .where('datasource_id', '=', datasourceId)
    .where('failures', '>=', TRIPS_AT)
    .execute()
}

/** Datasources that are left alone at present. */
export async function listOpenBreakers(store: Store): Promise<readonly OpenBreaker[]> {
  const rows = await store.db
    .selectFrom('breaker')
    .select(['datasource_id', 'open_until', 'reason'])
    .where('open_until', '>', await store.now(store.db))
    .execute()
  return rows.map((row) => ({
    datasourceId: row.datasource_id,
    until: row.open_until ?? '',
    reason: row.reason ?? '',
  }))
}
