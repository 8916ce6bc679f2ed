import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import * as contract from '#api/contract/export-schedules.ts'
import { toExport } from '#api/contract/dumps.ts'
import { idOrName } from '#api/contract/ids.ts'
import { presentExportSchedule, presentExportScheduleSummary } from '#api/present-schedule.ts'
import { InvalidRequest } from '#api/problem.ts'
import { visibleDatasource } from '#api/visible.ts'
import { listDatasources } from '#control/datasources.ts'
import { listDumps, newestExports } from '#control/dumps.ts'
import {
  dropExportSchedule,
  findSchedule,
  keepExportSchedule,
  listExportSchedules,
  listTicks,
  pauseSchedule,
  resumeSchedule,
  type ScheduleState,
} from '#control/schedules.ts'
import { maySee } from '#model/access.ts'
import type { Datasource } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { toCronSchedule } from '#model/schedule-document.ts'

const tags = ['dumps', 'schedules']
const params = z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a datasource.' }) })

const TICKS = 20
const NEWEST = { sort: 'created_at', descending: true, after: null, limit: 1 } as const

/** Exports that run by themselves: one for each datasource, at the times of a cron text. */
export function exportScheduleRoutes(api: Api, context: Context): void {
  listRoute(api, context)
  showRoutes(api, context)
  changeRoutes(api, context)
  pauseRoutes(api, context)
}

function listRoute(api: Api, { store }: Context): void {
  api.route({
    method: 'GET',
    url: '/export-schedules',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'List the datasources that are exported by themselves, with their newest exports',
      response: { 200: contract.ExportScheduleList },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const [states, datasources, newest] = await Promise.all([
        listExportSchedules(store),
        listDatasources(store),
        newestExports(store),
      ])
      const byId = new Map(states.map((state) => [state.of.id, state]))
      const now = store.clock.now()
      const items = datasources
        .filter(({ id }) => maySee(actor, id))
        .flatMap((datasource) => {
          const state = byId.get(datasource.id)
          if (state === undefined) return []
          return [presentExportScheduleSummary({ state, datasource, newest: newest.get(datasource.id) ?? null }, now)]
        })
      return { items }
    },
  })
}

function showRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'GET',
    url: '/datasources/:id/export-schedule',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Show when a datasource is exported by itself, and what became of the last times',
      params,
      response: { 200: contract.ExportSchedule },
    },
    handler: async (request) => {
      const datasource = await visibleDatasource(store, principalOf(request).actor, request.params.id)
      const state = await findSchedule(store.db, datasource.id)
      if (state === null) {
        throw new AppError('not_found', `There is no scheduled export of ${datasource.name}.`, {
          hint: 'Say when it is to be: schedule is a cron text and a time zone (syncline dumps schedule NAME --cron TEXT).',
        })
      }
      return answer(context, datasource, state)
    },
  })
}

function changeRoutes(api: Api, context: Context): void {
  const { store, dumps } = context
  api.route({
    method: 'PUT',
    url: '/datasources/:id/export-schedule',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Export a datasource by itself from now on, or at other times or in another way than before',
      description:
        'The body is that of an export, with the times. What it does not name is as it is by default, not as it was before.',
      params,
      body: contract.ExportScheduleInput,
      response: { 200: contract.ExportSchedule },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { schedule: cron, ...body } = request.body
      const datasource = await visibleDatasource(store, actor, request.params.id)
      refuseUnexportable(datasource)
      if (body.passphrase_reference !== undefined) dumps.checkPassphrase(body.passphrase_reference)
      const kept = { datasource, schedule: toCronSchedule(cron), options: toExport(body) }
      return answer(context, datasource, await keepExportSchedule(store, kept, actor))
    },
  })
  api.route({
    method: 'DELETE',
    url: '/datasources/:id/export-schedule',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'No longer export a datasource by itself; its dumps stay',
      params,
      response: { 200: contract.DeletedExportSchedule },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const { id } = await visibleDatasource(store, actor, request.params.id)
      await dropExportSchedule(store, id, actor)
      return { datasource_id: id, deleted: true }
    },
  })
}

function pauseRoutes(api: Api, context: Context): void {
  const { store } = context
  const acts = [
    {
      word: 'pause',
      act: pauseSchedule,
      summary: 'Let a datasource no longer be exported by itself; its schedule is kept',
    },
    {
      word: 'resume',
      act: resumeSchedule,
      summary: 'Let it be exported by itself again; what came meanwhile is not made up for',
    },
  ] as const
  for (const { word, act, summary } of acts) {
    api.route({
      method: 'POST',
      url: `/datasources/:id/export-schedule/${word}`,
      config: { access: 'operator' },
      schema: { tags, summary, params, response: { 200: contract.ExportSchedule } },
      handler: async (request) => {
        const { actor } = principalOf(request)
        const datasource = await visibleDatasource(store, actor, request.params.id)
        return answer(context, datasource, await act(store, datasource.id, actor))
      },
    })
  }
}

/** What could never come to a dump is refused now, and not at night. */
function refuseUnexportable({ name, kind, connection, origin }: Datasource): void {
  if (kind === 'mysql' || connection.projectUrl !== null) {
    throw new AppError('server_not_supported', `${name} cannot be exported: only PostgreSQL is.`, {
      hint: 'Name a datasource of PostgreSQL that is reached over the port of the database.',
    })
  }
  if (origin === 'ad_hoc') {
    throw new InvalidRequest([{ place: 'path#/id', message: 'It was made for one job: add it as a datasource first.' }])
  }
}

async function answer({ store }: Context, datasource: Datasource, state: ScheduleState) {
  const { id } = datasource
  const [[newest = null], ticks] = await Promise.all([
    listDumps(store, { origin: 'export', datasource: id }, NEWEST),
    listTicks(store, id, TICKS),
  ])
  return presentExportSchedule({ state, datasource, newest }, ticks, store.clock.now())
}
