/** Exports that run by themselves: what is kept of their schedules, what their times come to, and who sees them. */
import type { Kysely } from 'kysely'
import { describe, expect, test } from 'vitest'

import { MIGRATIONS, Store } from '#control/store.ts'
import { findSchedule, listTicks } from '#control/schedules.ts'
import { applyJobEvent, listJobs } from '#control/jobs.ts'
import { writeDump } from '#jobs/dumps.ts'
import { Scheduler } from '#jobs/schedule.ts'
import { startJob } from '#jobs/start-job.ts'
import { addMs } from '#lib/clock.ts'
import { SYSTEM } from '#model/access.ts'

import { createApi, testId, type ApiUnderTest } from '#test/harness/api.ts'
import { createStorePlace, STORE_KINDS, type StoreKind } from '#test/harness/store.ts'

type Body = Readonly<Record<string, unknown>>

interface Shop extends AsyncDisposable {
  readonly api: ApiUnderTest
  readonly admin: string
  readonly id: string
  ask(method: string, path: string, body?: object): Promise<{ readonly status: number; readonly body: Body }>
  /** As if a service looked at this time. */
  lookAt(now: string): Promise<void>
}

/** A datasource `shop`, behind which there is no server, and one that is no PostgreSQL. */
async function createShop(kind: StoreKind): Promise<Shop> {
  await using stack = new AsyncDisposableStack()
  const api = stack.use(await createApi(kind))
  const admin = (await api.key('admin')).secret
  const ask: Shop['ask'] = async (method, path, body) => {
    const answer = await api.send(admin, method, `/api/v1${path}`, body === undefined ? {} : { body })
    return { status: answer.statusCode, body: answer.body === '' ? {} : answer.json<Body>() }
  }
  const { body } = await ask('POST', '/datasources', { name: 'shop', url: 'postgres://nobody@127.0.0.1:1/none' })
  await ask('POST', '/datasources', { name: 'blog', url: 'mysql://nobody@127.0.0.1:1/none' })
  const held = stack.move()
  return {
    api,
    admin,
    id: String(body['id']),
    ask,
    lookAt: async (now) => {
      const { store } = api
      const scheduler = new Scheduler({
        store,
        startJob: (wish, actor, jobId, also) =>
          startJob(
            { store, rules: { protectedEnvironments: ['production'] }, newJobId: () => jobId, also },
            wish,
            actor,
          ),
        newJobId: () => testId('job'),
        readNow: () => Promise.resolve(now),
      })
      await scheduler.look(new AbortController().signal)
    },
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

const NIGHTLY = { cron: '30 2 * * *', time_zone: 'Europe/Berlin' }
const PATH = '/datasources/shop/export-schedule'

const nextOf = (body: Body): string => (body['next_runs'] as readonly { at: string }[])[0]?.at ?? ''

describe.each(STORE_KINDS)('exports by themselves, with the store in %s', (kind) => {
  test('a schedule says when, what and how; its time starts one export that was asked for just so', async () => {
    await using shop = await createShop(kind)
    const { ask, api, id } = shop
    expect(await ask('GET', PATH)).toMatchObject({ status: 404, body: { code: 'not_found' } })
    const made = await ask('PUT', PATH, { schedule: NIGHTLY, content: 'schema', compression: 'gzip', grants: true })
    expect(made).toMatchObject({
      status: 200,
      body: {
        datasource_id: id,
        datasource: 'shop',
        words: 'At 02:30, every day (Europe/Berlin)',
        schedule: NIGHTLY,
        export: { content: 'schema', compression: 'gzip', style: 'copy', grants: true, passphrase_reference: null },
        last_dump: null,
        overdue_since: null,
        ticks: [],
      },
    })
    const next = nextOf(made.body)
    await shop.lookAt(addMs(next, -1))
    expect(await listJobs(api.store, { limit: 9 })).toEqual([])
    await shop.lookAt(next)
    await shop.lookAt(next)
    const [job, ...more] = await listJobs(api.store, { limit: 9 })
    expect(more).toEqual([])
    expect(job).toMatchObject({ kind: 'export', sourceDatasourceId: id, requestedBy: 'schedule', configId: null })
    expect((await ask('GET', `/jobs/${job?.id ?? ''}`)).body['export']).toEqual(made.body['export'])
    const later = await ask('GET', PATH)
    expect(later.body['ticks']).toMatchObject([{ tick: next, outcome: 'started', job_id: job?.id, missed: 0 }])
    const audit = await api.store.db.selectFrom('audit_event').selectAll().where('action', '=', 'job.start').execute()
    expect(audit).toMatchObject([{ actor: 'schedule', actor_name: 'schedule of exports of shop', subject: job?.id }])
  })

  test('another way to export keeps the times; other times begin anew; a job that is open has a time left out', async () => {
    await using shop = await createShop(kind)
    const { ask, api, id } = shop
    const first = await ask('PUT', PATH, { schedule: NIGHTLY })
    const since = async () => (await findSchedule(api.store.db, id))?.since
    const before = await since()
    const other = await ask('PUT', PATH, { schedule: NIGHTLY, style: 'insert' })
    expect(await since()).toBe(before)
    expect([nextOf(other.body), other.body['export']]).toEqual([
      nextOf(first.body),
      expect.objectContaining({ style: 'insert' }),
    ])
    const next = nextOf(first.body)
    await shop.lookAt(next)
    await shop.lookAt(addMs(next, 24 * 3_600_000))
    const [skipped, started] = await listTicks(api.store, id, 9)
    expect([started?.outcome, skipped?.outcome, skipped?.jobId]).toEqual(['started', 'skipped', started?.jobId])
    const moved = await ask('PUT', PATH, { schedule: { cron: '0 4 * * *' } })
    expect(moved.body).toMatchObject({ words: 'At 04:00, every day (UTC)', export: { style: 'copy' } })
  })

  test('a pause holds it back, an end forgets it and keeps what its times came to; a datasource in use stays', async () => {
    await using shop = await createShop(kind)
    const { ask, api, id } = shop
    expect((await ask('POST', `${PATH}/pause`)).status).toBe(404)
    const made = await ask('PUT', PATH, { schedule: NIGHTLY })
    await shop.lookAt(nextOf(made.body))
    const paused = await ask('POST', `${PATH}/pause`)
    expect(paused.body).toMatchObject({ paused_by: 'a admin', next_runs: [] })
    // What is exported changes, the pause does not.
    expect((await ask('PUT', PATH, { schedule: { cron: '0 5 * * *' } })).body).toMatchObject({ next_runs: [] })
    expect((await ask('POST', `${PATH}/resume`)).body).toMatchObject({ paused_at: null })
    const [job] = await listJobs(api.store, { limit: 1 })
    await applyJobEvent(api.store, { id: job?.id ?? '', event: 'cancel' })
    expect((await ask('DELETE', `/datasources/${id}?confirm=shop`)).body).toMatchObject({
      code: 'in_use',
      hint: expect.stringContaining('schedule') as string,
    })
    expect(await ask('DELETE', PATH)).toMatchObject({ status: 200, body: { datasource_id: id, deleted: true } })
    expect((await ask('DELETE', PATH)).status).toBe(404)
    await shop.lookAt(addMs(nextOf(made.body), 48 * 3_600_000))
    expect(await listJobs(api.store, { limit: 9 })).toHaveLength(1)
    expect(await listTicks(api.store, id, 9)).toHaveLength(1)
    expect((await ask('DELETE', `/datasources/${id}?confirm=shop`)).status).toBe(204)
  })

  test('what could come to no dump is refused when it is asked for', async () => {
    await using shop = await createShop(kind)
    const { ask } = shop
    expect((await ask('PUT', '/datasources/blog/export-schedule', { schedule: NIGHTLY })).body).toMatchObject({
      code: 'server_not_supported',
    })
    const wrong = await ask('PUT', PATH, { schedule: { cron: '0 25 * * *' }, content: 'everything' })
    expect(wrong.body['errors']).toMatchObject([{ place: 'body#/schedule/cron' }, { place: 'body#/content' }])
    expect((await ask('PUT', PATH, { schedule: NIGHTLY, passphrase_reference: 'hunter2' })).status).toBe(400)
    expect((await ask('PUT', PATH, { content: 'all' })).body['errors']).toMatchObject([{ place: 'body#/schedule' }])
    expect((await ask('GET', '/export-schedules')).body).toEqual({ items: [] })
  })

  test('the list tells what is overdue, and shows a key no more than its datasources', async () => {
    await using shop = await createShop(kind)
    const { ask, api, id } = shop
    const { body: other } = await ask('POST', '/datasources', { name: 'till', url: 'postgres://a@127.0.0.1:1/till' })
    for (const name of ['shop', 'till']) {
      await ask('PUT', `/datasources/${name}/export-schedule`, { schedule: { cron: '0 * * * *' } })
    }
    const draft = {
      origin: 'export',
      database: 'none',
      datasourceId: id,
      writer: null,
      compression: 'none',
      sealed: false,
      createdBy: 'somebody',
      createdAt: api.store.clock.now(),
    } as const
    const dump = await writeDump(api.dumps, { draft, content: 'all', actor: SYSTEM }, async (file) => {
      await file.write(Buffer.from('SELECT 1;\n'))
      return { head: null, rows: null, sqlBytes: null, notes: [] }
    })
    // As if the schedules were older than three of their times; the export of shop is of now.
    const since = addMs(api.store.clock.now(), -3 * 3_600_000)
    await api.store.db.updateTable('schedule').set({ since }).execute()
    const { body } = await ask('GET', '/export-schedules')
    expect(body['items']).toMatchObject([
      { datasource: 'shop', last_dump: { id: dump.id, works: null }, overdue_since: null },
      { datasource: 'till', last_dump: null, overdue_since: expect.stringMatching(/:00:00\.000Z$/) as string },
    ])
    const bound = (await api.key('viewer', [String(other['id'])])).secret
    const seen = (await api.send(bound, 'GET', '/api/export-schedules')).json<{ items: readonly Body[] }>()
    expect(seen.items.map(({ datasource }) => datasource)).toEqual(['till'])
  })

  test('B13: schedules of sync configs and what their times came to are the same after the store is brought up to date', async () => {
    await using place = await createStorePlace(kind)
    const clock = { now: () => '2026-03-28T12:00:00.000Z', elapsed: () => 0 }
    const before = MIGRATIONS.slice(0, 10)
    {
      await using old = await Store.open(place.location, { clock, migrate: true, migrations: before })
      const datasource = { kind: 'postgres', connection: '{}', pool_size: 1, connect_timeout_ms: 1, writable: 1 }
      const times = { created_at: clock.now(), updated_at: clock.now(), version: 1 }
      const rest = { password_reference: null, password_sealed: null, schemas: null, environment: null, pin: null }
      const db = old.db as never as Kysely<Record<string, Record<string, unknown>>>
      for (const id of ['ds_a', 'ds_b']) {
        await db
          .insertInto('datasource')
          .values({ id, name: id, origin: 'stored', last_test: null, ...datasource, ...rest, ...times })
          .execute()
      }
      const ends = { source_datasource_id: 'ds_a', target_datasource_id: 'ds_b' }
      await db
        .insertInto('sync_config')
        .values({ id: 'cfg_a', name: 'a', document: '{}', ...ends, ...times })
        .execute()
      await db
        .insertInto('sync_schedule')
        .values({ config_id: 'cfg_a', schedule: '{"everySeconds":60}', since: clock.now(), next_at: clock.now() })
        .execute()
      await db
        .insertInto('schedule_tick')
        .values({ config_id: 'cfg_a', tick: 'then', fired_at: 'now', missed: 2, outcome: 'refused', reason: 'why' })
        .execute()
    }
    await using store = await Store.open(place.location, { clock, migrate: true })
    expect(await findSchedule(store.db, 'cfg_a')).toEqual({
      of: { kind: 'sync config', id: 'cfg_a' },
      schedule: { everySeconds: 60 },
      since: clock.now(),
      nextAt: clock.now(),
      paused: null,
      consent: null,
    })
    expect(await listTicks(store, 'cfg_a', 9)).toMatchObject([{ tick: 'then', missed: 2, reason: 'why' }])
    // A schedule goes with its sync config still.
    await store.db.deleteFrom('sync_config').execute()
    expect(await findSchedule(store.db, 'cfg_a')).toBeNull()
  })
})
