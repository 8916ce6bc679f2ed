import { z } from 'zod'
import { newId, principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName } from '#api/contract/ids.ts'
import * as contract from '#api/contract/sync-configs.ts'
import { requireFresh } from '#api/security/confirm.ts'
import { visibleConfig } from '#api/visible.ts'
import { findWebhookSecret, rotateWebhookSecret, type WebhookSecretInfo } from '#control/webhook-secrets.ts'
import { AppError } from '#model/errors.ts'

const tags = ['sync configs']
const params = z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) })
const url = '/sync-configs/:id/webhook-secret'

const KEEP_PREVIOUS_HOURS = 24

/** What messages to the webhook of a sync config are signed with. */
export function webhookSecretRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'GET',
    url,
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Say whether the webhook of a sync config has a secret, and since when',
      params,
      response: { 200: contract.WebhookSecret },
    },
    handler: async (request) => {
      const { id, document } = await visibleConfig(store, principalOf(request).actor, request.params.id)
      const found = await findWebhookSecret(store, id)
      if (found !== null) return present(found)
      throw new AppError('not_found', `The sync config ${document.name} has no secret for its webhook yet.`, {
        hint: 'Make one with POST to the same path, and give it to the receiver.',
      })
    },
  })
  api.route({
    method: 'POST',
    url,
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Make the secret that messages to the webhook are signed with; it is shown this once',
      description: 'The secret before signs as well for a while: each message has two signatures then.',
      params,
      body: contract.WebhookSecretInput,
      response: { 201: contract.NewWebhookSecret },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      requireFresh(context, principal)
      const { id: configId } = await visibleConfig(store, principal.actor, request.params.id)
      const { keep_previous_hours: keepPreviousHours = KEEP_PREVIOUS_HOURS } = request.body
      const wish = { id: newId('webhook secret'), configId, actor: principal.actor, keepPreviousHours }
      const { secret, ...made } = await rotateWebhookSecret(context, wish)
      return reply.code(201).send({ ...present(made), secret: secret.reveal() })
    },
  })
}

function present({ createdAt, createdBy, previousUntil }: WebhookSecretInfo) {
  return { created_at: createdAt, created_by: createdBy, previous_until: previousUntil }
}
