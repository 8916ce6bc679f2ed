import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { ConnectionTest } from '#api/contract/datasources.ts'
import * as contract from '#api/contract/settings.ts'
import { presentTest } from '#api/present.ts'
import { InvalidRequest } from '#api/problem.ts'
import { refuseScoped } from '#api/security/scope.ts'
import type { AiSettings } from '#api/tools.ts'
import type { AiKey } from '#control/ai-settings.ts'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'

const tags = ['service']
const url = '/settings/ai'
const TEST_MS = 60_000

/** The model that refines suggestions for mappings. */
export function aiSettingsRoutes(api: Api, context: Context): void {
  keepRoutes(api, context)
  testRoute(api, context)
}

function keepRoutes(api: Api, { ai }: Context): void {
  api.route({
    method: 'GET',
    url,
    config: { access: 'admin' },
    schema: { tags, summary: 'Show the model that refines suggestions', response: { 200: contract.AiSettings } },
    handler: async (request) => {
      refuseScoped(principalOf(request).actor)
      return present(await ai.show())
    },
  })
  api.route({
    method: 'PUT',
    url,
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Set up the model that refines suggestions',
      description: 'AI_URL and AI_MODEL in the environment come before it: see source and overridden.',
      body: contract.AiInput,
      response: { 200: contract.AiSettings },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      const { endpoint, key } = toEndpoint(request.body, 'body#')
      return present(await ai.set(endpoint, key, actor))
    },
  })
  api.route({
    method: 'DELETE',
    url,
    config: { access: 'admin' },
    schema: { tags, summary: 'Forget the model that was set up', response: { 204: z.undefined() } },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      if (!(await ai.clear(actor))) throw new AppError('not_found', 'No model was set up here.')
      return reply.code(204).send()
    },
  })
}

function testRoute(api: Api, { ai, config }: Context): void {
  api.route({
    method: 'POST',
    url: `${url}/test`,
    config: {
      access: 'admin',
      rateLimit: { max: config.limits.connectionTestsPerMinute, timeWindow: 60_000 },
    },
    schema: {
      tags,
      summary: 'Ask a model one question about made-up columns: the one that is set up, or another one',
      description:
        'A model that does not answer is an answer, not an error: see checks for the cause and the next step.',
      body: contract.AiTestInput,
      response: { 200: ConnectionTest },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      const { endpoint } = request.body
      const draft = endpoint === undefined ? null : toEndpoint(endpoint, 'body#/endpoint')
      return presentTest(await ai.test(draft, actor, AbortSignal.timeout(TEST_MS)))
    },
  })
}

function toEndpoint(
  { url: address, model, send_samples: sendSamples = false, key, key_reference: reference }: contract.AiInput,
  place: string,
) {
  if (key !== undefined && reference !== undefined) {
    const message = 'The key is kept or referred to, not both.'
    throw new InvalidRequest([{ place: `${place}/key_reference`, message }])
  }
  return { endpoint: { url: address, model, sendSamples }, key: toKey(key, reference) }
}

function toKey(key: string | null | undefined, reference: string | undefined): AiKey | undefined {
  if (reference !== undefined) return { reference }
  return typeof key === 'string' ? new Secret(key) : key
}

function present(settings: AiSettings) {
  return {
    source: settings.source,
    url: settings.url,
    model: settings.model,
    send_samples: settings.sendSamples,
    has_key: settings.hasKey,
    key_reference: settings.reference,
    overridden: settings.overridden,
    updated_at: settings.updatedAt,
    updated_by: settings.updatedBy,
    last_test: settings.lastTest === null ? null : presentTest(settings.lastTest),
  }
}
