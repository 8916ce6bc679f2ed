import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { shell } from '#app/base-routes.tsx'
import { texts } from '#lib/search.ts'

const jobs = createRoute({
  getParentRoute: () => shell,
  path: '/jobs',
  validateSearch: texts('status', 'kind', 'config', 'datasource'),
  component: lazyRouteComponent(() => import('#features/jobs/jobs-page.tsx'), 'JobsPage'),
})

const job = createRoute({
  getParentRoute: () => shell,
  path: '/jobs/$id',
  validateSearch: texts('tab', 'level', 'search', 'table', 'op', 'column', 'key', 'mark', 'status', 'code'),
  component: lazyRouteComponent(() => import('#features/jobs/job-page.tsx'), 'JobPage'),
})

export const jobRoutes = [jobs, job] as const
