import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { shell } from '#app/base-routes.tsx'
import { texts } from '#lib/search.ts'

const dumps = createRoute({
  getParentRoute: () => shell,
  path: '/dumps',
  validateSearch: texts('search', 'origin', 'datasource'),
  component: lazyRouteComponent(() => import('#features/dumps/dumps-page.tsx'), 'DumpsPage'),
})

const exporting = createRoute({
  getParentRoute: () => shell,
  path: '/dumps/export',
  validateSearch: texts('datasource', 'job'),
  component: lazyRouteComponent(() => import('#features/dumps/export-page.tsx'), 'ExportPage'),
})

const importing = createRoute({
  getParentRoute: () => shell,
  path: '/dumps/import',
  validateSearch: texts('dump', 'datasource', 'change', 'plan', 'job'),
  component: lazyRouteComponent(() => import('#features/dumps/import-page.tsx'), 'ImportPage'),
})

const copying = createRoute({
  getParentRoute: () => shell,
  path: '/dumps/copy',
  validateSearch: texts('source', 'target', 'change', 'plan', 'job'),
  component: lazyRouteComponent(() => import('#features/dumps/copy-page.tsx'), 'CopyPage'),
})

const drilling = createRoute({
  getParentRoute: () => shell,
  path: '/dumps/drill',
  validateSearch: texts('dump', 'job'),
  component: lazyRouteComponent(() => import('#features/dumps/drill-page.tsx'), 'DrillPage'),
})

const schedules = createRoute({
  getParentRoute: () => shell,
  path: '/dumps/schedules',
  component: lazyRouteComponent(() => import('#features/dumps/schedules-page.tsx'), 'SchedulesPage'),
})

const scheduling = createRoute({
  getParentRoute: () => shell,
  path: '/dumps/schedule',
  validateSearch: texts('datasource'),
  component: lazyRouteComponent(() => import('#features/dumps/schedule-page.tsx'), 'SchedulePage'),
})

const dump = createRoute({
  getParentRoute: () => shell,
  path: '/dumps/$id',
  component: lazyRouteComponent(() => import('#features/dumps/dump-page.tsx'), 'DumpPage'),
})

export const dumpRoutes = [dumps, exporting, importing, copying, drilling, schedules, scheduling, dump] as const
