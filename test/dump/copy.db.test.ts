/** Databases copied into one another by the product: what comes, what is refused, what is masked, and what stays after an error. */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { ImportTools } from '#dump/import-dump.ts'
import type { RunEvent } from '#sync/journal.ts'

import { copyInto, databases, oldest, planOf, type Hooks } from '#test/harness/copy.ts'
import { createDatabase, expectSameTables } from '#test/harness/database.ts'
import { EVERYTHING } from '#test/harness/everything.ts'
import { KEPT, pgDump, refusal, withoutKey } from '#test/harness/import.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { postgresDialect } from '#test/harness/random-dialect.ts'
import { loadSchema, randomSchema } from '#test/harness/random-schema.ts'
import { printedSeed } from '#test/harness/seed.ts'

/** In which partition by hash a label lies, its OID says: the server's own files differ in that, however rows get there. */
const COMPARABLE = EVERYTHING.split('\n')
  .filter((line) => !/\bmoods\b|moods_/.test(line))
  .join('\n')

const SHOP = `
  CREATE TYPE state AS ENUM ('new', 'paid');
  CREATE TABLE buyer (id int PRIMARY KEY, name text NOT NULL, email text UNIQUE, card text, greeting text GENERATED ALWAYS AS ('Dear ' || name) STORED);
  CREATE TABLE bill (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, buyer int REFERENCES buyer, state state, total numeric(8,2));
  INSERT INTO buyer SELECT n, E'buyer\\t' || n, 'b' || n || '@shop.example', '4111-1111-1111-' || (1000 + n) FROM generate_series(1, 50) n;
  INSERT INTO bill (buyer, state, total) SELECT n, 'new', n FROM generate_series(1, 50) n;
  DELETE FROM bill WHERE id > 40;
  CREATE VIEW open_bill AS SELECT * FROM bill WHERE state = 'new';
  CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'`

describe('what comes', () => {
  test.for([1, 4])('P14: everything, as the server itself writes it, with %i readers', async (parallel) => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(COMPARABLE)
    const { rows, tables } = await copyInto(a, b, { owners: true, grants: true, parallel })
    expect(rows).toBeGreaterThan(1_000)
    expect(tables.reduce((sum, table) => sum + table.rows, 0)).toBe(rows)
    expect(withoutKey(await pgDump(b))).toBe(withoutKey(await pgDump(a)))
  })

  test('from one server to the other, into a table of the same hash partitions', async () => {
    const { source, target } = sharedServers()
    await using a = await createDatabase(source)
    await using b = await createDatabase(target)
    await a.sql(`CREATE TYPE mood AS ENUM ('sad', 'happy'); CREATE TABLE moods (m mood, n int) PARTITION BY HASH (m);
      CREATE TABLE moods_0 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 0);
      CREATE TABLE moods_1 PARTITION OF moods FOR VALUES WITH (MODULUS 2, REMAINDER 1);
      INSERT INTO moods SELECT (ARRAY['sad', 'happy'])[n % 2 + 1]::mood, n FROM generate_series(1, 100) n`)
    const { tables } = await copyInto(a, b)
    expect(tables).toEqual([{ table: { schema: 'public', name: 'moods' }, rows: 100 }])
    const rows = 'SELECT m, n FROM moods ORDER BY n'
    expect(await b.sql(rows)).toEqual(await a.sql(rows))
  })

  test('random schemas and rows', { timeout: 300_000 }, async () => {
    const server = oldest()
    const property = fc.asyncProperty(
      fc.record({ schema: randomSchema({ dialect: postgresDialect(server.major) }), parallel: fc.constantFrom(1, 3) }),
      async ({ schema, parallel }) => {
        await using pair = await databases(server)
        const { a, b } = pair
        await loadSchema(a, schema)
        await copyInto(a, b, { parallel })
        await expectSameTables(
          a,
          b,
          schema.tables.map(({ name }) => name),
        )
      },
    )
    await fc.assert(property, { seed: printedSeed(), numRuns: 5, endOnFailure: true })
  })

  test('D1, D2: sequences, identities and generated columns go on where they were', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    await copyInto(a, b)
    const next = `INSERT INTO bill (buyer) VALUES (1) RETURNING id`
    expect(await b.sql(next)).toEqual(await a.sql(next))
    expect(await b.sql('SELECT greeting FROM buyer WHERE id = 1')).toEqual([['Dear buyer\t1']])
  })

  test('only some schemas, tables and rows; definitions or rows alone', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(`${SHOP}; CREATE SCHEMA other; CREATE TABLE other.t AS SELECT 1 AS a`)
    await copyInto(a, b, { schemas: ['other'] })
    expect(await b.sql(`SELECT to_regclass('public.buyer'), a FROM other.t`)).toEqual([[null, '1']])
    await copyInto(a, b, { tables: ['public.b*'], content: 'schema' })
    expect(await b.sql('SELECT count(*) FROM buyer')).toEqual([['0']])
    await copyInto(a, b, { tables: ['public.b*'], content: 'data', excludeTables: ['bill'] })
    expect(await b.sql('SELECT (SELECT count(*) FROM buyer), (SELECT count(*) FROM bill)')).toEqual([['50', '0']])
  })

  test('its progress goes by stages, and its rows as they come', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(
      `CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 5000) n; ANALYZE t`,
    )
    const events: RunEvent[] = []
    await copyInto(a, b, { onEvent: (event) => void events.push(event) })
    expect(events.flatMap((event) => (event.type === 'stage' ? [event.stage] : []))).toEqual([
      'schema',
      'data',
      'indexes',
    ])
    expect(events[0]).toMatchObject({ type: 'planned', totals: [5000] })
    const steps = events.flatMap((event) => (event.type === 'progress' ? [event.rows] : []))
    expect(steps.length).toBeGreaterThan(10)
    expect(Math.max(...steps)).toBeLessThan(5000)
    expect(steps.reduce((sum, rows) => sum + rows, 0)).toBe(5000)
  })
})

describe('what is left out and what is masked', () => {
  test('personal data stays behind: masked by the transforms of a sync, joins and all', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(`${SHOP}; CREATE TABLE letter (to_mail text, body text);
      INSERT INTO letter SELECT email, E'tab\\there \\\\N' FROM buyer; CREATE MATERIALIZED VIEW mails AS SELECT email FROM buyer`)
    const mask = { name: 'mask_email', args: { to_domain: 'masked.example' } }
    const { rows } = await copyInto(a, b, {
      masks: [
        { table: 'buyer', column: 'email', transforms: [mask] },
        { table: 'public.letter', column: 'to_mail', transforms: [mask] },
        { table: 'buyer', column: 'card', transforms: [{ name: 'mask_digits', args: { keep_end: 4 } }] },
        { table: 'buyer', column: 'name', transforms: [{ name: 'token', args: { length: 16 } }] },
      ],
    })
    expect(rows).toBe(140)
    expect(
      await b.sql(`SELECT count(*) FROM buyer JOIN letter ON to_mail = email WHERE email LIKE '%@masked.example'`),
    ).toEqual([['50']])
    expect(await b.sql(`SELECT count(*) FROM mails WHERE email LIKE '%@masked.example'`)).toEqual([['50']])
    const cards = 'SELECT right(card, 4), length(card) FROM buyer ORDER BY id'
    expect(await b.sql(cards)).toEqual(await a.sql(cards))
    expect(await b.sql(`SELECT DISTINCT body FROM letter`)).toEqual([['tab\there \\N']])
    expect(
      await b.sql(`SELECT count(*) FROM buyer WHERE greeting = 'Dear ' || name AND name NOT LIKE 'buyer%'`),
    ).toEqual([['50']])
    const text = await pgDump(b)
    expect(text).not.toMatch(/shop\.example|4111-1111|buyer\\t/)
  })

  test('a mask of a parent is one of its partitions and children', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(`CREATE TABLE event (at int, who text) PARTITION BY RANGE (at);
      CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10) PARTITION BY LIST (who);
      CREATE TABLE event_1a PARTITION OF event_1 DEFAULT;
      CREATE TABLE event_2 (who text, at int); ALTER TABLE event ATTACH PARTITION event_2 FOR VALUES FROM (10) TO (20);
      CREATE TABLE person (who text); CREATE TABLE clerk (pay int) INHERITS (person);
      INSERT INTO event SELECT n, 'secret ' || n FROM generate_series(1, 19) n;
      INSERT INTO person VALUES ('secret'); INSERT INTO clerk VALUES ('secret', 1)`)
    const transforms = [{ name: 'hash', args: { algorithm: 'md5' } }]
    const filters = [{ table: 'event', where: 'at > 2 && at % 2 == 1' }]
    const masks = ['event', 'person'].map((table) => ({ table, column: 'who', transforms }))
    await copyInto(a, b, { masks, filters })
    expect(await b.sql('SELECT at, who FROM event ORDER BY at')).toEqual(
      await a.sql(`SELECT at, md5(who) FROM event WHERE at > 2 AND at % 2 = 1 ORDER BY at`),
    )
    expect(await b.sql('SELECT DISTINCT who FROM person')).toEqual(await a.sql(`SELECT md5('secret')`))
  })

  test.for([
    ['total >= 20.0', 'total >= 20'],
    ['state == "new" && buyer != 3', `state = 'new' AND buyer <> 3`],
    ['greeting.startsWith("Dear buyer\\t1")', `greeting LIKE E'Dear buyer\\t1%'`],
    ['email.contains("1") || card == null', `email LIKE '%1%'`],
  ] as const)('rows that do not meet %s stay behind', async ([where, sql]) => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    const table = /total|state/.test(where) ? 'bill' : 'buyer'
    const excludeTables = table === 'buyer' ? ['bill'] : []
    const plan = await planOf(a, b, { filters: [{ table, where }], excludeTables })
    expect(plan.expected.find((each) => each.table.name === table)?.rows).toBeNull()
    await copyInto(a, b, { filters: [{ table, where }], excludeTables, parallel: 2 })
    const rows = `SELECT * FROM ${table} ORDER BY id`
    expect(await b.sql(rows)).toEqual(await a.sql(`SELECT * FROM ${table} WHERE ${sql} ORDER BY id`))
  })

  const masked = (table: string, column: string, name = 'hash'): Hooks => ({
    masks: [{ table, column, transforms: [{ name, args: {} }] }],
  })
  test.for([
    ['table_not_found', masked('buyers', 'email'), 'names no table'],
    ['column_not_found', masked('buyer', 'e_mail'), 'has no column "e_mail"'],
    ['column_not_found', masked('buyer', 'greeting'), 'has no column "greeting"'],
    ['table_not_found', { ...masked('buyer', 'email'), excludeTables: ['buyer'] }, 'names no table'],
    ['impossible_mapping', masked('buyer', 'email', 'no_such'), 'There is no transform'],
    ['impossible_mapping', masked('bill', 'total', 'mask_email'), 'mask_email'],
    ['mask_key_missing', { ...masked('buyer', 'email', 'token'), maskKey: null }, 'no key'],
    ['table_not_found', { filters: [{ table: 'x', where: 'true' }] }, 'names no table'],
    ['invalid_expression', { filters: [{ table: 'buyer', where: 'nothing == 1' }] }, 'nothing'],
    ['invalid_expression', { filters: [{ table: 'buyer', where: '1 +' }] }, 'filter'],
    ['invalid_request', { filters: [{ table: 'a.b.c', where: 'true' }] }, 'a.b.c'],
  ] as const)('%s: what cannot be done is said before anything is written', async ([code, hooks, words]) => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    const error = await refusal(copyInto(a, b, hooks))
    expect([error.code, error.message]).toEqual([code, expect.stringContaining(words)])
    expect(await b.sql(`SELECT count(*) FROM pg_class WHERE relnamespace = 'public'::regnamespace`)).toEqual([['0']])
  })

  test('a value that cannot be masked ends the copy, unnamed, and nothing stays', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(`${SHOP}; UPDATE buyer SET email = 'Ada Lovelace' WHERE id = 7`)
    const error = await refusal(
      copyInto(a, b, { masks: [{ table: 'buyer', column: 'email', transforms: [{ name: 'mask_email', args: {} }] }] }),
    )
    expect([error.code, error.message]).toEqual(['mask_failed', expect.stringContaining('public.buyer')])
    expect(error.message).not.toContain('Ada')
    expect(await b.sql(`SELECT to_regclass('public.buyer')`)).toEqual([[null]])
  })
})

describe('what is there already', () => {
  test('D16: is refused with a list, then replaced where somebody wants that', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    await b.sql(`${SHOP}; UPDATE buyer SET name = 'other'; CREATE TABLE mine (id int)`)
    const before = withoutKey(await pgDump(b))
    const error = await refusal(copyInto(a, b))
    expect(error.code).toBe('restore_exists')
    expect(error.message).toMatch(/^The copy would replace .*table public\.bill.*table public\.buyer/s)
    expect(withoutKey(await pgDump(b))).toBe(before)
    const kept: number[] = []
    const backup: ImportTools['backup'] = async ({ replaced: { drop } }) => {
      kept.push(drop.length)
      return KEPT
    }
    expect(await copyInto(a, b, { replace: true, backup })).toMatchObject({ backup: 'kept' })
    expect(kept[0]).toBeGreaterThan(3)
    expect(await b.sql(`SELECT count(*) FROM buyer WHERE name = 'other'`)).toEqual([['0']])
    expect(await b.sql(`SELECT to_regclass('mine') IS NOT NULL`)).toEqual([['t']])
  })

  test('what depends on it is named, and nothing is written', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    await b.sql(`${SHOP}; CREATE SCHEMA mine; CREATE VIEW mine.v AS SELECT id FROM public.bill`)
    const error = await refusal(copyInto(a, b, { replace: true }))
    expect([error.code, error.message]).toEqual(['restore_dependents', expect.stringContaining('view mine.v')])
  })

  test('S42: a login that may do anything on the machine needs somebody who trusts the source', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    const { refusals } = await planOf(a, b, { trusted: false })
    expect(refusals.map(({ code, hint }) => [code, hint])).toEqual([
      ['restore_privileged', expect.stringContaining('--trust-source')],
    ])
  })

  test('D11: a database is not copied into itself, whatever it is called', async () => {
    await using a = await createDatabase(oldest())
    await a.sql(SHOP)
    const other = new URL(a.url)
    other.hostname = other.hostname === 'localhost' ? '127.0.0.1' : 'localhost'
    expect((await refusal(copyInto(a, { url: other.href }, { replace: true }))).code).toBe('same_database')
    expect(await a.sql('SELECT count(*) FROM buyer')).toEqual([['50']])
  })
})

describe('what fails', () => {
  test('A15: a source that is lost in the middle leaves the target as it was', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(
      `CREATE TABLE t (id int, x text); INSERT INTO t SELECT n, repeat('x', 1000) FROM generate_series(1, 50000) n`,
    )
    await b.sql(`CREATE TABLE t (old text); INSERT INTO t VALUES ('old')`)
    let cut = false
    const error = await refusal(
      copyInto(a, b, {
        replace: true,
        onEvent: ({ type }) => {
          if (type !== 'progress' || cut) return
          cut = true
          void a.sql(
            `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'COPY%' AND pid <> pg_backend_pid()`,
          )
        },
      }),
    )
    expect(error.code).toBe('connection_lost')
    expect(await b.sql('SELECT old FROM t')).toEqual([['old']])
  })

  test('a row that the target refuses: the constraint is named, and not its values', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    const error = await refusal(copyInto(a, b, { filters: [{ table: 'buyer', where: 'id < 10' }] }))
    expect([error.code, error.message]).toEqual(['restore_failed', expect.stringContaining('bill_buyer_fkey')])
    expect(error.message).not.toMatch(/\)=\(\d/)
    expect(await b.sql(`SELECT to_regclass('public.buyer')`)).toEqual([[null]])
  })

  test('B1: somebody who stops it before the commit stops all of it', async () => {
    await using pair = await databases()
    const { a, b } = pair
    await a.sql(SHOP)
    const error = copyInto(a, b, { beforeCommit: () => Promise.reject(new Error('lost the lease')) })
    await expect(error).rejects.toThrow('lost the lease')
    expect(await b.sql(`SELECT to_regclass('public.buyer')`)).toEqual([[null]])
  })
})
