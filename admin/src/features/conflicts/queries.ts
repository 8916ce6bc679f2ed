import { infiniteQueryOptions, queryOptions } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'

export type Conflict = Schemas['Conflict']
export type ConflictEntry = Schemas['ConflictEntry']
type ConflictPage = Schemas['ConflictPage']
export type ConflictGroup = ConflictPage['groups'][number]
export type Resolution = Schemas['ResolveRequest']['take']
export type ConflictRule = Schemas['ConflictRules']['items'][number]
/** A decision about one conflict. */
export type Choice = Pick<Schemas['ResolveRequest'], 'take' | 'values' | 'rest'>

/** Which conflicts, by the words of the page's address. */
export interface Filter {
  readonly status?: string
  readonly config?: string
  readonly job?: string
  readonly table?: string
  readonly kind?: string
  readonly field?: string
  /** A JSON list: these very columns. */
  readonly fields?: string
  readonly key?: string
}

/** What a list shows where nothing else is said: all that is not settled yet. */
const PENDING = 'open,resolved'

/** The status under which everything is shown. */
export const ALL = 'all'

const PAGE = '500'

function queryOf({ status = PENDING, ...filter }: Filter) {
  return { ...filter, ...(status === ALL ? {} : { status }) }
}

/** Conflicts in the order in which they were found, page by page. */
export function conflictsQuery(filter: Filter) {
  return infiniteQueryOptions({
    queryKey: ['conflicts', 'list', filter],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/conflicts', {
          params: { query: { ...queryOf(filter), limit: PAGE, ...(pageParam === null ? {} : { cursor: pageParam }) } },
        }),
      ),
    initialPageParam: null as string | null,
    getNextPageParam: ({ next_cursor: next }) => next,
    // Who decides one after the other wants the list to stay as it is meanwhile.
    refetchOnWindowFocus: false,
    staleTime: 60_000,
  })
}

/** How many there are, by status and by what caused them. */
export function summaryQuery(filter: Filter) {
  return queryOptions({
    queryKey: ['conflicts', 'summary', filter],
    queryFn: () => body(api.GET('/api/v1/conflicts', { params: { query: { ...queryOf(filter), limit: '1' } } })),
    select: ({ counts, groups }: ConflictPage) => ({ counts, groups }),
    placeholderData: (before: ConflictPage | undefined) => before,
    refetchInterval: 15_000,
  })
}

export function conflictQuery(id: string) {
  return queryOptions({
    queryKey: ['conflicts', 'one', id],
    queryFn: () => body(api.GET('/api/v1/conflicts/{id}', { params: { path: { id } } })),
  })
}

export function rulesQuery(config: string) {
  return queryOptions({
    queryKey: ['conflicts', 'rules', config],
    queryFn: async () =>
      (await body(api.GET('/api/v1/sync-configs/{id}/conflict-rules', { params: { path: { id: config } } }))).items,
  })
}

/** Where conflicts are decided: a sync config, or the job of a run without one. */
export type Place = { readonly config: string } | { readonly job: string }

export function placeOf({
  config_id: config,
  last_job_id: job,
}: Pick<ConflictEntry, 'config_id' | 'last_job_id'>): Place {
  return config === null ? { job } : { config }
}

export function resolvePath(place: Place, id: string): string {
  return 'config' in place
    ? `/api/v1/sync/${place.config}/resolve/${id}`
    : `/api/v1/sync/conflicts/${place.job}/${id}/resolve`
}

/** Decides on the conflict as it was looked at; nothing is started. */
export function resolveOne(found: Conflict, choice: Choice): Promise<Schemas['ResolvedConflict']> {
  const place = placeOf(found)
  const given = { ...choice, start: false }
  const header = { 'if-match': `"${found.version}"` }
  return body(
    'config' in place
      ? api.POST('/api/v1/sync/{configId}/resolve/{conflictId}', {
          params: { path: { configId: place.config, conflictId: found.id }, header },
          body: given,
        })
      : api.POST('/api/v1/sync/conflicts/{jobId}/{conflictId}/resolve', {
          params: { path: { jobId: place.job, conflictId: found.id }, header },
          body: given,
        }),
  )
}

export function withdraw(id: string): Promise<Conflict> {
  return body(api.POST('/api/v1/conflicts/{id}/withdraw', { params: { path: { id } }, body: {} }))
}

export type ManyRequest = Schemas['ResolveAllRequest']

export function manyPath(place: Place): string {
  return 'config' in place ? `/api/v1/sync/${place.config}/resolve` : `/api/v1/sync/conflicts/${place.job}/resolve-all`
}

export function resolveMany(place: Place, request: ManyRequest, job?: string): Promise<Schemas['ResolvedConflicts']> {
  if ('job' in place) {
    return body(
      api.POST('/api/v1/sync/conflicts/{jobId}/resolve-all', { params: { path: { jobId: place.job } }, body: request }),
    )
  }
  const filter = { ...request.filter, ...(job === undefined ? {} : { job }) }
  return body(
    api.POST('/api/v1/sync/{configId}/resolve', {
      params: { path: { configId: place.config } },
      body: { ...request, filter },
    }),
  )
}

export type Consent = Pick<
  Schemas['CarryOutRequest'],
  'allow_protected_write' | 'allow_protected_source_write' | 'confirm'
>

export function carryOutPath(place: Place): string {
  return 'config' in place ? `/api/v1/sync/${place.config}/carry-out` : `/api/v1/sync/conflicts/${place.job}/carry-out`
}

/** Starts the run that carries out all that was decided there. */
export function carryOut(place: Place, consent: Consent): Promise<Schemas['CarriedOut']> {
  return body(
    'config' in place
      ? api.POST('/api/v1/sync/{configId}/carry-out', { params: { path: { configId: place.config } }, body: consent })
      : api.POST('/api/v1/sync/conflicts/{jobId}/carry-out', { params: { path: { jobId: place.job } }, body: consent }),
  )
}

/** The same for who stands at a shell. */
export function placeFlag(place: Place): readonly string[] {
  return 'config' in place ? ['--config', place.config] : ['--job', place.job]
}
