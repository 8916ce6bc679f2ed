import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { shell } from '#app/base-routes.tsx'
import { texts } from '#lib/search.ts'

const conflicts = createRoute({
  getParentRoute: () => shell,
  path: '/conflicts',
  validateSearch: texts('id', 'run', 'status', 'config', 'job', 'table', 'kind', 'field', 'fields', 'key'),
  component: lazyRouteComponent(() => import('#features/conflicts/conflicts-page.tsx'), 'ConflictsPage'),
})

export const conflictsRoutes = [conflicts] as const
