import type { Adapter } from '#adapters/adapter.ts'
import { endChangeSet } from '#control/approve-changes.ts'
import { countMarks, openDecisions } from '#control/change-marks.ts'
import { countOpenConflicts } from '#control/conflicts.ts'
import { openChangeSet } from '#control/change-sets.ts'
import { findChangeSet, type ChangeSetTools } from '#control/change-set-tools.ts'
import type { Job } from '#control/jobs.ts'
import { isEmpty, openConflictsOf, type ChangeSetSummary } from '#model/change-set.ts'
import { toConduct, type Conduct } from '#model/config-document.ts'
import { addCounts, countsOfWritten, NO_COUNTS, type Counts } from '#model/counts.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import type { Receipt } from '#model/receipt.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { sameTable, type TableRef } from '#model/table.ts'
import type { ChangeSet } from '#sync/change-set.ts'
import { runSync, type RunTools } from '#sync/run-sync.ts'
import { conflictScopeOf } from './conflicts.ts'
import { fromStore } from './from-store.ts'

/** Why a job rests with its changes. */
export type Rest = 'approval' | 'resolution'

/** What became of a job whose changes are looked at before they are applied. */
export interface Reviewed {
  /** Null: it has come to its end. */
  readonly rests: Rest | null
  /** What is known to be written; null where nothing was tried yet. */
  readonly counts: Counts | null
  readonly receipt: Receipt | null
  readonly summary: ChangeSetSummary
}

/** The two ends of a job, as a step of it needs them. */
export interface ReviewedEnds {
  readonly source: Adapter
  readonly target: Adapter
  readonly config: SyncConfig
}

export interface ReviewedTools {
  readonly changeSets: ChangeSetTools
  readonly run: RunTools
  /** Opens both ends, the target for writing or not, for as long as the body runs. */
  readonly withEnds: <T>(write: boolean, body: (ends: ReviewedEnds) => Promise<T>) => Promise<T>
  /** Finds the changes, over read-only sessions, and keeps them in the set. */
  readonly compute: (ends: ReviewedEnds, set: ChangeSet) => Promise<ChangeSetSummary>
}

/** How often changes are computed before rows that keep moving are left to a person. */
const COMPUTED = 3

/** With these, the changes that are there mean nothing any more. */
const ANEW: readonly ErrorCode[] = ['change_set_lost', 'change_set_outdated', 'changes_moved']

/** Whether the changes of a job are kept and looked at before they are applied. */
export function isReviewed({ kind, request }: Pick<Job, 'kind' | 'request'>): boolean {
  if (kind === 'revert' || request.changeSet !== undefined) return true
  return (
    kind === 'sync' &&
    !request.dryRun &&
    request.replay === undefined &&
    toConduct(request.policies).commitMode !== 'streaming'
  )
}

/**
 * A job that computes its changes, rests until somebody has approved them (or decided what is open), and applies them in
 * one transaction. Called again after any interruption it finds what is there: changes that were computed, decisions that
 * were taken, rows that were committed. Changes that were lost are computed again, and an approval of them is withdrawn.
 *
 * Changes that were computed while conflicts were open are there to be looked at alone: once these are decided, they are
 * computed again, with the decisions. So is what is left when rows were others at the commit than they had been decided on.
 */
export async function reviewedWork(job: Job, tools: ReviewedTools): Promise<Reviewed> {
  const conduct = toConduct(job.request.policies)
  const { changeSets } = tools
  const setOf = job.request.changeSet ?? job.id
  await using set = openChangeSet(changeSets, { jobId: setOf, staging: conduct.staging })
  const fresh = (): Promise<ChangeSetSummary> => tools.withEnds(false, (ends) => tools.compute(ends, set))
  const before = await fromStore(findChangeSet(changeSets, setOf))
  if (before?.state === 'applied' && before.summary !== null) return await wasApplied(job, tools, before.summary)
  const isOwn = setOf === job.id
  let summary = await fromStore(set.summary())
  if (summary === null && !isOwn) throw lostPlan(setOf)
  let written: Pick<Reviewed, 'counts' | 'receipt'> = { counts: null, receipt: null }
  for (let computed = summary === null ? 1 : 0; ; computed++) {
    summary ??= await fresh()
    if (isOwn && openConflictsOf(summary) > 0) {
      const open = await fromStore(openConflicts(changeSets, job))
      if (open > 0) return { rests: 'resolution', ...written, summary }
      if (computed >= COMPUTED) throw notToBeCarriedOut(job)
      summary = null
      continue
    }
    const rests = await restOf(job, conduct, { changeSets, setOf, summary })
    if (rests !== null) return { rests, ...written, summary }
    try {
      const receipt = await applyOnce(job, tools, { set, summary, isStaged: isStaged(job, conduct) })
      const counts = await withSurvey(receipt.counts, { changeSets, setOf, summary })
      if (isOwn && leftConflicts(receipt, summary) > 0) {
        written = { counts, receipt }
        tools.run.journal.record({ type: 'note', text: 'Rows have changed since: what is left is computed again.' })
        summary = null
        continue
      }
      const open = await fromStore(openDecisions(changeSets, setOf))
      // Rows that were edited since they were written stay as they are: an undoing has come to its end without them.
      if (open > 0 && job.kind !== 'revert') return { rests: 'resolution', counts, receipt, summary }
      await fromStore(endChangeSet(changeSets, setOf, 'applied'))
      return { rests: null, counts, receipt, summary }
    } catch (error) {
      if (!(error instanceof AppError) || !ANEW.includes(error.code)) throw error
      if (!isOwn) throw error
      const isLast = computed >= COMPUTED || (await hasDecisions(changeSets, setOf))
      const asked = isLast && error.code === 'changes_moved' && (await fromStore(openDecisions(changeSets, setOf))) > 0
      if (asked && summary !== null) return { rests: 'resolution', ...written, summary }
      if (computed >= COMPUTED) throw error
      tools.run.journal.record({ type: 'note', text: `The changes are computed again: ${error.message}` })
      summary = null
    }
  }
}

/** Conflicts that keep a job from being applied. */
export function openConflicts({ store }: Pick<ChangeSetTools, 'store'>, job: Job): Promise<number> {
  return countOpenConflicts(store, { id: job.id, scope: conflictScopeOf(job) })
}

/** Rows of tables in which both sides may change that were left, because they were others than had been decided on. */
function leftConflicts({ tables }: Receipt, summary: ChangeSetSummary): number {
  const judged = judgedTables(summary)
  return tables.reduce(
    (sum, { target, counts }) => (judged.some((ref) => sameTable(ref, target)) ? sum + counts.conflicted : sum),
    0,
  )
}

/** Tables that are looked at whole once more when their changes are applied. */
function judgedTables({ tables }: ChangeSetSummary): readonly TableRef[] {
  return tables.flatMap(({ target, conflicts }) => (conflicts === undefined ? [] : [target]))
}

function notToBeCarriedOut({ id }: Job): AppError {
  return new AppError(
    'changes_moved',
    `Conflicts of the job ${id} are decided, and cannot be carried out all at once.`,
    {
      hint: 'They are too many for one transaction, or were sealed with a key that is not known any more. Use commit_mode streaming, or decide them anew.',
    },
  )
}

/** Its process died when all was done, and nobody had heard of that: what is known is what the target says. */
async function wasApplied(job: Job, { withEnds }: ReviewedTools, summary: ChangeSetSummary): Promise<Reviewed> {
  const committed = await withEnds(false, ({ target }) => target.committedBy(job.id))
  return { rests: null, counts: committed && countsOfWritten(committed), receipt: null, summary }
}

/** Nothing but the policy decides: where a row moves, all is computed anew, and nothing is written before it fits. */
function isStaged({ kind, request }: Job, { commitMode }: Conduct): boolean {
  return kind === 'sync' && request.changeSet === undefined && commitMode === 'staged'
}

/** Somebody has decided about single changes: computed anew, they might not be the same. */
async function hasDecisions(changeSets: ChangeSetTools, setOf: string): Promise<boolean> {
  return (await fromStore(countMarks(changeSets, setOf))).some(({ mark }) => mark === 'left' || mark === 'again')
}

interface Standing {
  readonly changeSets: ChangeSetTools
  readonly setOf: string
  readonly summary: ChangeSetSummary
}

async function restOf(job: Job, conduct: Conduct, { changeSets, setOf, summary }: Standing): Promise<Rest | null> {
  const stored = await fromStore(findChangeSet(changeSets, setOf))
  if (isStaged(job, conduct)) {
    if (summary.stop !== null) throw new AppError(summary.stop.code, summary.stop.message, { hint: summary.stop.hint })
    // Where both sides are in step, nobody is asked, and the next run is not kept waiting.
  } else if ((stored?.approval ?? null) === null && !isEmpty(summary)) return 'approval'
  if (job.kind === 'revert') return null
  return (await fromStore(openDecisions(changeSets, setOf))) > 0 ? 'resolution' : null
}

function applyOnce(
  job: Job,
  { run, withEnds }: ReviewedTools,
  { set, summary, isStaged: staged }: { set: ChangeSet; summary: ChangeSetSummary; isStaged: boolean },
): Promise<Receipt> {
  const changeSet = {
    set,
    summary,
    onMoved: staged ? ('apply nothing' as const) : ('apply the others' as const),
    reverting: job.kind === 'revert',
    ownPlan: job.kind !== 'revert' && job.request.changeSet === undefined,
  }
  return withEnds(true, (ends) => runSync({ ...ends, changeSet }, run))
}

/** What was examined when the changes were computed, and is not among them, belongs to the account too. */
async function withSurvey(counts: Counts, { changeSets, setOf, summary }: Standing): Promise<Counts> {
  const judged = judgedTables(summary)
  const isJudged = (target: TableRef): boolean => judged.some((ref) => sameTable(ref, target))
  const marks = (await fromStore(countMarks(changeSets, setOf))).filter(({ target }) => !isJudged(target))
  const marked = (wanted: 'left' | 'moved'): number =>
    marks.filter(({ mark }) => mark === wanted).reduce((sum, { changes }) => sum + changes, 0)
  const left = marked('left')
  // Those that moved while they were applied are in the counts already.
  const edited = Math.max(0, marked('moved') - counts.conflicted)
  return summary.tables
    .filter(({ target }) => !isJudged(target))
    .reduce(
      (sum, { unchanged, kept, rejected }) =>
        addCounts(sum, { ...NO_COUNTS, read: unchanged + kept + rejected, unchanged, skipped: kept, rejected }),
      addCounts(counts, { ...NO_COUNTS, read: left + edited, skipped: left, conflicted: edited }),
    )
}

function lostPlan(jobId: string): AppError {
  return new AppError('change_set_lost', `The changes of the job ${jobId} are not there any more.`, {
    hint: 'Plan anew: start another dry run, and approve that.',
    retry: 'never',
  })
}
