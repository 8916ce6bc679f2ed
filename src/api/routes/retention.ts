import { principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/settings.ts'
import { requireFresh } from '#api/security/confirm.ts'
import { refuseScoped } from '#api/security/scope.ts'
import type { RetentionSettings } from '#api/tools.ts'

const tags = ['service']
const url = '/settings/retention'

/** For how long things are kept, and in how much room. */
export function retentionRoutes(api: Api, context: Context): void {
  const { retention } = context
  api.route({
    method: 'GET',
    url,
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Show for how long things are kept, and in how much room',
      response: { 200: contract.RetentionSettings },
    },
    handler: async (request) => {
      refuseScoped(principalOf(request).actor)
      return present(await retention.show())
    },
  })
  api.route({
    method: 'PUT',
    url,
    config: { access: 'admin' },
    schema: {
      tags,
      summary: 'Set for how long things are kept, and in how much room; what is older or more goes within the hour',
      description:
        'What is left out has its default. Variables of the environment come before it. It needs a key that was entered a short while ago: what has gone does not come back.',
      body: contract.RetentionInput,
      response: { 200: contract.RetentionSettings },
    },
    handler: async (request) => {
      const principal = principalOf(request)
      refuseScoped(principal.actor)
      requireFresh(context, principal)
      const { body } = request
      const days = said({
        jobs: body.jobs_days,
        history: body.history_days,
        audit: body.audit_days,
        dumps: body.dumps_days,
      })
      const bytes = said({ dumps: body.dumps_bytes, free: body.free_bytes })
      return present(await retention.set({ days, bytes }, principal.actor))
    },
  })
}

/** Those of the numbers that somebody gave. */
function said<N extends string>(all: Readonly<Record<N, number | null | undefined>>): Partial<Record<N, number>> {
  const given = Object.entries(all).filter(([, value]) => typeof value === 'number')
  return Object.fromEntries(given) as Partial<Record<N, number>>
}

function present({ entries, space, updatedAt, updatedBy }: RetentionSettings) {
  return {
    entries: entries.map(({ byDefault, ...entry }) => ({ ...entry, default: byDefault })),
    space: space.map(({ byDefault, ...entry }) => ({ ...entry, default: byDefault })),
    updated_at: updatedAt,
    updated_by: updatedBy,
  }
}
