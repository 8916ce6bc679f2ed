import {
  infiniteQueryOptions,
  queryOptions,
  useInfiniteQuery,
  useQuery,
  useQueryClient,
  type UseQueryResult,
} from '@tanstack/react-query'
import { useEffect } from 'react'
import { api, body, type Schemas } from '#api/client.ts'
import { followEvents } from '#features/jobs/follow-events.ts'
import type { Filters } from '#lib/filters.ts'

export type Job = Schemas['Job']
export type Change = Schemas['Change']
export type ChangeSummary = Schemas['ChangeSummary']
export type ChangedTable = Schemas['ChangedTable']
export type JobEvent = Schemas['JobEvent']

const ACTIVE: readonly Job['status'][] = ['queued', 'running', 'awaiting_resolution', 'awaiting_approval', 'stopping']

export function isActive({ status }: Pick<Job, 'status'>): boolean {
  return ACTIVE.includes(status)
}

export type JobFilters = Filters<'status' | 'kind' | 'config_id' | 'datasource'>

type JobQuery = NonNullable<Parameters<typeof api.GET<'/api/v1/jobs', object>>[1]>

const PAGE = '50'

/** The most that the service gives at once. */
const MOST = '1000'

/** While something of a list is under way it is asked for again this often, else for what somebody else starts. */
const LIST_MS = 2_000
const IDLE_LIST_MS = 15_000

/** Jobs, the newest first, page by page; live while one of them is under way. */
export function useJobs(filters: JobFilters) {
  return useInfiniteQuery({
    queryKey: ['jobs', 'list', filters],
    queryFn: ({ pageParam }) => {
      const query = { ...filters, limit: PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) }
      return body(api.GET('/api/v1/jobs', { params: { query } } as JobQuery))
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor: next }) => next,
    refetchInterval: ({ state }) =>
      state.data?.pages.some(({ items }) => items.some(isActive)) === true ? LIST_MS : IDLE_LIST_MS,
  })
}

export function jobQuery(id: string) {
  return queryOptions({
    queryKey: ['jobs', 'one', id],
    queryFn: () => body(api.GET('/api/v1/jobs/{id}', { params: { path: { id } } })),
  })
}

/** While events come, the job is asked for this often at the most. */
const PAUSE_MS = 300

/** Where no stream gets through, a job that runs is asked for this often. */
const POLL_MS = 3_000

/**
 * A job as it is at this moment. Its stream tells where it is and that something happened; what happened is asked for then.
 * Over a service that is away for a while the last known state stays, with the error beside it.
 */
export function useLiveJob(id: string): UseQueryResult<Job> {
  const client = useQueryClient()
  const job = useQuery({
    ...jobQuery(id),
    refetchInterval: ({ state }) => (state.data !== undefined && isActive(state.data) ? POLL_MS : false),
  })
  const follows = job.data !== undefined && isActive(job.data)
  const from = job.data?.last_event ?? 0
  useEffect(() => {
    if (!follows) return undefined
    let timer: ReturnType<typeof setTimeout> | undefined
    const look = (): void => {
      timer ??= setTimeout(() => {
        timer = undefined
        // A request that is under way may have read what was before: it is asked again, not waited for.
        void client.invalidateQueries({ queryKey: ['jobs'] })
      }, PAUSE_MS)
    }
    const end = followEvents(id, from, {
      onProgress: (progress) =>
        client.setQueryData(jobQuery(id).queryKey, (old) => (old === undefined ? old : { ...old, progress })),
      onEvent: look,
      onEnd: look,
    })
    return () => {
      end()
      clearTimeout(timer)
    }
    // The stream goes on from where it began: a later number does not open another one.
    // oxlint-disable-next-line react/exhaustive-deps
  }, [id, follows, client])
  return job
}

/** The whole log of a job. What is there already is kept, and only what came after it is asked for. */
export function useJobLog(id: string): UseQueryResult<readonly JobEvent[]> {
  const client = useQueryClient()
  const queryKey = ['jobs', 'log', id] as const
  return useQuery<readonly JobEvent[]>({
    queryKey,
    queryFn: async () => {
      const known = client.getQueryData<readonly JobEvent[]>(queryKey) ?? []
      const after = String(known.at(-1)?.seq ?? 0)
      const fresh: JobEvent[] = []
      let cursor: string | null = null
      do {
        const page: Schemas['JobLogPage'] = await readLog(id, { after, ...(cursor === null ? {} : { cursor }) })
        fresh.push(...page.items)
        cursor = page.next_cursor
      } while (cursor !== null)
      return fresh.length === 0 ? known : [...known, ...fresh]
    },
    structuralSharing: false,
  })
}

function readLog(id: string, place: { readonly after: string; readonly cursor?: string }) {
  const params = { path: { id }, query: { limit: '1000', ...place } }
  return body(api.GET('/api/v1/jobs/{id}/log', { params }))
}

export type ChangeFilters = Filters<'table' | 'op' | 'column' | 'key' | 'mark'>

/** What the changes of a job come to, without them. */
export function changeSummaryQuery(id: string) {
  return queryOptions({
    queryKey: ['jobs', 'changes', id, 'summary'],
    queryFn: async () => {
      const params = { path: { id }, query: { limit: '1' } }
      return (await body(api.GET('/api/v1/jobs/{id}/changes', { params }))).summary
    },
    // The job may be over before anybody hears of its end.
    refetchInterval: ({ state }) => (state.data?.state === 'building' ? POLL_MS : false),
    retry: false,
  })
}

/** The changes of a job, in the order in which they are applied, page by page. */
export function changesQuery(id: string, filters: ChangeFilters) {
  return infiniteQueryOptions({
    queryKey: ['jobs', 'changes', id, 'rows', filters],
    queryFn: ({ pageParam }) => {
      // Whoever wants more than the first of them wants many.
      const query = pageParam === null ? { ...filters, limit: PAGE } : { ...filters, limit: MOST, cursor: pageParam }
      return body(api.GET('/api/v1/jobs/{id}/changes', { params: { path: { id }, query } }))
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor: next }) => next,
  })
}

export type RejectionFilters = Filters<'table' | 'status' | 'column' | 'code'>

/** Rows that a job set aside, in their order, page by page, and what caused them. */
export function useRejections(id: string, filters: RejectionFilters) {
  return useInfiniteQuery({
    queryKey: ['jobs', 'rejections', id, filters],
    queryFn: ({ pageParam }) => {
      const query = { ...filters, limit: PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) }
      return body(api.GET('/api/v1/jobs/{id}/rejections', { params: { path: { id }, query } }))
    },
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor: next }) => next,
  })
}

export function receiptQuery(id: string) {
  return queryOptions({
    queryKey: ['jobs', 'receipt', id],
    queryFn: () => body(api.GET('/api/v1/jobs/{id}/receipt', { params: { path: { id } } })),
  })
}

/** Conflicts that a job found first or last, by what caused them. */
export function jobConflictsQuery(jobId: string) {
  return queryOptions({
    queryKey: ['jobs', 'conflicts', jobId],
    queryFn: async () => {
      const params = { path: { jobId }, query: { limit: '1' } }
      return (await body(api.GET('/api/v1/sync/conflicts/{jobId}', { params }))).groups
    },
  })
}
