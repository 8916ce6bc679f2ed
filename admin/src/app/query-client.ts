import { MutationCache, QueryClient } from '@tanstack/react-query'
import { ApiProblem } from '#api/client.ts'
import { say } from '#ui/say.ts'

/** What answers of the API are kept in. What is shown may be this old before it is asked for again. */
export const queryClient = new QueryClient({
  defaultOptions: {
    queries: {
      staleTime: 5_000,
      // What the service refuses it refuses again; what does not answer may do so in a moment.
      retry: (count, error) => error instanceof ApiProblem && (error.status === 0 || error.status >= 502) && count < 2,
    },
  },
  mutationCache: new MutationCache({
    onError: (error, _given, _context, mutation) => {
      // A form that shows the problem itself says so.
      if (mutation.meta?.['shown'] === true) return
      const hint = error instanceof ApiProblem ? error.hint : ''
      say(error.message, { hint })
    },
  }),
})
