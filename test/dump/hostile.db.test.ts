/** Files whose code does more than it says: nothing that the file does not make is another one after it (hazard D13, S42). */
import { describe, expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { fileOf, importInto, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const { source: server } = sharedServers()

/** A database of a login that owns all of it, and may do nothing beyond it. */
async function createOwned(): Promise<{ db: Database; url: string } & AsyncDisposable> {
  const db = await createDatabase(server)
  const role = `owner_${db.name.slice(-12)}`
  await db.sql(`CREATE ROLE ${role} LOGIN; ALTER DATABASE "${db.name}" OWNER TO ${role}; GRANT ALL ON SCHEMA public TO ${role};
    CREATE TABLE other (id int PRIMARY KEY); INSERT INTO other SELECT n FROM generate_series(1, 3) n;
    CREATE TABLE log (id int); ALTER TABLE other OWNER TO ${role}; ALTER TABLE log OWNER TO ${role}`)
  const url = new URL(db.url)
  url.username = role
  return {
    db,
    url: url.href,
    [Symbol.asyncDispose]: async () => {
      await db.sql(`ALTER DATABASE "${db.name}" OWNER TO CURRENT_USER; DROP OWNED BY ${role}; DROP ROLE ${role}`)
      await db[Symbol.asyncDispose]()
    },
  }
}

const native = (sql: string): string =>
  `-- PostgreSQL database dump\nSET check_function_bodies = false;\n${sql}\n-- PostgreSQL database dump complete\n`

/** What an immutable function may not do itself, it may have done. */
const evil = (body: string): string =>
  `CREATE FUNCTION public.deed() RETURNS integer LANGUAGE plpgsql AS $$ BEGIN ${body}; RETURN 1; END $$;
CREATE FUNCTION public.evil() RETURNS integer LANGUAGE plpgsql IMMUTABLE AS $$ BEGIN RETURN public.deed(); END $$;
CREATE FUNCTION public.fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN PERFORM public.evil(); RETURN NEW; END $$;\n`
const DELETES = evil('DELETE FROM public.other')
const ROW = 'INSERT INTO public.t (a) VALUES (1);\n'

/** A statement that a default runs. */
const grants = (statement: string): string =>
  `${evil(`EXECUTE '${statement}'`)}CREATE TABLE public.t (a int, b int DEFAULT public.evil());\n${ROW}`

const RUNS: readonly (readonly [name: string, sql: string, touched: string])[] = [
  ['a default', `${DELETES}CREATE TABLE public.t (a int, b int DEFAULT public.evil());\n${ROW}`, 'other'],
  ['a CHECK', `${DELETES}CREATE TABLE public.t (a int CHECK (public.evil() = 1));\n${ROW}`, 'other'],
  [
    'a generated column',
    `${DELETES}CREATE TABLE public.t (a int, b int GENERATED ALWAYS AS (public.evil()) STORED);\n${ROW}`,
    'other',
  ],
  [
    'a domain',
    `${DELETES}CREATE DOMAIN public.d AS int CHECK (public.evil() = 1);\nCREATE TABLE public.t (a public.d);\n${ROW}`,
    'other',
  ],
  [
    'an index',
    `${DELETES}CREATE TABLE public.t (a int);\n${ROW}CREATE INDEX i ON public.t ((public.evil()));\n`,
    'other',
  ],
  [
    'the condition of an index',
    `${DELETES}CREATE TABLE public.t (a int);\n${ROW}CREATE INDEX i ON public.t (a) WHERE public.evil() = 1;\n`,
    'other',
  ],
  [
    'a refresh',
    `${DELETES}CREATE MATERIALIZED VIEW public.m AS SELECT public.evil() WITH NO DATA;\nREFRESH MATERIALIZED VIEW public.m;\n`,
    'other',
  ],
  [
    'a trigger',
    `${DELETES}CREATE TABLE public.t (a int);\nCREATE TRIGGER x AFTER INSERT ON public.t FOR EACH ROW EXECUTE FUNCTION public.fires();\n${ROW}`,
    'other',
  ],
  [
    'a trigger that waits for the commit',
    `${DELETES}CREATE TABLE public.t (a int);\nCREATE CONSTRAINT TRIGGER x AFTER INSERT ON public.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fires();\n${ROW}`,
    'other',
  ],
  [
    'a rule',
    `CREATE TABLE public.t (a int);\nCREATE RULE r AS ON INSERT TO public.t DO ALSO DELETE FROM public.other;\n${ROW}`,
    'other',
  ],
  [
    'what is caught in the middle',
    `${evil('BEGIN TRUNCATE public.other; EXCEPTION WHEN division_by_zero THEN NULL; END')}CREATE TABLE public.t (a int, b int DEFAULT public.evil());\n${ROW}`,
    'other',
  ],
  [
    'DROP',
    `${evil("EXECUTE 'DROP TABLE public.other'")}CREATE TABLE public.t (a int, b int DEFAULT public.evil());\n${ROW}`,
    'other',
  ],
  [
    'ALTER',
    `${evil("EXECUTE 'ALTER TABLE public.other ADD COLUMN x int'")}CREATE TABLE public.t (a int, b int DEFAULT public.evil());\n${ROW}`,
    'other',
  ],
  ['rights on a table', grants('GRANT ALL ON public.other TO PUBLIC'), 'other'],
  ['rights on a column', grants('GRANT SELECT (id) ON public.other TO PUBLIC'), 'other'],
  [
    'a trigger of another table',
    grants('CREATE TRIGGER x AFTER INSERT ON public.other FOR EACH ROW EXECUTE FUNCTION public.fires()'),
    'other',
  ],
  [
    'what others must hold to',
    `${grants('ALTER TABLE public.other ADD FOREIGN KEY (id) REFERENCES public.s NOT VALID').replace('CREATE TABLE', 'CREATE TABLE public.s (a int PRIMARY KEY);\nCREATE TABLE')}`,
    'other',
  ],
  [
    'a setting of the login',
    `${evil("EXECUTE format('ALTER ROLE %I SET search_path = evil', current_user)")}CREATE TABLE public.t (a int, b int DEFAULT public.evil());\n${ROW}`,
    'pg_db_role_setting',
  ],
]

describe('D13: code that runs while rows come', () => {
  test.for(RUNS)('%s writes to what the file does not make: rolled back', async ([, sql, touched]) => {
    await using owned = await createOwned()
    const { db, url } = owned
    const before = withoutKey(await pgDump(db))
    const error = await refusal(importInto(db, native(sql), { url, trusted: false }))
    expect([error.code, error.message]).toEqual(['dump_refused', expect.stringContaining(touched)])
    expect(withoutKey(await pgDump(db))).toBe(before)
    // It would have come through.
    await importInto(db, native(sql), { url, trusted: true })
    expect(withoutKey(await pgDump(db))).not.toBe(before)
  })

  test('D1: a sequence that it has set back stands where it stood: what it gave out is not given out again', async () => {
    await using owned = await createOwned()
    const { db, url } = owned
    const role = new URL(url).username
    await db.sql(`CREATE SEQUENCE ticket; ALTER SEQUENCE ticket OWNER TO ${role}; SELECT setval('ticket', 5000);
      CREATE SEQUENCE down INCREMENT -1; ALTER SEQUENCE down OWNER TO ${role}; SELECT setval('down', -70)`)
    const sets = (name: string, value: number) => `DEFAULT pg_catalog.setval('public.${name}', ${value})`
    const table = `CREATE TABLE public.t (a int, x bigint ${sets('ticket', 1)}, y bigint ${sets('down', -1)});\n${ROW}`
    for (const sql of [table, `${table}INSERT INTO public.t (a) VALUES ('x');\n`]) {
      const error = await refusal(importInto(db, native(sql), { url, trusted: false }))
      expect(error.code).toMatch(/dump_refused|restore_failed/)
      expect(await db.sql(`SELECT nextval('ticket') - 5000 > 0, nextval('down') + 70 < 0`)).toEqual([['t', 't']])
    }
  })

  test('a type of the file is not what our own look at it takes for the server’s', async () => {
    await using owned = await createOwned()
    const { db, url } = owned
    const sql = `CREATE TABLE public.t (a int, b int);
      CREATE FUNCTION public.looked() RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN
        IF NOT EXISTS (SELECT FROM public.t WHERE a = 7) THEN INSERT INTO public.t VALUES (7, 0); DELETE FROM public.other; END IF;
        RETURN true; END $$;
      ${evil("EXECUTE 'CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (public.looked())'")}
      ALTER TABLE public.t ALTER COLUMN b SET DEFAULT public.evil();\n${ROW}`
    await importInto(db, native(sql), { url, trusted: false })
    expect(await db.sql('SELECT a FROM t')).toEqual([['1']])
    expect(await db.sql('SELECT count(*) FROM other')).toEqual([['3']])
    const named = native('CREATE DOMAIN pg_temp.text AS pg_catalog.text CHECK (true);')
    expect(await refusal(importInto(db, named, { url, trusted: false }))).toMatchObject({ code: 'dump_refused' })
  })

  test('a trigger that puts its deed off once more, to the commit itself: rolled back', async () => {
    await using owned = await createOwned()
    const { db, url } = owned
    const sql = `CREATE TABLE public.t (a int);
      CREATE FUNCTION public.fires() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
        IF NEW.a = 1 THEN SET CONSTRAINTS ALL DEFERRED; INSERT INTO public.t VALUES (2);
        ELSE DELETE FROM public.other; END IF; RETURN NULL; END $$;
      CREATE CONSTRAINT TRIGGER x AFTER INSERT ON public.t DEFERRABLE INITIALLY DEFERRED FOR EACH ROW EXECUTE FUNCTION public.fires();\n${ROW}`
    const before = withoutKey(await pgDump(db))
    const error = await refusal(importInto(db, native(sql), { url, trusted: false }))
    expect([error.code, error.message]).toEqual(['dump_refused', expect.stringContaining('put off')])
    expect(withoutKey(await pgDump(db))).toBe(before)
    expect(await db.sql('SELECT count(*) FROM other')).toEqual([['3']])
    await importInto(db, native(sql), { url, trusted: true })
    expect(await db.sql('SELECT count(*) FROM other')).toEqual([['0']])
  })

  test('code that keeps to what the file makes is none of these', async () => {
    await using owned = await createOwned()
    const { db, url } = owned
    const sql = `${evil('INSERT INTO public.mine SELECT count(*) FROM public.other')}CREATE TABLE public.mine (n int);
      CREATE TABLE public.t (a int REFERENCES public.other, b int DEFAULT public.evil());\n${ROW}`
    await importInto(db, native(sql), { url, trusted: false })
    expect(await db.sql('SELECT n FROM mine')).toEqual([['3']])
  })

  test('what the target itself does for each row is no code of the file', async () => {
    await using owned = await createOwned()
    const { db, url } = owned
    await db.sql(`CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN INSERT INTO public.log VALUES (NEW.id); RETURN NEW; END';
      CREATE TRIGGER noting AFTER INSERT ON other FOR EACH ROW EXECUTE FUNCTION note()`)
    const rows = native('COPY public.other (id) FROM stdin;\n7\n8\n\\.\n')
    await importInto(db, rows, { url, trusted: false, replace: true })
    expect(await db.sql('SELECT id FROM log ORDER BY id')).toEqual([['7'], ['8']])
  })
})

describe('D13, D16: what is replaced refers to what stays', () => {
  const SHOP = `CREATE SCHEMA shop; CREATE TABLE shop.t (id int PRIMARY KEY REFERENCES public.other); INSERT INTO shop.t VALUES (1), (2);
    CREATE VIEW shop.v AS SELECT * FROM public.other; CREATE MATERIALIZED VIEW shop.m AS SELECT * FROM public.other;
    CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END';
    CREATE TRIGGER noting BEFORE UPDATE ON public.other FOR EACH ROW EXECUTE FUNCTION public.note();`
  const OWN = (url: string): string => `SET ROLE ${new URL(url).username}; ${SHOP} RESET ROLE`

  test.for([[false], [true]])('it comes back by a login of its own, swapped: %s', async ([swap = false]) => {
    await using owned = await createOwned()
    const { db, url } = owned
    await db.sql(OWN(url))
    const file = await pgDump(db, ['--schema=shop'])
    const before = withoutKey(await pgDump(db))
    await db.sql('DELETE FROM shop.t')
    await importInto(db, file, { url, trusted: false, replace: true, swap, owners: false, grants: false })
    expect(withoutKey(await pgDump(db))).toBe(before)
  })

  test.for([
    'TRUNCATE public.other',
    'INSERT INTO public.other VALUES (9)',
    'DROP TRIGGER noting ON public.other',
    'ALTER TABLE public.other DISABLE TRIGGER noting',
    'ALTER TABLE public.other ALTER COLUMN id SET DEFAULT 7',
    'ALTER TABLE public.other DROP CONSTRAINT other_pkey',
    'DROP TABLE public.other CASCADE',
    'GRANT ALL ON public.other TO PUBLIC',
  ])('but code of the file that does "%s" is found: rolled back', async (deed) => {
    await using owned = await createOwned()
    const { db, url } = owned
    await db.sql(OWN(url))
    const before = withoutKey(await pgDump(db))
    const sql = `CREATE SCHEMA shop;\n${evil(`EXECUTE '${deed}'`).replaceAll('public.deed', 'shop.deed').replaceAll('public.evil', 'shop.evil').replaceAll('public.fires', 'shop.fires')}
      CREATE TABLE shop.t (id int, b int DEFAULT shop.evil());\nINSERT INTO shop.t (id) VALUES (1);\n`
    const error = await refusal(importInto(db, native(sql), { url, trusted: false, replace: true }))
    expect([error.code, error.message]).toEqual(['dump_refused', expect.stringMatching(/written to .*\bother\b/)])
    expect(withoutKey(await pgDump(db))).toBe(before)
  })
})

test('S42: a function that runs as its owner is told in the plan', async () => {
  await using owned = await createOwned()
  const sql = 'CREATE FUNCTION public.f() RETURNS int LANGUAGE sql SECURITY DEFINER AS $$ SELECT 1 $$;'
  const { notes } = await plan(owned.db, fileOf(native(sql)), { url: owned.url, trusted: false })
  expect(notes.join()).toMatch(/rights of their owner.*f/)
})

test('S42: a schema and an extension that are there keep their owner, their rights and what they say of themselves', async () => {
  await using db = await createDatabase(server)
  await db.sql(
    `CREATE SCHEMA kept; COMMENT ON SCHEMA kept IS 'ours'; CREATE EXTENSION citext; COMMENT ON EXTENSION citext IS 'ours'`,
  )
  const before = withoutKey(await pgDump(db))
  const sql = `CREATE SCHEMA kept;\nCOMMENT ON SCHEMA kept IS 'theirs';\nGRANT ALL ON SCHEMA kept TO PUBLIC;\nALTER SCHEMA kept OWNER TO pg_monitor;
    CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;\nCOMMENT ON EXTENSION citext IS 'theirs';`
  await importInto(db, native(sql))
  expect(withoutKey(await pgDump(db))).toBe(before)
})

describe('D1: a sequence of the target', () => {
  const moved = (after: string): string =>
    native(
      `COPY public.item (id) FROM stdin;\n5\n\\.\nSELECT pg_catalog.setval('public.item_id_seq', 900, true);\n${after}`,
    )

  test('goes back to where it was with everything else, although the server undoes no setval', async () => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE TABLE item (id serial PRIMARY KEY); SELECT nextval('item_id_seq') FROM generate_series(1, 41)`)
    const failing = moved('INSERT INTO public.item (id) VALUES (5);')
    const error = await refusal(importInto(db, failing, { replace: true }))
    expect([error.code, error.message]).toEqual(['restore_failed', expect.stringContaining('23505')])
    expect(await db.sql('SELECT last_value, is_called FROM item_id_seq')).toEqual([['41', 't']])
    await importInto(db, moved(''), { replace: true })
    expect(await db.sql(`SELECT nextval('item_id_seq')`)).toEqual([['901']])
  })

  test('is told in the plan, and moved only where somebody wants what is there replaced', async () => {
    await using db = await createDatabase(server)
    await db.sql(`CREATE TABLE item (id serial PRIMARY KEY); SELECT nextval('item_id_seq')`)
    const error = await refusal(importInto(db, moved('')))
    expect([error.code, error.message]).toEqual([
      'restore_exists',
      expect.stringContaining('sequence public.item_id_seq'),
    ])
    const nowhere = native("SELECT pg_catalog.setval('public.nowhere', 900, true);")
    const missing = await refusal(importInto(db, nowhere, { replace: true }))
    expect([missing.code, missing.message]).toEqual(['dump_unfit', expect.stringContaining('sequence public.nowhere')])
  })
})

test('large objects that are there are never replaced', async () => {
  await using db = await createDatabase(server)
  await db.sql(`SELECT lo_from_bytea(4711, 'ours')`)
  const sql = `SELECT pg_catalog.lo_create('4711');\nSELECT pg_catalog.lo_create('4712');`
  const { notes, refusals } = await plan(db, fileOf(native(sql)), { replace: true })
  expect(notes.join()).toContain('2 large objects')
  expect(refusals.map(({ code, message }) => [code, message])).toEqual([
    ['restore_exists', expect.stringMatching(/: 4711\./)],
  ])
})

test('event triggers of the target write with the restore: they are named, and nobody has to trust the file for them', async () => {
  await using at = await createOwned()
  const { db, url } = at
  await db.sql(`CREATE FUNCTION logs() RETURNS event_trigger LANGUAGE plpgsql SECURITY DEFINER AS
      $$ BEGIN INSERT INTO public.log VALUES (1); END $$;
    CREATE EVENT TRIGGER logging ON ddl_command_end EXECUTE FUNCTION logs();
    CREATE EVENT TRIGGER idle ON ddl_command_end EXECUTE FUNCTION logs(); ALTER EVENT TRIGGER idle DISABLE`)
  const file = native('CREATE TABLE public.t (a integer);')
  const error = await refusal(importInto(db, file, { url, trusted: false }))
  await db.sql('ALTER EVENT TRIGGER logging DISABLE')
  expect([error.code, error.message]).toEqual(['dump_refused', expect.stringContaining('written to log,')])
  expect(error.hint).toMatch(/event triggers of its own.*: logging\. If so, switch them off/)
  await importInto(db, file, { url, trusted: false })
  expect(await db.sql(`SELECT to_regclass('t') IS NOT NULL`)).toEqual([['t']])
})
