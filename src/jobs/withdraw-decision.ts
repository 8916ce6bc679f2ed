import type { OpenedConflict } from '#control/conflict-list.ts'
import type { ConflictTools } from '#control/conflicts.ts'
import { withdrawDecision as withdraw, type ConflictAct } from '#control/decide-conflicts.ts'
import { listJobs, type Job } from '#control/jobs.ts'
import { AppError } from '#model/errors.ts'
import { conflictScopeOf } from './conflicts.ts'

/** Jobs that may have read the decision, or will write what they computed with it. */
const HOLDING: readonly Job['status'][] = ['queued', 'running', 'stopping', 'awaiting_approval']

/**
 * Takes a decision back, unless a job may be carrying it out at this moment.
 * @throws AppError those of `withdrawDecision`, and `wrong_state` while such a job is under way
 */
export async function withdrawDecision(
  tools: ConflictTools,
  { scope }: Pick<OpenedConflict, 'scope'>,
  act: ConflictAct,
): Promise<OpenedConflict> {
  const jobs = await listJobs(tools.store, { status: HOLDING, limit: 1_000 })
  const job = jobs.find((each) => each.kind === 'sync' && conflictScopeOf(each) === scope)
  if (job !== undefined) {
    throw new AppError('wrong_state', `The job ${job.id} may be carrying the decision out already.`, {
      hint: 'Decide anew instead: that holds on the rows as the job leaves them.',
    })
  }
  return withdraw(tools, act)
}
