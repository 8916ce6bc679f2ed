import { once } from 'node:events'
import { createConnection, createServer, type AddressInfo } from 'node:net'
import { describe, expect, test } from 'vitest'
import { openDatabase, resolveAllowed } from '#adapters/registry.ts'
import { allowedOnly } from '#adapters/place.ts'
import { getDatasource } from '#control/datasources.ts'
import type { Resolve } from '#lib/network-address.ts'
import { Secret } from '#lib/secret.ts'
import type { Check } from '#model/check.ts'
import type { ConnectionTest, Datasource } from '#model/datasource.ts'
import { equipWithTls } from '#test/harness/certificates.ts'
import { createDatabase, quote } from '#test/harness/database.ts'
import { createRegistry, draftOf } from '#test/harness/datasources.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { sharedServers, startPrivateServer } from '#test/harness/postgres.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { openDatasource } from './open-datasource.ts'
import { testDatasource } from './test-datasource.ts'

const { signal } = new AbortController()
const READING = { write: null, rules: { protectedEnvironments: [] }, signal } as const

const toLoopback: Resolve = () => Promise.resolve([{ address: '127.0.0.1', family: 4 }])

function stepsOf({ checks }: ConnectionTest): ReadonlyMap<string, Check> {
  return new Map(checks.map((check) => [check.step, check]))
}

describe.each(STORE_KINDS)('datasources in %s', (kind) => {
  test('UX 2: every step is told with its time, and the test is remembered with the datasource', async () => {
    await using db = await createDatabase(sharedServers().source)
    await using registry = await createRegistry(kind)
    const datasource = await registry.add(db.url)
    const result = await testDatasource(registry.tools, datasource, signal)
    expect(result.ok).toBe(true)
    const steps = result.checks.map(({ step }) => step)
    const way = [
      'host name',
      'port',
      'encryption',
      'login',
      'database',
      'server',
      'pooler',
      'role of the server',
      'clock',
      'latency',
    ]
    expect(steps).toEqual([
      ...way,
      'read tables',
      'write tables',
      'state schema',
      'temporary tables',
      'triggers',
      'unfinished jobs',
      'pending statements',
      'row-level security',
      'create tables',
      ...['write-ahead log', 'right', 'slots'].map((what) => `change capture: ${what}`),
    ])
    for (const { state, next, ms } of result.checks) {
      expect(ms).toBeGreaterThanOrEqual(0)
      expect(next === null, 'a next step where, and only where, something is to be done').toBe(state === 'pass')
    }
    const { lastTest, pin } = await getDatasource(registry.tools.store, datasource.id)
    expect(lastTest).toEqual(result)
    expect(pin?.identity).toContain(db.name)
  })

  test('UX 3: a failure ends the way with its cause, and is remembered too', async () => {
    await using db = await createDatabase(sharedServers().source)
    await using registry = await createRegistry(kind)
    const base = draftOf(db.url)
    const cases: [step: string, found: RegExp, changes: Partial<Datasource['connection']>][] = [
      ['host name', /no-such-host\.invalid/, { host: 'no-such-host.invalid' }],
      ['host name', /no datasource may have/, { host: '169.254.169.254' }],
      ['port', /REFUSED/, { port: 1 }],
      ['encryption', /no TLS/, { ssl: 'verify-full' }],
      ['login', /nobody_at_all/, { user: 'nobody_at_all' }],
      ['database', /does not exist/, { database: 'no_such_database' }],
    ]
    for (const [step, found, changes] of cases) {
      const datasource = await registry.add(db.url, { connection: { ...base.connection, ...changes } })
      const { ok, checks } = await testDatasource(registry.tools, datasource, signal)
      expect(ok).toBe(false)
      expect(checks.at(-1)).toMatchObject({ step, state: 'fail', next: expect.stringMatching(/.+/) as string })
      expect(checks.at(-1)?.found).toMatch(found)
      expect((await getDatasource(registry.tools.store, datasource.id)).lastTest?.ok).toBe(false)
    }
  })
})

test('UX 6: rights that are missing come with the statement that gives them, and with it they are there', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using registry = await createRegistry('sqlite')
  const role = `login_${db.name}`
  await db.sql(`CREATE ROLE ${quote(role)} LOGIN; REVOKE CREATE ON SCHEMA public FROM PUBLIC; CREATE TABLE t (id int PRIMARY KEY);
    CREATE TABLE guarded (id int PRIMARY KEY); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY; GRANT SELECT ON guarded TO ${quote(role)}`)
  try {
    const { connection } = draftOf(db.url)
    const datasource = await registry.add(db.url, { connection: { ...connection, user: role } })
    const lacking = [
      'read tables',
      'write tables',
      'state schema',
      'row-level security',
      'create tables',
      'change capture: right',
    ]
    const before = stepsOf(await testDatasource(registry.tools, datasource, signal))
    for (const step of lacking) {
      expect(before.get(step), step).toMatchObject({ state: 'warn' })
      await db.sql(/((GRANT|ALTER ROLE) .*)$/.exec(before.get(step)?.next ?? '')?.[1] ?? 'no statement')
    }
    const after = stepsOf(await testDatasource(registry.tools, datasource, signal))
    for (const step of lacking) expect(after.get(step), step).toMatchObject({ state: 'pass' })
  } finally {
    await db.sql(`DROP OWNED BY ${quote(role)}; DROP ROLE ${quote(role)}`)
  }
})

test('change capture: with wal_level = logical nothing is missing for it', async () => {
  await using server = await startPrivateServer({ settings: { wal_level: 'logical' } })
  await using registry = await createRegistry('sqlite')
  const steps = stepsOf(await testDatasource(registry.tools, draftOf(server.url()), signal))
  for (const what of ['write-ahead log', 'right', 'slots']) {
    expect(steps.get(`change capture: ${what}`)).toMatchObject({ state: 'pass' })
  }
})

test.each([
  '169.254.169.254',
  '2852039166',
  '0251.0376.0251.0376',
  '::ffff:169.254.169.254',
  'fe80::1',
  'fd00:ec2::254',
])('S33: %s is opened by nobody', async (host) => {
  await using registry = await createRegistry('sqlite')
  const { connection } = draftOf('postgres://u@localhost/d')
  const datasource = await registry.add('postgres://u@localhost/d', { connection: { ...connection, host } })
  await expect(openDatasource(registry.tools, datasource, READING)).rejects.toMatchObject({ code: 'host_not_allowed' })
})

test('S33: a name with one forbidden address among good ones, or that turns to one later, is refused', async () => {
  await using db = await createDatabase(sharedServers().source)
  let answers: string[] = ['127.0.0.1', '169.254.169.254']
  const asked: string[] = []
  const resolve = allowedOnly((host) => {
    asked.push(host)
    return Promise.resolve(answers.map((address) => ({ address, family: 4 })))
  })
  await using registry = await createRegistry('sqlite', { resolve })
  const { connection } = draftOf(db.url)
  const datasource = await registry.add(db.url, {
    connection: { ...connection, host: 'db.example.test', ssl: 'disable' },
  })
  const open = () => openDatasource(registry.tools, datasource, READING)
  await expect(open()).rejects.toMatchObject({ code: 'host_not_allowed' })
  // The addresses that were looked at are the ones that are connected to: nobody else knows this name.
  answers = ['127.0.0.1']
  await using adapter = await open()
  expect(adapter.server.address).toContain('db.example.test')
  answers = ['169.254.169.254']
  // While it uses the session that it has, the next question needs another one.
  await using _mark = await adapter.plantMark()
  await expect(adapter.describe('all')).rejects.toMatchObject({ code: 'host_not_allowed' })
  expect(new Set(asked)).toEqual(new Set(['db.example.test']))
  expect(await resolveAllowed('127.0.0.1')).toEqual([{ address: '127.0.0.1', family: 4 }])
})

test('S35: beyond this machine the chain and the name are verified, and nothing falls back to clear text', async () => {
  await using server = await startPrivateServer({ settings: { ssl: 'off' } })
  const { ca, present } = equipWithTls(server)
  await using registry = await createRegistry('sqlite', { resolve: toLoopback })
  const at = (changes: Partial<Datasource['connection']>) => {
    const { connection, ...rest } = draftOf(server.url())
    return { ...rest, connection: { ...connection, host: 'db.example.test', ...changes } }
  }
  const encryption = async (changes: Partial<Datasource['connection']>): Promise<string> => {
    const { checks } = await testDatasource(registry.tools, at(changes), signal)
    const found = checks.find(({ step }) => step === 'encryption')
    const opened = await openDatabase({ ...at(changes), password: null, resolve: toLoopback }, READING).then(
      async (adapter) => adapter[Symbol.asyncDispose]().then(() => 'opens'),
      (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : 'odd'),
    )
    return `${found?.state} ${opened}: ${found?.found} ${found?.next}`
  }
  for (const ssl of [null, 'prefer', 'require', 'verify-ca', 'verify-full'] as const) {
    expect(await encryption({ ssl }), `${ssl}`).toMatch(/^fail tls_failed: .*no TLS/)
  }
  expect(await encryption({ ssl: 'disable' })).toMatch(/^warn opens: not encrypted/)
  await present('good')
  expect(await encryption({ ca })).toMatch(/^pass opens: TLSv1\.3, .*, verified/)
  expect(await encryption({})).toMatch(
    /^fail tls_failed: .*by a CA that this machine does not know.*certificate of that CA/,
  )
  expect(await encryption({ ssl: 'require' })).toMatch(/^warn opens: .*not verified.*verify-full/)
  expect(await encryption({ ssl: 'prefer' })).toMatch(/^warn opens: .*not verified/)
  expect(await encryption({ ca, host: 'db2.example.test' })).toMatch(
    /^fail tls_failed: .*not for the name.*by a name that its/,
  )
  expect(await encryption({ ca, host: 'db2.example.test', ssl: 'verify-ca' })).toMatch(/^pass opens/)
  await present('other name')
  expect(await encryption({ ca })).toMatch(/^fail tls_failed: .*not for the name.*by a name that its/)
  await present('expired')
  expect(await encryption({ ca })).toMatch(/^fail tls_failed: .*expired.*Renew it/)
  await present('self-signed')
  expect(await encryption({ ca })).toMatch(/^fail tls_failed: .*self-signed.*certificate as the CA/)
  expect(await encryption({})).toMatch(/^fail tls_failed: .*self-signed/)
})

test('S35: something in between that refuses TLS gets no login', async () => {
  await using server = await startPrivateServer({ settings: { ssl: 'off' } })
  const { ca, present } = equipWithTls(server)
  await present('good')
  const received: Buffer[] = []
  await using strip = createServer((socket) => {
    const behind = createConnection({ host: '127.0.0.1', port: Number(new URL(server.url()).port) })
    for (const each of [socket, behind]) each.on('error', () => undefined)
    socket.once('data', () => {
      socket.write('N')
      socket
        .on('data', (bytes) => void received.push(bytes))
        .pipe(behind)
        .pipe(socket)
    })
  })
  strip.listen(0, '127.0.0.1')
  await once(strip, 'listening')
  const { port } = strip.address() as AddressInfo
  for (const ssl of [null, 'prefer', 'require', 'verify-ca', 'verify-full'] as const) {
    const { connection, ...rest } = draftOf(server.url(), { password: new Secret('geheim') })
    const place = {
      ...rest,
      connection: { ...connection, host: 'db.example.test', port, ssl, ca },
      resolve: toLoopback,
    }
    const opened = openDatabase({ ...place, password: new Secret('geheim') }, READING)
    await expect(opened, `${ssl}`).rejects.toMatchObject({ code: 'tls_failed' })
  }
  expect(Buffer.concat(received).toString('latin1')).toBe('')
})

test('Neon: a compute that sleeps is woken with patience, and the cold start is told; others fail at once', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using proxy = await startFaultProxyFor(db.url)
  await using registry = await createRegistry('sqlite')
  await proxy.faults.set({ cut: { after: 0, direction: 'toServer', by: 'fin' } })
  const plain = await testDatasource(registry.tools, draftOf(proxy.url(db.url)), signal)
  expect(plain.checks.at(-1)).toMatchObject({ step: 'login', state: 'fail' })
  const { accepted } = proxy.counts
  const testing = testDatasource(registry.tools, draftOf(proxy.url(db.url), { kind: 'neon' }), signal)
  await expect.poll(() => proxy.counts.accepted, { timeout: 20_000 }).toBeGreaterThan(accepted + 2)
  await proxy.faults.set({})
  const { ok, checks } = await testing
  expect(ok).toBe(true)
  expect(stepsOf({ ok, checks, at: '' }).get('login')?.found).toMatch(/awake at attempt \d+ after .* s \(cold start\)/)
})

test('UX 3: a host of Supabase that only IPv6 reaches names the session pooler as the next step', async () => {
  const ref = 'abcdefghijklmnopqrst'
  const { connection, ...rest } = draftOf('postgres://postgres@localhost:1/postgres')
  const draft = { ...rest, connection: { ...connection, host: `db.${ref}.supabase.co` } }
  const none = Object.assign(new Error('getaddrinfo ENOTFOUND'), { code: 'ENOTFOUND' })
  const answers: [step: string, resolve: Resolve][] = [
    ['port', () => Promise.resolve([{ address: '::1', family: 6 }])],
    ['host name', () => Promise.reject(none)],
  ]
  for (const [step, resolve] of answers) {
    await using registry = await createRegistry('sqlite', { resolve })
    const { checks } = await testDatasource(registry.tools, draft, signal)
    expect(checks.at(-1)).toMatchObject({ step, state: 'fail' })
    expect(checks.at(-1)?.next).toContain(`user postgres.${ref}, host aws-0-REGION.pooler.supabase.com, port 5432`)
    expect(checks[0]).toMatchObject({ step: 'provider', state: 'pass' })
  }
})
