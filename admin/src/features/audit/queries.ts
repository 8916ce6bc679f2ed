import { infiniteQueryOptions, keepPreviousData, queryOptions } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'
import { momentsOf } from '#features/audit/span.ts'
import { given, type TextSearch } from '#lib/search.ts'

export type AuditEvent = Schemas['AuditEvent']

/** What the address of the page says. */
export type AuditSearch = TextSearch<
  'tab' | 'search' | 'action' | 'actor' | 'since' | 'until' | 'datasource' | 'config' | 'job' | 'table' | 'key' | 'op'
>

/** What of it says which events are meant. */
function filterOf({ search, action, actor, since = '', until = '', datasource, config, job }: AuditSearch) {
  return given({ search, action, actor, datasource, config, job, ...momentsOf({ since, until }) })
}

export function eventsQuery(search: AuditSearch) {
  const filter = filterOf(search)
  return infiniteQueryOptions({
    queryKey: ['audit', 'events', filter],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/audit', { params: { query: { limit: '100', ...filter, ...given({ cursor: pageParam }) } } }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next_cursor: next }) => next ?? undefined,
    placeholderData: keepPreviousData,
  })
}

export function statsQuery(search: AuditSearch) {
  const filter = filterOf(search)
  return queryOptions({
    queryKey: ['audit', 'stats', filter],
    queryFn: () => body(api.GET('/api/v1/audit/stats', { params: { query: filter } })),
    placeholderData: keepPreviousData,
  })
}

/** The newest jobs, to choose one of. */
export const recentJobsQuery = queryOptions({
  queryKey: ['jobs', 'recent'],
  queryFn: async () => (await body(api.GET('/api/v1/jobs', { params: { query: { limit: '100' } } }))).items,
})

const OPERATIONS = ['insert', 'update', 'delete'] as const

export function operationOf(text: string | undefined): (typeof OPERATIONS)[number] | undefined {
  return OPERATIONS.find((one) => one === text)
}

/** What one job wrote, row by row. */
export function writtenQuery(id: string, { table, key, op }: AuditSearch) {
  const operation = operationOf(op)
  const filter = { ...given({ table, key }), ...(operation === undefined ? {} : { op: operation }) }
  return infiniteQueryOptions({
    queryKey: ['audit', 'written', id, filter],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/jobs/{id}/history', {
          params: { path: { id }, query: { limit: '100', ...filter, ...given({ cursor: pageParam }) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next_cursor: next }) => next ?? undefined,
    placeholderData: keepPreviousData,
  })
}

/** Every change of one key by any job. */
export function rowQuery(place: {
  readonly config: string
  readonly datasource: string
  readonly table: string
  readonly key: string
}) {
  const { config, datasource, table, key } = place
  return infiniteQueryOptions({
    queryKey: ['audit', 'row', place],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/history', {
          params: { query: { table, key, ...given({ config, datasource, cursor: pageParam }) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next_cursor: next }) => next ?? undefined,
    enabled: table !== '' && key !== '' && (config === '') !== (datasource === ''),
  })
}
