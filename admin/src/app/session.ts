import { queryOptions, useQuery } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'

/** Who is signed in. Fails with the code `unauthenticated` where nobody is. */
export const sessionQuery = queryOptions({
  queryKey: ['session'],
  queryFn: () => body(api.GET('/api/v1/session')),
  staleTime: 60_000,
  retry: false,
})

export type Role = Schemas['ApiKey']['role']

const RANK: Readonly<Record<Role, number>> = { viewer: 0, operator: 1, admin: 2 }

/** Whether whoever is signed in may do what needs this role. */
export function useMay(role: Role): boolean {
  const { data } = useQuery(sessionQuery)
  return data !== undefined && RANK[data.key.role] >= RANK[role]
}

/** Whether the key is for all datasources: what concerns the whole service is refused to one that is for certain ones. */
export function useIsUnscoped(): boolean {
  return useQuery(sessionQuery).data?.key.datasources === null
}
