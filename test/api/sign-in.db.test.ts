import { describe, expect, test } from 'vitest'

import { createSignInLink } from '#control/sign-in-links.ts'
import { createSetupToken } from '#control/setup-tokens.ts'
import { audited, findBrokenAudit } from '#control/audit.ts'
import { keepRules, listRules } from '#control/conflict-rules.ts'
import { getJob } from '#control/jobs.ts'
import { addMs } from '#lib/clock.ts'
import { SYSTEM } from '#model/access.ts'
import { NO_COUNTS } from '#model/counts.ts'
import { tableId } from '#model/table.ts'

import { createApi, type ApiUnderTest } from '#test/harness/api.ts'
import { sealed, update } from '#test/harness/change-sets.ts'
import { readDescription, fillPath } from '#test/harness/openapi.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { createWorld } from './world.ts'

const MINUTE_MS = 60_000

async function signIn(api: ApiUnderTest, key: string, cookie?: string): Promise<string> {
  const headers = cookie === undefined ? {} : { cookie }
  const answer = await api.send(null, 'POST', '/api/session', { body: { key }, headers })
  return String(answer.headers['set-cookie']).split(';')[0] ?? ''
}

async function status(api: ApiUnderTest, cookie: string): Promise<number> {
  return (await api.send(null, 'GET', '/api/session', { headers: { cookie } })).statusCode
}

describe.each(STORE_KINDS)('signing in, on %s', (kind) => {
  test('S2: a setup token works once, for 15 minutes, and while there is no admin', async () => {
    await using api = await createApi(kind)
    const redeem = (token: string | undefined) => api.send(null, 'POST', '/api/setup', { body: { token } })
    const old = await createSetupToken(api.store)
    await api.store.db.updateTable('setup_token').set({ expires_at: api.store.clock.now() }).execute()
    expect((await redeem(old?.token.reveal())).statusCode).toBe(401)
    const first = await createSetupToken(api.store)
    const second = await createSetupToken(api.store)
    expect((await redeem(first?.token.reveal())).statusCode).toBe(401)
    const token = second?.token.reveal()
    const both = await Promise.all([redeem(token), redeem(token)])
    expect(both.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([201, 401])
    expect(await createSetupToken(api.store)).toBeNull()
  })

  test('a sign-in link works once, for an hour, and as long as its key does', async () => {
    await using api = await createApi(kind)
    const { store } = api
    const { id, secret } = await api.key('operator')
    const redeem = (code: string) => api.send(null, 'POST', '/api/session', { body: { code } })
    const code = async (): Promise<string> => (await createSignInLink(store, id)).reveal()
    const good = await code()
    const both = await Promise.all([redeem(good), redeem(good)])
    expect(both.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([201, 401])
    const late = await code()
    await store.db.updateTable('sign_in_link').set({ expires_at: store.clock.now() }).execute()
    expect((await redeem(late)).statusCode).toBe(401)
    const keyless = await code()
    await store.db.updateTable('api_key').set({ revoked_at: store.clock.now() }).where('id', '=', id).execute()
    expect((await redeem(keyless)).statusCode).toBe(401)
    const two = await api.send(null, 'POST', '/api/session', { body: { code: 'a', key: secret } })
    expect(two.statusCode).toBe(400)
    expect((await api.send(null, 'GET', '/sign-in')).headers['content-security-policy']).toContain("script-src 'self'")
  })

  test('S5: a session is idle for 30 minutes and open for 12 hours at most, and ends with its key', async () => {
    await using api = await createApi(kind)
    const admin = (await api.key('admin')).secret
    const { id, secret } = await api.key('operator')
    const { store } = api
    const age = (columns: object) => store.db.updateTable('session').set(columns).execute()
    const now = store.clock.now()
    for (const columns of [{ seen_at: addMs(now, -30 * MINUTE_MS) }, { expires_at: now }]) {
      const cookie = await signIn(api, secret)
      expect(await status(api, cookie)).toBe(200)
      await age(columns)
      expect(await status(api, cookie), JSON.stringify(columns)).toBe(401)
    }
    const first = await signIn(api, secret)
    const second = await signIn(api, secret, first)
    expect(second).not.toBe(first)
    expect([await status(api, first), await status(api, second)]).toEqual([401, 200])
    const headers = { cookie: second, 'x-syncline-request': '1' }
    expect((await api.send(null, 'DELETE', '/api/session', { headers })).statusCode).toBe(204)
    expect(await status(api, second)).toBe(401)
    const third = await signIn(api, secret)
    await api.send(admin, 'DELETE', `/api/keys/${id}`)
    expect(await status(api, third)).toBe(401)
    expect((await api.send(secret, 'GET', '/api/session')).statusCode).toBe(401)
  })

  test('S5, S9: sessions are listed and ended by whose they are, and by an admin', async () => {
    await using api = await createApi(kind)
    const admin = (await api.key('admin')).secret
    const [a, b] = [(await api.key('viewer')).secret, (await api.key('viewer')).secret]
    await signIn(api, a)
    const cookie = await signIn(api, b)
    const list = async (secret: string) =>
      (await api.send(secret, 'GET', '/api/sessions')).json<{ items: { id: string }[] }>().items.map(({ id }) => id)
    const [own] = await list(b)
    expect([await list(a), await list(b), await list(admin)].map(({ length }) => length)).toEqual([1, 1, 2])
    expect((await api.send(a, 'DELETE', `/api/sessions/${own}`)).statusCode).toBe(404)
    expect(await status(api, cookie)).toBe(200)
    expect((await api.send(admin, 'DELETE', `/api/sessions/${own}`)).statusCode).toBe(204)
    expect(await status(api, cookie)).toBe(401)
  })

  test('S11: a session whose key was entered long ago cannot do what cannot be taken back', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const cookie = await signIn(api, admin)
    const headers = { cookie, 'x-syncline-request': '1' }
    const remove = () => api.send(null, 'DELETE', '/api/sync-configs/config?confirm=config', { headers })
    const old = addMs(api.store.clock.now(), -10 * MINUTE_MS)
    await api.store.db.updateTable('session').set({ confirmed_at: old }).execute()
    expect((await remove()).json()).toMatchObject({ code: 'confirmation_needed' })
    const key = { name: 'k', role: 'admin' }
    expect((await api.send(null, 'POST', '/api/keys', { headers, body: key })).statusCode).toBe(403)
    headers.cookie = await signIn(api, admin, cookie)
    expect((await remove()).statusCode).toBe(204)
  })

  test('S7: a key is shown once, kept as its hash, and ends when it expires or is revoked', async () => {
    await using api = await createApi(kind)
    const { id, secret: admin } = await api.key('admin')
    const soon = addMs(api.store.clock.now(), 60 * MINUTE_MS)
    const made = await api.send(admin, 'POST', '/api/keys', { body: { name: 'k', role: 'viewer', expires_at: soon } })
    const { key, id: keyId, prefix } = made.json<{ key: string; id: string; prefix: string }>()
    expect(key).toMatch(/^sl_[\w-]{43}$/)
    expect(key.startsWith(prefix)).toBe(true)
    const rows = JSON.stringify(await api.store.db.selectFrom('api_key').selectAll().execute())
    expect(rows).not.toContain(key.slice(prefix.length))
    expect((await api.send(admin, 'GET', '/api/keys')).body).not.toContain(key.slice(prefix.length))
    const bearer = { headers: { authorization: `Bearer ${key}` } }
    expect((await api.send(null, 'GET', '/api/jobs', bearer)).statusCode).toBe(200)
    expect((await api.send(key, 'GET', '/api/jobs', bearer)).statusCode).toBe(400)
    const { items } = (await api.send(admin, 'GET', '/api/keys')).json<{
      items: { id: string; last_used_at: string }[]
    }>()
    expect(items.find((one) => one.id === keyId)?.last_used_at).toMatch(/^\d{4}-/)
    await api.store.db
      .updateTable('api_key')
      .set({ expires_at: api.store.clock.now() })
      .where('id', '=', keyId)
      .execute()
    expect((await api.send(key, 'GET', '/api/jobs')).statusCode).toBe(401)
    expect((await api.send(admin, 'DELETE', `/api/keys/${id}`)).json()).toMatchObject({ code: 'in_use' })
  })

  test('S61: every route that changes something leaves its audit event, and the chain is whole', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const { routes } = await readDescription(api)
    const count = async (): Promise<number> =>
      (await api.store.db.selectFrom('audit_event').select('seq').execute()).length
    const changing = routes.filter(
      // Demo data is several deeds, each with its event: see its own test.
      ({ method, path }) => method !== 'GET' && !/\/(parse-url|schedules\/preview|demo|demo\/edits)$/.test(path),
    )
    const looked = await api.send(admin, 'POST', `/api/sync-configs/${world.config}/schema-drift/look`, { body: {} })
    const spare = (await api.key('viewer')).id
    const bodies: Record<string, unknown> = {
      '/api/v1/keys': { name: 'k', role: 'viewer' },
      '/api/v1/session': { key: admin },
      '/api/v1/datasources': { name: 'another', url: 'postgres://a@localhost/x' },
      '/api/v1/datasources/{id}': { name: 'source', url: world.sourceUrl, pool_size: 3 },
      '/api/v1/datasources/{id}/confirm-server': { confirm: 'source' },
      '/api/v1/databases/test': { url: world.sourceUrl },
      '/api/v1/sync-configs': { name: 'another', source_datasource_id: 'source', target_datasource_id: 'target' },
      '/api/v1/sync-configs/{id}': {
        name: 'config',
        source_datasource_id: 'source',
        target_datasource_id: 'target',
        batch_size: 9,
        sync_interval: 3600,
      },
      '/api/v1/sync-configs/{id}/preview': { table: 'a' },
      '/api/v1/sync-configs/{id}/schema-drift/accept': { digest: looked.json<{ digest: string }>().digest },
      '/api/v1/sync-configs/suggest': { source_datasource_id: 'source', target_datasource_id: 'target' },
      '/api/v1/sync-configs/preview': {
        config: { name: 'draft', source_datasource_id: 'source', target_datasource_id: 'target' },
        table: 'a',
      },
      '/api/v1/sync-configs/validate': {
        config: { name: 'draft', source_datasource_id: 'source', target_datasource_id: 'target' },
        table: 'a',
      },
      '/api/v1/sync/full': {
        source_connection: 'postgres://a@localhost/x',
        target_connection: 'postgres://b@localhost/y',
      },
      '/api/v1/sync/incremental': {
        source_connection: 'postgres://a@localhost/v',
        target_connection: 'postgres://b@localhost/w',
      },
      '/api/v1/setup': { token: 'wrong' },
      '/api/v1/rejections/{id}': { values: { id: '7' } },
      '/api/v1/settings/redis': { url: 'redis://127.0.0.1:1' },
      '/api/v1/settings/redis/test': { url: 'redis://127.0.0.1:1' },
      '/api/v1/sync/{configId}/resolve': { take: 'source', filter: {}, start: false },
      '/api/v1/sync/{configId}/resolve/{conflictId}': { take: 'target', start: false },
      '/api/v1/sync/conflicts/{jobId}/resolve-all': {
        take: 'skip',
        filter: { status: ['open', 'resolved'] },
        start: false,
      },
      '/api/v1/sync/conflicts/{jobId}/{conflictId}/resolve': {
        take: 'row',
        values: { name: 'built' },
        start: false,
      },
      '/api/v1/jobs/{id}/changes/decide': { verdict: 'leave', seqs: [1] },
      '/api/v1/sync-configs/{id}/schedule/consent': { allow_protected_write: false },
      '/api/v1/settings/retention': { jobs_days: 40 },
      '/api/v1/settings/ai': { url: 'http://127.0.0.1:1/v1', model: 'some' },
      '/api/v1/settings/ai/test': { endpoint: { url: 'http://127.0.0.1:1/v1', model: 'some' } },
      '/api/v1/datasources/{id}/export-schedule': { schedule: { cron: '30 2 * * *' } },
      '/api/v1/sync/export': { datasource: 'source' },
      '/api/v1/sync/import': { datasource: 'target', dump: world.dump, dry_run: true },
      '/api/v1/sync/copy': { source: 'source', target: 'target', dry_run: true },
      '/api/v1/dumps/{id}/drill': { into: 'target' },
      '/api/v1/dumps': 'SELECT 1;',
    }
    const scheduled = {
      name: 'config',
      source_datasource_id: 'source',
      target_datasource_id: 'target',
      sync_interval: 3_600,
    }
    await api.send(admin, 'PUT', `/api/sync-configs/${world.config}`, { body: scheduled })
    await using _changes = await sealed(api.changeSets, { jobId: world.job }, [[update('1', 'a', 'b')]])
    await audited(api.store, SYSTEM, async (tx, audit) => {
      const sorts = [{ target_table: tableId({ schema: 'public', name: 'a' }), kind: 'update_update', fields: null }]
      const at = await api.store.now(tx)
      await keepRules(tx, audit, { configId: world.config, sorts, resolution: 'source', actor: SYSTEM, at })
    })
    const [rule] = await listRules(api.store, world.config)
    /** The job has written something of which the rows were kept. */
    const setWritten = async (): Promise<void> => {
      const { request } = await getJob(api.store, world.job)
      const kept = { ...request, policies: { ...request.policies, audit_level: 'detailed' } }
      const counts = JSON.stringify({ ...NO_COUNTS, read: 1, updated: 1 })
      const patch = { request: JSON.stringify(kept), counts }
      await api.store.db.updateTable('job').set(patch).where('id', '=', world.job).execute()
    }
    const setDecided = () =>
      api.store.db
        .updateTable('conflict')
        .set({ status: 'resolved', resolution: 'source' })
        .where('id', '=', world.conflict)
        .execute()
    const setStatus = (status: string) =>
      api.store.db.updateTable('job').set({ status }).where('id', '=', world.job).execute()
    const idFor = async (path: string): Promise<string> => {
      if (path.includes('/keys/')) return spare
      if (path.includes('/rejections/{')) return world.rejection
      if (path.includes('/conflicts/{')) return world.conflict
      if (path.includes('/jobs/')) return world.job
      if (path.includes('/dumps/')) return world.dump
      if (path.includes('/sync-configs/')) return world.config
      if (!path.includes('/sessions/')) return 'source'
      const query = api.store.db.selectFrom('session').select('id').orderBy('id', 'desc')
      return (await query.executeTakeFirst())?.id ?? ''
    }
    for (const { method, path, body } of changing.toSorted((a, b) => order(a) - order(b))) {
      const cookie = path.includes('/session') ? await signIn(api, admin) : null
      // Jobs of before are out of the way, and the job is where the act can happen to it.
      await api.store.db.updateTable('job').set({ status: 'cancelled' }).execute()
      if (/resume|cancel/.test(path)) await setStatus('stopped')
      if (/stop/.test(path)) await setStatus('queued')
      if (/approve/.test(path)) await setStatus('awaiting_approval')
      if (/revert/.test(path)) await setWritten()
      if (/carry-out|withdraw/.test(path)) await setDecided()
      const removed = method === 'DELETE' && path.endsWith('/datasources/{id}') ? 'another' : null
      const confirm = path.includes('/sync-configs/') ? 'config' : (removed ?? '')
      const ids = { jobId: world.job, configId: world.config, conflictId: world.conflict, ruleId: rule?.id ?? '' }
      const url = fillPath(path, { id: removed ?? (await idFor(path)), ...ids })
      const before = await count()
      const byCookie = path.endsWith('/session') && cookie !== null
      const answer = await api.send(
        byCookie ? null : admin,
        method,
        confirm && method === 'DELETE' ? `${url}?confirm=${confirm}` : url,
        {
          ...(body === null && bodies[path] === undefined ? {} : { body: bodies[path] ?? {} }),
          headers: {
            ...(byCookie ? { cookie, 'x-syncline-request': '1' } : {}),
            ...(path === '/api/v1/dumps' ? { 'content-type': 'application/octet-stream' } : {}),
          },
        },
      )
      const what = `${method} ${path}: ${answer.body}`
      expect(path === '/api/v1/setup' ? answer.statusCode === 401 : answer.statusCode < 300, what).toBe(true)
      // What brings its connections along registers them; what ends a job at once tells of its end as well.
      const events = /sync\/(full|incremental)$/.test(path) ? 3 : /\/(stop|cancel)\b/.test(path) ? 2 : 1
      expect(await count(), what).toBe(before + events)
    }
    expect(await findBrokenAudit(api.store)).toBeNull()
  })

  test('S64: where the audit log cannot be written, nothing is done', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    await api.send(admin, 'POST', `/api/jobs/${world.job}/cancel`)
    await api.store.db.schema.alterTable('audit_event').renameTo('audit_gone').execute()
    const deeds: [string, string, unknown][] = [
      ['POST', '/api/datasources', { name: 'new', url: 'postgres://a@localhost/x' }],
      [
        'PUT',
        '/api/sync-configs/config',
        { name: 'renamed', source_datasource_id: 'source', target_datasource_id: 'target' },
      ],
      ['POST', `/api/sync/${world.config}`, {}],
      ['POST', '/api/keys', { name: 'new', role: 'admin' }],
      ['POST', '/api/session', { key: admin }],
    ]
    const dump = async (): Promise<string> => {
      const { db } = api.store
      return JSON.stringify([
        await db.selectFrom('datasource').selectAll().execute(),
        await db.selectFrom('sync_config').selectAll().execute(),
        await db.selectFrom('job').selectAll().execute(),
        await db.selectFrom('api_key').select('id').execute(),
        await db.selectFrom('session').selectAll().execute(),
      ])
    }
    const before = await dump()
    for (const [method, url, body] of deeds) {
      const answer = await api.send(admin, method, url, { body })
      expect(answer.json(), `${method} ${url}`).toMatchObject({ status: 500, code: 'internal' })
      expect(answer.body).not.toMatch(/audit|sql|relation|table|\.ts/i)
    }
    expect(await dump()).toBe(before)
  })
})

/** What is removed goes last, and before what it belongs to. */
function order({ method, path }: { readonly method: string; readonly path: string }): number {
  return method === 'DELETE' ? 1 + 1 / path.split('/').length : 0
}

test('S6: cookies are strict, and under TLS bound to the host', async () => {
  for (const tls of [false, true]) {
    await using api = await createApi('sqlite', { tls })
    const { secret } = await api.key('viewer')
    const answer = await api.send(null, 'POST', '/api/session', { body: { key: secret } })
    const cookie = String(answer.headers['set-cookie'])
    expect(cookie).toMatch(tls ? /^__Host-syncline=/ : /^syncline_session=/)
    expect(cookie).toMatch(/; Path=\/; HttpOnly/)
    expect(cookie).toContain('SameSite=Strict')
    expect(cookie.includes('Secure')).toBe(tls)
    expect(cookie).not.toContain('Domain')
    expect(answer.body).not.toContain(/=([^;]+)/.exec(cookie)?.[1])
  }
})

test('S4: an address that tries keys waits longer each time, also for a good one, and nobody else does', async () => {
  await using api = await createApi('sqlite', { trustedProxies: ['127.0.0.1'] })
  const { secret } = await api.key('viewer')
  const attempt = (key: string, from: string) =>
    api.send(key, 'GET', '/api/jobs', { headers: { 'x-forwarded-for': from } })
  for (let i = 0; i < 5; i++) expect((await attempt(`sl_wrong${i}`, '203.0.113.1')).statusCode).toBe(401)
  for (const key of ['sl_wrong', secret]) {
    const answer = await attempt(key, '203.0.113.1')
    expect(answer.statusCode).toBe(429)
    expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0)
  }
  expect((await attempt(secret, '203.0.113.2')).statusCode).toBe(200)
})
