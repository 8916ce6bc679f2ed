import { principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/service.ts'
import { isUp, storeLatency } from '#api/up.ts'
import { countJobs } from '#control/job-counts.ts'
import { presentOverview } from '#api/present.ts'
import { listDatasources } from '#control/datasources.ts'
import { readOverview } from '#control/overview.ts'
import { MIGRATIONS } from '#control/store.ts'
import { listConfigs } from '#control/sync-configs.ts'
import { maySee } from '#model/access.ts'

const tags = ['service']

/** Health at the root, for whatever watches over the process: up or down, and nothing else. */
export function healthRoutes(root: Api, context: Context): void {
  root.route({
    method: 'GET',
    url: '/livez',
    schema: { tags, summary: 'Whether the process answers', security: [], response: { 200: contract.Health } },
    handler: async () => ({ status: 'up' as const }),
  })
  for (const url of ['/readyz', '/health']) healthRoute(root, context, url)
}

/** Health and status. */
export function serviceRoutes(api: Api, context: Context): void {
  healthRoute(api, context, '/health')
  statusRoutes(api, context)
  overviewRoute(api, context)
}

function healthRoute(api: Api, context: Context, url: string): void {
  api.route({
    method: 'GET',
    url,
    config: { access: 'public' },
    schema: {
      tags,
      summary: 'Whether work is taken on',
      security: [],
      response: { 200: contract.Health, 503: contract.Health },
    },
    handler: async (_, reply) => {
      const up = await isUp(context)
      return reply.code(up ? 200 : 503).send({ status: up ? 'up' : 'down' })
    },
  })
}

function overviewRoute(api: Api, { store }: Context): void {
  api.route({
    method: 'GET',
    url: '/overview',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'How things stand: sync config by sync config, and day by day',
      response: { 200: contract.Overview },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const configs = (await listConfigs(store)).filter(
        ({ document }) => maySee(actor, document.source_datasource_id) && maySee(actor, document.target_datasource_id),
      )
      return presentOverview(
        await readOverview(store, { configs: configs.map(({ id }) => id), datasources: actor.datasources }),
        store.clock.now(),
      )
    },
  })
}

function statusRoutes(api: Api, context: Context): void {
  const { store, config, readStatus } = context
  api.route({
    method: 'GET',
    url: '/health/db',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'How the control store is',
      response: { 200: contract.StoreHealth, 503: contract.StoreHealth },
    },
    handler: async (_, reply) => {
      const latency = await storeLatency(store)
      return reply.code(latency === null ? 503 : 200).send({
        status: latency === null ? 'down' : 'up',
        store: store.isPostgres ? 'postgres' : 'sqlite',
        store_version: MIGRATIONS.length,
        latency_ms: latency ?? 0,
      })
    },
  })
  api.route({
    method: 'GET',
    url: '/status',
    config: { access: 'viewer' },
    schema: { tags, summary: 'What the service is doing', response: { 200: contract.Status } },
    handler: async (request) => {
      const { datasources } = principalOf(request).actor
      const { startedAt, ready, workers } = readStatus()
      const sees = (id: string): boolean => datasources === null || datasources.includes(id)
      const seen = await listDatasources(store)
      const configs = await listConfigs(store)
      return {
        status: ready ? ('up' as const) : ('down' as const),
        version: config.version,
        started_at: startedAt,
        workers,
        datasources: seen.filter(({ id }) => sees(id)).length,
        sync_configs: configs.filter(
          ({ document }) => sees(document.source_datasource_id) && sees(document.target_datasource_id),
        ).length,
        jobs: await countJobs(store, datasources),
      }
    },
  })
}
