import { useQuery } from '@tanstack/react-query'
import { useMemo } from 'react'
import { isActive, type Job } from '#features/jobs/queries.ts'
import { jobsOfQuery } from '#features/sync-configs/queries.ts'

export interface LastRun {
  readonly job: Job
  /** When the target was last brought in step; null: not among the newest jobs. */
  readonly freshAt: string | null
}

/** Of so many of the newest jobs. */
const LOOKED_AT = 1_000

/** A list need not be told of each second of a run. */
const WHILE_RUNNING_MS = 2_000

/** The last job of each sync config, and how fresh the target of each is. Undefined until it is known. */
export function useLastRuns(): ReadonlyMap<string, LastRun> | undefined {
  const { data } = useQuery({
    ...jobsOfQuery(null, LOOKED_AT),
    refetchInterval: ({ state }) => (state.data?.some(isActive) ? WHILE_RUNNING_MS : false),
  })
  return useMemo(() => data && lastRunsOf(data), [data])
}

/** Jobs come the newest first. */
export function lastRunsOf(jobs: readonly Job[]): ReadonlyMap<string, LastRun> {
  const found = new Map<string, LastRun>()
  for (const job of jobs) {
    if (job.config_id === null) continue
    const last = found.get(job.config_id) ?? { job, freshAt: null }
    found.set(job.config_id, { ...last, freshAt: last.freshAt ?? (isInStep(job) ? job.started_at : null) })
  }
  return found
}

/** After it the target was as the source had been when it began. */
export function isInStep({ kind, status, dry_run: dry, tables }: Job): boolean {
  return kind === 'sync' && status === 'succeeded' && !dry && tables === null
}
