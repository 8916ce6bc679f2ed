import type { Transaction } from 'kysely'
import { addMs } from '#lib/clock.ts'
import type { Actor } from '#model/access.ts'
import type { StagingKind } from '#model/change-set.ts'
import { AppError } from '#model/errors.ts'
import { writeAudited, type Deed } from './audit.ts'
import {
  CHANGE_SET_COLUMNS,
  changeSetNotFound,
  notReady,
  toChangeSet,
  type ChangeSetTools,
  type StoredChangeSet,
} from './change-set-tools.ts'
import { removeChunks } from './change-sets.ts'
import type { ChangeSetRow, Tables } from './schema.ts'
import type { Db, Store } from './store.ts'

/** What becomes of a change set as a whole: approved, taken by the job that applies it, ended. */

export interface ChangeSetApprovalWish {
  readonly jobId: string
  /** What the caller has looked at; null: whatever is there. */
  readonly digest: string | null
  readonly actor: Actor
  /** How many milliseconds after it was sealed a change set may still be approved; null: for as long as it is there. */
  readonly expiry: number | null
}

/**
 * Approves a change set, inside of the transaction (and with the audit event) of the deed that it belongs to. Look with
 * `checkChangeSet` before, which waits for the place where it is kept.
 * @throws AppError `not_found`, `wrong_state`, `change_set_lost`, `change_set_expired`, `change_set_moved`
 */
export async function approveChangeSet(
  store: Store,
  tx: Transaction<Tables>,
  { jobId, digest, actor, expiry }: ChangeSetApprovalWish,
): Promise<StoredChangeSet> {
  const row = await lockChangeSet(store, tx, jobId)
  if (row.state !== 'ready') throw notReady(row)
  if (digest !== null && digest !== row.digest) {
    throw new AppError('change_set_moved', `The change set of the job ${jobId} is not the one that was looked at.`)
  }
  const now = await store.now(tx)
  const until = expiry === null || row.sealed_at === null ? null : addMs(row.sealed_at, expiry)
  if (until !== null && now > until) {
    throw new AppError(
      'change_set_expired',
      `The change set of the job ${jobId} is of ${row.sealed_at}: it could be approved until ${until}.`,
    )
  }
  const approval = {
    approved_by: actor.id,
    approved_name: actor.name,
    approved_digest: row.digest,
    approved_at: now,
    expires_at: until,
  }
  await tx.updateTable('change_set').set(approval).where('job_id', '=', jobId).execute()
  return toChangeSet({ ...row, ...approval })
}

/**
 * Another job applies the change set: one alone, whoever asks at the same moment.
 * @throws AppError `not_found`, `wrong_state` where a job has it already, and those of a set that is not ready
 */
export async function takeChangeSet(
  store: Store,
  tx: Transaction<Tables>,
  { jobId, by }: { readonly jobId: string; readonly by: string },
): Promise<void> {
  const row = await lockChangeSet(store, tx, jobId)
  if (row.state !== 'ready') throw notReady(row)
  if (row.taken_by !== null && row.taken_by !== by) {
    throw new AppError('wrong_state', `The job ${row.taken_by} applies the change set of ${jobId} already.`)
  }
  await tx.updateTable('change_set').set({ taken_by: by }).where('job_id', '=', jobId).execute()
}

async function lockChangeSet({ isPostgres }: Store, tx: Db, jobId: string): Promise<Omit<ChangeSetRow, 'chunk_index'>> {
  const row = await tx
    .selectFrom('change_set')
    .select(CHANGE_SET_COLUMNS)
    .where('job_id', '=', jobId)
    .$call((query) => (isPostgres ? query.forUpdate() : query))
    .executeTakeFirst()
  if (row === undefined) throw changeSetNotFound(jobId)
  return row
}

/**
 * Ends a change set: it was applied, or nobody needs it any more. Summary, approval and marks stay for as long as the job
 * is there, the changes themselves go. One that is not there, or has ended, stays as it is.
 */
export async function endChangeSet(
  tools: ChangeSetTools,
  jobId: string,
  state: 'applied' | 'expired',
  deed: Deed | null = null,
): Promise<void> {
  const { store } = tools
  const ended = await writeAudited(store, deed, async (tx) => {
    const row = await tx
      .selectFrom('change_set')
      .select(['generation', 'staging', 'state'])
      .where('job_id', '=', jobId)
      .executeTakeFirst()
    if (row === undefined || row.state === 'applied' || row.state === 'expired') return null
    await tx.updateTable('change_set').set({ state }).where('job_id', '=', jobId).execute()
    return row
  })
  if (ended === null) return
  // What cannot be removed now is swept later, and counts as taken up until then.
  const removed = await removeChunks(tools, {
    jobId,
    generation: ended.generation,
    staging: ended.staging as StagingKind,
  }).then(
    () => true,
    () => false,
  )
  if (removed) await store.db.updateTable('change_set').set({ held_bytes: 0 }).where('job_id', '=', jobId).execute()
}
