/** Rows of tables that an extension has made: what the user has added to them is in dumps, and what the extension brings is not. */
import { expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { fileOf, importInto, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

const OF_EXTENSION = `
  CREATE TABLE srs (id int PRIMARY KEY, name text);
  CREATE SEQUENCE srs_own START 9000;
  INSERT INTO srs SELECT n, 'of the extension' FROM generate_series(1, 8500) n`

/** As `pg_extension_config_dump` in the extension's own script would have it. */
const MEMBERS = `
  ALTER EXTENSION hstore ADD TABLE srs; ALTER EXTENSION hstore ADD SEQUENCE srs_own;
  SET allow_system_table_mods = on;
  UPDATE pg_extension SET extconfig = ARRAY['srs'::regclass::oid, 'srs_own'::regclass::oid],
    extcondition = ARRAY['WHERE id > 8500', ''] WHERE extname = 'hstore';
  RESET allow_system_table_mods`

const MINE = `INSERT INTO srs VALUES (9000, 'mine'); SELECT setval('srs_own', 9001)`

/** A database with an extension that has a table, in which there is a row of the user's own. */
async function withExtension(): Promise<Database> {
  const db = await createDatabase(oldest())
  await db.sql(`CREATE EXTENSION hstore; ${OF_EXTENSION}; ${MEMBERS}; ${MINE}`)
  return db
}

const ROWS = `SELECT count(*), count(*) FILTER (WHERE name = 'mine') FROM srs`

test.for([
  ['pg_dump', (db: Database) => pgDump(db)] as const,
  ['an export', async (db: Database) => (await dump(db)).sql] as const,
])('D16: rows that an extension has made stay where those of the user are replaced: %s', async ([, read]) => {
  await using db = await withExtension()
  const text = await read(db)
  const before = withoutKey(await pgDump(db))
  await db.sql(`UPDATE srs SET name = 'changed since' WHERE id = 9000; INSERT INTO srs VALUES (9001, 'since')`)
  expect((await refusal(importInto(db, text))).message).toContain('rows of public.srs')
  await importInto(db, text, { replace: true })
  expect(await db.sql(ROWS)).toEqual([['8501', '1']])
  expect(withoutKey(await pgDump(db))).toBe(before)
})

test('where the user has no rows of their own there is nothing to replace', async () => {
  await using db = await withExtension()
  const text = await pgDump(db)
  await db.sql(`DELETE FROM srs WHERE id > 8500; SELECT setval('srs_own', 9000, false)`)
  await importInto(db, text)
  expect(await db.sql(ROWS)).toEqual([['8501', '1']])
})

test('a table that the extension of the file makes is not missed before it is made', async () => {
  await using db = await withExtension()
  const text = await pgDump(db)
  expect(text).toMatch(/COPY public\.srs .*setval\('public\.srs_own'/s)
  await using target = await createDatabase(oldest())
  expect((await plan(target, fileOf(text))).refusals).toEqual([])
  // The extension as it is has no such table: that is an error of its rows, and nothing stays.
  const failed = await refusal(importInto(target, text))
  expect([failed.code, failed.message]).toEqual(['restore_failed', expect.stringContaining('COPY public.srs')])
  expect(await target.sql('SELECT count(*) FROM pg_extension')).toEqual([['1']])
  // As the script of an extension that has one would do.
  await target.sql(`
    CREATE FUNCTION script() RETURNS event_trigger LANGUAGE plpgsql SET search_path = public AS $$ BEGIN ${OF_EXTENSION}; END $$;
    CREATE EVENT TRIGGER script ON ddl_command_end WHEN TAG IN ('CREATE EXTENSION') EXECUTE FUNCTION script()`)
  await importInto(target, text)
  expect(await target.sql(ROWS)).toEqual([['8501', '1']])
  expect(await target.sql(`SELECT last_value FROM srs_own`)).toEqual([['9001']])
})

test('a table that is not there is missed where all extensions of the file are', async () => {
  await using db = await withExtension()
  const text = await pgDump(db)
  await using target = await createDatabase(oldest())
  await target.sql('CREATE EXTENSION hstore')
  const [missed, sequence] = (await plan(target, fileOf(text))).refusals
  expect([missed?.code, missed?.message]).toEqual(['dump_unfit', expect.stringContaining('no table public.srs')])
  expect(sequence?.message).toContain('no sequence public.srs_own')
})
