/** Dumps restored on trial: whole ones work; whatever is wrong with one is found; and no database is left behind. */
import { createHash } from 'node:crypto'

import { describe, expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import { drillDump, type Drilled, type DrillTools } from '#dump/drill-dump.ts'
import { must } from '#lib/assert.ts'
import { sealLines, SEAL_BYTES } from '#model/dump.ts'

import { Backups } from '#test/harness/backups.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { EVERYTHING } from '#test/harness/everything.ts'
import { fileOf, importInto, pgDump, readOptions, refusal } from '#test/harness/import.ts'
import { permitWrite } from '#test/harness/permit.ts'
import { sharedServers, type TestServer } from '#test/harness/postgres.ts'

const oldest = (): TestServer => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

const NAME = 'syncline_drill_of_the_tests'

/** Another one than made the dumps of the tests. */
const PROGRAM = '0.0.0-other'

async function drill(
  beside: Pick<Database, 'url'>,
  file: Buffer | string,
  hooks: Partial<DrillTools> & { readonly trusted?: boolean } = {},
): Promise<Drilled> {
  const { trusted = true, ...rest } = hooks
  const { signal } = readOptions()
  await using adapter = await openDatabase(beside.url, { write: permitWrite(beside.url), signal })
  const makeScratch = must(adapter.restore?.scratch, 'a target that was opened for writing')
  await using scratch = await makeScratch(NAME)
  const tools: DrillTools = {
    ...readOptions(),
    journal: { record: () => undefined },
    program: PROGRAM,
    onDigest: () => undefined,
    ...rest,
  }
  return await drillDump(scratch, fileOf(file), { trusted, owners: true, grants: true }, tools)
}

async function left(server: TestServer): Promise<unknown> {
  await using db = await createDatabase(server)
  return await db.sql(`SELECT count(*) FROM pg_database WHERE datname = '${NAME}'`)
}

const SHOP = `
  CREATE TYPE state AS ENUM ('new', 'paid');
  CREATE TABLE buyer (id int PRIMARY KEY, name text NOT NULL, CHECK (id > 0));
  CREATE TABLE bill (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, buyer int REFERENCES buyer, state state, twice int GENERATED ALWAYS AS (buyer * 2) STORED);
  INSERT INTO buyer SELECT n, E'buyer\\t' || n FROM generate_series(1, 50) n;
  INSERT INTO bill (buyer, state) SELECT n, 'new' FROM generate_series(1, 50) n;
  CREATE VIEW open_bill AS SELECT * FROM bill WHERE state = 'new'`

/** The rows of a dump changed, and its digest made to fit again: only what is restored can tell. */
function resealed(sql: string, change: (text: string) => string): string {
  const body = change(sql.slice(0, -SEAL_BYTES))
  return body + sealLines(createHash('sha256').update(body).digest('hex'))
}

test('P14: a whole dump works: every row, every definition, every constraint', async () => {
  await using a = await createDatabase(oldest())
  await a.sql(EVERYTHING)
  const { packed, head } = await dump(a, { owners: true, grants: true })
  const drilled = await drill(a, packed, { program: head.program })
  expect(drilled.faults).toEqual([])
  expect(drilled).toMatchObject({ definitions: 'same texts' })
  expect(drilled.rows).toBeGreaterThan(1_000)
  expect(drilled.constraints).toBeGreaterThan(5)
  const others = drilled.tables.filter(({ told, restored, same }) => told !== restored || same !== true)
  // Its rows are in other partitions there, which have their columns in another order.
  expect(others).toEqual([expect.objectContaining({ table: 'moods', same: null })])
  expect(await left(oldest())).toEqual([['0']])
})

test.for([
  ['INSERTs of ours', (db: Database) => dump(db, { style: 'insert' }).then(({ packed }) => packed)],
  ['some tables', (db: Database) => dump(db, { tables: ['public.b*'] }).then(({ packed }) => packed)],
  ['a file of pg_dump', (db: Database) => pgDump(db).then((text) => Buffer.from(text))],
] as const)('%s: what cannot be compared is counted', async ([, make]) => {
  await using a = await createDatabase(oldest())
  await a.sql(SHOP)
  const drilled = await drill(a, await make(a))
  expect(drilled).toMatchObject({ faults: [], rows: 100, definitions: 'names' })
})

test('a dump of one server works on the other', async () => {
  const { source, target } = sharedServers()
  await using a = await createDatabase(source)
  await using b = await createDatabase(target)
  await a.sql(SHOP)
  expect(await drill(b, (await dump(a)).packed)).toMatchObject({ faults: [], rows: 100 })
})

test('what is not valid in the source either is a note', async () => {
  await using a = await createDatabase(oldest())
  await a.sql(
    `${SHOP}; INSERT INTO bill (buyer) VALUES (NULL); ALTER TABLE bill ADD CONSTRAINT paid CHECK (state IS NOT NULL) NOT VALID`,
  )
  const { faults, notes } = await drill(a, (await dump(a)).packed)
  expect(faults).toEqual([])
  expect(notes).toContainEqual(expect.stringContaining('constraint paid on table'))
})

describe('D14: what does not work is found', () => {
  const table = 'COPY "public"."buyer" ("id", "name") FROM stdin;\n'
  test.for([
    ['a file that was cut', (sql: string) => sql.slice(0, -100), /ends within/],
    ['a byte that is another one', (sql: string) => sql.replace('buyer\\t7', 'buyer\\t8'), /digest is another/],
    [
      'rows that are told and not there',
      (sql: string) => resealed(sql, (t) => t.replace(`${table}1\tbuyer\\t1\n`, table)),
      /it has 49 rows/,
    ],
    [
      'a row that breaks a key',
      (sql: string) => resealed(sql, (t) => t.replace('\n2\tbuyer\\t2\n', '\n1\tbuyer\\t2\n')),
      /buyer_pkey/,
    ],
    [
      'a row that breaks a check',
      (sql: string) => resealed(sql, (t) => t.replace('\n50\tbuyer\\t50\n', '\n-50\tbuyer\\t50\n')),
      /SQLSTATE 23/,
    ],
    [
      'a definition that the server refuses',
      (sql: string) => resealed(sql, (t) => t.replace("'new',", "'new', 'new',")),
      /CREATE TYPE .*SQLSTATE 23/,
    ],
    [
      'something that no dump holds',
      (sql: string) => resealed(sql, (t) => t.replace(table, `DO 'x';\n${table}`)),
      /DO/,
    ],
  ] as const)('%s', async ([, change, words]) => {
    await using a = await createDatabase(oldest())
    await a.sql(SHOP)
    const { sql } = await dump(a, { compression: 'none' })
    const changed = change(sql)
    expect(changed).not.toBe(sql)
    const { faults } = await drill(a, changed)
    expect(faults).toEqual([expect.stringMatching(words)])
    expect(await left(oldest())).toEqual([['0']])
  })

  test('rows that come back with other values show in what is read back', async () => {
    await using a = await createDatabase(oldest())
    await a.sql(SHOP)
    const { sql } = await dump(a, { compression: 'none' })
    const trigger = `CREATE FUNCTION public.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN NEW.name := upper(NEW.name); RETURN NEW; END';\nCREATE TRIGGER t BEFORE INSERT ON public.buyer FOR EACH ROW EXECUTE FUNCTION public.f();\n`
    const spoiled = resealed(sql, (t) => t.replace(table, `${trigger}${table}`))
    const { faults } = await drill(a, spoiled)
    expect(faults).toContain('buyer has other values than the dump.')
  })
})

test('S42: what is no fault of the dump is an error: a login that may do anything, a dump of rows alone, a sealed one', async () => {
  await using a = await createDatabase(oldest())
  await a.sql(SHOP)
  const { packed } = await dump(a)
  expect((await refusal(drill(a, packed, { trusted: false }))).code).toBe('restore_privileged')
  const rows = await dump(a, { content: 'data' })
  expect((await refusal(drill(a, rows.packed))).code).toBe('dump_unfit')
  expect(await left(oldest())).toEqual([['0']])
})

test('S42: nor is what the login may not do, or what only a trusted file may hold', async () => {
  await using a = await createDatabase(oldest())
  const role = `drills_${a.name.slice(-12)}`
  await a.sql(`${SHOP}; CREATE ROLE ${role} LOGIN CREATEDB; CREATE EXTENSION pageinspect`)
  try {
    const url = new URL(a.url)
    url.username = role
    const denied = await refusal(drill({ url: url.href }, (await dump(a)).packed, { trusted: false }))
    expect([denied.code, denied.message]).toEqual(['restore_failed', expect.stringContaining('42501')])
    await a.sql(`DROP EXTENSION pageinspect; CREATE FUNCTION f() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
      CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION f()`)
    const untrusted = await refusal(drill({ url: url.href }, (await dump(a)).packed, { trusted: false }))
    expect([untrusted.code, untrusted.message]).toEqual(['dump_refused', expect.stringContaining('CREATE EVENT')])
  } finally {
    await a.sql(`DROP ROLE ${role}`)
  }
})

test('S42: a login that may make no database is told what it lacks', async () => {
  await using a = await createDatabase(oldest())
  await a.sql(`${SHOP}; DROP ROLE IF EXISTS drill_reader; CREATE ROLE drill_reader LOGIN PASSWORD 'x'`)
  const url = new URL(a.url)
  url.username = 'drill_reader'
  url.password = 'x'
  const error = await refusal(drill({ url: url.href }, (await dump(a)).packed))
  expect([error.code, error.hint]).toEqual(['missing_privilege', expect.stringContaining('CREATEDB')])
  await a.sql('DROP ROLE drill_reader')
})

test('B1: what an attempt that was killed has left is dropped by the next one', async () => {
  await using a = await createDatabase(oldest())
  await a.sql(SHOP)
  await a.sql(`CREATE DATABASE ${NAME}`)
  expect(await drill(a, (await dump(a)).packed)).toMatchObject({ faults: [] })
  expect(await left(oldest())).toEqual([['0']])
})

test('a backup that builds on what its database has besides is not judged where that is not there; others are', async () => {
  await using a = await createDatabase(oldest())
  await a.sql(SHOP)
  const backups = new Backups(a)
  const keep = { replace: true, backup: backups.keep }
  await importInto(a, (await dump(a)).packed, keep)
  expect((await drill(a, backups.last)).faults).toEqual([])
  await importInto(
    a,
    '-- PostgreSQL database dump\nCREATE VIEW public.open_bill AS SELECT 1 AS one;\n-- PostgreSQL database dump complete\n',
    keep,
  )
  const error = await refusal(drill(a, backups.last))
  expect([error.code, error.message]).toEqual([
    'dump_unfit',
    expect.stringMatching(/builds on what .* has besides.*CREATE VIEW public\.open_bill/),
  ])
})
