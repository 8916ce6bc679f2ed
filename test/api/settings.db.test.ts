/** Settings that are kept in the store: how long things are kept, and the model that refines suggestions. */
import { once } from 'node:events'
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http'
import type { AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'

import { aiSetting, keepAi } from '#control/ai-settings.ts'
import { resealPasswords } from '#control/datasources.ts'
import { Secret } from '#lib/secret.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import { toConfig } from '#service/config.ts'
import { readRetention } from '#service/retention.ts'

import { createApi, type ApiUnderTest } from '#test/harness/api.ts'
import { STORE_KINDS } from '#test/harness/store.ts'

const CANARY = 'cAnArY-key'

interface Entry {
  readonly of: string
  readonly days: number
  readonly source: string
  readonly set: number | null
}

async function entriesOf(answer: ReturnType<ApiUnderTest['send']>): Promise<Record<string, unknown>> {
  const { entries } = (await answer).json<{ entries: readonly Entry[] }>()
  return Object.fromEntries(entries.map(({ of, days, source, set }) => [of, [days, source, set]]))
}

/** An endpoint on this machine; what it was asked with is kept. */
async function startModel(answer: (response: ServerResponse) => void) {
  const keys: (string | undefined)[] = []
  const bodies: string[] = []
  const server = createServer((request: IncomingMessage, response) => {
    keys.push(request.headers.authorization)
    let body = ''
    request.on('data', (chunk) => (body += String(chunk)))
    request.on('end', () => {
      bodies.push(body)
      answer(response)
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/v1`,
    keys,
    bodies,
    [Symbol.asyncDispose]: async () => {
      server.closeAllConnections()
      server.close()
      await once(server, 'close')
    },
  }
}

function answerWell(response: ServerResponse): void {
  const content = JSON.stringify({ fields: [{ target: 'email', source: 'e_mail', confidence: 0.9 }] })
  response.writeHead(200, { 'content-type': 'application/json' })
  response.end(JSON.stringify({ choices: [{ message: { content } }] }))
}

describe.each(STORE_KINDS)('settings of %s', (kind) => {
  test('S62: values of rows go after 30 days unless somebody says otherwise; what is set holds at once', async () => {
    await using api = await createApi(kind)
    const { secret: admin } = await api.key('admin')
    const get = () => entriesOf(api.send(admin, 'GET', '/api/settings/retention'))
    const put = (body: unknown) => api.send(admin, 'PUT', '/api/settings/retention', { body })
    const dumps = [90, 'default', null]
    const defaults = { jobs: dumps, history: [30, 'default', null], audit: [365, 'default', null], dumps }
    expect(await get()).toEqual(defaults)
    expect(await entriesOf(put({ history_days: 7, audit_days: 400 }))).toEqual({
      jobs: [90, 'default', null],
      history: [7, 'store', 7],
      audit: [400, 'store', 400],
      dumps,
    })
    expect(await readRetention({ store: api.store, config: toConfig({}) })).toEqual({
      days: { jobs: 90, history: 7, audit: 400, dumps: 90 },
      bytes: { dumps: 100 * 1024 ** 3, free: 1024 ** 3 },
    })
    expect(await entriesOf(put({ history_days: null }))).toEqual(defaults)
    const refused = await put({ audit_days: 29, jobs_days: 0, history_days: 1.5 })
    expect(
      refused
        .json<{ errors: { place: string }[] }>()
        .errors.map(({ place }) => place)
        .toSorted(),
    ).toEqual(['body#/audit_days', 'body#/history_days', 'body#/jobs_days'])
    const { secret: scoped } = await api.key('admin', ['ds_1'])
    expect((await api.send(scoped, 'PUT', '/api/settings/retention', { body: {} })).statusCode).toBe(403)
    const events = await api.store.db.selectFrom('audit_event').select(['action', 'data']).execute()
    expect(events.filter(({ action }) => action === 'settings.retention.update').map(({ data }) => data)).toEqual([
      JSON.stringify({ days: { history: 7, audit: 400 }, bytes: {} }),
      JSON.stringify({ days: {}, bytes: {} }),
    ])
  })

  test('S40: the room of dumps is set beside the days, and what was kept before it could be is read', async () => {
    await using api = await createApi(kind, { variables: { DUMP_FREE_BYTES: '1000' } })
    const { secret: admin } = await api.key('admin')
    const old = { days: { jobs: 7 }, updatedAt: '2026-01-01T00:00:00.000Z', updatedBy: 'Ada' }
    await api.store.db
      .insertInto('store_meta')
      .values({ key: 'retention', value: JSON.stringify(old) })
      .execute()
    const before = (await api.send(admin, 'GET', '/api/settings/retention')).json<object>()
    expect(before).toMatchObject({
      entries: expect.arrayContaining([expect.objectContaining({ of: 'jobs', days: 7 })]) as unknown,
      space: [
        { of: 'dumps', bytes: 100 * 1024 ** 3, source: 'default', set: null, variable: 'DUMP_MAX_BYTES' },
        { of: 'free', bytes: 1000, source: 'environment', set: null, variable: 'DUMP_FREE_BYTES' },
      ],
    })
    const body = { dumps_days: 14, dumps_bytes: 5_000, free_bytes: 0 }
    expect((await api.send(admin, 'PUT', '/api/settings/retention', { body })).json()).toMatchObject({
      entries: expect.arrayContaining([
        expect.objectContaining({ of: 'dumps', days: 14, variable: 'DUMP_RETENTION_DAYS' }),
      ]) as unknown,
      space: [
        { of: 'dumps', bytes: 5_000, source: 'store', set: 5_000 },
        { of: 'free', bytes: 1000, source: 'environment', set: 0 },
      ],
    })
    const refused = await api.send(admin, 'PUT', '/api/settings/retention', {
      body: { dumps_bytes: 0, free_bytes: -1 },
    })
    expect(refused.json<{ errors: { place: string }[] }>().errors.map(({ place }) => place)).toEqual([
      'body#/dumps_bytes',
      'body#/free_bytes',
    ])
  })

  test('the environment comes before what is set, and says so', async () => {
    const variables = {
      HISTORY_RETENTION_DAYS: '14',
      AI_URL: 'https://models.example.com/v1',
      AI_MODEL: 'm',
      AI_API_KEY: CANARY,
    }
    await using api = await createApi(kind, { variables })
    const { secret: admin } = await api.key('admin')
    const set = await entriesOf(api.send(admin, 'PUT', '/api/settings/retention', { body: { history_days: 7 } }))
    expect(set).toMatchObject({ history: [14, 'environment', 7], jobs: [90, 'default', null] })
    const ai = await api.send(admin, 'PUT', '/api/settings/ai', { body: { url: 'http://127.0.0.1:1', model: 'x' } })
    expect(ai.json()).toMatchObject({
      source: 'environment',
      url: 'https://models.example.com/v1',
      model: 'm',
      has_key: true,
      overridden: true,
    })
    expect(ai.body).not.toContain(CANARY)
  })

  test('a model is set up, tested and forgotten; its key is never told, and goes nowhere else', async () => {
    await using good = await startModel(answerWell)
    await using other = await startModel((response) => void response.writeHead(401).end(CANARY))
    await using api = await createApi(kind)
    const { secret: admin } = await api.key('admin')
    const seen: string[] = []
    const send = async (method: string, path: string, body?: unknown) => {
      const answer = await api.send(admin, method, `/api/settings/ai${path}`, body === undefined ? {} : { body })
      seen.push(answer.body)
      return answer
    }
    expect((await send('GET', '')).json()).toMatchObject({ source: null, url: null, has_key: false })
    expect((await send('POST', '/test', {})).json()).toMatchObject({ ok: false, checks: [{ step: 'endpoint' }] })
    expect((await send('DELETE', '')).statusCode).toBe(404)
    const draft = { url: good.url, model: 'm', key: CANARY }
    expect((await send('POST', '/test', { endpoint: draft })).json()).toMatchObject({ ok: true })
    expect((await send('PUT', '', draft)).json()).toMatchObject({
      source: 'store',
      url: good.url,
      model: 'm',
      send_samples: false,
      has_key: true,
      updated_by: 'a admin',
      last_test: null,
    })
    expect((await send('POST', '/test', {})).json()).toMatchObject({ ok: true })
    expect((await send('GET', '')).json()).toMatchObject({ last_test: { ok: true } })
    // The same place with another model keeps the key; another place does not get it.
    await send('PUT', '', { url: `${good.url}/more`, model: 'n' })
    expect((await send('POST', '/test', { endpoint: { url: other.url, model: 'n' } })).json()).toMatchObject({
      ok: false,
      checks: [
        { step: 'endpoint', state: 'pass' },
        { step: 'answer', state: 'fail' },
      ],
    })
    expect((await send('POST', '/test', {})).json()).toMatchObject({ ok: true })
    expect((await send('PUT', '', { url: other.url, model: 'n' })).json()).toMatchObject({ has_key: false })
    expect(good.keys).toEqual([1, 2, 3].map(() => `Bearer ${CANARY}`))
    expect(other.keys).toEqual([undefined])
    expect(JSON.parse(good.bodies.at(-1) ?? '')).toMatchObject({ model: 'n' })
    expect((await send('DELETE', '')).statusCode).toBe(204)
    const rows = await api.store.db.selectFrom('store_meta').selectAll().execute()
    const events = await api.store.db.selectFrom('audit_event').selectAll().execute()
    for (const text of [...seen, ...api.log, JSON.stringify([rows, events])]) expect(text).not.toContain(CANARY)
    expect(events.map(({ action }) => action).filter((action) => /ai\.(update|delete)$/.test(action))).toHaveLength(4)
  })

  test('what cannot be a model is refused, and a reference is looked up each time', async () => {
    await using api = await createApi(kind)
    const { secret: admin } = await api.key('admin')
    const put = (body: object) =>
      api.send(admin, 'PUT', '/api/settings/ai', { body: { url: 'https://h/v1', model: 'm', ...body } })
    for (const body of [
      { url: 'ftp://h' },
      { url: 'https://user:cAnArY@h/v1' },
      { url: 'https://h/v1?key=cAnArY' },
      { model: '' },
      { key: 'a', key_reference: 'env:A' },
      { key_reference: 'cAnArY' },
      { key_reference: 'env:SECRET_KEY' },
      { key_reference: 'env:AI_API_KEY' },
    ]) {
      expect((await put(body)).statusCode).toBe(400)
    }
    expect((await put({ key_reference: 'env:NO_SUCH_KEY' })).json()).toMatchObject({ key_reference: 'env:NO_SUCH_KEY' })
    const away = { endpoint: { url: 'https://models.example.com/v1', model: 'm' } }
    const asked = await api.send(admin, 'POST', '/api/settings/ai/test', { body: away })
    expect(asked.json()).toMatchObject({ ok: false, checks: [{}, { step: 'answer', state: 'fail' }] })
    const tested = await api.send(admin, 'POST', '/api/settings/ai/test', { body: {} })
    expect(tested.json()).toMatchObject({ ok: false, checks: [{ step: 'key', state: 'fail' }] })
  })

  test('a change of the secret key keeps the key of the model', async () => {
    await using api = await createApi(kind)
    const { store } = api
    const [old, fresh] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    const endpoint = { url: 'https://h/v1', model: 'm', sendSamples: false }
    await keepAi({ store, box: new SecretBox([old]) }, endpoint, new Secret(CANARY), SYSTEM)
    await resealPasswords({ store, box: new SecretBox([fresh, old]) }, SYSTEM)
    const found = await aiSetting.open({ store, box: new SecretBox([fresh]) })
    expect(found?.secret instanceof Secret && found.secret.reveal()).toBe(CANARY)
  })
})
