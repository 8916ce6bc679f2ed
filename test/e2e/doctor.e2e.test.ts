import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createServer, type AddressInfo } from 'node:net'

import { expect, test } from 'vitest'

import type { Check } from '#model/check.ts'
import { createDatabase, quote } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, runProgram, type Exit } from '#test/harness/process.ts'

expectNoProgramSurvives()

function checksOf({ stdout }: Exit): Map<string, Check> {
  const { result }: { result: { checks: Check[] }[] } = JSON.parse(stdout)
  return new Map(result.flatMap(({ checks }) => checks).map((check) => [check.step, check]))
}

test('this machine is examined where no database is named', async () => {
  const examined = await runProgram(['doctor', '--json'])
  expect(examined).toMatchObject({ code: 0, stderr: '' })
  expect([...checksOf(examined).values()].map(({ step, state }) => [step, state])).toEqual([
    ['Node.js', 'pass'],
    ['temporary directory', 'pass'],
  ])
  const unwritable = await runProgram(['doctor'], { env: { SYNCLINE_TEMP_DIR: '/nowhere/at/all' } })
  expect(unwritable).toMatchObject({ code: 1, stdout: expect.stringContaining('SYNCLINE_TEMP_DIR') })
})

test('what a login may not do comes with the statement that gives it the right', async () => {
  const server = sharedServers().source
  await using db = await createDatabase(server)
  const role = `syncline_test_${randomBytes(6).toString('hex')}`
  await db.sql(`CREATE ROLE ${quote(role)} LOGIN PASSWORD 'secret';
    REVOKE TEMPORARY ON DATABASE ${quote(db.name)} FROM PUBLIC;
    CREATE TABLE seen (id int PRIMARY KEY); GRANT SELECT ON seen TO ${quote(role)}; CREATE TABLE hidden (id int PRIMARY KEY)`)
  try {
    const url = new URL(db.url)
    url.username = role
    url.password = 'secret'
    const env = { LIMITED: url.href }
    const before = await runProgram(['doctor', 'env:LIMITED', '--json'], { env })
    expect(before.code).toBe(0)
    const checks = checksOf(before)
    const lacking = ['read tables', 'write tables', 'state schema', 'temporary tables', 'triggers']
    expect([...checks.values()].filter(({ state }) => state !== 'pass').map(({ step }) => step)).toEqual(lacking)
    for (const step of lacking.slice(0, 4)) {
      const [, grants = ''] = /: (GRANT .*)$/.exec(checks.get(step)?.next ?? '') ?? []
      await db.sql(grants)
    }
    const after = checksOf(await runProgram(['doctor', 'env:LIMITED', '--json'], { env }))
    expect([...after.values()].filter(({ state }) => state !== 'pass').map(({ step }) => step)).toEqual(['triggers'])
  } finally {
    await db.sql(`DROP OWNED BY ${quote(role)}; DROP ROLE ${quote(role)}`)
  }
})

test('what earlier runs have left is told', async () => {
  const servers = sharedServers()
  await using source = await createDatabase(servers.source)
  await using target = await createDatabase(servers.target)
  await source.sql(`CREATE TABLE t (id int PRIMARY KEY, n int); CREATE INDEX t_by_n ON t (n);
    INSERT INTO t SELECT n, n FROM generate_series(1, 100) n`)
  const env = { SOURCE: source.url, TARGET: target.url }
  const line = ['sync', 'env:SOURCE', 'env:TARGET', '--create', '--yes']
  const killed = await runProgram(line, { env: { ...env, FAILPOINT: 'table.loading:1:kill' } })
  expect(killed.signal).toBe('SIGKILL')
  const left = checksOf(await runProgram(['doctor', 'env:TARGET', '--json'], { env }))
  expect(left.get('unfinished jobs')).toMatchObject({ state: 'warn', found: expect.stringContaining('job_') })
  expect(left.get('pending statements')).toMatchObject({ state: 'warn', found: expect.stringContaining('INDEX') })
  expect(await runProgram(line, { env })).toMatchObject({ code: 0 })
  const clean = checksOf(await runProgram(['doctor', 'env:TARGET', '--json'], { env }))
  expect(clean.get('unfinished jobs')).toMatchObject({ state: 'pass' })
  expect(clean.get('pending statements')).toMatchObject({ state: 'pass' })
})

test('a way that leads to no database ends at its first bad step', async () => {
  await using listener = createServer((socket) =>
    socket
      .on('error', () => undefined)
      .resume()
      .end('HTTP/1.1 400\r\n\r\n'),
  )
  listener.listen(0, '127.0.0.1')
  await once(listener, 'listening')
  const { port } = listener.address() as AddressInfo
  const cases: [url: string, step: string][] = [
    ['postgres://u@host.invalid/d', 'host name'],
    ['postgres://u@127.0.0.1:1/d', 'port'],
    [`postgres://u@127.0.0.1:${port}/d`, 'login'],
  ]
  for (const [url, step] of cases) {
    const failed = await runProgram(['doctor', url, '--json'])
    const last = [...checksOf(failed).values()].at(-1)
    expect({ code: failed.code, ...last }).toMatchObject({ code: 4, step, state: 'fail', next: expect.any(String) })
  }
})
