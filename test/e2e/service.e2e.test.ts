/** The service from its first start to a proved sync, and through what may happen to it, all by its API and commands. */
import { readdirSync, readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { expectSameTables } from '#test/harness/database.ts'
import { expectNoProgramSurvives, killNow } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'
import { jobProcesses } from '#test/harness/service.ts'

import { randomFrom } from '../crash/runs.ts'
import { keepWriting, openShops, readLedger, SHOP_TABLES } from '../crash/shop.ts'

const KILLS = Number(process.env['SYNCLINE_TEST_KILLS'] ?? 3)

expectNoProgramSurvives()

test('S0.101: register two databases, make a config, run it, find the data in the target, by the API alone', async () => {
  await using shops = await openShops(100)
  const { source, target } = shops
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const test1 = await service.ask('POST', '/api/v1/datasources/shop/test', {})
  expect(test1).toMatchObject({ ok: true })
  const dry = await service.run({ dry_run: true })
  await service.succeeded(dry)
  expect(await target.sql('SELECT count(*) FROM customer')).toEqual([['0']])
  const id = await service.run()
  expect(await service.succeeded(id)).toMatchObject({ counts: { updated: 0, deleted: 0 } })
  await expectSameTables(source, target, SHOP_TABLES)
  const receipt = await service.ask('GET', `/api/v1/jobs/${id}/receipt`)
  expect(receipt).toMatchObject({ status: 'succeeded', receipt: { completeness: 'exact' } })
  expect((await service.ask('GET', `/api/sync/${id}/status`))['status']).toBe('succeeded')
})

test('a connection of a job may be named in the request, and its password is nowhere to be found', async () => {
  await using shops = await openShops(20)
  const { source, target } = shops
  await using service = await new ServeUnderTest().start()
  const [secret, refused] = ['canary-7f3a91', 'canary-b2c8d4']
  const withPassword = (url: string, password: string): string => {
    const named = new URL(url)
    named.password = password
    return named.href
  }
  const wrong = await service.ask('POST', '/api/sync/full', {
    source_connection: withPassword(source.url, refused),
    target_connection: withPassword(target.url, secret),
    config: { batch_size: 500, detection_strategy: 'hash', conflict_strategy: 'source_wins' },
  })
  await service.until(String(wrong['job_id']), ['succeeded', 'failed'])
  const right = await service.ask('POST', '/api/sync/full', {
    source_connection: source.url,
    target_connection: target.url,
    config: { batch_size: 500 },
  })
  expect(await service.succeeded(String(right['job_id']))).toMatchObject({ mode: 'full' })
  await expectSameTables(source, target, SHOP_TABLES)
  const said = [service.program.stdout, service.program.stderr]
  const kept = readdirSync(service.folder, { recursive: true, withFileTypes: true })
  const files = kept
    .filter((entry) => entry.isFile())
    .map(({ parentPath, name }) => readFileSync(join(parentPath, name), 'latin1'))
  const answers = await Promise.all(
    ['datasources', 'jobs', 'sync-configs', 'audit-events', 'keys', 'status'].map(async (path) => {
      return (await service.call('GET', `/api/v1/${path}`)).text
    }),
  )
  for (const text of [...said, ...files, ...answers]) {
    for (const canary of [secret, refused]) expect(text.includes(canary)).toBe(false)
  }
  for (const { parentPath, name } of kept) expect(statSync(join(parentPath, name)).mode & 0o077, name).toBe(0)
})

test('B6: of 50 starts at once one begins, and the others are told its id', async () => {
  await using shops = await openShops(300)
  const { source, target } = shops
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  // The one that begins is not over before the last start has been answered.
  await using holder = await source.connect()
  await holder.query('BEGIN; LOCK TABLE purchase IN ACCESS EXCLUSIVE MODE')
  const answers = await Promise.all(
    Array.from({ length: 50 }, () => service.call('POST', '/api/v1/sync/shop%20copy', {})),
  )
  const [first, ...more] = answers.filter(({ status }) => status < 300)
  expect(more).toEqual([])
  const refused = answers.filter(({ status }) => status >= 300)
  for (const { status, body } of refused) {
    expect({ status, ...body }).toMatchObject({ status: 409, code: 'already_running', job_id: first?.body['job_id'] })
  }
  await holder.query('ROLLBACK')
  await service.succeeded(String(first?.body['job_id']))
  const jobs = await service.ask('GET', '/api/v1/jobs')
  expect(jobs['items']).toHaveLength(1)
})

test(`P3: ${KILLS} kills of job processes, of the service and of both end equal, with the counters of the API true`, async () => {
  const random = randomFrom(printedSeed())
  await using shops = await openShops(400)
  const { source, target } = shops
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  const written = { inserted: 0, updated: 0, deleted: 0 }
  const finish = async (id: string): Promise<void> => {
    const counts = (await service.succeeded(id))['counts'] as typeof written
    for (const op of ['inserted', 'updated', 'deleted'] as const) written[op] += counts[op]
  }
  {
    await using _writers = keepWriting(source, random)
    for (let kill = 0; kill < KILLS; kill++) {
      const id = await service.run()
      await service.until(id, ['running', 'succeeded'])
      await pause(random() * 2_000)
      const children = await jobProcesses(service.program)
      if (kill % 3 !== 1) for (const pid of children) killNow(pid)
      if (kill % 3 !== 0) {
        await service.program.kill()
        await service.start()
      }
      await finish(id)
    }
  }
  await finish(await service.run())
  await expectSameTables(source, target, SHOP_TABLES)
  expect(written, 'what the API says was written, against the triggers of the target').toEqual(await readLedger(target))
})

test('a stop by signal lets jobs go on at the next start; a second service on the same data is refused', async () => {
  await using shops = await openShops(600)
  const { source, target } = shops
  await using service = await new ServeUnderTest().start()
  const second = await service.cli(['serve'], { local: true })
  expect(second.code).toBe(5)
  expect(second.stderr).toContain('already_serving')
  await service.register({ source: source.url, target: target.url })
  const id = await service.run()
  await service.until(id, ['running', 'succeeded'])
  service.program.signal('SIGTERM')
  expect(await service.program.exit).toMatchObject({ code: 0, signal: null })
  await service.start()
  await service.succeeded(id)
  await expectSameTables(source, target, SHOP_TABLES)
})

test('a job that nobody carries out is not watched for ever: it says that no service is there', async () => {
  await using shops = await openShops(100)
  const { source, target } = shops
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  await using holder = await source.connect()
  await holder.query('BEGIN; LOCK TABLE purchase IN ACCESS EXCLUSIVE MODE')
  const id = await service.run()
  await service.program.kill()
  const watched = await service.cli(['jobs', 'watch', id], { local: true })
  expect(watched).toMatchObject({ code: 4 })
  expect(watched.stderr).toMatch(/error service_unreachable: job_\w+ is \w+, and no service takes on work now\./)
  await holder.query('ROLLBACK')
  await service.start()
  expect(await service.cli(['jobs', 'watch', id], { local: true })).toMatchObject({ code: 0 })
})

test('what export-config prints is what apply makes, byte for byte, here and on another service', async () => {
  await using service = await new ServeUnderTest().start()
  const file = join(service.folder, 'config.yaml')
  writeFileSync(
    file,
    `datasources:
  - name: shop
    url: postgres://app@db.example.org:5433/shop?sslmode=verify-full
    password_reference: env:SHOP_PASSWORD
    environment: staging
  - name: copy
    host: localhost
    database: copy
    user: app
    pool_size: 20
    writable: true
sync_configs:
  - name: shop copy
    master_datasource_id: shop
    slave_datasource_id: copy
    tables:
      - source: shop.*
      - source: 'orders."order:lines"'
        target: lines
        rename: { "a.b": c }
    exclude_tables: [log_*]
    delete_policy: delete
`,
  )
  const applied = await service.cli(['apply', '-f', file])
  expect(applied.stderr).toBe('')
  expect(applied.code).toBe(0)
  expect((await service.cli(['apply', '-f', file])).stdout).toContain('changed 0 of 3 things')
  const first = (await service.cli(['export-config'])).stdout
  const again = join(service.folder, 'again.yaml')
  writeFileSync(again, first)
  expect((await service.cli(['validate', again])).code).toBe(0)
  expect((await service.cli(['apply', '-f', again])).stdout).toContain('changed 0 of 3 things')
  expect((await service.cli(['export-config'])).stdout).toBe(first)
  expect((await service.cli(['export-config'], { local: true })).stdout).toBe(first)
  await using other = await new ServeUnderTest().start()
  expect((await other.cli(['apply', '-f', again])).code).toBe(0)
  expect((await other.cli(['export-config'])).stdout).toBe(first)
})

test('S48: where others may reach the service its description needs a key, unless a setting says otherwise', async () => {
  for (const [env, status] of [
    [{}, 200],
    [{ SYNCLINE_BEHIND_PROXY: 'true' }, 401],
    [{ SYNCLINE_BEHIND_PROXY: 'true', SYNCLINE_PUBLIC_DOCS: 'true' }, 200],
  ] as const) {
    await using service = await new ServeUnderTest(env).start()
    const { key } = service
    service.key = ''
    expect((await service.call('GET', '/openapi.json')).status, JSON.stringify(env)).toBe(status)
    service.key = key
    expect((await service.call('GET', '/openapi.json')).status).toBe(200)
  }
})

test('S2: commands of this machine need no key and leave none, before the first start as after it', async () => {
  await using service = new ServeUnderTest()
  expect(await service.cli(['datasources', 'list'], { local: true })).toMatchObject({ code: 0, stderr: '' })
  // Nobody has a key, so that a setup token is offered.
  await service.start()
  expect((await service.cli(['jobs', 'list'], { local: true })).code).toBe(0)
  const keys = await service.ask('GET', '/api/v1/keys')
  expect(keys['items']).toMatchObject([{ name: 'admin' }])
  // Not over before the request for it has come.
  const soon = new Date(Date.now() + 5_000).toISOString()
  await service.ask('POST', '/api/v1/keys', { name: 'brief', role: 'viewer', expires_at: soon })
  const states = async (): Promise<string[]> =>
    [...(await service.cli(['keys', 'list'], { local: true })).stdout.matchAll(/(good|expired)$/gm)].map(
      ([word]) => word,
    )
  await expect.poll(states, { timeout: 60_000 }).toEqual(['expired', 'good'])
  const [admin] = keys['items'] as { id: string }[]
  // The key of a command does not stand in for the last one.
  const revoked = await service.cli(['keys', 'revoke', admin?.id ?? ''], { local: true })
  expect(revoked).toMatchObject({ code: 5, stderr: expect.stringContaining('in_use') as string })
})

test('commands say what is wrong, with the exit code of the error', async () => {
  await using service = await new ServeUnderTest().start()
  const missing = await service.cli(['configs', 'run', 'nothing'])
  expect(missing).toMatchObject({ code: 2 })
  expect(missing.stderr).toContain('not_found')
  const stranger = await service.cli(['revert', '12', '--yes'])
  expect(stranger).toMatchObject({ code: 2 })
  expect(stranger.stderr).toContain('error invalid_request: This is not the id of a job.')
  expect(stranger.stderr).not.toMatch(/path#|\/docs for/)
  const away = await service.cli(['jobs', 'list', '--server', 'http://127.0.0.1:1'])
  expect(away).toMatchObject({ code: 4 })
  expect(away.stderr).toContain('service_unreachable')
  const listed = await service.cli(['jobs', 'list', '--json'])
  expect(JSON.parse(listed.stdout)).toMatchObject({ command: 'list', ok: true, result: [] })
})
