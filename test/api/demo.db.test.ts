/** Demo data by one call: real databases, registered as anybody would register theirs, and gone by another (UX 37). */
import { existsSync, readdirSync, readFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createApi, type ApiUnderTest } from '#test/harness/api.ts'

type Fields = Readonly<Record<string, unknown>>

interface Client {
  readonly api: ApiUnderTest
  readonly admin: string
  call(method: string, path: string, body?: object): Promise<{ readonly status: number; readonly body: Fields }>
}

async function clientOf(api: ApiUnderTest): Promise<Client> {
  const admin = (await api.key('admin')).secret
  return {
    api,
    admin,
    call: async (method, path, body) => {
      const answer = await api.send(admin, method, path, body === undefined ? {} : { body })
      return { status: answer.statusCode, body: answer.body.startsWith('{') ? answer.json<Fields>() : {} }
    },
  }
}

const names = async ({ call }: Client, path: string): Promise<readonly unknown[]> =>
  ((await call('GET', path)).body['items'] as readonly Fields[]).map(({ name }) => name)

test('UX 37: one call makes two databases, their datasources and a sync config; again it makes what is missing; one removes it all', async () => {
  await using api = await createApi('sqlite', { withDemo: true })
  const client = await clientOf(api)
  const { call } = client
  const none = { state: 'none', source_datasource_id: null, target_datasource_id: null, config_id: null }
  expect((await call('GET', '/api/demo')).body).toEqual({ ...none, unavailable: null })
  // Somebody has such a name already.
  await call('POST', '/api/datasources', { name: 'demo copy', url: 'postgres://app:x@localhost:1/app' })

  const made = await Promise.all([call('PUT', '/api/demo'), call('PUT', '/api/v1/demo')])
  expect(made.map(({ status }) => status)).toEqual([200, 200])
  expect(made[0]?.body).toEqual(made[1]?.body)
  const demo = made[0]?.body ?? {}
  expect(demo).toMatchObject({ state: 'ready', unavailable: null })
  expect(await names(client, '/api/datasources')).toEqual(['demo copy', 'demo copy 2', 'demo shop'])
  expect(await names(client, '/api/sync-configs')).toEqual(['demo shop to copy'])
  const source = await call('GET', '/api/datasources/demo%20shop')
  expect(source.body).toMatchObject({ writable: false, environment: 'training', host: '127.0.0.1', database: 'shop' })
  expect((await call('GET', `/api/datasources/${String(demo['target_datasource_id'])}`)).body).toMatchObject({
    writable: true,
  })
  expect((await call('POST', '/api/datasources/demo%20shop/test')).body).toMatchObject({ ok: true })
  const rows = await call('GET', '/api/datasources/demo%20shop/preview?table=products&limit=2')
  expect(rows.body['rows'], JSON.stringify(rows.body)).toHaveLength(2)

  // What was taken away by hand is made again, and nothing beside it.
  const id = String(demo['config_id'])
  const config = await api.send(client.admin, 'DELETE', `/api/sync-configs/${id}?confirm=demo%20shop%20to%20copy`)
  expect(config.statusCode, config.body).toBe(204)
  const again = (await call('PUT', '/api/demo')).body
  expect(again).toMatchObject({ ...demo, config_id: expect.stringMatching(/^cfg_/) })
  expect(await names(client, '/api/datasources')).toHaveLength(3)

  // What people would do: before the first sync there is no copy to edit.
  const week = await call('POST', '/api/demo/edits', {})
  expect(week.body).toMatchObject({ edits: [{ end: 'source' }, { end: 'source' }, { end: 'source' }] })
  expect((await call('POST', '/api/demo/edits', {})).body).toEqual({
    edits: [{ end: 'source', words: 'ten orders are paid' }],
  })
  const started = await call('POST', `/api/sync/${String(again['config_id'])}`, {})
  const refused = await call('DELETE', '/api/demo')
  expect([refused.status, refused.body['code']], JSON.stringify(refused.body)).toEqual([409, 'in_use'])
  await call('POST', `/api/jobs/${String(started.body['job_id'])}/cancel`, {})
  const own = { name: 'own', source_datasource_id: 'demo shop', target_datasource_id: 'demo copy' }
  expect((await call('POST', '/api/sync-configs', own)).status).toBe(201)
  expect((await call('DELETE', '/api/demo')).body).toMatchObject({
    code: 'in_use',
    detail: expect.stringContaining('own'),
  })
  expect(await names(client, '/api/sync-configs')).toEqual(['demo shop to copy', 'own'])
  await api.send(client.admin, 'DELETE', '/api/sync-configs/own?confirm=own')
  const { port } = source.body
  expect((await call('DELETE', '/api/demo')).status).toBe(204)
  expect((await call('DELETE', '/api/demo')).status).toBe(204)
  expect((await call('GET', '/api/demo')).body).toMatchObject(none)
  expect((await call('POST', '/api/demo/edits', {})).body).toMatchObject({ code: 'wrong_state' })
  expect(await names(client, '/api/datasources')).toEqual(['demo copy'])
  expect(await names(client, '/api/sync-configs')).toEqual([])
  await expect(fetch(`http://127.0.0.1:${String(port)}`)).rejects.toThrow('fetch failed')
  const log = await api.store.db.selectFrom('audit_event').select('action').where('action', 'like', 'demo.%').execute()
  expect(log.map(({ action }) => action)).toEqual([
    'demo.make',
    'demo.make',
    'demo.make',
    'demo.edit',
    'demo.edit',
    'demo.remove',
  ])
})

test('UX 37: a demo datasource that somebody made lead to a database of theirs is theirs', async () => {
  await using api = await createApi('sqlite', { withDemo: true })
  const client = await clientOf(api)
  const { call } = client
  await call('PUT', '/api/demo')
  const theirs = { name: 'demo shop', url: 'postgres://app:x@localhost:1/app' }
  expect((await call('PUT', '/api/datasources/demo%20shop', theirs)).status).toBe(200)
  // Its sync config goes from their database to the demo's: that is for them to remove.
  expect((await call('DELETE', '/api/demo')).body).toMatchObject({ code: 'in_use' })
  const made = (await call('PUT', '/api/demo')).body
  expect(made).toMatchObject({ state: 'ready' })
  expect(await names(client, '/api/datasources')).toEqual(['demo copy', 'demo shop', 'demo shop 2'])
  expect((await call('GET', '/api/datasources/demo%20shop')).body).toMatchObject({ host: 'localhost', database: 'app' })
})

test('UX 37: demo data is for admins of all datasources, and where it cannot be, what can be done instead is said', async () => {
  await using api = await createApi('sqlite')
  const { call } = await clientOf(api)
  const shown = (await call('GET', '/api/demo')).body
  expect(shown).toMatchObject({ state: 'none', unavailable: { hint: expect.stringContaining('syncline demo') } })
  expect(await call('PUT', '/api/demo')).toMatchObject({ status: 409, body: { code: 'demo_unavailable' } })
  const operator = (await api.key('operator')).secret
  const scoped = (await api.key('admin', ['ds_00000000000000000000000000'])).secret
  for (const secret of [operator, scoped]) {
    for (const method of ['PUT', 'DELETE']) {
      expect((await api.send(secret, method, '/api/demo')).json()).toMatchObject({ status: 403, code: 'forbidden' })
    }
  }
  await using shared = await createApi('postgres', { withDemo: true })
  const other = await clientOf(shared)
  expect((await other.call('GET', '/api/demo')).body['unavailable']).toMatchObject({
    message: expect.stringContaining('Services on several machines'),
  })
  expect(await other.call('PUT', '/api/demo')).toMatchObject({ status: 409, body: { code: 'demo_unavailable' } })
})

test('UX 37: a server that somebody has killed is told, and both are made anew', async () => {
  await using api = await createApi('sqlite', { withDemo: true })
  const { call } = await clientOf(api)
  const made = (await call('PUT', '/api/demo')).body
  const { port } = (await call('GET', '/api/datasources/demo%20shop')).body
  process.kill(postmasterAt(Number(port)), 'SIGKILL')
  await expect.poll(async () => (await call('GET', '/api/demo')).body).toMatchObject({ state: 'ended' })
  expect((await call('POST', '/api/demo/edits', {})).body).toMatchObject({ code: 'wrong_state' })
  expect((await call('PUT', '/api/demo')).body).toEqual(made)
  expect((await call('POST', '/api/datasources/demo%20shop/test')).body).toMatchObject({ ok: true })
})

/** The process of the private server at a port. */
function postmasterAt(port: number): number {
  for (const name of readdirSync(tmpdir())) {
    const file = join(tmpdir(), name, 'data', 'postmaster.pid')
    const lines = existsSync(file) ? readFileSync(file, 'utf8').split('\n') : []
    if (lines[3] === String(port)) return Number(lines[0])
  }
  throw new Error(`No private server is at port ${port}.`)
}
