import { queryOptions, useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'

export type SyncConfig = Schemas['SyncConfig']

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
