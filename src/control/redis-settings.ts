import type { Transaction } from 'kysely'
import { Secret } from '#lib/secret.ts'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import type { Actor } from '#model/access.ts'
import type { ConnectionTest } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { parseRedisUrl, type RedisAddress } from '#model/redis.ts'
import { audited } from './audit.ts'
import type { Tables } from './schema.ts'
import type { Store } from './store.ts'

/** The Redis that somebody has set up: its URL is sealed, or a reference that is looked up each time. */

/** The key of `store_meta`, and what the sealed URL is bound to. */
const KEY = 'redis'

/** A URL to be kept, or where it is found. */
export type RedisUrl = Secret | { readonly reference: string }

export interface StoredRedis {
  /** Null where the URL is a reference. */
  readonly address: RedisAddress | null
  readonly hasPassword: boolean
  readonly reference: string | null
  readonly updatedAt: string
  /** The name of whoever did. */
  readonly updatedBy: string
  readonly lastTest: ConnectionTest | null
}

interface Kept extends StoredRedis {
  readonly sealed: string | null
}

interface RedisSettingsTools {
  readonly store: Store
  readonly box: SecretBox
}

export async function findRedis(store: Store): Promise<StoredRedis | null> {
  const kept = await read(store.db)
  if (kept === null) return null
  const { sealed: _, ...rest } = kept
  return rest
}

/** @throws AppError `secret_unreadable` */
export async function readRedisUrl({ store, box }: RedisSettingsTools): Promise<RedisUrl | null> {
  const kept = await read(store.db)
  if (kept === null) return null
  if (kept.reference !== null) return { reference: kept.reference }
  try {
    return new Secret(box.open(kept.sealed ?? '', KEY))
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error
    throw new AppError('secret_unreadable', `The URL of the Redis cannot be read. ${error.message}`, {
      hint: 'Set it up again with PUT /api/settings/redis.',
      cause: error,
    })
  }
}

/** @throws AppError `invalid_url` */
export async function keepRedis({ store, box }: RedisSettingsTools, url: RedisUrl, actor: Actor): Promise<StoredRedis> {
  const place = url instanceof Secret ? parseRedisUrl(url.reveal()) : null
  const { password = null, ...address } = place ?? {}
  const kept: Kept = {
    address: place === null ? null : (address as RedisAddress),
    hasPassword: password !== null,
    reference: url instanceof Secret ? null : url.reference,
    sealed: url instanceof Secret ? box.seal(url.reveal(), KEY) : null,
    updatedAt: store.clock.now(),
    updatedBy: actor.name,
    lastTest: null,
  }
  await audited(store, actor, async (tx, audit) => {
    await write(tx, kept)
    const data = { ...kept.address, reference: kept.reference, password: kept.hasPassword }
    await audit({ action: 'settings.redis.update', subject: null, data })
  })
  const { sealed: _, ...rest } = kept
  return rest
}

/** Returns whether there was one. */
export async function forgetRedis(store: Store, actor: Actor): Promise<boolean> {
  return audited(store, actor, async (tx, audit) => {
    const { numDeletedRows } = await tx.deleteFrom('store_meta').where('key', '=', KEY).executeTakeFirst()
    if (numDeletedRows > 0n) await audit({ action: 'settings.redis.delete', subject: null, data: {} })
    return numDeletedRows > 0n
  })
}

/** Remembers the test of what is set up now. */
export async function recordRedisTest(store: Store, lastTest: ConnectionTest): Promise<void> {
  await store.write(async (tx) => {
    const kept = await read(tx)
    if (kept !== null) await write(tx, { ...kept, lastTest })
  })
}

/** Seals the URL anew with the current key. @throws SealBroken */
export async function resealRedis(tx: Transaction<Tables>, box: SecretBox): Promise<void> {
  const kept = await read(tx)
  if (kept === null || kept.sealed === null || box.isCurrent(kept.sealed)) return
  await write(tx, { ...kept, sealed: box.seal(box.open(kept.sealed, KEY), KEY) })
}

async function read(db: Store['db']): Promise<Kept | null> {
  const row = await db.selectFrom('store_meta').select('value').where('key', '=', KEY).executeTakeFirst()
  return row === undefined ? null : (JSON.parse(row.value) as Kept)
}

async function write(tx: Transaction<Tables>, kept: Kept): Promise<void> {
  const value = JSON.stringify(kept)
  await tx
    .insertInto('store_meta')
    .values({ key: KEY, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute()
}
