import { infiniteQueryOptions, keepPreviousData, queryOptions, useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'
import type { Document } from '#features/sync-configs/document.ts'

export type SyncConfig = Schemas['SyncConfig']
export type TableDescription = Schemas['TableDescription']
export type Transform = Schemas['Transform']
export type Rule = Schemas['Rule']
export type TableValidation = Schemas['TableValidation']
export type MappingPreview = Schemas['MappingPreview']

/** All sync configs that the key may see, by name. */
export const configsQuery = queryOptions({
  queryKey: ['sync-configs'],
  queryFn: async () => (await body(api.GET('/api/v1/sync-configs', { params: { query: { limit: '1000' } } }))).items,
  staleTime: 30_000,
})

/** The sync config of an id, as soon as the list is there; undefined where there is none any more. */
export function useConfig(id: string | null): SyncConfig | undefined {
  return useQuery(configsQuery).data?.find((one) => one.id === id)
}

export function configQuery(id: string) {
  return queryOptions({
    queryKey: ['sync-configs', 'one', id],
    queryFn: () => body(api.GET('/api/v1/sync-configs/{id}', { params: { path: { id } } })),
  })
}

/** How often how things stand is asked for. */
const OVERVIEW_MS = 15_000

/** How things stand: config by config, and day by day. */
export const overviewQuery = queryOptions({
  queryKey: ['overview'],
  queryFn: () => body(api.GET('/api/v1/overview')),
  refetchInterval: OVERVIEW_MS,
})

/** What of the tables of a config had changed when they were last looked at. */
export function driftQuery(id: string) {
  return queryOptions({
    queryKey: ['sync-configs', 'drift', id],
    queryFn: () => body(api.GET('/api/v1/sync-configs/{id}/schema-drift', { params: { path: { id } } })),
  })
}

/** How often what became of a schedule is asked for. */
const SCHEDULE_MS = 5_000

/** When a config runs next, and what became of the last times. */
export function scheduleQuery(id: string) {
  return queryOptions({
    queryKey: ['sync-configs', 'schedule', id],
    queryFn: () => body(api.GET('/api/v1/sync-configs/{id}/schedule', { params: { path: { id } } })),
    refetchInterval: SCHEDULE_MS,
  })
}

export function versionsQuery(id: string) {
  return infiniteQueryOptions({
    queryKey: ['sync-configs', 'versions', id],
    queryFn: ({ pageParam: cursor }) =>
      body(
        api.GET('/api/v1/sync-configs/{id}/versions', {
          params: { path: { id }, query: { limit: '50', ...(cursor === '' ? {} : { cursor }) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next_cursor: next }) => next,
  })
}

/** The newest jobs: of one config, or of all. */
export function jobsOfQuery(configId: string | null, limit: number) {
  return queryOptions({
    queryKey: ['jobs', 'of-config', configId, limit],
    queryFn: async () => {
      const query = { limit: String(limit), ...(configId === null ? {} : { config_id: configId }) }
      return (await body(api.GET('/api/v1/jobs', { params: { query } }))).items
    },
  })
}

export function receiptQuery(jobId: string) {
  return queryOptions({
    queryKey: ['jobs', 'receipt', jobId],
    queryFn: () => body(api.GET('/api/v1/jobs/{id}/receipt', { params: { path: { id: jobId } } })),
    staleTime: Infinity,
  })
}

/** A catalogue changes seldom, and reading it asks the database. */
const CATALOGUE_MS = 5 * 60_000

/** Documents name no schema where a table is in the database that a datasource of this kind is. */
function withoutHome(found: TableDescription, { kind, database }: Schemas['Datasource']): TableDescription {
  if (kind !== 'mysql') return found
  const unnamed = (table: TableDescription['table']): TableDescription['table'] =>
    table.schema === database ? { ...table, schema: 'public' } : table
  return {
    ...found,
    table: unnamed(found.table),
    foreign_keys: found.foreign_keys.map((key) => ({ ...key, references: unnamed(key.references) })),
  }
}

/** Tables and views of a datasource, all of them, as documents name them. */
export function tablesQuery(datasource: string) {
  return queryOptions({
    queryKey: ['datasources', 'tables', datasource],
    queryFn: async () => {
      const of = await body(api.GET('/api/v1/datasources/{id}', { params: { path: { id: datasource } } }))
      const tables: TableDescription[] = []
      for (let cursor: string | null = ''; cursor !== null;) {
        const query: { limit: string; cursor?: string } = { limit: '1000', ...(cursor === '' ? {} : { cursor }) }
        const page: Schemas['SchemaAnswer'] = await body(
          api.GET('/api/v1/datasources/{id}/schema', { params: { path: { id: datasource }, query } }),
        )
        tables.push(...page.items.map((found) => withoutHome(found, of)))
        cursor = page.next_cursor
      }
      return tables
    },
    staleTime: CATALOGUE_MS,
  })
}

export const transformsQuery = queryOptions({
  queryKey: ['transforms'],
  queryFn: async () => (await body(api.GET('/api/v1/transforms'))).items,
  staleTime: Infinity,
})

export const rulesQuery = queryOptions({
  queryKey: ['rules'],
  queryFn: async () => (await body(api.GET('/api/v1/rules'))).items,
  staleTime: Infinity,
})

/** What is asked about one table of a document, as it is being written. */
interface Question {
  readonly document: Document
  readonly table: string
  readonly enabled: boolean
}

/** A pair of columns is judged anew whenever the document changes; until then what was said before stands. */
export function judgementQuery({ document, table, enabled }: Question) {
  return queryOptions({
    queryKey: ['sync-configs', 'judgement', table, document],
    queryFn: () => body(api.POST('/api/v1/sync-configs/validate', { body: { config: document, table, count: false } })),
    enabled,
    staleTime: Infinity,
    retry: false,
    placeholderData: keepPreviousData,
  })
}

export function previewQuery({ document, table, enabled, limit }: Question & { readonly limit: number }) {
  return queryOptions({
    queryKey: ['sync-configs', 'preview', table, limit, document],
    queryFn: () => body(api.POST('/api/v1/sync-configs/preview', { body: { config: document, table, limit } })),
    enabled,
    staleTime: 60_000,
    retry: false,
    placeholderData: keepPreviousData,
  })
}
