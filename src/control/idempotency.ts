import { addMs } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import type { Store } from './store.ts'

/** How long an answer is given again. */
const KEPT_MS = 24 * 60 * 60_000

/** After this long without an answer, whoever was at the request is taken to be gone. */
const ABANDONED_MS = 60_000

/** One request that is to be done once, however often it arrives. */
export interface OnceKey {
  /** Keys of one actor say nothing about those of another. */
  readonly actor: string
  readonly key: string
}

/** What there is under a key: nobody's answer yet, so that it is ours to do; the answer; or somebody at work on it. */
export type Reservation =
  | {
      readonly state: 'mine'
      /** The id that what is made must carry. Where `again`, whoever came first may have made it already. */
      readonly id: string
      readonly again: boolean
    }
  | { readonly state: 'answered'; readonly status: number; readonly body: string }
  | { readonly state: 'busy' }

/**
 * Takes a key for a request, which is known by `mac`, or tells what became of it.
 * @throws AppError `idempotency_mismatch` where the key stands for another request
 */
export function reserve(
  store: Store,
  { actor, key }: OnceKey,
  { mac, matches, id }: { mac: string; matches: (mac: string) => boolean; id: string },
): Promise<Reservation> {
  return store.write(async (tx) => {
    const now = store.clock.now()
    await tx
      .deleteFrom('idempotency')
      .where('actor', '=', actor)
      .where('key', '=', key)
      .where('created_at', '<=', addMs(now, -KEPT_MS))
      .execute()
    const inserted = await tx
      .insertInto('idempotency')
      .values({ actor, key, request_hash: mac, status: null, body: id, created_at: now })
      .onConflict((conflict) => conflict.columns(['actor', 'key']).doNothing())
      .returning('key')
      .executeTakeFirst()
    if (inserted !== undefined) return { state: 'mine', id, again: false }
    const row = await tx
      .selectFrom('idempotency')
      .selectAll()
      .where('actor', '=', actor)
      .where('key', '=', key)
      .$call((query) => (store.isPostgres ? query.forUpdate() : query))
      .executeTakeFirst()
    if (row === undefined) return { state: 'busy' }
    if (!matches(row.request_hash)) {
      throw new AppError('idempotency_mismatch', `The Idempotency-Key ${key} was used for another request.`)
    }
    if (row.status !== null) return { state: 'answered', status: row.status, body: row.body ?? '' }
    if (now < addMs(row.created_at, ABANDONED_MS)) return { state: 'busy' }
    await tx
      .updateTable('idempotency')
      .set({ created_at: now })
      .where('actor', '=', actor)
      .where('key', '=', key)
      .execute()
    return { state: 'mine', id: row.body ?? id, again: true }
  })
}

/** Keeps the answer, to be given again. */
export async function keepAnswer(
  store: Store,
  { actor, key }: OnceKey,
  { status, body }: { status: number; body: string },
): Promise<void> {
  await store.db
    .updateTable('idempotency')
    .set({ status, body })
    .where('actor', '=', actor)
    .where('key', '=', key)
    .execute()
}

/** Lets go of a key whose request was refused and did nothing: it may be sent again. */
export async function release(store: Store, { actor, key }: OnceKey): Promise<void> {
  await store.db
    .deleteFrom('idempotency')
    .where('actor', '=', actor)
    .where('key', '=', key)
    .where('status', 'is', null)
    .execute()
}

/** Forgets answers that are no longer given. Returns how many. */
export async function purgeAnswers(store: Store): Promise<number> {
  const result = await store.db
    .deleteFrom('idempotency')
    .where('created_at', '<=', addMs(store.clock.now(), -KEPT_MS))
    .executeTakeFirst()
  return Number(result.numDeletedRows)
}
