import { RunningJob, type Job } from '#control/jobs.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import { formatTableName } from '#model/table-pattern.ts'
import type { JobWish } from './start-job.ts'

/** What a run would be that carries out decisions about conflicts. */
export interface CarryOut extends Pick<
  JobWish,
  'what' | 'allowProtectedWrite' | 'allowProtectedSourceWrite' | 'approvedDeletes' | 'approvedOverwrites'
> {
  /** Where the conflicts are known, if that is not the sync config. */
  readonly conflictScope: string | null
  /** The tables of the source that were decided on. */
  readonly sources: readonly TableRef[]
}

/** The job that was started; else the one because of which none was, and why. */
export type CarriedOut =
  | { readonly job: Job }
  | { readonly job: null; readonly activeJobId: string | null; readonly note: string }

/** What keeps a run from being started, and not a decision from being made. */
const NOT_STARTED: readonly ErrorCode[] = [
  'already_running',
  'target_not_writable',
  'target_protected',
  'forbidden',
  'not_found',
]

/**
 * Starts a run of the tables that were decided on. Where none can be started, the decisions stand, and the next run heeds
 * them. @throws AppError for whatever is no reason to go on without a run
 */
export async function carryOutDecisions(
  { conflictScope, sources, ...wish }: CarryOut,
  start: (wish: JobWish) => Promise<Job>,
): Promise<CarriedOut> {
  try {
    const job = await start({
      ...wish,
      kind: 'sync',
      mode: 'incremental',
      dryRun: false,
      tables: [...new Set(sources.map(formatTableName))],
      ...(conflictScope === null ? {} : { conflictScope }),
    })
    return { job }
  } catch (error) {
    if (!(error instanceof AppError) || !NOT_STARTED.includes(error.code)) throw error
    const activeJobId = error.cause instanceof RunningJob ? error.cause.jobId : null
    const note =
      activeJobId === null
        ? `No run was started: ${error.message} The next run carries out what was decided.`
        : `The job ${activeJobId} is under way: the next run carries out what it does not.`
    return { job: null, activeJobId, note }
  }
}
