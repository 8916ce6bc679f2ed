/** The command line as a user meets it: real processes on real servers, judged by exit code, both streams and the data. */
import { mkdtemp, readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createDatabase, expectSameTable, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, runProgram, startProgram, type Exit } from '#test/harness/process.ts'

expectNoProgramSurvives()

interface Pair extends AsyncDisposable {
  readonly source: Database
  readonly target: Database
  /** Runs a command line on both databases. */
  run(command: string, ...args: string[]): Promise<Exit>
}

async function createPair(sourceSql: string, targetSql = ''): Promise<Pair> {
  const servers = sharedServers()
  await using stack = new AsyncDisposableStack()
  const source = stack.use(await createDatabase(servers.source))
  const target = stack.use(await createDatabase(servers.target))
  await source.sql(sourceSql)
  if (targetSql !== '') await target.sql(targetSql)
  const kept = stack.move()
  return {
    source,
    target,
    run: (command, ...args) =>
      runProgram([command, 'env:SOURCE', 'env:TARGET', ...args], { env: ends(source, target) }),
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  }
}

function ends(source: Database, target: Database): Record<string, string> {
  return { SOURCE: source.url, TARGET: target.url }
}

const ITEMS = 'CREATE TABLE items (id int PRIMARY KEY, name text NOT NULL, price numeric(10,2))'
const SOURCE = `${ITEMS}; INSERT INTO items SELECT n, 'item ' || n, n * 1.25 FROM generate_series(1, 50) n`
const TARGET = `${ITEMS}; INSERT INTO items SELECT n, 'item ' || n, n * 1.25 FROM generate_series(3, 52) n;
  UPDATE items SET name = 'other' WHERE id IN (5, 6)`

interface Envelope {
  command: string
  ok: boolean
  summary: string
  result: Record<string, unknown> | null
  error: { code: string; message: string; hint: string; retry: string; docs: string } | null
}

function envelope({ stdout }: Exit): Envelope {
  expect(stdout.trimEnd().split('\n')).toHaveLength(1)
  const parsed: Envelope = JSON.parse(stdout)
  expect(Object.keys(parsed)).toEqual(['command', 'ok', 'summary', 'result', 'error'])
  return parsed
}

/** What a server has beyond its own: relations and rows written, by its catalogue. */
async function traces(db: Database): Promise<string> {
  const rows = await db.sql(
    `SELECT n.nspname, c.relname, c.relfilenode FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname NOT IN ('pg_catalog', 'pg_toast', 'information_schema') ORDER BY 1, 2`,
  )
  const [items] = await db.sql('SELECT string_agg(t::text, chr(10) ORDER BY id) || max(xmin::text) FROM items t')
  return JSON.stringify([rows, items])
}

test('a sync brings the target in step, says so, and proves it', async () => {
  await using pair = await createPair(SOURCE, TARGET)
  const synced = await pair.run('sync', '--yes')
  expect(synced).toMatchObject({ code: 0 })
  expect(synced.stdout).toMatch(/^public\.items +2 +2 +0 +46 +/m)
  expect(synced.stdout).toMatch(/proved equal: \d+ rows, digest [0-9a-f]{16}…\n$/)
  const diff = await pair.run('diff')
  expect(diff).toMatchObject({ code: 3 })
  expect(diff.stdout).toMatch(/> id=51 {2}only in target/)
  expect(await pair.run('sync', '--delete', '--delete-scope', 'mirror', '--yes')).toMatchObject({ code: 0 })
  await expectSameTable(pair.source, pair.target, 'items')
  expect(await pair.run('diff')).toMatchObject({ code: 0 })
  expect(await pair.run('verify')).toMatchObject({ code: 0 })
})

test('every command answers with one envelope under --json', async () => {
  await using pair = await createPair(SOURCE, TARGET)
  const plan = await pair.run('sync', '--dry-run', '--json')
  expect(envelope(plan)).toMatchObject({ command: 'sync', ok: true, error: null, result: { dryRun: true, stop: null } })
  expect(plan).toMatchObject({ code: 0, stderr: '' })
  const diff = envelope(await pair.run('diff', '--json'))
  expect(diff).toMatchObject({
    command: 'diff',
    ok: false,
    error: null,
    result: { equal: false, tables: [{ onlyInSource: 2, onlyInTarget: 2, different: 2 }] },
  })
  const verified = envelope(await pair.run('verify', '--json'))
  expect(verified).toMatchObject({ command: 'verify', ok: false, error: null, result: { equal: false } })
  const receipt = envelope(await pair.run('sync', '--yes', '--json'))
  expect(receipt).toMatchObject({
    ok: true,
    result: { dryRun: false, counts: { read: 52, inserted: 2, skipped: 2, updated: 2, unchanged: 46 } },
  })
  const refused = await pair.run('sync', '--json')
  expect(envelope(refused)).toMatchObject({ ok: false, result: null, error: { code: 'target_not_writable' } })
  const usage = await pair.run('sync', '--json', '--batch-size', 'many')
  expect(envelope(usage)).toMatchObject({ command: 'sync', ok: false, error: { code: 'usage' } })
  const doctor = await runProgram(['doctor', 'env:SOURCE', '--json'], { env: ends(pair.source, pair.target) })
  expect(envelope(doctor)).toMatchObject({ command: 'doctor', ok: true, result: [{ what: 'env:SOURCE' }] })
})

test('a dry run writes nothing, and neither does a refusal', async () => {
  await using pair = await createPair(SOURCE, TARGET)
  const before = await traces(pair.target)
  const plan = await pair.run('sync', '--dry-run', '--delete', '--delete-scope', 'mirror')
  expect(plan).toMatchObject({ code: 0 })
  expect(plan.stdout).toMatch(/^public\.items +2 +2 +2 +46 +0$/m)
  expect(plan.stdout).toContain("~ id=5  name: 'other' → 'item 5'")
  expect(plan.stdout).toContain("+ id=1  name: 'item 1', price: 1.25")
  expect(await pair.run('sync')).toMatchObject({ code: 5 })
  expect(await pair.run('diff')).toMatchObject({ code: 3 })
  expect(await traces(pair.target)).toBe(before)
})

test('consent: who writes where is said twice for a target that is protected', async () => {
  await using pair = await createPair(SOURCE, TARGET)
  const before = await traces(pair.target)
  const refusals: [args: string[], code: string, flag: string][] = [
    [[], 'target_not_writable', '--yes'],
    [['--no-input'], 'target_not_writable', '--yes'],
    [['--yes', '--target-env', 'production'], 'target_protected', '--allow-protected-write'],
    [['--yes', '--target-env', 'prod'], 'target_protected', '--allow-protected-write'],
    [['--yes', '--target-env', 'stage'], 'target_protected', '--allow-protected-write'],
  ]
  for (const [args, code, flag] of refusals) {
    const refused = await pair.run('sync', ...args)
    expect({ args, ...refused }).toMatchObject({ code: 5, stdout: '' })
    expect(refused.stderr).toContain(`error ${code}: `)
    expect(refused.stderr).toContain(flag)
  }
  expect(await pair.run('sync', '--yes', '--target-env', 'nowhere')).toMatchObject({ code: 2 })
  expect(await traces(pair.target)).toBe(before)
  const allowed = ['--yes', '--target-env', 'production', '--allow-protected-write']
  expect(await pair.run('sync', ...allowed)).toMatchObject({ code: 0 })
  expect(await pair.run('sync', '--yes', '--target-env', 'dev')).toMatchObject({ code: 0 })
})

test('tables and columns are chosen and renamed by flags, whatever their names', async () => {
  await using pair = await createPair(
    `CREATE SCHEMA "Odd ""s"""; CREATE TABLE "Odd ""s"""."a.b:c" ("k,=" int PRIMARY KEY, "v*" text, secret text);
     INSERT INTO "Odd ""s"""."a.b:c" SELECT n, 'v' || n, 'x' FROM generate_series(1, 20) n;
     CREATE TABLE log_1 (id int PRIMARY KEY); CREATE TABLE log_2 (id int PRIMARY KEY); CREATE TABLE rest (id int PRIMARY KEY);
     INSERT INTO log_1 VALUES (1); INSERT INTO log_2 VALUES (1); INSERT INTO rest VALUES (1)`,
    `CREATE TABLE copy (key int PRIMARY KEY, value text, secret text DEFAULT 'kept');
     CREATE TABLE log_1 (id int PRIMARY KEY); CREATE TABLE log_2 (id int PRIMARY KEY); CREATE TABLE rest (id int PRIMARY KEY)`,
  )
  const odd = '"Odd ""s"""."a.b:c"'
  const renamed = await pair.run(
    'sync',
    '--table',
    `${odd}:copy`,
    '--exclude',
    `${odd}=secret`,
    '--rename',
    `${odd}."k,="=key`,
    '--rename',
    `${odd}."v*"=value`,
    '--yes',
    '--json',
  )
  expect(envelope(renamed)).toMatchObject({ ok: true, result: { counts: { inserted: 20 } } })
  expect(await pair.target.sql('SELECT key, value, secret FROM copy ORDER BY key LIMIT 1')).toEqual([
    ['1', 'v1', 'kept'],
  ])
  const logs = await pair.run('sync', '--table', 'log_*', '--exclude-table', 'log_2', '--yes', '--json')
  expect(envelope(logs)).toMatchObject({
    ok: true,
    result: { tables: [{ target: { schema: 'public', name: 'log_1' } }] },
  })
  expect(await pair.target.sql('SELECT (SELECT count(*) FROM log_2), (SELECT count(*) FROM rest)')).toEqual([
    ['0', '0'],
  ])
  const none = await pair.run('sync', '--table', 'log_*', '--exclude-table', '*', '--yes')
  expect(none).toMatchObject({ code: 2 })
  expect(none.stderr).toContain('no_tables')
  const stray = await pair.run('sync', '--table', 'log_1', '--exclude', 'rest=id', '--yes')
  expect(stray).toMatchObject({ code: 2 })
  expect(stray.stderr).toContain('public.rest')
})

test('exit code 2: what the command line says cannot be done', async () => {
  await using pair = await createPair(SOURCE)
  for (const args of [[], ['sync'], ['sync', 'a'], ['nonsense'], ['sync', 'a', 'b', '--nonsense']]) {
    const usage = await runProgram(args)
    expect({ args, ...usage }).toMatchObject({ code: 2 })
    expect(usage.stderr).toContain('error usage: ')
  }
  const missing = await pair.run('sync', '--table', 'items', '--yes')
  expect(missing).toMatchObject({ code: 2 })
  expect(missing.stderr).toContain('error table_not_found: ')
  expect(missing.stderr).toContain('--create')
  const bad = await runProgram(['sync', 'oracle://u@h/d', 'env:TARGET', '--yes'], { env: { TARGET: pair.target.url } })
  expect(bad).toMatchObject({ code: 2 })
  expect(bad.stderr).toContain('error invalid_url: ')
  // That nobody has agreed comes after whether there is anything to agree to.
  for (const line of [
    ['sync', 'env:TARGET', 'oracle://u@h/d'],
    ['import', 'oracle://u@h/d', 'none.sql'],
  ]) {
    const judged = await runProgram(line, { env: { TARGET: pair.target.url } })
    expect(judged).toMatchObject({ code: 2 })
    expect(judged.stderr).toContain('error invalid_url: The target: There is no adapter for oracle: URLs.')
  }
  expect(await runProgram(['sync', 'env:NOT_SET_AT_ALL', 'env:TARGET', '--yes'])).toMatchObject({ code: 2 })
  expect(await runProgram(['sync', '--help'])).toMatchObject({ code: 0, stderr: '' })
})

test('exit code 3: a row that the target refuses is set aside and told', async () => {
  await using pair = await createPair(SOURCE, `${ITEMS}; ALTER TABLE items ADD CHECK (price < 60)`)
  const synced = await pair.run('sync', '--yes')
  expect(synced).toMatchObject({ code: 3 })
  expect(synced.stdout).toMatch(/3 of 50 rows of public\.items were not written:\n {2}3 × 23514 .*for example id=48/)
  expect(await pair.target.sql('SELECT count(*) FROM items')).toEqual([['47']])
  const rejected = envelope(await pair.run('sync', '--yes', '--json'))
  expect(rejected).toMatchObject({ ok: false, error: null, result: { counts: { rejected: 3 } } })
})

test('exit code 4: the database cannot be reached or entered', async () => {
  await using pair = await createPair(SOURCE)
  const { host, port } = new URL(pair.source.url)
  const cases: [url: string, code: string][] = [
    [`postgres://u@${host}/no_such_database?sslmode=disable`, 'authentication_failed|database_not_found'],
    ['postgres://u@host.invalid/d', 'host_not_found'],
    ['postgres://u@127.0.0.1:1/d', 'connection_refused'],
    [`postgres://postgres@127.0.0.1:${port}/postgres?sslmode=verify-full`, 'tls_failed'],
  ]
  for (const [url, code] of cases) {
    const failed = await runProgram(['sync', url, 'env:TARGET', '--yes'], { env: { TARGET: pair.target.url } })
    expect({ url, ...failed }).toMatchObject({ code: 4 })
    expect(failed.stderr).toMatch(new RegExp(`^error (${code}): The source: `, 'm'))
    expect(failed.stderr).toMatch(/^ {2}docs\/errors\.md#/m)
  }
})

test('exit code 5: a brake stops the run before the first write; its number lets it pass', async () => {
  await using pair = await createPair(
    `${ITEMS}; INSERT INTO items VALUES (1, 'only', 1)`,
    `${ITEMS}; INSERT INTO items SELECT n, 'item', 1 FROM generate_series(1, 500) n`,
  )
  const mirror = ['--delete', '--delete-scope', 'mirror']
  const braked = await pair.run('sync', ...mirror, '--yes')
  expect(braked).toMatchObject({ code: 5 })
  expect(braked.stderr).toMatch(/error delete_brake: .*499/)
  expect(await pair.target.sql('SELECT count(*) FROM items')).toEqual([['500']])
  const plan = await pair.run('sync', ...mirror, '--dry-run')
  expect(plan).toMatchObject({ code: 3 })
  expect(plan.stdout).toContain('The run would stop: ')
  expect(await pair.run('sync', ...mirror, '--approve-deletes', '499', '--yes')).toMatchObject({ code: 0 })
  await expectSameTable(pair.source, pair.target, 'items')
})

/** A row whose write waits for an advisory lock, so that a run can be met in the middle. */
const WAITING_ROW = `
  CREATE FUNCTION wait() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN IF new.id = 350 THEN PERFORM pg_advisory_xact_lock(350); END IF; RETURN new; END';
  CREATE TRIGGER wait BEFORE INSERT ON items FOR EACH ROW EXECUTE FUNCTION wait();
  ALTER TABLE items ENABLE ALWAYS TRIGGER wait`

test.each(['SIGINT', 'SIGTERM'] as const)(
  'exit code 130: %s keeps what was committed, and says how to go on',
  async (signal) => {
    await using pair = await createPair(
      `${ITEMS}; INSERT INTO items SELECT n, 'item ' || n, 1 FROM generate_series(1, 1000) n`,
      `${ITEMS}; INSERT INTO items VALUES (1, 'item 1', 1); ${WAITING_ROW}`,
    )
    await using holder = await pair.target.connect()
    await holder.query('SELECT pg_advisory_lock(350)')
    const args = ['sync', 'env:SOURCE', 'env:TARGET', '--batch-size', '100', '--yes']
    await using program = startProgram(args, {
      env: { ...ends(pair.source, pair.target), npm_lifecycle_event: undefined },
    })
    const waiting = (): Promise<unknown> =>
      pair.target.sql("SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = 350")
    await expect.poll(waiting, { timeout: 60_000 }).toEqual([['1']])
    program.signal(signal)
    const stopped = await program.exit
    expect(stopped).toMatchObject({ code: 130 })
    expect(stopped.stderr).toContain('error interrupted: ')
    expect(stopped.stderr).toContain('  syncline sync env:SOURCE env:TARGET --batch-size 100 --yes\n')
    await holder.query('SELECT pg_advisory_unlock(350)')
    const [[committed] = []] = await pair.target.sql('SELECT count(*) FROM items')
    expect(Number(committed)).toBeGreaterThan(1)
    expect(Number(committed)).toBeLessThan(1000)
    const resumed = await pair.run('sync', '--batch-size', '100', '--yes', '--json')
    expect(envelope(resumed)).toMatchObject({ ok: true })
    await expectSameTable(pair.source, pair.target, 'items')
  },
)

test('nothing is left in the temporary directory, whatever the end', async () => {
  await using pair = await createPair(SOURCE)
  expect(await pair.run('sync', '--create', '--yes')).toMatchObject({ code: 0 })
  expect(await pair.run('sync', '--table', 'absent', '--yes')).toMatchObject({ code: 2 })
  const folder = await mkdtemp(join(tmpdir(), 'syncline-test-'))
  try {
    const env = { ...ends(pair.source, pair.target), SYNCLINE_TEMP_DIR: folder }
    for (const args of [['--yes'], ['--dry-run'], ['--key', 'items=price,absent', '--yes']]) {
      await runProgram(['sync', 'env:SOURCE', 'env:TARGET', ...args], { env })
    }
    expect(await readdir(folder)).toEqual([])
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})
