import {
  createRootRoute,
  createRoute,
  createRouter,
  lazyRouteComponent,
  Outlet,
  redirect,
} from '@tanstack/react-router'
import { ApiProblem } from '#api/client.ts'
import { NotFound, PageFailed } from '#app/fallbacks.tsx'
import { queryClient } from '#app/query-client.ts'
import { sessionQuery } from '#app/session.ts'
import { Shell } from '#app/shell.tsx'
import { texts } from '#lib/search.ts'

const root = createRootRoute({ component: Outlet, notFoundComponent: NotFound })

const signIn = createRoute({
  getParentRoute: () => root,
  path: '/sign-in',
  validateSearch: texts('to'),
  component: lazyRouteComponent(() => import('#features/sign-in/sign-in-page.tsx'), 'SignInPage'),
})

/** All pages but the one for signing in: nobody sees them who is not. */
const shell = createRoute({
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

const dashboard = createRoute({
  getParentRoute: () => shell,
  path: '/',
  component: lazyRouteComponent(() => import('#features/dashboard/dashboard-page.tsx'), 'DashboardPage'),
})

const pages = shell.addChildren([dashboard])

export const router = createRouter({
  routeTree: root.addChildren([signIn, pages]),
  defaultPreload: 'intent',
  defaultErrorComponent: PageFailed,
  defaultNotFoundComponent: NotFound,
  scrollRestoration: true,
})

declare module '@tanstack/react-router' {
  interface Register {
    router: typeof router
  }
}
