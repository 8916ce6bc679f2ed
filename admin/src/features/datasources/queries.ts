import {
  infiniteQueryOptions,
  keepPreviousData,
  queryOptions,
  useMutation,
  useQuery,
  useQueryClient,
} from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'
import { given } from '#lib/search.ts'
import { formatTableName } from '#lib/table-name.ts'
import { say } from '#ui/say.ts'

export type Datasource = Schemas['Datasource']
export type TableDescription = Schemas['TableDescription']

/** All datasources that the key may see, by name; a service has few. */
export const datasourcesQuery = queryOptions({
  queryKey: ['datasources'],
  queryFn: async () => (await body(api.GET('/api/v1/datasources', { params: { query: { limit: '1000' } } }))).items,
  staleTime: 30_000,
})

/** The datasource of an id, as soon as the list is there; undefined where there is none any more. */
export function useDatasource(id: string | null): Datasource | undefined {
  return useQuery(datasourcesQuery).data?.find((one) => one.id === id)
}

export function datasourceQuery(id: string) {
  return queryOptions({
    queryKey: ['datasources', 'one', id],
    queryFn: () => body(api.GET('/api/v1/datasources/{id}', { params: { path: { id } } })),
  })
}

/** What a connection URL says; the service takes it apart without connecting. */
export function parseUrl(url: string): Promise<Schemas['ParsedUrl']> {
  return body(api.POST('/api/v1/datasources/parse-url', { body: { url } }))
}

/** What is known of an address that stands in a form: its provider, and what follows from that. */
export function addressQuery(url: string) {
  return queryOptions({
    queryKey: ['parse-url', url],
    queryFn: () => parseUrl(url),
    enabled: url !== '',
    staleTime: Infinity,
    retry: false,
    placeholderData: keepPreviousData,
  })
}

/** Tables in a page of the list. */
const PAGE = '100'

export function schemaQuery(id: string, search: string) {
  return infiniteQueryOptions({
    queryKey: ['datasources', 'schema', id, search],
    queryFn: ({ pageParam }) =>
      body(
        api.GET('/api/v1/datasources/{id}/schema', {
          params: { path: { id }, query: { limit: PAGE, ...given({ search, cursor: pageParam }) } },
        }),
      ),
    initialPageParam: '',
    getNextPageParam: ({ next_cursor: next }) => next ?? undefined,
    placeholderData: keepPreviousData,
    staleTime: 60_000,
  })
}

/** One table by the name that an address has it under; null where there is none. */
export function tableQuery(id: string, name: string) {
  return queryOptions({
    queryKey: ['datasources', 'table', id, name],
    queryFn: async () => {
      const search = name.replaceAll('"', '').split('.').at(-1) ?? name
      const { items } = await body(
        api.GET('/api/v1/datasources/{id}/schema', { params: { path: { id }, query: { limit: '1000', search } } }),
      )
      return items.find(({ table }) => formatTableName(table) === name) ?? null
    },
    staleTime: 60_000,
  })
}

export function previewQuery(id: string, table: string) {
  return queryOptions({
    queryKey: ['datasources', 'preview', id, table],
    queryFn: () => body(api.GET('/api/v1/datasources/{id}/preview', { params: { path: { id }, query: { table } } })),
    staleTime: 60_000,
  })
}

/** Changes a datasource as a whole, as it was when it was looked at. A password that the request does not name stays. */
export function useChange(one: Datasource, saidOf: (changed: Datasource) => string) {
  const client = useQueryClient()
  return useMutation({
    meta: { shown: true },
    mutationFn: (request: Schemas['DatasourceRequest']) =>
      body(
        api.PUT('/api/v1/datasources/{id}', {
          params: { path: { id: one.id }, header: { 'if-match': `"${one.version}"` } },
          body: request,
        }),
      ),
    onSuccess: async (changed) => {
      client.setQueryData(datasourceQuery(one.id).queryKey, changed)
      say(saidOf(changed))
      await client.invalidateQueries({ queryKey: ['datasources'] })
    },
  })
}

/** Connects step by step; what is found is kept with the datasource. */
export function useTest(id: string) {
  const client = useQueryClient()
  return useMutation({
    mutationFn: () => body(api.POST('/api/v1/datasources/{id}/test', { params: { path: { id } } })),
    onSuccess: () => client.invalidateQueries({ queryKey: ['datasources'] }),
  })
}
