import { addMs } from '#lib/clock.ts'
import type { Secret } from '#lib/secret.ts'
import { hashToken, makeToken } from '#lib/token.ts'
import type { Actor } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { hasAdmin, insertApiKey, type NewKey } from './api-keys.ts'
import { audited } from './audit.ts'
import type { Store } from './store.ts'

const GOOD_FOR_MS = 15 * 60_000

/** A token for the first start, and until when it is good (ISO 8601). */
export interface SetupToken {
  readonly token: Secret
  readonly expiresAt: string
}

/** Makes the token by which the first admin key is made, or null where there is one already. Earlier tokens end. */
export function createSetupToken(store: Store): Promise<SetupToken | null> {
  return store.exclusively('audit', async (tx) => {
    const now = store.clock.now()
    if (await hasAdmin(tx, { now, but: null })) return null
    const token = makeToken('setup_')
    const expiresAt = addMs(now, GOOD_FOR_MS)
    await tx.deleteFrom('setup_token').execute()
    await tx
      .insertInto('setup_token')
      .values({ hash: hashToken(token.reveal()), expires_at: expiresAt, used_at: null })
      .execute()
    return { token, expiresAt }
  })
}

/** Makes the first admin key for whoever has the token. It works once. @throws AppError `unauthenticated` */
export function redeemSetupToken(
  store: Store,
  { token, id, name }: { token: string; id: string; name: string },
  address: string | null,
): Promise<NewKey> {
  const actor: Actor = { id, name, role: 'admin', datasources: null, address }
  return audited(store, actor, async (tx, audit) => {
    const now = store.clock.now()
    const used = await tx
      .updateTable('setup_token')
      .set({ used_at: now })
      .where('hash', '=', hashToken(token))
      .where('used_at', 'is', null)
      .where('expires_at', '>', now)
      .returning('hash')
      .executeTakeFirst()
    if (used === undefined || (await hasAdmin(tx, { now, but: null }))) {
      throw new AppError('unauthenticated', 'The setup token is wrong, was used already, or has expired.', {
        hint: 'Start the service again: while there is no admin key, it prints a new token.',
      })
    }
    const made = await insertApiKey(tx, { name, role: 'admin', datasources: null, expiresAt: null }, { id, now })
    await audit({ action: 'key.create', subject: id, data: { name, role: 'admin', by: 'setup token' } })
    return made
  })
}
