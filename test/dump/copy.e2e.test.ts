/** Copies and trials of dumps as somebody asks for them: in one line, by the service, and through kills at any instant. */
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { pgDump, withoutKey } from '#test/harness/import.ts'
import { sharedServers, type TestServer } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, killNow, runProgram, startProgram } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'
import { jobProcesses } from '#test/harness/service.ts'
import { isOfCopy, namedFailpoints } from '../crash/named-failpoints.ts'
import { killAtRandom } from './random-kills.ts'

expectNoProgramSurvives()

const oldest = (): TestServer => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'syncline-copy-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

const MASK_KEY = Buffer.alloc(32, 3).toString('base64')

const plain = (db: Database): Promise<string> => pgDump(db, ['--no-owner']).then(withoutKey)

const OLD = `CREATE TABLE customer (old text); INSERT INTO customer VALUES ('old'); CREATE TABLE mine (id int)`

async function createPair(): Promise<{ source: Database; target: Database } & AsyncDisposable> {
  const [source, target] = [await createDatabase(oldest()), await createDatabase(oldest())]
  await source.sql(`CREATE TABLE customer (id int PRIMARY KEY, email text UNIQUE, city text);
    INSERT INTO customer SELECT n, 'c' || n || '@staging.example', md5(n::text) FROM generate_series(1, 2000) n;
    CREATE TABLE orders (id serial PRIMARY KEY, customer int REFERENCES customer, total int);
    INSERT INTO orders (customer, total) SELECT n, n FROM generate_series(1, 2000) n; CREATE INDEX ON orders (total)`)
  await target.sql(OLD)
  return {
    source,
    target,
    async [Symbol.asyncDispose]() {
      await source[Symbol.asyncDispose]()
      await target[Symbol.asyncDispose]()
    },
  }
}

const ARGS = ['--replace', '--trust-source', '--yes', '--no-backup'] as const

test('the local database is refreshed from staging in one line: a plan first, then everything at once, without mails', async () => {
  await using pair = await createPair()
  const { source, target } = pair
  using folder = temporaryFolder()
  const env = { STAGING: source.url, LOCAL: target.url, MASK_KEY }
  const line = ['copy', 'env:STAGING', 'env:LOCAL']
  const before = await plain(target)
  const planned = await runProgram([...line, '--dry-run'], { env })
  expect(planned.code, planned.stderr).toBe(3)
  expect(planned.stdout).toMatch(/replaces table public\.customer/)
  expect(planned.stdout).toMatch(/restore_privileged[^]*restore_exists/)
  expect((await runProgram(line, { env })).code).toBe(5)
  expect((await runProgram(['copy', 'env:STAGING', 'shop', '--yes'], { env })).code).toBe(2)
  expect((await runProgram([...line, '--mask', 'customer'], { env })).code).toBe(2)
  expect((await runProgram(['copy', 'env:STAGING', 'env:STAGING', ...ARGS], { env })).code).toBe(5)
  expect(await plain(target)).toBe(before)

  const backup = join(folder.path, 'backup.sql.zst')
  const masked = [
    '--mask',
    'customer.email=[{"mask_email":{"to_domain":"local.example"}}]',
    '--where',
    'orders=total > 500',
  ]
  const args = ['--replace', '--trust-source', '--yes', '--backup', backup]
  const done = await runProgram([...line, ...masked, ...args], { env })
  expect(done, done.stderr).toMatchObject({ code: 0 })
  expect(done.stdout).toMatch(/copied 2 tables, 3,500 rows; what was replaced is in .*backup\.sql\.zst/)
  expect(
    await target.sql(`SELECT count(*), count(*) FILTER (WHERE email LIKE '%@local.example') FROM customer`),
  ).toEqual([['2000', '2000']])
  expect(await plain(target)).not.toContain('staging.example')

  await target.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  const back = await runProgram(['import', 'env:LOCAL', backup, '--trust-file', '--yes'], { env })
  expect(back, back.stderr).toMatchObject({ code: 0 })
  expect(await target.sql('SELECT old FROM customer')).toEqual([['old']])
})

test('B1: killed at its rows, before any statement, at the locks and the commit: wholly old or wholly new', async () => {
  await using pair = await createPair()
  const { source, target } = pair
  expect((await namedFailpoints()).filter(isOfCopy)).toEqual(['copy.rows', 'drill.restored'])
  const before = await plain(target)
  const env = { STAGING: source.url, LOCAL: target.url }
  const copyAt = (failpoint: string) =>
    runProgram(['copy', 'env:STAGING', 'env:LOCAL', ...ARGS], { env: { ...env, FAILPOINT: `${failpoint}:kill` } })
  for (const point of [
    'copy.rows:1',
    'copy.rows:2',
    'import.held:1',
    'import.statement:1',
    'import.statement:5',
    'import.rows:2',
    'restore.commit:1',
  ]) {
    const killed = await copyAt(point)
    expect(killed.signal, `${point}: ${killed.stderr}`).toBe('SIGKILL')
    expect(await plain(target), point).toBe(before)
  }
  expect((await copyAt('restore.committed:1')).signal).toBe('SIGKILL')
  expect(await target.sql('SELECT count(*) FROM customer')).toEqual([['2000']])
})

test('B1: killed at random moments of a large copy: wholly old or wholly new', async () => {
  await using pair = await createPair()
  const { source, target } = pair
  const kills = Number(process.env['SYNCLINE_TEST_KILLS'] ?? 5)
  const many = kills > 5 ? 1_000_000 : 300_000
  await source.sql(`CREATE TABLE item (id int PRIMARY KEY, name text);
    INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, ${many}) n; CREATE INDEX ON item (name)`)
  const env = { STAGING: source.url, LOCAL: target.url }
  const { whole, seen } = await killAtRandom({
    kills,
    seed: printedSeed(),
    start: () => startProgram(['copy', 'env:STAGING', 'env:LOCAL', ...ARGS], { env }),
    look: async () => {
      const [[there]] = (await target.sql(
        `SELECT coalesce(to_regclass('public.item')::text, 'none') || (SELECT count(*) FROM pg_attribute WHERE attrelid = 'customer'::regclass AND attnum > 0)`,
      )) as [[string]]
      if (there !== 'none1') await target.sql(`DROP TABLE item, orders, customer, mine; ${OLD}`)
      return there
    },
  })
  expect(whole).toBe('item3')
  expect(['none1', whole]).toEqual(expect.arrayContaining([...seen.keys()]))
})

test('by the service: a copy with masks, its backup and the way back; and a dump that is tried', async () => {
  await using pair = await createPair()
  const { source, target } = pair
  using folder = temporaryFolder()
  const dumps = join(folder.path, 'dumps')
  await using service = await new ServeUnderTest({ DUMP_DIRECTORY: dumps, MASK_KEY }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'staging', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: target.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'local', url: target.url, writable: true })
  const unwritable = await service.cli(['copy', 'staging', 'shop', ...ARGS])
  expect(unwritable.code, unwritable.stderr).toBe(5)
  const dry = await service.cli(['copy', 'staging', 'local', '--dry-run'])
  expect(dry.code, dry.stderr).toBe(3)
  const args = ['--replace', '--trust-source', '--yes', '--mask', 'customer.email=token', '--where', 'customer=id > 0']
  const done = await service.cli(['copy', 'staging', 'local', ...args])
  expect(done, done.stderr).toMatchObject({ code: 0 })
  const [, backup = ''] = /copied 2 tables, 4,000 rows; what was replaced is in (\w+)/.exec(done.stdout) ?? []
  // What was asked, what it came to and the way back are told with the job, without a secret.
  const [copy] = (await service.ask('GET', '/api/v1/jobs?kind=copy&limit=1'))['items'] as Answer[]
  expect(copy).toMatchObject({ export: null, import: null, drill: null })
  expect(copy?.['copy']).toEqual({
    content: 'all',
    schemas: null,
    exclude_schemas: [],
    tables: null,
    exclude_tables: [],
    owners: false,
    grants: false,
    same_provider: false,
    parallel: 1,
    filters: [{ table: 'customer', where: 'id > 0' }],
    masks: [{ table: 'customer', column: 'email', transforms: ['token'] }],
    replace: true,
    backup: true,
    trust_source: true,
  })
  const told = await service.cli(['jobs', 'show', String(copy?.['id'])])
  expect(told.stdout).toMatch(/^copy, asked for .*\nof staging into local\n/)
  for (const line of [
    'rows of customer: id > 0',
    'masks customer.email: token',
    'what is there is replaced',
    'wrote 2 tables, 4,000 rows, in one transaction',
    `import local ${backup} --replace --owners --grants --trust-file --yes`,
  ]) {
    expect(told.stdout).toContain(line)
  }
  expect(`${JSON.stringify(copy)}${told.stdout}`).not.toContain(MASK_KEY)
  expect(await plain(target)).not.toContain('staging.example')
  expect(await target.sql('SELECT count(*) FROM customer JOIN orders ON customer.id = customer')).toEqual([['2000']])

  const tried = await service.cli(['dumps', 'drill', backup, '--into', 'local', '--trust-file'])
  expect(tried, tried.stderr).toMatchObject({ code: 0 })
  expect(tried.stdout).toMatch(/works: 1 table, 1 row/)
  const [drill] = (await service.ask('GET', '/api/v1/jobs?kind=drill&limit=1'))['items'] as Answer[]
  expect(drill?.['drill']).toEqual({
    dump: backup,
    trust_file: true,
    owners: false,
    grants: false,
    passphrase_reference: null,
  })
  const toldOfDrill = await service.cli(['jobs', 'show', String(drill?.['id'])])
  expect(toldOfDrill.stdout).toContain(`of ${backup} on the server of local`)
  expect(toldOfDrill.stdout).toMatch(/It works on PostgreSQL .*: 1 table, 1 row, /)
  const list = await service.cli(['dumps', 'list'])
  expect(list.stdout).toMatch(/works \(\d{4}-/)
  const shown = await service.cli(['dumps', 'show', backup, '--json'])
  expect(JSON.parse(shown.stdout)).toMatchObject({ result: { drill: { works: true, faults: [] } } })
  expect(
    await target.sql(`SELECT count(*) FROM pg_database WHERE datname = 'syncline_drill_${String(drill?.['id'])}'`),
  ).toEqual([['0']])

  await target.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  const back = await service.cli(['import', 'local', backup, '--trust-file', '--yes'])
  expect(back, back.stderr).toMatchObject({ code: 0 })
  expect(await target.sql('SELECT old FROM customer')).toEqual([['old']])
  expect(readdirSync(dumps).filter((name) => name.endsWith('.part'))).toEqual([])
})

test('B1, B2: the process of a copy is killed: it is done once, all the same', async () => {
  await using pair = await createPair()
  const { source, target } = pair
  await source.sql(`CREATE TABLE item (id int PRIMARY KEY, name text);
    INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 400000) n; CREATE INDEX ON item (name)`)
  using folder = temporaryFolder()
  const settings = { DUMP_DIRECTORY: join(folder.path, 'dumps'), SYNCLINE_LEASE_SECONDS: '2' }
  await using service = await new ServeUnderTest(settings).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'staging', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'local', url: target.url, writable: true })
  const body = { source: 'staging', target: 'local', replace: true, trust_source: true }
  const { job_id: id } = await service.ask('POST', '/api/sync/copy', body)
  await expect
    .poll(
      () =>
        target
          .sql(
            `SELECT count(*) FROM pg_stat_progress_copy WHERE command = 'COPY FROM' AND datname = current_database()`,
          )
          .then(([row]) => row?.[0]),
      { interval: 20 },
    )
    .toBe('1')
  for (const pid of await jobProcesses(service.program)) killNow(pid)
  await service.succeeded(String(id))
  expect(await target.sql('SELECT count(*) FROM item')).toEqual([['400000']])
  const { receipt } = (await service.ask('GET', `/api/jobs/${String(id)}/receipt`)) as { receipt: Answer }
  expect(receipt).toMatchObject({ rows: 404_000, backup: expect.any(String) as unknown })
})

test('B1: a copy whose process dies after the commit is told as done, with its backup', async () => {
  await using pair = await createPair()
  const { source, target } = pair
  using folder = temporaryFolder()
  const settings = {
    DUMP_DIRECTORY: join(folder.path, 'dumps'),
    SYNCLINE_LEASE_SECONDS: '2',
    FAILPOINT: 'restore.committed:1:kill',
  }
  await using service = await new ServeUnderTest(settings).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'staging', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'local', url: target.url, writable: true })
  const body = { source: 'staging', target: 'local', replace: true, trust_source: true }
  const { job_id: id } = await service.ask('POST', '/api/sync/copy', body)
  await service.succeeded(String(id))
  expect(await target.sql('SELECT count(*) FROM customer')).toEqual([['2000']])
  const { receipt } = (await service.ask('GET', `/api/jobs/${String(id)}/receipt`)) as { receipt: Answer }
  expect(receipt).toMatchObject({ moment: null, rows: 4_000, backup: expect.any(String) as unknown })
})
