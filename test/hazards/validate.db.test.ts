/** What is said of a sync before anything moves: verdicts of all pairs, and counts on the real rows (promise P5). */
import { expect, test } from 'vitest'

import type { Clock } from '#lib/clock.ts'
import type { FieldMapping } from '#model/field-mapping.ts'

import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const as = (name: string, from = name): FieldMapping => ({
  target: name,
  from: { kind: 'columns', columns: [from] },
  transforms: [],
  rules: [],
})

async function doubtfulPair(rows = 2_000): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.source
    .sql(`CREATE TABLE t (id bigint PRIMARY KEY, amount numeric, label text, kind text, flag boolean, far text);
    INSERT INTO t SELECT i, i, 'row ' || i, NULL, i % 2 = 0, 'x' FROM generate_series(1, ${rows}) i;
    UPDATE t SET amount = 1.005 WHERE id % 100 = 7; UPDATE t SET label = repeat('ä', 21) WHERE id IN (3, 5);
    UPDATE t SET label = NULL WHERE id = 9; UPDATE t SET kind = 'k' WHERE id > ${rows} - 7; UPDATE t SET amount = 'NaN' WHERE id = 1`)
  await pair.target
    .sql(`CREATE TABLE t (id int PRIMARY KEY, amount numeric(12,2), label varchar(20) NOT NULL, kind int, flag boolean,
    own text DEFAULT 'o', made int GENERATED ALWAYS AS (id + 1) STORED, empty text)`)
  return pair
}

const FIELDS = ['id', 'amount', 'label', 'kind', 'flag'].map((name) => as(name))

test('each pair has its verdict, its reason, its next step and what of the rows does not fit', async () => {
  await using pair = await doubtfulPair()
  const { ready, tables } = await pair.validate({ tables: [mapping('t', { fields: FIELDS })] })
  expect(ready).toBe(false)
  const [table] = tables
  expect(table?.counted).toEqual({ rows: 2_000, partial: false })
  expect(table?.problems).toMatchObject([
    { code: 'impossible_mapping', message: expect.stringContaining('parse_number') },
  ])
  const field = (name: string) => table?.fields.find((each) => each.target === name)
  expect(field('id')).toMatchObject({
    verdict: 'checked',
    sourceType: 'bigint',
    targetType: 'integer',
    misfits: { rows: 0, keys: [] },
  })
  expect(field('amount')).toMatchObject({ verdict: 'checked', reason: 'a value may not fit decimal(12,2)' })
  expect(field('amount')?.misfits?.rows).toBe(20)
  expect(field('amount')?.misfits?.keys).toEqual([['7'], ['107'], ['207'], ['307'], ['407']].map((key) => key))
  expect(field('label')?.reason).toContain('the column of the target must have one')
  expect(field('label')?.misfits).toMatchObject({ rows: 3 })
  expect(
    field('label')
      ?.misfits?.keys.map(([id]) => id)
      .toSorted(),
  ).toEqual(['3', '5', '9'])
  expect(field('kind')).toMatchObject({
    verdict: 'impossible',
    nextStep: expect.stringContaining('parse_number'),
    misfits: { rows: 7 },
  })
  expect(field('flag')).toMatchObject({ verdict: 'lossless', reason: null, misfits: null })
  expect(table?.unmapped).toEqual({
    source: ['far'],
    target: [
      { column: 'own', filledBy: 'default' },
      { column: 'made', filledBy: 'generated' },
      { column: 'empty', filledBy: 'null' },
    ],
  })
  // What was counted is what a run sets aside.
  const run = await pair.run({
    tables: [mapping('t', { fields: FIELDS.filter(({ target: name }) => name !== 'kind') })],
  })
  expect(run.counts).toMatchObject({ inserted: 1_977, rejected: 23 })
})

test('by their names alone, doubtful pairs are told with what would happen if they were mapped', async () => {
  await using pair = await doubtfulPair(500)
  const { ready, tables } = await pair.validate()
  expect(ready).toBe(false)
  expect(tables[0]?.problems.map(({ message }) => message).join()).toContain('Map the field by itself')
  expect(tables[0]?.fields.find(({ target: name }) => name === 'amount')?.misfits?.rows).toBe(5)
})

test('rows beyond a filter do not count, and a key of several columns is given whole', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(`CREATE TABLE t (a int, b text, v bigint, PRIMARY KEY (b, a));
    INSERT INTO t SELECT i, 'x', 5000000000 FROM generate_series(1, 10) i`)
  await pair.target.sql('CREATE TABLE t (a int, b text, v int, PRIMARY KEY (b, a))')
  const fields = [as('a'), as('b'), as('v')]
  const { tables, ready } = await pair.validate({ tables: [mapping('t', { fields, filter: 'a > 8' })] })
  expect(ready).toBe(true)
  const misfits = tables[0]?.fields.find(({ target: name }) => name === 'v')?.misfits
  expect(misfits).toEqual({
    rows: 2,
    keys: [
      ['x', '9'],
      ['x', '10'],
    ],
  })
})

test('a count that takes too long says that it is partial, and another that it was not made', async () => {
  await using pair = await doubtfulPair(50_000)
  let asked = 0
  const clock: Clock = { now: () => '', elapsed: () => (asked += 1) }
  const { tables } = await pair.validate({ tables: [mapping('t', { fields: FIELDS })] }, { clock, limitMs: 2 })
  expect(tables[0]?.counted?.partial).toBe(true)
  expect(tables[0]?.counted?.rows).toBeGreaterThan(0)
  expect(tables[0]?.counted?.rows).toBeLessThan(50_000)
  const without = await pair.validate({ tables: [mapping('t', { fields: FIELDS })] }, { count: false })
  expect(without.tables[0]?.counted).toBeNull()
  expect(without.tables[0]?.fields.every(({ misfits }) => misfits === null)).toBe(true)
})

test('missing tables, missing columns and missing rights are told together, of every table', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE a (id int PRIMARY KEY); CREATE TABLE b (id int PRIMARY KEY)')
  await pair.source.sql('ALTER TABLE a ADD x int; CREATE TABLE c (id int PRIMARY KEY)')
  const role = `reader_${pair.source.name.slice(-8)}`
  await pair.source.sql(
    `CREATE ROLE ${role} LOGIN PASSWORD 'p'; GRANT USAGE ON SCHEMA public TO ${role}; GRANT SELECT ON a, c TO ${role}`,
  )
  try {
    const url = new URL(pair.source.url)
    ;[url.username, url.password] = [role, 'p']
    const tables = ['a', 'b', 'c'].map((name) => mapping(name))
    const found = await pair.validate({ tables, newColumns: 'stop' }, {}, { sourceUrl: url.href })
    expect(found.ready).toBe(false)
    const codes = new Map(found.tables.map((table) => [table.source.name, table.problems.map(({ code }) => code)]))
    expect(codes).toEqual(
      new Map([
        ['c', ['table_not_found']],
        ['a', ['schema_differs']],
        ['b', ['missing_privilege']],
      ]),
    )
  } finally {
    await pair.source.sql(`DROP OWNED BY ${role}; DROP ROLE ${role}`)
  }
})

test('what is validated as fit runs, and nothing was written by the validation', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE a (id int PRIMARY KEY, v text)')
  await pair.source.sql(`INSERT INTO a VALUES (1, 'x'); ALTER TABLE a ADD n int`)
  const { ready, tables, notes } = await pair.validate({ newColumns: 'add' })
  expect(ready).toBe(true)
  expect(tables[0]).toMatchObject({ ready: true, counted: null })
  expect(notes.join()).toContain('ADD COLUMN "n" integer;')
  expect(await pair.target.sql(`SELECT count(*) FROM pg_namespace WHERE nspname = 'syncline'`)).toEqual([['0']])
  expect((await pair.run({ newColumns: 'add' })).counts).toMatchObject({ inserted: 1 })
})
