import { z } from 'zod'
import { broughtDatasource } from '#api/ad-hoc.ts'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { tableName } from '#api/contract/fields.ts'
import { idOf, idOrName } from '#api/contract/ids.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { Job, NoInput, RunAnyInput, RunInput, StartedJob, TableValidation } from '#api/contract/jobs.ts'
import { Health } from '#api/contract/service.ts'
import { actOnJob } from '#api/job-acts.ts'
import { presentValidation } from '#api/present.ts'
import { presentNamedJob } from '#api/present-jobs.ts'
import { parseTableName } from '#model/table-pattern.ts'
import { start } from '#api/start.ts'
import { isUp } from '#api/up.ts'
import { includesRole } from '#model/access.ts'
import { refuseOwnQueries } from '#api/security/scope.ts'
import { visibleConfig, visibleDatasource, visibleJob } from '#api/visible.ts'

const tags = ['running']
const jobParams = z.strictObject({ jobId: idOf('job') })

/** Starting, and the ways to a job that run by the words of a sync. */
export function runRoutes(api: Api, context: Context): void {
  startRoutes(api, context)
  followRoutes(api, context)
}

function startRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'POST',
    url: '/sync/:configId',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Run a sync config',
      params: z.strictObject({ configId: idOrName.meta({ description: 'The id or the name of a sync config.' }) }),
      headers: onceHeaders,
      body: RunInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const principal = principalOf(request)
      const { mode = 'incremental', kind = 'sync', ...fields } = request.body
      const { id, document } = await visibleConfig(store, principal.actor, request.params.configId)
      const target = await visibleDatasource(store, principal.actor, document.target_datasource_id)
      return start(context, { request, reply }, { what: { config: id }, kind, mode, target }, fields)
    },
  })
  for (const mode of ['full', 'incremental'] as const) {
    api.route({
      method: 'POST',
      url: `/sync/${mode}`,
      config: { access: 'operator' },
      schema: {
        tags,
        summary: `Run ${mode === 'full' ? 'a full' : 'an incremental'} sync of a config, or between two connections (admin)`,
        description:
          'A connection URL becomes a datasource that no list shows, with its password sealed; it is kept neither in the job nor in a log.',
        headers: onceHeaders,
        body: RunAnyInput,
        response: { 202: StartedJob },
      },
      handler: async (request, reply) => {
        const { actor } = principalOf(request)
        const { config_id: id, source_connection: from, target_connection: to, config, ...fields } = request.body
        if (id !== undefined) {
          const found = await visibleConfig(store, actor, id)
          const target = await visibleDatasource(store, actor, found.document.target_datasource_id)
          return start(context, { request, reply }, { what: { config: found.id }, kind: 'sync', mode, target }, fields)
        }
        if (config !== undefined) refuseOwnQueries(actor, config, null)
        const source = await broughtDatasource(context, actor, from ?? '')
        const target = await broughtDatasource(context, actor, to ?? '')
        const what = { source: source.id, target: target.id, policies: config ?? {} }
        return start(context, { request, reply }, { what, kind: 'sync', mode, target }, fields)
      },
    })
  }
}

/** An answer takes no longer. */
const VALIDATE_MS = 25_000

function followRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'GET',
    url: '/sync/validate/:jobId/:table',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Judge the columns of a table of a job as they are now, and count the rows that do not fit',
      params: z.strictObject({
        jobId: idOf('job'),
        table: tableName,
      }),
      response: { 200: TableValidation },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const job = await visibleJob(store, actor, request.params.jobId)
      const table = parseTableName(request.params.table)
      const found = await context.datasources.validate(job, table, AbortSignal.timeout(VALIDATE_MS))
      return presentValidation(found, includesRole(actor.role, 'operator'))
    },
  })
  for (const url of ['/sync/:jobId/status', '/sync/status/:jobId']) {
    api.route({
      method: 'GET',
      url,
      config: { access: 'viewer' },
      schema: { tags, summary: 'Show a job', params: jobParams, response: { 200: Job } },
      handler: async (request) =>
        presentNamedJob(store, await visibleJob(store, principalOf(request).actor, request.params.jobId)),
    })
  }
  for (const { act, summary } of [
    { act: 'stop', summary: 'Stop a job; everything that resuming needs is kept' },
    { act: 'resume', summary: 'Let a stopped or failed job go on from its checkpoint' },
  ] as const) {
    api.route({
      method: 'POST',
      url: `/sync/${act}/:jobId`,
      config: { access: 'operator' },
      schema: { tags, summary, params: jobParams, headers: onceHeaders, body: NoInput, response: { 202: Job } },
      handler: async (request, reply) =>
        reply.code(202).send(await actOnJob(context, { request, reply }, { id: request.params.jobId, act })),
    })
  }
  api.route({
    method: 'GET',
    url: '/sync/health',
    config: { access: 'public' },
    schema: {
      tags: ['service'],
      summary: 'Whether syncs are taken on',
      security: [],
      response: { 200: Health, 503: Health },
    },
    handler: async (_, reply) => {
      const up = await isUp(context)
      return reply.code(up ? 200 : 503).send({ status: up ? 'up' : 'down' })
    },
  })
}
