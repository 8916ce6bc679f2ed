/** Objects that are neither tables, types nor functions: what is there of them is kept, and is told before anything is written. */
import { expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { fileOf, importInto, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

/** Each of what is kept, by what makes it and what drops it. */
const OTHERS = `
  CREATE SCHEMA app; CREATE SCHEMA "odd ;""schema";
  CREATE COLLATION app.de (provider = icu, locale = 'de');
  CREATE TEXT SEARCH DICTIONARY app.words (TEMPLATE = simple);
  CREATE TEXT SEARCH CONFIGURATION app.search (COPY = simple);
  CREATE TEXT SEARCH PARSER app.parser (START = prsd_start, GETTOKEN = prsd_nexttoken, END = prsd_end, LEXTYPES = prsd_lextype);
  CREATE TEXT SEARCH TEMPLATE app.template (INIT = dsimple_init, LEXIZE = dsimple_lexize);
  CREATE CONVERSION app.there FOR 'UTF8' TO 'LATIN1' FROM utf8_to_iso8859_1;
  CREATE OPERATOR "odd ;""schema".=== (leftarg = text, rightarg = name, function = pg_catalog.texteqname);
  CREATE OPERATOR CLASS app.ops FOR TYPE int USING hash AS OPERATOR 1 =, FUNCTION 1 hashint4(int);
  CREATE CAST (text AS integer) WITH INOUT;
  CREATE ACCESS METHOD heap_too TYPE TABLE HANDLER heap_tableam_handler;
  CREATE FOREIGN DATA WRAPPER wrapper; CREATE SERVER elsewhere FOREIGN DATA WRAPPER wrapper;
  COMMENT ON COLLATION app.de IS 'collation'; COMMENT ON TEXT SEARCH PARSER app.parser IS 'parser'; COMMENT ON CAST (text AS integer) IS 'cast';
  CREATE TABLE app.t (v text COLLATE app.de, n int); INSERT INTO app.t VALUES ('a', 1); CREATE INDEX ON app.t USING hash (n app.ops);
  CREATE PUBLICATION news; GRANT USAGE ON FOREIGN SERVER elsewhere TO PUBLIC;`

const NAMES = [
  'collation app.de',
  'conversion app.there',
  'text search configuration app.search',
  'text search dictionary app.words',
  'text search parser app.parser',
  'text search template app.template',
  'operator odd ;"schema.===',
  'operator class app.ops',
  'operator family app.ops',
  'cast',
  'publication news',
  'server elsewhere',
  'foreign data wrapper wrapper',
  'access method heap_too',
]

test.for([
  ['pg_dump', (db: Database) => pgDump(db)] as const,
  ['an export', async (db: Database) => (await dump(db, { owners: true, grants: true })).sql] as const,
])('D16: what is there of them stays, and is told; it comes along where it is not: %s', async ([, read]) => {
  await using source = await createDatabase(oldest())
  await source.sql(OTHERS)
  const text = await read(source)
  await using target = await createDatabase(oldest())
  await importInto(target, text)
  const before = withoutKey(await pgDump(target))
  expect(before).toBe(withoutKey(await pgDump(source)))
  const { code, message } = await refusal(importInto(target, text))
  expect(code).toBe('restore_exists')
  const planned = await plan(target, fileOf(text), { replace: true })
  expect(planned.refusals).toEqual([])
  const [note = ''] = planned.notes
  for (const name of NAMES) expect([message.includes(name), note.includes(name)], name).toEqual([true, true])
  await target.sql(`UPDATE app.t SET v = 'other'; COMMENT ON COLLATION app.de IS 'of the target'`)
  await importInto(target, text, { replace: true })
  expect(await target.sql(`SELECT v, obj_description('app.de'::regcollation, 'pg_collation') FROM app.t`)).toEqual([
    ['a', 'of the target'],
  ])
  await target.sql(`COMMENT ON COLLATION app.de IS 'collation'`)
  expect(withoutKey(await pgDump(target))).toBe(before)
})

test('what only has the same name in another schema, or other types, is made', async () => {
  await using source = await createDatabase(oldest())
  await source.sql(OTHERS)
  await using target = await createDatabase(oldest())
  await target.sql(`CREATE SCHEMA other; CREATE COLLATION other.de (provider = icu, locale = 'de'); CREATE CAST (text AS smallint) WITH INOUT;
    CREATE SCHEMA "odd ;""schema"; CREATE OPERATOR "odd ;""schema".=== (leftarg = text, rightarg = text, function = pg_catalog.texteq);
    CREATE SCHEMA app; CREATE OPERATOR FAMILY app.ops USING btree`)
  const text = await pgDump(source)
  expect((await plan(target, fileOf(text))).refusals).toEqual([])
  await importInto(target, text)
  await target.sql(
    `DROP SCHEMA other CASCADE; DROP CAST (text AS smallint); DROP OPERATOR FAMILY app.ops USING btree; DROP OPERATOR "odd ;""schema".=== (text, text)`,
  )
  expect(withoutKey(await pgDump(target))).toBe(withoutKey(await pgDump(source)))
})

test('an operator of a function that is replaced is named before anything is written', async () => {
  await using db = await createDatabase(oldest())
  await db.sql(`CREATE FUNCTION near(text, text) RETURNS bool LANGUAGE sql IMMUTABLE AS $$ SELECT $1 = $2 $$;
    CREATE OPERATOR ~~~ (leftarg = text, rightarg = text, function = near)`)
  const { refusals } = await plan(db, fileOf(await pgDump(db)), { replace: true })
  expect(refusals.map(({ code }) => code)).toEqual(['restore_dependents'])
})
