/** Dumps that are tried by themselves, whoever carries out jobs: a worker does without a service. */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

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

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'syncline-drill-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

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

test('P14: a dump that worked, and whose file is damaged or lost since, does not work any more', async () => {
  await using db = await createDatabase(sharedServers().source)
  await db.sql('CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item SELECT generate_series(1, 100)')
  using folder = temporaryFolder()
  const env = { DUMP_FREE_BYTES: '0', DUMP_KEY: 'open sesame, please', DUMP_DIRECTORY: folder.path }
  await using service = await TestService.create('sqlite', { env })
  const { store } = service
  const shop = await service.addDatasource(db.url)
  const between = { ...ASKED, what: { source: shop, target: shop, policies: {} } }
  const tools = { store, rules: { protectedEnvironments: [] }, newJobId: () => testId('job') }
  const passphrase = 'env:DUMP_KEY'
  await startJob(tools, { ...between, kind: 'export', export: { ...DEFAULT_EXPORT, passphrase } }, SYSTEM)
  await service.work()
  const [made] = await listDumps(store, {}, { sort: 'created_at', descending: true, after: null, limit: 1 })
  const { id: dump, file } = must(made, 'the dump')
  const drill = async () => {
    const options = { dump, trusted: true, owners: false, grants: false, passphrase }
    await startJob(tools, { ...between, kind: 'drill', drill: options }, SYSTEM)
    const { job } = await service.work()
    return { status: job.status, drill: (await getDump(store, dump)).drill }
  }
  expect(await drill()).toMatchObject({ status: 'succeeded', drill: { works: true } })
  const path = join(folder.path, file)
  const bytes = readFileSync(path)
  const middle = bytes.length >> 1
  writeFileSync(path, bytes.fill(255 - (bytes[middle] ?? 0), middle, middle + 1))
  const damaged = [expect.stringContaining('is not the one that was written')]
  expect(await drill()).toMatchObject({ status: 'failed', drill: { works: false, faults: damaged } })
  rmSync(path)
  const lost = [expect.stringContaining('cannot be read')]
  expect(await drill()).toMatchObject({ status: 'failed', drill: { works: false, faults: lost } })
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
