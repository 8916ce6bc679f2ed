import { queryOptions, useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'

export type Datasource = Schemas['Datasource']

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
