import type { Job } from '#control/jobs.ts'
import { newestUntried } from '#control/dumps.ts'
import { getDatasource } from '#control/datasources.ts'
import type { Store } from '#control/store.ts'
import { SYSTEM, type Actor } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { BY_ITSELF, type JobWish } from './start-job.ts'

export interface DrillPlan {
  /** On whose server: a datasource, by id or name. */
  readonly into: string
  /** The dumps may do whatever the login may. */
  readonly trusted: boolean
}

/** What became of it: a trial that was started, or why none was. */
export type DrillStart =
  | { readonly dump: string; readonly jobId: string }
  | { readonly dump: string; readonly refused: AppError }

/**
 * Starts a trial of the newest export of each datasource, once: also where a trial came to no end, nobody tries it again by
 * himself. What is sealed is left to people, who have the passphrase.
 * @throws AppError `not_found` where there is no such datasource
 */
export async function drillNewest(
  store: Store,
  { into, trusted }: DrillPlan,
  startJob: (wish: JobWish, actor: Actor) => Promise<Job>,
): Promise<readonly DrillStart[]> {
  const { id: target } = await getDatasource(store, into)
  const started: DrillStart[] = []
  for (const { id: dump } of await newestUntried(store)) {
    const wish: JobWish = {
      ...BY_ITSELF,
      kind: 'drill',
      what: { source: target, target, policies: {} },
      drill: { dump, trusted, owners: false, grants: false, passphrase: null },
    }
    try {
      started.push({ dump, jobId: (await startJob(wish, SYSTEM)).id })
    } catch (error) {
      if (!(error instanceof AppError)) throw error
      started.push({ dump, refused: error })
    }
  }
  return started
}
