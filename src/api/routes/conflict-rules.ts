import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { ConflictRules } from '#api/contract/conflicts.ts'
import { idOf, idOrName } from '#api/contract/ids.ts'
import { visibleConfig } from '#api/visible.ts'
import { listRules, removeRule, type ConflictRule } from '#control/conflict-rules.ts'

const tags = ['conflicts']
const id = idOrName.meta({ description: 'The id or the name of a sync config.' })

/** What somebody has decided once for all conflicts of a sort; deciding a conflict makes them. */
export function conflictRuleRoutes(api: Api, { store }: Context): void {
  api.route({
    method: 'GET',
    url: '/sync-configs/:id/conflict-rules',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List the rules by which runs of a sync config decide conflicts',
      params: z.strictObject({ id }),
      response: { 200: ConflictRules },
    },
    handler: async (request) => {
      const config = await visibleConfig(store, principalOf(request).actor, request.params.id)
      return { items: (await listRules(store, config.id)).map(present) }
    },
  })
  api.route({
    method: 'DELETE',
    url: '/sync-configs/:id/conflict-rules/:ruleId',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Remove such a rule; what it has decided stays decided',
      params: z.strictObject({ id, ruleId: idOf('conflict rule') }),
      response: { 204: z.undefined() },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const config = await visibleConfig(store, actor, request.params.id)
      await removeRule(store, { configId: config.id, id: request.params.ruleId, actor })
      return reply.code(204).send()
    },
  })
}

function present({ id: ruleId, target, kind, fields, resolution, createdBy }: ConflictRule) {
  return {
    id: ruleId,
    target: { ...target },
    kind,
    fields: fields === null ? null : [...fields],
    take: resolution,
    created_at: createdBy.at,
    created_by: { id: createdBy.id, name: createdBy.name },
  }
}
