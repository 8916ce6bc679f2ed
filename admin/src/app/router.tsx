import { createRouter } from '@tanstack/react-router'
import { root, shell, signIn } from '#app/base-routes.tsx'
import { NotFound, PageFailed } from '#app/fallbacks.tsx'
import { oldRoutes } from '#app/old-routes.ts'
import { auditRoutes } from '#features/audit/routes.ts'
import { conflictsRoutes } from '#features/conflicts/routes.ts'
import { dashboardRoutes } from '#features/dashboard/routes.ts'
import { datasourceRoutes } from '#features/datasources/routes.ts'
import { dumpRoutes } from '#features/dumps/routes.ts'
import { jobRoutes } from '#features/jobs/routes.ts'
import { settingsRoutes } from '#features/settings/routes.ts'
import { syncConfigRoutes } from '#features/sync-configs/routes.ts'

const pages = shell.addChildren([
  ...dashboardRoutes,
  ...datasourceRoutes,
  ...syncConfigRoutes,
  ...jobRoutes,
  ...conflictsRoutes,
  ...dumpRoutes,
  ...auditRoutes,
  ...settingsRoutes,
])

export const router = createRouter({
  routeTree: root.addChildren([signIn, ...oldRoutes, pages]),
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
