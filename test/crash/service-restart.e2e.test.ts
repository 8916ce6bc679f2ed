/**
 * Servers that restart or crash under a job, the control store's among them (RELIABILITY F3), seen by somebody who has
 * nothing but the API: jobs begin by POST, and are followed by their event stream and by GET. SYNCLINE_TEST_RESTARTS sets
 * how often.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { Database, expectSameTables } from '#test/harness/database.ts'
import { startPrivateServer } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'
import { createStorePlace } from '#test/harness/store.ts'

import { randomFrom } from './runs.ts'
import { changeShop, combine, openShops, readLedger, SHOP_TABLES, type Written } from './shop.ts'

const ROUNDS = Number(process.env['SYNCLINE_TEST_RESTARTS'] ?? 2)

expectNoProgramSurvives()

test.each(['the target', 'the control store'] as const)(
  `${ROUNDS} crashes of the server of %s: jobs go on by themselves, with true counters in the API (F3)`,
  async (which) => {
    const random = randomFrom(printedSeed())
    const isStore = which === 'the control store'
    await using server = await startPrivateServer({ fsync: true })
    const own = { url: server.url(), major: server.major }
    await using store = await createStorePlace(isStore ? own : 'sqlite')
    await using shops = await openShops(300, isStore ? {} : { target: own })
    const { source, target } = shops
    await using service = await new ServeUnderTest(
      'url' in store.location ? { SYNCLINE_DATABASE_URL: store.location.url } : {},
    ).start()
    await service.register({ source: source.url, target: target.url })
    let books: Written = { inserted: 0, updated: 0, deleted: 0 }
    const finish = async (id: string): Promise<void> => {
      books = combine(books, (await service.succeeded(id))['counts'] as Written, 1)
    }
    for (let round = 0; round < ROUNDS; round++) {
      const id = await service.run()
      const followed = service.followToEnd(id)
      followed.catch(() => undefined)
      await service.until(id, ['running', 'succeeded'])
      await pause(random() * 1_200)
      await server.kill()
      await server.start()
      const back = performance.now()
      await finish(id)
      console.log(`round ${round}: succeeded ${Math.round(performance.now() - back)} ms after the server was back`)
      expect((await followed).at(-1)?.data).toMatchObject({ data: { status: 'succeeded' } })
      await changeShop(source, round)
    }
    await finish(await service.run())
    await expectSameTables(source, target, SHOP_TABLES)
    // The session of before is gone with its server.
    const after = isStore ? target : new Database(own, target.name)
    expect(books, 'what the API says was written, against the triggers of the target').toEqual(await readLedger(after))
    await after.close()
    service.program.signal('SIGTERM')
    expect(await service.program.exit).toMatchObject({ code: 0 })
  },
)
