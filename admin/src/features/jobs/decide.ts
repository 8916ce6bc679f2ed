import { useMutation, useQueryClient, type InfiniteData } from '@tanstack/react-query'
import { api, body, type Schemas } from '#api/client.ts'
import type { Change, ChangeFilters } from '#features/jobs/queries.ts'
import { cliOf, curlOf, type OtherMeans } from '#ui/copy.tsx'

/** What people may say of changes now: leave some out before an approval, or decide on rows that moved. */
export type Ticking = 'plan' | 'moved' | null

interface Decision {
  readonly verdict: 'apply' | 'leave'
  readonly filter?: ChangeFilters
  readonly seqs?: readonly number[]
}

type Pages = InfiniteData<Schemas['ChangePage'], string | null>

/**
 * Says of changes whether they are applied. Single rows are shown as decided at once: it can be said again. However many are
 * shown, they are not asked for again for it: only what is said of many, or refused, begins the list anew.
 */
export function useDecide(id: string) {
  const client = useQueryClient()
  const rows = ['jobs', 'changes', id, 'rows'] as const
  return useMutation({
    mutationFn: ({ verdict, filter, seqs }: Decision) =>
      body(
        api.POST('/api/v1/jobs/{id}/changes/decide', {
          params: { path: { id } },
          body: { verdict, ...(seqs === undefined ? { filter: filter ?? {} } : { seqs: [...seqs] }) },
        }),
      ),
    onMutate: ({ verdict, seqs }) => {
      if (seqs === undefined) return
      client.setQueriesData<Pages>({ queryKey: rows }, (old) => old && marked(old, verdict, seqs))
    },
    onSettled: async (_answer, error, { seqs }) => {
      if (error !== null || seqs === undefined) await client.resetQueries({ queryKey: rows })
      await client.invalidateQueries({ queryKey: ['jobs'], predicate: ({ queryKey }) => queryKey[3] !== 'rows' })
    },
  })
}

function marked(old: Pages, verdict: Decision['verdict'], seqs: readonly number[]): Pages {
  const mark = ({ moved }: Change): Change['mark'] => (verdict === 'leave' ? 'left' : moved ? 'again' : 'planned')
  const items = (all: readonly Change[]): Change[] =>
    all.map((change) => (seqs.includes(change.seq) ? { ...change, mark: mark(change) } : change))
  return { ...old, pages: old.pages.map((page) => ({ ...page, items: items(page.items) })) }
}

/** The same decision by the command line and by curl. */
export function decisionMeans(id: string, verdict: Decision['verdict'], filter: ChangeFilters): OtherMeans {
  const flags = Object.entries(filter).flatMap(([name, value]) => [`--${name}`, value])
  return {
    cli: cliOf('jobs', 'decide', id, `--${verdict}`, ...(flags.length === 0 ? ['--all'] : flags)),
    curl: curlOf('POST', `/api/v1/jobs/${id}/changes/decide`, { verdict, filter }),
  }
}
