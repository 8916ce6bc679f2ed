import type { FastifyInstance, FastifyReply, FastifyRequest } from 'fastify'
import { toError } from '#lib/assert.ts'
import { isForPage, sendPage } from '#api/admin-pages.ts'
import { answerError, HttpError } from '#api/problem.ts'

const SEE_DOCS = 'See /docs for the paths and methods that there are.'

/**
 * Answers what no route takes: 405 with the methods that there are where the path is right, the admin pages where a browser
 * asks for one, else 404. Such requests count for the rate limit like any others, so this comes after it and before the
 * routes.
 */
export function answerUnrouted(app: FastifyInstance): void {
  const routes: { readonly path: RegExp; readonly methods: readonly string[] }[] = []
  app.addHook('onRoute', ({ method, url }) => {
    routes.push({ path: toPattern(url), methods: [method].flat() })
  })
  app.setNotFoundHandler({ preHandler: app.rateLimit() }, (request: FastifyRequest, reply: FastifyReply) => {
    const path = request.url.replace(/[?#].*$/s, '')
    const methods = new Set(routes.filter((route) => route.path.test(path)).flatMap((route) => route.methods))
    if (methods.size === 0 && isForPage(request)) {
      return sendPage(reply).catch((error: unknown) => answerError(toError(error), request, reply))
    }
    return answerError(methods.size === 0 ? noPath() : noMethod(request.method, [...methods]), request, reply)
  })
}

/** `/jobs/:id/log` as a pattern of paths. */
function toPattern(url: string): RegExp {
  const parts = url
    .split('/')
    .map((part) => (part.startsWith(':') ? '[^/]+' : part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')))
  return new RegExp(`^${parts.join('/')}$`)
}

function noPath(): HttpError {
  return new HttpError('not_found', 'There is nothing at this path.', { status: 404, hint: SEE_DOCS })
}

function noMethod(method: string, allowed: readonly string[]): HttpError {
  const allow = allowed.toSorted().join(', ')
  return new HttpError('wrong_method', `This path does not take ${method}.`, {
    status: 405,
    headers: { allow },
    hint: `It takes ${allow}. ${SEE_DOCS}`,
  })
}
