import { MantineProvider } from '@mantine/core'
import { QueryClientProvider } from '@tanstack/react-query'
import { RouterProvider } from '@tanstack/react-router'
import { lazy, Suspense } from 'react'
import { FreshKeyProvider } from '#app/fresh-key.tsx'
import { queryClient } from '#app/query-client.ts'
import { router } from '#app/router.tsx'
import { theme } from '#app/theme.ts'
import { NONCE } from '#lib/nonce.ts'

const Toasts = lazy(async () => ({ default: (await import('@mantine/notifications')).Notifications }))

export function App() {
  return (
    <MantineProvider theme={theme} defaultColorScheme="auto" getStyleNonce={() => NONCE}>
      <QueryClientProvider client={queryClient}>
        <FreshKeyProvider>
          <RouterProvider router={router} />
          <Suspense>
            <Toasts position="bottom-right" limit={4} />
          </Suspense>
        </FreshKeyProvider>
      </QueryClientProvider>
    </MantineProvider>
  )
}
