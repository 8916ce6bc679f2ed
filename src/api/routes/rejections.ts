import type { FastifyReply, FastifyRequest } from 'fastify'
import type { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName, idPath } from '#api/contract/ids.ts'
import { ConsentInput, NoInput, StartedJob } from '#api/contract/jobs.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { limitOf } from '#api/contract/paging.ts'
import * as contract from '#api/contract/rejections.ts'
import { etag, ifMatch, versionOf } from '#api/contract/versions.ts'
import { answerOnce } from '#api/once.ts'
import { isNumber, pageOf, readCursor } from '#api/page.ts'
import { presentRejection, presentRejectionEntry } from '#api/present-rejection.ts'
import { InvalidRequest } from '#api/problem.ts'
import { readKey } from '#api/row-key.ts'
import { intendedAgain, start } from '#api/start.ts'
import { nullIfMissing, visibleConfig, visibleDatasource, visibleJob } from '#api/visible.ts'
import {
  dismissRejection,
  editableColumns,
  getRejection,
  groupRejections,
  listRejections,
  type OpenedRejection,
  type RejectionFilter,
} from '#control/rejection-list.ts'
import { rejectionsToReplay } from '#control/rejections.ts'
import type { Job } from '#control/jobs.ts'
import { checkEdits, keepEdits } from '#jobs/edit-rejection.ts'
import { scopeOf } from '#jobs/quarantine.ts'
import { includesRole, type Actor } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import type { NamedCells, RejectionStatus } from '#model/rejection.ts'
import { formatTableName, parseTableName } from '#model/table-pattern.ts'
import { strictObject } from 'zod'

const tags = ['rejections']
const params = idPath('rejection')

type Exchange = { readonly request: FastifyRequest; readonly reply: FastifyReply }

/** Rows that were set aside: looked at, mended, tried again, or let be. */
export function rejectionRoutes(api: Api, context: Context): void {
  listRoutes(api, context)
  oneRoutes(api, context)
  replayRoutes(api, context)
}

function listRoutes(api: Api, { store }: Context): void {
  const list = async (
    scope: Pick<RejectionFilter, 'scope' | 'jobId'>,
    query: z.infer<typeof contract.RejectionQuery>,
  ) => {
    const filter: RejectionFilter = { ...scope, ...filterOf(query) }
    const limit = limitOf(query.limit)
    const after = readCursor(query.cursor, isNumber)
    const found = await listRejections(store, filter, { after, limit: limit + 1 })
    const page = pageOf(found, limit, { placeOf: ({ seq }) => seq, present: presentRejectionEntry })
    const groups = await groupRejections(store, filter)
    return { ...page, groups: groups.map((group) => ({ ...group, target: { ...group.target } })) }
  }
  api.route({
    method: 'GET',
    url: '/jobs/:id/rejections',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List rows that a job set aside first or last, in their order',
      params: idPath('job'),
      querystring: contract.RejectionQuery,
      response: { 200: contract.RejectionPage },
    },
    handler: async (request) => {
      const job = await visibleJob(store, principalOf(request).actor, request.params.id)
      return list({ scope: scopeOf(job), jobId: job.id }, request.query)
    },
  })
  api.route({
    method: 'GET',
    url: '/sync-configs/:id/rejections',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List rows that the jobs of a sync config set aside, in their order',
      params: strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) }),
      querystring: contract.RejectionQuery,
      response: { 200: contract.RejectionPage },
    },
    handler: async (request) => {
      const { id } = await visibleConfig(store, principalOf(request).actor, request.params.id)
      return list({ scope: id }, request.query)
    },
  })
}

function filterOf({ table, status, column, code, key }: z.infer<typeof contract.RejectionQuery>) {
  return {
    ...(table === undefined ? {} : { target: parseTableName(table) }),
    ...(status === undefined ? {} : { status: status.split(',') as RejectionStatus[] }),
    ...(column === undefined ? {} : { column }),
    ...(code === undefined ? {} : { code }),
    ...(key === undefined ? {} : { key: JSON.stringify(readKey(key)) }),
  }
}

function oneRoutes(api: Api, context: Context): void {
  const present = async (found: OpenedRejection, shown: { withValues: boolean }) =>
    presentRejection(found, await editableColumns(context.store, found), shown)
  api.route({
    method: 'GET',
    url: '/rejections/:id',
    config: { access: 'viewer' },
    schema: { tags, summary: 'Show a row that was set aside', params, response: { 200: contract.Rejection } },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const found = await visibleRejection(context, actor, request.params.id)
      return reply
        .header('etag', etag(found.version))
        .send(await present(found, { withValues: includesRole(actor.role, 'operator') }))
    },
  })
  api.route({
    method: 'PUT',
    url: '/rejections/:id',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Give values for fields of the target, which a replay is to write',
      params,
      headers: ifMatch,
      body: contract.EditInput,
      response: { 200: contract.Rejection },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const found = await visibleRejection(context, actor, request.params.id)
      const edits: NamedCells = Object.entries(request.body.values)
      await refuseEdits(context, found, edits)
      const changed = await keepEdits(context, { id: found.id, version: versionOf(request.headers), actor }, edits)
      return reply.header('etag', etag(changed.version)).send(await present(changed, { withValues: true }))
    },
  })
  api.route({
    method: 'POST',
    url: '/rejections/:id/dismiss',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Leave a row as it is; runs do so too until the row of the source changes',
      params,
      headers: onceHeaders,
      body: NoInput,
      response: { 200: contract.Rejection },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { body } = await answerOnce(
        context,
        { request, reply, kind: 'rejection' },
        async () => {
          const { id } = await visibleRejection(context, actor, request.params.id)
          const dismissed = await dismissRejection(context, { id, version: null, actor })
          // What is kept of the answer for a repeated request holds no values.
          return { status: 200 as const, body: await present(dismissed, { withValues: false }), headers: {} }
        },
        () => Promise.resolve(null),
      )
      return body
    },
  })
}

/** @throws InvalidRequest with the field, and not the value */
async function refuseEdits({ store }: Context, found: OpenedRejection, edits: NamedCells): Promise<void> {
  if (found.op === 'delete') {
    throw new InvalidRequest([
      { place: 'body#/values', message: 'The row was to be deleted: it has no fields to mend.' },
    ])
  }
  const problems = checkEdits(await editableColumns(store, found), edits)
  if (problems.length === 0) return
  throw new InvalidRequest(
    problems.map(({ field, message }) => ({ place: `body#/values/${field}`, message })),
    'Some of the values cannot be written.',
  )
}

function replayRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'POST',
    url: '/jobs/:id/rejections/replay',
    config: { access: 'operator' },
    schema: {
      tags,
      summary:
        'Try rows again, as a job of their own: edited ones with their values, the others as the source has them',
      params: idPath('job'),
      headers: onceHeaders,
      body: contract.ReplayInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const job = await visibleJob(store, principalOf(request).actor, request.params.id)
      const { rejections, ...consent } = request.body
      return replay(context, { request, reply }, { job, ids: rejections ?? null }, consent)
    },
  })
  api.route({
    method: 'POST',
    url: '/rejections/:id/replay',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Try one row again, as a job of its own',
      params,
      headers: onceHeaders,
      body: ConsentInput,
      response: { 202: StartedJob },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { id, lastJobId } = await visibleRejection(context, actor, request.params.id)
      const job = await visibleJob(store, actor, lastJobId)
      return replay(context, { request, reply }, { job, ids: [id] }, request.body)
    },
  })
}

/** @throws AppError `wrong_state` where there is nothing to replay, and those of starting a job */
async function replay(
  context: Context,
  exchange: Exchange,
  { job, ids }: { job: Job; ids: readonly string[] | null },
  consent: z.infer<typeof ConsentInput>,
) {
  const { store } = context
  const { actor } = principalOf(exchange.request)
  const scope = scopeOf(job)
  const rows = await rejectionsToReplay(context, { scope, target: null, ids })
  if (rows.length === 0) {
    throw new AppError('wrong_state', `The job ${job.id} has no rows that could be tried again.`, {
      hint: 'See its rejections: those that are open, edited or dismissed can be replayed.',
    })
  }
  const tables = [...new Set(rows.map(({ source }) => formatTableName(source)))]
  const { what, targetId } = await intendedAgain(context, job)
  const target = await visibleDatasource(store, actor, targetId)
  const of = { jobId: job.id, scope, ids }
  return start(
    context,
    exchange,
    { what, kind: 'sync', mode: 'incremental', target, instead: { replay: of } },
    { ...consent, tables },
  )
}

/** A rejection is there for whoever may see its job, or its sync config. @throws AppError `not_found` */
async function visibleRejection(context: Context, actor: Actor, id: string): Promise<OpenedRejection> {
  const { store } = context
  const found = await getRejection(context, id)
  const missing = new AppError('not_found', `There is no rejection ${id}.`)
  const hidden = (error: unknown): null => nullIfMissing(error)
  const job = await visibleJob(store, actor, found.lastJobId).catch(hidden)
  if (job !== null) return found
  const config = found.configId === null ? null : await visibleConfig(store, actor, found.configId).catch(hidden)
  if (config === null) throw missing
  return found
}
