import { Readable } from 'node:stream'
import type { z } from 'zod'
import { strictObject } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/audit.ts'
import { idOf } from '#api/contract/ids.ts'
import { limitOf, momentOf } from '#api/contract/paging.ts'
import { isNumber, pageOf, readCursor } from '#api/page.ts'
import { ADMIN_NOUNS, presentAuditEvent, presentCheck, presentWrites } from '#api/present-audit.ts'
import { presentJob } from '#api/present.ts'
import { csvReport } from '#api/report/csv.ts'
import { eventsOf, reportFacts, type ReportTools } from '#api/report/facts.ts'
import { htmlReport, REPORT_POLICY } from '#api/report/html.ts'
import { jsonReport } from '#api/report/json.ts'
import { refuseScoped } from '#api/security/scope.ts'
import { visibleConfig, visibleDatasource, visibleJob } from '#api/visible.ts'
import { countAudit, listAudit, startersOf, type AuditConcern, type AuditFilter } from '#control/audit-list.ts'
import { checkAudit, recordAudit, type AuditCheck } from '#control/audit.ts'
import { countWrites } from '#control/history-list.ts'
import type { AuditEventRow } from '#control/schema.ts'
import { includesRole, type Actor } from '#model/access.ts'
import { toConduct } from '#model/config-document.ts'
import { changePage } from './history.ts'

const tags = ['audit']
const jobParams = strictObject({ jobId: idOf('job') })

/** Who did what, and whether that is still what was written; what one job did, and its report. */
export function auditRoutes(api: Api, context: Context): void {
  logRoutes(api, context)
  checkRoute(api, context)
  jobRoutes(api, context)
  reportRoute(api, context)
}

function logRoutes(api: Api, { store }: Context): void {
  // The second one is what it was called when it was for admins alone.
  for (const { url, access } of [
    { url: '/audit', access: 'viewer' },
    { url: '/audit-events', access: 'admin' },
  ] as const) {
    api.route({
      method: 'GET',
      url,
      config: { access },
      schema: {
        tags,
        summary: 'List and search who did what, the newest first unless sorted otherwise',
        querystring: contract.AuditQuery,
        response: { 200: contract.AuditPage },
      },
      handler: async (request) => {
        const { actor } = principalOf(request)
        if (access === 'admin') refuseScoped(actor)
        const { sort, cursor, limit: given, ...filter } = request.query
        const limit = limitOf(given)
        const after = readCursor(cursor, isNumber)
        const wish = { oldestFirst: sort === 'seq', after, limit: limit + 1 }
        const found = await listAudit(store, await filterOf(store, actor, filter), wish)
        return pageOf(found, limit, {
          placeOf: ({ seq }) => seq,
          present: (event) => presentAuditEvent(event, actor),
        })
      },
    })
  }
  api.route({
    method: 'GET',
    url: '/audit/stats',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Count events by action, actor and day, and the rows that were written by table and operation',
      querystring: contract.StatsQuery,
      response: { 200: contract.AuditStats },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const filter = await filterOf(store, actor, request.query)
      const { since, until, datasources } = filter
      const { events, actions, actors, days } = await countAudit(store, filter)
      const written = await countWrites(store, {
        ...(since === undefined ? {} : { since }),
        ...(until === undefined ? {} : { until }),
        ...(datasources === undefined ? {} : { datasources }),
        ...(filter.concerns === undefined ? {} : { concerns: filter.concerns }),
      })
      return {
        events,
        actions: [...actions],
        actors: [...actors],
        days: [...days],
        written: written.map(presentWrites),
      }
    },
  })
}

/** What a caller may see of what they ask for. What lies outside the scope of their key is not there for them (S9). */
async function filterOf(
  store: Context['store'],
  actor: Actor,
  { job, config, datasource, since, until, ...rest }: z.infer<typeof contract.StatsQuery>,
): Promise<AuditFilter> {
  const concerns: AuditConcern[] = [
    ...(job === undefined ? [] : [{ kind: 'job' as const, id: (await visibleJob(store, actor, job)).id }]),
    ...(config === undefined ? [] : [{ kind: 'config' as const, id: (await visibleConfig(store, actor, config)).id }]),
    ...(datasource === undefined
      ? []
      : [{ kind: 'datasource' as const, id: (await visibleDatasource(store, actor, datasource)).id }]),
  ]
  const { action, actor: by, subject, search } = rest
  return {
    ...(action === undefined ? {} : { action }),
    ...(by === undefined ? {} : { actor: by }),
    ...(subject === undefined ? {} : { subject }),
    ...(search === undefined ? {} : { search }),
    ...(since === undefined ? {} : { since: momentOf(since) }),
    ...(until === undefined ? {} : { until: momentOf(until) }),
    ...(concerns.length === 0 ? {} : { concerns }),
    ...(actor.datasources === null ? {} : { datasources: actor.datasources }),
    ...(includesRole(actor.role, 'admin') ? {} : { without: ADMIN_NOUNS }),
  }
}

function checkRoute(api: Api, { store }: Context): void {
  // The walk over the whole log is made once for all who ask while it is under way.
  const underWay = new Map<string, Promise<AuditCheck>>()
  const check = (noted: string): Promise<AuditCheck> => {
    const [seq = '', hash = ''] = noted.split(':')
    const found = underWay.get(noted)
    if (found !== undefined) return found
    const walk = checkAudit(store, noted === '' ? null : { seq: Number(seq), hash }).finally(() =>
      underWay.delete(noted),
    )
    underWay.set(noted, walk)
    return walk
  }
  api.route({
    method: 'GET',
    url: '/audit/verify',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Check that the audit log is what was written, event by event',
      querystring: contract.VerifyQuery,
      response: { 200: contract.AuditCheck },
    },
    handler: async (request) => {
      refuseScoped(principalOf(request).actor)
      return presentCheck(await check(request.query.noted ?? ''))
    },
  })
}

/** Events that are shown beside the changes of a job. */
const EVENTS = 1_000

function jobRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'GET',
    url: '/sync/audit/:jobId',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Show what happened to a job and what was decided, and page by page what it wrote',
      params: jobParams,
      querystring: contract.JobAuditQuery,
      response: { 200: contract.JobAudit },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const job = await visibleJob(store, actor, request.params.jobId)
      const starter = (await startersOf(store, [job.id])).get(job.id)
      const events: AuditEventRow[] = []
      if (request.query.cursor === undefined) {
        for await (const event of eventsOf({ ...context, actor }, job.id)) {
          if (events.push(event) > EVENTS) break
        }
      }
      return {
        job: presentJob(job, starter?.name ?? null),
        audit_level: toConduct(job.request.policies).auditLevel,
        started_by: starter?.name ?? null,
        events: events.slice(0, EVENTS).map((event) => presentAuditEvent(event, actor)),
        more_events: events.length > EVENTS,
        changes: await changePage(context, { jobId: job.id, actor }, request.query),
      }
    },
  })
}

const FORMS = {
  json: { type: 'application/json; charset=utf-8', write: jsonReport },
  csv: { type: 'text/csv; charset=utf-8', write: csvReport },
  html: { type: 'text/html; charset=utf-8', write: htmlReport },
} as const

function reportRoute(api: Api, context: Context): void {
  api.route({
    method: 'GET',
    url: '/sync/audit/:jobId/report',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Write a report of a job: who, when, what, its proof, and every change',
      params: jobParams,
      querystring: contract.ReportQuery,
      response: { 200: contract.Report },
    },
    handler: async (request, reply) => {
      const { actor } = principalOf(request)
      const job = await visibleJob(context.store, actor, request.params.jobId)
      const { format = 'json' } = request.query
      const tools: ReportTools = { ...context, actor }
      const facts = await reportFacts(tools, job)
      const data = { format, values: facts.valuesShown }
      await recordAudit(context.store, actor, { action: 'audit.report', subject: job.id, data })
      const { type, write } = FORMS[format]
      const name = `audit-${job.id}.${format}`
      return reply
        .type(type)
        .header('content-disposition', `${format === 'html' ? 'inline' : 'attachment'}; filename="${name}"`)
        .headers(format === 'html' ? { 'content-security-policy': REPORT_POLICY } : {})
        .send(Readable.from(inPieces(write(facts, tools))))
    },
  })
}

const PIECE = 32_768

/** Small texts joined, so that a line is not a packet. */
async function* inPieces(texts: AsyncIterable<string>): AsyncGenerator<Buffer> {
  let held = ''
  for await (const text of texts) {
    held += text
    if (held.length < PIECE) continue
    yield Buffer.from(held, 'utf8')
    held = ''
  }
  yield Buffer.from(held, 'utf8')
}
