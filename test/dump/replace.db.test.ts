/** What an import puts something else in the place of: nothing besides is lost, and nobody can do more or less than before. */
import { describe, expect, test } from 'vitest'

import { Connection } from '#adapters/postgres/connection.ts'
import { parseEndpoint } from '#adapters/postgres/endpoint.ts'
import { dropAll } from '#adapters/postgres/restore-clear.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { importInto, pgDump, refusal, withoutKey } from '#test/harness/import.ts'
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
  })

  test('D16: of a partition that is exchanged at the end the parent is named as well', async () => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE SCHEMA app; CREATE SCHEMA rep; CREATE TABLE app.p (k int) PARTITION BY LIST (k);
      CREATE TABLE rep.p1 PARTITION OF app.p FOR VALUES IN (1); INSERT INTO app.p VALUES (1)`)
    const before = await textOf(db)
    await using alone = await createDatabase(server)
    await alone.sql('CREATE SCHEMA rep; CREATE TABLE rep.p1 (k int)')
    const error = await refusal(importInto(db, await pgDump(alone), { replace: true, swap: true }))
    expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining('table app.p, ')])
    expect(await textOf(db)).toBe(before)
  })
})
