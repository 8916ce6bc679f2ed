import type { Context } from '#api/context.ts'
import type { RunFields } from '#api/contract/jobs.ts'
import type { Principal } from '#api/security/principal.ts'
import { requireConsent } from '#api/start.ts'
import { getJob, type Job } from '#control/jobs.ts'
import { carryOutDecisions, type CarryOut } from '#jobs/carry-out.ts'
import { conflictScopeOf } from '#jobs/conflicts.ts'
import { goOnWithDecisions, openQuestions } from '#jobs/review-job.ts'
import type { Datasource } from '#model/datasource.ts'
import type { TableRef } from '#model/table.ts'

/** What a run would be that carries out decisions about conflicts, and what it would write to. */
export interface Carrier extends Pick<CarryOut, 'what' | 'conflictScope'> {
  readonly target: Datasource
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
  const carried = await carryOutDecisions(
    {
      what,
      conflictScope,
      sources,
      allowProtectedWrite: fields.allow_protected_write ?? false,
      allowProtectedSourceWrite: fields.allow_protected_source_write ?? false,
      approvedDeletes: fields.approve_deletes ?? null,
      approvedOverwrites: fields.approve_overwrites ?? null,
    },
    (wish) => context.startJob(wish, principal.actor, jobId),
  )
  if (carried.job !== null) return { ...nothing, job_id: carried.job.id }
  const { activeJobId, note } = carried
  const waits = activeJobId === null ? null : await whatItWaitsFor(context, activeJobId)
  return { ...nothing, active_job_id: activeJobId, note: waits ?? note }
}

/** Null where the job waits for no decision. */
async function whatItWaitsFor({ store, changeSets }: Context, id: string): Promise<string | null> {
  const job = await getJob(store, id)
  if (job.status !== 'awaiting_resolution') return null
  const open = await openQuestions(changeSets, job)
  return `The job ${id} waits until everything is decided: ${open} still open. Then it carries this out.`
}
