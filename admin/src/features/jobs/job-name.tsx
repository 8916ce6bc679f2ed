import { queryOptions, useQuery } from '@tanstack/react-query'
import { api, body } from '#api/client.ts'
import { useDatasource, type Datasource } from '#features/datasources/queries.ts'
import type { Job } from '#features/jobs/queries.ts'
import { useConfig } from '#features/sync-configs/queries.ts'
import { Dialog } from '#ui/dialog.tsx'
import { Environment } from '#ui/mark.tsx'
import { Problem } from '#ui/problem.tsx'

/** Of one that no list has: a job of two connections brought it along. */
function lonelyQuery(id: string) {
  return queryOptions({
    queryKey: ['datasources', 'one', id],
    queryFn: () => body(api.GET('/api/v1/datasources/{id}', { params: { path: { id } } })),
    staleTime: 300_000,
    retry: false,
  })
}

/** Any datasource of a job, also one that it brought along. */
export function useAnyDatasource(id: string): Datasource | undefined {
  const listed = useDatasource(id)
  const lonely = useQuery({ ...lonelyQuery(id), enabled: listed === undefined })
  return listed ?? lonely.data
}

interface UnreadDatasourceProps {
  readonly id: string
  /** Of the dialog that needed it; without it the cause stands where the page would. */
  readonly onClose?: () => void
}

/** In the place of what needs a datasource of a job, until it is there: why it cannot be, as where somebody has removed it. */
export function UnreadDatasource({ id, onClose }: UnreadDatasourceProps) {
  const { error, refetch } = useQuery(lonelyQuery(id))
  if (error === null) return null
  const problem = <Problem error={error} retry={() => void refetch()} />
  if (onClose === undefined) return problem
  return (
    <Dialog title="A datasource of the job cannot be read" onClose={onClose}>
      {problem}
    </Dialog>
  )
}

/** As people know it: one that a job brought along by its database, which has no name of its own. */
export function nameOfDatasource({ origin, database, name }: Datasource): string {
  return origin === 'ad_hoc' ? database : name
}

interface EndsProps {
  readonly job: Pick<Job, 'kind' | 'source_datasource_id' | 'target_datasource_id'>
  /** With the environments, where they matter. */
  readonly marked?: boolean
}

/** Source left, target right; what is undone or imported has a target alone, what is exported a source. */
export function Ends({ job, marked = false }: EndsProps) {
  const { kind, source_datasource_id: source, target_datasource_id: target } = job
  if (kind === 'export') return <End id={source} marked={marked} />
  if (kind === 'revert' || kind === 'import' || kind === 'drill') return <End id={target} marked={marked} />
  return (
    <span>
      <End id={source} marked={marked} />
      {' → '}
      <End id={target} marked={marked} />
    </span>
  )
}

function End({ id, marked }: { readonly id: string; readonly marked: boolean }) {
  const datasource = useAnyDatasource(id)
  if (datasource === undefined) return <span className="quiet">{id}</span>
  const environment = datasource.effective_environment
  return (
    <span>
      {nameOfDatasource(datasource)}
      {marked && environment !== 'local' && (
        <>
          {' '}
          <Environment name={environment} />
        </>
      )}
    </span>
  )
}

/** What a job is called: by its sync config, else by its two ends. */
export function useJobTitle(job: Job): string {
  const config = useConfig(job.config_id)
  const [source, target] = [useAnyDatasource(job.source_datasource_id), useAnyDatasource(job.target_datasource_id)]
  if (config !== undefined) return config.name
  if (source === undefined || target === undefined) return job.id
  if (job.kind === 'export') return `Export of ${nameOfDatasource(source)}`
  if (job.kind === 'drill') return `Trial of a dump on ${nameOfDatasource(target)}`
  if (job.kind === 'import') return `Import into ${nameOfDatasource(target)}`
  return `${nameOfDatasource(source)} → ${nameOfDatasource(target)}`
}

export function JobName({ job }: { readonly job: Job }) {
  return useJobTitle(job)
}
