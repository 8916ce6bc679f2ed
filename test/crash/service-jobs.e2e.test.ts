/** Jobs of the service, run by workers that are left in peace (SPEC 5, P10). SYNCLINE_TEST_ROWS sets the size of the table. */
import { readFile } from 'node:fs/promises'
import { setTimeout as pause } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { must } from '#lib/assert.ts'
import type { Receipt } from '#model/receipt.ts'
import { createDatabase, type Database, expectSameTables } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, type Program } from '#test/harness/process.ts'
import { jobProcesses, MIRROR_POLICIES, TestService } from '#test/harness/service.ts'
import { someStores } from '#test/harness/store.ts'

import { createShop, fillShop, openShops, readLedger, SHOP_TABLES } from './shop.ts'

expectNoProgramSurvives()

describe.each(someStores())('with the store in %s', (kind) => {
  test('a job runs to its end in a process of its own, with receipt, counts and progress', async () => {
    await using service = await TestService.create(kind)
    await using shops = await openShops(100)
    const { source, target } = shops
    const config = await service.addConfig({ source: source.url, target: target.url })
    await using worker = service.startWorker()
    const first = await service.succeeded((await service.start(config)).id)
    await expectSameTables(source, target, SHOP_TABLES)
    expect(first.counts).toMatchObject(await readLedger(target))
    expect(first.progress).toMatchObject({ percent: 100, phase: 'done' })
    const { jobId, tables } = first.result as Receipt
    expect(jobId).toBe(first.id)
    expect(tables).toHaveLength(SHOP_TABLES.length)

    const verified = await service.succeeded((await service.start(config, { kind: 'verify' })).id)
    expect(verified).toMatchObject({ counts: null, result: { equal: true } })
    await source.sql(`UPDATE customer SET name = 'new' WHERE id = 1`)
    const seen = await service.succeeded((await service.start(config, { dryRun: true, tables: ['customer'] })).id)
    expect(seen.result).toMatchObject({ tables: [{ updates: 1, inserts: 0 }], stop: null })
    const differing = await service.succeeded((await service.start(config, { kind: 'verify' })).id)
    expect(differing.result).toMatchObject({ equal: false })

    worker.signal('SIGTERM')
    expect(await worker.exit).toMatchObject({ code: 0 })
    const queued = await service.start(config)
    expect(await service.job(queued.id)).toMatchObject({ status: 'queued' })
  })
})

const BUDGETS = [
  { conflict_strategy: 'source_wins', share: 6 },
  { conflict_strategy: 'manual', share: 7 },
] as const

test.each(BUDGETS)(
  '12 jobs with $conflict_strategy at once end well, and hold no more connections than the pools of their datasources (F11)',
  async ({ conflict_strategy, share }) => {
    await using service = await TestService.create('sqlite', { maxJobs: 12, leaseSeconds: 15 })
    await using stack = new AsyncDisposableStack()
    const source = stack.use(await createDatabase(sharedServers().source))
    await createShop(source)
    await fillShop(source, 100)
    // As many as 12 jobs need that do one thing at a time.
    const poolSize = 12 * share
    const from = await service.addDatasource(source.url, { poolSize })
    const targets = await Promise.all(Array.from({ length: 12 }, () => createDatabase(sharedServers().target)))
    for (const target of targets) stack.use(target)
    const ids: string[] = []
    for (const target of targets) {
      await createShop(target)
      const to = await service.addDatasource(target.url, { poolSize: share })
      ids.push(
        (
          await service.start(
            await service.connect({ source: from, target: to }, { ...MIRROR_POLICIES, conflict_strategy }),
          )
        ).id,
      )
    }
    await using _ = service.startWorker()
    const all = Promise.all(ids.map((id) => service.succeeded(id, 300_000)))
    const [jobs, seen] = await Promise.all([all, mostWhile(all, source, targets)])
    expect(jobs).toHaveLength(12)
    console.log(`most connections: ${seen.source} to the source, ${seen.target} to a target; ${seen.jobs} jobs at once`)
    expect(seen.source).toBeLessThanOrEqual(poolSize)
    expect(seen.target).toBeLessThanOrEqual(share)
    for (const target of targets) await expectSameTables(source, target, SHOP_TABLES)
  },
)

/** The most connections that were seen while something was under way, to the source and to any one target. */
async function mostWhile(
  work: Promise<unknown>,
  source: Database,
  targets: readonly Database[],
): Promise<{ source: number; target: number; jobs: number }> {
  const most = { source: 0, target: 0, jobs: 0 }
  const count = async (db: Database): Promise<Map<string, number>> => {
    const rows = await db.sql(
      `SELECT datname, count(*) FROM pg_stat_activity WHERE application_name = 'syncline' GROUP BY 1`,
    )
    return new Map(rows.map(([name, sessions]) => [name ?? '', Number(sessions)]))
  }
  const ended = work.then(
    () => true,
    () => true,
  )
  while (!(await Promise.race([ended, pause(20).then(() => false)]))) {
    const [from, to] = await Promise.all([count(source), count(must(targets[0], 'a target'))])
    const held = targets.map(({ name }) => to.get(name) ?? 0)
    most.source = Math.max(most.source, from.get(source.name) ?? 0)
    most.target = Math.max(most.target, ...held)
    most.jobs = Math.max(most.jobs, held.filter((sessions) => sessions > 0).length)
  }
  return most
}

const ROWS = Number(process.env['SYNCLINE_TEST_ROWS'] ?? 200_000)

test(`the process of a job stays under 256 MB on a table of ${ROWS} rows (P10)`, async () => {
  await using service = await TestService.create('sqlite', { leaseSeconds: 15 })
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const table = `CREATE TABLE wide (id bigint PRIMARY KEY, name text, amount numeric(12, 2), at timestamptz, note text)`
  await source.sql(`${table}; INSERT INTO wide SELECT i, 'name ' || i, i * 0.01, now(), repeat('x', 40)
    FROM generate_series(1, ${ROWS}) i; ANALYZE`)
  await target.sql(table)
  const policies = { ...MIRROR_POLICIES, batch_size: 1_000 }
  const config = await service.addConfig({ source: source.url, target: target.url }, policies)
  await using worker = service.startWorker()
  const loaded = await service.start(config)
  const load = await highWater(worker, service.succeeded(loaded.id, 500_000))
  await source.sql(`UPDATE wide SET amount = amount + 1 WHERE id % 4 = 0; DELETE FROM wide WHERE id % 10 = 1`)
  const changed = await service.start(config)
  const change = await highWater(worker, service.succeeded(changed.id, 500_000))
  console.log(`high water: ${load} MB for the load, ${change} MB for the changes`)
  expect((await service.job(changed.id)).counts).toMatchObject({ updated: ROWS / 4, deleted: ROWS / 10 })
  expect(load).toBeLessThan(256)
  expect(change).toBeLessThan(256)
})

/** The most memory, in MB, that any process of a job of a worker had resident while something was under way. */
async function highWater(worker: Program, work: Promise<unknown>): Promise<number> {
  let most = 0
  const ended = work.then(
    () => true,
    () => true,
  )
  while (!(await Promise.race([ended, pause(50).then(() => false)]))) {
    for (const pid of await jobProcesses(worker)) {
      const status = await readFile(`/proc/${pid}/status`, 'utf8').catch(() => '')
      most = Math.max(most, Number(/VmHWM:\s+(\d+)/.exec(status)?.[1] ?? 0) / 1024)
    }
  }
  await work
  return Math.round(most)
}
