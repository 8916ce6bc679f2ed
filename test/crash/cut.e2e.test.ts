/**
 * Connections that are cut, fall silent, or lose the answer to a COMMIT (RELIABILITY F4, A15, B3, P11).
 * SYNCLINE_TEST_CUTS sets how many cuts each suite makes.
 */
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { startFaultProxyFor, type CutKind, type Faults } from '#test/harness/fault-proxy.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'

import { Books, expectWhole, randomFrom, startSync } from './runs.ts'
import { createShop, fillShop, keepLedger, keepWriting } from './shop.ts'

const CUTS = Number(process.env['SYNCLINE_TEST_CUTS'] ?? 12)

/** A run may take so long to notice a dead peer and to give up or go on over a new connection. */
const LONGEST_MS = 100_000

expectNoProgramSurvives()

test(`${CUTS} cuts at random bytes of either connection, with writers, end equal and with true counters (F4, A15)`, async () => {
  const random = randomFrom(printedSeed())
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await createShop(source)
  await createShop(target)
  await keepLedger(target)
  await fillShop(source, 400)
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
      // The first connections meet the fault; those that a retry opens afterwards do not, or no run would ever end.
      const spared = program.untilOutput(/"type":"retry"|retry|again/i).then(
        () => proxy.faults.set({}),
        () => undefined,
      )
      const started = performance.now()
      books.enter(await program.exit)
      expect(performance.now() - started).toBeLessThan(LONGEST_MS)
      await spared
      await proxy.faults.clear()
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
  }
  expect(toTarget.counts.commitRepliesDropped).toBeGreaterThan(0)
  await expectWhole(source, target, books)
})

async function fillOrChange(source: Parameters<typeof fillShop>[0], round: number): Promise<void> {
  if (round === 0) await fillShop(source, 200)
  else {
    await source.sql(`UPDATE product SET price = price + 1; UPDATE purchase SET total = ${round} WHERE id % 3 = 0;
      INSERT INTO customer (name) SELECT 'round ${round}' FROM generate_series(1, 120)`)
  }
}
