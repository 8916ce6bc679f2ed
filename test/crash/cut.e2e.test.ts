/**
 * Connections that are cut, fall silent, or lose the answer to a COMMIT (RELIABILITY F4, A15, B3, P11).
 * SYNCLINE_TEST_CUTS sets how many cuts each suite makes.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { startFaultProxyFor, type CutKind, type FaultProxy, type Faults } from '#test/harness/fault-proxy.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'

import { Books, expectWhole, randomFrom, startSync } from './runs.ts'
import { createShop, fillShop, keepLedger, keepWriting, openShops } from './shop.ts'

const CUTS = Number(process.env['SYNCLINE_TEST_CUTS'] ?? 6)

/** A run may take so long to notice a dead peer and to give up or go on over a new connection. */
const LONGEST_MS = 100_000

expectNoProgramSurvives()

test(`${CUTS} cuts at random bytes of either connection, with writers, end equal and with true counters (F4, A15)`, async () => {
  const random = randomFrom(printedSeed())
  await using shops = await openShops(400)
  const { source, target } = shops
  await using toSource = await startFaultProxyFor(source.url)
  await using toTarget = await startFaultProxyFor(target.url)
  const books = new Books()
  {
    await using _writers = keepWriting(source, random)
    // A silence costs the time in which it is noticed, so that only each sixth cut is one.
    for (let i = 0; i < CUTS; i++) {
      const by: CutKind = i % 6 === 5 ? 'silence' : i % 2 === 0 ? 'fin' : 'rst'
      const direction = random() < 0.5 ? 'toServer' : 'toClient'
      const cut: Faults = { cut: { after: Math.floor(200 + random() ** 2 * 120_000), direction, by } }
      const proxy = random() < 0.5 ? toSource : toTarget
      await proxy.faults.set(cut)
      await using program = startSync(toSource.url(source.url), toTarget.url(target.url))
      const started = performance.now()
      await Promise.all([program.exit, onceCut(proxy, program.exit)])
      books.enter(await program.exit)
      expect(performance.now() - started).toBeLessThan(LONGEST_MS)
      // A server behind a silence learns only then that its client has gone, and of what was under way to it.
      await proxy.faults.clear()
      await books.enterClosed(target)
    }
  }
  expect(toSource.counts.cut + toTarget.counts.cut).toBeGreaterThan(0)
  await expectWhole(source, target, books)
})

test(`${CUTS} lost answers to COMMIT apply nothing twice (B3)`, async () => {
  const random = randomFrom(printedSeed())
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await createShop(source)
  await createShop(target)
  await keepLedger(target)
  await using toTarget = await startFaultProxyFor(target.url)
  const books = new Books()
  for (let i = 0; i < CUTS; i++) {
    await fillOrChange(source, i)
    await toTarget.faults.set({ dropCommitReply: 1 + Math.floor(random() * 12) })
    await using program = startSync(source.url, toTarget.url(target.url))
    books.enter(await program.exit)
    await toTarget.faults.clear()
    await books.enterClosed(target)
  }
  expect(toTarget.counts.commitRepliesDropped).toBeGreaterThan(0)
  await expectWhole(source, target, books)
})

/** One connection meets the fault; those that are opened after it do not, or a run would be cut for ever. */
async function onceCut(proxy: FaultProxy, ended: Promise<unknown>): Promise<void> {
  const { cut } = proxy.counts
  let over = false
  void ended.then(() => (over = true))
  while (!over && proxy.counts.cut === cut) await pause(5)
  await proxy.faults.set({})
}

async function fillOrChange(source: Parameters<typeof fillShop>[0], round: number): Promise<void> {
  if (round === 0) await fillShop(source, 200)
  else {
    await source.sql(`UPDATE product SET price = price + 1; UPDATE purchase SET total = ${round} WHERE id % 3 = 0;
      INSERT INTO customer (name) SELECT 'round ${round}' FROM generate_series(1, 120)`)
  }
}
