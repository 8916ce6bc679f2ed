/** Databases of which some schemas are not carried, above all those of a provider: what leads there is left out or told. */
import { describe, expect, test } from 'vitest'

import { openDatabase, type DescribedDatabase } from '#adapters/registry.ts'
import { parseConnectionUrl } from '#adapters/postgres/connection-url.ts'
import { drillDump } from '#dump/drill-dump.ts'
import { must } from '#lib/assert.ts'
import { resolveHost } from '#lib/network-address.ts'

import { copyInto, databases, oldest, planOf } from '#test/harness/copy.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump, restoreByPsql } from '#test/harness/dump.ts'
import { fileOf, importInto, readOptions, refusal } from '#test/harness/import.ts'
import { permitWrite } from '#test/harness/permit.ts'
import { startPrivateServer } from '#test/harness/postgres.ts'

/** As the provider sets a project up, and what a customer makes of it. */
const PROVIDER = `
  CREATE SCHEMA extensions; CREATE SCHEMA auth; CREATE SCHEMA storage;
  CREATE EXTENSION hstore SCHEMA extensions; CREATE EXTENSION "uuid-ossp" SCHEMA extensions; CREATE EXTENSION citext;
  CREATE EXTENSION tablefunc SCHEMA extensions; UPDATE pg_extension SET extname = 'pg_net' WHERE extname = 'tablefunc';
  COMMENT ON EXTENSION pg_net IS 'async http';
  CREATE TABLE auth.users (id uuid PRIMARY KEY, email text);
  INSERT INTO auth.users SELECT extensions.uuid_generate_v5(extensions.uuid_ns_oid(), n::text), n || '@x' FROM generate_series(1, 5) n;
  CREATE FUNCTION auth.uid() RETURNS uuid STABLE LANGUAGE sql AS $$ SELECT nullif(current_setting('jwt.sub', true), '')::uuid $$;
  CREATE FUNCTION auth.clean(text) RETURNS text IMMUTABLE LANGUAGE sql AS 'SELECT lower($1)';
  CREATE FUNCTION storage.touch() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE FUNCTION extensions.watch() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN END';
  CREATE EVENT TRIGGER pgrst_watch ON ddl_command_end EXECUTE FUNCTION extensions.watch();
  CREATE TYPE auth.level AS ENUM ('one', 'two');`

const CUSTOMER = `
  CREATE TABLE prof (id uuid PRIMARY KEY DEFAULT extensions.uuid_generate_v4() CONSTRAINT prof_user REFERENCES auth.users ON DELETE CASCADE,
    owner uuid DEFAULT auth.uid() NOT NULL, name citext DEFAULT 'x, (y'::citext CONSTRAINT clean CHECK (auth.clean(name::text) <> ''), tags extensions.hstore,
    at timestamptz DEFAULT '2026-01-01', CONSTRAINT short CHECK (length(name::text) < 100));
  COMMENT ON CONSTRAINT clean ON prof IS 'clean'; COMMENT ON CONSTRAINT short ON prof IS 'short'; COMMENT ON COLUMN prof.owner IS 'who';
  COMMENT ON CONSTRAINT prof_user ON prof IS 'user';
  INSERT INTO prof (id, owner, name, tags) SELECT id, id, email, 'a=>1' FROM auth.users;
  ALTER TABLE prof ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON prof USING (owner = auth.uid()); COMMENT ON POLICY own ON prof IS 'own'; CREATE POLICY every ON prof USING (true);
  CREATE INDEX prof_clean ON prof (auth.clean(name::text)); CREATE INDEX prof_name ON prof (name);
  CREATE TRIGGER touched BEFORE UPDATE ON prof FOR EACH ROW EXECUTE FUNCTION storage.touch();
  CREATE VIEW people AS SELECT p.name, u.email FROM prof p JOIN auth.users u USING (id); COMMENT ON VIEW people IS 'people';
  CREATE VIEW names AS SELECT name FROM people; CREATE VIEW plain AS SELECT id, name FROM prof;
  CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM auth.users; CREATE UNIQUE INDEX ON counted (count);
  CREATE FUNCTION me() RETURNS SETOF auth.users LANGUAGE sql AS 'SELECT * FROM auth.users';
  CREATE FUNCTION mine() RETURNS bigint LANGUAGE plpgsql AS 'BEGIN RETURN (SELECT count(*) FROM public.prof WHERE owner = auth.uid()); END';
  CREATE TABLE task (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, prof uuid REFERENCES prof); INSERT INTO task (prof) SELECT id FROM prof;
  CREATE TABLE event (id int, who uuid DEFAULT auth.uid(), PRIMARY KEY (id)) PARTITION BY RANGE (id);
  CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10); CREATE INDEX ON event (auth.clean(who::text));
  ALTER TABLE event ADD CONSTRAINT who FOREIGN KEY (who) REFERENCES auth.users; INSERT INTO event SELECT 1, id FROM auth.users LIMIT 1;
  CREATE FUNCTION new_user() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
  CREATE TRIGGER on_user AFTER INSERT ON auth.users FOR EACH ROW EXECUTE FUNCTION new_user()`

function asSupabase({ url }: Database): { readonly url: string; readonly place: DescribedDatabase } {
  const { connection, password, connectTimeoutMs } = parseConnectionUrl(url, { readFile: () => '' })
  const place = {
    kind: 'supabase',
    connection,
    password,
    connectTimeoutMs,
    schemas: null,
    resolve: resolveHost,
  } as const
  return { url, place }
}

const LEFT = [
  'constraint prof_user on public.prof',
  'constraint who on public.event',
  'constraint clean on public.prof',
  'default value for public.prof.owner',
  'default value for public.event.who',
  'policy own on public.prof',
  'index public.prof_clean',
  'trigger touched on public.prof',
  'view public.people',
  'view public.names',
  'materialized view public.counted',
  'function public.me()',
  'event trigger pgrst_watch',
]

async function expectRestored(from: Database, into: Database): Promise<void> {
  const rows = `SELECT id, owner, name, at, tags::text FROM prof ORDER BY id`
  expect(await into.sql(rows)).toEqual(await from.sql(rows))
  const others = `SELECT (SELECT count(*) FROM task), (SELECT count(*) FROM event_1), (SELECT count(*) FROM plain)`
  expect(await into.sql(others)).toEqual([['5', '1', '5']])
  expect(await into.sql(`SELECT polname FROM pg_policy`)).toEqual([['every']])
  expect(
    await into.sql(`SELECT conname FROM pg_constraint WHERE conrelid = 'prof'::regclass AND contype <> 'n' ORDER BY 1`),
  ).toEqual([['prof_pkey'], ['short']])
  expect(
    await into.sql(
      `SELECT adrelid::regclass, adnum FROM pg_attrdef WHERE adrelid IN ('prof'::regclass, 'event'::regclass) ORDER BY 2`,
    ),
  ).toEqual([
    ['prof', '1'],
    ['prof', '3'],
    ['prof', '5'],
  ])
  expect(
    await into.sql(`SELECT attnotnull FROM pg_attribute WHERE attrelid = 'prof'::regclass AND attname = 'owner'`),
  ).toEqual([['t']])
  expect(
    await into.sql(
      `SELECT to_regclass('people'), to_regclass('auth.users'), to_regproc('mine'), to_regclass('prof_name') IS NOT NULL`,
    ),
  ).toEqual([[null, null, 'mine', 't']])
}

describe('a project of Supabase goes into any other database', () => {
  test('by psql and by an import', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(PROVIDER + CUSTOMER)
    const { sql, notes, packed } = await dump(asSupabase(a))
    const note = notes.find((each) => each.includes('lead to what is not carried')) ?? ''
    for (const each of LEFT) expect(note).toContain(each)
    expect(note).not.toContain('index public.event_1')
    expect(notes).toContainEqual(expect.stringMatching(/extensions of the provider.*: pg_net\./i))
    await restoreByPsql(b, sql)
    await expectRestored(a, b)
    await using c = await createDatabase(oldest())
    await importInto(c, packed)
    await expectRestored(a, c)
    // And back over what is there.
    await importInto(c, packed, {
      replace: true,
      backup: async () => ({ name: 'kept', discard: async () => undefined }),
    })
    await expectRestored(a, c)
  })

  test('by a copy, whose plan says what is left behind', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(PROVIDER + CUSTOMER)
    const from = asSupabase(a)
    const { refusals, notes } = await planOf(from, b)
    expect(refusals).toEqual([])
    for (const each of LEFT) expect(notes.join('\n')).toContain(each)
    await copyInto(from, b)
    await expectRestored(a, b)
  })

  test('and works on trial', async () => {
    await using a = await createDatabase(oldest())
    await a.sql(PROVIDER + CUSTOMER)
    const { packed, head } = await dump(asSupabase(a))
    const options = readOptions()
    await using adapter = await openDatabase(a.url, { write: permitWrite(a.url), signal: options.signal })
    await using scratch = await must(adapter.restore?.scratch, 'a target')('syncline_drill_of_supabase')
    const tools = { ...options, journal: { record: () => undefined }, program: head.program, onDigest: () => undefined }
    const wish = { trusted: true, owners: false, grants: false }
    expect((await drillDump(scratch, fileOf(packed), wish, tools)).faults).toEqual([])
  })

  test('policies for the roles of the provider stay behind, unless grants are wanted', async () => {
    await using server = await startPrivateServer()
    await using db = await createDatabase({ url: server.url(), major: server.major })
    await db.sql(`CREATE ROLE authenticated; CREATE ROLE mine; CREATE TABLE t (id int); ALTER TABLE t ENABLE ROW LEVEL SECURITY;
      CREATE POLICY theirs ON t TO authenticated USING (true); CREATE POLICY own ON t TO mine USING (true);`)
    const { sql, notes } = await dump(asSupabase(db))
    expect(sql).not.toContain('authenticated')
    expect(sql).toContain('CREATE POLICY "own"')
    expect(notes.join('\n')).toContain('policy theirs on public.t')
    expect((await dump(asSupabase(db), { grants: true })).sql).toContain('CREATE POLICY "theirs"')
    expect((await dump(db)).sql).toContain('CREATE POLICY "theirs"')
  })

  test('a project of the same provider gets what leads there too', async () => {
    await using a = await createDatabase(oldest())
    await using b = await createDatabase(oldest())
    await a.sql(PROVIDER + CUSTOMER)
    const { sql, notes } = await dump(asSupabase(a), { sameProvider: true, schemas: ['public'] })
    for (const text of ['REFERENCES "auth"."users"', 'CREATE POLICY "own"', 'DEFAULT "auth"."uid"()']) {
      expect(sql).toContain(text)
    }
    expect(notes.join()).not.toMatch(/left out|leads/)
    await b.sql(PROVIDER)
    await restoreByPsql(b, sql)
    expect(await b.sql('SELECT count(*) FROM people')).toEqual([['5']])
  })

  test('what is kept before a restore has everything: it goes back into its own database', async () => {
    await using a = await createDatabase(oldest())
    await a.sql(PROVIDER + CUSTOMER)
    const names = ['prof', 'task', 'people', 'names', 'plain']
    const drop = names.map((name) => ({ object: 'relation', schema: 'public', name }) as const)
    const replaced = { drop, empty: [], sequences: [], schemas: [], joins: [] }
    const kept = { replaced, takeBack: { database: 'x', made: [] } }
    const { sql, notes } = await dump(asSupabase(a), {}, { kept })
    for (const text of [
      'REFERENCES "auth"."users"',
      'CREATE POLICY "own"',
      'VIEW "public"."people"',
      'DEFAULT "auth"."uid"()',
    ]) {
      expect(sql).toContain(text)
    }
    expect(notes).toEqual([])
    await a.sql('DROP VIEW names, people, plain; DROP TABLE task, prof')
    await restoreByPsql(a, sql)
    expect(await a.sql('SELECT count(*) FROM people')).toEqual([['5']])
  })

  test.for([
    [`CREATE TABLE t (id int, l auth.level)`, 'table public.t'],
    [`CREATE TABLE t (id int, c text GENERATED ALWAYS AS (auth.clean('A')) STORED)`, 'table public.t'],
    [`CREATE TABLE t () INHERITS (auth.users)`, 'table public.t'],
    [`CREATE TYPE pair AS (a auth.level, b int); CREATE TABLE t (p pair[])`, 'table public.t'],
    [`CREATE DOMAIN tidy AS text CHECK (auth.clean(VALUE) = VALUE); CREATE TABLE t (x tidy)`, 'table public.t'],
    [`CREATE TABLE t (x text) PARTITION BY LIST (auth.clean(x))`, 'table public.t'],
  ] as const)('a table that cannot be without them is refused in the plan: %s', async ([sql, table]) => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(`${PROVIDER}${sql}`)
    const error = await refusal(planOf(asSupabase(a), b))
    expect([error.code, error.message]).toEqual(['dump_unfit', expect.stringContaining(table)])
    expect(error.hint).toContain('--schema')
    // A schema that is named is carried.
    const { sql: whole } = await dump(asSupabase(a), { schemas: ['public', 'auth', 'storage', 'extensions'] })
    await restoreByPsql(b, whole)
    expect(await b.sql('SELECT count(*) FROM t')).toEqual([['0']])
  })
})

describe('dumps of some schemas', () => {
  test.for([
    { schemas: ['public'] },
    { excludeSchemas: ['extensions', 'auth', 'storage'] },
    { schemas: ['public'], owners: true },
  ])('have the schemas of their extensions, and nothing that leads elsewhere: %o', async (options) => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(PROVIDER.replace(/CREATE EXTENSION tablefunc[^]*?async http';/, '') + CUSTOMER)
    const { sql, packed, head } = await dump(a, options)
    expect(head.partial).toBe(true)
    await restoreByPsql(b, sql)
    await expectRestored(a, b)
    await using c = await createDatabase(oldest())
    await importInto(c, packed)
    await expectRestored(a, c)
  })

  test('servers of other data go with whole databases alone', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(`CREATE EXTENSION postgres_fdw; CREATE SERVER far FOREIGN DATA WRAPPER postgres_fdw;
      CREATE FOREIGN TABLE there (id int) SERVER far; CREATE TABLE here AS SELECT 1 AS id; CREATE VIEW ids AS SELECT * FROM here UNION SELECT * FROM there`)
    const { sql, notes } = await dump(a, { schemas: ['public'] })
    expect(notes.join('\n')).toMatch(
      /foreign table public\.there.*view public\.ids|view public\.ids.*foreign table public\.there/,
    )
    await restoreByPsql(b, sql)
    expect(await b.sql('SELECT id FROM here')).toEqual([['1']])
  })

  test('of what is whole nothing is left out', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(PROVIDER.replace(/CREATE EXTENSION tablefunc[^]*?async http';/, '') + CUSTOMER)
    const { sql, notes, head } = await dump(a)
    expect([notes, head.partial]).toEqual([[], false])
    await restoreByPsql(b, sql)
    expect(await b.sql('SELECT count(*) FROM names')).toEqual([['5']])
  })

  test('some tables come with what their defaults call, and with its schema', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(PROVIDER + CUSTOMER)
    const { sql } = await dump(asSupabase(a), { tables: ['prof', 'event'] })
    await restoreByPsql(b, sql)
    expect(await b.sql('SELECT count(*) FROM prof')).toEqual([['5']])
  })
})
