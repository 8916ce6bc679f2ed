import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { carryOut, requireCarryOutConsent } from '#api/carry-out.ts'
import { placeOfConfig, placeOfJob, visibleConflict, type ConflictPlace } from '#api/conflict-place.ts'
import { principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/conflicts.ts'
import { idOf, idOrName, idPath } from '#api/contract/ids.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { limitOf } from '#api/contract/paging.ts'
import { etag, ifMatch, versionOf } from '#api/contract/versions.ts'
import { answerOnce } from '#api/once.ts'
import { isNumber, pageOf, readCursor } from '#api/page.ts'
import { presentConflict, presentConflictEntry, presentGroup, presentSelection } from '#api/present-conflict.ts'
import { InvalidRequest } from '#api/problem.ts'
import { readKey } from '#api/row-key.ts'
import { visibleConfig, visibleJob } from '#api/visible.ts'
import {
  conflictNotFound,
  countByStatus,
  getConflict,
  groupConflicts,
  listConflicts,
  type ConflictFilter,
  type OpenedConflict,
} from '#control/conflict-list.ts'
import { previewConflicts, resolveConflict, resolveConflicts, type Remember } from '#control/decide-conflicts.ts'
import { conflictScopeOf } from '#jobs/conflicts.ts'
import { buildRow } from '#jobs/decide-conflict.ts'
import { includesRole } from '#model/access.ts'
import type { ConflictKind, ConflictStatus, ConflictStrategy } from '#model/conflict.ts'
import { parseTableName } from '#model/table-pattern.ts'

const tags = ['conflicts']
const configId = idOrName.meta({ description: 'The id or the name of a sync config.' })
const ofConfig = z.strictObject({ configId })
const ofJob = z.strictObject({ jobId: idOf('job') })
const conflictId = idOf('conflict')
const headers = z.looseObject({ ...onceHeaders.shape, ...ifMatch.shape })

type Exchange = { readonly request: FastifyRequest; readonly reply: FastifyReply }

/** Rows that both sides changed: looked at, and decided. */
export function conflictRoutes(api: Api, context: Context): void {
  listRoutes(api, context)
  showRoute(api, context)
  resolveOneRoutes(api, context)
  resolveManyRoutes(api, context)
}

function listRoutes(api: Api, context: Context): void {
  const { store } = context
  const list = async (place: ConflictFilter, query: z.infer<typeof contract.ConflictQuery>) => {
    const filter: ConflictFilter = { ...filterOf(query), ...place }
    const limit = limitOf(query.limit)
    const descending = query.sort === '-seq'
    const after = readCursor(query.cursor, isNumber)
    const found = await listConflicts(store, filter, { after, limit: limit + 1, descending })
    const page = pageOf(found, limit, { placeOf: ({ seq }) => seq, present: presentConflictEntry })
    const counts = await countByStatus(store, filter)
    return { ...page, counts, groups: (await groupConflicts(store, filter)).map(presentGroup) }
  }
  api.route({
    method: 'GET',
    url: '/conflicts',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List conflicts of all sync configs and jobs, in the order in which they were found',
      querystring: contract.AllConflictsQuery,
      response: { 200: contract.ConflictPage },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { config, ...query } = request.query
      const datasources = actor.datasources === null ? {} : { datasources: actor.datasources }
      if (config === undefined) return list(datasources, query)
      return list({ ...datasources, scope: (await visibleConfig(store, actor, config)).id }, query)
    },
  })
  api.route({
    method: 'GET',
    url: '/sync/:configId/conflicts',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List conflicts of a sync config',
      params: ofConfig,
      querystring: contract.ConflictQuery,
      response: { 200: contract.ConflictPage },
    },
    handler: async (request) => {
      const { id } = await visibleConfig(store, principalOf(request).actor, request.params.configId)
      return list({ scope: id }, request.query)
    },
  })
  api.route({
    method: 'GET',
    url: '/sync/conflicts/:jobId',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List conflicts that a job saw first or last',
      params: ofJob,
      querystring: contract.JobConflictsQuery,
      response: { 200: contract.ConflictPage },
    },
    handler: async (request) => {
      const job = await visibleJob(store, principalOf(request).actor, request.params.jobId)
      return list({ scope: conflictScopeOf(job), jobId: job.id }, request.query)
    },
  })
}

function filterOf(query: z.infer<typeof contract.ConflictQuery>): ConflictFilter {
  const { status, kind, strategy, fields } = query
  return {
    ...(status === undefined ? {} : { status: status.split(',') as ConflictStatus[] }),
    ...(kind === undefined ? {} : { kind: kind.split(',') as ConflictKind[] }),
    ...(strategy === undefined ? {} : { strategy: strategy.split(',') as ConflictStrategy[] }),
    ...(fields === undefined ? {} : { fields: JSON.parse(fields) as string[] }),
    ...rowFilter(query),
  }
}

function rowFilter({
  job,
  table,
  field,
  key,
}: Partial<Pick<z.infer<typeof contract.ConflictQuery>, 'job' | 'table' | 'field' | 'key'>>): ConflictFilter {
  return {
    ...(job === undefined ? {} : { jobId: job }),
    ...(table === undefined ? {} : { target: parseTableName(table) }),
    ...(field === undefined ? {} : { field }),
    ...(key === undefined ? {} : { key: JSON.stringify(readKey(key)) }),
  }
}

function showRoute(api: Api, context: Context): void {
  api.route({
    method: 'GET',
    url: '/conflicts/:id',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Show a conflict with both rows, and where they differ',
      params: idPath('conflict'),
      response: { 200: contract.Conflict },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const found = await visibleConflict(context, actor, request.params.id)
      const withValues = includesRole(actor.role, 'operator')
      return reply.header('etag', etag(found.version)).send(presentConflict(found, withValues))
    },
  })
}

function resolveOneRoutes(api: Api, context: Context): void {
  const summary = 'Decide a conflict: the row of one side, neither, or a row that you build'
  const schema = { tags, summary, headers, body: contract.ResolveInput, response: { 200: contract.Resolved } }
  api.route({
    method: 'POST',
    url: '/sync/:configId/resolve/:conflictId',
    config: { access: 'operator' },
    schema: { ...schema, params: ofConfig.extend({ conflictId }) },
    handler: async (request, reply) => {
      const place = await placeOfConfig(context, principalOf(request).actor, request.params.configId)
      const { conflictId: id } = request.params
      return resolveOne(context, { request, reply }, { place, id, version: versionOf(request.headers) }, request.body)
    },
  })
  api.route({
    method: 'POST',
    url: '/sync/conflicts/:jobId/:conflictId/resolve',
    config: { access: 'operator' },
    schema: { ...schema, params: ofJob.extend({ conflictId }) },
    handler: async (request, reply) => {
      const place = await placeOfJob(context, principalOf(request).actor, request.params.jobId)
      const { conflictId: id } = request.params
      return resolveOne(context, { request, reply }, { place, id, version: versionOf(request.headers) }, request.body)
    },
  })
}

async function resolveOne(
  context: Context,
  exchange: Exchange,
  { place, id, version }: { place: ConflictPlace; id: string; version: number | null },
  fields: z.infer<typeof contract.ResolveInput>,
) {
  const principal = principalOf(exchange.request)
  const { actor } = principal
  const found = await getConflict(context, id)
  if (found.scope !== place.filter.scope) throw conflictNotFound(id)
  requireCarryOutConsent(context, principal, place, fields)
  const remember = rememberOf(place, fields)
  const choice = choiceOf(found, fields)
  const { body, headers: answered } = await answerOnce(
    context,
    { ...exchange, kind: 'job' },
    async (jobId) => {
      // The row was built on what was read above: of another version it would be another row.
      const on = version ?? (choice.resolution === 'row' ? found.version : null)
      const resolved = await resolveConflict(context, { id, version: on, actor }, choice, { remember })
      const carried = await carryOut(context, { principal, jobId }, place, { sources: [resolved.source], fields })
      // What is kept of the answer for a repeated request holds no values.
      const answer = { conflict: presentConflict(resolved, false), ...carried }
      return { status: 200 as const, body: answer, headers: { etag: etag(resolved.version) } }
    },
    () => Promise.resolve(null),
  )
  void exchange.reply.headers(answered)
  return body
}

/** @throws InvalidRequest where the conflicts belong to no sync config, whose later runs a rule would be for */
function rememberOf(
  { filter, conflictScope }: ConflictPlace,
  {
    remember = false,
    remember_any_fields: anyFields = false,
  }: Pick<z.infer<typeof contract.ResolveManyInput>, 'remember' | 'remember_any_fields'>,
): Remember | null {
  if (!remember) return null
  if (conflictScope === null && filter.scope !== undefined) return { configId: filter.scope, anyFields }
  const message = 'A rule belongs to a sync config, and these conflicts are of a run without one.'
  throw new InvalidRequest([{ place: 'body#/remember', message }])
}

/** @throws InvalidRequest with the columns, and not the values */
function choiceOf(found: OpenedConflict, { take, values, rest }: z.infer<typeof contract.ResolveInput>) {
  if (take !== 'row') return { resolution: take } as const
  if (values === null) return { resolution: take, row: null } as const
  const built = buildRow(found, { values: Object.entries(values ?? {}), rest: rest ?? null })
  if ('row' in built) return { resolution: take, row: built.row } as const
  throw new InvalidRequest(
    built.problems.map(({ field, message }) => ({ place: `body#/values/${field}`, message })),
    'The row cannot be written like this.',
  )
}

function resolveManyRoutes(api: Api, context: Context): void {
  const schema = { tags, headers: onceHeaders, response: { 200: contract.ResolvedMany } }
  api.route({
    method: 'POST',
    url: '/sync/:configId/resolve',
    config: { access: 'operator' },
    schema: {
      ...schema,
      summary: 'Decide conflicts of a sync config that a filter or a list names, at once or not at all',
      params: ofConfig,
      body: contract.ResolveManyInput,
    },
    handler: async (request, reply) => {
      const place = await placeOfConfig(context, principalOf(request).actor, request.params.configId)
      return resolveMany(context, { request, reply }, place, request.body)
    },
  })
  api.route({
    method: 'POST',
    url: '/sync/conflicts/:jobId/resolve-all',
    config: { access: 'operator' },
    schema: {
      ...schema,
      summary: 'Decide all conflicts that a job saw, or those of them that a filter names, at once or not at all',
      params: ofJob,
      body: contract.ResolveAllInput,
    },
    handler: async (request, reply) => {
      const place = await placeOfJob(context, principalOf(request).actor, request.params.jobId)
      return resolveMany(context, { request, reply }, place, request.body)
    },
  })
}

async function resolveMany(
  context: Context,
  exchange: Exchange,
  place: ConflictPlace,
  { take, filter: given = {}, ids, expect, digest, ...fields }: z.infer<typeof contract.ResolveManyInput>,
) {
  const { store } = context
  const principal = principalOf(exchange.request)
  const { status, kind, strategy, fields: columns, ...rows } = given
  const filter: ConflictFilter = {
    ...(status === undefined ? {} : { status }),
    ...(kind === undefined ? {} : { kind }),
    ...(strategy === undefined ? {} : { strategy }),
    ...(ids === undefined ? {} : { ids }),
    ...(columns === undefined ? {} : { fields: columns }),
    ...rowFilter(rows),
    ...place.filter,
  }
  if (fields.dry_run === true) {
    const would = presentSelection(await previewConflicts(store, { filter }), true)
    return { ...would, job_id: null, active_job_id: null, note: null }
  }
  requireCarryOutConsent(context, principal, place, fields)
  const remember = rememberOf(place, fields)
  const { body } = await answerOnce(
    context,
    { ...exchange, kind: 'job' },
    async (jobId) => {
      const decided = await resolveConflicts(context, {
        filter,
        resolution: take,
        actor: principal.actor,
        subject: place.subject,
        expect: expect ?? null,
        digest: digest ?? null,
        remember,
      })
      const sources = decided.tables.map(({ source }) => source)
      const carried = await carryOut(context, { principal, jobId }, place, { sources, fields })
      return { status: 200 as const, body: { ...presentSelection(decided, false), ...carried }, headers: {} }
    },
    () => Promise.resolve(null),
  )
  return body
}
