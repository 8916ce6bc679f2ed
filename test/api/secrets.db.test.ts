import { describe, expect, test } from 'vitest'

import { must } from '#lib/assert.ts'

import { fillPath, readDescription } from '#test/harness/openapi.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { CANARY, createWorld, type World } from './world.ts'

const urlsOf = ({ sourceUrl, targetUrl }: World) => ({ source_connection: sourceUrl, target_connection: targetUrl })

describe.each(STORE_KINDS)('secrets on %s', (kind) => {
  test('S45, S46: no answer, log line, event or table holds a password or a key that was given', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const urls = urlsOf(world)
    const { routes } = await readDescription(api)
    const started = await api.send(admin, 'POST', '/api/sync/full', { body: urls })
    expect(started.statusCode, started.body).toBe(202)
    const bodies = [started.body]
    const wrong = [
      ['/api/datasources', { name: 'x', url: `mysql://app:${CANARY}@localhost/x` }],
      ['/api/datasources', { name: 'x', url: `postgres://app:${CANARY}@/x y`, host: 'h' }],
      ['/api/datasources', { name: 'source', url: urls.source_connection }],
      ['/api/datasources', { name: 'x', password: [CANARY] }],
      ['/api/sync/full', { ...urls, config: { tables: [{ source: 'a.b.c.d' }] } }],
      ['/api/sync/full', urls],
      ['/api/datasources/parse-url', { url: urls.source_connection }],
      ['/api/databases/test', { url: urls.source_connection }],
      ['/api/session', { key: `sl_${CANARY}` }],
    ] as const
    for (const [url, body] of wrong) bodies.push((await api.send(admin, 'POST', url, { body })).body)
    for (const { method, path } of routes.filter((route) => route.method === 'GET')) {
      if (path.endsWith('/events') || path.endsWith('/ws')) continue
      const id = path.includes('/rejections/{')
        ? world.rejection
        : path.includes('/jobs/')
          ? world.job
          : path.includes('/sync-configs/')
            ? world.config
            : world.source
      const url = fillPath(path, { id, jobId: world.job, configId: world.config })
      const query = path.endsWith('/preview') ? '?table=a' : ''
      bodies.push((await api.send(admin, method, url + query)).body)
    }
    bodies.push((await api.send(`sl_${CANARY}`, 'GET', '/api/jobs')).body)
    const { db } = api.store
    const tables = [
      'datasource',
      'sync_config',
      'job',
      'job_event',
      'api_key',
      'session',
      'idempotency',
      'audit_event',
    ] as const
    for (const table of tables) bodies.push(JSON.stringify(await db.selectFrom(table).selectAll().execute()))
    for (const text of [...bodies, ...api.log]) {
      expect(text).not.toContain(CANARY)
      expect(text).not.toContain(admin)
    }
    expect(bodies.length).toBeGreaterThan(40)
    expect(api.log.length).toBeGreaterThan(40)
  })

  test('S46: the same connection is one hidden datasource, however often and at once it is named', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const urls = urlsOf(world)
    const count = async (): Promise<number> =>
      (await api.store.db.selectFrom('datasource').select('id').where('origin', '=', 'ad_hoc').execute()).length
    const run = (body: unknown) => api.send(admin, 'POST', '/api/sync/incremental', { body })
    const answers = await Promise.all(Array.from({ length: 10 }, () => run(urls)))
    expect(answers.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([
      202,
      ...Array.from({ length: 9 }, () => 409),
    ])
    expect(await count()).toBe(2)
    await run({ ...urls, source_connection: world.sourceUrl.replace(CANARY, 'another') })
    expect(await count()).toBe(3)
    const list = await api.send(admin, 'GET', '/api/datasources')
    expect(list.json<{ items: unknown[] }>().items).toHaveLength(2)
    const job = must(
      answers.find(({ statusCode }) => statusCode === 202),
      'a job',
    ).json<{ job_id: string }>().job_id
    expect((await api.send(admin, 'GET', `/api/jobs/${job}`)).json()).toMatchObject({ config_id: null })
    for (const role of ['operator', 'viewer'] as const) {
      const answer = await api.send((await api.key(role)).secret, 'POST', '/api/sync/full', { body: urls })
      expect(answer.statusCode).toBe(403)
    }
    const scoped = await api.key('admin', [world.source])
    expect((await api.send(scoped.secret, 'POST', '/api/sync/full', { body: urls })).statusCode).toBe(403)
  })
})
