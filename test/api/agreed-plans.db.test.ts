/** What somebody has agreed to is what is done: a restore whose plan has become another one writes nothing. */
import { describe, expect, test } from 'vitest'

import { getJob } from '#control/jobs.ts'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { createShop, localUrl } from './dump-shop.ts'

describe.each(STORE_KINDS)('with the store in %s', (kind) => {
  test('P8: a target that has changed since the plan was shown is not imported or copied into', async () => {
    await using shop = await createShop(kind)
    await using target = await createDatabase(sharedServers().source)
    const { api, admin } = shop
    const body = { name: 'target', url: localUrl(target), writable: true }
    expect((await api.send(admin, 'POST', '/api/datasources', { body })).statusCode).toBe(201)
    const run = async (path: string, asked: object) => {
      const started = await api.send(admin, 'POST', path, { body: asked })
      expect(started.statusCode, started.body).toBe(202)
      const id = await shop.work()
      const { status, error } = await getJob(api.store, id)
      const shown = (await api.send(admin, 'GET', `/api/jobs/${id}/receipt`)).json<{
        receipt: Record<string, unknown> | null
      }>()
      return { status, code: error?.code, digest: shown.receipt?.['plan_digest'] }
    }
    const exported = await shop.post('/api/sync/export', { datasource: 'shop' })
    await shop.work()
    const [dump] = (await api.send(admin, 'GET', `/api/dumps?job_id=${String(exported['job_id'])}`)).json<{
      items: { id: string }[]
    }>().items
    const wishes = [
      ['/api/sync/import', { datasource: 'target', dump: dump?.id, replace: true, trust_file: true }],
      ['/api/sync/copy', { source: 'shop', target: 'target', replace: true, trust_source: true }],
    ] as const
    for (const [path, wish] of wishes) {
      await target.sql('DROP TABLE IF EXISTS item')
      const plan = await run(path, { ...wish, dry_run: true })
      expect(plan).toMatchObject({ status: 'succeeded', digest: expect.stringMatching(/^[0-9a-f]{64}$/) as string })
      await target.sql(`CREATE TABLE item (precious text); INSERT INTO item VALUES ('mine')`)
      const changed = await run(path, { ...wish, agreed_plan: plan.digest })
      expect(changed, path).toMatchObject({ status: 'failed', code: 'plan_changed' })
      expect(await target.sql('SELECT precious FROM item')).toEqual([['mine']])
      const anew = await run(path, { ...wish, dry_run: true })
      expect(await run(path, { ...wish, agreed_plan: anew.digest }), path).toMatchObject({ status: 'succeeded' })
      expect(await target.sql('SELECT count(*) FROM item')).toEqual([['500']])
    }
  })
})
