import { toPolicies, type ConfigPolicies } from '#model/config-document.ts'
import type { ReadingOptions } from '#model/dump.ts'
import type { JobRequest } from '#model/job-request.ts'
import type { Policies } from '#model/sync-config.ts'

/**
 * The budget of connections. A run that does `n` things at once holds at most `3 n + 3` connections to each side: a shared
 * snapshot has one that exports it and two readers for each thing under way, the writer two for each and a guard, and one
 * more looks at definitions; not all of them are at work at the same time. Where both sides are held against a baseline, a
 * third reader reads that. So that one job never shuts all others out, it may hold half of a datasource's pool, and what it
 * does at once is cut down to that; jobs are claimed only while what all of them may hold fits into the pool
 * (`claimNextJob`). A pool of fewer than 6 connections, or 7 with a baseline, is exceeded, by one job at a time.
 */
function connectionsOf(parallel: number, { ways, each }: Need): number {
  return ways * (each * parallel + REST)
}

const REST = 3
/** That restores a dump, and that reads what it replaces. */
const IMPORTING = 2

interface Need {
  /** In two ways each side is read while it is written. */
  readonly ways: 1 | 2
  /** For each thing that is under way. */
  readonly each: 3 | 4
}

function needOf({ direction, conflict_strategy: strategy, tables = [] }: ConfigPolicies): Need {
  const strategies = [strategy, ...tables.map((table) => (typeof table === 'string' ? null : table.conflict_strategy))]
  const isTwoWay = direction === 'two_way'
  const holdsBaseline = isTwoWay || strategies.some((one) => (one ?? 'source_wins') !== 'source_wins')
  return { ways: isTwoWay ? 2 : 1, each: holdsBaseline ? 4 : 3 }
}

/** Connections that a job may hold open to each of its datasources, which have these pool sizes. */
export function shareOf(request: JobRequest, poolSizes: readonly number[]): number {
  const { policies: document, export: dump, copy } = request
  // One restores, while those of an export keep what is replaced.
  if (request.import !== undefined || request.drill !== undefined) return IMPORTING + REST
  if (copy !== undefined) return Math.max(IMPORTING, exportReaders(copy.options, Math.min(...poolSizes))) + REST
  if (dump !== undefined) return exportReaders(dump, Math.min(...poolSizes)) + REST
  return connectionsOf(fitPolicies(toPolicies(document), { document, poolSizes }).parallel, needOf(document))
}

/** Policies that keep within what both datasources allow; `document`: what they were made of. */
export function fitPolicies<P extends Policies>(
  policies: P,
  { document, poolSizes }: { document: ConfigPolicies; poolSizes: readonly number[] },
): P {
  const need = needOf(document)
  const parallel = Math.min(policies.parallel, ...poolSizes.map((size) => mostParallel(size, need)))
  const within = (wanted: number | null): number => Math.min(wanted ?? parallel, parallel)
  return {
    ...policies,
    parallel,
    parallelTables: within(policies.parallelTables),
    parallelPieces: within(policies.parallelPieces),
  }
}

function mostParallel(poolSize: number, { ways, each }: Need): number {
  return Math.max(1, Math.floor((Math.floor(poolSize / (2 * ways)) - REST) / each))
}

/** Tables that an export reads at once: beside them one connection holds the moment, and two read the definitions before. */
export function exportReaders({ parallel }: Pick<ReadingOptions, 'parallel'>, poolSize: number): number {
  return Math.max(1, Math.min(parallel, Math.floor(poolSize / 2) - REST))
}
