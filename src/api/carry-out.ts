import type { Context } from '#api/context.ts'
import type { RunFields } from '#api/contract/jobs.ts'
import type { Principal } from '#api/security/principal.ts'
import { requireConsent } from '#api/start.ts'
import { carryOutDecisions, type CarryOut } from '#jobs/carry-out.ts'
import type { Datasource } from '#model/datasource.ts'
import type { TableRef } from '#model/table.ts'

/** What a run would be that carries out decisions about conflicts, and what it would write to. */
export interface Carrier extends Pick<CarryOut, 'what' | 'conflictScope'> {
  readonly target: Datasource
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

/** Starts a run of the tables that were decided on. Where none can be started, the decision stands, and the next one heeds it. */
export async function carryOut(
  context: Context,
  { principal, jobId }: { principal: Principal; jobId: string },
  { what, conflictScope }: Carrier,
  { sources, fields }: { sources: readonly TableRef[]; fields: CarryOutFields },
) {
  const nothing = { job_id: null, active_job_id: null, note: null }
  if (fields.start === false || sources.length === 0) return nothing
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
  return { ...nothing, active_job_id: carried.activeJobId, note: carried.note }
}
