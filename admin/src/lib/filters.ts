import { useNavigate } from '@tanstack/react-router'
import { useCallback } from 'react'

/** What a list is narrowed to: all that stands in the query of the page under these names. */
export type Filters<N extends string> = { readonly [K in N]?: string }

/** Only what is given: `''` and undefined stand for no filter. */
export function given<N extends string>(filters: { readonly [K in N]?: string | null | undefined }): Filters<N> {
  const kept = Object.entries(filters).filter(([, value]) => typeof value === 'string' && value !== '')
  return Object.fromEntries(kept) as Filters<N>
}

/** Changes what stands in the query of the page, and leaves the rest of it; the way back leads past it. */
export function useSetFilters(): (changes: Readonly<Record<string, string | null>>) => void {
  const navigate = useNavigate()
  return useCallback(
    (changes) => {
      const search = (old: object): never => given({ ...old, ...changes }) as never
      void navigate({ to: '.', search, replace: true, resetScroll: false })
    },
    [navigate],
  )
}
