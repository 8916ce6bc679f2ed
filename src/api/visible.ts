import { getDatasource } from '#control/datasources.ts'
import { dumpNotFound, getDump } from '#control/dumps.ts'
import { getJob, type Job } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { getConfig, type StoredConfig } from '#control/sync-configs.ts'
import { maySee, type Actor } from '#model/access.ts'
import type { Datasource } from '#model/datasource.ts'
import type { Dump } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'

/**
 * What an actor may see, by id or by name. What lies outside the scope of a key is answered as if it were not there, in
 * the same words (S9).
 */

/** Also of one that a job brought along. @throws AppError `not_found` */
export async function visibleDatasource(store: Store, actor: Actor, idOrName: string): Promise<Datasource> {
  const found = await getDatasource(store, idOrName)
  if (!maySee(actor, found.id)) throw notFound('datasource', idOrName)
  return found
}

/** @throws AppError `not_found` */
export async function visibleConfig(store: Store, actor: Actor, idOrName: string): Promise<StoredConfig> {
  const found = await getConfig(store, idOrName)
  if (!seesConfig(actor, found)) throw notFound('sync config', idOrName)
  return found
}

function seesConfig(actor: Actor, { document }: StoredConfig): boolean {
  return maySee(actor, document.source_datasource_id) && maySee(actor, document.target_datasource_id)
}

/** @throws AppError `not_found` */
export async function visibleJob(store: Store, actor: Actor, id: string): Promise<Job> {
  const job = await getJob(store, id)
  if (!maySee(actor, job.sourceDatasourceId) || !maySee(actor, job.targetDatasourceId)) throw notFound('job', id)
  return job
}

/** What was uploaded may be of anything: keys for certain datasources do not see it. @throws AppError `not_found` */
export async function visibleDump(store: Store, actor: Actor, id: string): Promise<Dump> {
  const dump = await getDump(store, id)
  const sees = dump.datasourceId === null ? actor.datasources === null : maySee(actor, dump.datasourceId)
  if (!sees) throw dumpNotFound(id)
  return dump
}

/** For reading what may be missing: `getJob(…).catch(nullIfMissing)`. */
export function nullIfMissing(error: unknown): null {
  if (error instanceof AppError && error.code === 'not_found') return null
  throw error
}

function notFound(what: string, idOrName: string): AppError {
  return new AppError('not_found', `There is no ${what} ${idOrName}.`)
}
