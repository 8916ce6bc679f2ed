import { expect, test } from 'vitest'
import { examineDatabase } from '#adapters/registry.ts'
import { resolveHost } from '#lib/network-address.ts'
import { Secret } from '#lib/secret.ts'
import type { Check } from '#model/check.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { Connection } from './connection.ts'
import type { MysqlEndpoint } from './endpoint.ts'

let running: Promise<MariadbServer> | null = null

function server(): Promise<MariadbServer> {
  return (running ??= startMariadb())
}

async function look(endpoint: MysqlEndpoint, changes: Partial<MysqlEndpoint> = {}): Promise<Check[]> {
  const { host, port, database, user, password, ssl, ca, connectTimeoutMs } = { ...endpoint, ...changes }
  const place = {
    kind: 'mysql' as const,
    connection: { host, port, database, user, ssl, ca, projectUrl: null },
    password,
    schemas: null,
    connectTimeoutMs,
    resolve: resolveHost,
  }
  const { signal } = new AbortController()
  const checks: Check[] = []
  for await (const check of examineDatabase(place, { steps: 'all', signal })) checks.push(check)
  return checks
}

test('UX 2: every step is told, with a next step where, and only where, something is to be done', async () => {
  const { endpoint } = await MysqlSide.make(await server())
  const checks = await look(endpoint)
  expect(checks.map(({ step }) => step)).toEqual([
    'host name',
    'port',
    'encryption',
    'login',
    'database',
    'server',
    'role of the server',
    'clock',
    'latency',
    'read tables',
    'write tables',
    'state tables',
    'temporary tables',
    'triggers',
    'bulk load',
    'one moment over several connections',
    'unfinished jobs',
    'pending statements',
    'create tables',
    'change capture: binary log',
    'change capture: right',
  ])
  for (const { step, state, next } of checks) expect(next === null, step).toBe(state === 'pass')
  expect(checks.filter(({ state }) => state !== 'pass').map(({ step }) => step)).toEqual(['change capture: binary log'])
})

test('UX 3: a failure ends the way, with its cause', async () => {
  const { endpoint } = await MysqlSide.make(await server())
  const cases: [step: string, found: RegExp, changes: Partial<MysqlEndpoint>][] = [
    ['host name', /no-such-host\.invalid/, { host: 'no-such-host.invalid' }],
    ['port', /REFUSED/, { port: 1 }],
    ['encryption', /no TLS/, { ssl: 'verify-full' }],
    ['login', /Access denied for user 'admin'/, { password: new Secret('wrong') }],
    ['login', /using password: NO/, { password: null }],
    ['database', /no_such_database/, { database: 'no_such_database' }],
  ]
  for (const [step, found, changes] of cases) {
    const last = (await look(endpoint, changes)).at(-1)
    expect(last).toMatchObject({ step, state: 'fail', next: expect.stringMatching(/.+/) as string })
    expect(last?.found).toMatch(found)
  }
})

test('UX 6: rights that are missing come with the statement that gives them, and with it they are there', async () => {
  const side = await MysqlSide.make(await server())
  await side.sql('CREATE TABLE t (id int PRIMARY KEY)', 'CREATE TABLE seen (id int PRIMARY KEY)')
  const user = `u_${side.name}`
  await side.sql(`CREATE USER '${user}'@'%' IDENTIFIED BY 'p'`, `GRANT SELECT ON ${side.name}.seen TO '${user}'@'%'`)
  const login = { user, password: new Secret('p') }
  const lacking = [
    'write tables',
    'state tables',
    'temporary tables',
    'triggers',
    'one moment over several connections',
    'create tables',
    'change capture: right',
  ]
  const before = new Map((await look(side.endpoint, login)).map((check) => [check.step, check]))
  for (const step of lacking) {
    expect(before.get(step), step).toMatchObject({ state: 'warn' })
    for (const [statement] of (before.get(step)?.next ?? '').matchAll(/GRANT [^;]+/g)) await side.sql(statement)
  }
  const after = new Map((await look(side.endpoint, login)).map((check) => [check.step, check]))
  for (const step of lacking.slice(1)) expect(after.get(step), step).toMatchObject({ state: 'pass' })
})

test('an anonymous account that stands before the one that was meant is told', async () => {
  await using own = await startMariadb()
  await using root = await Connection.open(own.endpoint(), { readOnly: false })
  await root.query(`CREATE USER ''@'localhost', ''@'127.0.0.1'`)
  await root.query(`CREATE USER 'late'@'%' IDENTIFIED BY 'p'`)
  const denied = (await look(own.endpoint(), { user: 'late', password: new Secret('p') })).at(-1)
  expect(denied).toMatchObject({ step: 'login', state: 'fail' })
  expect(denied?.next).toMatch(/anonymous one \(''@'(?:localhost|127\.0\.0\.1)'\) stands before 'late'@'%'/)
  await root.query(`GRANT ALL ON *.* TO ''@'localhost', ''@'127.0.0.1'`)
  const admitted = await look(own.endpoint(), { user: 'late', password: null })
  expect(admitted.find(({ step }) => step === 'login')).toMatchObject({
    state: 'warn',
    found: expect.stringContaining('anonymous account') as string,
  })
})
