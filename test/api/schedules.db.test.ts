/** Schedules over the API: drafts in words, what comes next, what became of the last times, pause, consent, freshness. */
import { describe, expect, test } from 'vitest'

import { applyJobEvent } from '#control/jobs.ts'
import { Scheduler } from '#jobs/schedule.ts'
import { startJob } from '#jobs/start-job.ts'
import { addMs } from '#lib/clock.ts'

import { testId } from '#test/harness/api.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { createWorld, type World } from './world.ts'

type Body = Readonly<Record<string, unknown>>

async function ask(world: World, method: string, path: string, body?: unknown) {
  const answer = await world.api.send(world.admin, method, `/api${path}`, body === undefined ? {} : { body })
  return { status: answer.statusCode, body: answer.json<Body>() }
}

/** The document of the world's config, with these fields. */
const document = ({ source, target }: World, fields: object) => ({
  name: 'config',
  source_datasource_id: source,
  target_datasource_id: target,
  ...fields,
})

/** As if a service looked at this time. */
async function lookAt({ api: { store } }: World, now: string): Promise<void> {
  const rules = { protectedEnvironments: ['production', 'staging'] } as const
  const scheduler = new Scheduler({
    store,
    startJob: (wish, actor, jobId, also) => startJob({ store, rules, newJobId: () => jobId, also }, wish, actor),
    newJobId: () => testId('job'),
    readNow: () => Promise.resolve(now),
  })
  await scheduler.look(new AbortController().signal)
}

describe.each(STORE_KINDS)('schedules over the API, with the store in %s', (kind) => {
  test('UX 42: a draft is told in words with its next five runs, or what is wrong with it in its place', async () => {
    await using world = await createWorld(kind)
    const preview = (body: object) => ask(world, 'POST', '/schedules/preview', body)
    const { body } = await preview({ schedule: { cron: '30 2 * * *', time_zone: 'Europe/Berlin' } })
    expect(body).toMatchObject({ words: 'At 02:30, every day (Europe/Berlin)', time_zone: 'Europe/Berlin' })
    const runs = body['next_runs'] as readonly { at: string; local: string }[]
    expect(runs).toHaveLength(5)
    for (const { at, local } of runs)
      expect([local.slice(11, 13), Date.parse(at)]).toEqual([expect.stringMatching(/0[23]/), Date.parse(local)])
    expect((await preview({ sync_interval: 300 })).body).toMatchObject({ words: 'Every 5 minutes', time_zone: null })
    expect((await preview({})).body).toEqual({ words: null, time_zone: null, note: null, next_runs: [] })
    const wrong = await preview({ schedule: { cron: '0 25 * * *', time_zone: 'Europe/Berln' } })
    expect(wrong).toMatchObject({
      status: 400,
      body: {
        errors: [
          { place: 'body#/schedule/cron', message: 'hour: 25 is not one of 0 to 23.' },
          { place: 'body#/schedule/time_zone', message: expect.stringContaining('Europe/Berlin') as string },
        ],
      },
    })
    const both = await preview({ sync_interval: 300, schedule: { cron: '0 2 * * *' } })
    expect(both.body).toMatchObject({ errors: [{ place: 'body#/schedule' }] })
    expect(await preview({ sync_interval: 9 })).toMatchObject({ status: 400 })
  })

  test('a document keeps its schedule; what comes, what came of it and whether it is paused are told', async () => {
    await using world = await createWorld(kind)
    const { config } = world
    const path = `/sync-configs/${config}/schedule`
    expect((await ask(world, 'GET', path)).body).toMatchObject({
      words: null,
      next_runs: [],
      ticks: [],
      refused_for: null,
    })
    expect(await ask(world, 'POST', `${path}/pause`, {})).toMatchObject({ status: 404 })
    const fields = { sync_interval: 3_600, overlap_policy: 'skip' }
    const kept = await ask(world, 'PUT', `/sync-configs/${config}`, document(world, fields))
    expect(kept.body).toMatchObject(fields)
    const since = String(kept.body['updated_at'])
    const due = addMs(since, 3_600_000)
    expect((await ask(world, 'GET', path)).body).toMatchObject({
      words: 'Every hour',
      next_runs: [{ at: due }, {}, {}, {}, {}],
    })
    await lookAt(world, addMs(due, 61_000))
    const { body } = await ask(world, 'GET', path)
    const [tick] = body['ticks'] as readonly Body[]
    expect(tick).toMatchObject({
      tick: due,
      late: true,
      missed: 0,
      outcome: 'started',
      job_status: 'queued',
      reason: null,
    })
    const job = await ask(world, 'GET', `/jobs/${String(tick?.['job_id'])}`)
    expect(job.body).toMatchObject({ config_id: config, requested_by: 'schedule', config_version: 2 })
    await lookAt(world, addMs(due, 3_600_000))
    expect((await ask(world, 'GET', path)).body).toMatchObject({
      ticks: [{ outcome: 'skipped', job_id: tick?.['job_id'] }, { outcome: 'started' }],
    })
    expect((await ask(world, 'POST', `${path}/pause`, {})).body).toMatchObject({ next_runs: [], paused_by: 'a admin' })
    const resumed = (await ask(world, 'POST', `${path}/resume`, {})).body
    expect(resumed).toMatchObject({ paused_at: null, next_runs: [{}, {}, {}, {}, {}] })
    const versions = await ask(world, 'GET', `/sync-configs/${config}/versions`)
    expect(versions.body).toMatchObject({
      items: [{ changes: [{ path: '/sync_interval', after: 3_600 }, { path: '/overlap_policy' }] }, {}],
    })
  })

  test('what is protected needs consent with the name of the target, which is not carried over to another one', async () => {
    await using world = await createWorld(kind)
    const { config, target } = world
    const path = `/sync-configs/${config}/schedule`
    const { body: now } = await ask(world, 'GET', `/datasources/${target}`)
    const put = await ask(world, 'PUT', `/datasources/${target}`, {
      name: now['name'],
      kind: 'postgres',
      url: world.targetUrl,
      writable: true,
      environment: 'production',
    })
    expect(put.status).toBe(200)
    await ask(world, 'PUT', `/sync-configs/${config}`, document(world, { schedule: { cron: '0 2 * * *' } }))
    expect((await ask(world, 'GET', path)).body).toMatchObject({
      refused_for: { code: 'target_protected' },
      consent: null,
    })
    const give = (confirm?: string) => ask(world, 'PUT', `${path}/consent`, { allow_protected_write: true, confirm })
    expect((await give()).body).toMatchObject({ code: 'confirmation_needed' })
    expect((await give('target')).body).toMatchObject({
      refused_for: null,
      consent: { allow_protected_write: true, allow_protected_source_write: false, holds: true, by: 'a admin' },
    })
    expect((await ask(world, 'PUT', `${path}/consent`, {})).body).toMatchObject({
      consent: null,
      refused_for: { code: 'target_protected' },
    })
  })

  test('S1.40: an overview knows how fresh a target is to be, and since when it is overdue', async () => {
    await using world = await createWorld(kind)
    const { config, api } = world
    const first = async () =>
      ((await ask(world, 'GET', '/overview')).body['configs'] as readonly Body[])[0]?.['schedule']
    expect(await first()).toBe(null)
    await ask(world, 'PUT', `/sync-configs/${config}`, document(world, { sync_interval: 600 }))
    expect(await first()).toMatchObject({
      words: 'Every 10 minutes',
      paused: false,
      expected_interval_seconds: 600,
      overdue_since: null,
    })
    // As if it had come to be an hour ago, and nothing had run since.
    const { since } = await api.store.db.selectFrom('schedule').select('since').executeTakeFirstOrThrow()
    const earlier = addMs(since, -3_600_000)
    await api.store.db.updateTable('schedule').set({ since: earlier }).execute()
    expect(await first()).toMatchObject({ overdue_since: addMs(earlier, 600_000) })
    await ask(world, 'POST', `/sync-configs/${config}/schedule/pause`, {})
    expect(await first()).toMatchObject({ paused: true, next_run_at: null, overdue_since: null })
    await applyJobEvent(api.store, { id: world.job, event: 'cancel' })
  })
})
