/** What an import puts something else in the place of: nothing besides is lost, and nobody can do more or less than before. */
import { describe, expect, test } from 'vitest'

import { Connection } from '#adapters/postgres/connection.ts'
import { parseEndpoint } from '#adapters/postgres/endpoint.ts'
import { dropAll } from '#adapters/postgres/restore-clear.ts'
import { Backups } from '#test/harness/backups.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { fileOf, importInto, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const { source: server } = sharedServers()

const textOf = async (db: Database): Promise<string> => withoutKey(await pgDump(db))

describe('what is not in the dump and would go with what is replaced', () => {
  test.for([
    ['a view of any name', 'CREATE VIEW rep.toast_orders AS SELECT * FROM app.orders', 'rep.toast_orders'],
    [
      'a function of any name',
      `CREATE FUNCTION rep.toast(app.orders) RETURNS int LANGUAGE sql AS 'SELECT 1'`,
      'rep.toast',
    ],
    ['a column of any name', 'CREATE TABLE rep.t (id int, toast app.state)', 'column toast of table rep.t'],
    ['a publication', 'CREATE PUBLICATION toasts FOR TABLE app.orders', 'publication toasts'],
    [
      'a trigger that belongs to another table too',
      `CREATE TABLE rep.t (id int); CREATE FUNCTION rep.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
       CREATE CONSTRAINT TRIGGER x AFTER INSERT ON rep.t FROM app.orders FOR EACH ROW EXECUTE FUNCTION rep.f()`,
      'trigger x on table rep.t',
    ],
  ] as const)('D16: %s is named, and nothing is written', async ([, sql, named]) => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE SCHEMA app; CREATE SCHEMA rep; CREATE TYPE app.state AS ENUM ('new');
      CREATE TABLE app.orders (id int PRIMARY KEY, note text, state app.state); INSERT INTO app.orders VALUES (1, 'x', 'new')`)
    const file = await pgDump(db, ['--schema=app'])
    await db.sql(sql)
    const before = await textOf(db)
    for (const swap of [false, true]) {
      const error = await refusal(importInto(db, file, { replace: true, swap }))
      expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining(named)])
      expect(await textOf(db)).toBe(before)
    }
  })

  test('whatever else a drop takes with it is an error, and what others drop meanwhile is none', async () => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE TABLE t (id int); CREATE VIEW v AS SELECT * FROM t; CREATE TABLE other (id int)`)
    await using connection = await Connection.open(parseEndpoint(db.url))
    const drop = ['t', 'v'].map((name) => ({ object: 'relation' as const, schema: 'public', name }))
    await connection.begin('write')
    const error = await refusal(dropAll(connection, drop.slice(0, 1)))
    expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining('view public.v')])
    let others = 0
    const meanwhile = {
      query: connection.query.bind(connection),
      script: async (sql: string) => {
        if (sql.startsWith('DROP') && others++ === 0) await db.sql('DROP TABLE other')
        await connection.script(sql)
      },
    }
    await dropAll(meanwhile, drop)
    await connection.commit()
    expect(await db.sql(`SELECT to_regclass('t'), to_regclass('v'), to_regclass('other')`)).toEqual([
      [null, null, null],
    ])
  })

  test('parts of what is replaced are none of it, whatever they are', async () => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE SCHEMA app; CREATE TYPE app.pair AS (x int, y text); CREATE TYPE app.stretch AS RANGE (subtype = float8);
      CREATE DOMAIN app.few AS int CHECK (VALUE < 10); CREATE TABLE app.other (id int PRIMARY KEY);
      CREATE TABLE app.t (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, long text, p app.pair[], s app.stretch,
        few app.few DEFAULT 1, o int REFERENCES app.other, CHECK (n > 0)) PARTITION BY RANGE (id);
      CREATE TABLE app.t1 PARTITION OF app.t FOR VALUES FROM (1) TO (100);
      CREATE INDEX i ON app.t ((long || 'x')) WHERE o > 1; CREATE STATISTICS app.st ON o, n FROM app.t;
      CREATE FUNCTION app.f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
      CREATE TRIGGER g AFTER INSERT ON app.t FOR EACH ROW EXECUTE FUNCTION app.f();
      CREATE VIEW app.v AS SELECT * FROM app.t; CREATE RULE r AS ON INSERT TO app.other DO ALSO NOTIFY x;
      CREATE POLICY p ON app.other USING (id > 1); CREATE MATERIALIZED VIEW app.m AS SELECT * FROM app.v;
      CREATE UNIQUE INDEX ON app.m (id); INSERT INTO app.other VALUES (1); INSERT INTO app.t (long, o) VALUES (repeat('x', 9999), 1)`)
    const before = await textOf(db)
    for (const swap of [false, true]) {
      await importInto(db, await pgDump(db, ['--schema=app']), { replace: true, swap })
      expect(await textOf(db)).toBe(before)
    }
  })

  test.for([
    [
      'a partition',
      'CREATE TABLE app.p (id int, k int) PARTITION BY LIST (k); CREATE TABLE app.p1 PARTITION OF app.p FOR VALUES IN (1)',
    ],
    ['a child', 'CREATE TABLE app.p (id int, k int); CREATE TABLE app.p1 () INHERITS (app.p)'],
  ] as const)('D16: of %s the parent is named', async ([, sql]) => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE SCHEMA app; ${sql}; INSERT INTO app.p1 SELECT n, 1 FROM generate_series(1, 10) n`)
    const before = await textOf(db)
    await using alone = await createDatabase(server)
    await alone.sql('CREATE SCHEMA app; CREATE TABLE app.p1 (id int, k int)')
    const error = await refusal(importInto(db, await pgDump(alone), { replace: true }))
    expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining('table app.p, ')])
    expect(await textOf(db)).toBe(before)
    // With its parent it is replaced.
    await importInto(db, await pgDump(db, ['--schema=app']), { replace: true })
    expect(await textOf(db)).toBe(before)
    // So it is by a file that makes it a part of its parent again, which somebody has to trust.
    const again = await pgDump(db, ['--table=app.p1'])
    await importInto(db, again, { replace: true })
    expect(await textOf(db)).toBe(before)
  })

  test('D16: of a partition that is exchanged at the end the parent is named as well', async () => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE SCHEMA app; CREATE SCHEMA rep; CREATE TABLE app.p (k int) PARTITION BY LIST (k);
      CREATE TABLE rep.p1 PARTITION OF app.p FOR VALUES IN (1); INSERT INTO app.p VALUES (1)`)
    const before = await textOf(db)
    await using alone = await createDatabase(server)
    await alone.sql('CREATE SCHEMA rep; CREATE TABLE rep.p1 (k int)')
    const again = await refusal(importInto(db, await pgDump(db, ['--schema=rep']), { replace: true, swap: true }))
    expect(again.code).toBe('restore_dependents')
    const error = await refusal(importInto(db, await pgDump(alone), { replace: true, swap: true }))
    expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining('table app.p, ')])
    expect(await textOf(db)).toBe(before)
  })
})

/** Everything that somebody who is not a superuser may do in a schema, as pg_dump would write it. */
async function rightsOf(db: Database): Promise<string[]> {
  const lines = (await pgDump(db)).split('\n')
  return lines.filter((line) => /^(GRANT|REVOKE|COMMENT ON SCHEMA|ALTER .* OWNER TO)/.test(line)).toSorted()
}

/** Roles of a database's own, which go with it. */
async function roles(db: Database, ...names: string[]): Promise<{ names: string[] } & AsyncDisposable> {
  const own = names.map((name) => `${name}_${db.name.slice(-12)}`)
  for (const name of own) await db.sql(`CREATE ROLE ${name}`)
  return {
    names: own,
    async [Symbol.asyncDispose]() {
      for (const name of own) await db.sql(`DROP OWNED BY ${name} CASCADE; DROP ROLE ${name}`)
    },
  }
}

const ALL_KINDS = `CREATE SCHEMA app; CREATE TYPE app.state AS ENUM ('new'); CREATE DOMAIN app.few AS int; CREATE TYPE app.pair AS (x app.few);
  CREATE TABLE app.t (id serial PRIMARY KEY, n int GENERATED ALWAYS AS IDENTITY, secret text, state app.state);
  CREATE VIEW app.v AS SELECT id FROM app.t; CREATE MATERIALIZED VIEW app.m AS SELECT id FROM app.v; CREATE SEQUENCE app.s;
  CREATE FUNCTION app.f(app.state, int) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE FUNCTION app.g(app.t, VARIADIC text[]) RETURNS int LANGUAGE sql AS 'SELECT 1';
  CREATE PROCEDURE app.p() LANGUAGE sql AS 'SELECT 1'; CREATE FUNCTION app.step(int) RETURNS int LANGUAGE sql AS 'SELECT $1';
  CREATE AGGREGATE app.a(*) (SFUNC = app.step, STYPE = int);`
const EACH_OF_THEM = [
  'SCHEMA app',
  'TABLE app.t',
  'TABLE app.v',
  'TABLE app.m',
  'SEQUENCE app.s, app.t_id_seq, app.t_n_seq',
  'TYPE app.state',
  'TYPE app.few',
  'TYPE app.pair',
  'ROUTINE app.f(app.state, int)',
  'ROUTINE app.g(app.t, text[])',
  'ROUTINE app.p()',
  'ROUTINE app.step(int)',
  'ROUTINE app.a()',
]
const LATER = ['TABLES', 'SEQUENCES', 'FUNCTIONS', 'TYPES', 'SCHEMAS']

describe.for([[false], [true]])('rights on what is replaced, exchanged at the end: %s', ([swap = false]) => {
  const wish = { replace: true, swap, owners: false, grants: false }

  test('S42: what somebody may not do is not given back by the rights on what is made later', async () => {
    await using db = await createDatabase(server)
    await using two = await roles(db, 'reader', 'writer')
    const [reader, writer] = two.names
    await db.each([
      ...LATER.map((kind) => `ALTER DEFAULT PRIVILEGES GRANT ALL ON ${kind} TO ${reader}`),
      ...['FUNCTIONS', 'TYPES'].map((kind) => `ALTER DEFAULT PRIVILEGES REVOKE ALL ON ${kind} FROM PUBLIC`),
      ALL_KINDS,
      ...EACH_OF_THEM.map((each) => `REVOKE ALL ON ${each} FROM ${reader}`),
      `GRANT SELECT ON app.v TO ${writer}`,
    ])
    const before = await rightsOf(db)
    await importInto(db, await pgDump(db, ['--schema=app', '--no-acl']), wish)
    expect(await rightsOf(db)).toEqual(before)
  })

  test('SPEC 7: others may do what they could, with their options, and nothing besides', async () => {
    await using db = await createDatabase(server)
    await using two = await roles(db, 'reader', 'writer')
    const [reader, writer] = two.names
    await db.each([
      ALL_KINDS,
      ...EACH_OF_THEM.map((each) => `GRANT ALL ON ${each} TO ${reader}`),
      ...EACH_OF_THEM.map((each) => `GRANT ALL ON ${each} TO ${writer} WITH GRANT OPTION`),
      'REVOKE ALL ON FUNCTION app.f(app.state, int) FROM PUBLIC; REVOKE USAGE ON TYPE app.state, app.pair FROM PUBLIC',
      `REVOKE ALL ON app.t FROM ${reader}; GRANT SELECT (id), UPDATE (state) ON app.t TO ${reader}; GRANT SELECT (id) ON app.t TO PUBLIC`,
      'REVOKE INSERT, TRUNCATE ON app.t FROM CURRENT_USER',
    ])
    const before = await rightsOf(db)
    await importInto(db, await pgDump(db, ['--schema=app']), wish)
    expect(await rightsOf(db)).toEqual(before)
    // A login that owns what it replaces needs no more than that.
    await using owner = await roles(db, 'owner')
    const [login = ''] = owner.names
    await db.sql(
      `ALTER ROLE ${login} LOGIN; ALTER DATABASE "${db.name}" OWNER TO ${login}; GRANT ${login} TO CURRENT_USER`,
    )
    await db.sql(`CREATE SCHEMA own; GRANT USAGE ON SCHEMA own TO PUBLIC; ALTER SCHEMA own OWNER TO ${login}`)
    await db.sql(`CREATE TABLE own.t (id int); GRANT SELECT ON own.t TO ${reader}; ALTER TABLE own.t OWNER TO ${login}`)
    const owned = await rightsOf(db)
    const url = new URL(db.url)
    url.username = login
    await importInto(db, await pgDump(db, ['--schema=own']), { ...wish, trusted: false, url: url.href })
    expect(await rightsOf(db)).toEqual(owned)
    await db.sql(`ALTER DATABASE "${db.name}" OWNER TO CURRENT_USER`)
    // Where the dump brings its own, these hold.
    await db.sql(`REVOKE ALL ON app.v FROM ${writer}`)
    const fewer = await pgDump(db, ['--schema=app'])
    await db.sql(`GRANT ALL ON app.v TO ${writer}`)
    await importInto(db, fewer, { ...wish, grants: true })
    expect(await db.sql(`SELECT has_table_privilege($1, 'app.v', 'SELECT')`, [writer ?? ''])).toEqual([['f']])
  })
})

test('SPEC 7: what changes hands is told, and who had it may do with it what he could', async () => {
  await using db = await createDatabase(server)
  await using one = await roles(db, 'shop')
  const [shop = ''] = one.names
  await db.each([
    ALL_KINDS,
    `GRANT CREATE, USAGE ON SCHEMA app TO ${shop}`,
    `ALTER TABLE app.t OWNER TO ${shop}; ALTER VIEW app.v OWNER TO ${shop}; REVOKE DELETE ON app.t FROM ${shop}`,
    `ALTER FUNCTION app.f OWNER TO ${shop}; REVOKE ALL ON FUNCTION app.f FROM PUBLIC; ALTER TYPE app.state OWNER TO ${shop}`,
  ])
  const file = await pgDump(db, ['--schema=app'])
  const told = (notes: readonly string[]): string | undefined => notes.find((note) => note.includes('change owner'))
  const planned = await plan(db, fileOf(file), { replace: true, owners: false, grants: false })
  for (const name of ['table app.t', 'view app.v', 'function app.f(app.state,integer)', 'type app.state']) {
    expect(told(planned.notes)).toContain(`${name} (of ${shop})`)
  }
  expect(told(planned.notes)).not.toMatch(/app\.(m|g|few)\b/)
  // Where the dump says whose they are, they stay so; where it should and does not, that is told.
  const owners = { replace: true, owners: true, grants: false }
  expect(told((await plan(db, fileOf(file), owners)).notes)).toBeUndefined()
  const nobodys = fileOf(await pgDump(db, ['--schema=app', '--no-owner']))
  expect(told((await plan(db, nobodys, owners)).notes)).toContain(`table app.t (of ${shop})`)

  await importInto(db, file, { replace: true, owners: false, grants: false })
  const can = async (table: string, right: string): Promise<string | null | undefined> =>
    (await db.sql('SELECT has_table_privilege($1, $2, $3)', [shop, table, right]))[0]?.[0]
  expect([await can('app.t', 'INSERT'), await can('app.t', 'DELETE'), await can('app.m', 'SELECT')]).toEqual([
    't',
    'f',
    'f',
  ])
  expect(await db.sql(`SELECT has_function_privilege($1, 'app.f(app.state, int)', 'EXECUTE')`, [shop])).toEqual([['t']])
  expect(await db.sql(`SELECT pg_get_userbyid(relowner) = current_user FROM pg_class WHERE relname = 't'`)).toEqual([
    ['t'],
  ])
})

test('SPEC 7: rows of a file that keeps triggers quiet leave each as it was, switched off or not', async () => {
  await using db = await createDatabase(server)
  await db.sql(`CREATE TABLE log (id int); CREATE TABLE part (id int PRIMARY KEY) PARTITION BY RANGE (id);
    CREATE TABLE part_1 PARTITION OF part FOR VALUES FROM (0) TO (100); CREATE TABLE t (id int PRIMARY KEY, p int REFERENCES part);
    CREATE FUNCTION f() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (1); RETURN NEW; END';
    INSERT INTO part SELECT generate_series(1, 9); INSERT INTO t SELECT n, n FROM generate_series(1, 9) n`)
  for (const table of ['t', 'part']) {
    for (const name of ['off', 'on', 'replica', 'always']) {
      await db.sql(`CREATE TRIGGER "${name}" AFTER INSERT ON ${table} FOR EACH ROW EXECUTE FUNCTION f()`)
    }
    await db.sql(`ALTER TABLE ${table} DISABLE TRIGGER "off"; ALTER TABLE ${table} ENABLE REPLICA TRIGGER replica;
      ALTER TABLE ${table} ENABLE ALWAYS TRIGGER always`)
  }
  await db.sql(`ALTER TABLE part_1 DISABLE TRIGGER "on"; ALTER TABLE part_1 ENABLE TRIGGER "off"`)
  const states = `SELECT tgrelid::regclass, tgname, tgisinternal, tgenabled FROM pg_trigger ORDER BY 1, 2`
  const before = await db.sql(states)
  const file = await pgDump(db, ['--data-only', '--disable-triggers', '--table=t', '--table=part*'])
  expect(file).toMatch(/ENABLE TRIGGER ALL/)
  await importInto(db, file, { replace: true })
  expect(await db.sql(states)).toEqual(before)
  expect(await db.sql('SELECT (SELECT count(*) FROM t), (SELECT count(*) FROM log)')).toEqual([['9', '0']])
})

describe('routines of one name', () => {
  const TARGET = `CREATE SCHEMA app; CREATE SCHEMA rep; CREATE TYPE app.mood AS ENUM ('low');
    CREATE FUNCTION app.f(int) RETURNS text LANGUAGE sql AS $$ SELECT 'int of the target' $$;
    CREATE FUNCTION app.f(text) RETURNS text LANGUAGE sql AS $$ SELECT 'text of the target' $$;
    CREATE FUNCTION app.f(double precision, VARIADIC app.mood[]) RETURNS text LANGUAGE sql AS $$ SELECT 'moods of the target' $$;
    CREATE VIEW rep.v AS SELECT app.f('x'::text);`
  const signatures = (db: Database): Promise<unknown> =>
    db.sql(`SELECT proname || '(' || pg_get_function_identity_arguments(oid) || ')', prosrc LIKE '%of the target%'
      FROM pg_proc WHERE pronamespace = 'app'::regnamespace ORDER BY 1`)

  test.for([
    ['of the server', (db: Database) => pgDump(db)],
    ['of the server, with all names in quotes', (db: Database) => pgDump(db, ['--quote-all-identifiers'])],
    ['of our own', async (db: Database) => (await dump(db, { compression: 'none' })).sql],
  ] as const)('D16: only those that a dump makes are replaced, as their arguments say: one %s', async ([, write]) => {
    await using a = await createDatabase(server)
    await using b = await createDatabase(server)
    await b.sql(TARGET)
    await a.sql(`CREATE SCHEMA app; CREATE TYPE app."Odd" AS ENUM ('x');
      CREATE FUNCTION app.f(int, int DEFAULT 3, OUT x text, OUT y int) LANGUAGE sql AS $$ SELECT 'new', 1 $$;
      CREATE FUNCTION app.f(a app."Odd"[], "double" double precision, at timestamp with time zone, c "char", VARIADIC "any")
        RETURNS text LANGUAGE internal AS 'booleq';
      CREATE FUNCTION app.f(u uuid, texts text[]) RETURNS text LANGUAGE sql AS $$ SELECT 'new' $$;
      CREATE PROCEDURE app.f(INOUT n numeric, IN OUT_ bit varying) LANGUAGE sql AS 'SELECT 1';
      CREATE AGGREGATE app.f(boolean) (SFUNC = booland_statefunc, STYPE = boolean)`)
    const file = await write(a)
    expect((await plan(b, fileOf(file))).refusals).toEqual([])
    await importInto(b, file)
    expect(await signatures(b)).toHaveLength(8)
    // Once more each of them is there, and they alone are replaced.
    const again = await plan(b, fileOf(file), { replace: true })
    expect(again.replaced.drop.filter(({ object }) => object === 'routine')).toHaveLength(5)
    expect((await refusal(importInto(b, file))).message).toContain('function app.f(integer,integer)')
    await importInto(b, file, { replace: true })
    expect(await signatures(b)).toHaveLength(8)
    expect(await b.sql('SELECT * FROM rep.v')).toEqual([['text of the target']])
    await using own = await createDatabase(server)
    await own.sql(`CREATE SCHEMA app; CREATE FUNCTION app.f(x int) RETURNS text LANGUAGE sql AS $$ SELECT 'new' $$`)
    await importInto(b, await write(own), { replace: true })
    const sources = `SELECT prosrc LIKE '%new%' FROM pg_proc WHERE oid IN ('app.f(int)'::regprocedure, 'app.f(text)'::regprocedure) ORDER BY 1`
    expect(await b.sql(sources)).toEqual([['f'], ['t']])
    const needed = await refusal(importInto(b, (await pgDump(own)).replaceAll('integer', 'text'), { replace: true }))
    expect([needed.code, needed.message]).toEqual(['restore_dependents', expect.stringContaining('view rep.v')])
  })

  test.for([
    ['by another name', 'CREATE FUNCTION app.f(double) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;'],
    [
      'where names are looked for elsewhere',
      'SET search_path = app;\nCREATE FUNCTION f(boolean) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;',
    ],
    [
      'and the file changes another one',
      'CREATE FUNCTION app.f(boolean) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;\nALTER FUNCTION app.f(text) SECURITY DEFINER;',
    ],
    [
      'and the file changes it by its name alone',
      'CREATE FUNCTION app.f(boolean) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;\nALTER FUNCTION app.f SECURITY DEFINER;',
    ],
  ] as const)(
    'S42: all of them are meant where it cannot be told which one is, and each is named: %s',
    async ([, sql]) => {
      await using db = await createDatabase(server)
      await db.sql(`${TARGET} DROP VIEW rep.v`)
      const file = fileOf(`-- PostgreSQL database dump\n${sql}\n-- PostgreSQL database dump complete\n`)
      const {
        refusals: [refused],
        notes,
      } = await plan(db, file)
      expect(
        notes.filter((note) => note.includes('all of them are replaced: app.f(integer), app.f(text), ')),
      ).toHaveLength(1)
      expect([refused?.code, refused?.message]).toEqual([
        'restore_exists',
        expect.stringContaining('function app.f(integer), app.f(text), app.f(double precision,app.mood[])'),
      ])
    },
  )

  test('UX 13: what a restore has made besides is taken back, and what was there of that name stays', async () => {
    await using a = await createDatabase(server)
    await using b = await createDatabase(server)
    await b.sql(`${TARGET} CREATE TABLE app.t (id int)`)
    const before = await textOf(b)
    await a.sql(
      `CREATE SCHEMA app; CREATE TABLE app.t (id int); CREATE FUNCTION app.f(uuid) RETURNS int LANGUAGE sql AS 'SELECT 1'`,
    )
    const backups = new Backups(b)
    await importInto(b, await pgDump(a), { replace: true, backup: backups.keep })
    expect(await signatures(b)).toHaveLength(4)
    await importInto(b, backups.last, { replace: true })
    expect(await textOf(b)).toBe(before)
  })

  test('D16: those that the dump does not make are in the way of an exchange', async () => {
    await using a = await createDatabase(server)
    await using b = await createDatabase(server)
    await b.sql(`${TARGET} DROP VIEW rep.v; DROP SCHEMA rep`)
    await a.sql(TARGET)
    await a.sql('DROP SCHEMA rep CASCADE; DROP FUNCTION app.f(int)')
    const error = await refusal(importInto(b, await pgDump(a), { replace: true, swap: true }))
    expect([error.code, error.message]).toEqual([
      'restore_unswappable',
      expect.stringContaining('function app.f(integer)'),
    ])
    await b.sql('DROP FUNCTION app.f(int)')
    await importInto(b, await pgDump(a), { replace: true, swap: true })
    expect(await textOf(b)).toBe(await textOf(a))
  })
})
