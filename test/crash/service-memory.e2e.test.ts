/** The process of a job that has more memory than it may is ended; its job goes on once, and then fails (SPEC 10). */
import { expect, test } from 'vitest'

import { expectSameTables } from '#test/harness/database.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

import { openShops, readLedger, SHOP_TABLES } from './shop.ts'

expectNoProgramSurvives()

/** Less than any process has that runs this program. */
const TINY = { SYNCLINE_JOB_MEMORY_MB: '8' }

test('above the ceiling a job is begun twice, fails with cause and next step, and goes on once there is room', async () => {
  await using shops = await openShops(3_000)
  const { source, target } = shops
  await using tiny = await new ServeUnderTest({ ...TINY, SECRET_KEY: 'a-key-of-this-test-alone-0123456789' }).start()
  await tiny.register({ source: source.url, target: target.url })
  const id = await tiny.run()
  const failed = await tiny.until(id, ['failed', 'succeeded'])
  expect(failed).toMatchObject({
    status: 'failed',
    error: { code: 'memory_exceeded', retry: 'after-fix', hint: expect.stringContaining('SYNCLINE_JOB_MEMORY_MB') },
  })
  const events = await tiny.followToEnd(id)
  const statuses = events.filter(({ event }) => event === 'status').map(({ data }) => statusOf(data['data']))
  expect(statuses).toEqual(['queued', 'running', 'queued', 'running', 'failed'])
  expect(JSON.stringify(events)).toContain('It goes on once more: The process of the job had')
  await tiny.program.kill()

  await using roomy = await tiny
    .beside({ DB_PATH: `${tiny.folder}/control.sqlite`, SYNCLINE_JOB_MEMORY_MB: '512' })
    .start()
  await roomy.ask('POST', `/api/v1/jobs/${id}/resume`, {})
  const { counts, error } = await roomy.succeeded(id)
  expect(error).toBeNull()
  expect(counts).toMatchObject(await readLedger(target))
  await expectSameTables(source, target, SHOP_TABLES)
})

function statusOf(data: unknown): unknown {
  return (data as { status?: unknown }).status
}
