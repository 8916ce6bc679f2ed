import { createRootRoute, createRoute, lazyRouteComponent, Outlet, redirect } from '@tanstack/react-router'
import { ApiProblem } from '#api/client.ts'
import { NotFound } from '#app/fallbacks.tsx'
import { queryClient } from '#app/query-client.ts'
import { sessionQuery } from '#app/session.ts'
import { Shell } from '#app/shell.tsx'
import { texts } from '#lib/search.ts'

export const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound })

export const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: texts('to'),
  component: lazyRouteComponent(() => import('#features/sign-in/sign-in-page.tsx'), 'SignInPage'),
})

/** All pages but the one for signing in: nobody sees them who is not. */
export const shell = createRoute({
  getParentRoute: () => root,
  id: 'shell',
  beforeLoad: async ({ location }) => {
    try {
      await queryClient.ensureQueryData(sessionQuery)
    } catch (error) {
      if (error instanceof ApiProblem && error.status === 401) {
        redirect({ to: '/sign-in', search: location.href === '/' ? {} : { to: location.href }, throw: true })
      }
      throw error
    }
  },
  component: Shell,
})
