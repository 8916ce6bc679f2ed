import type { Actor } from '#model/access.ts'
import { audited } from './audit.ts'
import type { Store } from './store.ts'

/** What of the datasources and sync configs is demo data, by their ids: people may rename it. */

/** The key of `store_meta`. */
const KEY = 'demo'

export interface StoredDemo {
  readonly sourceId: string
  readonly targetId: string
  readonly configId: string
}

export async function findDemo(store: Store): Promise<StoredDemo | null> {
  const row = await store.db.selectFrom('store_meta').select('value').where('key', '=', KEY).executeTakeFirst()
  return row === undefined ? null : (JSON.parse(row.value) as StoredDemo)
}

/** Comes before what it tells of: whatever a process leaves that dies in between is known. */
export async function keepDemo(store: Store, demo: StoredDemo, actor: Actor): Promise<void> {
  await audited(store, actor, async (tx, audit) => {
    const value = JSON.stringify(demo)
    await tx
      .insertInto('store_meta')
      .values({ key: KEY, value })
      .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
      .execute()
    await audit({ action: 'demo.make', subject: demo.configId, data: { ...demo } })
  })
}

export async function forgetDemo(store: Store, actor: Actor): Promise<void> {
  await audited(store, actor, async (tx, audit) => {
    const { numDeletedRows } = await tx.deleteFrom('store_meta').where('key', '=', KEY).executeTakeFirst()
    if (numDeletedRows > 0n) await audit({ action: 'demo.remove', subject: null, data: {} })
  })
}
