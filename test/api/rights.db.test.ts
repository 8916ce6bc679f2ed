import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

import { expect, test } from 'vitest'

import { ROLES, type Role } from '#model/access.ts'

import { testId } from '#test/harness/api.ts'
import { fillPath, readDescription } from '#test/harness/openapi.ts'
import { createSet, createWorld } from './world.ts'

/** Who may call what. A route that is not here, or that is here and not there, fails the test. */
const RIGHTS: Readonly<Record<string, 'public' | Role>> = {
  'GET /livez': 'public',
  'GET /readyz': 'public',
  'GET /health': 'public',
  'GET /api/v1/health': 'public',
  'GET /api/v1/sync/health': 'public',
  'POST /api/v1/setup': 'public',
  'POST /api/v1/session': 'public',
  'GET /api/v1/session': 'viewer',
  'DELETE /api/v1/session': 'viewer',
  'GET /api/v1/sessions': 'viewer',
  'DELETE /api/v1/sessions/{id}': 'viewer',
  'GET /api/v1/keys': 'admin',
  'POST /api/v1/keys': 'admin',
  'DELETE /api/v1/keys/{id}': 'admin',
  'GET /api/v1/datasources': 'viewer',
  'POST /api/v1/datasources': 'admin',
  'GET /api/v1/databases': 'viewer',
  'GET /api/v1/datasources/{id}': 'viewer',
  'PUT /api/v1/datasources/{id}': 'admin',
  'DELETE /api/v1/datasources/{id}': 'admin',
  'POST /api/v1/datasources/{id}/test': 'operator',
  'POST /api/v1/datasources/{id}/confirm-server': 'admin',
  'POST /api/v1/databases/test': 'operator',
  'POST /api/v1/datasources/parse-url': 'operator',
  'GET /api/v1/datasources/{id}/schema': 'viewer',
  'GET /api/v1/datasources/{id}/preview': 'operator',
  'POST /api/v1/datasources/{id}/advise': 'operator',
  'GET /api/v1/settings/redis': 'admin',
  'PUT /api/v1/settings/redis': 'admin',
  'DELETE /api/v1/settings/redis': 'admin',
  'POST /api/v1/settings/redis/test': 'admin',
  'GET /api/v1/settings/retention': 'admin',
  'PUT /api/v1/settings/retention': 'admin',
  'GET /api/v1/settings/ai': 'admin',
  'PUT /api/v1/settings/ai': 'admin',
  'DELETE /api/v1/settings/ai': 'admin',
  'POST /api/v1/settings/ai/test': 'admin',
  'GET /api/v1/demo': 'viewer',
  'PUT /api/v1/demo': 'admin',
  'DELETE /api/v1/demo': 'admin',
  'POST /api/v1/demo/edits': 'admin',
  'GET /api/v1/overview': 'viewer',
  'GET /api/v1/sync-configs': 'viewer',
  'POST /api/v1/sync-configs': 'operator',
  'GET /api/v1/sync-configs/{id}': 'viewer',
  'PUT /api/v1/sync-configs/{id}': 'operator',
  'DELETE /api/v1/sync-configs/{id}': 'operator',
  'GET /api/v1/sync-configs/{id}/versions': 'viewer',
  'GET /api/v1/sync-configs/{id}/schema-drift': 'viewer',
  'POST /api/v1/sync-configs/{id}/schema-drift/look': 'operator',
  'POST /api/v1/sync-configs/{id}/schema-drift/accept': 'operator',
  'POST /api/v1/schedules/preview': 'viewer',
  'GET /api/v1/sync-configs/{id}/schedule': 'viewer',
  'POST /api/v1/sync-configs/{id}/schedule/pause': 'operator',
  'POST /api/v1/sync-configs/{id}/schedule/resume': 'operator',
  'PUT /api/v1/sync-configs/{id}/schedule/consent': 'operator',
  'GET /api/v1/export-schedules': 'viewer',
  'GET /api/v1/datasources/{id}/export-schedule': 'viewer',
  'PUT /api/v1/datasources/{id}/export-schedule': 'operator',
  'DELETE /api/v1/datasources/{id}/export-schedule': 'operator',
  'POST /api/v1/datasources/{id}/export-schedule/pause': 'operator',
  'POST /api/v1/datasources/{id}/export-schedule/resume': 'operator',
  'GET /api/v1/sync-configs/{id}/webhook-secret': 'viewer',
  'POST /api/v1/sync-configs/{id}/webhook-secret': 'admin',
  'POST /api/v1/sync-configs/{id}/suggest': 'operator',
  'POST /api/v1/sync-configs/{id}/advise': 'operator',
  'POST /api/v1/sync-configs/suggest': 'operator',
  'POST /api/v1/sync-configs/{id}/preview': 'operator',
  'POST /api/v1/sync-configs/preview': 'operator',
  'POST /api/v1/sync-configs/validate': 'operator',
  'GET /api/v1/transforms': 'viewer',
  'GET /api/v1/rules': 'viewer',
  'POST /api/v1/sync-configs/{id}/match': 'operator',
  'POST /api/v1/sync-configs/{id}/validate': 'operator',
  'POST /api/v1/sync/{configId}': 'operator',
  'POST /api/v1/sync/full': 'operator',
  'POST /api/v1/sync/incremental': 'operator',
  'GET /api/v1/sync/{jobId}/status': 'viewer',
  'GET /api/v1/sync/status/{jobId}': 'viewer',
  'GET /api/v1/sync/validate/{jobId}/{table}': 'viewer',
  'POST /api/v1/sync/stop/{jobId}': 'operator',
  'POST /api/v1/sync/resume/{jobId}': 'operator',
  'GET /api/v1/jobs': 'viewer',
  'GET /api/v1/jobs/{id}': 'viewer',
  'GET /api/v1/jobs/{id}/receipt': 'viewer',
  'GET /api/v1/jobs/{id}/log': 'viewer',
  'GET /api/v1/jobs/{id}/events': 'viewer',
  'POST /api/v1/jobs/{id}/stop': 'operator',
  'POST /api/v1/jobs/{id}/resume': 'operator',
  'POST /api/v1/jobs/{id}/cancel': 'operator',
  'POST /api/v1/jobs/{id}/retry': 'operator',
  'GET /api/v1/jobs/{id}/changes': 'viewer',
  'GET /api/v1/jobs/{id}/changes/download': 'operator',
  'POST /api/v1/jobs/{id}/changes/decide': 'operator',
  'POST /api/v1/jobs/{id}/approve': 'operator',
  'POST /api/v1/jobs/{id}/revert': 'operator',
  'GET /api/v1/jobs/{id}/rejections': 'viewer',
  'POST /api/v1/jobs/{id}/rejections/replay': 'operator',
  'GET /api/v1/sync-configs/{id}/rejections': 'viewer',
  'GET /api/v1/rejections/{id}': 'viewer',
  'PUT /api/v1/rejections/{id}': 'operator',
  'POST /api/v1/rejections/{id}/dismiss': 'operator',
  'POST /api/v1/rejections/{id}/replay': 'operator',
  'GET /api/v1/conflicts': 'viewer',
  'GET /api/v1/conflicts/{id}': 'viewer',
  'GET /api/v1/sync/{configId}/conflicts': 'viewer',
  'GET /api/v1/sync-configs/{id}/conflict-rules': 'viewer',
  'DELETE /api/v1/sync-configs/{id}/conflict-rules/{ruleId}': 'operator',
  'POST /api/v1/sync/{configId}/resolve': 'operator',
  'POST /api/v1/sync/{configId}/resolve/{conflictId}': 'operator',
  'GET /api/v1/sync/conflicts/{jobId}': 'viewer',
  'POST /api/v1/sync/conflicts/{jobId}/resolve-all': 'operator',
  'POST /api/v1/sync/conflicts/{jobId}/{conflictId}/resolve': 'operator',
  'POST /api/v1/sync/{configId}/carry-out': 'operator',
  'POST /api/v1/sync/conflicts/{jobId}/carry-out': 'operator',
  'POST /api/v1/conflicts/{id}/withdraw': 'operator',
  'POST /api/v1/sync/export': 'operator',
  'POST /api/v1/sync/import': 'operator',
  'POST /api/v1/sync/copy': 'operator',
  'GET /api/v1/dumps': 'viewer',
  'POST /api/v1/dumps': 'operator',
  'GET /api/v1/dumps/{id}': 'viewer',
  'DELETE /api/v1/dumps/{id}': 'operator',
  'GET /api/v1/dumps/{id}/file': 'operator',
  'POST /api/v1/dumps/{id}/drill': 'operator',
  'GET /api/v1/ws': 'viewer',
  'GET /api/v1/health/db': 'viewer',
  'GET /api/v1/status': 'viewer',
  'GET /api/v1/audit': 'viewer',
  'GET /api/v1/audit/stats': 'viewer',
  'GET /api/v1/audit/verify': 'viewer',
  'GET /api/v1/sync/audit/{jobId}': 'viewer',
  'GET /api/v1/sync/audit/{jobId}/report': 'viewer',
  'GET /api/v1/jobs/{id}/history': 'viewer',
  'GET /api/v1/history': 'viewer',
  'GET /api/v1/audit-events': 'admin',
}

const CALLERS = [null, ...ROLES] as const

/** Ids that nothing has. */
const NOTHING = {
  id: testId('job'),
  jobId: testId('job'),
  configId: testId('sync config'),
  conflictId: testId('conflict'),
  ruleId: testId('conflict rule'),
}

test('S8: every route × role × method answers as the table of rights says, by both prefixes', async () => {
  await using world = await createWorld('sqlite')
  const { api } = world
  const { routes } = await readDescription(api)
  expect(routes.map(({ method, path }) => `${method} ${path}`).toSorted()).toEqual(Object.keys(RIGHTS).toSorted())
  const keys = new Map<string | null, string | null>([[null, null]])
  for (const role of ROLES) keys.set(role, (await api.key(role)).secret)
  let calls = 0
  for (const { method, path, body } of routes) {
    const needed = RIGHTS[`${method} ${path}`] ?? 'admin'
    for (const prefix of ['/api/v1', '/api']) {
      for (const caller of CALLERS) {
        // Whoever gets through changes nothing, and is told so.
        const url = fillPath(path, NOTHING)
        const extra = body === null ? {} : { body: { nobody_knows_this: 1 } }
        const answer = await api.send(keys.get(caller) ?? null, method, url.replace('/api/v1', prefix), extra)
        const expected = needed === 'public' ? null : caller === null ? 401 : rank(caller) < rank(needed) ? 403 : null
        const what = `${method} ${url} as ${caller ?? 'nobody'}: ${answer.body}`
        const isRight =
          expected === null ? ![401, 403, 500].includes(answer.statusCode) : answer.statusCode === expected
        expect(isRight, what).toBe(true)
        calls += 1
      }
    }
  }
  expect(calls).toBe(Object.keys(RIGHTS).length * 2 * CALLERS.length)
})

test('S48: without a key only health answers, and the description where the service says so', async () => {
  for (const publicDocs of [true, false]) {
    await using world = await createWorld('sqlite', { publicDocs })
    const { api } = world
    const viewer = (await api.key('viewer')).secret
    for (const path of ['/openapi.json', '/docs', '/docs/policy.js', '/docs/reader.js']) {
      expect((await api.send(null, 'GET', path)).statusCode, path).toBe(publicDocs ? 200 : 401)
      expect((await api.send(viewer, 'GET', path)).statusCode, path).toBe(200)
    }
    const { routes } = await readDescription(api, viewer)
    const ids = { id: world.source, jobId: world.job, configId: world.config, conflictId: world.conflict }
    for (const { method, path } of routes.filter((route) => route.method === 'GET')) {
      const answer = await api.send(null, method, fillPath(path, ids))
      const { status } = answer.json<{ status: unknown }>()
      expect(status, path).toBe(RIGHTS[`${method} ${path}`] === 'public' ? 'up' : 401)
      expect(answer.body, path).not.toContain('0.0.0-test')
    }
  }
})

test('S33: who is no admin learns nothing of an address from a test, and nothing is connected to', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  let connections = 0
  const server = createServer((socket) => {
    connections += 1
    socket.destroy()
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  using _closed = { [Symbol.dispose]: () => void server.close() }
  const { port } = server.address() as AddressInfo
  const hosts = [`127.0.0.1:${port}`, '127.0.0.1:1', 'nowhere.invalid:5432', '169.254.169.254:80', '10.0.0.1:5432']
  const scoped = await api.key('admin', [world.source])
  for (const { secret } of [await api.key('viewer'), await api.key('operator'), scoped]) {
    const answers = new Set<string>()
    for (const host of hosts) {
      const url = `postgres://a@${host}/x`
      for (const [path, body] of [
        ['/api/databases/test', { url }],
        ['/api/sync/full', { source_connection: url, target_connection: url }],
        ['/api/datasources', { name: 'x', url }],
      ] as const) {
        const answer = await api.send(secret, 'POST', path, { body })
        expect(answer.statusCode, `${path} ${host}: ${answer.body}`).toBe(403)
        answers.add(`${path} ${String(answer.json<{ detail: string }>().detail)}`)
      }
    }
    expect(answers.size, 'an answer of each path, whatever the address').toBe(3)
  }
  expect(connections).toBe(0)
  const tested = async (host: string) =>
    (await api.send(admin, 'POST', '/api/databases/test', { body: { url: `postgres://a@${host}/x` } })).body
  const words = await Promise.all(hosts.slice(0, 3).map(tested))
  expect(connections).toBeGreaterThan(0)
  expect(words[0]).toContain('accepts connections')
  expect(words[1]).toContain('Nothing listens on 127.0.0.1:1')
  expect(words[2]).toContain('nowhere.invalid')
})

test('S21: SQL of the user needs an admin, in a config as in a run; whoever changes a config may leave it as it is', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin, source, target } = world
  const operator = (await api.key('operator')).secret
  const ends = { source_datasource_id: source, target_datasource_id: target }
  const tables = [
    { source: 'q', target: 'a', query: "SELECT 1 AS id, pg_read_file('/etc/passwd') AS text", key: ['id'] },
  ]
  const made = await api.send(admin, 'POST', '/api/sync-configs', { body: { name: 'by query', ...ends, tables } })
  expect(made.statusCode).toBe(201)
  const other = [{ ...tables[0], query: 'SELECT 2 AS id' }]
  for (const [method, path, body, status] of [
    ['POST', 'sync-configs', { name: 'mine', ...ends, tables }, 403],
    ['PUT', `sync-configs/${world.config}`, { name: 'mine', ...ends, tables }, 403],
    ['PUT', 'sync-configs/by%20query', { name: 'by query', ...ends, tables: other }, 403],
    ['PUT', 'sync-configs/by%20query', { name: 'by query', ...ends, tables, batch_size: 7 }, 200],
    ['POST', 'sync/full', { source_connection: source, target_connection: target, config: { tables } }, 403],
  ] as const) {
    expect((await api.send(operator, method, `/api/${path}`, { body })).statusCode, `${method} ${path}`).toBe(status)
  }
})

test('S33: connection tests are counted by themselves', async () => {
  await using world = await createWorld('sqlite', { limits: { connectionTestsPerMinute: 3 } })
  const { api, admin } = world
  const ask = () => api.send(admin, 'POST', '/api/databases/test', { body: { url: 'postgres://a@127.0.0.1:1/x' } })
  const statuses = [await ask(), await ask(), await ask(), await ask()].map(({ statusCode }) => statusCode)
  expect(statuses).toEqual([200, 200, 200, 429])
  expect((await api.send(admin, 'GET', '/api/jobs')).statusCode).toBe(200)
})

function rank(role: Role): number {
  return ROLES.indexOf(role)
}

test('S9: what lies outside the scope of a key is not there for it, in the words for what is not there', async () => {
  await using world = await createWorld('sqlite')
  const { api, admin } = world
  const foreign = await createSet(api, admin, { ...world, suffix: ' 2' })
  const scoped = await api.key('admin', [world.source, world.target])
  const { routes } = await readDescription(api)
  const idsOf = (path: string, set: typeof foreign, missing = false) => {
    const job = missing ? testId('job') : set.job
    const config = missing ? testId('sync config') : set.config
    const datasource = missing ? testId('datasource') : set.target
    const rejection = missing ? testId('rejection') : set.rejection
    const conflict = missing ? testId('conflict') : set.conflict
    const dump = missing ? testId('dump') : set.dump
    const id = path.includes('/rejections/{')
      ? rejection
      : path.includes('/conflicts/{')
        ? conflict
        : path.includes('/jobs/')
          ? job
          : path.includes('/sync-configs/')
            ? config
            : path.includes('/dumps/')
              ? dump
              : datasource
    return { id, jobId: job, configId: config, conflictId: conflict, ruleId: testId('conflict rule') }
  }
  const withIds = routes.filter(({ path }) => path.includes('{') && !/keys|sessions/.test(path))
  expect(withIds.length).toBeGreaterThan(20)
  for (const { method, path, body } of withIds) {
    const preview = path.endsWith('/preview') ? '?table=a' : ''
    const valid = path.endsWith('/rejections/{id}')
      ? { values: { id: '1' } }
      : path.endsWith('/sync-configs/{id}')
        ? { name: 'x', source_datasource_id: world.source, target_datasource_id: world.target }
        : path.endsWith('/datasources/{id}')
          ? { name: 'x', url: 'postgres://a@localhost/x' }
          : path.endsWith('/changes/decide')
            ? { verdict: 'leave', filter: {} }
            : path.includes('/resolve')
              ? { take: 'source', ...(path.includes('{conflictId}') ? {} : { filter: {} }) }
              : path.endsWith('/drill')
                ? { into: world.source }
                : path.endsWith('/export-schedule')
                  ? { schedule: { cron: '30 2 * * *' } }
                  : path.endsWith('/schema-drift/accept')
                    ? { digest: '0'.repeat(64) }
                    : {}
    const extra = body === null ? {} : { body: valid }
    const ask = async (ids: ReturnType<typeof idsOf>) => {
      const answer = await api.send(scoped.secret, method, fillPath(path, ids) + preview, extra)
      const { request_id: _, ...problem } = answer.json<Record<string, unknown>>()
      return JSON.stringify({ status: answer.statusCode, problem })
        .replaceAll(ids.id, 'ID')
        .replaceAll(ids.jobId, 'ID')
        .replaceAll(ids.configId, 'ID')
        .replaceAll(ids.conflictId, 'ID')
    }
    const answer = await ask(idsOf(path, foreign))
    expect(answer, `${method} ${path}`).toContain('"status":404')
    expect(answer, `${method} ${path}`).toBe(await ask(idsOf(path, foreign, true)))
  }
  for (const list of [
    '/api/datasources',
    '/api/databases',
    '/api/sync-configs',
    '/api/jobs',
    '/api/conflicts',
    '/api/dumps',
  ]) {
    const shown = (await api.send(scoped.secret, 'GET', list)).body
    for (const id of Object.values(foreign)) expect(shown, list).not.toContain(id)
  }
  const pointed = { name: 'config 3', source_datasource_id: world.source, target_datasource_id: 'target 2' }
  expect((await api.send(scoped.secret, 'POST', '/api/sync-configs', { body: pointed })).statusCode).toBe(404)
  expect((await api.send(scoped.secret, 'GET', '/api/audit-events')).statusCode).toBe(403)
  const wider = await api.send(scoped.secret, 'POST', '/api/keys', { body: { name: 'all', role: 'admin' } })
  expect(wider.statusCode).toBe(403)
})
