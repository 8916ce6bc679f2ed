/**
 * Promise P3 through the service: whatever is killed, the process of a job, the worker above it or both, the job goes on
 * by itself, loses nothing and applies nothing twice (RELIABILITY F2, B1, B2). SYNCLINE_TEST_KILLS sets how many kills
 * each suite makes.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { type Database, expectSameTables } from '#test/harness/database.ts'
import { expectNoProgramSurvives, killNow, type Program } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { jobProcesses, TestService } from '#test/harness/service.ts'
import { someStores } from '#test/harness/store.ts'

import { expectBatchesAddUp, randomFrom } from './runs.ts'
import { keepWriting, openShops, readLedger, SHOP_TABLES } from './shop.ts'

const KILLS = Number(process.env['SYNCLINE_TEST_KILLS'] ?? 5)

expectNoProgramSurvives()

const VICTIMS = ['the process of the job', 'the worker', 'both'] as const

describe.each(someStores())('with the store in %s', (kind) => {
  test(`${KILLS} kills at random instants, with writers on the source: equal, with the job's own true counters`, async () => {
    const random = randomFrom(printedSeed())
    await using service = await TestService.create(kind)
    await using shops = await openShops(600)
    const { source, target } = shops
    const config = await service.addConfig({ source: source.url, target: target.url })
    const books = { inserted: 0, updated: 0, deleted: 0 }
    const work = { worker: service.startWorker() }
    let kills = 0
    try {
      await using writers = keepWriting(source, random)
      while (kills < KILLS) {
        const { id } = await service.start(config)
        for (const most = 1 + Math.floor(random() * 3); kills < KILLS;) {
          const before = kills
          kills += await killOnce(service, work, { id, random, victim: VICTIMS[kills % VICTIMS.length] ?? 'both' })
          if (kills === before || kills % 3 >= most) break
        }
        add(books, (await service.succeeded(id, 240_000)).counts)
      }
      expect(writers.writes()).toBeGreaterThan(0)
    } finally {
      await work.worker.kill()
    }
    await expectEqual(service, { config, source, target, books })
  })
})

/** Kills a victim at a random moment of a job. Returns how many were killed: none where the job was quicker. */
async function killOnce(
  service: TestService,
  work: { worker: Program },
  { id, random, victim }: { id: string; random: () => number; victim: (typeof VICTIMS)[number] },
): Promise<number> {
  const running = await service.until(id, ['running', 'succeeded'], 60_000)
  await pause(random() * 2_500)
  const children = await jobProcesses(work.worker)
  if (running.status === 'succeeded' || children.length === 0) return 0
  if (victim !== 'the worker') for (const pid of children) killNow(pid)
  if (victim !== 'the process of the job') {
    await work.worker.kill()
    work.worker = service.startWorker()
  }
  return 1
}

type Written = Record<'inserted' | 'updated' | 'deleted', number>

function add(books: Written, counts: Written | null): void {
  expect(counts).not.toBeNull()
  for (const op of ['inserted', 'updated', 'deleted'] as const) books[op] += counts?.[op] ?? 0
}

/** A last job; then equality by the second reader, the jobs' counters by the triggers of the target, and rest. */
async function expectEqual(
  service: TestService,
  { config, source, target, books }: { config: string; source: Database; target: Database; books: Written },
): Promise<void> {
  await using _ = service.startWorker()
  add(books, (await service.succeeded((await service.start(config)).id)).counts)
  await expectSameTables(source, target, SHOP_TABLES)
  expect(books, 'rows that the jobs say they wrote, against the triggers of the target').toEqual(
    await readLedger(target),
  )
  await expectBatchesAddUp(target)
  const again = await service.succeeded((await service.start(config)).id)
  expect(again.counts).toMatchObject({ inserted: 0, updated: 0, deleted: 0 })
}
