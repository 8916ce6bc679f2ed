import type { Transaction } from 'kysely'
import { addMs } from '#lib/clock.ts'
import { SealBroken, type SecretBox } from '#lib/secret-box.ts'
import { Secret } from '#lib/secret.ts'
import { makeWebhookSecret } from '#lib/webhook-signature.ts'
import type { Actor } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { audited } from './audit.ts'
import type { Tables, WebhookSecretRow } from './schema.ts'
import type { Store } from './store.ts'

/** What messages to the webhook of a sync config are signed with: made by us, shown once, and kept sealed. */

interface WebhookTools {
  readonly store: Store
  readonly box: SecretBox
}

const HOUR_MS = 3_600_000

/** What may be told of the secrets of a sync config. */
export interface WebhookSecretInfo {
  readonly createdAt: string
  /** The name of whoever made it. */
  readonly createdBy: string
  /** Until when the one before signs as well; null where there is none. */
  readonly previousUntil: string | null
}

/**
 * Makes the secret of a sync config. The one before signs as well for `keepPreviousHours`, so that the receiver can be given
 * the new one meanwhile; there are never more than two.
 */
export function rotateWebhookSecret(
  { store, box }: WebhookTools,
  { id, configId, actor, keepPreviousHours }: { id: string; configId: string; actor: Actor; keepPreviousHours: number },
): Promise<WebhookSecretInfo & { readonly secret: Secret }> {
  return audited(store, actor, async (tx, audit) => {
    const now = await store.now(tx)
    const previousUntil = addMs(now, keepPreviousHours * HOUR_MS)
    const before = await newest(tx, configId)
    const keeps = before !== undefined && keepPreviousHours > 0
    await tx
      .deleteFrom('webhook_secret')
      .where('config_id', '=', configId)
      .$if(keeps, (query) => query.where('id', '<>', before?.id ?? ''))
      .execute()
    await tx
      .updateTable('webhook_secret')
      .set({ expires_at: previousUntil })
      .where('config_id', '=', configId)
      .execute()
    const secret = makeWebhookSecret()
    const row: WebhookSecretRow = {
      id,
      config_id: configId,
      secret_sealed: box.seal(secret.reveal(), id),
      created_at: now,
      created_by: actor.name,
      expires_at: null,
    }
    await tx.insertInto('webhook_secret').values(row).execute()
    const until = keeps ? previousUntil : null
    const action = before === undefined ? 'webhook_secret.create' : 'webhook_secret.rotate'
    await audit({ action, subject: configId, data: { secret: id, previous_until: until } })
    return { secret, createdAt: now, createdBy: actor.name, previousUntil: until }
  })
}

/** Null where none was made yet. */
export async function findWebhookSecret(store: Store, configId: string): Promise<WebhookSecretInfo | null> {
  const rows = await goodRows(store, configId)
  const [current, previous] = rows
  if (current === undefined) return null
  return {
    createdAt: current.created_at,
    createdBy: current.created_by,
    previousUntil: previous?.expires_at ?? null,
  }
}

/** The secrets that messages are signed with at present, the current one first. @throws AppError `secret_unreadable` */
export async function readWebhookSecrets({ store, box }: WebhookTools, configId: string): Promise<readonly Secret[]> {
  try {
    return (await goodRows(store, configId)).map(({ id, secret_sealed: sealed }) => new Secret(box.open(sealed, id)))
  } catch (error) {
    if (!(error instanceof SealBroken)) throw error
    throw new AppError('secret_unreadable', `The secret of the webhook cannot be read. ${error.message}`, {
      hint: 'Make a new one with syncline configs webhook-secret, and give it to the receiver.',
      cause: error,
    })
  }
}

async function goodRows(store: Store, configId: string): Promise<WebhookSecretRow[]> {
  const now = await store.now(store.db)
  return (
    store.db
      .selectFrom('webhook_secret')
      .selectAll()
      .where('config_id', '=', configId)
      .where((where) => where.or([where('expires_at', 'is', null), where('expires_at', '>', now)]))
      // The current one is the one that does not end; ids of the same millisecond are in no order.
      .orderBy((order) => order.case().when('expires_at', 'is', null).then(0).else(1).end())
      .execute()
  )
}

function newest(tx: Transaction<Tables>, configId: string): Promise<{ readonly id: string } | undefined> {
  return tx
    .selectFrom('webhook_secret')
    .select('id')
    .where('config_id', '=', configId)
    .where('expires_at', 'is', null)
    .executeTakeFirst()
}

/** Seals all of them anew with the current key. @throws SealBroken where one was sealed with a key that is not known */
export async function resealWebhookSecrets(tx: Transaction<Tables>, box: SecretBox): Promise<void> {
  for (const { id, secret_sealed: sealed } of await tx.selectFrom('webhook_secret').selectAll().execute()) {
    if (box.isCurrent(sealed)) continue
    await tx
      .updateTable('webhook_secret')
      .set({ secret_sealed: box.seal(box.open(sealed, id), id) })
      .where('id', '=', id)
      .execute()
  }
}
