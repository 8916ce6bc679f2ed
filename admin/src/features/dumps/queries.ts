import { queryOptions, useInfiniteQuery } from '@tanstack/react-query'
import { api, ApiProblem, body, type Schemas } from '#api/client.ts'
import type { Datasource } from '#features/datasources/queries.ts'
import type { Filters } from '#lib/filters.ts'

export type Dump = Schemas['Dump']
export type ExportRequest = Schemas['ExportRequest']
export type ImportRequest = Schemas['ImportRequest']
export type CopyRequest = Schemas['CopyRequest']
export type DrillRequest = Schemas['DrillRequest']
export type ExportSchedule = Schemas['ExportSchedule']
export type ExportScheduleRequest = Schemas['ExportScheduleRequest']

export type DumpFilters = Filters<'origin' | 'datasource' | 'search'>

type DumpQuery = NonNullable<Parameters<typeof api.GET<'/api/v1/dumps', object>>[1]>

const PAGE = '50'

/** How often the list is asked for what somebody else makes. */
const LIST_MS = 15_000

/** Dumps of the directory, the newest first, page by page. */
export function useDumps(filters: DumpFilters) {
  return useInfiniteQuery({
    queryKey: ['dumps', 'list', filters],
    queryFn: ({ pageParam }) => {
      const query = { ...filters, limit: PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) }
      return body(api.GET('/api/v1/dumps', { params: { query } } as DumpQuery))
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor: next }) => next,
    refetchInterval: LIST_MS,
  })
}

/** The dumps that one chooses from: the newest; older ones are found by their page. */
export const choiceQuery = queryOptions({
  queryKey: ['dumps', 'choice'],
  queryFn: async () => (await body(api.GET('/api/v1/dumps', { params: { query: { limit: '1000' } } }))).items,
})

export function dumpQuery(id: string) {
  return queryOptions({
    queryKey: ['dumps', 'one', id],
    queryFn: () => body(api.GET('/api/v1/dumps/{id}', { params: { path: { id } } })),
  })
}

/** Whether a database can be dumped and restored: one of PostgreSQL that is reached as such. */
export function hasDumps({ kind, project_url: project, origin }: Datasource): boolean {
  return kind !== 'mysql' && project === null && origin !== 'ad_hoc'
}

/** Starts an import, or its plan: once for each key, however often it is sent. */
export function startImport(request: ImportRequest, once: string): Promise<Schemas['StartedJob']> {
  return body(api.POST('/api/v1/sync/import', { params: { header: { 'idempotency-key': once } }, body: request }))
}

/** Starts a copy, or its plan: as `startImport`. */
export function startCopy(request: CopyRequest, once: string): Promise<Schemas['StartedJob']> {
  return body(api.POST('/api/v1/sync/copy', { params: { header: { 'idempotency-key': once } }, body: request }))
}

/** Starts a trial of a dump: as `startImport`. */
export function startDrill(id: string, request: DrillRequest, once: string): Promise<Schemas['StartedJob']> {
  const params = { path: { id }, header: { 'idempotency-key': once } }
  return body(api.POST('/api/v1/dumps/{id}/drill', { params, body: request }))
}

export function startExport(request: ExportRequest, once: string): Promise<Schemas['StartedJob']> {
  return body(api.POST('/api/v1/sync/export', { params: { header: { 'idempotency-key': once } }, body: request }))
}

/** Databases that are exported by themselves. */
export const exportSchedulesQuery = queryOptions({
  queryKey: ['dumps', 'schedules'],
  queryFn: async () => (await body(api.GET('/api/v1/export-schedules'))).items,
  refetchInterval: LIST_MS,
})

/** When a datasource is exported by itself; null: it is not. */
export function exportScheduleQuery(id: string) {
  return queryOptions({
    queryKey: ['dumps', 'schedule', id],
    queryFn: async (): Promise<ExportSchedule | null> => {
      try {
        return await body(api.GET('/api/v1/datasources/{id}/export-schedule', { params: { path: { id } } }))
      } catch (error) {
        if (error instanceof ApiProblem && error.code === 'not_found') return null
        throw error
      }
    },
    refetchInterval: LIST_MS,
  })
}

export function keepExportSchedule(id: string, request: ExportScheduleRequest): Promise<ExportSchedule> {
  return body(api.PUT('/api/v1/datasources/{id}/export-schedule', { params: { path: { id } }, body: request }))
}

/** Holds a schedule back, lets it go on, or forgets it. */
export async function changeExportSchedule(id: string, act: 'pause' | 'resume' | 'remove'): Promise<void> {
  const params = { path: { id } }
  if (act === 'pause') await body(api.POST('/api/v1/datasources/{id}/export-schedule/pause', { params }))
  else if (act === 'resume') await body(api.POST('/api/v1/datasources/{id}/export-schedule/resume', { params }))
  else await body(api.DELETE('/api/v1/datasources/{id}/export-schedule', { params }))
}
