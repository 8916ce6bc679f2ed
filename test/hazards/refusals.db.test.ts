/**
 * What must not run is refused with its code and its next step, and nothing is written: missing rights with their GRANT,
 * a standby as target, one and the same database, a source that never answers, types that cannot be carried.
 */
import { execFile } from 'node:child_process'
import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import { findPostgresBinaries, startLocalPostgres } from '#service/local-postgres.ts'
import { createDatabase, Database, quote } from '#test/harness/database.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { sharedServers, startPrivateServer } from '#test/harness/postgres.ts'
import { createPair, mapping, pairOf, type Pair } from '#test/harness/sync.ts'

const run = promisify(execFile)
const TABLE = 'CREATE TABLE item (id int PRIMARY KEY, name text)'

async function refusal(work: Promise<unknown>): Promise<AppError> {
  const error: unknown = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  expect(error).toBeInstanceOf(AppError)
  return error as AppError
}

async function expectRefused(work: Promise<unknown>, code: ErrorCode, message: RegExp): Promise<void> {
  const error = await refusal(work)
  expect(error.code).toBe(code)
  expect(`${error.message} ${error.hint}`).toMatch(message)
}

/** A login of its own that may enter both databases and nothing more; goes away with the databases' owner's objects. */
async function withLogin<T>(
  pair: Pair,
  use: (login: { name: string; url: (db: Database) => string }) => Promise<T>,
): Promise<T> {
  const name = `login_${pair.source.name}`
  for (const db of [pair.source, pair.target]) await db.sql(`CREATE ROLE ${quote(name)} LOGIN`)
  const url = (db: Database): string => {
    const result = new URL(db.url)
    result.username = name
    return result.href
  }
  try {
    return await use({ name, url })
  } finally {
    for (const db of [pair.source, pair.target]) await db.sql(`DROP OWNED BY ${quote(name)}; DROP ROLE ${quote(name)}`)
  }
}

test('each missing right is named with the GRANT that gives it, and with them the run goes through', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  await pair.both(TABLE)
  await pair.source.sql(`INSERT INTO item VALUES (1, 'a')`)
  await withLogin(pair, async ({ name, url }) => {
    const login = { sourceUrl: url(pair.source), targetUrl: url(pair.target) }
    await expectRefused(
      pair.run({}, login),
      'missing_privilege',
      new RegExp(
        `GRANT SELECT ON "public"."item" TO "${name}";[^]*GRANT SELECT, INSERT, UPDATE ON "public"."item" TO "${name}";`,
      ),
    )
    await pair.source.sql(`GRANT SELECT ON item TO ${quote(name)}`)
    await pair.target.sql(`GRANT SELECT, INSERT, UPDATE ON item TO ${quote(name)}`)
    await expectRefused(pair.run({}, login), 'missing_privilege', /GRANT CREATE ON DATABASE/)
    expect(await pair.target.sql(`SELECT count(*) FROM item`)).toEqual([['0']])
    await pair.target.sql(`GRANT CREATE ON DATABASE ${quote(pair.target.name)} TO ${quote(name)}`)
    expect((await pair.run({}, login)).counts.inserted).toBe(1)
    await expectRefused(
      pair.run({ deletePolicy: 'delete' }, login),
      'missing_privilege',
      /GRANT DELETE ON "public"."item"/,
    )
  })
})

test('a schema that may not be looked into is named with its GRANT', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  await pair.both(`CREATE SCHEMA shut; CREATE TABLE shut.item (id int PRIMARY KEY)`)
  await withLogin(pair, async ({ name, url }) => {
    await pair.both(`GRANT SELECT, INSERT, UPDATE ON shut.item TO ${quote(name)}`)
    const ref = { schema: 'shut', name: 'item' }
    await expectRefused(
      pair.run(
        { tables: [{ ...mapping('item'), source: ref, target: ref }] },
        { sourceUrl: url(pair.source), targetUrl: url(pair.target) },
      ),
      'missing_privilege',
      /GRANT USAGE ON SCHEMA "shut"/,
    )
  })
})

test('a standby is refused as target and serves as source', async () => {
  const binaries = (await findPostgresBinaries())[0]
  if (binaries === undefined) throw new Error('No PostgreSQL on this machine.')
  await using primary = await startPrivateServer({ major: binaries.major })
  await using shop = await createDatabase({ url: primary.url('postgres'), major: binaries.major })
  await shop.sql(`${TABLE}; INSERT INTO item SELECT i, 'n' || i FROM generate_series(1, 500) i`)
  const [[data]] = (await shop.sql('SHOW data_directory')) as [[string]]
  const folder = await mkdtemp(join(tmpdir(), 'syncline-standby-'))
  try {
    await primary.stop()
    await run('cp', ['-a', data, join(folder, 'data')])
    await writeFile(join(folder, 'data', 'standby.signal'), '')
    await run('chown', ['-R', '--reference', data, folder])
    await primary.start()
    const { port } = new URL(primary.url('postgres'))
    const settings = { primary_conninfo: `host=127.0.0.1 port=${port} user=postgres`, hot_standby: 'on' }
    await using standby = await startLocalPostgres({ binaries, template: { major: binaries.major, folder }, settings })
    const seen = new Database({ url: standby.url(shop.name), major: binaries.major }, shop.name)
    await expect.poll(() => seen.sql('SELECT pg_is_in_recovery()')).toEqual([['t']])
    await using elsewhere = await createDatabase(sharedServers().target)
    await elsewhere.sql(TABLE)
    await using toStandby = pairOf(await createDatabase(sharedServers().source), elsewhere)
    await toStandby.source.sql(TABLE)
    await expectRefused(toStandby.run({}, { targetUrl: seen.url }), 'read_only_server', /standby/)
    expect((await toStandby.run({ parallel: 2 }, { sourceUrl: seen.url })).counts.inserted).toBe(500)
    // It knows nothing of who writes, and is not believed to.
    await using adapter = await openDatabase(seen.url, { write: null, signal: new AbortController().signal })
    const table = { schema: 'public', name: 'item' }
    await adapter.describe([table])
    expect(await adapter.detectionFacts([{ table, columns: ['id'] }])).toMatchObject({
      sessions: { complete: false, why: expect.stringContaining('standby') as string, remedy: null },
      tables: [{ writes: null, sample: { rows: 500, whole: true }, columns: [{ index: 'item_pkey' }] }],
    })
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
})

test('a target whose sessions are read-only by default is refused', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  await pair.both(TABLE)
  await pair.target.sql(`ALTER DATABASE ${quote(pair.target.name)} SET default_transaction_read_only = on`)
  await expectRefused(pair.run(), 'read_only_server', /default_transaction_read_only/)
})

test('one database by two names is refused by proof; another database of the same server is not', async () => {
  const { source } = sharedServers()
  await using pair = await createPair(source, source)
  await pair.both(TABLE)
  const other = new URL(pair.source.url)
  other.hostname = other.hostname === 'localhost' ? '127.0.0.1' : 'localhost'
  await expectRefused(pair.run({}, { targetUrl: other.href }), 'same_database', /another database/)
  expect((await pair.run()).counts.read).toBe(0)
})

test('a source that accepts and never answers is given up in time', async () => {
  const { source } = sharedServers()
  await using db = await createDatabase(source)
  await using proxy = await startFaultProxyFor(db.url)
  await proxy.faults.set({ connect: 'silent' })
  const url = new URL(proxy.url(db.url))
  url.searchParams.set('connect_timeout', '2')
  const { signal } = new AbortController()
  await expectRefused(openDatabase(url.href, { write: null, signal }), 'connection_timeout', /did not answer/)
})

test('types that cannot be carried are all named at once, before anything is written', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  await pair.source.sql(`CREATE TABLE item (id int PRIMARY KEY, price numeric, at timestamp, note text)`)
  await pair.target.sql(`CREATE TABLE item (id int PRIMARY KEY, price int, at timestamptz, note varchar(10))`)
  const error = await refusal(pair.run())
  expect(error.code).toBe('impossible_mapping')
  expect(error.message).toMatch(/price[^]*at \(timestamp[^]*note/)
  expect(await pair.target.sql(`SELECT to_regnamespace('syncline')`)).toEqual([[null]])
})
