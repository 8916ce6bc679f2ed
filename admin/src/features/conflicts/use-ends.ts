import { useQuery } from '@tanstack/react-query'
import { datasourcesQuery, type Datasource } from '#features/datasources/queries.ts'
import { jobQuery } from '#features/jobs/queries.ts'
import { configsQuery, type SyncConfig } from '#features/sync-configs/queries.ts'
import type { Place } from '#features/conflicts/queries.ts'

/** Between what conflicts are, as far as it is known already. */
export interface SyncEnds {
  readonly config: SyncConfig | undefined
  readonly source: Datasource | undefined
  readonly target: Datasource | undefined
  /** What is decided for the target reaches the source too. */
  readonly twoWay: boolean
}

export function useEnds(place: Place | null): SyncEnds {
  const configs = useQuery(configsQuery).data
  const datasources = useQuery(datasourcesQuery).data
  const jobId = place !== null && 'job' in place ? place.job : ''
  const job = useQuery({ ...jobQuery(jobId), enabled: jobId !== '' }).data
  const config = place !== null && 'config' in place ? configs?.find(({ id }) => id === place.config) : undefined
  const ends = config ?? job
  const find = (wanted: string | undefined): Datasource | undefined => datasources?.find(({ id }) => id === wanted)
  return {
    config,
    source: find(ends?.source_datasource_id),
    target: find(ends?.target_datasource_id),
    twoWay: config?.direction === 'two_way',
  }
}
