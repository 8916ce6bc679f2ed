import type { Context } from '#api/context.ts'
import type { RunFields } from '#api/contract/jobs.ts'
import type { Principal } from '#api/security/principal.ts'
import { requireConsent } from '#api/start.ts'
import { getJob, RunningJob, type Job } from '#control/jobs.ts'
import { conflictScopeOf } from '#jobs/conflicts.ts'
import { goOnWithDecisions, openQuestions } from '#jobs/review-job.ts'
import type { JobWish } from '#jobs/start-job.ts'
import type { Datasource } from '#model/datasource.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import { formatTableName } from '#model/table-pattern.ts'

/** What a run would be that carries out decisions about conflicts. */
export interface Carrier {
  readonly what: JobWish['what']
  readonly target: Datasource
  /** Where the conflicts are known, if that is not the sync config. */
  readonly conflictScope: string | null
  /** Where the conflicts are known. */
  readonly scope: string
}

export type CarryOutFields = Pick<
  RunFields,
  'allow_protected_write' | 'allow_protected_source_write' | 'approve_deletes' | 'approve_overwrites'
> & {
  readonly confirm?: string | undefined
  readonly start?: boolean | undefined
}

/** What keeps a run from being started, and not a decision from being made. */
const NOT_STARTED: readonly ErrorCode[] = [
  'already_running',
  'target_not_writable',
  'target_protected',
  'forbidden',
  'not_found',
]

/** What must be given before anything is decided. @throws AppError `confirmation_needed` */
export function requireCarryOutConsent(
  context: Context,
  principal: Principal,
  { target }: Carrier,
  fields: CarryOutFields,
): void {
  if (fields.start !== false) requireConsent(context, principal, { kind: 'sync', target, fields })
}

/**
 * Lets the job go on that waited for the last of these decisions, or starts a run of the tables that were decided on. Where
 * none can be started, the decision stands, and the next one heeds it.
 */
export async function carryOut(
  context: Context,
  { principal, jobId }: { principal: Principal; jobId: string },
  { what, conflictScope, scope }: Carrier,
  { sources, fields }: { sources: readonly TableRef[]; fields: CarryOutFields },
) {
  const nothing = { job_id: null, active_job_id: null, note: null }
  if (sources.length === 0) return nothing
  const isOfScope = (job: Job): boolean => conflictScopeOf(job) === scope
  const [going] = await goOnWithDecisions(context.changeSets, principal.actor, isOfScope)
  if (going !== undefined) return { ...nothing, job_id: going.id }
  if (fields.start === false) return nothing
  const wish: JobWish = {
    kind: 'sync',
    what,
    mode: 'incremental',
    dryRun: false,
    tables: [...new Set(sources.map(formatTableName))],
    allowProtectedWrite: fields.allow_protected_write ?? false,
    allowProtectedSourceWrite: fields.allow_protected_source_write ?? false,
    approvedDeletes: fields.approve_deletes ?? null,
    approvedOverwrites: fields.approve_overwrites ?? null,
    ...(conflictScope === null ? {} : { conflictScope }),
  }
  try {
    const job = await context.startJob(wish, principal.actor, jobId)
    return { ...nothing, job_id: job.id }
  } catch (error) {
    if (!(error instanceof AppError) || !NOT_STARTED.includes(error.code)) throw error
    const active = error.cause instanceof RunningJob ? error.cause.jobId : null
    return { ...nothing, active_job_id: active, note: await noteOf(context, active, error) }
  }
}

async function noteOf({ store, changeSets }: Context, active: string | null, { message }: AppError): Promise<string> {
  if (active === null) return `No run was started: ${message} The next run carries out what was decided.`
  const job = await getJob(store, active)
  if (job.status !== 'awaiting_resolution') {
    return `The job ${active} is under way: the next run carries out what it does not.`
  }
  const open = await openQuestions(changeSets, job)
  return `The job ${active} waits until everything is decided: ${open} still open. Then it carries this out.`
}
