/** The room that dumps may take up: what goes for a new one, and what stays. */
import { describe, expect, test } from 'vitest'

import { recordDrill } from '#control/dumps.ts'
import { getJob } from '#control/jobs.ts'
import { expireDumps } from '#jobs/dumps.ts'
import { systemClock } from '#lib/clock.ts'
import { SYSTEM } from '#model/access.ts'

import { STORE_KINDS } from '#test/harness/store.ts'
import { createShop } from './dump-shop.ts'

describe.each(STORE_KINDS)('the room of dumps, with the store in %s', (kind) => {
  test('S40: an export that has no room takes that of older ones of its kind; the newest, and the newest that works, stay', async () => {
    await using shop = await createShop(kind)
    const { api, admin } = shop
    const listed = async (): Promise<readonly string[]> => {
      const { items } = (await api.send(admin, 'GET', '/api/dumps')).json<{ items: { id: string }[] }>()
      return items.map(({ id }) => id)
    }
    const exported = async (more: object = {}) => {
      await shop.post('/api/sync/export', { datasource: 'shop', ...more })
      const job = await getJob(api.store, await shop.work())
      return { status: job.status, code: job.error?.code, dump: (await listed())[0] ?? '' }
    }
    const [first, definitions] = [await exported(), await exported({ content: 'schema' })]
    const [row] = await api.store.db.selectFrom('dump').select('bytes').where('id', '=', first.dump).execute()
    const room = Math.floor(Number(row?.bytes) * 2.5)
    const bounded = { body: { dumps_bytes: room } }
    expect((await api.send(admin, 'PUT', '/api/settings/retention', bounded)).statusCode).toBe(200)
    const second = await exported()
    const third = await exported()
    // Definitions alone are another kind.
    expect(await listed()).toEqual([third.dump, second.dump, definitions.dump])
    const outcome = { jobId: 'job', at: systemClock.now(), server: 'PostgreSQL', works: true, faults: [] }
    await recordDrill(api.store, second.dump, outcome, SYSTEM)
    expect(await exported()).toMatchObject({ status: 'failed', code: 'dump_space' })
    expect(await listed()).toEqual([third.dump, second.dump, definitions.dump])
    // What is exported by itself keeps its last ones, however old they are.
    await api.send(admin, 'PUT', '/api/datasources/shop/export-schedule', { body: { schedule: { cron: '0 3 * * *' } } })
    await api.store.db.updateTable('dump').set({ created_at: '2020-01-01T00:00:00.000Z' }).execute()
    expect(await expireDumps(api.dumps)).toBe(0)
    await api.send(admin, 'DELETE', '/api/datasources/shop/export-schedule')
    expect(await expireDumps(api.dumps)).toBe(3)
  })
})
