import { useQuery } from '@tanstack/react-query'
import { Link } from '@tanstack/react-router'
import { useIsUnscoped, useMay } from '#app/session.ts'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { keysQuery } from '#features/settings/queries.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'

/** What something was done to, by its name where it is still there, and as a way to it. */
export function Subject({ id }: { readonly id: string | null }) {
  const { data: datasources = [] } = useQuery(datasourcesQuery)
  const { data: configs = [] } = useQuery(configsQuery)
  const isAdmin = useMay('admin')
  const isUnscoped = useIsUnscoped()
  const isKey = id?.startsWith('key_') === true
  const { data: keys = [] } = useQuery({ ...keysQuery, enabled: isKey && isAdmin && isUnscoped })
  if (id === null) return <span className="quiet">–</span>
  const datasource = datasources.find((one) => one.id === id)
  if (datasource !== undefined) {
    return (
      <Link to="/datasources/$id" params={{ id }} className="plain-link">
        {datasource.name}
      </Link>
    )
  }
  const config = configs.find((one) => one.id === id)
  if (config !== undefined) {
    return (
      <Link to={`/sync-configs/${id}` as string} className="plain-link">
        {config.name}
      </Link>
    )
  }
  const key = keys.find((one) => one.id === id)
  if (key !== undefined) return <>{key.name}</>
  if (id.startsWith('job_')) return <JobLink id={id} />
  if (id.startsWith('dmp_')) {
    return (
      <Link to={`/dumps/${id}` as string} className="plain-link mono" title={id}>
        dump …{id.slice(-8)}
      </Link>
    )
  }
  return (
    <span className="mono cut" style={{ maxWidth: 220 }} title={id}>
      {id}
    </span>
  )
}

export function JobLink({ id }: { readonly id: string }) {
  return (
    <Link to={`/jobs/${id}` as string} className="plain-link mono" title={id}>
      {shortJob(id)}
    </Link>
  )
}

/** Ids of jobs begin alike for weeks: their ends tell them apart. */
export function shortJob(id: string): string {
  return `job …${id.slice(-8)}`
}
