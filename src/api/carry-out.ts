import type { Context } from '#api/context.ts'
import type { RunFields } from '#api/contract/jobs.ts'
import type { Principal } from '#api/security/principal.ts'
import { requireConsent } from '#api/start.ts'
import { RunningJob } from '#control/jobs.ts'
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

/** Starts a run of the tables that were decided on. Where none can be started, the decision stands, and the next one heeds it. */
export async function carryOut(
  context: Context,
  { principal, jobId }: { principal: Principal; jobId: string },
  { what, conflictScope }: Carrier,
  { sources, fields }: { sources: readonly TableRef[]; fields: CarryOutFields },
) {
  const nothing = { job_id: null, active_job_id: null, note: null }
  if (fields.start === false || sources.length === 0) return nothing
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
    const note =
      active === null
        ? `No run was started: ${error.message} The next run carries out what was decided.`
        : `The job ${active} is under way: the next run carries out what it does not.`
    return { ...nothing, active_job_id: active, note }
  }
}
