import type { Transaction } from 'kysely'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import { AppError } from '#model/errors.ts'
import type { Tables } from './schema.ts'
import type { Store } from './store.ts'

/** The key of `store_meta` under which a known text lies sealed. */
const KEY = 'secret_check'
const TEXT = 'syncline'

/**
 * Looks whether the key is the one that the store's passwords are sealed with, and remembers it in a store that has none
 * yet. A service with another key must not start: it would come up as if all passwords were wrong.
 * @throws AppError `secret_unreadable`
 */
export async function checkSecretKey(store: Store, box: SecretBox): Promise<void> {
  await store.write(async (tx) => {
    await tx
      .insertInto('store_meta')
      .values({ key: KEY, value: box.seal(TEXT, KEY) })
      .onConflict((conflict) => conflict.column('key').doNothing())
      .execute()
    const row = await tx.selectFrom('store_meta').select('value').where('key', '=', KEY).executeTakeFirstOrThrow()
    try {
      box.open(row.value, KEY)
    } catch (error) {
      if (!(error instanceof SealBroken)) throw error
      throw new AppError(
        'secret_unreadable',
        'The secret key is not the one that the stored passwords were sealed with.',
        {
          hint: 'Start with the former SECRET_KEY or key file; to change the key, give the former one as SECRET_KEY_PREVIOUS.',
          cause: error,
        },
      )
    }
  })
}

/** Seals the known text anew: from then on the current key is the store's. */
export async function resealCheck(tx: Transaction<Tables>, box: SecretBox): Promise<void> {
  const value = box.seal(TEXT, KEY)
  await tx
    .insertInto('store_meta')
    .values({ key: KEY, value })
    .onConflict((conflict) => conflict.column('key').doUpdateSet({ value }))
    .execute()
}
