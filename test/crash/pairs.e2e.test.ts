/**
 * Promise P3 where MariaDB has a part: a process that is killed at any instant, and connections that are cut or fall silent
 * at any byte, inside of LOAD DATA LOCAL too, lose nothing and apply nothing twice (RELIABILITY F2, F4, A15, B1, B2).
 * SYNCLINE_TEST_KILLS and SYNCLINE_TEST_CUTS set how many each suite makes.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { startFaultProxyFor, type CutKind, type FaultProxy, type Faults } from '#test/harness/fault-proxy.ts'
import { PAIRS_WITH_MARIADB, usePairs } from '#test/harness/pairs.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'

import { createShop, expectSameShops, expectWhole, fillShop, keepWriting, openShops } from './pair-shop.ts'
import { Books, finishSync, randomFrom, startSync } from './runs.ts'

const KILLS = Number(process.env['SYNCLINE_TEST_KILLS'] ?? 3)
const CUTS = Number(process.env['SYNCLINE_TEST_CUTS'] ?? 3)

/** A run may take so long to notice a dead peer and to give up or go on over a new connection. */
const LONGEST_MS = 100_000

const open = usePairs()

expectNoProgramSurvives()

describe.each(PAIRS_WITH_MARIADB)('$name', (engines) => {
  test(`${KILLS} kills at random instants, with writers on the source, end equal and with true counters (F2, B1, B2)`, async () => {
    const random = randomFrom(printedSeed())
    await using pair = await open(engines)
    const { source, target } = pair
    await openShops(pair, 500)
    const books = new Books()
    {
      await using writers = keepWriting(source, random)
      while (books.killed < KILLS) {
        await using program = startSync(source.url, target.url)
        // The first half of the kills meets the first load; then one run comes to its end, and the rest meets changes.
        const spared = books.killed === KILLS >> 1 && books.finished === 0
        if (!spared) await program.signalAfter(300 + random() * 1_200, 'SIGKILL')
        books.enter(await program.exit)
        await books.enterClosed(target)
      }
      expect(writers.writes()).toBeGreaterThan(0)
    }
    expect(books.failures).toEqual([])
    await expectWhole(pair, books)
  })

  test(`${KILLS} kills while tables are created and loaded end whole (F2, D2)`, async () => {
    const random = randomFrom(printedSeed())
    await using pair = await open(engines)
    await createShop(pair.source)
    await fillShop(pair.source, 600)
    const create = { flags: ['--create'] }
    for (let killed = 0; killed < KILLS;) {
      await using other = await open(engines)
      for (let kills = 1 + Math.floor(random() * 3); kills > 0; kills--) {
        await using program = startSync(pair.source.url, other.target.url, create)
        await program.signalAfter(300 + random() * 900, 'SIGKILL')
        const { signal, code, stderr } = await program.exit
        expect(['SIGKILL', 0], stderr).toContain(signal ?? code)
        if (signal !== null) killed += 1
      }
      await finishSync(pair.source.url, other.target.url, create)
      await expectSameShops({ source: pair.source, target: other.target })
    }
  })

  test(`${CUTS} cuts at random bytes of either connection, with writers, end equal and with true counters (F4, A15)`, async () => {
    const random = randomFrom(printedSeed())
    await using pair = await open(engines)
    const { source, target } = pair
    await openShops(pair, 300)
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
        const proxy = i % 2 === 0 ? toTarget : toSource
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
    await expectWhole(pair, books)
  })

  test(`${CUTS} first loads that are cut inside of their rows end equal and with true counters (F4, B1)`, async () => {
    const random = randomFrom(printedSeed())
    for (let i = 0; i < CUTS; i++) {
      await using pair = await open(engines)
      const { source, target } = pair
      await openShops(pair, 400)
      await using toTarget = await startFaultProxyFor(target.url)
      const books = new Books()
      // What a session says before its load is shorter, and the pictures alone are longer.
      const after = Math.floor(20_000 + random() * 60_000)
      await toTarget.faults.set({ cut: { after, direction: 'toServer', by: i % 2 === 0 ? 'rst' : 'fin' } })
      await using program = startSync(source.url, toTarget.url(target.url))
      await Promise.all([program.exit, onceCut(toTarget, program.exit)])
      books.enter(await program.exit)
      expect(toTarget.counts.cut).toBeGreaterThan(0)
      await toTarget.faults.clear()
      await books.enterClosed(target)
      await expectWhole(pair, books)
    }
  })
})

/** One connection meets the fault; those that are opened after it do not, or a run would be cut for ever. */
async function onceCut(proxy: FaultProxy, ended: Promise<unknown>): Promise<void> {
  const { cut } = proxy.counts
  let over = false
  void ended.then(() => (over = true))
  while (!over && proxy.counts.cut === cut) await pause(5)
  await proxy.faults.set({})
}
