import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { ConnectionTest } from '#api/contract/datasources.ts'
import * as contract from '#api/contract/settings.ts'
import { presentTest } from '#api/present.ts'
import { InvalidRequest } from '#api/problem.ts'
import { refuseScoped } from '#api/security/scope.ts'
import type { RedisSettings } from '#api/tools.ts'
import type { RedisUrl } from '#control/redis-settings.ts'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'

const tags = ['service']
const TEST_MS = 60_000

/** Settings that are kept in the store. */
export function settingsRoutes(api: Api, context: Context): void {
  redisRoutes(api, context)
  redisTestRoute(api, context)
}

function redisRoutes(api: Api, { redis }: Context): void {
  api.route({
    method: 'GET',
    url: '/settings/redis',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Show the Redis that change sets may be kept in',
      response: { 200: contract.RedisSettings },
    },
    handler: async (request) => {
      refuseScoped(principalOf(request).actor)
      return present(await redis.show())
    },
  })
  api.route({
    method: 'PUT',
    url: '/settings/redis',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Set up the Redis that change sets may be kept in',
      description:
        'REDIS_URL in the environment comes before it: see source and overridden. Change sets that another Redis holds are computed again.',
      body: contract.RedisInput,
      response: { 200: contract.RedisSettings },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      const url = toUrl(request.body)
      if (url === null) {
        throw new InvalidRequest([{ place: 'body#/url', message: 'Give this or url_reference.' }])
      }
      return present(await redis.set(url, actor))
    },
  })
  api.route({
    method: 'DELETE',
    url: '/settings/redis',
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Forget the Redis that was set up; the Redis itself is left alone',
      response: { 204: z.undefined() },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      if (!(await redis.clear(actor))) throw new AppError('not_found', 'No Redis was set up here.')
      return reply.code(204).send()
    },
  })
}

function redisTestRoute(api: Api, { redis, config }: Context): void {
  api.route({
    method: 'POST',
    url: '/settings/redis/test',
    config: {
      access: 'admin',
      rateLimit: { max: config.limits.connectionTestsPerMinute, timeWindow: 60_000 },
    },
    schema: {
      tags,
      summary: 'Test a Redis step by step: the one that is set up, or another one',
      description: 'A connection that fails is an answer, not an error: see checks for the cause and the next step.',
      body: contract.RedisTestInput,
      response: { 200: ConnectionTest },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      return presentTest(await redis.test(toUrl(request.body), actor, AbortSignal.timeout(TEST_MS)))
    },
  })
}

function toUrl({ url, url_reference: reference }: contract.RedisInput): RedisUrl | null {
  if (url !== undefined && reference !== undefined) {
    throw new InvalidRequest([{ place: 'body#/url_reference', message: 'The URL is kept or referred to, not both.' }])
  }
  if (reference !== undefined) return { reference }
  return url === undefined ? null : new Secret(url)
}

function present(settings: RedisSettings) {
  return {
    source: settings.source,
    url: settings.url,
    has_password: settings.hasPassword,
    url_reference: settings.reference,
    overridden: settings.overridden,
    updated_at: settings.updatedAt,
    updated_by: settings.updatedBy,
    last_test: settings.lastTest === null ? null : presentTest(settings.lastTest),
  }
}
