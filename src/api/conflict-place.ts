import type { Carrier } from '#api/carry-out.ts'
import type { Context } from '#api/context.ts'
import { intendedAgain } from '#api/start.ts'
import { nullIfMissing, visibleConfig, visibleDatasource, visibleJob } from '#api/visible.ts'
import { conflictNotFound, getConflict, type ConflictFilter, type OpenedConflict } from '#control/conflict-list.ts'
import { conflictScopeOf } from '#jobs/conflicts.ts'
import type { Actor } from '#model/access.ts'

/** Which conflicts, and what carries out what is decided of them. */
export interface ConflictPlace extends Carrier {
  readonly filter: ConflictFilter
  /** What the audit log knows a decision about many by. */
  readonly subject: string
}

export async function placeOfConfig(context: Context, actor: Actor, idOrOwnName: string): Promise<ConflictPlace> {
  const { store } = context
  const { id, document } = await visibleConfig(store, actor, idOrOwnName)
  const target = await visibleDatasource(store, actor, document.target_datasource_id)
  return { filter: { scope: id }, subject: id, what: { config: id }, target, conflictScope: null, scope: id }
}

export async function placeOfJob(context: Context, actor: Actor, id: string): Promise<ConflictPlace> {
  const { store } = context
  const job = await visibleJob(store, actor, id)
  const { what, targetId } = await intendedAgain(context, job)
  const target = await visibleDatasource(store, actor, targetId)
  const scope = conflictScopeOf(job)
  const conflictScope = job.configId === scope ? null : scope
  return { filter: { scope, jobId: id }, subject: id, what, target, conflictScope, scope }
}

/** A conflict is there for whoever may see its job, or its sync config. @throws AppError `not_found` */
export async function visibleConflict(context: Context, actor: Actor, id: string): Promise<OpenedConflict> {
  const { store } = context
  const found = await getConflict(context, id)
  const job = await visibleJob(store, actor, found.lastJobId).catch(nullIfMissing)
  if (job !== null) return found
  const config = found.configId === null ? null : await visibleConfig(store, actor, found.configId).catch(nullIfMissing)
  if (config === null) throw conflictNotFound(id)
  return found
}
