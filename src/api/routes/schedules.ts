import { z } from 'zod'
import { principalOf, type Api, type Context } from '#api/context.ts'
import { idOrName } from '#api/contract/ids.ts'
import * as contract from '#api/contract/schedules.ts'
import { draftRuns, presentSchedule, presentScheduleState } from '#api/present-schedule.ts'
import { requireConfirmation } from '#api/security/confirm.ts'
import { visibleConfig, visibleDatasource } from '#api/visible.ts'
import {
  consentToSchedule,
  findSchedule,
  listTicks,
  pauseSchedule,
  resumeSchedule,
  type ScheduleState,
} from '#control/schedules.ts'
import type { StoredConfig } from '#control/sync-configs.ts'
import { refuseUnwritable } from '#jobs/start-job.ts'
import { scheduledWish } from '#jobs/schedule.ts'
import type { Actor } from '#model/access.ts'
import { policiesOf } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import { toSchedule } from '#model/schedule-document.ts'

const tags = ['schedules']
const params = z.strictObject({ id: idOrName.meta({ description: 'The id or the name of a sync config.' }) })

const TICKS = 20

/** When sync configs run by themselves, and what has become of it. */
export function scheduleRoutes(api: Api, context: Context): void {
  previewRoute(api, context)
  stateRoutes(api, context)
  consentRoute(api, context)
}

function previewRoute(api: Api, { store }: Context): void {
  api.route({
    method: 'POST',
    url: '/schedules/preview',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Say a schedule in plain words, with its next five runs, were it to begin now; nothing is kept',
      body: contract.SchedulePreviewInput,
      response: { 200: contract.SchedulePreview },
    },
    handler: async (request) => {
      const schedule = toSchedule(request.body)
      const now = store.clock.now()
      return presentSchedule(schedule, draftRuns(schedule, now), now)
    },
  })
}

function stateRoutes(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'GET',
    url: '/sync-configs/:id/schedule',
    config: { access: 'viewer' },
    schema: {
      tags,
      summary: 'Show when a sync config runs next, and what became of the last times',
      params,
      response: { 200: contract.ScheduleState },
    },
    handler: async (request) => {
      const { actor } = principalOf(request)
      const config = await visibleConfig(store, actor, request.params.id)
      return answer(context, actor, config, await findSchedule(store.db, config.id))
    },
  })
  const acts = [
    { word: 'pause', act: pauseSchedule, summary: 'Let a sync config no longer run by itself; its schedule is kept' },
    {
      word: 'resume',
      act: resumeSchedule,
      summary: 'Let it run by itself again; what came meanwhile is not made up for',
    },
  ] as const
  for (const { word, act, summary } of acts) {
    api.route({
      method: 'POST',
      url: `/sync-configs/:id/schedule/${word}`,
      config: { access: 'operator' },
      schema: { tags, summary, params, response: { 200: contract.ScheduleState } },
      handler: async (request) => {
        const { actor } = principalOf(request)
        const config = await visibleConfig(store, actor, request.params.id)
        return answer(context, actor, config, await act(store, config.id, actor))
      },
    })
  }
}

function consentRoute(api: Api, context: Context): void {
  const { store } = context
  api.route({
    method: 'PUT',
    url: '/sync-configs/:id/schedule/consent',
    config: { access: 'operator' },
    schema: {
      tags,
      summary: 'Let the runs of a schedule write to a protected environment, or no longer',
      description:
        'It holds for the two databases that the sync config has now. Giving it needs the name of the target in confirm.',
      params,
      body: contract.ScheduleConsentInput,
      response: { 200: contract.ScheduleState },
    },
    handler: async (request) => {
      const principal = principalOf(request)
      const { actor } = principal
      const config = await visibleConfig(store, actor, request.params.id)
      const { source_datasource_id: source, target_datasource_id: target } = config.document
      const { confirm, ...given } = request.body
      const protectedWrite = given.allow_protected_write ?? false
      const protectedSourceWrite = given.allow_protected_source_write ?? false
      const gives = protectedWrite || protectedSourceWrite
      if (gives)
        requireConfirmation(context, principal, { name: (await visibleDatasource(store, actor, target)).name, confirm })
      const consent = gives ? { source, target, protectedWrite, protectedSourceWrite } : null
      return answer(context, actor, config, await consentToSchedule(store, config.id, consent, actor))
    },
  })
}

async function answer(context: Context, actor: Actor, config: StoredConfig, state: ScheduleState | null) {
  const { store } = context
  const [refusal, ticks] = await Promise.all([
    state === null ? null : refusalOf(context, actor, config, state),
    listTicks(store, config.id, TICKS),
  ])
  return presentScheduleState({ state, config, refusal, ticks }, store.clock.now())
}

/** What the one door would say now. */
async function refusalOf(
  { store, rules }: Context,
  actor: Actor,
  config: StoredConfig,
  { consent }: ScheduleState,
): Promise<AppError | null> {
  const { kind, what: _, ...options } = scheduledWish(config, consent)
  const [source, target] = await Promise.all([
    visibleDatasource(store, actor, config.document.source_datasource_id),
    visibleDatasource(store, actor, config.document.target_datasource_id),
  ])
  const request = { ...options, policies: policiesOf(config.document), targetNamed: false }
  try {
    refuseUnwritable({ kind, request, source, target }, rules)
    return null
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}
