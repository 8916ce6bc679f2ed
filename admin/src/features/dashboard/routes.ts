import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { shell } from '#app/base-routes.tsx'

const dashboard = createRoute({
  getParentRoute: () => shell,
  path: '/',
  component: lazyRouteComponent(() => import('#features/dashboard/dashboard-page.tsx'), 'DashboardPage'),
})

export const dashboardRoutes = [dashboard] as const
