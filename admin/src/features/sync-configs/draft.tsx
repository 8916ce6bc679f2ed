import { useMutation, useQueryClient, type UseMutationResult } from '@tanstack/react-query'
import { createContext, use, useCallback, useEffect, useMemo, useRef, useState, type ReactNode } from 'react'
import { ApiProblem, api, body } from '#api/client.ts'
import { useMay } from '#app/session.ts'
import { differencesOf, documentOf, isSame, type Document } from '#features/sync-configs/document.ts'
import {
  configQuery,
  configsQuery,
  driftQuery,
  overviewQuery,
  scheduleQuery,
  versionsQuery,
  type SyncConfig,
} from '#features/sync-configs/queries.ts'
import { must } from '#lib/must.ts'
import { forget, keep, readKept } from '#lib/tab-kept.ts'
import { say } from '#ui/say.ts'

/** A document that is being edited: one state for all the tabs that show parts of it. */
export interface Draft {
  /** As the service has it, or had it when the first change was made. */
  readonly base: SyncConfig
  readonly document: Document
  /** Places that differ from `base`. */
  readonly changes: number
  /** Operators change configs; others look at them. */
  readonly mayEdit: boolean
  readonly change: (edit: (document: Document) => Document) => void
  readonly discard: () => void
  /** Changes that this tab kept when the page was left, until somebody says what becomes of them or edits anew. */
  readonly offered: Offered | null
  /** Edits that rest on another version from now on. */
  readonly rest: (base: SyncConfig, document: Document) => void
  /** A text that cannot be read as a document; nothing is saved while there is one. */
  readonly unread: string | null
  readonly setUnread: (text: string | null) => void
  readonly save: UseMutationResult<SyncConfig, Error, void>
  /** What the service said of a field when it was saved last: `tables/0/filter`. Below it too, with `within`. */
  readonly problemAt: (place: string, options?: { readonly within: boolean }) => string | undefined
}

const Context = createContext<Draft | null>(null)

export function useDraft(): Draft {
  return must(use(Context), 'document around this')
}

interface Offered {
  readonly changes: number
  /** On which they were made. */
  readonly version: number
  readonly takeUp: () => void
  readonly letGo: () => void
}

interface Edited {
  readonly base: SyncConfig
  readonly document: Document
}

interface DraftProviderProps {
  readonly config: SyncConfig
  readonly children: ReactNode
}

export function DraftProvider({ config, children }: DraftProviderProps) {
  const client = useQueryClient()
  const mayEdit = useMay('operator')
  const [edited, setEdited, left, letGo] = useKeptEdits(config)
  const [unread, setUnread] = useState<string | null>(null)
  const base = edited?.base ?? config
  const document = useMemo(() => edited?.document ?? documentOf(config), [edited, config])

  const save = useMutation<SyncConfig, Error, void>({
    meta: { shown: true },
    mutationFn: () =>
      body(
        api.PUT('/api/v1/sync-configs/{id}', {
          params: { path: { id: base.id }, header: { 'if-match': `"${base.version}"` } },
          body: document,
        }),
      ),
    // Somebody else was first: what they saved is shown beside what was to be saved.
    onError: (error) =>
      error instanceof ApiProblem && error.code === 'version_conflict'
        ? client.invalidateQueries({ queryKey: configQuery(base.id).queryKey })
        : undefined,
    onSuccess: async (saved) => {
      setEdited(null)
      client.setQueryData(configQuery(saved.id).queryKey, saved)
      say(`${saved.name} is saved as version ${saved.version}.`)
      await Promise.all([
        client.invalidateQueries({ queryKey: configsQuery.queryKey, exact: true }),
        client.invalidateQueries({ queryKey: versionsQuery(saved.id).queryKey }),
        client.invalidateQueries({ queryKey: scheduleQuery(saved.id).queryKey }),
        client.invalidateQueries({ queryKey: driftQuery(saved.id).queryKey }),
        client.invalidateQueries({ queryKey: overviewQuery.queryKey }),
      ])
    },
  })

  const { reset } = save
  const rest = useCallback(
    (on: SyncConfig, next: Document) => {
      reset()
      setEdited(isSame(documentOf(on), next) ? null : { base: on, document: next })
    },
    [reset, setEdited],
  )
  const change = useCallback(
    (edit: (document: Document) => Document) =>
      setEdited((now) => {
        const on = now?.base ?? config
        const next = edit(now?.document ?? documentOf(config))
        return isSame(documentOf(on), next) ? null : { base: on, document: next }
      }),
    [config, setEdited],
  )
  const changes = useMemo(() => differencesOf(documentOf(base), document).length, [base, document])
  const places = save.error instanceof ApiProblem ? save.error.places : NONE
  const problemAt = useCallback<Draft['problemAt']>(
    (place, options) =>
      places.find((one) => {
        const at = one.place.replace(/^body#\//, '')
        return at === place || (options?.within === true && at.startsWith(`${place}/`))
      })?.message,
    [places],
  )
  const discard = (): void => {
    setUnread(null)
    rest(config, documentOf(config))
  }
  const offered =
    left === null || edited !== null || !mayEdit
      ? null
      : {
          changes: differencesOf(documentOf(left.base), left.document).length,
          version: left.base.version,
          takeUp: () => rest(left.base, left.document),
          letGo,
        }
  const draft = { base, document, changes, mayEdit, change, discard, offered, rest, unread, setUnread, save, problemAt }
  return <Context value={draft}>{children}</Context>
}

const NONE: ApiProblem['places'] = []

type SetEdited = (next: Edited | null | ((now: Edited | null) => Edited | null)) => void

/** Edits that this tab keeps as they are made, and what it has of them from before this page was there. */
function useKeptEdits(config: SyncConfig): readonly [Edited | null, SetEdited, Edited | null, () => void] {
  const name = `draft.${config.id}`
  const [edited, setEdited] = useState<Edited | null>(null)
  const [left, setLeft] = useState(() => readKept<Edited>(name))
  const set = useCallback<SetEdited>((next) => {
    setLeft(null)
    setEdited(next)
  }, [])
  const hasEdited = useRef(false)
  useEffect(() => {
    if (edited !== null) keep(name, edited)
    else if (hasEdited.current) forget(name)
    hasEdited.current = edited !== null
  }, [edited, name])
  const letGo = (): void => {
    forget(name)
    setLeft(null)
  }
  // Somebody may have saved the same from elsewhere.
  const isNews = left !== null && !isSame(documentOf(config), left.document)
  return [edited, set, isNews ? left : null, letGo]
}
