/** Tables whose rows are computed on their way: to every part of a run they are like any other table. */
import { expect, test } from 'vitest'

import type { FieldMapping } from '#model/field-mapping.ts'

import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, MIRROR, wroteNothing } from '#test/harness/sync.ts'

const column = (target: string, source = target): FieldMapping => ({
  target,
  from: { kind: 'columns', columns: [source] },
  transforms: [],
  rules: [],
})

test('narrower columns take what fits; the rest is set aside, and the proof holds', async () => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await pair.source.sql(`
    CREATE TABLE t (id bigint PRIMARY KEY, amount numeric, label text, at timestamp, big double precision, doc json);
    INSERT INTO t SELECT i, i / 4.0, 'row ' || i, timestamp '2024-01-01' + i * interval '1 second', i * 1e12, '{"b":1, "a": [1e2, "ü"]}'
      FROM generate_series(1, 3000) i;
    UPDATE t SET amount = 1.005 WHERE id = 17;
    UPDATE t SET label = repeat('ä', 21) WHERE id = 18;
    UPDATE t SET label = E'tab\\t new\\n back\\\\ é😀' WHERE id = 19;
    UPDATE t SET id = 5000000000 WHERE id = 20`)
  await pair.target.sql(
    `CREATE TABLE t (id int PRIMARY KEY, amount numeric(8,2), label varchar(20), at timestamp(0), big float8, doc jsonb)`,
  )
  const config = {
    tables: [mapping('t', { fields: ['id', 'amount', 'label', 'at', 'big', 'doc'].map((name) => column(name)) })],
  }
  const first = await pair.run(config)
  expect(first.counts).toMatchObject({ inserted: 2997, rejected: 3 })
  expect(first.tables[0]?.rejections.map(({ column: name }) => name).sort()).toEqual(['amount', 'id', 'label'])
  expect(first.tables[0]?.verification).toMatchObject({ mode: 'full', changedSince: 0 })
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['2997']])
  const again = await pair.run(config)
  expect(again.counts).toMatchObject({ inserted: 0, updated: 0, unchanged: 2997, rejected: 3 })
  await pair.source.sql(
    `UPDATE t SET label = 'new' WHERE id % 100 = 0; DELETE FROM t WHERE id % 1000 = 1; UPDATE t SET amount = 2 WHERE id = 17`,
  )
  const third = await pair.run({ ...config, ...MIRROR })
  expect(third.counts).toMatchObject({ inserted: 1, updated: 30, deleted: 3, rejected: 2 })
  expect((await pair.compare('proof', config)).tables[0]).toMatchObject({ different: 0, onlyInTarget: 0 })
})

test('a query stands for a table: joined, aggregated, and in step after changes of either side', async () => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await pair.source.sql(`
    CREATE TABLE invoice (id int PRIMARY KEY, total numeric(10,2));
    CREATE TABLE line (id int PRIMARY KEY, invoice_id int, name text, quantity int);
    INSERT INTO invoice SELECT i, i * 1.5 FROM generate_series(1, 500) i;
    INSERT INTO line SELECT i, 1 + i % 500, 'thing ' || i, i % 7 FROM generate_series(1, 2000) i`)
  await pair.target.sql('CREATE TABLE sale (id int PRIMARY KEY, total numeric(10,2), lines jsonb)')
  const query = `SELECT i.id, i.total, (SELECT jsonb_agg(jsonb_build_object('name', l.name, 'quantity', l.quantity) ORDER BY l.id)
      FROM public.line l WHERE l.invoice_id = i.id) AS lines FROM public.invoice i -- all of them`
  const config = { tables: [mapping('invoice_with_lines', { as: 'sale', key: ['id'], query })] }
  expect((await pair.run(config)).counts).toMatchObject({ inserted: 500 })
  expect(wroteNothing(await pair.run(config))).toBe(true)
  await pair.source.sql(`UPDATE line SET quantity = 100 WHERE id IN (10, 20, 30); DELETE FROM invoice WHERE id = 4`)
  await pair.target.sql(`UPDATE sale SET total = 0 WHERE id = 100`)
  expect((await pair.run({ ...config, ...MIRROR })).counts).toMatchObject({ updated: 4, deleted: 1, inserted: 0 })
  expect((await pair.compare('proof', config)).equal).toBe(true)
  // Fields computed over a query go the same way.
  await pair.target.sql('CREATE TABLE short (id smallint PRIMARY KEY, total numeric(5,1))')
  const narrow = mapping('invoices', {
    as: 'short',
    key: ['id'],
    query: 'SELECT id, total FROM public.invoice',
    fields: [column('id'), column('total')],
  })
  expect((await pair.run({ tables: [narrow] })).counts).toMatchObject({ inserted: 499, rejected: 0 })
})

test.each([
  ['two statements', 'SELECT 1 AS id; DROP TABLE t'],
  ['a way out of the parentheses', 'SELECT 1 AS id) t; COMMIT; DROP TABLE t; SELECT (1'],
  ['a statement that writes', 'WITH x AS (DELETE FROM public.t RETURNING id) SELECT id FROM x'],
  ['an unknown column', 'SELECT nothing FROM public.t'],
  ['no query', 'garbage'],
  ['a comment without an end', 'SELECT id FROM public.t /*'],
])('S25: a query that is more than a SELECT is refused, and nothing happens: %s', async (_what, query) => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY); INSERT INTO t VALUES (1)')
  const failing = pair.run({ tables: [mapping('q', { as: 't', key: ['id'], query })] })
  await expect(failing).rejects.toMatchObject({
    code: expect.stringMatching(/invalid_query|missing_privilege|read_only/) as string,
  })
  expect(await pair.source.sql('SELECT count(*) FROM t')).toEqual([['1']])
})

test('S25: a query that writes when it runs is refused by the session', async () => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY)')
  await pair.source.sql(
    `CREATE FUNCTION sneak() RETURNS int LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.t VALUES (7); RETURN 1; END $$`,
  )
  const failing = pair.run({ tables: [mapping('q', { as: 't', key: ['id'], query: 'SELECT public.sneak() AS id' })] })
  await expect(failing).rejects.toThrow(/read-only transaction/)
  expect(await pair.source.sql('SELECT count(*) FROM t')).toEqual([['0']])
})

const FILTERED = `
  CREATE TABLE t (id int PRIMARY KEY, country text, total numeric(10,2), note text);
  INSERT INTO t SELECT i, (ARRAY['NO', 'DE', NULL, 'FR'])[1 + i % 4], i, 'n' || i FROM generate_series(1, 2000) i`

test.each([
  ['that the database answers', `country == 'NO' && total > 100`, 'id'],
  ['that is looked at row by row', `country == 'NO' && size(note) > 3 && total > 100`, 'id'],
  ['of rows with a computed key', `country == 'NO' && total > 100`, 'label'],
])('a filter %s: rows that leave it stay or go, as the mapping says', async (_what, filter, key) => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await pair.source.sql(FILTERED)
  const keyColumn = key === 'id' ? 'id int PRIMARY KEY' : 'label text PRIMARY KEY'
  await pair.target.sql(`CREATE TABLE t (${keyColumn}, country text, total numeric(10,2))`)
  const label: FieldMapping = {
    target: 'label',
    from: { kind: 'expression', text: `'row ' + text(id)` },
    transforms: [],
    rules: [],
  }
  const fields = [key === 'id' ? column('id') : label, column('country'), column('total')]
  const config = (filterExit: 'ignore' | 'delete') => ({ tables: [mapping('t', { filter, filterExit, fields })] })
  const wanted = await pair.source.sql(
    `SELECT count(*) FROM t WHERE country = 'NO' AND total > 100 AND length(note) > 3`,
  )
  const first = await pair.run(config('ignore'))
  expect(first.counts).toMatchObject({ inserted: Number(wanted[0]?.[0]), skipped: 0 })
  expect(wroteNothing(await pair.run(config('ignore')))).toBe(true)
  await pair.source.sql(
    `UPDATE t SET country = 'SE' WHERE id IN (400, 404, 408); DELETE FROM t WHERE id = 412; UPDATE t SET total = total + 0.5 WHERE id = 416; UPDATE t SET country = 'NO' WHERE id = 1001`,
  )
  const kept = await pair.run(config('ignore'))
  expect(kept.counts).toMatchObject({ updated: 1, inserted: 1, deleted: 0, skipped: 4 })
  const left = await pair.run({ ...config('delete'), deleteScope: 'mirror' })
  expect(left.counts).toMatchObject({ updated: 0, inserted: 0, deleted: 3, skipped: 1 })
  const gone = await pair.run({ ...config('ignore'), ...MIRROR })
  expect(gone.counts).toMatchObject({ deleted: 1, skipped: 0 })
  expect((await pair.compare('proof', config('ignore'))).equal).toBe(true)
})

const step = (name: string, args: Readonly<Record<string, unknown>> = {}) => ({ name, args })

test('fields by every kind of source: columns through chains, constants, expressions, lookups and masks', async () => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await pair.source.sql(`
    CREATE TABLE country (code text PRIMARY KEY, name text);
    INSERT INTO country VALUES ('no', 'Norway'), ('de', 'Germany');
    CREATE TABLE customer (id bigint PRIMARY KEY, first text, last text, mail text, country text, price numeric(10,2), born text, flag boolean);
    INSERT INTO customer SELECT i, ' Ada ' || i, 'Löve' || i, 'ADA' || i || '@Example.ORG', (ARRAY['no', 'de', NULL])[1 + i % 3], i / 100.0, '31.12.19' || (10 + i % 80), i % 2 = 0
      FROM generate_series(1, 1200) i;
    UPDATE customer SET country = 'xx' WHERE id = 5;
    UPDATE customer SET born = 'unknown' WHERE id = 7`)
  await pair.target.sql(
    `CREATE TABLE person (uid uuid PRIMARY KEY, name text, mail_token text, country varchar(40), cents int, born date, kind text, active text, loaded date)`,
  )
  const fields: FieldMapping[] = [
    {
      target: 'uid',
      from: { kind: 'columns', columns: ['id'] },
      transforms: [step('uuid_v5', { namespace: '6ba7b810-9dad-11d1-80b4-00c04fd430c8' })],
      rules: [],
    },
    {
      target: 'name',
      from: { kind: 'expression', text: `trim(first) + ' ' + upper(last)` },
      transforms: [],
      rules: [],
    },
    {
      target: 'mail_token',
      from: { kind: 'columns', columns: ['mail'] },
      transforms: [step('lower'), step('token')],
      rules: [],
    },
    {
      target: 'country',
      from: { kind: 'columns', columns: ['country'] },
      transforms: [step('lookup', { table: 'country', key: 'code', value: 'name' })],
      rules: [],
    },
    {
      target: 'cents',
      from: { kind: 'columns', columns: ['price'] },
      transforms: [step('scale', { power: 2 })],
      rules: [],
    },
    {
      target: 'born',
      from: { kind: 'columns', columns: ['born'] },
      transforms: [step('parse_time', { pattern: 'dd.MM.yyyy', as: 'date' })],
      rules: [],
    },
    { target: 'kind', from: { kind: 'constant', value: 'customer' }, transforms: [], rules: [] },
    {
      target: 'active',
      from: { kind: 'columns', columns: ['flag'] },
      transforms: [step('format_boolean', { true: 'yes', false: 'no' })],
      rules: [],
    },
    { target: 'loaded', from: { kind: 'constant', value: '2024-02-29' }, transforms: [], rules: [] },
  ]
  const config = { tables: [mapping('customer', { as: 'person', fields })] }
  await expect(pair.run(config)).rejects.toMatchObject({ code: 'mask_key_missing' })
  const hooks = { maskKey: Buffer.alloc(32, 7) }
  const first = await pair.run(config, hooks)
  expect(first.counts).toMatchObject({ inserted: 1198, rejected: 2 })
  expect(first.tables[0]?.rejections).toMatchObject([
    { column: 'country', key: ['5'], keyIn: 'source', value: 'xx' },
    { column: 'born', key: ['7'], keyIn: 'source', value: 'unknown' },
  ])
  const [row] = await pair.target.sql(
    `SELECT name, country, cents, born, kind, active, loaded, length(mail_token) > 10, uid FROM person WHERE name = 'Ada 100 LÖVE100'`,
  )
  expect(row?.slice(0, 8)).toEqual([
    'Ada 100 LÖVE100',
    'Germany',
    '100',
    '1930-12-31',
    'customer',
    'yes',
    '2024-02-29',
    't',
  ])
  expect(row?.[8]).toMatch(/^[\da-f]{8}-[\da-f]{4}-5/)
  const again = await pair.run(config, hooks)
  expect(again.counts).toMatchObject({ unchanged: 1198, rejected: 2, read: 1200 })
  await pair.source.sql(
    `UPDATE customer SET price = price + 1 WHERE id <= 10; DELETE FROM customer WHERE id > 1190; UPDATE country SET name = 'Deutschland' WHERE code = 'de'`,
  )
  const third = await pair.run({ ...config, ...MIRROR, maxOverwritePercent: 100 }, hooks)
  expect(third.counts).toMatchObject({ deleted: 10, rejected: 2 })
  expect(third.tables[0]?.verification.changedSince).toBe(0)
  expect((await pair.compare('proof', config, hooks)).tables[0]).toMatchObject({
    different: 0,
    onlyInTarget: 0,
    onlyInSource: 0,
  })
})

const rule = (name: string, args: unknown, onFail: 'warn' | 'reject' | 'stop' = 'reject') => ({ name, args, onFail })

test('S3.33: rows that break a rule are carried with a warning, set aside, or stop the run', async () => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await pair.source.sql(`
    CREATE TABLE country (code text PRIMARY KEY);
    INSERT INTO country VALUES ('NO'), ('DE');
    CREATE TABLE t (id int PRIMARY KEY, email text, age int, country text, note text);
    INSERT INTO t SELECT i, 'u' || i || '@example.org', 20 + i % 50, 'NO', 'n' FROM generate_series(1, 500) i;
    UPDATE t SET age = 200 WHERE id IN (3, 4);
    UPDATE t SET country = 'XX' WHERE id = 5;
    UPDATE t SET email = 'same@example.org' WHERE id IN (6, 7);
    UPDATE t SET email = NULL WHERE id = 8;
    UPDATE t SET note = repeat('x', 30) WHERE id BETWEEN 100 AND 120`)
  await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY, email text, age int, country text, note text)')
  const fields: FieldMapping[] = [
    column('id'),
    { ...column('email'), rules: [rule('required', true), rule('unique', true), rule('pattern', '@')] },
    { ...column('age'), rules: [rule('range', { min: 0, max: 130 })] },
    { ...column('country'), rules: [rule('reference', { table: 'country', column: 'code' })] },
    { ...column('note'), rules: [rule('length', { max: 20 }, 'warn'), rule('expression', `age != 21`, 'warn')] },
  ]
  const config = { tables: [mapping('t', { fields })] }
  const first = await pair.run(config)
  expect(first.counts).toMatchObject({ inserted: 494, rejected: 6 })
  expect(first.tables[0]?.rejections.map(({ key, code }) => `${key.join()} ${code}`).sort()).toEqual([
    '3 rule_range',
    '4 rule_range',
    '5 rule_reference',
    '6 rule_unique',
    '7 rule_unique',
    '8 rule_required',
  ])
  expect(first.notes.filter((note) => note.includes('breaks the rule'))).toEqual([
    expect.stringContaining('note breaks the rule expression in 10 rows'),
    expect.stringContaining('note breaks the rule length in 21 rows'),
  ])
  expect((await pair.run(config)).counts).toMatchObject({ unchanged: 494, rejected: 6 })
  await pair.source.sql(`UPDATE t SET email = 'other@example.org' WHERE id = 7; UPDATE t SET age = 5 WHERE id = 9`)
  expect((await pair.run(config)).counts).toMatchObject({ inserted: 2, updated: 1, rejected: 4 })
  const stopping = fields.map((field) => ({
    ...field,
    rules: field.rules.map((each) => ({ ...each, onFail: 'stop' as const })),
  }))
  await pair.target.sql('TRUNCATE t')
  await expect(pair.run({ tables: [mapping('t', { fields: stopping })] })).rejects.toMatchObject({
    code: 'rule_broken',
  })
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['0']])
  const wrong = [column('id'), { ...column('age'), rules: [rule('range', { min: 'x' })] }]
  await expect(pair.run({ tables: [mapping('t', { fields: wrong })] })).rejects.toMatchObject({ code: 'invalid_rule' })
  const unknown = [column('id'), { ...column('age'), rules: [rule('rage', {})] }]
  await expect(pair.run({ tables: [mapping('t', { fields: unknown })] })).rejects.toMatchObject({
    code: 'invalid_rule',
  })
})

test('S52: fields by code, in a sandbox: values arrive, failures are set aside with their field', async () => {
  const servers = sharedServers()
  await using pair = await createPair(servers.source, servers.target)
  await pair.source.sql(`
    CREATE TABLE t (id int PRIMARY KEY, big bigint, amount numeric(20,4), note text, flag boolean);
    INSERT INTO t SELECT i, 9007199254740993 + i, i / 7.0, CASE WHEN i % 5 > 0 THEN 'né ' || i END, i % 2 = 0 FROM generate_series(1, 3000) i`)
  await pair.target.sql(
    'CREATE TABLE t (id int PRIMARY KEY, twice bigint, label varchar(60), shout text, amount numeric(20,4))',
  )
  const code = (target: string, text: string): FieldMapping => ({
    target,
    from: { kind: 'code', text },
    transforms: [],
    rules: [],
  })
  const fields = [
    column('id'),
    code('twice', 'return row.big * 2n'),
    code(
      'label',
      `if (row.id === 13n) throw new Error('unlucky'); return row.note === null ? null : row.note.split(' ').reverse().join('-')`,
    ),
    { ...code('shout', `return row.flag ? 'yes' : 'no'`), transforms: [step('upper')] },
    column('amount'),
  ]
  const config = { tables: [mapping('t', { fields })] }
  const first = await pair.run(config)
  expect(first.counts).toMatchObject({ inserted: 2999, rejected: 1 })
  expect(first.tables[0]?.rejections).toMatchObject([{ key: ['13'], code: 'code_threw' }])
  expect(await pair.target.sql('SELECT twice, label, shout FROM t WHERE id = 6')).toEqual([
    ['18014398509481998', '6-né', 'YES'],
  ])
  expect((await pair.run(config)).counts).toMatchObject({ unchanged: 2999, rejected: 1 })
  expect((await pair.compare('proof', config)).tables[0]).toMatchObject({ different: 0, onlyInTarget: 0 })
  const broken = [column('id'), code('label', 'return (')]
  await expect(pair.run({ tables: [mapping('t', { fields: broken })] })).rejects.toMatchObject({
    code: 'invalid_expression',
  })
})
