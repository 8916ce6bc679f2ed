import { toPolicies } from '#model/config-document.ts'
import type { JobRequest } from '#model/job-request.ts'
import type { Policies } from '#model/sync-config.ts'

/**
 * The budget of connections. A run that does `n` things at once holds at most `3 n + 3` connections to each side: a shared
 * snapshot has one that exports it and up to three readers for each thing under way, the writer two for each and a guard,
 * and one more looks at definitions; readers and writer are not at work at the same time. So that one job never shuts all others out, it may hold half of a datasource's pool, and what it does at once is cut down
 * to that; jobs are claimed only while what all of them may hold fits into the pool (`claimNextJob`). A pool of fewer
 * than 6 connections is exceeded, by one job at a time.
 */
function connectionsOf(parallel: number, { direction }: Pick<Policies, 'direction'>): number {
  return ways(direction) * (3 * parallel + 3)
}

/** In two ways each side is read while it is written. */
function ways(direction: Policies['direction']): number {
  return direction === 'two_way' ? 2 : 1
}

/** Connections that a job may hold open to each of its datasources, which have these pool sizes. */
export function shareOf(request: JobRequest, poolSizes: readonly number[]): number {
  const policies = fitPolicies(toPolicies(request.policies), poolSizes)
  return connectionsOf(policies.parallel, policies)
}

/** Policies that keep within what both datasources allow. */
export function fitPolicies<P extends Policies>(policies: P, poolSizes: readonly number[]): P {
  const parallel = Math.min(policies.parallel, ...poolSizes.map((size) => mostParallel(size, policies)))
  const within = (wanted: number | null): number => Math.min(wanted ?? parallel, parallel)
  return {
    ...policies,
    parallel,
    parallelTables: within(policies.parallelTables),
    parallelPieces: within(policies.parallelPieces),
  }
}

function mostParallel(poolSize: number, { direction }: Pick<Policies, 'direction'>): number {
  return Math.max(1, Math.floor((Math.floor(poolSize / (2 * ways(direction))) - 3) / 3))
}
