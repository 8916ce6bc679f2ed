import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { shell } from '#app/base-routes.tsx'
import { texts } from '#lib/search.ts'

const list = createRoute({
  getParentRoute: () => shell,
  path: '/sync-configs',
  validateSearch: texts('search', 'datasource'),
  component: lazyRouteComponent(() => import('#features/sync-configs/list-page.tsx'), 'ListPage'),
})

const add = createRoute({
  getParentRoute: () => shell,
  path: '/sync-configs/new',
  validateSearch: texts('source', 'target'),
  component: lazyRouteComponent(() => import('#features/sync-configs/new-page.tsx'), 'NewPage'),
})

const one = createRoute({
  getParentRoute: () => shell,
  path: '/sync-configs/$id',
  validateSearch: texts('tab', 'table', 'field', 'view', 'run'),
  component: lazyRouteComponent(() => import('#features/sync-configs/detail-page.tsx'), 'DetailPage'),
})

export const syncConfigRoutes = [list, add, one] as const
