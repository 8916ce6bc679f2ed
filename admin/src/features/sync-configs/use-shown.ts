import { useNavigate, useSearch } from '@tanstack/react-router'
import { useCallback } from 'react'

type Shown = ReturnType<typeof useShown>

/** What of a sync config is shown, as the address says: tab, table, field. */
export function useShown() {
  return useSearch({ from: '/shell/sync-configs/$id' })
}

/** Shows something else: what is given as undefined is taken out of the address. */
export function useShow(): (next: { readonly [K in keyof Shown]?: string | undefined }) => void {
  const navigate = useNavigate({ from: '/sync-configs/$id' })
  return useCallback(
    (next) =>
      void navigate({
        search: (now) =>
          Object.fromEntries(Object.entries({ ...now, ...next }).filter(([, value]) => value !== undefined)) as Shown,
        replace: true,
      }),
    [navigate],
  )
}
