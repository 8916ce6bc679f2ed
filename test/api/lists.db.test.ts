/** Lists: filtered, sorted and cut into pages by the store, which stay in step while entries are added (UX 62, 63). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { ApiUnderTest } from '#test/harness/api.ts'
import { createApi } from '#test/harness/api.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { createWorld } from './world.ts'

const SEED = printedSeed()

type Item = Readonly<Record<string, unknown>>

interface Listed {
  readonly items: readonly Item[]
  readonly next_cursor: string | null
}

async function ask(api: ApiUnderTest, key: string, url: string): Promise<Listed> {
  const answer = await api.send(key, 'GET', url)
  expect(answer.statusCode, `${url}: ${answer.body}`).toBe(200)
  return answer.json<Listed>()
}

/** All entries of a list in pages, with something that happens between any two of them. */
async function walk(
  get: (query: string) => Promise<Listed>,
  limit: number,
  between: () => Promise<unknown> = async () => undefined,
): Promise<readonly Item[]> {
  const found: Item[] = []
  for (let cursor: string | null = ''; cursor !== null;) {
    const page: Listed = await get(`limit=${limit}${cursor === '' ? '' : `&cursor=${cursor}`}`)
    expect(page.items.length).toBeLessThanOrEqual(limit)
    found.push(...page.items)
    cursor = page.next_cursor
    await between()
  }
  return found
}

/** By code points, as lists order names. */
function byCodePoints(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

describe.each(STORE_KINDS)('lists, on %s', (kind) => {
  test('pages of any size, in any order, hold each entry once while others are added before, between and after', async () => {
    const letter = fc.constantFrom('a', 'B', 'b', 'ä', 'Z', 'z', '9', '字')
    const name = fc.array(letter, { minLength: 1, maxLength: 6 }).map((letters) => letters.join(''))
    const names = fc.uniqueArray(name, { minLength: 1, maxLength: 12 })
    const order = fc.constantFrom('name', '-name', 'created_at', '-created_at')
    await fc.assert(
      fc.asyncProperty(names, names, fc.integer({ min: 1, max: 5 }), order, async (first, later, limit, sort) => {
        await using api = await createApi(kind)
        const admin = (await api.key('admin')).secret
        const add = (one: string) =>
          api.send(admin, 'POST', '/api/datasources', { body: { name: one, url: 'postgres://a@localhost/x' } })
        for (const one of first) expect((await add(one)).statusCode, one).toBe(201)
        const more = later.filter((one) => !first.includes(one))
        const get = (query: string) => ask(api, admin, `/api/datasources?sort=${sort}&${query}`)
        const seen = (await walk(get, limit, async () => add(more.pop() ?? first[0] ?? ''))).map((one) =>
          String(one['name']),
        )
        expect(seen, 'no entry twice').toEqual([...new Set(seen)])
        expect(seen.filter((one) => first.includes(one)).toSorted(byCodePoints)).toEqual(first.toSorted(byCodePoints))
        const down = sort.startsWith('-') ? -1 : 1
        const sorted = sort.endsWith('name') ? seen.toSorted((a, b) => down * byCodePoints(a, b)) : seen
        expect(seen).toEqual(sorted)
      }),
      { seed: SEED, numRuns: 12 },
    )
  })

  test('jobs, datasources, sync configs and the audit log are filtered by the store', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const names = async (url: string) => (await ask(api, admin, url)).items.map((one) => one['name'] ?? one['id'])
    for (const name of ['a_b', 'axb']) {
      await api.send(admin, 'POST', '/api/datasources', { body: { name, url: 'postgres://a@localhost/x' } })
    }
    expect(await names('/api/datasources?search=SOUR')).toEqual(['source'])
    expect(await names('/api/datasources?search=a_')).toEqual(['a_b'])
    expect(await names('/api/datasources?search=%25')).toEqual([])
    expect(await names('/api/datasources?writable=true')).toEqual(['target'])
    expect(await names('/api/datasources?writable=false&sort=-name')).toEqual(['source', 'axb', 'a_b'])
    expect(await names('/api/sync-configs?datasource=source')).toEqual(['config'])
    expect(await names('/api/sync-configs?datasource=a_b')).toEqual([])
    expect(await names('/api/sync-configs?search=zzz')).toEqual([])
    expect(await names('/api/jobs?datasource=target&status=stopped,failed')).toEqual([world.job])
    expect(await names('/api/jobs?status=failed')).toEqual([])
    expect(await names('/api/jobs?since=2000-01-01&until=2999-01-01')).toEqual([world.job])
    expect(await names('/api/jobs?since=2999-01-01T00:00:00Z')).toEqual([])
    expect(await names('/api/jobs?until=2000-01-01')).toEqual([])
    const scoped = (await api.key('viewer', [world.source])).secret
    expect((await ask(api, scoped, '/api/datasources')).items.map((one) => one['name'])).toEqual(['source'])
    expect((await ask(api, scoped, '/api/sync-configs')).items).toEqual([])
    const wrong = await api.send(admin, 'GET', '/api/jobs?since=yesterday')
    expect(wrong.json()).toMatchObject({ status: 400, errors: [{ place: 'query#/since' }] })
  })

  test('jobs and the audit log go both ways, page by page, while more is added', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const first = await ask(api, admin, '/api/audit-events?sort=seq')
    for (const sort of ['seq', '-seq']) {
      const note = () => api.send(admin, 'POST', '/api/session', { body: { key: admin } })
      const get = (query: string) => ask(api, admin, `/api/audit-events?sort=${sort}&until=2999-01-01&${query}`)
      const seen = (await walk(get, 3, sort === 'seq' ? undefined : note)).map((one) => Number(one['seq']))
      expect(seen).toEqual([...new Set(seen)].toSorted((a, b) => (sort === 'seq' ? a - b : b - a)))
      for (const { seq } of first.items) expect(seen).toContain(seq)
    }
    const again = async (): Promise<unknown> => {
      await api.store.db.updateTable('job').set({ status: 'stopped' }).execute()
      return api.send(admin, 'POST', `/api/sync/${world.config}`, { body: {} })
    }
    for (let i = 0; i < 4; i++) await again()
    const before = (await ask(api, admin, '/api/jobs?sort=created_at')).items.map((one) => one['id'])
    expect(before).toHaveLength(5)
    const jobs = (query: string) => ask(api, admin, `/api/jobs?${query}`)
    expect((await walk(jobs, 2, again)).map((one) => one['id'])).toEqual(before.toReversed())
  })

  test('a cursor goes on with the order that gave it, and with no other', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const { next_cursor: cursor } = await ask(api, admin, '/api/datasources?limit=1&sort=name')
    const other = await api.send(admin, 'GET', `/api/datasources?limit=1&sort=-name&cursor=${cursor}`)
    expect(other.json()).toMatchObject({ status: 400, errors: [{ place: 'query#/cursor' }] })
  })

  test('what a sync config has been comes in pages, each version with its changes', async () => {
    await using world = await createWorld(kind)
    const { api, admin, config } = world
    const document = { name: 'config', source_datasource_id: 'source', target_datasource_id: 'target' }
    for (const size of [1, 2, 3]) {
      const body = { ...document, batch_size: size }
      expect((await api.send(admin, 'PUT', `/api/sync-configs/${config}`, { body })).statusCode).toBe(200)
    }
    const versions = await walk((query) => ask(api, admin, `/api/sync-configs/${config}/versions?${query}`), 1)
    expect(versions.map((one) => one['version'])).toEqual([4, 3, 2, 1])
    expect(versions.map(({ changes }) => (changes as unknown[]).length)).toEqual([1, 1, 1, 0])
  })
})

test('UX 63: the rate limit counts every request of an address, says what is left, and then answers 429', async () => {
  await using world = await createWorld('sqlite', {
    limits: { requestsPerMinute: 50 },
    trustedProxies: ['127.0.0.1'],
  })
  const { api, admin } = world
  const paths = ['/api/jobs', '/api/nothing', '/openapi.json', '/livez', '/api/keys']
  const ask = (i: number, from: string) =>
    api.send(i % 2 === 0 ? admin : null, i % 7 === 0 ? 'PATCH' : 'GET', paths[i % paths.length] ?? '/', {
      headers: { 'x-forwarded-for': from },
    })
  for (let i = 0; i < 50; i++) {
    const { statusCode, headers } = await ask(i, '203.0.113.1')
    expect(statusCode, String(i)).not.toBe(429)
    expect(headers['ratelimit-limit']).toBe('50')
    expect(headers['ratelimit-remaining'], String(i)).toBe(String(49 - i))
    expect(Number(headers['ratelimit-reset'])).toBeGreaterThan(0)
    expect(Number(headers['ratelimit-reset'])).toBeLessThanOrEqual(60)
  }
  const burst = await Promise.all(Array.from({ length: 20 }, (_, i) => ask(i, '203.0.113.1')))
  for (const { statusCode, headers, body } of burst) {
    expect(statusCode, body).toBe(429)
    expect(Number(headers['retry-after'])).toBeGreaterThan(0)
    expect(Number(headers['retry-after'])).toBeLessThanOrEqual(60)
    expect(headers['content-type']).toBe('application/problem+json; charset=utf-8')
    expect(JSON.parse(body)).toMatchObject({ code: 'rate_limited', retry: 'later' })
  }
  expect((await ask(0, '203.0.113.2')).headers['ratelimit-remaining']).toBe('49')
})
