/** Stop, resume, cancel and retry at random points (SPEC 5): what is counted is what was written, by whichever job. */
import { setTimeout as pause } from 'node:timers/promises'

import { describe, expect, test } from 'vitest'

import { applyJobEvent } from '#control/jobs.ts'
import { type Database, expectSameTables } from '#test/harness/database.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { TestService } from '#test/harness/service.ts'
import { someStores } from '#test/harness/store.ts'

import { randomFrom, untilNoSession } from './runs.ts'
import { changeShop, openShops, readLedger, SHOP_TABLES } from './shop.ts'

const ROUNDS = Number(process.env['SYNCLINE_TEST_STOPS'] ?? 3)

expectNoProgramSurvives()

describe.each(someStores())('with the store in %s', (kind) => {
  test(`${ROUNDS} stops, resumes and cancels at random points`, async () => {
    const random = randomFrom(printedSeed())
    await using service = await TestService.create(kind)
    await using shops = await openShops(400)
    const { source, target } = shops
    const config = await service.addConfig({ source: source.url, target: target.url })
    await using worker = service.startWorker()
    for (let round = 0; round < ROUNDS; round++) {
      const before = await readLedger(target)
      const { id } = await service.start(config)
      await service.until(id, ['running', 'succeeded'])
      await pause(random() * 2_500)
      const end = await stopSomehow(service, id, random)
      await untilNoSession(target)
      const counted = await countersOf(target, id)
      const after = await readLedger(target)
      const written = {
        inserted: after.inserted - before.inserted,
        updated: after.updated - before.updated,
        deleted: after.deleted - before.deleted,
      }
      expect(counted, `${end}: the counters of the job ${id} in the target`).toEqual(written)
      // A job that ended before it came to writing has none.
      const counts = (await service.job(id)).counts ?? { inserted: 0, updated: 0, deleted: 0 }
      expect(counts, `${end}: the counts of the job ${id} in the store`).toMatchObject(written)
      await changeShop(source, round)
    }
    await service.succeeded((await service.start(config)).id)
    await expectSameTables(source, target, SHOP_TABLES)
    worker.signal('SIGTERM')
    expect(await worker.exit).toMatchObject({ code: 0 })
  })

  test('a job that has failed goes on with its own counters once the cause is mended', async () => {
    await using service = await TestService.create(kind)
    await using shops = await openShops(50)
    const { source, target } = shops
    const config = await service.addConfig({ source: source.url, target: target.url })
    await target.sql(`ALTER TABLE purchase ADD CONSTRAINT refuses CHECK (id < 10)`)
    await service.store.db
      .updateTable('sync_config')
      .set({ document: await strict(service, config) })
      .execute()
    await using _ = service.startWorker()
    const { id } = await service.start(config)
    const failed = await service.until(id, ['failed'])
    expect(failed.error).toMatchObject({ code: 'too_many_rejections' })
    expect(failed.counts).toMatchObject(await readLedger(target))
    expect(failed.counts?.inserted).toBeGreaterThan(0)
    await target.sql('ALTER TABLE purchase DROP CONSTRAINT refuses')
    await applyJobEvent(service.store, { id, event: 'resume' })
    const { counts } = await service.succeeded(id)
    expect(counts).toMatchObject(await readLedger(target))
    await expectSameTables(source, target, SHOP_TABLES)
  })
})

/** The document of a config, changed so that the first row that is refused ends the run. */
async function strict({ store }: TestService, id: string): Promise<string> {
  const { document } = await store.db
    .selectFrom('sync_config')
    .select('document')
    .where('id', '=', id)
    .executeTakeFirstOrThrow()
  return JSON.stringify({ ...(JSON.parse(document) as object), on_reject: 'stop' })
}

/** Ends a job one way or another. Returns how it ended. */
async function stopSomehow(service: TestService, id: string, random: () => number): Promise<string> {
  const { store } = service
  if (random() < 0.4) {
    await applyJobEvent(store, { id, event: 'cancel' }).catch(ignoreEnded)
  } else {
    await applyJobEvent(store, { id, event: 'stop' }).catch(ignoreEnded)
    const seen = await service.until(id, ['stopped', 'succeeded'])
    if (seen.status === 'stopped')
      await (random() < 0.3
        ? applyJobEvent(store, { id, event: 'cancel' })
        : applyJobEvent(store, { id, event: 'resume' }))
  }
  return (await service.until(id, ['succeeded', 'cancelled'])).status
}

/** It may have come to its end by itself. */
function ignoreEnded(error: unknown): void {
  expect(error).toMatchObject({ code: 'wrong_state' })
}

type Written = Record<'inserted' | 'updated' | 'deleted', number>

async function countersOf(target: Database, id: string): Promise<Written> {
  const none = { inserted: 0, updated: 0, deleted: 0 }
  const [[there] = []] = await target.sql(`SELECT to_regclass('syncline.state')`)
  if (!there) return none
  const [row] = await target.sql(
    'SELECT sum(inserted), sum(updated), sum(deleted) FROM syncline.state WHERE job_id = $1',
    [id],
  )
  const [inserted = 0, updated = 0, deleted = 0] = (row ?? []).map(Number)
  return { inserted, updated, deleted }
}
