import { describe, expect, test } from 'vitest'

import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import { resealPasswords } from '#control/datasources.ts'
import { keepRedis, redisSetting } from '#control/redis-settings.ts'
import { Secret } from '#lib/secret.ts'

import { createApi } from '#test/harness/api.ts'
import { freePort, startRedis } from '#test/harness/redis.ts'
import { STORE_KINDS } from '#test/harness/store.ts'

const PASSWORD = 'cAnArY:p@ss/word#'

interface Test {
  readonly ok: boolean
  readonly checks: readonly {
    readonly step: string
    readonly state: string
    readonly found: string
    readonly next: string | null
  }[]
}

describe.each(STORE_KINDS)('the Redis of %s', (kind) => {
  test('is set up, tested, shown without its password, and forgotten', async () => {
    await using redis = await startRedis({ password: PASSWORD })
    await using api = await createApi(kind)
    const { secret: admin } = await api.key('admin')
    const seen: string[] = []
    const send = async (method: string, path: string, body?: unknown) => {
      const answer = await api.send(admin, method, `/api${path}`, body === undefined ? {} : { body })
      seen.push(answer.body)
      return answer
    }
    const test_ = async (body: unknown = {}): Promise<Test> =>
      (await send('POST', '/settings/redis/test', body)).json<Test>()
    expect((await send('GET', '/settings/redis')).json()).toMatchObject({ source: null, url: null })
    expect(await test_()).toMatchObject({ ok: false, checks: [{ step: 'address', state: 'fail' }] })
    expect((await send('DELETE', '/settings/redis')).statusCode).toBe(404)
    const put = await send('PUT', '/settings/redis', { url: redis.url })
    expect(put.json()).toMatchObject({
      source: 'store',
      url: `redis://127.0.0.1:${redis.port}/0`,
      has_password: true,
      overridden: false,
      updated_by: 'a admin',
      last_test: null,
    })
    const good = await test_()
    expect(good).toMatchObject({ ok: true })
    expect(good.checks.map(({ step }) => step)).toEqual([
      'address',
      'reachable',
      'TLS',
      'login',
      'version',
      'role',
      'eviction',
      'memory',
      'rights',
      'latency',
    ])
    expect((await send('GET', '/settings/redis')).json()).toMatchObject({ last_test: { ok: true } })
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lfu')
    expect((await test_()).checks.find(({ step }) => step === 'eviction')).toMatchObject({
      state: 'fail',
      found: expect.stringContaining('allkeys-lfu') as string,
      next: expect.stringContaining('noeviction') as string,
    })
    const wrong = await test_({ url: redis.url.replace('cAnArY', 'wrong') })
    expect(wrong.checks.at(-1)).toMatchObject({ step: 'login', state: 'fail' })
    const absent = await test_({ url: `redis://127.0.0.1:${await freePort()}` })
    expect(absent.checks.at(-1)).toMatchObject({ step: 'reachable', state: 'fail' })
    const plain = await test_({ url: redis.url.replace('redis:', 'rediss:') })
    expect(plain.checks.at(-1)).toMatchObject({ step: 'TLS', state: 'fail' })
    expect((await send('DELETE', '/settings/redis')).statusCode).toBe(204)
    expect((await send('GET', '/settings/redis')).json()).toMatchObject({ source: null })
    const events = await api.store.db.selectFrom('audit_event').select(['action', 'data']).execute()
    expect(events.map(({ action }) => action).filter((action) => action.startsWith('settings'))).toEqual([
      'settings.redis.test',
      'settings.redis.update',
      ...Array.from({ length: 5 }, () => 'settings.redis.test'),
      'settings.redis.delete',
    ])
    const kept = JSON.stringify([events, await api.store.db.selectFrom('store_meta').selectAll().execute()])
    for (const text of [...seen, ...api.log, kept]) expect(text).not.toContain('cAnArY')
  })

  test('what cannot be one is refused, and nothing of it is told', async () => {
    await using api = await createApi(kind)
    const { secret: admin } = await api.key('admin')
    const { secret: scoped } = await api.key('admin', ['ds_1'])
    const put = (body: unknown, key = admin) => api.send(key, 'PUT', '/api/settings/redis', { body })
    for (const body of [
      {},
      { url: 'redis://h', url_reference: 'env:X' },
      { url: `http://:cAnArY@h` },
      { url: 'redis://:cAnArY@h/zero' },
      { url: 'redis://:cAnArY@h?tls=no' },
      { url: 'redis://:cAnArY%ZZ@h' },
      { url: 'redis://:cAnArY@169.254.169.254' },
      { url: 'redis://:cAnArY@[::ffff:169.254.169.254]' },
      { url_reference: 'cAnArY' },
      { url_reference: 'env:SECRET_KEY' },
      { url_reference: 'env:REDIS_URL' },
    ]) {
      const answer = await put(body)
      expect(['invalid_request', 'invalid_url', 'host_not_allowed']).toContain(answer.json<{ code: string }>().code)
      expect(answer.body).not.toContain('cAnArY@')
    }
    expect((await put({ url: 'redis://127.0.0.1' }, scoped)).statusCode).toBe(403)
    expect((await put({ url_reference: 'env:A_REDIS' })).json()).toMatchObject({
      source: 'store',
      url: null,
      url_reference: 'env:A_REDIS',
    })
  })

  test('the environment comes before it, and says so', async () => {
    await using api = await createApi(kind, {
      variables: { REDIS_URL: `rediss://me:${encodeURIComponent(PASSWORD)}@127.0.0.1/3` },
    })
    const { secret: admin } = await api.key('admin')
    const put = await api.send(admin, 'PUT', '/api/settings/redis', { body: { url: 'redis://localhost' } })
    expect(put.json()).toMatchObject({
      source: 'environment',
      url: 'rediss://me@127.0.0.1:6379/3',
      has_password: true,
      overridden: true,
    })
    const test_ = await api.send(admin, 'POST', '/api/settings/redis/test', { body: {} })
    expect(test_.json<Test>().checks[0]?.found).toContain('127.0.0.1:6379/3')
  })

  test('a change of the secret key keeps it', async () => {
    await using api = await createApi(kind)
    const { store } = api
    const [old, fresh] = [new Uint8Array(32).fill(1), new Uint8Array(32).fill(2)]
    await keepRedis(
      { store, box: new SecretBox([old]) },
      new Secret(`redis://:${encodeURIComponent(PASSWORD)}@h`),
      SYSTEM,
    )
    await resealPasswords({ store, box: new SecretBox([fresh, old]) }, SYSTEM)
    const found = await redisSetting.open({ store, box: new SecretBox([fresh]) })
    expect(found?.secret instanceof Secret && found.secret.reveal()).toContain('@h')
  })
})
