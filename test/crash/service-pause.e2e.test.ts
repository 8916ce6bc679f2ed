/**
 * A service and the process of its job are stopped in their tracks for longer than the lease; another service on the same
 * store takes over; woken up they write nothing any more (RELIABILITY F8, B7; invariant 8). Jobs begin by POST, and are
 * followed by their event stream and by GET. SYNCLINE_TEST_PAUSES sets how often.
 */
import { randomBytes } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { type Database, expectSameTables } from '#test/harness/database.ts'
import { expectNoProgramSurvives, type Program } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'
import { jobProcesses, processState } from '#test/harness/service.ts'
import { createStorePlace, someStores } from '#test/harness/store.ts'

import { randomFrom } from './runs.ts'
import { changeShop, combine, openShops, readLedger, SHOP_TABLES } from './shop.ts'

const PAUSES = Number(process.env['SYNCLINE_TEST_PAUSES'] ?? 2)

/** Passes of failpoints in a run of this size; later ones may not come. */
const PASSES = 60

expectNoProgramSurvives()

describe.each(someStores())('with the store in %s', (kind) => {
  test(`${PAUSES} pauses at random points: 0 rows after the takeover, and the counts of the API are true (F8, B7)`, async () => {
    const random = randomFrom(printedSeed())
    await using store = await createStorePlace(kind)
    await using shops = await openShops(300)
    const { source, target } = shops
    const { location } = store
    await using service = await new ServeUnderTest({
      SECRET_KEY: randomBytes(32).toString('hex'),
      ...('url' in location ? { SYNCLINE_DATABASE_URL: location.url } : { DB_PATH: location.file }),
    }).start()
    await service.register({ source: source.url, target: target.url })
    await service.program.kill()
    for (let paused = 0, round = 0; paused < PAUSES; round++) {
      const ledger = await readLedger(target)
      await using first = await service.beside({ FAILPOINT: `*:${1 + Math.floor(random() * PASSES)}:stop` }).start()
      const id = await first.run()
      const child = await stoppedProcess(first.program, first.succeeded(id))
      await using second = service.beside()
      if (child !== null) {
        await overtake({ first, second, child, id, target, early: random() < 0.5 })
        paused += 1
      }
      const seeing = child === null ? first : second
      const { counts } = await seeing.succeeded(id)
      expect(counts).toMatchObject(combine(await readLedger(target), ledger, -1))
      await expectSameTables(source, target, SHOP_TABLES)
      await changeShop(source, round)
    }
    await expectAtRest(service, target)
  })
})

interface Paused {
  readonly first: ServeUnderTest
  readonly second: ServeUnderTest
  readonly child: number
  readonly id: string
  readonly target: Database
  /** Woken while the other is at work, and not when it has done. */
  readonly early: boolean
}

/** Lets a second service have the job of a paused one, and wakes the first. */
async function overtake({ first, second, child, id, target, early }: Paused): Promise<void> {
  first.program.suspend()
  await second.start()
  if (early) await untilTakenOver(second, id)
  else await second.succeeded(id)
  const seen = await readLedger(target)
  process.kill(child, 'SIGCONT')
  first.program.resume()
  await expect.poll(() => processState(child), { timeout: 60_000 }).toBe('gone')
  await second.succeeded(id)
  // What the second was still to write then is not told apart here; the counts of the job tell.
  const after = early ? seen : await readLedger(target)
  expect(after, 'rows after the takeover').toEqual(seen)
  // Both services tell the same of it.
  expect((await first.succeeded(id))['counts']).toEqual((await second.succeeded(id))['counts'])
}

/** The process of a job that has stopped itself at its failpoint; null where the job was over before. */
async function stoppedProcess(service: Program, succeeded: Promise<unknown>): Promise<number | null> {
  const over = succeeded.then(() => 0)
  over.catch(() => undefined)
  for (;;) {
    const found = await Promise.race([over, stopped(service)])
    if (found === 0) return null
    if (found !== null) return found
  }
}

async function stopped(service: Program): Promise<number | null> {
  for (const pid of await jobProcesses(service)) if ((await processState(pid)) === 'T') return pid
  return null
}

/** Until a second process has begun with the job, as its event stream tells it. */
async function untilTakenOver(service: ServeUnderTest, id: string): Promise<void> {
  let begun = 0
  for await (const { event, data } of service.follow(id)) {
    if (event === 'status' && (data['data'] as { status?: string })['status'] === 'running') begun += 1
    if (begun === 2) return
  }
  throw new Error(`Nobody took the job ${id} over.`)
}

/** The changes of the last round arrive, and nothing is left open. */
async function expectAtRest(service: ServeUnderTest, target: Database): Promise<void> {
  await using last = await service.beside().start()
  await last.succeeded(await last.run())
  expect(await target.sql(`SELECT DISTINCT phase FROM syncline.state`)).toEqual([['done']])
}
