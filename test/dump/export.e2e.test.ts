/** Exports as somebody asks for them: by the service and its command line, from a URL, and through kills at any instant. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { isWhole, restoreByPsql, unpack } from '#test/harness/dump.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, killNow, runProgram } from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'
import { jobProcesses } from '#test/harness/service.ts'
import { isOfDump, namedFailpoints } from '../crash/named-failpoints.ts'

expectNoProgramSurvives()

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'syncline-export-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

async function createShop(rows: number): Promise<Database> {
  const db = await createDatabase(sharedServers().source)
  await db.sql(`CREATE TABLE item (id int PRIMARY KEY, name text, price numeric);
    INSERT INTO item SELECT i, md5(i::text) || 'ß''\\', i / 7.0 FROM generate_series(1, ${rows}) i`)
  await db.close()
  return db
}

async function expectShop(sql: Buffer, rows: number): Promise<void> {
  expect(isWhole(sql)).toBe(true)
  await using restored = await createDatabase(sharedServers().source)
  await restoreByPsql(restored, sql)
  expect(await restored.sql('SELECT count(*), max(id) FROM item')).toEqual([[String(rows), String(rows)]])
}

test('export from a URL into a file, and refusals that write nothing', async () => {
  await using db = await createShop(1000)
  using folder = temporaryFolder()
  const env = { SOURCE: db.url }
  const file = join(folder.path, 'shop.sql.gz')
  const done = await runProgram(['export', 'env:SOURCE', '--output', file, '--compress', 'gzip', '--style', 'insert'], {
    env,
  })
  expect(done, done.stderr).toMatchObject({ code: 0 })
  expect(done.stdout).toMatch(/1 table, 1,000 rows/)
  await expectShop(unpack(readFileSync(file), 'gzip'), 1000)
  expect(readFileSync(`${file}.sha256`, 'utf8')).toMatch(/^[0-9a-f]{64} {2}shop\.sql\.gz\n$/)
  const before = readdirSync(folder.path)
  for (const [args, code] of [
    [['--output', file], 2],
    [['--output', join(folder.path, 'x.sql'), '--table', 'nothing'], 2],
    [['--output', join(folder.path, 'x.sql'), '--passphrase', 'secret'], 2],
    [['--output', join(folder.path, '-x')], 2],
    [['--output', join(folder.path, 'x.sql'), '--style', 'csv'], 2],
  ] as const) {
    const refused = await runProgram(['export', 'env:SOURCE', ...args], { env })
    expect(refused.code, refused.stderr).toBe(code)
  }
  expect(readdirSync(folder.path)).toEqual(before)
})

test('D14: an export that is killed leaves no file under its name, wherever it is', async () => {
  await using db = await createShop(20_000)
  const names = (await namedFailpoints()).filter(isOfDump)
  expect(names).toHaveLength(5)
  for (const failpoint of [...names.map((name) => `${name}:1`), 'dump.chunk:5']) {
    using folder = temporaryFolder()
    const env = { SOURCE: db.url, FAILPOINT: `${failpoint}:kill` }
    const file = join(folder.path, 'shop.sql.zst')
    const killed = await runProgram(['export', 'env:SOURCE', '--output', file], { env })
    expect(killed.signal, failpoint).toBe('SIGKILL')
    expect(readdirSync(folder.path), failpoint).not.toContain('shop.sql.zst')
  }
})

test('by the service: progress by phases, the file in its directory, taken along sealed, listed and deleted', async () => {
  await using db = await createShop(5000)
  using folder = temporaryFolder()
  const secrets = join(folder.path, 'secrets')
  writeFileSync(secrets, 'correct horse')
  await using service = await new ServeUnderTest({
    DUMP_DIRECTORY: join(folder.path, 'dumps'),
    PHRASE: 'x y z',
  }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: db.url })
  const started = await service.ask('POST', '/api/sync/export', { datasource: 'shop', parallel: 2 })
  const events = await service.followToEnd(String(started['job_id']))
  const phases = events
    .filter(({ event }) => event === 'phase')
    .map(({ data }) => data['data'] as { readonly phase: string; readonly state: string })
  expect(phases.map(({ phase, state }) => `${phase} ${state}`)).toEqual([
    'schema started',
    'data started',
    'data started',
    'data done',
    'indexes started',
    'constraints started',
  ])

  const out = join(folder.path, 'taken.sql.zst')
  const cli = await service.cli(['export', 'shop', '--output', out])
  expect(cli, cli.stderr).toMatchObject({ code: 0 })
  await expectShop(unpack(readFileSync(out), 'zstd'), 5000)
  const sealed = await service.cli(['export', 'shop', '--passphrase', 'env:PHRASE', '--json'])
  expect(sealed, sealed.stderr).toMatchObject({ code: 0 })
  const { receipt } = (JSON.parse(sealed.stdout) as { result: { receipt: { dump: Answer } } }).result
  expect(receipt.dump).toMatchObject({ sealed: true, file: expect.stringMatching(/\.sql\.zst\.sealed$/) as unknown })

  const list = await service.cli(['dumps', 'list'])
  expect(list.stdout).toMatch(/3 dumps; .* of .* are used/)
  const get = await service.cli(['dumps', 'get', String(receipt.dump['id']), '--output', join(folder.path, 'sealed')])
  expect(get, get.stderr).toMatchObject({ code: 0 })
  expect(readFileSync(join(folder.path, 'sealed')).subarray(0, 8).toString()).toBe('SYNDUMP1')
  const gone = await service.cli(['dumps', 'delete', String(receipt.dump['id'])])
  expect(gone, gone.stderr).toMatchObject({ code: 0 })
  expect(readdirSync(join(folder.path, 'dumps')).filter((name) => name.endsWith('.sealed'))).toEqual([])
  const local = await service.cli(['dumps', 'list', '--json'], { local: true })
  expect(JSON.parse(local.stdout)).toMatchObject({ ok: true, result: { total: { dumps: 2 } } })
})

test('B1: the process of an export is killed: the job begins anew by itself, and what was begun is gone', async () => {
  await using db = await createShop(400_000)
  using folder = temporaryFolder()
  const dumps = join(folder.path, 'dumps')
  await using service = await new ServeUnderTest({ DUMP_DIRECTORY: dumps, SYNCLINE_LEASE_SECONDS: '2' }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: db.url })
  const body = { datasource: 'shop', style: 'insert', compression: 'gzip' }
  const { job_id: id } = await service.ask('POST', '/api/sync/export', body)
  const filesOf = (): readonly string[] => {
    try {
      return readdirSync(dumps)
    } catch {
      return []
    }
  }
  await expect.poll(filesOf, { timeout: 60_000, interval: 10 }).toEqual([expect.stringMatching(/\.part$/)])
  const [first] = filesOf()
  for (const pid of await jobProcesses(service.program)) killNow(pid)
  await service.succeeded(String(id))
  const files = filesOf()
  expect(files).toHaveLength(2)
  expect(files.filter((name) => name.endsWith('.part'))).toEqual([])
  expect(files).not.toContain(first?.replace('.part', ''))
  const file = files.find((name) => name.endsWith('.sql.gz')) ?? ''
  await expectShop(unpack(readFileSync(join(dumps, file)), 'gzip'), 400_000)
  const log = (await service.call('GET', `/api/v1/jobs/${String(id)}/log`)).text
  expect(log).toContain('The file that an earlier attempt had begun was removed.')

  const again = await service.ask('POST', '/api/sync/export', body)
  await expect
    .poll(() => filesOf().some((name) => name.endsWith('.part')), { timeout: 60_000, interval: 10 })
    .toBe(true)
  await service.ask('POST', `/api/v1/jobs/${String(again['job_id'])}/cancel`, {})
  await service.until(String(again['job_id']), ['cancelled'])
  await expect.poll(filesOf, { timeout: 60_000 }).toEqual(files)
  expect((await service.call('GET', `/api/v1/jobs/${String(again['job_id'])}/log`)).text).toContain('was interrupted')
})
