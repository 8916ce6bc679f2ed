import { createRouter } from '@tanstack/react-router'
import { root, shell, signIn } from '#app/base-routes.tsx'
import { NotFound, PageFailed } from '#app/fallbacks.tsx'
import { dashboardRoutes } from '#features/dashboard/routes.ts'
import { syncConfigRoutes } from '#features/sync-configs/routes.ts'

export const router = createRouter({
  routeTree: root.addChildren([signIn, shell.addChildren([...dashboardRoutes, ...syncConfigRoutes])]),
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
