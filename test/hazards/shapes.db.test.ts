/** Hazard D9 and tables of every shape: names, views, partitions, inheritance, very wide, very narrow, chosen columns. */
import { expect, test } from 'vitest'

import { expectSameTable, expectSameTables } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, MIRROR, wroteNothing, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

async function followsTwice(pair: Pair, names: readonly string[], change: string, create = false): Promise<void> {
  const config = { ...MIRROR, create, maxOverwritePercent: 100 }
  await pair.run(config)
  await expectSameTables(pair.source, pair.target, names)
  await pair.source.sql(change)
  await pair.run(config, { approve: true })
  await expectSameTables(pair.source, pair.target, names)
  expect(wroteNothing(await pair.run(config))).toBe(true)
}

test.each([500, 1_597, 1_598, 1_600])('a table of %i columns', async (count) => {
  await using pair = await createPair(source, target)
  const columns = Array.from({ length: count - 1 }, (_, i) => `c${i} int2`).join(', ')
  await pair.both(`CREATE TABLE t (id int PRIMARY KEY, ${columns})`)
  await pair.source.sql('INSERT INTO t (id, c0) SELECT i, i FROM generate_series(1, 20) i')
  await followsTwice(
    pair,
    ['t'],
    `UPDATE t SET c${count - 2} = 7 WHERE id = 3; DELETE FROM t WHERE id = 4; INSERT INTO t (id) VALUES (99)`,
  )
  await pair.source.sql('UPDATE t SET c1 = id')
  const owned = { deletePolicy: 'delete', baseline: 'fingerprints', maxOverwritePercent: 100 } as const
  await pair.run(owned)
  await pair.source.sql('DELETE FROM t WHERE id = 5; UPDATE t SET c1 = NULL WHERE id = 6')
  expect((await pair.run(owned)).counts).toMatchObject({ deleted: 1, updated: 1 })
  await expectSameTable(pair.source, pair.target, 't')
  expect((await pair.compare('proof')).equal).toBe(true)
})

test('rows of 1,600 columns change places', async () => {
  await using pair = await createPair(source, target)
  const columns = Array.from({ length: 1_598 }, (_, i) => `c${i} int2`).join(', ')
  await pair.both(`CREATE TABLE t (id int PRIMARY KEY, ${columns}, u int NOT NULL UNIQUE)`)
  await pair.source.sql('INSERT INTO t (id, u) SELECT i, i FROM generate_series(1, 10) i')
  await followsTwice(pair, ['t'], 'UPDATE t SET u = -u; UPDATE t SET u = 11 + u')
})

test('a table without columns and one that is all key', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE k (a int, b text, PRIMARY KEY (a, b))')
  await pair.source.sql('INSERT INTO k SELECT i, i FROM generate_series(1, 10) i')
  await followsTwice(pair, ['k'], "DELETE FROM k WHERE a = 1; INSERT INTO k VALUES (1, 'other'), (2, '')")
  await pair.both('CREATE TABLE nothing ()')
  await expect(pair.run({ ...MIRROR, tables: [mapping('nothing')] })).rejects.toMatchObject({ code: 'no_key' })
})

test('a view is read like a table, by a declared key', async () => {
  await using pair = await createPair(source, target)
  await pair.source
    .sql(`CREATE TABLE base (id int PRIMARY KEY, a int, b int); INSERT INTO base SELECT i, i, i FROM generate_series(1, 50) i;
    CREATE VIEW v AS SELECT id, a + b AS sum FROM base WHERE a <> 7; CREATE MATERIALIZED VIEW m AS SELECT id, a FROM base`)
  await pair.target.sql('CREATE TABLE v (id int PRIMARY KEY, sum int); CREATE TABLE m (id int PRIMARY KEY, a int)')
  const config = { ...MIRROR, tables: [mapping('v', { key: ['id'] }), mapping('m', { key: ['id'] })] }
  await pair.run(config)
  await expectSameTables(pair.source, pair.target, ['v', 'm'])
  await pair.source.sql(
    'UPDATE base SET a = 7 WHERE id = 3; UPDATE base SET b = 0 WHERE id = 5; REFRESH MATERIALIZED VIEW m',
  )
  await pair.run(config)
  await expectSameTables(pair.source, pair.target, ['v', 'm'])
})

const PARTED = `CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region)) PARTITION BY LIST (region);
  CREATE TABLE t_a PARTITION OF t FOR VALUES IN ('a'); CREATE TABLE t_b PARTITION OF t FOR VALUES IN ('b') PARTITION BY RANGE (id);
  CREATE TABLE t_b1 PARTITION OF t_b FOR VALUES FROM (0) TO (50); CREATE TABLE t_b2 PARTITION OF t_b DEFAULT`
const PARTED_ROWS = "INSERT INTO t SELECT i, CASE i % 2 WHEN 0 THEN 'a' ELSE 'b' END, i FROM generate_series(1, 100) i"
const PARTED_CHANGE =
  "UPDATE t SET v = 'x' WHERE id < 5; UPDATE t SET region = 'b' WHERE id = 10; DELETE FROM t WHERE id = 77; UPDATE t SET id = 200 WHERE id = 11"

test.each([
  ['on both sides', PARTED],
  ['at the source alone', 'CREATE TABLE t (id int, region text, v text, PRIMARY KEY (id, region))'],
  ['created', ''],
])('partitions %s', async (_name, targetTable) => {
  await using pair = await createPair(source, target)
  await pair.source.sql(`${PARTED}; ${PARTED_ROWS}`)
  if (targetTable !== '') await pair.target.sql(targetTable)
  await followsTwice(pair, ['t'], PARTED_CHANGE, targetTable === '')
})

test('rows of inheritance children belong to the children', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE p (id int PRIMARY KEY, v text); CREATE TABLE c (w text, PRIMARY KEY (id)) INHERITS (p)')
  await pair.source.sql("INSERT INTO p VALUES (1, 'p'), (2, 'p'); INSERT INTO c VALUES (3, 'c', 'w'), (1, 'c', 'w')")
  await followsTwice(
    pair,
    ['p', 'c'],
    "UPDATE ONLY p SET v = 'x'; UPDATE c SET v = 'y' WHERE id = 3; DELETE FROM c WHERE id = 1",
  )
})

const NAMES = [
  'é'.repeat(31),
  'a"b',
  'A',
  'a',
  'select',
  'new\nline',
  '😀',
  'x'.repeat(63),
  ' ',
  '%s',
  'a.b',
  "it's",
  '$1',
  '\\',
  't',
  's',
  'x',
  'k',
]

test('D9: names that could be taken for something else, in several schemas', async () => {
  await using pair = await createPair(source, target)
  const quoted = NAMES.map((name) => `"${name.replaceAll('"', '""')}"`)
  for (const [i, schema] of quoted.slice(0, 8).entries()) {
    await pair.source
      .sql(`CREATE SCHEMA ${schema}; CREATE TABLE ${schema}.${quoted[i + 1]} (${quoted.map((name) => `${name} int`).join(', ')},
      PRIMARY KEY (${quoted[i]}, ${quoted[i + 2]})); INSERT INTO ${schema}.${quoted[i + 1]} SELECT ${quoted.map(() => 'i').join(', ')} FROM generate_series(1, 5) i`)
  }
  await pair.run({ ...MIRROR, create: true })
  for (const [i, schema] of quoted.slice(0, 8).entries()) {
    await pair.source.sql(
      `UPDATE ${schema}.${quoted[i + 1]} SET ${quoted[i + 3]} = 0; DELETE FROM ${schema}.${quoted[i + 1]} WHERE ${quoted[i]} = 2`,
    )
  }
  await pair.run({ ...MIRROR, create: true })
  for (const [i, schema] of NAMES.slice(0, 8).entries())
    await expectSameTable(pair.source, pair.target, [schema, NAMES[i + 1] ?? ''])
})

test('columns that are chosen, renamed, left out, and a key that is declared', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(`CREATE TABLE s (id int PRIMARY KEY, code text NOT NULL UNIQUE, a int, b int, secret text);
    INSERT INTO s SELECT i, 'c' || i, i, i, 'hidden' FROM generate_series(1, 10) i`)
  await pair.target.sql(`CREATE TABLE d (ref int, kode text PRIMARY KEY, a int, extra text DEFAULT 'kept')`)
  const config = {
    ...MIRROR,
    tables: [mapping('s', { as: 'd', key: ['code'], exclude: ['secret', 'b'], rename: { id: 'ref', code: 'kode' } })],
  }
  const expectSame = (): Promise<void> =>
    expectSameTable(pair.source, pair.target, 's', {
      as: 'd',
      columns: ['id', 'code', 'a'],
      columnsAs: ['ref', 'kode', 'a'],
    })
  await pair.run(config)
  await expectSame()
  await pair.target.sql("UPDATE d SET extra = 'mine' WHERE ref = 1")
  await pair.source.sql(
    "UPDATE s SET a = 100 WHERE id = 1; UPDATE s SET code = 'new' WHERE id = 2; UPDATE s SET secret = 'x', b = 0",
  )
  expect((await pair.run(config)).counts).toMatchObject({ updated: 1, inserted: 1, deleted: 1 })
  await expectSame()
  expect(await pair.target.sql('SELECT extra FROM d WHERE ref = 1')).toEqual([['mine']])
})

test('B4: keys that are no values of the target are set aside, and the rest is carried and proved', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(`CREATE TABLE t (code numeric PRIMARY KEY, n int);
    INSERT INTO t SELECT i, i FROM generate_series(1, 40) i`)
  await pair.target.sql(`CREATE DOMAIN code AS numeric CHECK (VALUE % 10 <> 7);
    CREATE TABLE t (code code PRIMARY KEY, n int)`)
  const loaded = await pair.run(MIRROR)
  expect(loaded.counts).toMatchObject({ inserted: 36, rejected: 4 })
  await pair.source.sql('INSERT INTO t VALUES (47, 47), (48, 48); UPDATE t SET n = 0 WHERE code = 1')
  const changed = await pair.run(MIRROR)
  expect(changed.counts).toMatchObject({ inserted: 1, updated: 1, rejected: 5 })
  for (const { tables } of [loaded, changed]) {
    expect(tables[0]?.rejections.every(({ code }) => code === '23514')).toBe(true)
    expect(tables[0]?.verification).toMatchObject({ changedSince: 0 })
  }
  expect(await pair.target.sql('SELECT count(*), sum(n) FROM t')).toEqual([['37', '779']])
})
