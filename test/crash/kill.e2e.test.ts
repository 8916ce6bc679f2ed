/**
 * Promise P3: a process that is killed at any instant loses nothing and applies nothing twice (RELIABILITY F2, B1, B2).
 * SYNCLINE_TEST_KILLS sets how many kills each suite makes.
 */
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'

import { Books, expectWhole, randomFrom, startSync } from './runs.ts'
import { createShop, fillShop, keepLedger, keepWriting, openShops } from './shop.ts'

const KILLS = Number(process.env['SYNCLINE_TEST_KILLS'] ?? 10)

expectNoProgramSurvives()

test(`${KILLS} kills at random instants, with writers on the source, end equal and with true counters (F2, B1, B2)`, async () => {
  const random = randomFrom(printedSeed())
  await using shops = await openShops(600)
  const { source, target } = shops
  const books = new Books()
  {
    await using writers = keepWriting(source, random)
    while (books.killed < KILLS) {
      await using program = startSync(source.url, target.url)
      // The first half of the kills meets the first load; then one run comes to its end, and the rest meets changes.
      const spared = books.killed === KILLS >> 1 && books.finished === 0
      if (!spared) await program.signalAfter(200 + random() * 1_200, 'SIGKILL')
      books.enter(await program.exit)
      await books.enterClosed(target)
    }
    expect(writers.writes()).toBeGreaterThan(0)
  }
  expect(books.failures).toEqual([])
  await expectWhole(source, target, books)
})

test(`${KILLS} kills while tables are created, loaded and indexed end whole (F2, D2)`, async () => {
  const random = randomFrom(printedSeed())
  await using source = await createDatabase(sharedServers().source)
  await createShop(source)
  await fillShop(source, 1500)
  let killed = 0
  while (killed < KILLS) {
    await using target = await createDatabase(sharedServers().target)
    const books = new Books()
    for (let kills = 1 + Math.floor(random() * 3); kills > 0; kills--) {
      await using program = startSync(source.url, target.url, { flags: ['--create'] })
      await program.signalAfter(200 + random() * 700, 'SIGKILL')
      books.enter(await program.exit)
    }
    killed += Math.max(1, books.killed)
    expect(books.failures).toEqual([])
    await using last = startSync(source.url, target.url, { flags: ['--create'] })
    const exit = await last.exit
    expect(exit, exit.stderr).toMatchObject({ code: 0 })
    const shapes = `SELECT conrelid::regclass, conname, pg_get_constraintdef(oid) FROM pg_constraint
      WHERE connamespace = 'public'::regnamespace AND contype IN ('p', 'f', 'u') ORDER BY 1, 2`
    expect(await target.sql(shapes)).toEqual(await source.sql(shapes))
    await keepLedger(target)
    await expectWhole(source, target, new Books())
  }
})
