import { SYSTEM } from '#model/access.ts'
import { recordAudit } from './audit.ts'
import { removeBatches } from './history.ts'
import type { Store } from './store.ts'

/** Batches that go in one transaction. */
const CHUNK = 100

/**
 * Removes what was written before a time (ISO 8601) from the history, after the log was told. Returns how many batches
 * went.
 */
export async function purgeHistory(store: Store, before: string): Promise<number> {
  const { db } = store
  const old = await db
    .selectFrom('history_batch')
    .select((select) => [select.fn.countAll().as('batches'), select.fn.sum('row_count').as('rows')])
    .where('at', '<', before)
    .executeTakeFirstOrThrow()
  const batches = Number(old.batches)
  if (batches === 0) return 0
  const data = { before, batches, rows: Number(old.rows) }
  await recordAudit(store, SYSTEM, { action: 'history.cut', subject: null, data })
  for (let gone = 0; ;) {
    const ids = await db.selectFrom('history_batch').select('id').where('at', '<', before).limit(CHUNK).execute()
    if (ids.length === 0) return gone
    await store.write((tx) =>
      removeBatches(
        tx,
        ids.map(({ id }) => id),
      ),
    )
    gone += ids.length
  }
}
