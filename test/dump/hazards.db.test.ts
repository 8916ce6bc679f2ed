/** What could make a dump less than it seems: rows that are hidden, cut or moved, and servers that lie. */
import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import { readSection } from '#adapters/postgres/dump-definitions.ts'
import { AppError } from '#model/errors.ts'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump, restoreByPsql } from '#test/harness/dump.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const { source: server } = sharedServers()

async function withLogin(db: Database, grants: string): Promise<AsyncDisposable & { readonly url: string }> {
  const role = `login_${db.name.slice(-12)}`
  await db.sql(`CREATE ROLE ${role} LOGIN; ${grants.replaceAll('ROLE', role)}`)
  const url = new URL(db.url)
  url.username = role
  return {
    url: url.href,
    [Symbol.asyncDispose]: async () => void (await db.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)),
  }
}

test('A14: rows that a policy hides from the login are no reason to leave them out: the table is named', async () => {
  await using db = await createDatabase(server)
  await db.sql(`CREATE TABLE seen (id int); CREATE TABLE kept (id int); INSERT INTO kept VALUES (1), (2);
    ALTER TABLE kept ENABLE ROW LEVEL SECURITY; CREATE POLICY part ON kept USING (id = 1)`)
  await using login = await withLogin(db, 'GRANT SELECT ON ALL TABLES IN SCHEMA public TO ROLE')
  await expect(dump(login)).rejects.toMatchObject({
    code: 'row_level_security',
    message: expect.stringContaining('kept') as unknown,
  })
  const without = await dump(login, { excludeTables: ['kept'] })
  expect(without.tables).toEqual([{ schema: 'public', name: 'seen', rows: 0 }])
  expect(without.sql).toContain('CREATE TABLE "public"."kept"')
  expect(without.notes.join()).toContain('kept')
  expect((await dump(db)).rows).toBe(2)
})

test('a table that the login may not read is named, with the GRANT', async () => {
  await using db = await createDatabase(server)
  await db.sql('CREATE TABLE secret (id int)')
  await using login = await withLogin(db, 'GRANT USAGE ON SCHEMA public TO ROLE')
  await expect(dump(login)).rejects.toMatchObject({
    code: 'missing_privilege',
    hint: expect.stringContaining('GRANT SELECT ON "public"."secret"') as unknown,
  })
})

test("rows of an extension that are the user's are read by their condition, in one piece, however many are read at once", async () => {
  await using db = await createDatabase(server)
  await db.sql(`CREATE TABLE setting (id int PRIMARY KEY, pad text);
    INSERT INTO setting SELECT n, repeat(md5(n::text), 40) FROM generate_series(1, 20000) n;
    INSERT INTO pg_depend VALUES ('pg_class'::regclass, 'setting'::regclass, 0, 'pg_extension'::regclass,
      (SELECT oid FROM pg_extension WHERE extname = 'plpgsql'), 0, 'e');
    UPDATE pg_extension SET extconfig = ARRAY['setting'::regclass::oid], extcondition = ARRAY['WHERE id > 19000']
      WHERE extname = 'plpgsql'`)
  const { tables } = await dump(db, { parallel: 4 })
  expect(tables).toEqual([{ schema: 'public', name: 'setting', rows: 1000 }])
})

test('what no dump carries is told', async () => {
  await using db = await createDatabase(server)
  await db.sql(`SELECT lo_create(0); CREATE EXTENSION postgres_fdw; CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw;
    CREATE USER MAPPING FOR CURRENT_USER SERVER s OPTIONS (user 'u', password 'canary-pa55word');
    CREATE FOREIGN TABLE far (id int) SERVER s; CREATE SCHEMA syncline; CREATE TABLE syncline.state (id int)`)
  const { notes, sql } = await dump(db)
  expect(notes.join('\n')).toMatch(/1 large objects.*\n.*User mappings.*\n.*public\.far/)
  expect(sql).not.toContain('canary-pa55word')
  expect(sql).not.toContain('syncline.state')
  expect(sql).not.toContain('"syncline"')
})

test('definitions, rows and locks are of one moment, whatever is committed meanwhile', async () => {
  await using db = await createDatabase(server)
  await db.sql(`CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t SELECT FROM generate_series(1, 10)`)
  await using adapter = await openDatabase(db.url, { write: null, signal: new AbortController().signal })
  const wish = {
    definitions: true,
    rows: true,
    schemas: null,
    excludeSchemas: [],
    tables: null,
    excludeTables: [],
    owners: false,
    grants: false,
    exactly: null,
    elsewhere: true,
  }
  await using held = (await adapter.dump?.({ wish, readers: 2, signal: new AbortController().signal })) ?? null
  await db.sql('INSERT INTO t SELECT FROM generate_series(1, 5); CREATE TABLE late (id int)')
  await expect(db.sql(`SET lock_timeout = '200ms'; ALTER TABLE t ADD x int`)).rejects.toThrow('lock timeout')
  expect(held?.tables.map(({ ref }) => ref.name)).toEqual(['t'])
  // A sequence has no moment: it is read last, so that no row has a value that it would give out again (D1).
  expect(await held?.sequences()).toEqual([`SELECT pg_catalog.setval('"public"."t_id_seq"', 15, true)`])
})

test('D1: a sequence that an extension leaves to the user goes on where it was, with the rows of its table', async () => {
  await using db = await createDatabase(server)
  await db.sql(`CREATE EXTENSION hstore; CREATE SEQUENCE conf_id; CREATE SEQUENCE inner_id; CREATE SEQUENCE idle; CREATE TABLE none (id int);
    CREATE TABLE conf (id int DEFAULT nextval('conf_id')); INSERT INTO conf SELECT FROM generate_series(1, 3);
    ALTER EXTENSION hstore ADD TABLE conf; ALTER EXTENSION hstore ADD TABLE none; ALTER EXTENSION hstore ADD SEQUENCE idle; ALTER EXTENSION hstore ADD SEQUENCE conf_id; ALTER EXTENSION hstore ADD SEQUENCE inner_id;
    UPDATE pg_extension SET extconfig = ARRAY['conf'::regclass::oid, 'conf_id'::regclass::oid, 'none'::regclass::oid,
     'idle'::regclass::oid], extcondition = ARRAY['WHERE id > 1', '', '', '']
     WHERE extname = 'hstore'`)
  const { sql, tables } = await dump(db)
  expect(tables).toEqual([{ schema: 'public', name: 'conf', rows: 2 }])
  expect(sql.match(/^SELECT pg_catalog\.setval.*$/gm)).toEqual([
    `SELECT pg_catalog.setval('"public"."conf_id"', 3, true);`,
  ])
})

test('D1: a sequence that gave out more than is left goes on after that', async () => {
  await using db = await createDatabase(server)
  await db.sql(`CREATE TABLE t (id serial PRIMARY KEY); INSERT INTO t SELECT FROM generate_series(1, 10);
    DELETE FROM t WHERE id > 3`)
  await using restored = await createDatabase(server)
  await restoreByPsql(restored, (await dump(db, { style: 'insert' })).sql)
  expect(await restored.sql('INSERT INTO t DEFAULT VALUES RETURNING id')).toEqual([['11']])
})

test.each(['fin', 'rst'] as const)(
  'A15: a connection that is cut (%s) in the middle ends the dump with an error',
  async (kind) => {
    await using db = await createDatabase(server)
    await db.sql(
      `CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i`,
    )
    await using proxy = await startFaultProxyFor(db.url)
    for (const parallel of [1, 2]) {
      const { promise: begun, resolve } = Promise.withResolvers<void>()
      const dumping = dump({ url: proxy.url(db.url) }, { parallel }, { onBytes: () => resolve() })
      await begun
      proxy.cut(kind)
      await expect(dumping).rejects.toMatchObject({ code: 'connection_lost' })
    }
  },
)

test('an interruption ends every session at once', async () => {
  await using db = await createDatabase(server)
  await db.sql(
    `CREATE TABLE t (id int, v text); INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 200000) i`,
  )
  const stop = new AbortController()
  const { promise: begun, resolve } = Promise.withResolvers<void>()
  const dumping = dump(db, { parallel: 2 }, { signal: stop.signal, onBytes: () => resolve() })
  await begun
  stop.abort(new AppError('interrupted', 'somebody wants it to stop'))
  await expect(dumping).rejects.toThrow('somebody wants it to stop')
  const sessions = `SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'syncline'`
  await expect.poll(() => db.sql(sessions)).toEqual([['0']])
})

test('D13: a definition that holds a command of psql is refused, also in the middle of a statement', () => {
  const end = '\n--\n-- PostgreSQL database dump complete\n--\n'
  for (const text of [
    'CREATE VIEW v AS SELECT 1 \\! true\n;',
    'SELECT 1;\n\\! true\n',
    '\\copy t from program',
    'DROP TABLE t;',
  ]) {
    expect(() => readSection(`${text}${end}`), text).toThrow(/backslash|unknown statement/)
  }
  expect(() => readSection('CREATE TABLE t ();\n')).toThrow('cut')
  expect(
    readSection(`\\restrict x\nCREATE TABLE "\\! true" ();\nCREATE USER MAPPING FOR u SERVER s;\n${end}`),
  ).toHaveLength(1)
})
