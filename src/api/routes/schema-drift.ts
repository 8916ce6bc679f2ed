import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName } from '#api/contract/ids.ts'
import { NoInput } from '#api/contract/jobs.ts'
import { AcceptDriftInput, SchemaDrift } from '#api/contract/schema-drift.ts'
import { presentSchemaDrift } from '#api/present-schema-drift.ts'
import { visibleConfig } from '#api/visible.ts'
import { recordAudit } from '#control/audit.ts'
import { acceptDrift, findDrift } from '#control/schema-drift.ts'

const tags = ['sync configs']
const params = z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) })

/** An answer takes no longer: a catalogue may have thousands of tables. */
const LOOK_MS = 25_000

/** What of the tables of a sync config has changed since its mapping was looked over. */
export function schemaDriftRoutes(api: Api, context: Context): void {
  const { store, datasources, closing, config } = context
  const slow = { rateLimit: { max: config.limits.connectionTestsPerMinute, timeWindow: 60_000 } }
  api.route({
    method: 'GET',
    url: '/sync-configs/:id/schema-drift',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Show what of the tables had changed when they were last looked at',
      params,
      response: { 200: SchemaDrift },
    },
    handler: async (request) => {
      const { id } = await visibleConfig(store, principalOf(request).actor, request.params.id)
      return presentSchemaDrift(await findDrift(store, id))
    },
  })
  api.route({
    method: 'POST',
    url: '/sync-configs/:id/schema-drift/look',
    config: { access: 'operator', ...slow },
    schema: {
      tags,
      summary: 'Look what of the tables has changed since the mapping was looked over; nothing is changed',
      description: 'Syncs and dry runs of all its tables look by themselves, before they begin.',
      params,
      body: NoInput,
      response: { 200: SchemaDrift },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const found = await visibleConfig(store, actor, request.params.id)
      const signal = AbortSignal.any([closing, AbortSignal.timeout(LOOK_MS)])
      const drift = await datasources.lookForSchemaDrift(found, signal)
      const data = { changes: drift?.changes.length ?? null }
      await recordAudit(store, actor, { action: 'sync_config.look', subject: found.id, data })
      return presentSchemaDrift(drift)
    },
  })
  api.route({
    method: 'POST',
    url: '/sync-configs/:id/schema-drift/accept',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Take the tables as they were last seen for what the mapping is about',
      params,
      body: AcceptDriftInput,
      response: { 200: SchemaDrift },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { id } = await visibleConfig(store, actor, request.params.id)
      return presentSchemaDrift(await acceptDrift(store, { configId: id, digest: request.body.digest, actor }))
    },
  })
}
