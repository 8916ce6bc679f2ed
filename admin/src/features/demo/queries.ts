import { queryOptions, useMutation, useQuery, useQueryClient } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'
import { useIsUnscoped, useMay } from '#app/session.ts'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'

export type DemoData = Schemas['DemoData']

export const demoQuery = queryOptions({
  queryKey: ['demo'],
  queryFn: () => body(api.GET('/api/v1/demo')),
  staleTime: 60_000,
})

/** Whether whoever is signed in may make demo data, and remove it. */
export function useMayDemo(): boolean {
  const isUnscoped = useIsUnscoped()
  return useMay('admin') && isUnscoped
}

export function useDemo(): DemoData | undefined {
  return useQuery(demoQuery).data
}

/** Everything that lists datasources or configs is asked for anew. */
function useRefresh(): () => Promise<unknown> {
  const client = useQueryClient()
  return () =>
    Promise.all(
      [demoQuery.queryKey, datasourcesQuery.queryKey, configsQuery.queryKey, ['overview'], ['jobs']].map((queryKey) =>
        client.invalidateQueries({ queryKey }),
      ),
    )
}

export function useMakeDemo(then: (made: DemoData) => void) {
  const refresh = useRefresh()
  return useMutation({
    mutationFn: () => body(api.PUT('/api/v1/demo')),
    onSuccess: async (made) => {
      await refresh()
      then(made)
    },
  })
}

/** Whoever is at a page of what goes is led away from it before anything is asked for anew. */
export function useRemoveDemo(leave: () => Promise<void>) {
  const refresh = useRefresh()
  return useMutation({
    mutationFn: () => api.DELETE('/api/v1/demo'),
    onSuccess: async () => {
      await leave()
      return refresh()
    },
  })
}

/** What people would do in a week, so that there is something to sync. */
export function useEditDemo(then: (edits: Schemas['DemoEdits']['edits']) => void) {
  return useMutation({
    mutationFn: () => body(api.POST('/api/v1/demo/edits', { body: {} })),
    onSuccess: ({ edits }) => then(edits),
  })
}
