import { useMutation, useQueryClient, type InfiniteData } from '@tanstack/react-query'
import { useRef } from 'react'
import { ApiProblem, type Schemas } from '#api/client.ts'
import {
  conflictQuery,
  resolveOne,
  withdraw,
  type Choice,
  type Conflict,
  type ConflictEntry,
} from '#features/conflicts/queries.ts'
import { decidedText, keyText, tableName } from '#features/conflicts/words.ts'

type Told = Pick<ConflictEntry, 'status' | 'resolution' | 'resolved' | 'reopened' | 'version'>

interface DecisionsProps {
  /** Goes to a conflict. */
  readonly select: (id: string) => void
  /** The next one that waits for somebody; null where there is none. */
  readonly nextOpen: (id: string) => ConflictEntry | null
  /** Says something to those who hear the page. */
  readonly announce: (text: string) => void
  /** A job that waited for this decision goes on. */
  readonly onRun: (job: string) => void
}

export interface Decisions {
  readonly decide: (found: Conflict, choice: Choice) => void
  /** Takes back the decision about this conflict, or the last one that was made here. */
  readonly takeBack: (found: Conflict | undefined) => void
}

/**
 * Decides, and goes on at once: a decision holds for the version that was looked at, so that a refusal does no harm. Then the
 * page comes back to the conflict.
 */
export function useDecisions({ select, nextOpen, announce, onRun }: DecisionsProps): Decisions {
  const client = useQueryClient()
  const past = useRef<string[]>([])
  const tell = (id: string, told: Partial<Told>): void => {
    client.setQueriesData<InfiniteData<Schemas['ConflictPage']>>({ queryKey: ['conflicts', 'list'] }, (data) =>
      data === undefined ? data : { ...data, pages: data.pages.map((page) => patched(page, id, told)) },
    )
    client.setQueryData(conflictQuery(id).queryKey, (before) => before && { ...before, ...told })
  }
  const settle = (id: string) =>
    Promise.all([
      client.invalidateQueries({ queryKey: ['conflicts', 'summary'] }),
      client.invalidateQueries({ queryKey: conflictQuery(id).queryKey }),
    ])
  const deciding = useMutation({
    mutationFn: ({ found, choice }: { found: Conflict; choice: Choice }) => resolveOne(found, choice),
    onMutate: ({ found, choice }) => {
      tell(found.id, { status: 'resolved', resolution: choice.take })
      past.current.push(found.id)
      const removes = choice.take === 'row' && choice.values === null
      const next = nextOpen(found.id)
      const then = next === null ? 'Nothing else is open here.' : `Next: ${keyText(next.key)}.`
      announce(`${nameOf(found)}: ${decidedText(choice.take, removes)}. ${then}`)
      if (next !== null) select(next.id)
    },
    onSuccess: ({ conflict, job_id: job }) => {
      tell(conflict.id, toldOf(conflict))
      if (job !== null) onRun(job)
    },
    onError: (error, { found }) => {
      past.current = past.current.filter((id) => id !== found.id)
      tell(found.id, toldOf(found))
      announce(`${nameOf(found)} was not decided: ${error.message}`)
      select(found.id)
    },
    onSettled: (_answer, _error, { found }) => settle(found.id),
  })
  const takingBack = useMutation({
    mutationFn: (id: string) => withdraw(id),
    onSuccess: (conflict) => {
      past.current = past.current.filter((id) => id !== conflict.id)
      tell(conflict.id, toldOf(conflict))
      announce(`${nameOf(conflict)} is open again.`)
      select(conflict.id)
    },
    onError: (error, id) => {
      past.current = past.current.filter((one) => one !== id)
      announce(error instanceof ApiProblem ? `${error.message} ${error.hint}` : error.message)
    },
    onSettled: (_answer, _error, id) => settle(id),
  })
  return {
    decide: (found, choice) => deciding.mutate({ found, choice }),
    takeBack: (found) => {
      const id = found?.status === 'resolved' ? found.id : past.current.at(-1)
      if (id === undefined) announce('Nothing was decided here that could be taken back.')
      else takingBack.mutate(id)
    },
  }
}

function patched(page: Schemas['ConflictPage'], id: string, told: Partial<Told>): Schemas['ConflictPage'] {
  return { ...page, items: page.items.map((item) => (item.id === id ? { ...item, ...told } : item)) }
}

function toldOf({ status, resolution, resolved, reopened, version }: Told): Told {
  return { status, resolution, resolved, reopened, version }
}

function nameOf({ target, key }: Pick<ConflictEntry, 'target' | 'key'>): string {
  return `${tableName(target)} ${keyText(key)}`
}
