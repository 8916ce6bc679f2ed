import { addMs } from '#lib/clock.ts'
import type { Secret } from '#lib/secret.ts'
import { hashToken, makeToken } from '#lib/token.ts'
import type { ApiKey } from '#model/access.ts'
import { isKeyGood, toApiKey } from './api-keys.ts'
import type { Store } from './store.ts'

const GOOD_FOR_MS = 60 * 60_000

/** The code of a link that signs a browser in, once and within an hour, with the rights of a key. */
export async function createSignInLink(store: Store, keyId: string): Promise<Secret> {
  const code = makeToken('')
  const now = store.clock.now()
  await store.write(async (tx) => {
    await tx.deleteFrom('sign_in_link').where('expires_at', '<=', now).execute()
    const row = { hash: hashToken(code.reveal()), key_id: keyId, expires_at: addMs(now, GOOD_FOR_MS) }
    await tx.insertInto('sign_in_link').values(row).execute()
  })
  return code
}

/** The key behind a code, which is used up by this; null where the code or the key is no longer good. */
export async function redeemSignInLink(store: Store, code: string): Promise<ApiKey | null> {
  const link = await store.db
    .deleteFrom('sign_in_link')
    .where('hash', '=', hashToken(code))
    .returning(['key_id', 'expires_at'])
    .executeTakeFirst()
  if (link === undefined || link.expires_at <= store.clock.now()) return null
  if (!(await isKeyGood(store, link.key_id))) return null
  return toApiKey(
    await store.db.selectFrom('api_key').selectAll().where('id', '=', link.key_id).executeTakeFirstOrThrow(),
  )
}
