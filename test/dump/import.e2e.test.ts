/** Imports as somebody asks for them: from a file into a URL, by the service, and through kills at any instant. */
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { listDumps, unfinishedDumps, withdrawDump } from '#control/dumps.ts'
import { startJob, type JobWish } from '#jobs/start-job.ts'
import { must } from '#lib/assert.ts'
import { SYSTEM } from '#model/access.ts'
import { DEFAULT_COPY } from '#model/copy.ts'
import { DEFAULT_EXPORT } from '#model/dump.ts'

import { testId } from '#test/harness/api.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { importInto, pgDump, withoutKey } from '#test/harness/import.ts'
import { sharedServers, type TestServer } from '#test/harness/postgres.ts'
import {
  expectNoProgramSurvives,
  killNow,
  runInside,
  runProgram,
  startNode,
  startProgram,
} from '#test/harness/process.ts'
import { ServeUnderTest, type Answer } from '#test/harness/serve.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { jobProcesses, TestService } from '#test/harness/service.ts'
import { isOfImport, namedFailpoints } from '../crash/named-failpoints.ts'
import { killAtRandom } from './random-kills.ts'

expectNoProgramSurvives()

const oldest = (): TestServer => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

function temporaryFolder(): Disposable & { readonly path: string } {
  const path = mkdtempSync(join(tmpdir(), 'syncline-import-'))
  return { path, [Symbol.dispose]: () => rmSync(path, { recursive: true, force: true }) }
}

/** A target that has something, and a dump of some 200 statements that replaces it and brings more. */
async function createTarget(): Promise<{ target: Database; file: Buffer; before: string; after: string }> {
  await using source = await createDatabase(oldest())
  const tables = Array.from(
    { length: 20 },
    (_, i) => `CREATE TABLE t${i} (id serial PRIMARY KEY, name text UNIQUE, p int REFERENCES t${Math.max(0, i - 1)});
      INSERT INTO t${i} (name) SELECT md5(n::text) FROM generate_series(1, 200) n; COMMENT ON TABLE t${i} IS 'new';`,
  )
  await source.sql(tables.join('\n'))
  const file = (await dump(source)).packed
  const after = withoutKey(await pgDump(source, ['--no-owner']))
  const target = await createDatabase(oldest())
  await target.sql(`CREATE TABLE t3 (old text); INSERT INTO t3 VALUES ('old'); CREATE TABLE t4 (LIKE t3)`)
  return { target, file, before: withoutKey(await pgDump(target, ['--no-owner'])), after }
}

const FAILS = `-- PostgreSQL database dump
CREATE TABLE public.t3 (id int);
INSERT INTO public.t3 VALUES ('x');
-- PostgreSQL database dump complete
`

const ARGS = ['--replace', '--trust-file', '--yes', '--no-backup'] as const

test('from a file into a URL: a plan first, then everything at once, and its backup brings back what was there', async () => {
  const { target, file, before, after } = await createTarget()
  await using held = target
  using folder = temporaryFolder()
  const env = { TARGET: held.url }
  const path = join(folder.path, 'shop.sql.zst')
  writeFileSync(path, file)
  const refused = await runProgram(['import', 'env:TARGET', path, '--dry-run'], { env })
  expect(refused.code, refused.stderr).toBe(3)
  expect(refused.stdout).toMatch(/replaces table public\.t3/)
  expect(refused.stdout).toMatch(/restore_privileged[^]*restore_exists/)
  expect((await runProgram(['import', 'env:TARGET', path], { env })).code).toBe(5)
  expect((await runProgram(['import', 'env:TARGET', join(folder.path, 'nothing'), '--yes'], { env })).code).toBe(2)
  expect(withoutKey(await pgDump(held, ['--no-owner']))).toBe(before)

  const backup = join(folder.path, 'backup.sql.zst')
  const args = ['--replace', '--trust-file', '--yes', '--backup', backup]
  const done = await runProgram(['import', 'env:TARGET', path, ...args], { env })
  expect(done, done.stderr).toMatchObject({ code: 0 })
  expect(done.stdout).toMatch(/imported 20 tables, 4,000 rows; what was replaced is in .*backup\.sql\.zst/)
  expect(withoutKey(await pgDump(held, ['--no-owner']))).toBe(after)

  await held.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  const back = await runProgram(['import', 'env:TARGET', backup, ...ARGS], { env })
  expect(back, back.stderr).toMatchObject({ code: 0 })
  expect(await held.sql('SELECT old FROM t3')).toEqual([['old']])
})

test('B1: killed before any statement, at the locks, the backup and the commit: wholly old or wholly new', async () => {
  const { target, file, before, after } = await createTarget()
  await using held = target
  using folder = temporaryFolder()
  const path = join(folder.path, 'shop.sql.zst')
  writeFileSync(path, file)
  const names = (await namedFailpoints()).filter(isOfImport)
  expect(names).toEqual([
    'import.backed-up',
    'import.exchange',
    'import.held',
    'import.rows',
    'import.statement',
    'restore.commit',
    'restore.committed',
  ])
  const step = process.env['SYNCLINE_TEST_KILLS'] === undefined ? 12 : 1
  const first = (printedSeed() % step) + 1
  /** Whether it was killed there; else it is done. */
  const killAt = async (failpoint: string, swap = ''): Promise<boolean> => {
    const args = ['test/dump/import-host.ts', path, `${failpoint}:kill`, swap]
    await using program = startNode(args, { env: { TARGET: held.url } })
    const { code, signal, stderr } = await program.exit
    expect(code, stderr).toBe(signal === null ? 0 : null)
    return signal === 'SIGKILL'
  }
  const state = async (): Promise<string> => withoutKey(await pgDump(held, ['--no-owner']))
  for (const name of ['import.held', 'import.backed-up', 'import.rows', 'import.exchange', 'restore.commit']) {
    expect(await killAt(`${name}:1`, 'swap'), name).toBe(true)
    expect(await state(), name).toBe(before)
  }
  let statements = 0
  for (let pass = first; await killAt(`import.statement:${pass}`); pass += step) {
    expect(await state(), `statement ${pass}`).toBe(before)
    statements = pass
  }
  expect(statements).toBeGreaterThan(150)
  expect(await state()).toBe(after)
  await held.sql(`DROP TABLE ${Array.from({ length: 20 }, (_, i) => `t${i}`).join(', ')} CASCADE`)
  expect(await killAt('restore.committed:1')).toBe(true)
  expect(await state()).toBe(after)
})

test('a file that is none is told of before the target is asked', async () => {
  using folder = temporaryFolder()
  const path = join(folder.path, 'notes.sql')
  writeFileSync(path, 'SELECT 1;\n')
  const env = { TARGET: 'postgres://nobody@127.0.0.1:1/nowhere' }
  for (const flag of ['--dry-run', '--yes', '--no-input']) {
    const exit = await runInside(['import', 'env:TARGET', path, flag], env)
    expect([exit.code, exit.stderr], flag).toEqual([2, expect.stringContaining('not_a_dump')])
  }
  // So is a backup that may not be called so.
  const named = await runInside(
    ['import', 'env:TARGET', path, '--yes', '--backup', join(folder.path, 'my own.sql')],
    env,
  )
  expect([named.code, named.stderr]).toEqual([2, expect.stringContaining('my own.sql is no name for a dump')])
})

test('B1: killed at random moments of a large import: wholly old or wholly new', async () => {
  const kills = Number(process.env['SYNCLINE_TEST_KILLS'] ?? 5)
  const many = kills > 5 ? 1_000_000 : 300_000
  await using source = await createDatabase(oldest())
  await source.sql(`CREATE TABLE item (id int PRIMARY KEY, name text);
    INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, ${many}) n; CREATE INDEX ON item (name)`)
  using folder = temporaryFolder()
  const path = join(folder.path, 'large.sql.zst')
  writeFileSync(path, (await dump(source)).packed)
  await using target = await createDatabase(oldest())
  const old = `CREATE TABLE item (old text); INSERT INTO item VALUES ('old')`
  await target.sql(old)
  const env = { TARGET: target.url }
  const { whole, seen } = await killAtRandom({
    kills,
    seed: printedSeed(),
    // Every other one exchanges what it has made at the end.
    start: (kill) =>
      startProgram(['import', 'env:TARGET', path, ...ARGS, ...(kill % 2 === 1 ? ['--swap'] : [])], { env }),
    look: async () => {
      const [[columns]] = (await target.sql(
        `SELECT string_agg(attname::text, ',' ORDER BY attnum) FROM pg_attribute WHERE attrelid = 'item'::regclass AND attnum > 0`,
      )) as [[string]]
      const [[rows]] = (await target.sql('SELECT count(*) FROM item')) as [[string]]
      if (columns !== 'old') await target.sql(`DROP TABLE item; ${old}`)
      return `${columns} ${rows}`
    },
  })
  expect(whole).toBe(`id,name ${many}`)
  expect(['old 1', whole]).toEqual(expect.arrayContaining([...seen.keys()]))
})

test('by the service: a dump that was brought, a backup of what it replaces, and the way back', async () => {
  const { target, file, before, after } = await createTarget()
  await using held = target
  using folder = temporaryFolder()
  const dumps = join(folder.path, 'dumps')
  await using service = await new ServeUnderTest({ DUMP_DIRECTORY: dumps }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: held.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: held.url, writable: true })
  await using source = await createDatabase(oldest())
  await importInto(source, file)
  await service.ask('POST', '/api/v1/datasources', { name: 'origin', url: source.url })
  const exported = await service.cli(['export', 'origin', '--json'])
  const { receipt } = (JSON.parse(exported.stdout) as { result: { receipt: { dump: Answer } } }).result
  const id = String(receipt.dump['id'])

  const unwritable = await service.cli(['import', 'shop', id, '--replace', '--trust-file', '--yes'])
  expect(unwritable.code, unwritable.stderr).toBe(5)
  const dry = await service.cli(['import', 'copy', id, '--dry-run'])
  expect(dry.code, dry.stderr).toBe(3)
  const cut = join(folder.path, 'fails.sql')
  writeFileSync(cut, FAILS)
  const sent = await service.cli(['dumps', 'upload', cut, '--json'])
  const failing = String((JSON.parse(sent.stdout) as { result: Answer }).result['id'])
  const failed = await service.cli(['import', 'copy', failing, '--replace', '--trust-file', '--yes'])
  expect([failed.code, failed.stdout]).toEqual([1, expect.stringMatching(/Line 3: INSERT INTO public\.t3/)])
  expect(withoutKey(await pgDump(held, ['--no-owner']))).toBe(before)
  // Nothing was replaced: what was kept of it would only take up room.
  expect((await service.ask('GET', '/api/v1/dumps?origin=backup'))['items']).toEqual([])
  const done = await service.cli(['import', 'copy', id, '--replace', '--trust-file', '--yes'])
  expect(done, done.stderr).toMatchObject({ code: 0 })
  const backup = /what was replaced is in (dmp_\w+|dump_\w+|\w+_\w{26})/.exec(done.stdout)?.[1] ?? ''
  expect(withoutKey(await pgDump(held, ['--no-owner']))).toBe(after)
  expect(readdirSync(dumps).length).toBeGreaterThan(2)

  await held.sql('DROP SCHEMA public CASCADE; CREATE SCHEMA public')
  const back = await service.cli([
    'import',
    'copy',
    backup,
    '--replace',
    '--trust-file',
    '--yes',
    '--owners',
    '--grants',
  ])
  expect(back, back.stderr).toMatchObject({ code: 0 })
  expect(await held.sql('SELECT old FROM t3')).toEqual([['old']])
  expect(before).toContain('old')
})

test('a file is brought by the command line, to a service and to the store of this machine', async () => {
  const { target, file, after } = await createTarget()
  await using held = target
  using folder = temporaryFolder()
  const path = join(folder.path, 'shop.sql.zst')
  writeFileSync(path, file)
  await using service = await new ServeUnderTest().start()
  const sent = await service.cli(['dumps', 'upload', path, '--json'])
  expect(sent, sent.stderr).toMatchObject({ code: 0 })
  const { result } = JSON.parse(sent.stdout) as { result: Answer }
  expect(result).toMatchObject({ origin: 'upload', bytes: file.length, compression: 'zstd' })
  const local = await service.cli(['dumps', 'upload', path], { local: true })
  expect(local, local.stderr).toMatchObject({ code: 0 })
  expect(local.stdout).toMatch(/^dmp_\w+ \S+\.sql\.zst: /)
  const list = (await service.ask('GET', '/api/v1/dumps'))['items'] as Answer[]
  expect(list.map(({ bytes, sha256 }) => [bytes, sha256])).toEqual(
    Array.from({ length: 2 }, () => [file.length, result['sha256']]),
  )
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: held.url, writable: true })
  const done = await service.cli(['import', 'copy', String(result['id']), ...ARGS])
  expect(done, done.stderr).toMatchObject({ code: 0 })
  expect(withoutKey(await pgDump(held, ['--no-owner']))).toBe(after)
  const missing = await service.cli(['dumps', 'upload', join(folder.path, 'nowhere.sql')])
  expect(missing.code).toBe(2)
  expect(missing.stderr).toContain('nowhere.sql cannot be read')
})

test('D14: a text is taken as it comes, and is no dump once somebody wants to import it', async () => {
  await using target = await createDatabase(oldest())
  using folder = temporaryFolder()
  await using service = await new ServeUnderTest({ DUMP_DIRECTORY: join(folder.path, 'dumps') }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  const path = join(folder.path, 'text.sql')
  for (const [what, text] of [
    ['without any end of a line', 'x'.repeat(100_000)],
    ['of digits', '3'.repeat(100_000)],
    ['of a string that does not end', `'${'x'.repeat(100_000)}`],
    ['of sentences', 'It was a dark and stormy night; the rain fell in torrents, except at 3am. '.repeat(1_500)],
  ] as const) {
    writeFileSync(path, text)
    const sent = await service.cli(['dumps', 'upload', path, '--json'])
    expect(sent, `${what}: ${sent.stderr}`).toMatchObject({ code: 0 })
    const { result } = JSON.parse(sent.stdout) as { result: Answer }
    expect(result, what).toMatchObject({ head: null, compression: 'none', bytes: text.length })
    const planned = await service.cli(['import', 'copy', String(result['id']), '--dry-run', '--trust-file'])
    expect([planned.code, planned.stdout], what).toEqual([1, expect.stringContaining('error not_a_dump: ')])
    const here = await runProgram(['import', 'env:TARGET', path, '--dry-run'], { env: { TARGET: target.url } })
    expect([here.code, here.stderr], what).toEqual([2, expect.stringContaining('not_a_dump')])
  }
})

test('B3: the process of an import is killed behind its COMMIT: the next one finds it done, with the backup of before', async () => {
  const { target, file, after } = await createTarget()
  await using held = target
  using folder = temporaryFolder()
  const dumps = join(folder.path, 'dumps')
  const settings = { DUMP_DIRECTORY: dumps, SYNCLINE_LEASE_SECONDS: '2', FAILPOINT: 'restore.committed:1:kill' }
  await using service = await new ServeUnderTest(settings).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: held.url, writable: true })
  await using source = await createDatabase(oldest())
  await importInto(source, file)
  await service.ask('POST', '/api/v1/datasources', { name: 'origin', url: source.url })
  const exported = await service.cli(['export', 'origin', '--json'])
  const { receipt } = (JSON.parse(exported.stdout) as { result: { receipt: { dump: Answer } } }).result
  const body = { datasource: 'copy', dump: receipt.dump['id'], trust_file: true, replace: true }
  const { job_id: id } = await service.ask('POST', '/api/sync/import', body)
  await service.succeeded(String(id))
  expect(JSON.stringify(await service.ask('GET', `/api/jobs/${String(id)}/log`))).toContain('ended unexpectedly')
  expect(withoutKey(await pgDump(held, ['--no-owner']))).toBe(after)
  const ended = (await service.ask('GET', `/api/jobs/${String(id)}/receipt`)) as {
    receipt: Answer & { backup: string }
  }
  // What is there is what it has brought itself: that it did not replace.
  expect(ended.receipt).toMatchObject({ rows: 4_000, replaced: null, takes_back: [], dependents: [] })
  expect(ended.receipt['makes']).toContainEqual({ what: 'table', name: 'public.t3' })
  expect(ended.receipt['notes']).toEqual([expect.stringContaining('died after the commit')])
  const { origin, job_id: of } = await service.ask('GET', `/api/dumps/${ended.receipt.backup}`)
  expect({ origin, of }).toEqual({ origin: 'backup', of: id })
})

const ASKED = {
  mode: 'full',
  dryRun: false,
  tables: null,
  allowProtectedWrite: false,
  approvedDeletes: null,
  approvedOverwrites: null,
} as const

test.for(['import', 'copy'] as const)(
  'B2: of the processes of an %s that are killed before its COMMIT, none leaves a backup or a part of one',
  async (kind) => {
    await using source = await createDatabase(oldest())
    await source.sql('CREATE TABLE item (id int PRIMARY KEY); INSERT INTO item SELECT generate_series(1, 100)')
    await using target = await createDatabase(oldest())
    await target.sql(`CREATE TABLE item (old text); INSERT INTO item VALUES ('old')`)
    await using service = await TestService.create('sqlite', { env: { DUMP_FREE_BYTES: '0' } })
    const { store } = service
    const page = { sort: 'created_at', descending: true, after: null, limit: 10 } as const
    const shop = await service.addDatasource(source.url)
    const mine = await service.addDatasource(target.url)
    const between = (from: string, to: string) => ({ ...ASKED, what: { source: from, target: to, policies: {} } })
    const tools = { store, rules: { protectedEnvironments: [] }, newJobId: () => testId('job') }
    await startJob(tools, { ...between(shop, shop), kind: 'export', export: DEFAULT_EXPORT }, SYSTEM)
    expect((await service.work()).job.status).toBe('succeeded')
    const { id: exported } = must((await listDumps(store, {}, page))[0], 'the export')
    const wish = { replace: true, backup: true, trusted: true }
    const restore = { ...wish, dump: exported, swap: false, owners: false, grants: false, passphrase: null }
    const asked: JobWish =
      kind === 'import'
        ? { ...between(mine, mine), kind, import: restore }
        : { ...between(shop, mine), kind, copy: { ...wish, options: DEFAULT_COPY } }
    const job = await startJob(tools, asked, SYSTEM)
    const backups = async (): Promise<readonly string[]> =>
      (await listDumps(store, { origin: 'backup', jobId: job.id }, page)).map(({ id }) => id)
    /** A dump has its digest beside it. */
    const files = (): number => readdirSync(join(service.folder, 'dumps')).length / 2
    const killAt = async (failpoint: string): Promise<void> => {
      expect(await service.work({ FAILPOINT: `${failpoint}:1:kill` }), failpoint).toMatchObject({ signal: 'SIGKILL' })
    }
    await killAt('import.backed-up')
    const [first = ''] = await backups()
    expect(first).not.toBe('')
    // Whoever takes the job over may find that it was committed, and needs it then.
    await expect(withdrawDump(store, first, { actor: SYSTEM, action: 'dump.delete' })).rejects.toMatchObject({
      code: 'in_use',
    })
    await killAt('dump.rename')
    expect(await backups()).toEqual([])
    expect(await unfinishedDumps(store, null)).toHaveLength(1)
    await killAt('restore.commit')
    expect(await backups()).toHaveLength(1)
    expect(await unfinishedDumps(store, null)).toEqual([])
    expect(files()).toBe(2)
    const { job: ended } = await service.work()
    expect(ended.status, await service.log(job.id)).toBe('succeeded')
    expect(await backups()).toEqual([(ended.result as { backup: string }).backup])
    expect(files()).toBe(2)
    expect(await target.sql('SELECT count(*) FROM item')).toEqual([['100']])
  },
)

test('B1, B2: the process of an import is killed: it is done once, all the same', async () => {
  await using source = await createDatabase(oldest())
  await source.sql(`CREATE TABLE item (id int PRIMARY KEY, name text);
    INSERT INTO item SELECT n, md5(n::text) FROM generate_series(1, 400000) n; CREATE INDEX ON item (name)`)
  using folder = temporaryFolder()
  await using target = await createDatabase(oldest())
  const dumps = join(folder.path, 'dumps')
  const settings = { DUMP_DIRECTORY: dumps, SYNCLINE_LEASE_SECONDS: '2' }
  await using service = await new ServeUnderTest(settings).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  const exported = await service.cli(['export', 'shop', '--json'])
  const { receipt } = (JSON.parse(exported.stdout) as { result: { receipt: { dump: Answer } } }).result
  const body = { datasource: 'copy', dump: receipt.dump['id'], trust_file: true }
  const { job_id: id } = await service.ask('POST', '/api/sync/import', body)
  await expect
    .poll(() => target.sql(`SELECT count(*) FROM pg_stat_progress_copy`).then(([row]) => row?.[0]), { interval: 20 })
    .toBe('1')
  for (const pid of await jobProcesses(service.program)) killNow(pid)
  await service.succeeded(String(id))
  expect(await target.sql('SELECT count(*) FROM item')).toEqual([['400000']])
  expect(readFileSync(join(dumps, String(receipt.dump['file']))).length).toBeGreaterThan(0)
})
