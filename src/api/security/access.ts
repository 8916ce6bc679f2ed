import type { FastifyInstance, FastifyRequest } from 'fastify'
import type { Access, Context } from '#api/context.ts'
import { identify } from '#api/security/principal.ts'
import { refuseCrossSite } from '#api/security/sites.ts'
import { recordAudit } from '#control/audit.ts'
import { assert, must } from '#lib/assert.ts'
import { includesRole } from '#model/access.ts'
import { AppError } from '#model/errors.ts'

/**
 * Lets nobody through to the routes of `api` whom the route does not allow, before a body is read. A route that does not
 * say who may call it cannot be registered (S8).
 */
export function guardAccess(api: FastifyInstance, context: Context): void {
  api.addHook('onRoute', ({ config, method, url }) => {
    assert(config?.access !== undefined, `The route ${String(method)} ${url} does not say who may call it.`)
  })
  // After the rate limit, which comes with the route.
  api.addHook('preParsing', async (request) => {
    const access = must(request.routeOptions.config.access, 'the access of a route')
    if (access === 'public') {
      refuseCrossSite(request, context.config, { withCookie: false })
      return
    }
    const principal = await identify(context, request, context.throttle)
    refuseCrossSite(request, context.config, { withCookie: (principal?.session ?? null) !== null })
    if (principal === null) throw new AppError('unauthenticated', 'The request carries no key.')
    if (!includesRole(principal.actor.role, access)) {
      await recordAudit(context.store, principal.actor, refusal(request, access))
      throw new AppError('forbidden', `This needs a key with the role ${access}; this one has ${principal.actor.role}.`)
    }
    request.principal = principal
  })
}

function refusal({ method, routeOptions }: FastifyRequest, needed: Access) {
  return { action: 'access.refuse', subject: null, data: { method, route: routeOptions.url ?? null, needed } }
}
