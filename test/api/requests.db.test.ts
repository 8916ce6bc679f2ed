import fc from 'fast-check'
import type { LightMyRequestResponse } from 'fastify'
import { describe, expect, test } from 'vitest'

import { testId, type Extra } from '#test/harness/api.ts'
import { fillPath, readDescription, type JsonSchema } from '#test/harness/openapi.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { createWorld, type World } from './world.ts'

const RUNS = 25
const SEED = printedSeed()

/** Texts that break what was not made for them. */
const NASTY = [
  '',
  '\0',
  '%00',
  '../../etc/passwd',
  "' OR 1=1 --",
  '<script>alert(1)</script>',
  '\u2028',
  '\uD800',
  '__proto__',
  'constructor',
  '1e999',
  '-1',
  'null',
  '[object Object]',
  '🦕'.repeat(300),
  '*',
  '"',
  'a.b.c',
  'postgres://',
  'postgres://@/',
  'file:///etc/passwd',
]

const anyText = fc.oneof(fc.constantFrom(...NASTY), fc.string(), fc.string({ unit: 'binary' }))

/** Values that a schema speaks of: mostly of its form, at times of any other. */
function fromSchema(given: JsonSchema, resolve: (schema: JsonSchema) => JsonSchema): fc.Arbitrary<unknown> {
  const schema = resolve(given)
  const near = ((): fc.Arbitrary<unknown> => {
    if (schema.enum !== undefined) return fc.constantFrom(...schema.enum)
    if (schema.anyOf !== undefined) return fc.oneof(...schema.anyOf.map((one) => fromSchema(one, resolve)))
    switch (schema.type) {
      case 'object': {
        const fields = Object.entries(schema.properties ?? {})
        const record = fc.record(Object.fromEntries(fields.map(([name, one]) => [name, fromSchema(one, resolve)])), {
          requiredKeys: fields.flatMap(([name]) => (schema.required?.includes(name) ? [name] : [])),
        })
        return fc.oneof({ arbitrary: record, weight: 6 }, { arbitrary: fc.dictionary(anyText, anyText), weight: 1 })
      }
      case 'array':
        return fc.array(fromSchema(schema.items ?? {}, resolve), { maxLength: 3 })
      case 'integer':
      case 'number':
        return fc.oneof(fc.nat(), fc.integer(), fc.double())
      case 'boolean':
        return fc.boolean()
      case 'null':
        return fc.constant(null)
      default:
        return fc.oneof(fc.constantFrom('source', 'target', 'orders', 'shop.*', 'a name'), anyText)
    }
  })()
  return fc.oneof({ arbitrary: near, weight: 9 }, { arbitrary: fc.jsonValue(), weight: 1 })
}

/** An id of the right kind, or anything. */
function anyId(world: World, path: string): fc.Arbitrary<string> {
  const own = path.includes('/rejections/{')
    ? world.rejection
    : path.includes('/jobs/')
      ? world.job
      : path.includes('/sync-configs/')
        ? world.config
        : world.source
  return fc.oneof(fc.constantFrom(own, testId('job'), testId('session'), 'source'), anyText)
}

describe.each(STORE_KINDS)('requests to the API on %s', (kind) => {
  test('no body, parameter or header made from the description or against it ends in a 500', async () => {
    await using world = await createWorld(kind, { trustedProxies: ['127.0.0.1'] })
    const { api, admin } = world
    const { routes, resolve } = await readDescription(api)
    const counts = new Map<number, number>()
    let asked = 0
    for (const { method, path, body, query } of routes) {
      if (path.endsWith('/events') || path.endsWith('/ws')) continue
      // Those would end the key that asks, or the job and datasources that all other routes ask for.
      if (path === '/api/v1/keys/{id}') continue
      const request = fc.record({
        id: anyId(world, path),
        jobId: fc.oneof(fc.constant(world.job), anyText),
        conflictId: fc.oneof(fc.constant(world.conflict), anyText),
        configId: fc.oneof(fc.constant(world.config), anyText),
        query: fc.dictionary(fc.oneof(fc.constantFrom(...query, 'limit', 'limit[]'), anyText), anyText, { maxKeys: 3 }),
        body: body === null ? fc.constant(undefined) : fromSchema(body, resolve),
        key: fc.option(anyText, { nil: undefined }),
      })
      await fc.assert(
        fc.asyncProperty(request, async ({ query: parameters, body: given, key, ...ids }) => {
          const search = new URLSearchParams(
            Object.entries(parameters).map(([name, value]): [string, string] => [wellFormed(name), wellFormed(value)]),
          )
          const safe = Object.fromEntries(Object.entries(ids).map(([name, id]) => [name, wellFormed(id)]))
          const header =
            key === undefined || !/^[\x20-\x7e]+$/.test(key) ? {} : { 'idempotency-key': key, 'if-match': key }
          // Each from an address of its own: wrong keys would have it wait.
          const from = { 'x-forwarded-for': `2001:db8::${(asked++).toString(16)}` }
          const extra: Extra = { headers: { ...header, ...from }, ...(given === undefined ? {} : { body: given }) }
          const answer = await api.send(admin, method, `${fillPath(path, safe)}?${search.toString()}`, extra)
          counts.set(answer.statusCode, (counts.get(answer.statusCode) ?? 0) + 1)
          const shown = `${method} ${path} ${JSON.stringify({ parameters, given, ids, key })}: ${answer.body}`
          expect(answer.statusCode, shown).toBeLessThan(500)
          if (answer.statusCode >= 400) expectProblem(answer, shown)
        }),
        { seed: SEED, numRuns: RUNS },
      )
    }
    // What passed nothing at all would have tested nothing.
    expect(counts.get(429)).toBeUndefined()
    for (const status of [200, 400, 404]) expect(counts.get(status) ?? 0, String(status)).toBeGreaterThan(10)
  })
})

test('S10: fields that are the service’s own, or nobody’s, are refused with their places', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const { routes } = await readDescription(api)
  const own = [
    'id',
    'version',
    'created_at',
    'updated_at',
    'origin',
    'pin',
    'last_test',
    'hash',
    'requested_by',
    'status',
    'epoch',
  ]
  for (const { method, path, body } of routes) {
    if (body === null) continue
    const ids = {
      id: path.includes('/rejections/{')
        ? world.rejection
        : path.includes('/conflicts/{')
          ? world.conflict
          : path.includes('/jobs/')
            ? world.job
            : path.includes('/sync-configs')
              ? world.config
              : path.includes('/dumps/')
                ? 'dmp_01k00000000000000000000000'
                : world.source,
      jobId: world.job,
      conflictId: world.conflict,
      configId: world.config,
    }
    for (const name of own) {
      const answer = await api.send(admin, method, fillPath(path, ids), { body: { [name]: 1 } })
      const what = `${method} ${path} ${name}: ${answer.body}`
      expect(answer.statusCode, what).toBe(400)
      const { errors } = answer.json<{ errors: { place: string }[] }>()
      expect(
        errors.map(({ place }) => place),
        what,
      ).toContain(`body#/${name}`)
    }
  }
})

test('S29: what stands twice, as a list or under a name that is not known is refused', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  for (const query of [
    'limit=1&limit=2',
    'limit[]=1',
    'limit=0',
    'limit=1001',
    'limit=1e3',
    'limit=-1',
    'sort=nothing',
    'sort=name&sort=-name',
    'cursor=x',
    '__proto__=1',
  ]) {
    const answer = await api.send(admin, 'GET', `/api/datasources?${query}`)
    expect(answer.statusCode, `${query}: ${answer.body}`).toBe(400)
    expect(answer.json(), query).toMatchObject({
      code: 'invalid_request',
      errors: [{ place: expect.stringMatching(/^query#\//) }],
    })
  }
  for (const body of [{ name: ['x'] }, { name: { $ne: 1 } }, [], 'x', 1, null]) {
    const answer = await api.send(admin, 'POST', '/api/datasources', { body })
    expect(answer.statusCode, JSON.stringify(body)).toBe(400)
  }
})

test('what is wrong with a request is said in words that name the field and the next step', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const errorsOf = async (path: string, body: unknown): Promise<unknown> => {
    const answer = await api.send(admin, 'POST', path, { body })
    expect(answer.statusCode, answer.body).toBe(400)
    expect(answer.body).not.toMatch(/Invalid|expected|received|undefined/)
    return answer.json<{ errors: unknown }>().errors
  }
  expect(await errorsOf('/api/datasources', { kind: 'postgresql', pool: 3, port: '5432' })).toEqual([
    { place: 'body#/name', message: 'This is missing.' },
    { place: 'body#/kind', message: expect.stringMatching(/^This must be .*; the nearest is postgres\.$/) },
    { place: 'body#/port', message: 'This must be a number, not text.' },
    { place: 'body#/pool', message: 'There is no such field; the nearest is pool_size.' },
  ])
  expect(await errorsOf('/api/sync-configs', { name: 'x', source_datasource_id: 'source', tables: [{}] })).toEqual([
    { place: 'body#/target_datasource_id', message: 'This is missing.' },
    { place: 'body#/tables/0/source', message: 'This is missing.' },
  ])
  expect(await errorsOf(`/api/sync/${world.config}`, { tables: ['a', 'a.b.c', 'a_*'] })).toEqual([
    { place: 'body#/tables/1', message: expect.stringMatching(/^This is no name of a table: /) },
    { place: 'body#/tables/2', message: expect.stringMatching(/^This is no name of a table: /) },
  ])
  // In a path, a name must not be taken for anything else.
  const ends = { source_datasource_id: 'source', target_datasource_id: 'target' }
  for (const [path, body] of [
    ['/api/datasources', { name: world.target, url: 'postgres://app@localhost/x' }],
    ['/api/sync-configs', { name: world.config, ...ends }],
    ['/api/sync-configs', { name: 'full', ...ends }],
  ] as const) {
    const errors = [{ place: 'body#/name', message: 'This name stands for something else in a path.' }]
    expect(await errorsOf(path, body), body.name).toEqual(errors)
  }
  expect(await errorsOf('/api/keys', { name: 'k', role: 'viewer', expires_at: '2001-01-01T00:00:00Z' })).toEqual([
    { place: 'body#/expires_at', message: 'This is in the past.' },
  ])
})

test('S59: the right path with the wrong method is 405 with Allow, everywhere; a wrong path is 404', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const { routes } = await readDescription(api)
  const ids = { id: world.job, jobId: world.job, configId: world.config }
  for (const path of new Set(routes.map((route) => route.path))) {
    const taken = routes.filter((route) => matches(route.path, path)).map(({ method }) => method)
    for (const url of [fillPath(path, ids), `${fillPath(path, ids).replace('/api/v1', '/api')}?x=/y`]) {
      const answer = await api.send(admin, 'PATCH', url)
      expect(answer.statusCode, `PATCH ${url}: ${answer.body}`).toBe(405)
      expect(String(answer.headers['allow']).split(', '), url).toEqual([...new Set(taken)].toSorted())
      expect(answer.json(), url).toMatchObject({ code: 'wrong_method', retry: 'after-fix' })
    }
  }
  for (const url of ['/api/nothing', '/api/v1/jobs/a/b/c', '/docs/']) {
    const answer = await api.send(admin, 'PATCH', url)
    expect([answer.statusCode, answer.headers['allow']], url).toEqual([404, undefined])
  }
})

/** Whether the paths of two routes can be the same path. */
function matches(route: string, path: string): boolean {
  const [a, b] = [route.split('/'), path.split('/')]
  return a.length === b.length && a.every((part, i) => part.startsWith('{') || part === b[i])
}

test('pages of the API have an icon, and nothing that a page of ours asks for is missing', async () => {
  await using world = await createWorld('sqlite')
  for (const page of ['/docs', '/sign-in']) {
    const { body } = await world.api.send(null, 'GET', page)
    const asked = [...body.matchAll(/(?:src|href|data-url)="([^"]+)"/g)].map(([, url]) => url ?? '')
    expect(asked.length, page).toBeGreaterThan(1)
    for (const url of [...asked, '/favicon.ico']) {
      expect((await world.api.send(null, 'GET', url)).statusCode, `${page} asks for ${url}`).toBe(200)
    }
  }
})

test('S58: a body that is too deep, too large, not JSON or of another type is refused', async () => {
  await using world = await createWorld('sqlite')
  const { app } = world.api
  const post = (payload: string, type = 'application/json') =>
    app.inject({
      method: 'POST',
      url: '/api/datasources',
      headers: { host: 'localhost', 'x-api-key': world.admin, 'content-type': type },
      payload,
    })
  const deep = (levels: number): string => `{"name":${'['.repeat(levels - 1)}${']'.repeat(levels - 1)}}`
  expect((await post(deep(65))).json()).toMatchObject({
    status: 400,
    errors: [{ message: expect.stringContaining('64') }],
  })
  const { errors } = (await post(deep(64))).json<{ errors: unknown }>()
  expect(JSON.stringify(errors)).not.toContain('64')
  expect((await post(`{"name":"${'x'.repeat(1_048_576)}"}`)).statusCode).toBe(413)
  expect((await post('{"name":')).statusCode).toBe(400)
  expect((await post('{"__proto__":{"admin":true}}')).statusCode).toBe(400)
  for (const type of [
    'text/plain',
    'application/x-www-form-urlencoded',
    'multipart/form-data; boundary=x',
    'application/xml',
  ]) {
    expect((await post('name=x', type)).statusCode, type).toBe(415)
  }
  expect(({} as { admin?: boolean }).admin).toBeUndefined()
})

test('S17: every answer of every route has the same strict headers', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const { routes } = await readDescription(api)
  const seen = new Map<string, string[]>()
  const note = (what: string, headers: Readonly<Record<string, unknown>>): void => {
    const own =
      /^(date|connection|content-length|x-request-id|ratelimit-.*|retry-after|allow|etag|location|www-authenticate|content-encoding|keep-alive|upgrade|set-cookie)$/
    const kept = Object.entries(headers).filter(([name]) => !own.test(name))
    const text = kept
      .map(([name, value]) => `${name}: ${String(value)}`)
      .toSorted()
      .join('\n')
    seen.set(text, [...(seen.get(text) ?? []), what])
  }
  for (const { method, path, body } of routes) {
    for (const key of [null, admin]) {
      const ids = { id: testId('job'), jobId: testId('job'), configId: testId('sync config') }
      const answer = await api.send(key, method, fillPath(path, ids), body === null ? {} : { body: {} })
      note(`${method} ${path} ${answer.statusCode}`, answer.headers)
    }
  }
  for (const path of [
    '/nothing',
    '/api/nothing',
    '/openapi.json',
    '/docs/reader.js',
    '/%ff',
    `/api/jobs/${'x'.repeat(300)}`,
  ]) {
    note(path, (await api.send(null, 'GET', path)).headers)
  }
  // The third are answers without content.
  expect([...seen.keys()]).toMatchInlineSnapshot(`
    [
      "cache-control: no-store
    content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
    content-type: application/json; charset=utf-8
    cross-origin-opener-policy: same-origin
    cross-origin-resource-policy: same-origin
    permissions-policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()
    referrer-policy: no-referrer
    x-content-type-options: nosniff
    x-frame-options: DENY",
      "cache-control: no-store
    content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
    content-type: application/problem+json; charset=utf-8
    cross-origin-opener-policy: same-origin
    cross-origin-resource-policy: same-origin
    permissions-policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()
    referrer-policy: no-referrer
    x-content-type-options: nosniff
    x-frame-options: DENY",
      "cache-control: no-store
    content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
    cross-origin-opener-policy: same-origin
    cross-origin-resource-policy: same-origin
    permissions-policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()
    referrer-policy: no-referrer
    x-content-type-options: nosniff
    x-frame-options: DENY",
      "cache-control: private, max-age=3600
    content-security-policy: default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'
    content-type: text/javascript; charset=utf-8
    cross-origin-opener-policy: same-origin
    cross-origin-resource-policy: same-origin
    permissions-policy: camera=(), geolocation=(), microphone=(), payment=(), usb=()
    referrer-policy: no-referrer
    x-content-type-options: nosniff
    x-frame-options: DENY",
    ]
  `)
  const docs = await api.send(null, 'GET', '/docs')
  const policy = String(docs.headers['content-security-policy'])
  expect(policy).not.toContain('unsafe')
  const nonce = /'nonce-([^']+)'/.exec(policy)?.[1] ?? ''
  expect(docs.body).toContain(`content="${nonce}"`)
  expect((await api.send(null, 'GET', '/docs')).body).not.toContain(nonce)
  expect(docs.body).not.toMatch(/https?:\/\/|<script>|onload|style=/)
})

test('S17: under TLS browsers are told to stay with it', async () => {
  await using world = await createWorld('sqlite', { tls: true })
  const answer = await world.api.send(null, 'GET', '/livez')
  expect(answer.headers['strict-transport-security']).toBe('max-age=31536000')
})

test('S18: what looks like a page is text in every answer', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const page = '<script>alert(1)</script>'
  const urls = [
    `/${page}`,
    `/api/datasources/${encodeURIComponent(page)}`,
    `/api/jobs?status=${encodeURIComponent(page)}`,
    `/%`,
  ]
  for (const url of urls) {
    const answer = await api.send(admin, 'GET', url)
    expect(answer.headers['content-type'], url).toBe('application/problem+json; charset=utf-8')
    expect(answer.headers['x-content-type-options'], url).toBe('nosniff')
  }
})

test('lists come in pages that lead on to one another', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  for (let i = 0; i < 5; i++)
    await api.send(admin, 'POST', '/api/datasources', { body: { name: `d${i}`, url: 'postgres://a@localhost/x' } })
  for (const [list, whole] of [
    ['/api/datasources', 7],
    ['/api/audit-events', 12],
    ['/api/audit', 12],
    ['/api/keys', 1],
    ['/api/jobs', 1],
    ['/api/dumps', 1],
    [`/api/jobs/${world.job}/log`, 2],
    ['/api/datasources/source/schema', 2],
  ] as const) {
    const found: unknown[] = []
    let cursor: string | null = null
    do {
      const query: string = cursor === null ? '' : `&cursor=${cursor}`
      const answer = await api.send(admin, 'GET', `${list}?limit=1${query}`)
      expect(answer.statusCode, answer.body).toBe(200)
      const page = answer.json<{ items: unknown[]; next_cursor: string | null }>()
      expect(page.items.length).toBeLessThanOrEqual(1)
      found.push(...page.items)
      cursor = page.next_cursor
    } while (cursor !== null)
    expect(found, list).toHaveLength(whole)
    expect(new Set(found.map((one) => JSON.stringify(one))).size).toBe(whole)
  }
})

function expectProblem(answer: LightMyRequestResponse, shown: string): void {
  expect(answer.headers['content-type'], shown).toBe('application/problem+json; charset=utf-8')
  expect(answer.json(), shown).toMatchObject({ code: expect.any(String), hint: expect.any(String) })
}

function wellFormed(text: string): string {
  return text.isWellFormed() ? text : text.toWellFormed()
}
