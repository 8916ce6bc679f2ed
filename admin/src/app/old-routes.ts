import { createRoute, redirect } from '@tanstack/react-router'
import { root } from '#app/base-routes.tsx'

/** Addresses that other tools of this kind have, and that people keep as bookmarks: each leads to the page that it meant. */

function lead<const P extends string>(path: P, to: string) {
  return createRoute({
    getParentRoute: () => root,
    path,
    beforeLoad: () => redirect({ href: to, replace: true, throw: true }),
  })
}

const job = createRoute({
  getParentRoute: () => root,
  path: '/sync/job/$id',
  beforeLoad: ({ params: { id } }) => redirect({ to: '/jobs/$id', params: { id }, replace: true, throw: true }),
})

const terraJob = createRoute({
  getParentRoute: () => root,
  path: '/sync/terra_fusion/job/$id',
  beforeLoad: ({ params: { id } }) => redirect({ to: '/jobs/$id', params: { id }, replace: true, throw: true }),
})

const terraConflicts = createRoute({
  getParentRoute: () => root,
  path: '/sync/terra_fusion/conflicts/$id',
  beforeLoad: ({ params: { id } }) => redirect({ to: '/conflicts', search: { job: id }, replace: true, throw: true }),
})

export const oldRoutes = [
  lead('/sync/dashboard', '/'),
  lead('/sync/terra_fusion', '/'),
  lead('/sync/terra_fusion/dashboard', '/'),
  lead('/dashboard/database', '/'),
  lead('/sync/jobs', '/jobs'),
  lead('/sync/conflicts', '/conflicts'),
  job,
  terraJob,
  terraConflicts,
] as const
