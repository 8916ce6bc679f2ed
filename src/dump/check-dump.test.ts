import { createHash } from 'node:crypto'
import { gzipSync, zstdCompressSync } from 'node:zlib'

import fc from 'fast-check'
import { loadModule, parseSync } from 'libpg-query'
import { beforeAll, describe, expect, test } from 'vitest'

import { headLines, sealLines, trailerLines } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import { fileOf, readOptions, refusal } from '#test/harness/import.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { checkDump, type DumpPlan } from './check-dump.ts'
import { MAX_RATIO } from './dump-file.ts'
import { Recognizer } from './recognize.ts'
import { SqlLexer } from './sql-lexer.ts'

beforeAll(() => loadModule())

const MB = 1024 * 1024

function check(bytes: Buffer | string, maxBytes = 1024 * MB, trusted = false): Promise<DumpPlan> {
  const limits = { maxBytes, maxRatio: MAX_RATIO, maxStatementBytes: MB }
  return checkDump(fileOf(bytes), { ...readOptions({ limits }), ...WISH, trusted })
}

const WISH = { owners: true, grants: true, trusted: false } as const

const native = (sql: string): string =>
  `--\n-- PostgreSQL database dump\n--\n\n\\restrict k3y\n\n${sql}\n\n--\n-- PostgreSQL database dump complete\n--\n\n\\unrestrict k3y\n\n`

function ours(sql: string, rows: readonly { schema: string; name: string; rows: number }[] = []): string {
  const head = {
    program: '1',
    madeAt: '2026-01-01T00:00:00.000Z',
    database: 'shop',
    server: 'PostgreSQL 15.20',
    serverMajor: 15,
    content: 'all',
    style: 'copy',
    partial: false,
    tables: rows.length,
  } as const
  const body = `${headLines(head)}${sql}\n${trailerLines(rows)}`
  return `${body}${sealLines(createHash('sha256').update(body).digest('hex'))}`
}

const TABLE = "CREATE TABLE public.t (\n    a integer,\n    b text DEFAULT 'x;y'\n);\n"
const ROWS = `COPY public.t (a, b) FROM stdin;\n1\té\n2\t\\N\n\\.\n`

const TAR = Buffer.concat([Buffer.from('toc.dat'), Buffer.alloc(250), Buffer.from('ustar\u000000'), Buffer.alloc(248)])

describe('D14: cut or damaged', () => {
  test('a file of our own is refused at every cut, and with every bit turned', async () => {
    const whole = Buffer.from(ours(TABLE + ROWS, [{ schema: 'public', name: 't', rows: 2 }]))
    expect((await check(whole)).loads).toEqual([{ table: { schema: 'public', name: 't' }, rows: 2, bytes: 10 }])
    for (let cut = 0; cut < whole.length; cut++) {
      const { code } = await refusal(check(whole.subarray(0, cut)))
      expect(['dump_damaged', 'not_a_dump', 'dump_encoding'], `cut at ${cut}`).toContain(code)
    }
    for (let at = 0; at < whole.length; at++) {
      const turned = Buffer.from(whole)
      turned[at] = (turned[at] ?? 0) ^ (1 << (at % 8))
      await expect(check(turned), `bit ${at % 8} of byte ${at}`).rejects.toThrow(AppError)
    }
  })

  test('a file of pg_dump is refused at every cut that loses something', async () => {
    const text = native(TABLE + ROWS)
    expect((await check(text)).origin.writer).toBe('pg_dump')
    const whole = text.trimEnd().length
    for (let cut = 0; cut < whole; cut++) {
      const bytes = Buffer.from(text).subarray(0, cut)
      const { code } = await refusal(check(bytes))
      expect(['dump_damaged', 'not_a_dump', 'dump_encoding', 'dump_refused'], `cut at ${cut}`).toContain(code)
    }
  })

  test.for([['gzip', gzipSync] as const, ['zstd', zstdCompressSync] as const])(
    'what %s has packed is refused at every cut',
    async ([, pack]) => {
      const packed = pack(Buffer.from(native(TABLE + ROWS)))
      await check(packed)
      for (let cut = 0; cut < packed.length; cut++) {
        const { code } = await refusal(check(packed.subarray(0, cut)))
        expect(['dump_damaged', 'not_a_dump', 'dump_encoding'], `cut at ${cut}`).toContain(code)
      }
    },
  )

  test('zstd in several frames, some of them to be skipped, is read to its end, wherever the chunks end', async () => {
    const text = Buffer.from(native(TABLE + ROWS))
    const skipped = Buffer.from([0x50, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
    const frames = [text.subarray(0, 90), text.subarray(90)].map((part) => zstdCompressSync(part))
    const packed = Buffer.concat(frames.flatMap((frame) => [frame, skipped]))
    for (let chunk = 1; chunk <= packed.length; chunk++) {
      const { loads } = await checkDump(fileOf(packed, chunk), { ...readOptions(), ...WISH })
      expect(loads[0]?.rows, `in chunks of ${chunk}`).toBe(2)
    }
    for (const other of [frames[0], Buffer.from('something else')]) {
      const error = await refusal(check(Buffer.concat([packed, other ?? text])))
      expect(error.code).toBe('dump_damaged')
    }
  })

  test('rows that the trailer does not tell, and those that it tells too many', async () => {
    for (const rows of [1, 3]) {
      const text = ours(TABLE + ROWS, [{ schema: 'public', name: 't', rows }])
      expect((await refusal(check(text))).message).toMatch(/has 2 rows of t/)
    }
    const more = [
      { schema: 'public', name: 't', rows: 2 },
      { schema: 'public', name: 'u', rows: 1 },
    ]
    expect((await refusal(check(ours(TABLE + ROWS, more)))).message).toMatch(/rows of u are missing/)
  })

  test('what stands behind the end mark, and two files in one', async () => {
    const one = `-- PostgreSQL database dump\n${TABLE}-- PostgreSQL database dump complete\n`
    for (const text of [`${one}DROP TABLE public.t;\n`, one + one, `${one}${ROWS}`]) {
      expect((await refusal(check(text))).code).toBe('dump_damaged')
    }
  })
})

describe('no dump', () => {
  test.for([
    ['empty', '', 'not_a_dump'],
    ['SQL of somebody', 'CREATE TABLE t (a int);\n', 'not_a_dump'],
    ['prose', 'Dear reader, there is no end to this sentence', 'not_a_dump'],
    ['prose with what no SQL has', 'On the 3rd of May the others\\ left', 'not_a_dump'],
    ['a text that has no end of a line', 'x'.repeat(100_000), 'not_a_dump'],
    ['a text that has no end of a statement', `${'word '.repeat(2)}\n`.repeat(200_000), 'not_a_dump'],
    ['a dump that breaks off within its first statement', native('CREATE TABLE').slice(0, 60), 'dump_damaged'],
    ['a dump with what no SQL has', native('SELECT 3rd;'), 'dump_refused'],
    ['an archive', 'PGDMP\u0001\u000f\u0000', 'not_a_dump'],
    ['a tar archive', TAR, 'not_a_dump', /pg_restore/],
    [
      'a dump of MySQL',
      '-- MySQL dump 10.13  Distrib 8.0\n--\nCREATE TABLE `a` (`b` int);\n',
      'not_a_dump',
      /sync from/,
    ],
    [
      'a dump of MariaDB',
      '/*M!999999\\- enable the sandbox mode */\n-- MariaDB dump 10.19\n',
      'not_a_dump',
      /sync from/,
    ],
    ['a database of SQLite', 'SQLite format 3\0aaaaaaaa', 'not_a_dump'],
    ['an archive of other things', 'PK\u0003\u0004aaaaaaaa', 'not_a_dump'],
    ['bytes', Buffer.from([0, 1, 2, 3, 4, 5, 6, 7, 8, 9]), 'not_a_dump'],
    ['packed twice', gzipSync(gzipSync(Buffer.from(native(TABLE)))), 'not_a_dump'],
    ['Latin 1', Buffer.from(native(TABLE.replace('x;y', 'é')), 'latin1'), 'dump_encoding'],
    ['UTF-16, as PowerShell writes it', Buffer.from(`\uFEFF${native(TABLE)}`, 'utf16le'), 'dump_encoding', /iconv/],
    ['UTF-16 of the other byte order', Buffer.from(native(TABLE), 'utf16le').swap16(), 'dump_encoding', /iconv/],
    ['another encoding by its own word', native("SET client_encoding = 'LATIN1';"), 'dump_encoding'],
    ['a whole server', '-- PostgreSQL database cluster dump\n', 'dump_refused'],
    ['a later format', ours(TABLE).replace('-- Syncline dump 1', '-- Syncline dump 2'), 'dump_unfit'],
    ['a sealed one', Buffer.from('SYNDUMP1aaaaaaaaaaaaaaaa'), 'dump_sealed'],
  ] as const)('%s: a clear refusal', async ([, bytes, code, says = /./]) => {
    const error = await refusal(check(Buffer.from(bytes)))
    expect([error.code, `${error.message} ${error.hint}`]).toEqual([code, expect.stringMatching(says)])
    expect(error.hint).not.toBe('')
  })

  test('lines that end as Windows ends them are read as psql reads them', async () => {
    const { loads, makes } = await check(native(TABLE + ROWS).replaceAll('\n', '\r\n'))
    expect([makes.length, loads]).toEqual([1, [{ table: { schema: 'public', name: 't' }, rows: 2, bytes: 12 }]])
  })
})

describe('S39: bounds', () => {
  test('[M23] what grows beyond all measure is refused while it is unpacked', async () => {
    const bomb = zstdCompressSync(Buffer.alloc(256 * MB, 0x20))
    expect((await refusal(check(bomb))).code).toBe('dump_too_large')
  })

  test('what we have written ourselves may be packed as well as it is; what a stranger sends is told how to come in', async () => {
    const zeros = `\\\\x${'0'.repeat(64 * MB)}\n`
    const packed = zstdCompressSync(
      Buffer.from(native(`CREATE TABLE public.t (b bytea);\nCOPY public.t (b) FROM stdin;\n${zeros}\\.\n`)),
    )
    expect(packed.length * MAX_RATIO).toBeLessThan(zeros.length)
    const error = await refusal(check(packed))
    expect([error.code, error.hint]).toEqual(['dump_too_large', expect.stringMatching(/unpack it first/)])
    const limits = { maxBytes: 1024 * MB, maxRatio: null, maxStatementBytes: MB }
    const { loads } = await checkDump(fileOf(packed), { ...readOptions({ limits }), ...WISH })
    expect(loads[0]?.rows).toBe(1)
  })

  test('what is larger than it may be', async () => {
    const rows = `${TABLE}COPY public.t (a, b) FROM stdin;\n${'1\tx\n'.repeat(MB)}\\.\n`
    expect((await refusal(check(native(rows), MB))).code).toBe('dump_too_large')
    const { loads } = await check(native(rows))
    expect(loads[0]?.rows).toBe(MB)
  })
})

/** Each stands in an otherwise whole file. */
const HOSTILE: readonly string[] = [
  'DO $$ BEGIN PERFORM 1; END $$;',
  'DO LANGUAGE plpgsql $$ BEGIN END $$;',
  "COPY public.t FROM PROGRAM 'id';",
  "COPY public.t TO PROGRAM 'id';",
  "COPY public.t FROM '/etc/passwd';",
  "COPY public.t TO '/tmp/x';",
  'COPY public.t TO STDOUT;',
  "COPY (SELECT pg_read_file('/etc/passwd')) TO '/tmp/x';",
  'COPY public.t (a, b) FROM stdin WITH (FORMAT csv);\n1\n\\.\n',
  'COPY public.t FROM stdin WHERE pg_sleep(1) IS NULL;\n1\n\\.\n',
  "ALTER SYSTEM SET archive_command = 'id';",
  "CREATE SUBSCRIPTION s CONNECTION 'host=evil' PUBLICATION p;",
  'CREATE FUNCTION public.f() RETURNS int LANGUAGE plpython3u AS $$ import os $$;',
  "CREATE FUNCTION public.f() RETURNS int LANGUAGE c AS '/tmp/evil.so', 'f';",
  "CREATE FUNCTION public.f() RETURNS int LANGUAGE 'internal' AS 'pg_read_file';",
  'CREATE FUNCTION public.f() RETURNS int AS $$ x $$ LANGUAGE plperlu;',
  'CREATE EXTENSION IF NOT EXISTS plpython3u;',
  'CREATE EXTENSION dblink;',
  'CREATE EXTENSION file_fdw;',
  "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'evil');",
  'CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f();',
  'CREATE LANGUAGE plpython3u;',
  'SELECT pg_sleep(1);',
  "SELECT pg_catalog.pg_read_file('/etc/passwd');",
  "SELECT pg_catalog.setval('public.s', (SELECT 1), true);",
  "SELECT pg_catalog.setval('public.s', 1, true), pg_sleep(1);",
  "SELECT pg_catalog.set_config('session_replication_role', 'replica', false);",
  "SELECT pg_catalog.lo_import('/etc/passwd');",
  "SELECT pg_catalog.lo_export(1, '/tmp/x');",
  "SELECT public.lo_create('1');",
  'SELECT 1 INTO public.x;',
  "INSERT INTO public.t VALUES (1, pg_read_file('/etc/passwd'));",
  'INSERT INTO public.t SELECT 1, current_user;',
  'INSERT INTO public.t VALUES ((SELECT 1), NULL);',
  "INSERT INTO public.t VALUES (1, 'a' || public.f());",
  'INSERT INTO public.t VALUES (1, NULL) RETURNING public.f();',
  'INSERT INTO public.t VALUES (1, NULL) ON CONFLICT (a) DO UPDATE SET a = public.f();',
  'WITH x AS (DELETE FROM public.t RETURNING 1) SELECT 1;',
  'UPDATE public.t SET a = 1;',
  'DELETE FROM public.t;',
  'TRUNCATE public.t;',
  'CALL public.p();',
  'EXECUTE x;',
  'PREPARE x AS SELECT 1;',
  "LOAD 'evil';",
  'VACUUM;',
  "NOTIFY x, 'y';",
  'SET session_replication_role = replica;',
  'SET ROLE postgres;',
  'SET SESSION AUTHORIZATION postgres, x;',
  'RESET SESSION AUTHORIZATION x;',
  'SET LOCAL SESSION AUTHORIZATION postgres;',
  "SET local_preload_libraries = 'evil';",
  'SET standard_conforming_strings = on, search_path = public;',
  'ALTER ROLE postgres SUPERUSER;',
  "CREATE ROLE evil SUPERUSER PASSWORD 'x';",
  'GRANT pg_execute_server_program TO PUBLIC;',
  'GRANT ALL ON DATABASE shop TO PUBLIC;',
  'GRANT ALL ON public.not_made TO PUBLIC;',
  'ALTER DATABASE shop SET search_path = evil;',
  'CREATE DATABASE evil;',
  'DROP DATABASE shop CASCADE; ALTER SYSTEM RESET ALL;',
  'ALTER TABLE public.not_made DISABLE ROW LEVEL SECURITY;',
  'ALTER TABLE public.t RENAME TO u;',
  'CREATE TABLE public.u AS SELECT pg_read_file($$/etc/passwd$$);',
  'CREATE TABLE public.u (a) AS SELECT 1;',
  'CREATE TABLE public.u AS EXECUTE x;',
  'CREATE MATERIALIZED VIEW public.m AS SELECT 1;',
  'CREATE TRIGGER x BEFORE INSERT ON public.not_made FOR EACH ROW EXECUTE FUNCTION public.f();',
  'CREATE RULE r AS ON INSERT TO public.not_made DO ALSO SELECT 1;',
  'CREATE POLICY p ON public.not_made USING (true);',
  'CREATE INDEX CONCURRENTLY i ON public.t (a);',
  'REFRESH MATERIALIZED VIEW public.not_made;',
  'CREATE TYPE public.b (INPUT = public.f, OUTPUT = public.g);',
  'IMPORT FOREIGN SCHEMA x FROM SERVER s INTO public;',
  'LOCK TABLE public.t;',
  'CREATE SCHEMA x CREATE TABLE y (a int);',
  'BEGIN ISOLATION LEVEL SERIALIZABLE;',
  'COMMIT AND CHAIN;',
  '\\! id',
  "\\copy public.t from program 'id'",
  '\\i /etc/passwd',
  '\\o |id',
  '\\set x `id`',
  '\\gexec',
  '\\setenv PAGER id',
  "\\connect 'host=evil'",
  '\\unrestrict other',
  'CREATE TABLE public.u (a int)\\! id\n;',
]

describe('D13, S42: nothing runs that no dump needs', () => {
  test.for(HOSTILE.map((sql) => [sql]))('%s', async ([sql = '']) => {
    const error = await refusal(check(native(`${TABLE}${sql}\n`)))
    expect(['dump_refused', 'dump_damaged']).toContain(error.code)
    expect(error.message).toMatch(/line \d+|restrict/)
  })

  test('all that is refused is named with its line', async () => {
    const { message } = await refusal(check(native(`${TABLE}DO $$ $$;\n\nVACUUM;\n`)))
    expect(message).toMatch(/line 11: DO is no statement of a dump; line 13: VACUUM is no statement of a dump/)
  })

  test.for([
    'CREATE EVENT TRIGGER e ON ddl_command_end EXECUTE FUNCTION public.f();',
    "CREATE SERVER s FOREIGN DATA WRAPPER postgres_fdw OPTIONS (host 'x');",
    'CREATE EXTENSION postgres_fdw;',
  ])('somebody who trusts the file may have what reaches beyond the database: %s', async (sql) => {
    await check(native(sql), MB, true)
    await expect(check(native('DO $$ $$;'), MB, true)).rejects.toThrow(/DO/)
  })
})

/** What the server's own parser may find in what is run. */
const ALLOWED_NODES = new Set([
  'CreateStmt',
  'AlterTableStmt',
  'CreateFunctionStmt',
  'CreateEnumStmt',
  'CompositeTypeStmt',
  'CreateSeqStmt',
  'AlterSeqStmt',
  'ViewStmt',
  'CreateTableAsStmt',
  'IndexStmt',
  'CreateTrigStmt',
  'CommentStmt',
  'AlterOwnerStmt',
  'CopyStmt',
  'InsertStmt',
  'SelectStmt',
  'CreateSchemaStmt',
  'RefreshMatViewStmt',
  'GrantStmt',
  'RuleStmt',
  'CreatePolicyStmt',
  'CreateDomainStmt',
  'CreateExtensionStmt',
  'AlterDomainStmt',
  'DefineStmt',
  'VariableSetStmt',
])

const WHOLE = native(`
SET standard_conforming_strings = on;
SELECT pg_catalog.set_config('search_path', '', false);
CREATE TYPE public.mood AS ENUM ('a', 'b;');
CREATE FUNCTION public.f() RETURNS int LANGUAGE plpgsql AS $_$ BEGIN RETURN 'x;'; END $_$;
${TABLE}ALTER TABLE public.t OWNER TO postgres;
CREATE VIEW public.v AS SELECT t.a FROM public.t WHERE t.b <> E'\\';';
${ROWS}INSERT INTO public.t VALUES (3, 'x''y'), (-4, E'a\\'b');
SELECT pg_catalog.setval('public.s', 4, true);
CREATE INDEX i ON public.t USING btree (a);
COMMENT ON TABLE public.t IS 'it''s';
`)

function ranBy(text: string): string[] {
  const ran: string[] = []
  try {
    const lexer = new SqlLexer(MB)
    const recognizer = new Recognizer({ owners: true, grants: true, trusted: false })
    for (const item of [...lexer.push(Buffer.from(text)), ...lexer.end()]) {
      if (item.kind !== 'statement' && item.kind !== 'copy') continue
      const recognized = recognizer.recognize(item.text, { copies: item.kind === 'copy', line: item.line })
      if (recognized.does === 'refused') return []
      if (recognized.does === 'set') ran.push(recognized.sql)
      else if (recognized.does !== 'skip') ran.push(item.text)
    }
  } catch (error) {
    if (!(error instanceof AppError)) throw error
    return []
  }
  return ran
}

const parts = [
  ...HOSTILE,
  "'",
  '"',
  '$$',
  '$_$',
  '/*',
  '*/',
  '--',
  '\\.',
  '\n',
  ';',
  '(',
  ')',
  "E'",
  '\\',
  '\\.\n',
  'BEGIN ATOMIC',
  'END',
]

test('D13: of 5,000 mutants nothing is run in which the parser of the server finds something else', () => {
  let ran = 0
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(WHOLE.length), fc.nat(12), fc.constantFrom(...parts)), { minLength: 1, maxLength: 4 }),
      (changes) => {
        let text = WHOLE
        for (const [at, cut, put] of changes) text = text.slice(0, at) + put + text.slice(at + cut)
        for (const sql of ranBy(text)) {
          const nodes = nodesOf(sql)
          // What the parser refuses, the server refuses.
          if (nodes === null) continue
          ran += 1
          expect(nodes).toHaveLength(1)
          expect([...ALLOWED_NODES], sql).toContain(nodes[0])
          expect(nodes[0] !== 'CopyStmt' || /FROM\s+stdin\s*$/i.test(sql), sql).toBe(true)
        }
      },
    ),
    { seed: printedSeed(), numRuns: 5_000 },
  )
  expect(ran).toBeGreaterThan(1_000)
})

function nodesOf(sql: string): string[] | null {
  try {
    return (parseSync(sql).stmts ?? []).map(({ stmt }) => Object.keys(stmt ?? {})[0] ?? '')
  } catch {
    return null
  }
}
