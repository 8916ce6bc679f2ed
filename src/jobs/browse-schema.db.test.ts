import { describe, expect, test, vi } from 'vitest'
import { Connection } from '#adapters/postgres/connection.ts'
import { openDatabase } from '#adapters/registry.ts'
import { Secret } from '#lib/secret.ts'
import { createDatabase, quote } from '#test/harness/database.ts'
import { createRegistry } from '#test/harness/datasources.ts'
import { eachServer, sharedServers } from '#test/harness/postgres.ts'
import { SchemaBrowser, type BrowseQuestion } from './browse-schema.ts'
import { describeDatasource } from './open-datasource.ts'

const { signal } = new AbortController()
const ALL: BrowseQuestion = { search: null, after: null, limit: 1_000, fresh: false }

const NAMES = (n: number): string => `t${String(n).padStart(4, '0')}`

describe.each(eachServer().map((server) => [server.major, server] as const))('PostgreSQL %i', (_major, server) => {
  test('5,000 tables are browsed by a handful of statements, page by page, and found by a part of their names', async () => {
    await using db = await createDatabase(server)
    await using registry = await createRegistry('sqlite')
    const browser = new SchemaBrowser(registry.tools)
    for (let from = 0; from < 5_000; from += 1_000) {
      await db.sql(`DO $$ BEGIN FOR i IN ${from}..${from + 999} LOOP EXECUTE format(
        'CREATE TABLE %I (id int8 PRIMARY KEY, a numeric(12,2) NOT NULL, b text DEFAULT %L, c timestamptz)',
        't' || lpad(i::text, 4, '0'), 'x'); END LOOP; END $$`)
    }
    const datasource = await registry.add(db.url)
    const statements = vi.spyOn(Connection.prototype, 'query')
    const first = await browser.browse(datasource, { ...ALL, limit: 100 }, signal)
    expect(first).toMatchObject({ more: true, total: 5_000 })
    const names = first.tables.map(({ table }) => table.name)
    for (let { more, tables } = first; more;) {
      const page = await browser.browse(datasource, { ...ALL, after: tables.at(-1)?.table ?? null }, signal)
      names.push(...page.tables.map(({ table }) => table.name))
      ;({ more, tables } = page)
      expect(page.at).toBe(first.at)
    }
    expect(names).toEqual(Array.from({ length: 5_000 }, (_, i) => NAMES(i)))
    const found = await browser.browse(datasource, { ...ALL, search: 'C.T499' }, signal)
    expect(found.tables.map(({ table }) => table.name)).toEqual(Array.from({ length: 10 }, (_, i) => NAMES(4_990 + i)))
    expect(found.tables[0]?.columns[1]).toEqual({
      name: 'a',
      type: 'numeric(12,2)',
      nullable: false,
      default: null,
      generated: false,
    })
    expect(statements.mock.calls.length).toBeLessThan(10)
    statements.mockRestore()
  })
})

test('tables are remembered until somebody asks anew, or the datasource changes', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using registry = await createRegistry('sqlite')
  const browser = new SchemaBrowser(registry.tools)
  const datasource = await registry.add(db.url)
  const count = async (changes: Partial<BrowseQuestion> = {}, of = datasource): Promise<number> =>
    (await browser.browse(of, { ...ALL, ...changes }, signal)).tables.length
  expect(await count()).toBe(0)
  await db.sql('CREATE TABLE t (id int)')
  expect(await count()).toBe(0)
  expect(await count({ fresh: true })).toBe(1)
  await db.sql('CREATE TABLE u (id int)')
  expect(await count({}, { ...datasource, version: 2 })).toBe(2)
})

test('what each table is: kinds, exact types, keys, foreign keys, estimates', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using registry = await createRegistry('sqlite')
  await db.sql(
    `CREATE SCHEMA "Odd ""name"; CREATE TABLE "Odd ""name"."T.1" (a int, b varchar(3)[], PRIMARY KEY (b, a));
    CREATE TABLE child (id int GENERATED ALWAYS AS IDENTITY, a int, b varchar(3)[], n int GENERATED ALWAYS AS (a * 2) STORED,
      code text UNIQUE, FOREIGN KEY (a, b) REFERENCES "Odd ""name"."T.1" (a, b) MATCH SIMPLE);
    CREATE VIEW v AS SELECT 1 AS one; CREATE MATERIALIZED VIEW m AS SELECT 2::numeric(5,1) AS two;
    CREATE TABLE p (id int) PARTITION BY RANGE (id); CREATE TABLE p1 PARTITION OF p FOR VALUES FROM (0) TO (9)`
      .replace('REFERENCES "Odd ""name"."T.1" (a, b)', 'REFERENCES "Odd ""name"."T.1"(a, b)')
      .replace('PRIMARY KEY (b, a)', 'PRIMARY KEY (b, a), UNIQUE (a, b)'),
  )
  await db.sql(`INSERT INTO child (code) SELECT g::text FROM generate_series(1, 50) g; ANALYZE child`)
  const { tables } = await new SchemaBrowser(registry.tools).browse(await registry.add(db.url), ALL, signal)
  expect(tables.map(({ table, kind }) => [table.schema, table.name, kind])).toEqual([
    ['Odd "name', 'T.1', 'table'],
    ['public', 'child', 'table'],
    ['public', 'm', 'materialized_view'],
    ['public', 'p', 'partitioned_table'],
    ['public', 'v', 'view'],
  ])
  expect(tables[0]).toMatchObject({ primaryKey: ['b', 'a'], uniqueKeys: [['a', 'b']], hidesRows: false })
  expect(tables[1]).toMatchObject({
    estimatedRows: 50,
    uniqueKeys: [['code']],
    foreignKeys: [
      { columns: ['a', 'b'], references: { schema: 'Odd "name', name: 'T.1' }, referencedColumns: ['a', 'b'] },
    ],
  })
  expect(tables[1]?.columns.map(({ type, generated }) => [type, generated])).toEqual([
    ['integer', false],
    ['integer', false],
    ['character varying(3)[]', false],
    ['integer', true],
    ['text', false],
  ])
})

test("Supabase's own schemas are hidden, also from a run, and shown where somebody names them", async () => {
  await using db = await createDatabase(sharedServers().source)
  await using registry = await createRegistry('sqlite')
  await db.sql(`CREATE SCHEMA auth; CREATE TABLE auth.users (id int); CREATE SCHEMA storage; CREATE TABLE storage.objects (id int);
    CREATE TABLE mine (id int)`)
  const browser = new SchemaBrowser(registry.tools)
  const datasource = await registry.add(db.url, { kind: 'supabase' })
  const list = async (schemas: string[] | null, of = datasource): Promise<string[]> =>
    (await browser.browse(of, { ...ALL, schemas }, signal)).tables.map(({ table }) => `${table.schema}.${table.name}`)
  expect(await list(null)).toEqual(['public.mine'])
  expect(await list(['auth', 'public'])).toEqual(['auth.users', 'public.mine'])
  expect(await list(null, await registry.add(db.url))).toHaveLength(3)
  expect(await list(null, await registry.add(db.url, { kind: 'supabase', schemas: ['storage'] }))).toEqual([
    'storage.objects',
  ])
  await using adapter = await openDatabase(await describeDatasource(registry.tools, datasource), {
    write: null,
    signal,
  })
  expect((await adapter.describe('all')).map(({ ref }) => ref.name)).toEqual(['mine'])
  expect(await adapter.describe([{ schema: 'auth', name: 'users' }])).toHaveLength(1)
})

test('a preview shows text, cuts what is long and says how long it is', async () => {
  await using db = await createDatabase(sharedServers().source)
  await using registry = await createRegistry('sqlite')
  const role = `reader_${db.name}`
  await db.sql(`CREATE TABLE t (id int PRIMARY KEY, "a ""b" text, at timestamptz, raw bytea, secret text);
    INSERT INTO t VALUES (1, repeat('ä', 600), '2024-02-29 12:00+02', '\\xc0ffee', 's'), (2, NULL, 'infinity', '', 's');
    INSERT INTO t (id) SELECT g FROM generate_series(3, 500) g;
    CREATE ROLE ${quote(role)} LOGIN PASSWORD 'x'; GRANT SELECT (id, at) ON t TO ${quote(role)};
    CREATE TABLE shut (id int); CREATE TABLE guarded (id int); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;
    GRANT SELECT ON guarded TO ${quote(role)}`)
  try {
    const browser = new SchemaBrowser(registry.tools)
    const owner = await registry.add(db.url)
    const table = (name: string): { schema: string; name: string } => ({ schema: 'public', name })
    const preview = await browser.preview(owner, { table: table('t'), limit: 2 }, signal)
    expect(preview.columns[1]).toEqual({ name: 'a "b', type: 'text' })
    expect(preview.rows[1]).toEqual(['2', null, 'infinity', '\\x', 's'])
    expect(preview.rows[0]).toEqual(['1', 'ä'.repeat(500), '2024-02-29 10:00:00+00', '\\xc0ffee', 's'])
    expect(preview).toMatchObject({ cut: true, cuts: [{ row: 0, column: 'a "b', characters: 600 }] })
    expect((await browser.preview(owner, { table: table('t'), limit: 1_000 }, signal)).rows).toHaveLength(100)
    for (const hidden of [
      table('none'),
      { schema: 'pg_catalog', name: 'pg_authid' },
      { schema: 'information_schema', name: 'tables' },
    ]) {
      await expect(browser.preview(owner, { table: hidden, limit: 1 }, signal), hidden.name).rejects.toMatchObject({
        code: 'table_not_found',
      })
    }
    const connection = { ...owner.connection, user: role }
    const reader = await registry.add(db.url, { connection, password: new Secret('x') })
    const seen = await browser.preview(reader, { table: table('t'), limit: 1 }, signal)
    expect(seen.columns.map(({ name }) => name)).toEqual(['id', 'at'])
    await expect(browser.preview(reader, { table: table('shut'), limit: 1 }, signal)).rejects.toMatchObject({
      code: 'missing_privilege',
    })
    await expect(browser.preview(reader, { table: table('guarded'), limit: 1 }, signal)).rejects.toMatchObject({
      code: 'row_level_security',
    })
    const { tables } = await browser.browse(reader, { ...ALL, search: 'guarded' }, signal)
    expect(tables).toMatchObject([{ hidesRows: true }])
  } finally {
    await db.sql(`DROP OWNED BY ${quote(role)}; DROP ROLE ${quote(role)}`)
  }
})
