import { createRoute, lazyRouteComponent } from '@tanstack/react-router'
import { shell } from '#app/base-routes.tsx'
import { texts } from '#lib/search.ts'

const settings = createRoute({
  getParentRoute: () => shell,
  path: '/settings',
  validateSearch: texts('tab'),
  component: lazyRouteComponent(() => import('#features/settings/settings-page.tsx'), 'SettingsPage'),
})

export const settingsRoutes = [settings] as const
