import { randomBytes } from 'node:crypto'
import { sql, type Transaction } from 'kysely'
import { addMs, wallMs } from '#lib/clock.ts'
import { SYSTEM } from '#model/access.ts'
import { toWebhook, type ConfigDocument } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { makeId } from '#model/id.ts'
import type { TableRef } from '#model/table.ts'
import { audited } from './audit.ts'
import { CONFLICTS_LOCK } from './conflicts.ts'
import { toRef } from './rejections.ts'
import type { Tables } from './schema.ts'
import type { Store } from './store.ts'

/**
 * What webhooks are asked about conflicts. A question is one row for one version of a conflict, under an id that every
 * attempt carries: whoever claims it may send it, and what became of it is kept where the conflict is as it was asked about.
 */

const HOUR_MS = 3_600_000
const CHUNK = 500
/** Questions that are given up in one transaction, each with its event of the audit log. */
const GIVEN_UP_AT_ONCE = 100

/** As the index `conflict_to_ask` has it: with parameters in it, it would not be found. */
const TO_ASK = sql<boolean>`conflict.strategy = 'webhook' AND conflict.status = 'open'
  AND conflict.asked_version <> conflict.version`

/** An attempt that was claimed: nobody else makes one until its lease has run out. */
export interface ClaimedDelivery {
  /** The `webhook-id`. */
  readonly id: string
  readonly conflictId: string
  readonly configId: string
  /** The version of the conflict that it is about. */
  readonly version: number
  /** This one among them. */
  readonly attempts: number
  readonly createdAt: string
  readonly deadlineAt: string
}

/** Makes questions of conflicts that a webhook is to be asked about and is not yet. Returns how many conflicts it looked at. */
export async function queueDeliveries(store: Store): Promise<number> {
  const waiting = await store.db.selectFrom('conflict').select('id').where(TO_ASK).limit(1).executeTakeFirst()
  if (waiting === undefined) return 0
  return store.exclusively(CONFLICTS_LOCK, async (tx) => {
    const rows = await tx
      .selectFrom('conflict')
      .leftJoin('sync_config', 'sync_config.id', 'conflict.config_id')
      .select(['conflict.id', 'conflict.version', 'config_id', 'document'])
      .where(TO_ASK)
      .orderBy('seq')
      .limit(CHUNK)
      .execute()
    if (rows.length === 0) return 0
    const ids = rows.map(({ id }) => id)
    const now = await store.now(tx)
    await tx.deleteFrom('webhook_delivery').where('conflict_id', 'in', ids).execute()
    const fresh = rows.flatMap(({ id, version, config_id: configId, document }) => {
      if (configId === null || document === null) return []
      const { timeoutHours } = toWebhook(JSON.parse(document) as ConfigDocument)
      return [
        {
          id: makeId('webhook message', wallMs(), randomBytes(10)),
          conflict_id: id,
          config_id: configId,
          version,
          status: 'waiting',
          attempts: 0,
          next_at: now,
          last_at: null,
          last_error: null,
          deadline_at: addMs(now, timeoutHours * HOUR_MS),
          created_at: now,
          ended_at: null,
        },
      ]
    })
    if (fresh.length > 0) await tx.insertInto('webhook_delivery').values(fresh).execute()
    await tx
      .updateTable('conflict')
      .set((set) => ({ asked_version: set.ref('version') }))
      .where('id', 'in', ids)
      .execute()
    return rows.length
  })
}

/**
 * Takes the question that has been due longest, for `leaseMs`; null where none is. One whose conflict is not as it was asked
 * about any more ends here.
 */
export async function claimDelivery(
  store: Store,
  { leaseMs, without }: { readonly leaseMs: number; readonly without: readonly string[] },
): Promise<ClaimedDelivery | null> {
  if ((await due(store.db, await store.now(store.db), without)) === undefined) return null
  return store.exclusively('claim a webhook delivery', async (tx) => {
    const now = await store.now(tx)
    for (let row = await due(tx, now, without); row !== undefined; row = await due(tx, now, without)) {
      if (!(await isAsAsked(tx, row))) {
        await tx
          .updateTable('webhook_delivery')
          .set({ status: 'ended', ended_at: now })
          .where('id', '=', row.id)
          .execute()
        continue
      }
      const attempts = row.attempts + 1
      await tx
        .updateTable('webhook_delivery')
        .set({ attempts, last_at: now, next_at: addMs(now, leaseMs) })
        .where('id', '=', row.id)
        .execute()
      const { id, conflict_id: conflictId, config_id: configId, version } = row
      return { id, conflictId, configId, version, attempts, createdAt: row.created_at, deadlineAt: row.deadline_at }
    }
    return null
  })
}

function due(db: Store['db'], now: string, without: readonly string[]) {
  return db
    .selectFrom('webhook_delivery')
    .selectAll()
    .where('status', '=', 'waiting')
    .where('next_at', '<=', now)
    .$if(without.length > 0, (query) => query.where('config_id', 'not in', [...without]))
    .orderBy('next_at')
    .orderBy('id')
    .limit(1)
    .executeTakeFirst()
}

async function isAsAsked(
  db: Store['db'],
  { conflict_id: id, version }: { readonly conflict_id: string; readonly version: number },
): Promise<boolean> {
  const found = await db.selectFrom('conflict').select(['status', 'version']).where('id', '=', id).executeTakeFirst()
  return found?.status === 'open' && found.version === version
}

/** What became of an attempt that brought no decision. */
export type AttemptEnd =
  /** It is asked again `inMs` later. */
  | { readonly status: 'waiting'; readonly inMs: number; readonly error: string }
  /** It answers later, over the API. */
  | { readonly status: 'accepted' }
  /** There is nothing to ask any more: the conflict is another one, or was decided. */
  | { readonly status: 'ended' }

/** Keeps what became of an attempt, unless another one was made since. */
export function endAttempt(store: Store, claimed: ClaimedDelivery, end: AttemptEnd): Promise<void> {
  return store.write(async (tx) => {
    const now = await store.now(tx)
    const changes =
      end.status === 'waiting'
        ? { next_at: addMs(now, end.inMs), last_error: end.error }
        : { status: end.status, last_error: null, ...(end.status === 'ended' ? { ended_at: now } : {}) }
    await ofAttempt(tx, claimed).set(changes).execute()
  })
}

/** Lets go of an attempt that was not brought to its end, as if it had not been begun. */
export function releaseAttempt(store: Store, claimed: ClaimedDelivery): Promise<void> {
  return store.write(async (tx) => {
    const changes = { attempts: claimed.attempts - 1, next_at: await store.now(tx) }
    await ofAttempt(tx, claimed).set(changes).execute()
  })
}

/**
 * Notes in the transaction of a decision that it came from this attempt, so that a run is started for it.
 * @throws AppError `wrong_state` where it comes too late
 */
export async function keepAnswered(store: Store, tx: Transaction<Tables>, claimed: ClaimedDelivery): Promise<void> {
  const { numUpdatedRows } = await ofAttempt(tx, claimed)
    .set({ status: 'answered', last_error: null, ended_at: await store.now(tx) })
    .executeTakeFirst()
  if (numUpdatedRows > 0n) return
  throw new AppError('wrong_state', `The answer to ${claimed.id} came too late: nobody waits for it any more.`)
}

function ofAttempt(tx: Transaction<Tables>, { id, attempts }: ClaimedDelivery) {
  return tx
    .updateTable('webhook_delivery')
    .where('id', '=', id)
    .where('attempts', '=', attempts)
    .where('status', '=', 'waiting')
}

/** Leaves a conflict to people before its time is over, because the receiver has said that it answers nothing. */
export async function giveUpDelivery(store: Store, claimed: ClaimedDelivery, reason: string): Promise<void> {
  await giveUp(store, [claimed.id], reason)
}

/** Leaves to people what was not answered in time. Returns how many questions it looked at. */
export async function giveUpOverdue(store: Store): Promise<number> {
  const now = await store.now(store.db)
  const overdue = await store.db
    .selectFrom('webhook_delivery')
    .select('id')
    .where('status', 'in', ['waiting', 'accepted'])
    .where('deadline_at', '<=', now)
    .limit(GIVEN_UP_AT_ONCE)
    .execute()
  const ids = overdue.map(({ id }) => id)
  if (ids.length > 0) await giveUp(store, ids, null)
  return ids.length
}

function giveUp(store: Store, ids: readonly string[], reason: string | null): Promise<void> {
  return audited(store, SYSTEM, async (tx, audit) => {
    const now = await store.now(tx)
    const rows = await tx
      .selectFrom('webhook_delivery')
      .innerJoin('conflict', 'conflict.id', 'conflict_id')
      .select(['webhook_delivery.id', 'conflict_id', 'webhook_delivery.version', 'attempts', 'last_error', 'kind'])
      .where('webhook_delivery.id', 'in', [...ids])
      .where('webhook_delivery.status', 'in', ['waiting', 'accepted'])
      .execute()
    for (const row of rows) {
      const isOpen = await isAsAsked(tx, row)
      const lastError = reason ?? row.last_error
      await tx
        .updateTable('webhook_delivery')
        .set({ status: isOpen ? 'given_up' : 'ended', last_error: lastError, ended_at: now })
        .where('id', '=', row.id)
        .execute()
      if (!isOpen) continue
      const data = { kind: row.kind, attempts: row.attempts, reason: lastError }
      await audit({ action: 'conflict.webhook_give_up', subject: row.conflict_id, data })
    }
  })
}

/** A sync config with decisions of its webhook for which no run was started yet. */
export interface AnsweredConfig {
  readonly configId: string
  /** When the first of them came. */
  readonly since: string
  /** Its webhook is being asked, or is to be asked at once: more may come. */
  readonly expectsMore: boolean
}

/** `withinMs`: an attempt that is made by then, or that is under way for no longer, is waited for. */
export async function answeredConfigs(
  store: Store,
  { withinMs }: { readonly withinMs: number },
): Promise<readonly AnsweredConfig[]> {
  const rows = await store.db
    .selectFrom('webhook_delivery')
    .select(['config_id', (select) => select.fn.min('ended_at').as('since')])
    .where('status', '=', 'answered')
    .groupBy('config_id')
    .execute()
  if (rows.length === 0) return []
  const soon = addMs(await store.now(store.db), withinMs)
  const busy = await store.db
    .selectFrom('webhook_delivery')
    .select('config_id')
    .distinct()
    .where('status', '=', 'waiting')
    .where('next_at', '<=', soon)
    .where(
      'config_id',
      'in',
      rows.map((row) => row.config_id),
    )
    .execute()
  const expecting = new Set(busy.map((row) => row.config_id))
  return rows.map((row) => ({
    configId: row.config_id,
    since: row.since ?? '',
    expectsMore: expecting.has(row.config_id),
  }))
}

/** The tables of the source that these decisions are about, of those that came until a time. */
export async function answeredTables(store: Store, configId: string, until: string): Promise<readonly TableRef[]> {
  const rows = await store.db
    .selectFrom('webhook_delivery')
    .innerJoin('conflict', 'conflict.id', 'conflict_id')
    .select('source_table')
    .distinct()
    .where('webhook_delivery.config_id', '=', configId)
    .where('webhook_delivery.status', '=', 'answered')
    .where('ended_at', '<=', until)
    .execute()
  return rows.map((row) => toRef(row.source_table))
}

/** A run was started for these decisions, or (`note`) none is. */
export async function endAnswered(
  tx: Store['db'],
  { configId, until, note }: { readonly configId: string; readonly until: string; readonly note: string | null },
): Promise<void> {
  await tx
    .updateTable('webhook_delivery')
    .set({ status: 'ended', last_error: note })
    .where('config_id', '=', configId)
    .where('status', '=', 'answered')
    .where('ended_at', '<=', until)
    .execute()
}
