import { addMs } from '#lib/clock.ts'
import type { StagingKind } from '#model/change-set.ts'
import { AppError } from '#model/errors.ts'
import { STAGING_KINDS } from '#model/change-set.ts'
import { endChangeSet } from './approve-changes.ts'
import { placesOf, type ChangeSetTools } from './change-set-tools.ts'
import { removeChunks } from './change-sets.ts'
import type { Generation } from './chunk-store.ts'

/** Generations whose rows are looked up at once. */
const PAGE = 500

/**
 * Removes what nobody needs any more: chunks of jobs that are gone and of generations that are not the present one, change
 * sets of jobs that were cancelled, or whose taker was, and those that nobody has approved for so long. Returns how many were removed. A place
 * that does not answer is left for the next time.
 */
export async function sweepChangeSets(
  tools: ChangeSetTools,
  { maxAgeMs }: { readonly maxAgeMs: number },
): Promise<number> {
  const { store } = tools
  const before = addMs(await store.now(store.db), -maxAgeMs)
  const unneeded = await store.db
    .selectFrom('change_set')
    .innerJoin('job', 'job.id', 'change_set.job_id')
    .leftJoin('job as taker', 'taker.id', 'change_set.taken_by')
    .select('change_set.job_id')
    .where('state', 'in', ['building', 'ready', 'lost'])
    .where((where) =>
      where.or([
        where('job.status', '=', 'cancelled'),
        where('taker.status', '=', 'cancelled'),
        where.and([where('job.status', '=', 'succeeded'), where('state', 'in', ['building', 'lost'])]),
        where.and([
          where('state', '=', 'ready'),
          where('approved_at', 'is', null),
          where('taken_by', 'is', null),
          where('sealed_at', '<', before),
          // Those that a job waits with have a time of their own: `expireWaiting`.
          where('job.status', 'not in', ['awaiting_approval', 'awaiting_resolution']),
        ]),
      ]),
    )
    .execute()
  for (const { job_id: jobId } of unneeded) await endChangeSet(tools, jobId, 'expired')
  let removed = unneeded.length
  for (const staging of STAGING_KINDS) {
    if (staging === 'redis' && tools.redis === null) continue
    try {
      removed += await sweepPlace(tools, staging)
    } catch (error) {
      if (!(error instanceof AppError) || error.code !== 'redis_unavailable') throw error
    }
  }
  return removed
}

async function sweepPlace(tools: ChangeSetTools, staging: StagingKind): Promise<number> {
  let removed = 0
  for await (const kept of placesOf(tools, staging).list()) {
    for (let start = 0; start < kept.length; start += PAGE) {
      for (const set of await leftovers(tools, kept.slice(start, start + PAGE), staging)) {
        await removeChunks(tools, { ...set, staging })
        removed += 1
      }
    }
  }
  await freeSpace(tools, staging)
  return removed
}

/** Those that are not of a change set that is being computed or can be read. Listed before looked up: one that began since is not among them. */
async function leftovers(
  { store }: ChangeSetTools,
  kept: readonly Generation[],
  staging: StagingKind,
): Promise<readonly Generation[]> {
  const rows = await store.db
    .selectFrom('change_set')
    .select(['job_id', 'generation'])
    .where('job_id', 'in', [...new Set(kept.map(({ jobId }) => jobId))])
    .where('staging', '=', staging)
    .where('state', 'in', ['building', 'ready'])
    .execute()
  const live = new Set(rows.map(({ job_id: jobId, generation }) => `${jobId} ${generation}`))
  return kept.filter(({ jobId, generation }) => !live.has(`${jobId} ${generation}`))
}

/** What has ended and was removed takes up nothing. */
async function freeSpace({ store }: ChangeSetTools, staging: StagingKind): Promise<void> {
  await store.db
    .updateTable('change_set')
    .set({ held_bytes: 0 })
    .where('staging', '=', staging)
    .where('state', 'in', ['applied', 'lost', 'expired'])
    .where('held_bytes', '>', 0)
    .execute()
}
