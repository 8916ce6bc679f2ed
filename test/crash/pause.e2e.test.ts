/**
 * A process that is stopped in its tracks, overtaken and woken up again writes nothing any more (RELIABILITY F8, B7;
 * invariant 8).
 */
import { expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, type Exit, type Program } from '#test/harness/process.ts'

import { Books, codeOf, countsOf, expectWhole, finishSync, startSync, untilStopped } from './runs.ts'
import { changeShop, createShop, fillShop, keepLedger, readLedger } from './shop.ts'

expectNoProgramSurvives()

const OURS = `application_name = 'syncline' AND datname = current_database()`
/** As a restart of the server or a partition would. */
const EVERY_SESSION = `SELECT pid FROM pg_stat_activity WHERE ${OURS}`
/** Only the one that keeps a second run out: the others live, and the epoch alone stands against them. */
const GUARD = `SELECT pid FROM pg_locks WHERE locktype = 'advisory' AND granted
  AND database = (SELECT oid FROM pg_database WHERE datname = current_database())`

const WHILE_LOADING = ['table.loading:2', 'load.copied:1', 'batch.record:1', 'batch.commit:1', 'batch.committed:2']
const WHILE_CHANGING = ['batch.staged:2', 'batch.written:3', 'batch.commit:2', 'batch.committed:2', 'run.finish:1']

test.each([
  ...WHILE_LOADING.map((failpoint) => ({ failpoint, changes: false, cut: EVERY_SESSION, which: 'every session' })),
  ...WHILE_CHANGING.map((failpoint) => ({ failpoint, changes: true, cut: EVERY_SESSION, which: 'every session' })),
  // Between transactions, where the paused run holds no lock that would stop the second.
  { failpoint: 'table.loading:1', changes: false, cut: GUARD, which: 'the guard' },
  { failpoint: 'phase.entered:1', changes: false, cut: GUARD, which: 'the guard' },
  { failpoint: 'batch.committed:1', changes: false, cut: GUARD, which: 'the guard' },
  { failpoint: 'batch.committed:2', changes: true, cut: GUARD, which: 'the guard' },
])('paused at $failpoint, cut off by $which, overtaken, woken: 0 rows (F8)', async ({ failpoint, changes, cut }) => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const books = await openShops(source, target, changes)
  await using paused = await pauseAt(failpoint, source, target)
  await cutOff(target, cut)

  books.enter(await finishSync(source.url, target.url))

  const [ledger, state] = [await readLedger(target), await readState(target)]
  paused.resume()
  const woken = await paused.exit
  expect(await readLedger(target)).toEqual(ledger)
  expect(await writtenBy(woken, { target, state })).toBe(0)
  await expectWhole(source, target, books)
})

test('a paused run whose sessions live keeps a second one out, and finishes when it is woken (B6, B7)', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const books = await openShops(source, target, true)
  await using paused = await pauseAt('batch.commit:2', source, target)
  const ledger = await readLedger(target)

  const started = performance.now()
  await using second = startSync(source.url, target.url)
  const refused = await second.exit

  expect([refused.code, codeOf(refused)], refused.stderr).toEqual([5, 'already_running'])
  expect(performance.now() - started).toBeLessThan(40_000)
  expect(await readLedger(target)).toEqual(ledger)
  paused.resume()
  books.enter(await paused.exit)
  expect(books.failures).toEqual([])
  await expectWhole(source, target, books)
})

test('a run that is woken while the one that overtook it is at work writes nothing (B7)', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const books = await openShops(source, target, true)
  await using first = await pauseAt('batch.commit:2', source, target)
  await cutOff(target, EVERY_SESSION)
  await using second = await pauseAt('batch.committed:3', source, target)
  const ledger = await readLedger(target)

  first.resume()
  const woken = await first.exit

  expect(['stale_epoch', 'already_running'], woken.stderr).toContain(codeOf(woken))
  expect(await readLedger(target)).toEqual(ledger)
  second.resume()
  books.enter(await second.exit)
  expect(books.failures).toEqual([])
  await expectWhole(source, target, books)
})

async function openShops(source: Database, target: Database, changes: boolean): Promise<Books> {
  const books = new Books()
  await createShop(source)
  await createShop(target)
  await keepLedger(target)
  await fillShop(source, 150)
  if (!changes) return books
  books.enter(await finishSync(source.url, target.url))
  await changeShop(source, 1)
  return books
}

/** A run that has stopped itself at a failpoint. */
async function pauseAt(failpoint: string, source: Database, target: Database): Promise<Program> {
  const program = startSync(source.url, target.url, { env: { FAILPOINT: `${failpoint}:stop` } })
  await untilStopped(program)
  return program
}

/** Ends sessions of a paused run, and returns when the last of them has rolled back and is gone. */
async function cutOff(target: Database, sessions: string): Promise<void> {
  const pids = `{${(await target.sql(sessions)).flat().join(',')}}`
  await target.sql('SELECT pg_terminate_backend(pid) FROM unnest($1::int[]) pid', [pids])
  const left = 'SELECT pid FROM pg_stat_activity WHERE pid = ANY ($1::int[])'
  await expect.poll(() => target.sql(left, [pids])).toEqual([])
}

/** Epoch and counters of every mapping. */
async function readState(target: Database): Promise<unknown> {
  return target.sql('SELECT mapping_id, epoch, phase, batches FROM syncline.state ORDER BY 1')
}

/** Rows that a woken run says it wrote. One that failed left the state as it was; one that ended well found nothing to do. */
async function writtenBy(exit: Exit, { target, state }: { target: Database; state: unknown }): Promise<number> {
  if (exit.code === 0) {
    const { inserted, updated, deleted } = countsOf(exit)
    return inserted + updated + deleted
  }
  expect(['stale_epoch', 'connection_lost']).toContain(codeOf(exit))
  expect(await readState(target)).toEqual(state)
  return 0
}
