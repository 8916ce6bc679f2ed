/** Schedules on stores of both kinds, by a clock that the test sets. */
import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { createDatasource, type DatasourceDraft } from '#control/datasources.ts'
import { applyJobEvent, listJobs } from '#control/jobs.ts'
import {
  consentToSchedule,
  findSchedule,
  listTicks,
  pauseSchedule,
  purgeTicks,
  resumeSchedule,
} from '#control/schedules.ts'
import { Store } from '#control/store.ts'
import { createConfig, deleteConfig, getConfig, updateConfig } from '#control/sync-configs.ts'
import { addMs, wallMs } from '#lib/clock.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import type { ConfigDocument } from '#model/config-document.ts'
import { makeId, type IdKind } from '#model/id.ts'
import { draftOf } from '#test/harness/datasources.ts'
import { createStorePlace, STORE_KINDS, type StoreKind } from '#test/harness/store.ts'
import { Scheduler, type ScheduleEvent, type SchedulerOptions } from './schedule.ts'
import { startJob } from './start-job.ts'

const newId = (kind: IdKind): string => makeId(kind, wallMs(), randomBytes(10))
const rules = { protectedEnvironments: ['production'] } as const
const signal = new AbortController().signal

/** A store with two datasources, at a time that the test sets. */
async function open(kind: StoreKind, target: Partial<DatasourceDraft> = {}) {
  await using stack = new AsyncDisposableStack()
  const { location } = stack.use(await createStorePlace(kind))
  let now = '2026-03-28T12:00:00.000Z'
  const clock = { now: () => now, elapsed: () => 0 }
  const store = stack.use(await Store.open(location, { clock, migrate: true }))
  const box = new SecretBox([randomBytes(32)])
  const add = (name: string, changes: Partial<DatasourceDraft>) =>
    createDatasource({ store, box }, draftOf(`postgres://app@127.0.0.1:1/${name}`, { name, ...changes }), {
      id: newId('datasource'),
      actor: SYSTEM,
      origin: 'stored',
    })
  const [from, to] = [await add('a', {}), await add('b', { writable: true, ...target })]
  const events: ScheduleEvent[] = []
  const scheduler = (changes: Partial<SchedulerOptions> = {}): Scheduler =>
    new Scheduler({
      store,
      startJob: (wish, actor, jobId, also) => startJob({ store, rules, newJobId: () => jobId, also }, wish, actor),
      newJobId: () => newId('job'),
      readNow: () => Promise.resolve(now),
      onEvent: (event) => events.push(event),
      ...changes,
    })
  const document = (fields: Partial<ConfigDocument>): ConfigDocument => ({
    name: 'shop',
    source_datasource_id: from.id,
    target_datasource_id: to.id,
    ...fields,
  })
  const held = stack.move()
  return {
    store,
    location,
    ends: { source: from.id, target: to.id },
    events,
    document,
    scheduler,
    at: (time: string) => (now = time.includes('.') ? time : time.replace('Z', ':00.000Z')),
    later: (ms: number) => (now = addMs(now, ms)),
    add: async (fields: Partial<ConfigDocument>): Promise<string> =>
      (await createConfig(store, document(fields), { id: newId('sync config'), actor: SYSTEM })).id,
    jobs: async () => await listJobs(store, { limit: 1_000, oldestFirst: true }),
    /** Whatever is open comes to a good end. */
    finish: async () => {
      for (const { id } of await listJobs(store, { limit: 1_000, status: ['queued'] })) {
        await applyJobEvent(store, { id, event: 'cancel' })
      }
    },
    ticks: (config: string) => listTicks(store, config, 1_000),
    next: async (config: string) => (await findSchedule(store.db, config))?.nextAt,
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

const BERLIN = { cron: '30 2 * * *', time_zone: 'Europe/Berlin' }

describe.each(STORE_KINDS)('schedules with the store in %s', (kind) => {
  test('F9: 02:30 in Berlin runs once on the days on which clocks change, when asked every ten minutes', async () => {
    await using it = await open(kind)
    const config = await it.add({ schedule: BERLIN })
    const scheduler = it.scheduler()
    for (const [day, expected] of [
      ['2026-03-28T23:00Z', '2026-03-29T01:00:00.000Z'],
      ['2026-10-24T22:00Z', '2026-10-25T00:30:00.000Z'],
    ] as const) {
      // From the one day to the other nobody looked: that is told with the tick of that day, which comes first.
      it.at(day)
      await scheduler.look(signal)
      await it.finish()
      const before = (await it.ticks(config)).length
      for (let i = 0; i < 6 * 20; i++) {
        it.later(10 * 60_000)
        await scheduler.look(signal)
        await it.finish()
      }
      const fresh = (await it.ticks(config)).slice(0, -before || undefined)
      expect(fresh).toMatchObject([{ tick: expected, firedAt: expected, outcome: 'started', missed: 0 }])
    }
  })

  test('a job is the config’s, of its schedule, and starts once for each tick; what is logged says so', async () => {
    await using it = await open(kind)
    const config = await it.add({ sync_interval: 300, batch_size: 7 })
    expect(await it.next(config)).toBe('2026-03-28T12:05:00.000Z')
    const scheduler = it.scheduler()
    it.later(299_999)
    await scheduler.look(signal)
    expect(await it.jobs()).toEqual([])
    it.later(1)
    await scheduler.look(signal)
    await scheduler.look(signal)
    const [job, ...more] = await it.jobs()
    expect(more).toEqual([])
    expect(job).toMatchObject({
      configId: config,
      kind: 'sync',
      requestedBy: 'schedule',
      request: { policies: { batch_size: 7 }, dryRun: false, mode: 'incremental', allowProtectedWrite: false },
    })
    expect(Object.keys(job?.request.policies ?? {})).toEqual(['batch_size'])
    expect(it.events).toEqual([
      {
        type: 'tick seen to',
        subject: config,
        tick: '2026-03-28T12:05:00.000Z',
        missed: 0,
        outcome: 'started',
        jobId: job?.id,
        reason: null,
      },
    ])
    const audit = await it.store.db.selectFrom('audit_event').selectAll().where('action', '=', 'job.start').execute()
    expect(audit).toMatchObject([{ actor: 'schedule', actor_name: 'schedule of shop', subject: job?.id }])
    expect(await it.next(config)).toBe('2026-03-28T12:10:00.000Z')
  })

  test('B6: ten services that look at once start one job for a tick, and so does one that starts anew', async () => {
    await using it = await open(kind)
    const config = await it.add({ sync_interval: 60 })
    await using second = await Store.open(it.location, { clock: it.store.clock, migrate: false })
    it.later(60_000)
    const other = (store: Store) =>
      it.scheduler({
        store,
        startJob: (wish, actor, jobId, also) => startJob({ store, rules, newJobId: () => jobId, also }, wish, actor),
      })
    await Promise.all(Array.from({ length: 10 }, (_, i) => other(i % 2 === 0 ? it.store : second).look(signal)))
    await other(second).look(signal)
    expect(await it.jobs()).toHaveLength(1)
    expect(await it.ticks(config)).toMatchObject([{ outcome: 'started' }])
  })

  test('a service that dies before the job is in the store loses no tick', async () => {
    await using it = await open(kind)
    const config = await it.add({ sync_interval: 60 })
    it.later(60_000)
    const dying = it.scheduler({
      startJob: (wish, actor, jobId, also) =>
        startJob(
          {
            store: it.store,
            rules,
            newJobId: () => jobId,
            also: async (tx) => {
              await also(tx)
              throw new Error('killed before its COMMIT')
            },
          },
          wish,
          actor,
        ),
    })
    await expect(dying.look(signal)).rejects.toThrow('killed')
    expect([await it.jobs(), await it.ticks(config)]).toEqual([[], []])
    await it.scheduler().look(signal)
    expect(await it.ticks(config)).toMatchObject([{ tick: '2026-03-28T12:01:00.000Z', outcome: 'started' }])
  })

  test('a tick that fails in a way that nobody foresaw holds up no other', async () => {
    await using it = await open(kind)
    const broken = await it.add({ name: 'broken', sync_interval: 60 })
    const good = await it.add({ name: 'good', sync_interval: 60 })
    await it.store.db.updateTable('sync_config').set({ document: '{' }).where('id', '=', broken).execute()
    it.later(60_000)
    await expect(it.scheduler().look(signal)).rejects.toThrow(SyntaxError)
    expect((await it.jobs()).map(({ configId }) => configId)).toEqual([good])
  })

  test('what was missed while nobody was there runs once, and is told; then it goes on', async () => {
    await using it = await open(kind)
    const config = await it.add({ schedule: { cron: '0 * * * *' } })
    it.at('2026-03-28T17:20Z')
    await it.scheduler().look(signal)
    await it.finish()
    it.at('2026-03-28T18:00Z')
    await it.scheduler().look(signal)
    expect(await it.ticks(config)).toMatchObject([
      { tick: '2026-03-28T18:00:00.000Z', firedAt: '2026-03-28T18:00:00.000Z', missed: 0 },
      { tick: '2026-03-28T17:00:00.000Z', firedAt: '2026-03-28T17:20:00.000Z', missed: 4 },
    ])
    await it.finish()
    it.at('2027-03-28T18:00:30.000Z')
    await it.scheduler().look(signal)
    expect((await it.ticks(config))[0]).toMatchObject({ tick: '2027-03-28T18:00:00.000Z', missed: 100 })
    expect(await it.jobs()).toHaveLength(3)
  })

  test('skip: a tick whose job would overlap is left out and told with the job that is in the way', async () => {
    await using it = await open(kind)
    const config = await it.add({ sync_interval: 60 })
    const scheduler = it.scheduler()
    for (let i = 0; i < 3; i++) {
      it.later(60_000)
      await scheduler.look(signal)
    }
    const [job] = await it.jobs()
    expect(await it.jobs()).toHaveLength(1)
    expect(await it.ticks(config)).toMatchObject([
      { outcome: 'skipped', jobId: job?.id, jobStatus: 'queued', reason: null },
      { outcome: 'skipped', jobId: job?.id },
      { outcome: 'started', jobId: job?.id },
    ])
    await it.finish()
    it.later(60_000)
    await scheduler.look(signal)
    expect((await it.ticks(config))[0]).toMatchObject({ outcome: 'started' })
  })

  test('a pause holds ticks back without losing the schedule; what came meanwhile is not made up for', async () => {
    await using it = await open(kind)
    const config = await it.add({ sync_interval: 60 })
    expect(await pauseSchedule(it.store, config, SYSTEM)).toMatchObject({ nextAt: null, paused: { by: 'system' } })
    it.later(600_000)
    await it.scheduler().look(signal)
    // A change of the schedule does not end the pause.
    await updateConfig(it.store, { id: config, version: null, actor: SYSTEM }, it.document({ sync_interval: 90 }))
    expect(await it.next(config)).toBe(null)
    expect(await it.jobs()).toEqual([])
    expect(await resumeSchedule(it.store, config, SYSTEM)).toMatchObject({ paused: null })
    expect(await it.next(config)).toBe('2026-03-28T12:11:30.000Z')
    it.later(90_000)
    await it.scheduler().look(signal)
    expect(await it.ticks(config)).toMatchObject([{ missed: 0, outcome: 'started' }])
    const audit = await it.store.db
      .selectFrom('audit_event')
      .select('action')
      .where('action', 'like', 'schedule.%')
      .execute()
    expect(audit.map(({ action }) => action)).toEqual(['schedule.pause', 'schedule.resume'])
  })

  test('another schedule begins anew, the same one goes on, and none is none; a config that is gone takes its own along', async () => {
    await using it = await open(kind)
    const config = await it.add({ sync_interval: 60 })
    const change = (fields: Partial<ConfigDocument>) =>
      updateConfig(it.store, { id: config, version: null, actor: SYSTEM }, it.document(fields))
    it.later(30_000)
    await change({ sync_interval: 60, batch_size: 5 })
    expect(await it.next(config)).toBe('2026-03-28T12:01:00.000Z')
    await change({ schedule: { cron: '0 0 1 1 *' } })
    expect(await it.next(config)).toBe('2027-01-01T00:00:00.000Z')
    await change({})
    expect(await findSchedule(it.store.db, config)).toBe(null)
    await expect(pauseSchedule(it.store, config, SYSTEM)).rejects.toMatchObject({ code: 'not_found' })
    await change({ sync_interval: 60 })
    it.later(60_000)
    await it.scheduler().look(signal)
    await it.finish()
    await deleteConfig(it.store, { id: config, version: null, actor: SYSTEM })
    expect(await it.ticks(config)).toEqual([])
    it.later(60_000)
    await it.scheduler().look(signal)
    expect(await it.jobs()).toHaveLength(1)
  })

  test('a write to what is protected needs the consent of somebody, for the very databases; else it is refused and told', async () => {
    await using it = await open(kind, { environment: 'production' })
    const config = await it.add({ sync_interval: 60 })
    const scheduler = it.scheduler()
    const turn = async () => {
      it.later(60_000)
      await scheduler.look(signal)
      await it.finish()
      return (await it.ticks(config))[0]
    }
    expect(await turn()).toMatchObject({
      outcome: 'refused',
      jobId: null,
      reason: expect.stringContaining('b') as string,
    })
    const consent = { ...it.ends, protectedWrite: true, protectedSourceWrite: false }
    await consentToSchedule(it.store, config, consent, SYSTEM)
    expect(await turn()).toMatchObject({ outcome: 'started' })
    expect((await it.jobs()).at(-1)).toMatchObject({ request: { allowProtectedWrite: true } })
    // It was given for the other way round.
    await consentToSchedule(it.store, config, { ...consent, target: it.ends.source, source: it.ends.target }, SYSTEM)
    expect(await turn()).toMatchObject({ outcome: 'refused' })
    await consentToSchedule(it.store, config, null, SYSTEM)
    expect(await turn()).toMatchObject({ outcome: 'refused' })
  })

  test('F9: a clock that was a day ahead for a while neither doubles ticks nor holds them back', async () => {
    await using it = await open(kind)
    const config = await it.add({ sync_interval: 3_600 })
    const scheduler = it.scheduler()
    const turn = async (time: string) => {
      it.at(time)
      await scheduler.look(signal)
      await it.finish()
    }
    await turn('2026-03-28T13:00Z')
    await turn('2026-03-29T13:10Z')
    await turn('2026-03-28T13:30Z')
    await turn('2026-03-28T14:00Z')
    expect((await it.ticks(config)).map(({ tick }) => tick)).toEqual([
      '2026-03-29T13:00:00.000Z',
      '2026-03-28T14:00:00.000Z',
      '2026-03-28T13:00:00.000Z',
    ])
    await turn('2026-03-29T12:00Z')
    const before = (await it.jobs()).length
    await turn('2026-03-29T13:00Z')
    expect(await it.jobs()).toHaveLength(before)
    await turn('2026-03-29T14:00Z')
    expect(await it.jobs()).toHaveLength(before + 1)
  })

  test('F11: 200 schedules that come at once are all seen to', async () => {
    await using it = await open(kind)
    for (let i = 0; i < 200; i++) await it.add({ name: `shop ${i}`, sync_interval: 60 })
    it.later(60_000)
    await it.scheduler().look(signal)
    expect(new Set((await it.jobs()).map(({ configId }) => configId)).size).toBe(200)
  })

  test('ticks go with the time, schedules stay', async () => {
    await using it = await open(kind)
    const config = await it.add({ sync_interval: 60 })
    for (let i = 0; i < 3; i++) {
      it.later(60_000)
      await it.scheduler().look(signal)
    }
    expect(await purgeTicks(it.store, '2026-03-28T12:02:30.000Z')).toBe(2)
    expect(await it.ticks(config)).toHaveLength(1)
    expect((await getConfig(it.store, config)).document).toMatchObject({ sync_interval: 60 })
  })
})
