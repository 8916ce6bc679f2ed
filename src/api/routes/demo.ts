import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { DemoData as DemoDataSchema, DemoEdits } from '#api/contract/demo.ts'
import { NoInput } from '#api/contract/jobs.ts'
import { refuseScoped } from '#api/security/scope.ts'
import type { DemoData } from '#api/tools.ts'
import { maySee, type Actor } from '#model/access.ts'

const tags = ['service']
const url = '/demo'

/** Demo data: two databases of the service's own with a small shop, their datasources, and a sync config. */
export function demoRoutes(api: Api, { demo }: Context): void {
  api.route({
    method: 'GET',
    url,
    config: { access: 'viewer' },
    schema: { tags, summary: 'Show whether there is demo data', response: { 200: DemoDataSchema } },
    handler: async (request) => present(await demo.show(), principalOf(request).actor),
  })
  api.route({
    method: 'PUT',
    url,
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'See to it that there is demo data',
      description:
        'Starts two private PostgreSQL servers on the machine of the service, for as long as its process lives: a small shop, and an empty database to sync it into. Registers both, and a sync config. Called again, it makes what is missing.',
      response: { 200: DemoDataSchema },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      return present(await demo.make(actor), actor)
    },
  })
  api.route({
    method: 'POST',
    url: `${url}/edits`,
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Edit the demo databases as people would in a week, so that there is something to sync',
      body: NoInput,
      response: { 200: DemoEdits },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      return { edits: (await demo.edit(actor)).map((each) => ({ ...each })) }
    },
  })
  api.route({
    method: 'DELETE',
    url,
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Remove the demo data: its sync config, its datasources and the databases',
      response: { 204: z.undefined() },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      refuseScoped(actor)
      await demo.remove(actor)
      return reply.code(204).send()
    },
  })
}

/** A key that is for other datasources learns nothing of these. */
function present({ state, sourceId, targetId, configId, unavailable }: DemoData, actor: Actor) {
  const isSeen = [sourceId, targetId].every((id) => id === null || maySee(actor, id))
  return {
    state: isSeen ? state : ('none' as const),
    source_datasource_id: isSeen ? sourceId : null,
    target_datasource_id: isSeen ? targetId : null,
    config_id: isSeen ? configId : null,
    unavailable: unavailable && { ...unavailable },
  }
}
