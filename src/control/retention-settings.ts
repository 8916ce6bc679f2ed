import type { Actor } from '#model/access.ts'
import type { RetentionChoice } from '#model/retention.ts'
import { audited } from './audit.ts'
import type { Store } from './store.ts'

/** For how long things are kept and in how much room, as somebody has set it. */

/** The key of `store_meta`. */
const KEY = 'retention'

export interface StoredRetention extends RetentionChoice {
  readonly updatedAt: string
  /** The name of whoever did. */
  readonly updatedBy: string
}

export async function findRetention(store: Store): Promise<StoredRetention | null> {
  const row = await store.db.selectFrom('store_meta').select('value').where('key', '=', KEY).executeTakeFirst()
  // What was kept before room could be set does not speak of it.
  return row === undefined ? null : { bytes: {}, ...(JSON.parse(row.value) as Omit<StoredRetention, 'bytes'>) }
}

export async function keepRetention(store: Store, { days, bytes }: RetentionChoice, actor: Actor): Promise<void> {
  const kept: StoredRetention = { days, bytes, updatedAt: store.clock.now(), updatedBy: actor.name }
  await audited(store, actor, async (tx, audit) => {
    const value = JSON.stringify(kept)
    await tx
      .insertInto('store_meta')
      .values({ key: KEY, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute()
    await audit({ action: 'settings.retention.update', subject: null, data: { days, bytes } })
  })
}
