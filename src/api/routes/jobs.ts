import { principalOf, type Api, type Context } from '#api/context.ts'
import { idPath } from '#api/contract/ids.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { limitOf, momentOf } from '#api/contract/paging.ts'
import * as contract from '#api/contract/jobs.ts'
import { actOnJob } from '#api/job-acts.ts'
import { isNumber, isText, pageOf, readCursor } from '#api/page.ts'
import { presentEvent, snakeCase } from '#api/present.ts'
import { presentJobs, presentNamedJob } from '#api/present-jobs.ts'
import { intendedAgain, start } from '#api/start.ts'
import { refuseOwnQueries, refuseTrusted } from '#api/security/scope.ts'
import { nullIfMissing, visibleDatasource, visibleDump, visibleJob } from '#api/visible.ts'
import { listJobs, readJobEvents, type Job } from '#control/jobs.ts'
import { getConfig } from '#control/sync-configs.ts'
import { conflictScopeOf } from '#jobs/conflicts.ts'
import type { Actor } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { isActive, type JobStatus } from '#model/job.ts'

const tags = ['jobs']
const params = idPath('job')

/** Jobs: what runs and what has run, and what people let happen to them. */
export function jobRoutes(api: Api, context: Context): void {
  readRoutes(api, context)
  recordRoutes(api, context)
  actRoutes(api, context)
  retryRoute(api, context)
}

function readRoutes(api: Api, { store }: Context): void {
  api.route({
    method: 'GET',
    url: '/jobs',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List jobs, the newest first unless sorted otherwise',
      querystring: contract.JobListQuery,
      response: { 200: contract.JobPage },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { status, kind, config_id: configId, datasource, since, until, cursor } = request.query
      const limit = limitOf(request.query.limit)
      const after = readCursor(cursor, isText)
      const found = await listJobs(store, {
        ...(status === undefined ? {} : { status: status.split(',') as JobStatus[] }),
        ...(kind === undefined ? {} : { kind: [kind] }),
        ...(configId === undefined ? {} : { configId }),
        ...(actor.datasources === null ? {} : { datasources: actor.datasources }),
        ...(datasource === undefined ? {} : { datasource: (await visibleDatasource(store, actor, datasource)).id }),
        ...(since === undefined ? {} : { since: momentOf(since) }),
        ...(until === undefined ? {} : { until: momentOf(until) }),
        ...(after === null ? {} : { after }),
        oldestFirst: request.query.sort === 'created_at',
        limit: limit + 1,
      })
      const page = pageOf(found, limit, { placeOf: ({ id }) => id, present: (job) => job })
      return { ...page, items: await presentJobs(store, page.items) }
    },
  })
  api.route({
    method: 'GET',
    url: '/jobs/:id',
    config: { access: 'viewer' },
    schema: { tags, summary: 'Show a job', params, response: { 200: contract.Job } },
    handler: async (request) =>
      presentNamedJob(store, await visibleJob(store, principalOf(request).actor, request.params.id)),
  })
}

function recordRoutes(api: Api, { store }: Context): void {
  api.route({
    method: 'GET',
    url: '/jobs/:id/receipt',
    config: { access: 'viewer' },
    schema: { tags, summary: 'Show what a job did and proved', params, response: { 200: contract.Receipt } },
    handler: async (request) => {
      const { id, kind, status, counts, result } = await visibleJob(
        store,
        principalOf(request).actor,
        request.params.id,
      )
      if (result === null) {
        throw new AppError('not_found', `The job ${id} is ${status}: it has left no receipt.`, {
          hint: isActive(status) ? 'Wait until the job ends.' : 'See its error, and resume it.',
        })
      }
      return { job_id: id, kind, status, counts, receipt: snakeCase(result) }
    },
  })
  api.route({
    method: 'GET',
    url: '/jobs/:id/log',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Read what has happened to a job, in order',
      params,
      querystring: contract.LogQuery,
      response: { 200: contract.JobLogPage },
    },
    handler: async (request) => {
      const { id } = await visibleJob(store, principalOf(request).actor, request.params.id)
      const limit = limitOf(request.query.limit)
      const after = readCursor(request.query.cursor, isNumber) ?? Number(request.query.after ?? 0)
      const found = await readJobEvents(store, id, { after, limit: limit + 1 })
      return pageOf(found, limit, { placeOf: ({ seq }) => seq, present: (event) => presentEvent(id, event) })
    },
  })
}

function actRoutes(api: Api, context: Context): void {
  for (const { act, summary } of [
    { act: 'stop', summary: 'Stop a job; everything that resuming needs is kept' },
    { act: 'resume', summary: 'Let a stopped or failed job go on from its checkpoint' },
    { act: 'cancel', summary: 'End a job for good, at the last batch that was committed' },
  ] as const) {
    api.route({
      method: 'POST',
      url: `/jobs/:id/${act}`,
      config: { access: 'operator' },
      schema: {
        tags,
        summary,
        params,
        headers: onceHeaders,
        body: contract.NoInput,
        response: { 202: contract.Job },
      },
      handler: async (request, reply) =>
        reply.code(202).send(await actOnJob(context, { request, reply }, { id: request.params.id, act })),
    })
  }
}

function retryRoute(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'POST',
    url: '/jobs/:id/retry',
    config: { access: 'operator' },
    schema: {
      tags,
      summary:
        'Do again, as a new job, what a job that is over was asked for, with its config as it is now or as it was',
      params,
      headers: onceHeaders,
      body: contract.RetryInput,
      response: { 202: contract.StartedJob },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const job = await visibleJob(store, actor, request.params.id)
      if (isActive(job.status)) {
        throw new AppError('wrong_state', `The job ${job.id} is ${job.status}: it is not over yet.`)
      }
      const {
        dryRun,
        tables,
        mode,
        replay,
        changeSet,
        revert,
        export: dump,
        import: restore,
        copy,
        drill,
      } = job.request
      if (changeSet !== undefined) {
        throw new AppError(
          'wrong_state',
          `The job ${job.id} was to apply the changes of ${changeSet}, and those alone.`,
          {
            hint: 'Resume it; or start another dry run, and approve that.',
          },
        )
      }
      if (restore?.trusted === true || drill?.trusted === true) refuseTrusted(actor, 'a file')
      if (copy?.trusted === true) refuseTrusted(actor, 'a source')
      if (restore !== undefined) await visibleDump(store, actor, restore.dump)
      if (drill !== undefined) await visibleDump(store, actor, drill.dump)
      const { config = 'current', ...consent } = request.body
      const intended = await intendedAgain(context, job, config)
      if (config === 'original') await refuseRemovedQueries(context, actor, job)
      const target = await visibleDatasource(store, actor, intended.targetId)
      const fields = { ...consent, dry_run: dryRun, tables: tables === null ? null : [...tables] }
      const instead = {
        ...(replay === undefined ? {} : { replay }),
        ...(revert === undefined ? {} : { revert }),
        ...(dump === undefined ? {} : { export: dump }),
        ...(restore === undefined ? {} : { import: restore }),
        ...(copy === undefined ? {} : { copy }),
        ...(drill === undefined ? {} : { drill }),
        // What people decided about conflicts of a run without a config is known by that run.
        ...(job.configId === null ? { conflictScope: conflictScopeOf(job) } : {}),
      }
      return start(context, { request, reply }, { what: intended.what, kind: job.kind, mode, target, instead }, fields)
    },
  })
}

/**
 * A query that an admin has taken out of the config since is not brought back by others.
 * @throws AppError `forbidden`
 */
async function refuseRemovedQueries({ store }: Context, actor: Actor, { configId, request }: Job): Promise<void> {
  if (configId === null) return
  const now = await getConfig(store, configId).catch(nullIfMissing)
  refuseOwnQueries(actor, request.policies, now?.document ?? null)
}
