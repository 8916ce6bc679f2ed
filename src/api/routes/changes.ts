import { Readable } from 'node:stream'
import type { FastifyReply, FastifyRequest } from 'fastify'
import { z } from 'zod'
import { changeScriptFor } from '#adapters/registry.ts'
import { csvOf, jsonOf, scriptOf } from '#api/change-download.ts'
import { toChangeFilter } from '#api/change-filter.ts'
import { principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/changes.ts'
import { idPath } from '#api/contract/ids.ts'
import { onceHeaders } from '#api/contract/once.ts'
import { limitOf } from '#api/contract/paging.ts'
import { answerOnce } from '#api/once.ts'
import { isNumber, readCursor, writeCursor } from '#api/page.ts'
import { presentChange, presentSummary } from '#api/present-changes.ts'
import { visibleDatasource, visibleJob } from '#api/visible.ts'
import { recordAudit } from '#control/audit.ts'
import { countMarks } from '#control/change-marks.ts'
import { pageChanges } from '#control/change-pages.ts'
import { checkChangeSet } from '#control/change-sets.ts'
import { findChangeSet, readyChangeSet, type StoredChangeSet } from '#control/change-set-tools.ts'
import { describeFilter } from '#control/decide-changes.ts'
import type { Job } from '#control/jobs.ts'
import { changeSetOf, decideOnJob, expiresAt, keepsChanges } from '#jobs/review-job.ts'
import { includesRole, type Actor } from '#model/access.ts'
import { toConduct } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { isActive } from '#model/job.ts'

const tags = ['changes']
const params = idPath('job')

/** The changes of a job: looked at, taken along, decided on. */
export function changeRoutes(api: Api, context: Context): void {
  listRoute(api, context)
  downloadRoute(api, context)
  decideRoute(api, context)
}

function listRoute(api: Api, context: Context): void {
  const { changeSets } = context
  api.route({
    method: 'GET',
    url: '/jobs/:id/changes',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List the changes of a job, in the order in which they are applied, and what they come to',
      params,
      querystring: contract.ChangeQuery,
      response: { 200: contract.ChangePage },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { job, stored } = await visibleChangeSet(context, actor, request.params.id, notBegun)
      const { limit, cursor, ...filters } = request.query
      const withValues = includesRole(actor.role, 'operator')
      const after = readCursor(cursor, isNumber)
      const { changes, next } =
        stored.state === 'ready'
          ? await pageChanges(changeSets, stored.jobId, toChangeFilter(filters), { after, limit: limitOf(limit) })
          : { changes: [], next: null }
      const marks = await countMarks(changeSets, stored.jobId)
      const tables = stored.summary?.tables ?? []
      return {
        items: changes.map((change) => presentChange(tables, change, withValues)),
        next_cursor: next === null ? null : writeCursor(next),
        summary: presentSummary(stored, marks, { expiresAt: expiresAt(job, stored), withValues }),
      }
    },
  })
}

/** What there is of changes that a job is about to compute. */
function notBegun(job: Job): StoredChangeSet | null {
  if (!keepsChanges(job) || !isActive(job.status)) return null
  const { staging } = toConduct(job.request.policies)
  const nothing = { summary: null, dropped: 0, approval: null, expiresAt: null, takenBy: null }
  return { jobId: job.id, generation: '', state: 'building', staging, ...nothing }
}

/** @throws AppError `not_found` */
export async function visibleChangeSet(
  { store, changeSets }: Context,
  actor: Actor,
  id: string,
  otherwise: (job: Job) => StoredChangeSet | null = () => null,
): Promise<{ readonly job: Job; readonly stored: StoredChangeSet }> {
  const job = await visibleJob(store, actor, id)
  const stored = (await findChangeSet(changeSets, changeSetOf(job))) ?? otherwise(job)
  if (stored !== null) return { job, stored }
  throw new AppError('not_found', `The job ${id} has no changes that are kept.`, {
    hint: 'Dry runs keep their changes, reverts do, and syncs whose commit_mode is staged or approval.',
  })
}

const MEDIA = {
  json: 'application/json; charset=utf-8',
  csv: 'text/csv; charset=utf-8; header=present',
  sql: 'application/sql; charset=utf-8',
} as const

function downloadRoute(api: Api, context: Context): void {
  api.route({
    method: 'GET',
    url: '/jobs/:id/changes/download',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Take the changes of a job along: as JSON, as CSV, or as SQL that makes them',
      params,
      querystring: contract.DownloadQuery,
      response: {
        200: {
          description: 'The file. One that breaks off has no end: the connection is cut.',
          content: {
            'application/json': { schema: z.unknown() },
            'text/csv': { schema: z.string() },
            'application/sql': { schema: z.string() },
          },
        },
      },
    },
    handler: async (request, reply) => download(context, { request, reply }, request.params.id, request.query),
  })
}

async function download(
  context: Context,
  { request, reply }: { request: FastifyRequest; reply: FastifyReply },
  id: string,
  { format = 'json', ...filters }: z.infer<typeof contract.DownloadQuery>,
) {
  const { store, changeSets, streams } = context
  const { actor, key } = principalOf(request)
  const { job, stored } = await visibleChangeSet(context, actor, id)
  const target = await visibleDatasource(store, actor, job.targetDatasourceId)
  // What is gone is said while it can be said: a file that is under way can only break off.
  await checkChangeSet(changeSets, stored.jobId)
  const set = await readyChangeSet(changeSets, stored.jobId)
  const filter = toChangeFilter(filters)
  const { digest } = set.summary
  const data = { format, digest, ...describeFilter(filter) }
  await recordAudit(store, actor, { action: 'change_set.download', subject: id, data })
  const wanted = { set, filter: format === 'sql' && filter.marks === null ? { ...filter, marks: APPLIED } : filter }
  const pieces = {
    json: jsonOf,
    csv: csvOf,
    sql: (...of: Parameters<typeof csvOf>) => scriptOf(...of, changeScriptFor(target)),
  }
  const leave = streams.take(key.id)
  const body = Readable.from(pieces[format](context, wanted)).once('close', leave)
  void reply.header('content-type', MEDIA[format])
  void reply.header('content-disposition', `attachment; filename="${id}-changes.${format}"`)
  return reply.send(body)
}

/** What is applied if nobody decides otherwise. */
const APPLIED = ['none', 'again'] as const

function decideRoute(api: Api, context: Context): void {
  const { store, changeSets } = context
  api.route({
    method: 'POST',
    url: '/jobs/:id/changes/decide',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Say of changes whether they are applied; where nothing is open any more, the job goes on',
      params,
      headers: onceHeaders,
      body: contract.DecideInput,
      response: { 200: contract.Decided },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const { verdict, filter, seqs } = request.body
      const { body } = await answerOnce(
        context,
        { request, reply, kind: 'job' },
        async () => {
          const { job: of, stored } = await visibleChangeSet(context, actor, request.params.id)
          // It is the job that applies them which goes on.
          const job = stored.takenBy === null ? of : await visibleJob(store, actor, stored.takenBy)
          const {
            changed,
            open,
            job: now,
          } = await decideOnJob(changeSets, job, {
            filter: filter === undefined ? null : toChangeFilter(filter),
            seqs: seqs ?? null,
            verdict,
            actor,
          })
          return { status: 200 as const, body: { changed, open, job_id: now.id, status: now.status }, headers: {} }
        },
        () => Promise.resolve(null),
      )
      return body
    },
  })
}
