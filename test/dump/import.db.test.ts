import { gzipSync, zstdCompressSync } from 'node:zlib'

import { describe, expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { dump } from '#test/harness/dump.ts'
import { EVERYTHING } from '#test/harness/everything.ts'
import { fileOf, importInto, KEPT, pgDump, plan, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'

/** In which partition by hash a label lies, its OID says: the server's own files differ in that, however they are restored. */
const COMPARABLE = EVERYTHING.split('\n')
  .filter((line) => !/\bmoods\b|moods_/.test(line))
  .join('\n')

const oldest = (): ReturnType<typeof sharedServers>['source'] => {
  const { source, target } = sharedServers()
  return source.major <= target.major ? source : target
}

async function databases(): Promise<{ a: Database; b: Database } & AsyncDisposable> {
  const [a, b] = [await createDatabase(oldest()), await createDatabase(oldest())]
  return {
    a,
    b,
    async [Symbol.asyncDispose]() {
      await a[Symbol.asyncDispose]()
      await b[Symbol.asyncDispose]()
    },
  }
}

const SHOP = `
  CREATE TYPE state AS ENUM ('new', 'paid');
  CREATE TABLE buyer (id int PRIMARY KEY, name text NOT NULL);
  CREATE TABLE bill (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, buyer int REFERENCES buyer, state state, twice int GENERATED ALWAYS AS (buyer * 2) STORED);
  INSERT INTO buyer SELECT n, 'buyer ' || n FROM generate_series(1, 50) n;
  INSERT INTO bill (buyer, state) SELECT n, 'new' FROM generate_series(1, 50) n;
  DELETE FROM bill WHERE id > 40;
  CREATE VIEW open_bill AS SELECT * FROM bill WHERE state = 'new';
  CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'`

describe('files of the server that is dumped', () => {
  test.for([
    [[] as string[]],
    [['--inserts']],
    [['--column-inserts']],
    [['--rows-per-insert=3', '--column-inserts', '--on-conflict-do-nothing']],
    [['--quote-all-identifiers', '--disable-dollar-quoting']],
  ])('P14: pg_dump %o comes back as it was, and a second time in its own place', async ([args]) => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(COMPARABLE)
    const text = await pgDump(a, args)
    const { rows, notes } = await importInto(b, text)
    expect(rows).toBeGreaterThan(1_000)
    expect(notes).toEqual([])
    expect(withoutKey(await pgDump(b, args))).toBe(withoutKey(text))
  })

  test.for([['gzip', gzipSync] as const, ['zstd', zstdCompressSync] as const])(
    'a file that %s has packed, in chunks of any size, with --clean',
    async ([, pack]) => {
      await using pair = await databases()
      const { a, b } = pair
      await a.sql(SHOP)
      const packed = pack(Buffer.from(await pgDump(a, ['--clean', '--if-exists'])))
      await importInto(b, fileOf(packed, 77))
      expect(withoutKey(await pgDump(b))).toBe(withoutKey(await pgDump(a)))
      const again = await importInto(b, fileOf(packed), { replace: true })
      expect(again.notes[0]).toMatch(/statements that drop something are not run/)
      expect(withoutKey(await pgDump(b))).toBe(withoutKey(await pgDump(a)))
    },
  )

  test.for([[[] as string[]], [['--inserts']]])(
    'lines that end as Windows ends them bring the same rows: pg_dump %o',
    async ([args]) => {
      await using pair = await databases()
      const { a, b } = pair
      await a.sql(`CREATE TABLE t (id int PRIMARY KEY, v text, w text);
        INSERT INTO t VALUES (1, 'last', 'é'), (2, 'x', NULL), (3, E'tab\t', E'back\\slash'), (4, '\\.', '')`)
      const text = await pgDump(a, args)
      await importInto(b, text.replaceAll('\n', '\r\n'))
      expect(withoutKey(await pgDump(b, args))).toBe(withoutKey(text))
    },
  )

  test('large objects, definitions first and rows after', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(`${SHOP}; SELECT lo_from_bytea(4711, 'large'); COMMENT ON LARGE OBJECT 4711 IS 'big'`)
    await importInto(b, await pgDump(a, ['--schema-only']))
    await importInto(b, await pgDump(a, ['--data-only']))
    expect(withoutKey(await pgDump(b, ['--blobs']))).toBe(withoutKey(await pgDump(a, ['--blobs'])))
  })
})

describe('files of our own', () => {
  test.for([{ style: 'copy' } as const, { style: 'insert', compression: 'gzip' } as const])(
    'P14: dump, restore and dump again are the same bytes: %o',
    async (options) => {
      await using pair = await databases()
      const { a, b } = pair
      await a.sql(COMPARABLE)
      const first = await dump(a, { ...options, owners: true, grants: true })
      await importInto(b, first.packed)
      const second = await dump(b, { ...options, owners: true, grants: true })
      const withoutHead = (sql: string): string => sql.split('\n').slice(2, -3).join('\n')
      expect(withoutHead(second.sql)).toBe(withoutHead(first.sql))
    },
  )
})

test('D1, D2: sequences, identities and generated columns go on where they were', async () => {
  await using pair = await databases()
  const { a, b } = pair
  await a.sql(SHOP)
  await importInto(b, (await dump(a)).packed)
  const next = `INSERT INTO bill (buyer) VALUES (1) RETURNING id, twice`
  expect(await b.sql(next)).toEqual(await a.sql(next))
  expect(await b.sql('SELECT max(id) FROM bill')).toEqual([['51']])
})

test('SPEC 7: security labels that an export wrote are told as not set, and the dump is imported', async () => {
  await using pair = await databases()
  const { a, b } = pair
  await a.sql(SHOP)
  // No provider is loaded: the catalogue has what one would have written there.
  await a.sql(`SET allow_system_table_mods = on;
    INSERT INTO pg_seclabel VALUES ('buyer'::regclass, 'pg_class'::regclass, 0, 'anon', 'it''s private'),
      ('buyer'::regclass, 'pg_class'::regclass, 2, 'anon', 'MASKED WITH VALUE NULL')`)
  const { sql, packed } = await dump(a)
  expect(sql.match(/^SECURITY LABEL/gm)).toHaveLength(2)
  const planned = await plan(b, fileOf(packed))
  expect(planned.refusals).toEqual([])
  expect(planned.notes.filter((note) => note.startsWith('2 security labels are not set'))).toHaveLength(1)
  await importInto(b, packed)
  expect(await b.sql('SELECT (SELECT count(*) FROM buyer), (SELECT count(*) FROM pg_seclabel)')).toEqual([['50', '0']])
})

describe('what is there already', () => {
  test('D16: is refused with a list, then replaced where somebody wants that', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    await b.sql(SHOP)
    await b.sql(`UPDATE buyer SET name = 'other'; CREATE TABLE mine (id int)`)
    const { packed } = await dump(a)
    const before = await pgDump(b)
    const error = await refusal(importInto(b, packed))
    expect(error.code).toBe('restore_exists')
    expect(error.message).toMatch(/table public\.bill.*table public\.buyer/s)
    expect(withoutKey(await pgDump(b))).toBe(withoutKey(before))
    const backups: number[] = []
    await importInto(b, packed, {
      replace: true,
      backup: async ({ replaced: { drop } }) => {
        // What is replaced can still be read, and nobody else writes to it.
        await expect(b.sql(`SET lock_timeout = 100; INSERT INTO buyer VALUES (99, 'x')`)).rejects.toThrow(
          /lock timeout/,
        )
        backups.push((await dump(b)).rows, drop.length)
        return KEPT
      },
    })
    expect(backups[0]).toBe(90)
    expect(await b.sql(`SELECT count(*) FROM buyer WHERE name = 'other'`)).toEqual([['0']])
    expect(await b.sql(`SELECT to_regclass('mine') IS NOT NULL`)).toEqual([['t']])
  })

  test.for([
    ['a view', 'CREATE VIEW elsewhere.v AS SELECT id FROM public.bill', 'view elsewhere.v'],
    [
      'a foreign key',
      'CREATE TABLE elsewhere.t (b int REFERENCES public.buyer)',
      'constraint t_b_fkey on table elsewhere.t',
    ],
    ['a column of a type', 'CREATE TABLE elsewhere.t (s public.state)', 'column s of table elsewhere.t'],
    ['a child', 'CREATE TABLE elsewhere.t () INHERITS (public.buyer)', 'table elsewhere.t'],
  ] as const)('%s that depends on it is named, and nothing is written', async ([, sql, named]) => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    await b.sql(`${SHOP}; CREATE SCHEMA elsewhere; ${sql}`)
    const before = await pgDump(b)
    const error = await refusal(importInto(b, (await dump(a)).packed, { replace: true }))
    expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining(named)])
    expect(withoutKey(await pgDump(b))).toBe(withoutKey(before))
  })

  test('D16: rows of a parent are replaced, and those of its children stay', async () => {
    await using pair = await databases()
    const { a, b } = pair
    const family = `CREATE TABLE parent (id int PRIMARY KEY); CREATE TABLE child (PRIMARY KEY (id)) INHERITS (parent);
      INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (10), (20);`
    await a.sql(family)
    await b.sql(family)
    const rows = (await dump(a, { content: 'data', tables: ['parent'], excludeTables: ['child'] })).packed
    await b.sql('UPDATE ONLY parent SET id = id + 100; UPDATE child SET id = id + 100')
    await importInto(b, rows, { replace: true })
    expect(await b.sql('SELECT id FROM ONLY parent ORDER BY id')).toEqual([['1'], ['2']])
    expect(await b.sql('SELECT id FROM child ORDER BY id')).toEqual([['110'], ['120']])
    await b.sql('DELETE FROM ONLY parent')
    await importInto(b, rows)
    expect(await b.sql('SELECT count(*) FROM parent')).toEqual([['4']])
  })

  test('rows of tables that are filled are replaced, but not where others refer to them', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    await b.sql(`${SHOP}; UPDATE buyer SET name = 'other'`)
    const data = (await dump(a, { content: 'data' })).packed
    expect((await refusal(importInto(b, data))).message).toMatch(/rows of public\.b/)
    await importInto(b, data, { replace: true })
    expect(withoutKey(await pgDump(b))).toBe(withoutKey(await pgDump(a)))
    await b.sql('CREATE TABLE t (b int REFERENCES buyer)')
    expect((await refusal(importInto(b, data, { replace: true }))).code).toBe('restore_dependents')
  })
})

describe('what the target lacks', () => {
  const made = (sql: string): string => `-- PostgreSQL database dump\n${sql}\n-- PostgreSQL database dump complete\n`
  test.for([
    ['dump_unfit', 'role', 'CREATE TABLE public.t (a int);ALTER TABLE public.t OWNER TO "no one";'],
    [
      'dump_unfit',
      'role nobody',
      'CREATE TABLE public.t (a int);CREATE POLICY p ON public.t TO PUBLIC, nobody USING (true);',
    ],
    ['dump_unfit', 'extension', 'CREATE EXTENSION IF NOT EXISTS no_such WITH SCHEMA public;'],
    ['dump_unfit', 'tablespace', "SET default_tablespace = 'no_such';"],
    ['dump_unfit', 'table public.nowhere', 'COPY public.nowhere (a) FROM stdin;\n1\n\\.\n'],
    ['dump_refused', 'connects to elsewhere', '\\connect elsewhere'],
  ] as const)('%s: %s', async ([code, words, sql]) => {
    await using db = await createDatabase(oldest())
    const error = await refusal(importInto(db, made(sql)))
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(words)])
    expect(error.hint).not.toBe('')
  })

  test('S42: a login that may do anything on the machine needs somebody who trusts the file', async () => {
    await using db = await createDatabase(oldest())
    const file = fileOf(made('CREATE TABLE public.t (a int);'))
    const { refusals } = await plan(db, file, { trusted: false })
    expect(refusals.map(({ code, message }) => [code, message])).toEqual([
      ['restore_privileged', expect.stringMatching(/is a superuser/)],
    ])
    expect((await plan(db, file)).refusals).toEqual([])
  })
})

describe('what fails in the middle', () => {
  const rows = Array.from({ length: 30 }, (_, i) => `${i}\tvalue ${i}`)
  const text = (lines: readonly string[], after = ''): string =>
    [
      '-- PostgreSQL database dump',
      'CREATE TABLE public.t (',
      '    a integer,',
      '    b text',
      ');',
      'COPY public.t (a, b) FROM stdin;',
      ...lines,
      '\\.',
      after,
      '-- PostgreSQL database dump complete',
      '',
    ].join('\n')

  test.for([
    ['a row', text(rows.with(10, 'secret\tx')), /^Line 17: COPY public\.t, column a: .*22P02/],
    ['a column too many', text(rows.with(10, '1\tx\ty')), /^Line 17: COPY public\.t: .*22P04/],
    [
      'an index',
      text([...rows, '3\tagain'], 'ALTER TABLE ONLY public.t ADD CONSTRAINT t_pkey PRIMARY KEY (a);'),
      /^Line 39: ALTER TABLE ONLY public\.t: .*23505/,
    ],
    [
      'a statement',
      text(rows, 'ALTER TABLE public.t ALTER COLUMN c SET NOT NULL;'),
      /^Line 38: ALTER TABLE public\.t: .*42703/,
    ],
    [
      'an INSERT',
      text(rows, "INSERT INTO public.t VALUES (1, 'a');\nINSERT INTO public.t VALUES ('secret', 'a');"),
      /^Line 39: INSERT INTO public\.t: .*22P02/,
    ],
  ] as const)(
    '%s is told by line, statement and cause, without its values, and nothing stays',
    async ([, file, words]) => {
      await using db = await createDatabase(oldest())
      await db.sql('CREATE TABLE other (id int)')
      const before = await pgDump(db)
      const error = await refusal(importInto(db, file))
      expect(error.code).toBe('restore_failed')
      expect(error.message).toMatch(words)
      expect(error.message).not.toMatch(/secret/)
      expect(withoutKey(await pgDump(db))).toBe(withoutKey(before))
    },
  )

  test('an import that is cancelled while rows come leaves nothing', async () => {
    await using db = await createDatabase(oldest())
    const before = await pgDump(db)
    const stop = new AbortController()
    const file = fileOf(text(Array.from({ length: 50_000 }, (_, i) => `${i}\tvalue ${i}`)))
    let progress = 0
    const onEvent = ({ type }: { type: string }): void => {
      progress += type === 'progress' ? 1 : 0
      if (progress === 3) stop.abort()
    }
    await expect(importInto(db, file, { signal: stop.signal, onEvent })).rejects.toThrow(
      /abort|interrupt|stopped|ended/i,
    )
    expect(withoutKey(await pgDump(db))).toBe(withoutKey(before))
  })

  test('D14: a file that changes after it was checked leaves nothing', async () => {
    await using db = await createDatabase(oldest())
    const before = await pgDump(db)
    const [first, second] = [text(rows), text(rows.with(3, '3\tchanged'))].map((each) => fileOf(each))
    let readings = 0
    const file = {
      name: 'swapped',
      bytes: first?.bytes ?? 0,
      read: () => ((readings += 1) === 1 ? first : second)?.read() ?? [],
    }
    const changing = { ...file, read: () => file.read() as AsyncIterable<Buffer> }
    expect((await refusal(importInto(db, changing))).code).toBe('dump_damaged')
    expect(withoutKey(await pgDump(db))).toBe(withoutKey(before))
  })
})

test.for(['--encoding=UTF8', '--inserts', '--rows-per-insert=3'])(
  'rows that a trigger of the target leaves out are missed, and nothing stays: pg_dump %s',
  async (style) => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql('CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t SELECT n, n FROM generate_series(1, 10) n')
    await b.sql(`CREATE TABLE t (id int PRIMARY KEY, v text);
      CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS
        'BEGIN IF NEW.id = 7 THEN RETURN NULL; END IF; RETURN NEW; END';
      CREATE TRIGGER keep BEFORE INSERT ON t FOR EACH ROW EXECUTE FUNCTION keep()`)
    const failed = await refusal(importInto(b, await pgDump(a, ['--data-only', style])))
    expect(failed).toMatchObject({
      code: 'restore_failed',
      message: expect.stringMatching(/the server took \d+ of \d+ rows?/),
    })
    expect(await b.sql('SELECT count(*) FROM t')).toEqual([['0']])
  },
)
