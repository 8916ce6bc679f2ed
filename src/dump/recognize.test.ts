/** What statements name: nothing but what their file makes (hazard D13, security item S42). */
import { describe, expect, test } from 'vitest'

import { fileOf, readOptions, refusal } from '#test/harness/import.ts'
import { checkDump, type DumpPlan } from './check-dump.ts'

function check(sql: string): Promise<DumpPlan> {
  return checkDump(fileOf(sql), { ...readOptions(), owners: true, grants: true, trusted: false })
}

const native = (sql: string): string =>
  `--\n-- PostgreSQL database dump\n--\n\n${sql}\n\n--\n-- PostgreSQL database dump complete\n--\n`

const TABLE = "CREATE TABLE public.t (\n    a integer,\n    b text DEFAULT 'x;y'\n);\n"

/** The same kinds of statements, about what the file makes. */
const MADE: readonly string[] = [
  "COMMENT ON COLUMN public.t.a IS 'x';",
  "CREATE INDEX i ON public.t (a);COMMENT ON INDEX public.i IS 'x';",
  "ALTER TABLE ONLY public.t ADD CONSTRAINT k PRIMARY KEY (a);COMMENT ON INDEX public.k IS 'x';COMMENT ON CONSTRAINT k ON public.t IS 'x';",
  "CREATE TYPE public.pair AS (x int);COMMENT ON COLUMN public.pair.x IS 'x';COMMENT ON TYPE public.pair IS 'x';",
  "CREATE TYPE public.pair AS (x int);CREATE CAST (public.pair AS text) WITH INOUT;COMMENT ON CAST (public.pair AS text) IS 'x';",
  "CREATE OPERATOR public.~~~ (FUNCTION = public.f, LEFTARG = text, RIGHTARG = text, COMMUTATOR = OPERATOR(public.~~~));COMMENT ON OPERATOR public.~~~ (text, text) IS 'x';",
  "CREATE EXTENSION IF NOT EXISTS citext WITH SCHEMA public;COMMENT ON EXTENSION citext IS 'x';",
  "COMMENT ON SCHEMA public IS 'x';",
  'CREATE FUNCTION public.f(int, text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;GRANT ALL ON FUNCTION public.f(int, text) TO x, y WITH GRANT OPTION;',
  'GRANT SELECT (a), UPDATE (b) ON TABLE public.t TO GROUP x;REVOKE ALL ON SCHEMA public FROM PUBLIC;',
  'CREATE SCHEMA s;ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA s GRANT SELECT ON TABLES TO y;',
  'CREATE TABLE public.u (c int) INHERITS (public.t);ALTER TABLE public.u INHERIT public.t;',
  'CREATE TABLE public.owner (rename int, inherit int, owner int);ALTER TABLE public.owner ALTER COLUMN rename SET NOT NULL;ALTER TABLE public.owner ALTER COLUMN inherit SET STATISTICS 7;',
  "CREATE PUBLICATION p WITH (publish = 'insert');ALTER PUBLICATION p ADD TABLE ONLY public.t;",
  "CREATE SEQUENCE public.s;ALTER SEQUENCE public.s OWNED BY public.t.a;SELECT pg_catalog.setval('public.s', 4, true);",
  "SELECT pg_catalog.lo_create('1');SELECT pg_catalog.lo_open('1', 131072);SELECT pg_catalog.lowrite(0, '\\x41');SELECT pg_catalog.lo_close(0);COMMENT ON LARGE OBJECT 1 IS 'x';",
  "SELECT pg_catalog.lo_unlink('1');",
  "SELECT CASE WHEN EXISTS(SELECT 1 FROM pg_catalog.pg_largeobject_metadata WHERE oid = '1') THEN pg_catalog.lo_unlink('1') END;",
  'SET search_path = public, pg_catalog;\nCOMMENT ON TABLE t IS NULL;',
  'ALTER TABLE public.other DISABLE TRIGGER ALL;\nCOPY public.other (a) FROM stdin;\n1\n\\.\nALTER TABLE public.other ENABLE TRIGGER ALL;',
  'CREATE OR REPLACE VIEW public.v AS SELECT NULL::integer;DROP VIEW public.v;CREATE VIEW public.v AS SELECT NULL::integer;CREATE OR REPLACE VIEW public.v AS SELECT 1;',
  'SET SESSION AUTHORIZATION DEFAULT;',
  'SET SESSION AUTHORIZATION "x";GRANT SELECT ON TABLE public.t TO y;RESET SESSION AUTHORIZATION;',
  "SECURITY LABEL FOR anon ON COLUMN public.t.a IS 'MASKED WITH VALUE NULL';",
  'ALTER TABLE public.empty DISABLE TRIGGER ALL;ALTER TABLE public.empty ENABLE TRIGGER ALL;',
  'DROP TABLE public.other;ALTER TABLE IF EXISTS ONLY public.other DROP CONSTRAINT x;ALTER DOMAIN IF EXISTS public.d DROP CONSTRAINT y;',
]

/** Each changes, or says something of, what the file does not make. */
const UNBOUND: readonly string[] = [
  'CREATE OR REPLACE VIEW public.other AS SELECT 1;',
  "SELECT pg_catalog.setval(E'public.s', 1, true);",
  "SELECT pg_catalog.setval('16385', 1, true);",
  "SELECT pg_catalog.setval('public.s; x', 1, true);",
  "SELECT pg_catalog.lo_open('4711', 131072);",
  "SELECT pg_catalog.lo_create('1');SELECT pg_catalog.lo_open('4711', 131072);",
  "COMMENT ON TABLE public.other IS 'x';",
  "COMMENT ON VIEW public.other IS 'x';",
  "COMMENT ON COLUMN public.other.a IS 'x';",
  "COMMENT ON COLUMN other.a IS 'x';",
  "COMMENT ON FUNCTION public.other(integer) IS 'x';",
  "COMMENT ON TYPE public.other IS 'x';",
  "COMMENT ON DOMAIN public.other IS 'x';",
  "COMMENT ON INDEX public.other IS 'x';",
  "COMMENT ON INDEX public.t IS 'x';",
  "COMMENT ON CONSTRAINT c ON public.other IS 'x';",
  "COMMENT ON CONSTRAINT c ON DOMAIN public.other IS 'x';",
  "COMMENT ON TRIGGER c ON public.other IS 'x';",
  "COMMENT ON RULE c ON public.other IS 'x';",
  "COMMENT ON POLICY c ON public.other IS 'x';",
  "COMMENT ON SCHEMA other IS 'x';",
  "COMMENT ON EXTENSION other IS 'x';",
  "COMMENT ON COLLATION public.other IS 'x';",
  "COMMENT ON CAST (text AS integer) IS 'x';",
  "COMMENT ON OPERATOR public.~~~ (text, text) IS 'x';",
  "CREATE OPERATOR public.~~~ (FUNCTION = public.f, LEFTARG = text, RIGHTARG = text);COMMENT ON OPERATOR public.~~~ (box, text) IS 'x';",
  "COMMENT ON OPERATOR CLASS public.other USING btree IS 'x';",
  "COMMENT ON STATISTICS public.other IS 'x';",
  "COMMENT ON PUBLICATION other IS 'x';",
  "COMMENT ON TEXT SEARCH CONFIGURATION public.other IS 'x';",
  "COMMENT ON LARGE OBJECT 4711 IS 'x';",
  "COMMENT ON DATABASE shop IS 'x';",
  "COMMENT ON ROLE postgres IS 'x';",
  "COMMENT ON TABLESPACE pg_default IS 'x';",
  "COMMENT ON LANGUAGE plpgsql IS 'x';",
  'ALTER INDEX public.other SET (fillfactor = 10);',
  'CREATE INDEX i ON public.t (a);ALTER INDEX public.i ATTACH PARTITION public.other;',
  'ALTER TRIGGER x ON public.other DEPENDS ON EXTENSION y;',
  'ALTER STATISTICS public.other SET STATISTICS 1;',
  'ALTER OPERATOR public.+ (integer, integer) OWNER TO x;',
  'ALTER COLLATION public.other OWNER TO x;',
  'ALTER TEXT SEARCH CONFIGURATION public.other ADD MAPPING FOR word WITH simple;',
  'ALTER LARGE OBJECT 4711 OWNER TO x;',
  'ALTER PUBLICATION other ADD TABLE ONLY public.t;',
  'CREATE PUBLICATION p;ALTER PUBLICATION p ADD TABLE ONLY public.other;',
  'CREATE PUBLICATION p;ALTER PUBLICATION p ADD TABLE ONLY public.t, public.other;',
  'CREATE PUBLICATION p;ALTER PUBLICATION p ADD TABLES IN SCHEMA other;',
  'CREATE PUBLICATION p;ALTER PUBLICATION p SET ALL TABLES;',
  'CREATE PUBLICATION p FOR ALL TABLES;',
  'CREATE PUBLICATION p FOR TABLE public.other;',
  'ALTER SCHEMA other OWNER TO x;',
  'ALTER SEQUENCE public.other RESTART WITH 1;',
  'CREATE SEQUENCE public.s OWNED BY public.other.a;',
  'CREATE SEQUENCE public.s;ALTER SEQUENCE public.s OWNED BY public.other.a;',
  'CREATE TABLE public.u PARTITION OF public.other FOR VALUES IN (1);',
  'CREATE TABLE public.u (a int) INHERITS (public.other);',
  'CREATE TABLE public.u (a int) INHERITS (public.t, public.other);',
  'ALTER TABLE ONLY public.t ATTACH PARTITION public.other DEFAULT;',
  'ALTER TABLE public.t INHERIT public.other;',
  'ALTER TABLE public.t ADD COLUMN c integer, INHERIT public.other;',
  'ALTER TABLE public.t ADD COLUMN c integer, OWNER TO x;',
  'CREATE TABLE "all" (a int);ALTER TABLE ALL IN TABLESPACE pg_default SET TABLESPACE x;',
  'ALTER TABLE public.other DISABLE TRIGGER ALL;',
  'COPY public.other (a) FROM stdin;\n1\n\\.\nALTER TABLE public.other DISABLE TRIGGER x;',
  'ALTER TABLE public.other DISABLE TRIGGER ALL;\nCOPY public.other (a) FROM stdin;\n1\n\\.\n',
  'GRANT ALL ON TABLE public.t, public.other TO x;',
  'GRANT SELECT (a) ON TABLE public.t, public.other TO x;',
  'REVOKE ALL ON TABLE public.t, public.other FROM x;',
  'GRANT ALL ON FUNCTION public.other(integer) TO x;',
  'CREATE FUNCTION public.f(int, text) RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;GRANT ALL ON FUNCTION public.f(int, text), public.other() TO x;',
  'GRANT ALL ON ALL TABLES IN SCHEMA public TO x;',
  'GRANT ALL ON SCHEMA public, other TO x;',
  'GRANT ALL ON TYPE public.other TO x;',
  'GRANT ALL ON LARGE OBJECT 4711 TO x;',
  'GRANT ALL ON LANGUAGE plpgsql TO x;',
  'GRANT ALL ON FOREIGN SERVER s TO x;',
  'ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO PUBLIC;',
  'ALTER DEFAULT PRIVILEGES FOR ROLE x IN SCHEMA public GRANT ALL ON TABLES TO PUBLIC;',
  'CREATE SCHEMA s;ALTER DEFAULT PRIVILEGES IN SCHEMA s, other GRANT ALL ON TABLES TO PUBLIC;',
  'CREATE CAST (text AS integer) WITH FUNCTION public.f(text) AS IMPLICIT;',
  'CREATE VIEW public.v AS SELECT a FROM public.other;INSERT INTO public.v VALUES (1);',
  'CREATE VIEW public.v AS SELECT a FROM public.other;COPY public.v (a) FROM stdin;\n1\n\\.\n',
]

/** Each would make a name, or a text, mean something else to the server than it does here. */
const AMBIGUOUS: readonly string[] = [
  'RESET standard_conforming_strings;',
  'RESET search_path;',
  "SET standard_conforming_strings = off;\nSET search_path = '\\160ublic';",
  "SET standard_conforming_strings = off;\nCREATE FUNCTION public.f() RETURNS int AS $$ x $$ LANGUAGE '\\143';",
  "SET standard_conforming_strings = off;\nINSERT INTO public.t VALUES (1, 'x\\\\'), (public.f(), 'y');",
  'SET search_path = public, other;',
  'SET search_path = "$user";',
  'SET search_path TO DEFAULT;',
  "SELECT pg_catalog.set_config('search_path', 'public, other', false);",
  "SELECT pg_catalog.set_config('search_path', E'public', false);",
  'CREATE TABLE IF NOT EXISTS public.other (a int);',
  'CREATE INDEX IF NOT EXISTS other ON public.t (a);',
  'CREATE EXTENSION citext CASCADE;',
  'CREATE TABLE public.U&"\\0061" (a int);',
  `CREATE TABLE public.${'n'.repeat(64)} (a int);`,
  `CREATE OR REPLACE FUNCTION public."${'é'.repeat(32)}"() RETURNS int LANGUAGE sql AS $$ SELECT 1 $$;`,
  "CREATE FUNCTION public.f() RETURNS int AS $$ x $$ LANGUAGE U&'\\0063';",
  "CREATE FUNCTION public.f() RETURNS int AS $$ x $$ LANGUAGE E'c';",
  'INSERT INTO public.t (a[public.f()]) VALUES (1);',
  "INSERT INTO public.t VALUES (1, 'x') /* /* */ */, (public.f(), 'y');",
  "INSERT INTO public.t VALUES (1, U&'x' UESCAPE '!');",
]

describe('D13, S42: nothing of what others have made is changed', () => {
  test.for(UNBOUND.map((sql) => [sql]))('%s', async ([sql = '']) => {
    const error = await refusal(check(native(`${TABLE}${sql}\n`)))
    expect([error.code, error.message]).toEqual(['dump_refused', expect.stringMatching(/line \d+: /)])
  })

  test.for(AMBIGUOUS.map((sql) => [sql]))('what means more than it says: %s', async ([sql = '']) => {
    const error = await refusal(check(native(`${TABLE}${sql}\n`)))
    expect([error.code, error.message]).toEqual(['dump_refused', expect.stringMatching(/line \d+: /)])
  })

  test.for(MADE.map((sql) => [sql]))('what it makes itself, it may: %s', async ([sql = '']) => {
    await check(native(`${TABLE}${sql}\n`))
  })

  test('what somebody may do about it is the next step', async () => {
    const error = await refusal(check(native('CREATE DATABASE shop;\n\\connect shop\n')))
    expect(error.hint).toMatch(/without --create/)
    const rest = await refusal(check(native('ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (a);')))
    expect(rest.message).toMatch(/line 5: ALTER TABLE ONLY public\.t changes public\.t, which the file does not make/)
    expect(rest.hint).toMatch(/without --section/)
  })
})

describe('INSERTs of any size', () => {
  const insert = (rows: string): string => native(`${TABLE}INSERT INTO public.t (a, b) VALUES ${rows};`)

  test('every row is counted, and each must be of values alone, up to the last', async () => {
    const rows = Array.from({ length: 300_000 }, (_, n) => `(${n}, 'row ''${n}'' (\\)')`).join(',\n')
    expect((await check(insert(rows))).loads[0]?.rows).toBe(300_000)
    expect((await check(insert(`${rows} ON CONFLICT DO NOTHING`))).loads[0]?.rows).toBe(300_000)
    for (const end of [
      `, (public.f(), 'x')`,
      ', (1, ',
      ' RETURNING a',
      ' ON CONFLICT DO NOTHING RETURNING a',
      ', ()',
    ]) {
      expect((await refusal(check(insert(`${rows}${end}`)))).code, end).toMatch(/^dump_(refused|damaged)$/)
    }
  })

  test('a value of millions of quotes, or of escapes', async () => {
    for (const value of [`'${"''".repeat(6_000_000)}'`, `E'${'\\\\'.repeat(6_000_000)}'`]) {
      expect((await check(insert(`(1, ${value}), (2, 'x')`))).loads[0]?.rows).toBe(2)
    }
  })
})

test('D13: a statement of more words than any dump has is refused by its line, and not held as words', async () => {
  const words = '1,'.repeat(4_000_000)
  const error = await refusal(check(native(`${TABLE}CREATE VIEW public.v AS SELECT ${words}1;`)))
  expect([error.code, error.message]).toEqual([
    'dump_refused',
    expect.stringMatching(/line 9: CREATE VIEW has more than 250,000 words/),
  ])
})

test('nobody goes on as somebody else: what would say so is not run, and told where it bears on what is', async () => {
  const sql = native(
    `${TABLE}SET SESSION AUTHORIZATION 'x';GRANT SELECT ON TABLE public.t TO y;RESET SESSION AUTHORIZATION;`,
  )
  expect((await check(sql)).skipped).toEqual({ 'session user': 1, transaction: 1 })
  const without = { ...readOptions(), owners: false, grants: false, trusted: false }
  expect((await checkDump(fileOf(sql), without)).skipped).toEqual({ grant: 1, transaction: 2 })
})
