import type { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/audit.ts'
import { idPath } from '#api/contract/ids.ts'
import { limitOf } from '#api/contract/paging.ts'
import { isNumber, pageOf, readCursor } from '#api/page.ts'
import { presentChange } from '#api/present-audit.ts'
import { InvalidRequest } from '#api/problem.ts'
import { readKey } from '#api/row-key.ts'
import { visibleConfig, visibleDatasource, visibleJob } from '#api/visible.ts'
import { startersOf } from '#control/audit-list.ts'
import { changesOf, historyOfKey, loadsOf, type ChangePlace, type KeyScope } from '#control/history-list.ts'
import { statusesOf } from '#control/jobs.ts'
import { includesRole, type Actor } from '#model/access.ts'
import { parseTableName } from '#model/table-pattern.ts'

const tags = ['audit']

/** What jobs wrote, row by row. Keys are for all who may see the job, rows for operators. */
export function historyRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'GET',
    url: '/jobs/:id/history',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List what a job wrote, in order',
      params: idPath('job'),
      querystring: contract.ChangeQuery,
      response: { 200: contract.ChangePage },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { id } = await visibleJob(store, actor, request.params.id)
      return changePage(context, { jobId: id, actor }, request.query)
    },
  })
  keyRoute(api, context)
}

/** A page of what a job wrote. */
export async function changePage(
  context: Context,
  { jobId, actor }: { jobId: string; actor: Actor },
  { table, op, key, sort, limit: given, cursor }: z.infer<typeof contract.ChangeQuery>,
) {
  const limit = limitOf(given)
  const filter = {
    jobId,
    ...(table === undefined ? {} : { target: parseTableName(table) }),
    ...(op === undefined ? {} : { ops: [op] }),
    ...(key === undefined ? {} : { key: readKey(key) }),
  }
  const after = readCursor(cursor, isChangePlace)
  const found = await changesOf(context, filter, { newestFirst: sort === '-seq', after, limit: limit + 1 })
  const withValues = includesRole(actor.role, 'operator')
  const page = pageOf(found, limit, {
    placeOf: ({ mark }) => mark,
    present: (each) => presentChange(each, withValues),
  })
  return { ...page, values_shown: withValues }
}

const KEY_PAGE = 20
const LOADS = 10

function keyRoute(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'GET',
    url: '/history',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Say why a row is as it is: every change of one key by any job, the newest first',
      querystring: contract.KeyQuery,
      response: { 200: contract.KeyHistory },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { config, datasource, table, key, cursor } = request.query
      const limit = request.query.limit === undefined ? KEY_PAGE : Number(request.query.limit)
      const filter = {
        scope: await scopeOf(context, actor, { config, datasource }),
        target: parseTableName(table),
        key: readKey(key),
        datasources: actor.datasources,
      }
      const after = readCursor(cursor, isChangePlace)
      const found = await historyOfKey(context, filter, { after, limit: limit + 1 })
      const loads = after === null ? await loadsOf(context, filter, LOADS) : []
      const ids = [...found.map(({ batch }) => batch.jobId), ...loads.map(({ jobId }) => jobId)]
      const [starters, statuses] = [await startersOf(store, ids), await statusesOf(store, ids)]
      const byJob = ({ jobId, configId }: { jobId: string; configId: string | null }) => ({
        job_status: statuses.get(jobId) ?? null,
        started_by: starters.get(jobId)?.name ?? null,
        config_id: configId,
      })
      const withValues = includesRole(actor.role, 'operator')
      const page = pageOf(found, limit, {
        placeOf: ({ mark }) => mark,
        present: (each) => ({ ...presentChange(each, withValues), ...byJob(each.batch) }),
      })
      const loaded = loads.map((load) => ({ job_id: load.jobId, at: load.at, rows: load.rows, ...byJob(load) }))
      return { ...page, loads: loaded, values_shown: withValues }
    },
  })
}

/** @throws InvalidRequest unless one of the two is given */
async function scopeOf(
  { store }: Context,
  actor: Actor,
  { config, datasource }: { config: string | undefined; datasource: string | undefined },
): Promise<KeyScope> {
  if (config !== undefined && datasource === undefined) {
    return { configId: (await visibleConfig(store, actor, config)).id }
  }
  if (datasource !== undefined && config === undefined) {
    return { targetDatasourceId: (await visibleDatasource(store, actor, datasource)).id }
  }
  throw new InvalidRequest([{ place: 'query#/config', message: 'Give a config, or a datasource: one of the two.' }])
}

function isChangePlace(place: unknown): place is ChangePlace {
  if (typeof place !== 'object' || place === null) return false
  const { batch, place: at } = place as Partial<ChangePlace>
  return isNumber(batch) && isNumber(at)
}
