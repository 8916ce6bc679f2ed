import type { FastifyReply, FastifyRequest } from 'fastify'
import { HttpError } from '#api/problem.ts'
import type { ApiConfig } from '#api/tools.ts'
import { AppError } from '#model/errors.ts'

/** Names by which a browser on this machine reaches it. Nobody else can make a name of theirs point here and have it be one of these. */
const LOOPBACK_NAMES = ['localhost', '127.0.0.1', '[::1]']

/** A header that no form, image or link can send, and that a script of another site cannot send without being asked about. */
export const CUSTOM_HEADER = 'x-syncline-request'

const SAFE_METHODS = ['GET', 'HEAD', 'OPTIONS']

const ALLOWED_METHODS = 'GET, POST, PUT, DELETE'
const ALLOWED_HEADERS = `authorization, content-type, idempotency-key, if-match, last-event-id, x-api-key, ${CUSTOM_HEADER}`
const EXPOSED_HEADERS =
  'etag, location, ratelimit-limit, ratelimit-remaining, ratelimit-reset, retry-after, x-request-id'
const PREFLIGHT_SECONDS = '600'

/**
 * Refuses a request for a host that this service is not, before anything else looks at it: a page whose name was made
 * to point here (DNS rebinding) is of the same origin as we are, and only its name gives it away (S14).
 * @throws HttpError 421
 */
export function refuseForeignHost(request: FastifyRequest, { hosts }: ApiConfig): void {
  const name = countHosts(request) > 1 ? null : hostName(request.headers.host)
  if (name !== null && [...LOOPBACK_NAMES, ...hosts.map((host) => host.toLowerCase())].includes(name)) return
  throw new HttpError('cross_site', 'This service is not known under the host name of the request.', { status: 421 })
}

/** Of two Host headers Node takes the first, and a proxy perhaps the second. */
function countHosts({ raw }: FastifyRequest): number {
  return raw.rawHeaders.filter((text, i) => i % 2 === 0 && text.toLowerCase() === 'host').length
}

/** The name in a Host header, in small letters, without port; null where it is not one. */
function hostName(host: string | undefined): string | null {
  const found = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/i.exec(host ?? '')
  return found?.[1]?.toLowerCase() ?? null
}

/**
 * Answers pages of the sites that were named, and no other (S15). Returns whether the request was a preflight and has
 * been answered.
 */
export function applyCors(request: FastifyRequest, reply: FastifyReply, { corsOrigins }: ApiConfig): boolean {
  const { origin } = request.headers
  if (corsOrigins.length > 0) void reply.header('vary', 'Origin')
  if (origin === undefined || !corsOrigins.includes(origin)) return false
  void reply.headers({
    'access-control-allow-origin': origin,
    'access-control-allow-credentials': 'true',
    'access-control-expose-headers': EXPOSED_HEADERS,
    'cross-origin-resource-policy': 'cross-origin',
  })
  if (request.method !== 'OPTIONS' || request.headers['access-control-request-method'] === undefined) return false
  void reply
    .headers({
      'access-control-allow-methods': ALLOWED_METHODS,
      'access-control-allow-headers': ALLOWED_HEADERS,
      'access-control-max-age': PREFLIGHT_SECONDS,
    })
    .code(204)
    .send()
  return true
}

/**
 * Refuses what a browser says it sends for another site, where it changes something, opens a socket, or comes with the
 * cookie of a session (S13, S16). A session besides needs a header that only a script of our own can send.
 * @throws AppError `cross_site`
 */
export function refuseCrossSite(
  request: FastifyRequest,
  config: ApiConfig,
  { withCookie }: { withCookie: boolean },
): void {
  const changes = !SAFE_METHODS.includes(request.method)
  if (!changes && !withCookie && !request.ws) return
  const { origin } = request.headers
  if (origin !== undefined && !isOwnOrigin(origin, request) && !config.corsOrigins.includes(origin)) throw crossSite()
  const site = request.headers['sec-fetch-site']
  const named = origin !== undefined && config.corsOrigins.includes(origin)
  if (site !== undefined && site !== 'same-origin' && site !== 'none' && !named) throw crossSite()
  if (withCookie && changes && request.headers[CUSTOM_HEADER] === undefined) {
    throw new AppError('cross_site', `A session changes something only with the header ${CUSTOM_HEADER}.`, {
      hint: `Send ${CUSTOM_HEADER}: 1, or send a key as X-API-Key in place of the cookie.`,
    })
  }
  // A browser opens a socket for any page, with the cookie of ours: here it must say for which.
  if (withCookie && request.ws && origin === undefined) throw crossSite()
}

/** Whether a page of this origin came from this very address. The host has been checked against the list before. */
function isOwnOrigin(origin: string, { headers }: FastifyRequest): boolean {
  return origin === `http://${headers.host}` || origin === `https://${headers.host}`
}

function crossSite(): AppError {
  return new AppError('cross_site', 'The request was made for another site.')
}
