/** Dumps that are tried by themselves, whoever carries out jobs: a worker does without a service. */
import { describe, expect, test } from 'vitest'

import { getDump, listDumps } from '#control/dumps.ts'
import { applyJobEvent, listJobs } from '#control/jobs.ts'
import { startJob, type JobWish } from '#jobs/start-job.ts'
import { must } from '#lib/assert.ts'
import { SYSTEM } from '#model/access.ts'
import { DEFAULT_EXPORT } from '#model/dump.ts'
import { testId } from '#test/harness/api.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { TestService } from '#test/harness/service.ts'
import { someStores } from '#test/harness/store.ts'

expectNoProgramSurvives()

const ASKED = {
  mode: 'full',
  dryRun: false,
  tables: null,
  allowProtectedWrite: false,
  approvedDeletes: null,
  approvedOverwrites: null,
} as const

test('P14: the database of a trial that was killed and is over goes with the next trial; another service keeps its own', async () => {
  await using db = await createDatabase(sharedServers().source)
  await db.sql('CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item SELECT generate_series(1, 100)')
  await using service = await TestService.create('sqlite', { env: { DUMP_FREE_BYTES: '0' } })
  const { store } = service
  const shop = await service.addDatasource(db.url)
  const between = { ...ASKED, what: { source: shop, target: shop, policies: {} } }
  const tools = { store, rules: { protectedEnvironments: [] }, newJobId: () => testId('job') }
  for (const _ of ['one', 'another']) {
    await startJob(tools, { ...between, kind: 'export', export: DEFAULT_EXPORT }, SYSTEM)
    await service.work()
  }
  const page = { sort: 'created_at', descending: true, after: null, limit: 2 } as const
  const [one, another] = (await listDumps(store, {}, page)).map(({ id }) => id)
  const drill = (dump = '') => {
    const options = { dump, trusted: true, owners: false, grants: false, passphrase: null }
    return startJob(tools, { ...between, kind: 'drill', drill: options }, SYSTEM)
  }
  const nameOf = (id: string): string => `syncline_drill_${id}`
  const isThere = async (id: string): Promise<boolean> =>
    (await db.sql(`SELECT 1 FROM pg_database WHERE datname = '${nameOf(id)}'`)).length > 0

  const killAtEnd = async (dump = ''): Promise<string> => {
    const { id } = await drill(dump)
    expect(await service.work({ FAILPOINT: 'drill.restored:1:kill' })).toMatchObject({ signal: 'SIGKILL' })
    expect(await isThere(id)).toBe(true)
    return id
  }
  const waiting = await killAtEnd(another)
  await store.db.updateTable('job').set({ not_before: '2999-01-01T00:00:00.000Z' }).where('id', '=', waiting).execute()
  const killed = await killAtEnd(one)
  await applyJobEvent(store, { id: killed, event: 'cancel' })
  const unknown = testId('job')
  await db.sql(`CREATE DATABASE "${nameOf(unknown)}"`)
  try {
    const { id } = await drill(one)
    const { job } = await service.work()
    expect([job.id, job.status]).toEqual([id, 'succeeded'])
    expect(await Promise.all([killed, waiting, id, unknown].map(isThere))).toEqual([false, true, false, true])
    expect(await service.log(id)).toContain(`The database ${nameOf(killed)}, which a trial before had left`)
  } finally {
    for (const id of [killed, waiting, unknown]) await db.sql(`DROP DATABASE IF EXISTS "${nameOf(id)}"`)
  }
})

describe.each(someStores())('with the store in %s', (kind) => {
  test('P14: two workers at once try a new export, once', async () => {
    await using db = await createDatabase(sharedServers().source)
    await db.sql('CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item SELECT generate_series(1, 100)')
    await using service = await TestService.create(kind)
    const { store } = service
    const shop = await service.addDatasource(db.url)
    const wish: JobWish = {
      kind: 'export',
      what: { source: shop, target: shop, policies: {} },
      mode: 'full',
      dryRun: false,
      tables: null,
      allowProtectedWrite: false,
      approvedDeletes: null,
      approvedOverwrites: null,
      export: DEFAULT_EXPORT,
    }
    const tools = { store, rules: { protectedEnvironments: [] }, newJobId: () => testId('job') }
    await startJob(tools, wish, SYSTEM)
    const room = { DUMP_FREE_BYTES: '0' }
    expect((await service.work(room)).job.status).toBe('succeeded')
    const env = { ...room, DUMP_DRILL_INTO: shop, DUMP_DRILL_TRUST: 'true' }
    await using one = service.startWorker(env)
    await using other = service.startWorker(env)
    const drills = () => listJobs(store, { kind: ['drill'], limit: 10 })
    await expect
      .poll(async () => (await drills()).map(({ status }) => status), { timeout: 120_000 })
      .toEqual(['succeeded'])
    const page = { sort: 'created_at', descending: true, after: null, limit: 1 } as const
    const { id } = must((await listDumps(store, {}, page))[0], 'the dump')
    expect((await getDump(store, id)).drill).toMatchObject({ works: true, faults: [] })
    for (const worker of [one, other]) {
      worker.signal('SIGTERM')
      expect(await worker.exit).toMatchObject({ code: 0 })
    }
    expect(await drills()).toHaveLength(1)
    expect(`${one.stderr}${other.stderr}`.match(/tries whether it works/g)).toHaveLength(1)
  })
})
