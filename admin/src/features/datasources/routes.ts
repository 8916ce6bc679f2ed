import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { shell } from '#app/base-routes.tsx'
import { texts } from '#lib/search.ts'

const list = createRoute({
  getParentRoute: () => shell,
  path: '/datasources',
  validateSearch: texts('search', 'environment', 'access'),
  component: lazyRouteComponent(() => import('#features/datasources/datasource-list-page.tsx'), 'DatasourceListPage'),
})

const add = createRoute({
  getParentRoute: () => shell,
  path: '/datasources/new',
  component: lazyRouteComponent(() => import('#features/datasources/new-datasource-page.tsx'), 'NewDatasourcePage'),
})

const one = createRoute({
  getParentRoute: () => shell,
  path: '/datasources/$id',
  validateSearch: texts('tab', 'search', 'table', 'view'),
  component: lazyRouteComponent(() => import('#features/datasources/datasource-page.tsx'), 'DatasourcePage'),
})

export const datasourceRoutes = [list, add, one] as const
