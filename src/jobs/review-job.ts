import { approveChangeSet, endChangeSet, takeChangeSet } from '#control/approve-changes.ts'
import { audited } from '#control/audit.ts'
import { openDecisions } from '#control/change-marks.ts'
import { checkChangeSet } from '#control/change-sets.ts'
import { findChangeSet, getChangeSet, type ChangeSetTools, type StoredChangeSet } from '#control/change-set-tools.ts'
import { decideChanges, type ChangeDecision } from '#control/decide-changes.ts'
import { allowProtectedWrite, changeStatus, getJob, listJobs, type Job } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { addMs } from '#lib/clock.ts'
import { SYSTEM, type Actor } from '#model/access.ts'
import { openConflictsOf } from '#model/change-set.ts'
import { toConduct } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { toJobError } from '#model/job.ts'
import { isReviewed, openConflicts } from './reviewed-work.ts'

const HOUR_MS = 3_600_000

/** The job that the changes of a job are kept with: its own, or the dry run that it carries out. */
export function changeSetOf({ id, request }: Pick<Job, 'id' | 'request'>): string {
  return request.changeSet ?? id
}

/** Whether the changes of a job are kept to be looked at. */
export function keepsChanges(job: Pick<Job, 'kind' | 'request'>): boolean {
  return isReviewed(job) || (job.kind === 'sync' && job.request.dryRun)
}

/** What somebody says with an approval. */
export interface Approval {
  readonly actor: Actor
  /** `ChangeSetSummary.digest` of what was looked at; null: whatever is there. */
  readonly digest: string | null
  /** Where a brake would stop it: the very numbers of deletes and of updates that are approved. */
  readonly deletes: number | null
  readonly overwrites: number | null
  /** A protected target may be written, though that was not said when the job was asked for. */
  readonly allowProtectedWrite?: boolean
}

/**
 * Approves the changes of a job that waits for that: it goes on, and applies them exactly.
 * @throws AppError `wrong_state`, `delete_brake`, `overwrite_brake`, and those of `approveChangeSet`
 */
export async function approveJob(changeSets: ChangeSetTools, id: string, approval: Approval): Promise<Job> {
  const { store } = changeSets
  const { actor, digest } = approval
  const job = await getJob(store, id)
  refuseBraked(await getChangeSet(changeSets, id), approval)
  await checkOrCompute(changeSets, job)
  return audited(store, actor, async (tx, audit) => {
    const { approval: given } = await approveChangeSet(store, tx, { jobId: id, digest, actor, expiry: expiryOf(job) })
    const decided = await changeStatus(store, tx, { id, event: 'decide' }, {})
    if (approval.allowProtectedWrite) await allowProtectedWrite(tx, job)
    await audit({ action: 'job.approve', subject: id, data: { digest: given?.digest ?? null } })
    return decided
  })
}

/** @throws AppError `change_set_lost`; the job computes its changes again then, and waits for another approval */
async function checkOrCompute(changeSets: ChangeSetTools, job: Job): Promise<void> {
  try {
    await checkChangeSet(changeSets, job.id)
  } catch (error) {
    if (error instanceof AppError && error.code === 'change_set_lost') await computeAgain(changeSets, job, error)
    throw error
  }
}

/** The process that takes the job finds no changes that it could apply, and computes them. */
async function computeAgain({ store }: ChangeSetTools, { id }: Job, because: AppError): Promise<void> {
  await audited(store, SYSTEM, async (tx, audit) => {
    await changeStatus(store, tx, { id, event: 'decide' }, {})
    await audit({ action: 'job.compute_again', subject: id, data: { reason: because.message } })
  }).catch(hadMoved)
}

/** Somebody decided at this very moment. */
function hadMoved(error: unknown): null {
  if (error instanceof AppError && error.code === 'wrong_state') return null
  throw error
}

/**
 * Looks whether the changes of waiting jobs are still there; those that were lost are computed again. Returns how many.
 * A place that does not answer has lost nothing yet.
 */
export async function noticeLost(changeSets: ChangeSetTools): Promise<number> {
  const { store } = changeSets
  const waiting = await listJobs(store, { status: ['awaiting_approval', 'awaiting_resolution'], limit: PAGE })
  let lost = 0
  // The changes of a dry run cannot be computed again under another job.
  for (const job of waiting.filter(({ request }) => request.changeSet === undefined)) {
    const error = await checkChangeSet(changeSets, job.id).then(
      () => null,
      (thrown: unknown) => thrown,
    )
    if (!(error instanceof AppError) || error.code !== 'change_set_lost') continue
    await computeAgain(changeSets, job, error)
    lost += 1
  }
  return lost
}

/** Milliseconds from the sealing of a change set until nobody may approve it any more. */
export function expiryOf({ request }: Pick<Job, 'request'>): number {
  return toConduct(request.policies).approvalHours * HOUR_MS
}

/** Each brake wants its very number (promise P7). */
export function refuseBraked({ summary }: StoredChangeSet, { deletes, overwrites }: Approval): void {
  if (summary === null) return
  const { stop, furtherStop, tables } = summary
  const sum = (of: 'deletes' | 'updates'): number => tables.reduce((total, table) => total + table[of], 0)
  for (const each of [stop, furtherStop]) {
    if (each === null || each === undefined) continue
    const wanted =
      each.code === 'delete_brake'
        ? { name: 'approve_deletes', number: sum('deletes'), given: deletes }
        : { name: 'approve_overwrites', number: sum('updates'), given: overwrites }
    if (wanted.given === wanted.number) continue
    throw new AppError(each.code, each.message, {
      hint: `Check that this is meant; then approve it with the very number: ${wanted.name} ${wanted.number}.`,
    })
  }
}

/** Takes the change set of a dry run for the job `by`, inside of the transaction that makes that job. */
export async function takeApproved(
  { store }: Pick<ChangeSetTools, 'store'>,
  tx: Parameters<typeof takeChangeSet>[1],
  { planned, by, approval: { actor, digest } }: { planned: Job; by: string; approval: Approval },
): Promise<void> {
  await takeChangeSet(store, tx, { jobId: planned.id, by })
  await approveChangeSet(store, tx, { jobId: planned.id, digest, actor, expiry: expiryOf(planned) })
}

/**
 * Decides about changes of a job. Where it waited for decisions and none is open any more, it goes on.
 * @returns how many decisions are others now, and how many are still open
 */
export async function decideOnJob(
  changeSets: ChangeSetTools,
  job: Job,
  decision: ChangeDecision,
): Promise<{ readonly changed: number; readonly open: number; readonly job: Job }> {
  const { store } = changeSets
  const setOf = changeSetOf(job)
  const changed = await decideChanges(changeSets, setOf, decision)
  const open = await openQuestions(changeSets, job)
  const now = await getJob(store, job.id)
  if (now.status !== 'awaiting_resolution' || open > 0) return { changed, open, job: now }
  return { changed, open, job: await goOn(changeSets, job.id, decision.actor) }
}

/** What a job waits for before it can go on: decisions on its changes, and on conflicts that keep these from being applied. */
export async function openQuestions(changeSets: ChangeSetTools, job: Job): Promise<number> {
  const conflicts = job.request.changeSet === undefined ? await openConflicts(changeSets, job) : 0
  return (await openDecisions(changeSets, changeSetOf(job))) + conflicts
}

/**
 * Lets jobs go on that waited for decisions on conflicts, once none is open any more. To be called after such decisions; a
 * call too many does nothing.
 * @param among the jobs that may have waited for them; left out: all
 * @returns the jobs that go on
 */
export async function goOnWithDecisions(
  changeSets: ChangeSetTools,
  actor: Actor,
  among: (job: Job) => boolean = () => true,
): Promise<readonly Job[]> {
  const { store } = changeSets
  const waiting = await listJobs(store, { status: ['awaiting_resolution'], limit: PAGE })
  const going: Job[] = []
  for (const job of waiting.filter((each) => isReviewed(each) && among(each))) {
    const summary = (await findChangeSet(changeSets, changeSetOf(job)))?.summary ?? null
    const waitsForConflicts = summary !== null && openConflictsOf(summary) > 0
    if (waitsForConflicts && (await openQuestions(changeSets, job)) === 0) {
      going.push(await goOn(changeSets, job.id, actor))
    }
  }
  return going
}

/** Lets a job go on that waits for nothing any more, or whose changes are to be computed again. */
export async function goOn({ store }: Pick<ChangeSetTools, 'store'>, id: string, actor: Actor): Promise<Job> {
  try {
    return await audited(store, actor, async (tx, audit) => {
      const decided = await changeStatus(store, tx, { id, event: 'decide' }, {})
      await audit({ action: 'job.decide', subject: id, data: {} })
      return decided
    })
  } catch (error) {
    // Somebody else has decided at this very moment.
    if (error instanceof AppError && error.code === 'wrong_state') return getJob(store, id)
    throw error
  }
}

/** Until when somebody may approve the changes of a job, or decide on them. */
export function expiresAt(job: Job, { summary, expiresAt: until }: StoredChangeSet): string | null {
  if (job.status === 'awaiting_resolution') return addMs(job.updatedAt, expiryOf(job))
  return until ?? (summary === null ? null : addMs(summary.sealedAt, expiryOf(job)))
}

/** Jobs that are looked at at once. */
const PAGE = 500

/** Ends jobs whose changes nobody has approved or decided on in time. Returns how many. */
export async function expireWaiting(changeSets: ChangeSetTools): Promise<number> {
  const { store } = changeSets
  const waiting = await listJobs(store, { status: ['awaiting_approval', 'awaiting_resolution'], limit: PAGE })
  const now = await store.now(store.db)
  const late = waiting.filter((job) => addMs(job.updatedAt, expiryOf(job)) < now)
  for (const job of late) await expire(store, changeSets, job)
  return late.length
}

async function expire(store: Store, changeSets: ChangeSetTools, job: Job): Promise<void> {
  const hours = toConduct(job.request.policies).approvalHours
  const error = toJobError(
    new AppError('change_set_expired', `Nobody decided on the changes of the job ${job.id} within ${hours} hours.`),
  )
  const failed = await audited(store, SYSTEM, async (tx, audit) => {
    const ended = await changeStatus(store, tx, { id: job.id, event: 'fail' }, { error })
    await audit({ action: 'job.expire', subject: job.id, data: { hours } })
    return ended
  }).catch(hadMoved)
  if (failed !== null) await endChangeSet(changeSets, changeSetOf(job), 'expired')
}
