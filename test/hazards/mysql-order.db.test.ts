/** Hazards D3, D4 and D5 where the target is MariaDB: rows that stand in one another's way. */
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { SyncConfig } from '#model/sync-config.ts'

import { IntoMysql } from '#test/harness/into-mysql.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { wroteNothing } from '#test/harness/sync.ts'

const { source } = sharedServers()
let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

interface Following {
  readonly tables: readonly string[]
  readonly names: readonly string[]
  readonly rows?: string
  readonly change: string
}

/** Makes the tables on both sides, brings them in step, changes the source, and expects the next run to follow. */
async function follows({ tables, names, rows, change }: Following, config: Partial<SyncConfig> = {}): Promise<void> {
  await using into = await IntoMysql.make(source, server)
  await into.both(...tables)
  if (rows !== undefined) {
    await into.pair.source.sql(rows)
    await into.run(names, config, { approve: true })
  }
  await into.pair.source.sql(change)
  const receipt = await into.run(names, config, { approve: true })
  for (const name of names) {
    const { source: there, target } = await into.rows(name)
    expect(target).toEqual(there)
  }
  expect(receipt.tables.flatMap((table) => table.rejections)).toEqual([])
  expect(receipt.counts.conflicted).toBe(0)
  expect(wroteNothing(await into.run(names, config))).toBe(true)
}

const SLOTS = ['CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v varchar(40))']
const SLOTS_NOT_NULL = ['CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE, v varchar(40))']
const TEN = 'INSERT INTO t SELECT i, i, i FROM generate_series(1, 10) i'
const swap = (a: number, b: number): string =>
  `UPDATE t SET u = -1 WHERE id = ${a}; UPDATE t SET u = ${a} WHERE id = ${b}; UPDATE t SET u = ${b} WHERE id = ${a}`

for (const batchSize of [3, 1_000]) {
  for (const [kind, tables] of [
    ['nullable', SLOTS],
    ['not null', SLOTS_NOT_NULL],
  ] as const) {
    const name = (what: string): string => `D4: ${what} (${kind}, batches of ${batchSize})`

    test(name('two unique values are swapped'), async () => {
      await follows({ tables, names: ['t'], rows: TEN, change: swap(2, 9) }, { batchSize })
    })

    test(name('a ring of unique values turns'), async () => {
      const change = 'UPDATE t SET u = -u; UPDATE t SET u = 1 + (-u) % 10'
      await follows({ tables, names: ['t'], rows: TEN, change }, { batchSize })
    })

    test(name('a unique value goes from a deleted row to a new one'), async () => {
      const change = "DELETE FROM t WHERE id = 3; INSERT INTO t VALUES (11, 3, 'new')"
      await follows({ tables, names: ['t'], rows: TEN, change }, { batchSize })
    })

    test(name('a unique value goes from an updated row to a new one and to an older one'), async () => {
      const change =
        "UPDATE t SET u = 20 WHERE id = 3; INSERT INTO t VALUES (0, 3, 'new'); UPDATE t SET u = 30 WHERE id = 10; UPDATE t SET u = 10 WHERE id = 1"
      await follows({ tables, names: ['t'], rows: TEN, change }, { batchSize })
    })
  }
}

test('D4: a chain of 100 unique values moves up', async () => {
  const rows = 'INSERT INTO t SELECT i, i, i FROM generate_series(1, 100) i'
  const change = 'UPDATE t SET u = -u; UPDATE t SET u = 1 - u'
  await follows({ tables: SLOTS_NOT_NULL, names: ['t'], rows, change })
})

test('D4: a swap in a table that others refer to leaves their rows alone', async () => {
  const child = 'CREATE TABLE child (id int PRIMARY KEY, t int, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE)'
  const rows = `${TEN}; INSERT INTO child SELECT i, i FROM generate_series(1, 10) i`
  await follows({ tables: [...SLOTS_NOT_NULL, child], names: ['t', 'child'], rows, change: swap(2, 9) })
})

test('D4: a swap leaves columns of the target alone that have a day of zeros, by themselves or by default', async () => {
  await using into = await IntoMysql.make(source, server)
  await into.both('CREATE TABLE t (id int PRIMARY KEY, u char(3) NOT NULL UNIQUE, day date)')
  await into.side.sql(
    "SET SESSION sql_mode = ''",
    "ALTER TABLE t ADD COLUMN own date NOT NULL DEFAULT '0000-00-00', ADD COLUMN at datetime",
  )
  await into.pair.source.sql("INSERT INTO t VALUES (1, 'a', '2024-01-01'), (2, 'b', NULL), (3, 'c', NULL)")
  await into.side.sql(
    "SET SESSION sql_mode = ''",
    "INSERT INTO t VALUES (1, 'a', '2024-01-01', '0000-00-00', '2024-00-01')",
  )
  await into.side.sql("INSERT INTO t VALUES (2, 'b', NULL, '2024-02-02', NULL), (3, 'c', NULL, '2024-03-03', NULL)")
  await into.pair.source.sql(
    "UPDATE t SET u = '-' WHERE id = 1; UPDATE t SET u = 'a', day = '2024-02-02' WHERE id = 2; UPDATE t SET u = 'b' WHERE id = 1",
  )
  const receipt = await into.run(['t'], {}, { approve: true })
  expect(receipt.counts).toMatchObject({ updated: 2, rejected: 0, conflicted: 0 })
  expect(await into.side.sql('SELECT * FROM t ORDER BY id')).toEqual([
    ['1', 'b', '2024-01-01', '0000-00-00', '2024-00-01 00:00:00'],
    ['2', 'a', '2024-02-02', '2024-02-02', null],
    ['3', 'c', null, '2024-03-03', null],
  ])
})

test('D3: rows of another database that point to a deleted or swapped row with ON DELETE CASCADE stay', async () => {
  await using into = await IntoMysql.make(source, server)
  const other = await server.createDatabase()
  // No value of a date is free for a row that waits: it would have to go and come back.
  const rows = "INSERT INTO t VALUES (1, '2020-01-01'), (2, '2020-01-02'), (3, '2020-01-03')"
  await into.both('CREATE TABLE t (id int PRIMARY KEY, u date NOT NULL UNIQUE)', rows)
  await into.side.sql(
    `CREATE TABLE ${other}.child (id int PRIMARY KEY, t int,
       FOREIGN KEY (t) REFERENCES ${into.side.name}.t (id) ON DELETE CASCADE)`,
    `INSERT INTO ${other}.child VALUES (1, 1), (2, 2), (3, 3)`,
  )
  await into.run(['t'])
  await into.pair.source.sql(`DELETE FROM t WHERE id = 3; UPDATE t SET u = '2000-01-01' WHERE id = 1;
    UPDATE t SET u = '2020-01-01' WHERE id = 2; UPDATE t SET u = '2020-01-02' WHERE id = 1`)
  const receipt = await into.run(['t'], {}, { approve: true })
  expect(receipt.tables[0]?.rejections).toMatchObject([
    { op: 'delete', key: ['3'], code: '1451' },
    { op: 'update', code: '1062' },
    { op: 'update', code: '1062' },
  ])
  expect(await into.side.sql(`SELECT id FROM ${other}.child ORDER BY id`)).toEqual([['1'], ['2'], ['3']])
})

test('D4: rows that refer to one another in one table, in any order', async () => {
  const tables = ['CREATE TABLE t (id int PRIMARY KEY, boss int, v varchar(40), FOREIGN KEY (boss) REFERENCES t (id))']
  const rows = 'INSERT INTO t SELECT i, nullif(i % 20 + 1, 1) FROM generate_series(1, 20) i'
  for (const batchSize of [4, 1_000]) {
    await follows({ tables, names: ['t'], change: rows }, { batchSize })
    const change =
      'UPDATE t SET boss = NULL; DELETE FROM t WHERE id > 10; INSERT INTO t VALUES (0, 50), (50, 0); UPDATE t SET boss = 50 WHERE boss IS NULL'
    await follows({ tables, names: ['t'], rows, change }, { batchSize })
  }
})

test('D4: foreign keys in a circle', async () => {
  const tables = [
    'CREATE TABLE a (id int PRIMARY KEY, b int)',
    'CREATE TABLE b (id int PRIMARY KEY, a int, FOREIGN KEY (a) REFERENCES a (id))',
    'ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b (id)',
  ]
  const rows = `WITH a AS (INSERT INTO a SELECT i, i % 5 + 1 FROM generate_series(1, 5) i)
    INSERT INTO b SELECT i, i % 5 + 1 FROM generate_series(1, 5) i`
  const names = ['a', 'b']
  await follows({ tables, names, change: rows }, { batchSize: 2 })
  const fewer = `UPDATE a SET b = 1; UPDATE b SET a = 1; WITH x AS (DELETE FROM a WHERE id > 2) DELETE FROM b WHERE id > 2`
  await follows({ tables, names, rows, change: fewer })
  await follows({ tables, names, rows, change: 'WITH x AS (DELETE FROM a) DELETE FROM b' })
})

test('D4: parents before children over several tables, and the other way for deletes', async () => {
  const tables = [
    'CREATE TABLE z (id int PRIMARY KEY)',
    'CREATE TABLE y (id int PRIMARY KEY, z int NOT NULL, FOREIGN KEY (z) REFERENCES z (id))',
    'CREATE TABLE x (id int PRIMARY KEY, y int NOT NULL, z int, FOREIGN KEY (y) REFERENCES y (id), FOREIGN KEY (z) REFERENCES z (id))',
  ]
  const rows = `INSERT INTO z SELECT generate_series(1, 50); INSERT INTO y SELECT i, i FROM generate_series(1, 50) i;
    INSERT INTO x SELECT i, i, i FROM generate_series(1, 50) i`
  const names = ['x', 'y', 'z']
  await follows({ tables, names, change: rows })
  const change = `DELETE FROM x WHERE id <= 20; DELETE FROM y WHERE id <= 20; UPDATE x SET z = 50; DELETE FROM z WHERE id <= 20;
    INSERT INTO z VALUES (100); INSERT INTO y VALUES (100, 100); INSERT INTO x VALUES (100, 100, 100); UPDATE y SET z = 100 WHERE id = 30`
  await follows({ tables, names, rows, change }, { batchSize: 7 })
})

test('D5: the keys of two rows are swapped', async () => {
  for (const batchSize of [1, 1_000]) {
    const change =
      'UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = -1'
    await follows({ tables: SLOTS_NOT_NULL, names: ['t'], rows: TEN, change }, { batchSize })
  }
  await follows({ tables: SLOTS_NOT_NULL, names: ['t'], rows: TEN, change: 'UPDATE t SET id = id + 100' })
})

test('D3: a row whose other unique value is taken is set aside; the other row and its children live', async () => {
  await using into = await IntoMysql.make(source, server)
  const child = 'CREATE TABLE child (id int PRIMARY KEY, t int, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE)'
  await into.both(...SLOTS_NOT_NULL, child)
  await into.pair.source.sql("INSERT INTO t VALUES (1, 20, 'source'), (5, 50, 'fine')")
  await into.side.sql("INSERT INTO t VALUES (1, 10, 'mine'), (2, 20, 'other')", 'INSERT INTO child VALUES (7, 2)')
  const receipt = await into.run(['t'], { deletePolicy: 'ignore' })
  const [table] = receipt.tables
  expect(table?.rejections).toMatchObject([{ op: 'update', key: ['1'], code: '1062' }])
  expect(table?.counts).toMatchObject({ rejected: 1, inserted: 1 })
  expect(await into.side.sql('SELECT * FROM t ORDER BY id')).toEqual([
    ['1', '10', 'mine'],
    ['2', '20', 'other'],
    ['5', '50', 'fine'],
  ])
  expect(await into.side.sql('SELECT * FROM child')).toEqual([['7', '2']])
})

test('D3: a parent that is written again keeps its children', async () => {
  await using into = await IntoMysql.make(source, server)
  const child = 'CREATE TABLE child (id int PRIMARY KEY, t int, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE)'
  await into.both(...SLOTS_NOT_NULL, child)
  await into.pair.source.sql("INSERT INTO t VALUES (1, 10, 'source')")
  await into.side.sql("INSERT INTO t VALUES (1, 10, 'mine')", 'INSERT INTO child VALUES (7, 1)')
  expect(await into.run(['t'])).toMatchObject({ counts: { updated: 1 } })
  expect(await into.side.sql('SELECT * FROM child')).toEqual([['7', '1']])
})

test('Invariant 9: a delete that would take rows of others with it is refused', async () => {
  await using into = await IntoMysql.make(source, server)
  const child = 'CREATE TABLE child (id int PRIMARY KEY, t int, FOREIGN KEY (t) REFERENCES t (id) ON DELETE CASCADE)'
  await into.both(...SLOTS_NOT_NULL, child)
  await into.side.sql("INSERT INTO t VALUES (1, 10, 'mine'), (2, 20, 'free')", 'INSERT INTO child VALUES (7, 1)')
  await into.pair.source.sql("INSERT INTO t VALUES (3, 30, 'source')")
  const receipt = await into.run(['t'], {}, { approve: true })
  expect(receipt.tables[0]?.rejections).toMatchObject([{ op: 'delete', key: ['1'], code: '1451' }])
  expect(await into.side.sql('SELECT id FROM t ORDER BY id')).toEqual([['1'], ['3']])
  expect(await into.side.sql('SELECT * FROM child')).toEqual([['7', '1']])
})
