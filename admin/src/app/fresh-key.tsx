import { createContext, lazy, Suspense, use, useCallback, useState, type ReactNode } from 'react'
import { ApiProblem } from '#api/client.ts'
import { queryClient } from '#app/query-client.ts'
import { sessionQuery } from '#app/session.ts'

const KeyDialog = lazy(async () => ({ default: (await import('#app/key-dialog.tsx')).KeyDialog }))

type WithFreshKey = <T>(call: () => Promise<T>) => Promise<T>

const Context = createContext<WithFreshKey>((call) => call())

/** As long as the service takes a key that was entered to be fresh; a little less, as clocks differ. */
const FRESH_MS = 9 * 60_000

interface Waiting {
  readonly go: () => void
  readonly giveUp: () => void
}

/**
 * Makes a call that may need the key to have been entered a short while ago. Where the service wants it, the key is asked
 * for and the call made again; whoever closes the dialog gets the refusal.
 */
export function useFreshKey(): WithFreshKey {
  return use(Context)
}

export function FreshKeyProvider({ children }: { readonly children: ReactNode }) {
  const [waiting, setWaiting] = useState<Waiting | null>(null)
  const withFreshKey = useCallback<WithFreshKey>(async (call) => {
    try {
      return await call()
    } catch (error) {
      if (!(error instanceof ApiProblem) || error.code !== 'confirmation_needed' || (await isFresh())) throw error
      await new Promise<void>((go, giveUp) => setWaiting({ go, giveUp: () => giveUp(error) }))
      return await call()
    }
  }, [])
  const end = (how: () => void): void => {
    setWaiting(null)
    how()
  }
  return (
    <Context value={withFreshKey}>
      {children}
      {waiting !== null && (
        <Suspense>
          <KeyDialog onEnter={() => end(waiting.go)} onClose={() => end(waiting.giveUp)} />
        </Suspense>
      )}
    </Context>
  )
}

async function isFresh(): Promise<boolean> {
  const { session } = await queryClient.fetchQuery({ ...sessionQuery, staleTime: 0 })
  return session === null || Date.now() - Date.parse(session.confirmed_at) < FRESH_MS
}
