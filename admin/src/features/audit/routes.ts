import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { shell } from '#app/base-routes.tsx'
import { texts } from '#lib/search.ts'

const audit = createRoute({
  getParentRoute: () => shell,
  path: '/audit',
  validateSearch: texts(
    'tab',
    'search',
    'action',
    'actor',
    'since',
    'until',
    'datasource',
    'config',
    'job',
    'table',
    'key',
    'op',
  ),
  component: lazyRouteComponent(() => import('#features/audit/audit-page.tsx'), 'AuditPage'),
})

export const auditRoutes = [audit] as const
