/** Hazards D3, D4 and D5: rows that stand in one another's way. Tables exist on both sides, with all their constraints. */
import { expect, test } from 'vitest'

import type { SyncConfig } from '#model/sync-config.ts'

import { expectSameTables } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, MIRROR, wroteNothing, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

/** Makes the tables on both sides, brings them in step, changes the source, and expects the next run to follow. */
async function follows(
  of: { tables: string; names: readonly string[]; rows?: string; change: string },
  config: Partial<SyncConfig> = {},
): Promise<void> {
  await using pair = await createPair(source, target)
  await pair.both(of.tables)
  if (of.rows !== undefined) {
    await pair.source.sql(of.rows)
    await pair.run({ ...MIRROR, ...config })
    await expectSameTables(pair.source, pair.target, of.names)
  }
  await pair.source.sql(of.change)
  await settles(pair, of.names, config)
}

async function settles(pair: Pair, names: readonly string[], config: Partial<SyncConfig> = {}): Promise<void> {
  const receipt = await pair.run({ ...MIRROR, ...config }, { approve: true })
  await expectSameTables(pair.source, pair.target, names)
  expect(receipt.tables.flatMap((table) => table.rejections)).toEqual([])
  expect(receipt.counts.conflicted).toBe(0)
  expect(wroteNothing(await pair.run({ ...MIRROR, ...config }))).toBe(true)
}

const SLOTS = 'CREATE TABLE t (id int PRIMARY KEY, u int UNIQUE, v text)'
const SLOTS_NOT_NULL = 'CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE, v text)'
const TEN = 'INSERT INTO t SELECT i, i, i FROM generate_series(1, 10) i'
/** In one statement uniqueness is checked row by row: the source itself has to take a way round. */
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

    test(name('a chain of 100 unique values moves up'), async () => {
      const rows = 'INSERT INTO t SELECT i, i, i FROM generate_series(1, 100) i'
      const change = 'UPDATE t SET u = -u; UPDATE t SET u = 1 - u'
      await follows({ tables, names: ['t'], rows, change }, { batchSize, maxOverwritePercent: 100 })
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

test('D4: a swap in a table that others refer to leaves their rows alone', async () => {
  const tables = `${SLOTS_NOT_NULL}; CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE)`
  const rows = `${TEN}; INSERT INTO child SELECT i, i FROM generate_series(1, 10) i`
  await follows({ tables, names: ['t', 'child'], rows, change: swap(2, 9) })
})

test('D4: a swap in a table whose unique values others refer to', async () => {
  const tables = `${SLOTS_NOT_NULL}; CREATE TABLE child (id int PRIMARY KEY, u int REFERENCES t (u) ON UPDATE CASCADE)`
  const rows = `${TEN}; INSERT INTO child SELECT i, i FROM generate_series(1, 10) i`
  await follows({
    tables,
    names: ['t', 'child'],
    rows,
    change: `UPDATE child SET u = NULL; ${swap(2, 9)}; UPDATE child SET u = id`,
  })
})

test('D4: a swap with deferrable unique constraints', async () => {
  const tables = 'CREATE TABLE t (id int PRIMARY KEY, u int NOT NULL UNIQUE DEFERRABLE INITIALLY DEFERRED, v text)'
  await follows({ tables, names: ['t'], rows: TEN, change: 'UPDATE t SET u = 11 - u' })
})

test('D4: intervals that exclude one another are swapped', async () => {
  const tables = 'CREATE TABLE t (id int PRIMARY KEY, during int4range, EXCLUDE USING gist (during WITH &&))'
  const rows = 'INSERT INTO t SELECT i, int4range(i * 10, i * 10 + 10) FROM generate_series(1, 10) i'
  const change = `UPDATE t SET during = NULL; UPDATE t SET during = int4range(110 - id * 10, 120 - id * 10)`
  await follows({ tables, names: ['t'], rows, change })
})

test('D4: values swapped under a partial and under an expression index', async () => {
  const tables = `CREATE TABLE t (id int PRIMARY KEY, u text NOT NULL, gone bool NOT NULL);
    CREATE UNIQUE INDEX ON t (u) WHERE NOT gone; CREATE UNIQUE INDEX ON t (lower(u), gone)`
  const rows = "INSERT INTO t SELECT i, 'u' || i, false FROM generate_series(1, 10) i"
  const change = "UPDATE t SET u = 'x' || id; UPDATE t SET u = 'u' || (11 - id)"
  await follows({ tables, names: ['t'], rows, change })
})

test('D4: rows that refer to one another in one table, in any order', async () => {
  const tables = 'CREATE TABLE t (id int PRIMARY KEY, boss int REFERENCES t, v text)'
  const rows = 'INSERT INTO t SELECT i, nullif(i % 20 + 1, 1) FROM generate_series(1, 20) i'
  for (const batchSize of [1, 4, 1_000]) {
    await follows({ tables, names: ['t'], change: rows }, { batchSize })
    const change =
      'UPDATE t SET boss = NULL; DELETE FROM t WHERE id > 10; INSERT INTO t VALUES (0, 50), (50, 0); UPDATE t SET boss = 50 WHERE boss IS NULL'
    await follows(
      { tables, names: ['t'], rows, change: change.replace('(0, 50), (50, 0)', '(0, 50), (50, 0)') },
      { batchSize },
    )
  }
})

test('D4: rows of one table that refer to one another and may not be NULL', async () => {
  const tables = 'CREATE TABLE t (id int PRIMARY KEY, boss int NOT NULL REFERENCES t)'
  const rows = 'INSERT INTO t SELECT i, i % 20 + 1 FROM generate_series(1, 20) i'
  for (const batchSize of [4, 1_000]) {
    await follows({ tables, names: ['t'], change: rows }, { batchSize })
    await follows(
      { tables, names: ['t'], rows, change: 'UPDATE t SET boss = 1; DELETE FROM t WHERE id > 10' },
      { batchSize },
    )
    await follows({ tables, names: ['t'], rows, change: 'DELETE FROM t' }, { batchSize })
  }
})

const CIRCLE = (notNull: string, how: string): string => `CREATE TABLE a (id int PRIMARY KEY, b int ${notNull});
  CREATE TABLE b (id int PRIMARY KEY, a int ${notNull} REFERENCES a ${how});
  ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b ${how}`

const CIRCLE_ROWS = `WITH a AS (INSERT INTO a SELECT i, i % 5 + 1 FROM generate_series(1, 5) i)
  INSERT INTO b SELECT i, i % 5 + 1 FROM generate_series(1, 5) i`

for (const how of ['', 'DEFERRABLE INITIALLY DEFERRED']) {
  test(`D4: foreign keys in a circle (${how || 'not deferrable'})`, async () => {
    const of = { tables: CIRCLE('', how), names: ['a', 'b'] }
    await follows({ ...of, change: CIRCLE_ROWS })
    await follows({ ...of, change: CIRCLE_ROWS }, { batchSize: 2 })
    const fewer = `UPDATE a SET b = 1; UPDATE b SET a = 1; WITH x AS (DELETE FROM a WHERE id > 2) DELETE FROM b WHERE id > 2`
    await follows({ ...of, rows: CIRCLE_ROWS, change: fewer })
    await follows({ ...of, rows: CIRCLE_ROWS, change: 'WITH x AS (DELETE FROM a) DELETE FROM b' })
  })
}

for (const batchSize of [2, 1_000]) {
  for (const how of ['DEFERRABLE', 'DEFERRABLE INITIALLY DEFERRED']) {
    test(`D4: rows in a circle that may not be NULL (${how}, batches of ${batchSize})`, async () => {
      // On the source a circle is made and unmade within one transaction.
      const inOne = (change: string): string => `BEGIN; SET CONSTRAINTS ALL DEFERRED; ${change}; COMMIT`
      const of = { tables: CIRCLE('NOT NULL', how), names: ['a', 'b'] }
      const rows = inOne(CIRCLE_ROWS)
      const other =
        inOne(`DELETE FROM a WHERE id > 2; DELETE FROM b WHERE id > 2; UPDATE a SET b = 1; UPDATE b SET a = 2;
        INSERT INTO a VALUES (10, 11); INSERT INTO b VALUES (11, 10)`)
      await follows({ ...of, rows, change: other }, { batchSize })
      await follows({ ...of, rows, change: inOne('DELETE FROM a; DELETE FROM b') }, { batchSize })
    })
  }
}

test('D4: one of two constraints in a circle can be deferred', async () => {
  const tables = `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL); CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL REFERENCES a);
    ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE`
  const rows = `BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO a SELECT i, i FROM generate_series(1, 5) i;
    INSERT INTO b SELECT i, i FROM generate_series(1, 5) i; COMMIT`
  const change = 'BEGIN; SET CONSTRAINTS ALL DEFERRED; DELETE FROM b; DELETE FROM a; COMMIT'
  await follows({ tables, names: ['a', 'b'], rows, change })
})

test('B4, D4: a row that cannot be there keeps its own circle out, and no other', async () => {
  await using pair = await createPair(source, target)
  await pair.both(CIRCLE('NOT NULL', 'DEFERRABLE'))
  await pair.target.sql('ALTER TABLE a ADD CHECK (id <> 7)')
  await pair.source.sql(`BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO a SELECT i, i FROM generate_series(1, 20) i;
    INSERT INTO b SELECT i, i FROM generate_series(1, 20) i; COMMIT`)
  const receipt = await pair.run(MIRROR)
  expect(receipt.counts).toMatchObject({ read: 40, inserted: 38, rejected: 2 })
  expect(receipt.tables.map(({ rejections }) => rejections.map(({ key, code }) => [key, code]))).toEqual([
    [[['7'], '23514']],
    [[['7'], '23503']],
  ])
})

test('D4: rows in a circle that may not be NULL are set aside with the reason', async () => {
  await using pair = await createPair(source, target)
  await pair.both(CIRCLE('NOT NULL', ''))
  await pair.source.sql(CIRCLE_ROWS)
  const receipt = await pair.run(MIRROR)
  expect(receipt.counts).toMatchObject({ read: 10, inserted: 0, rejected: 10 })
  for (const { rejections } of receipt.tables) {
    expect(rejections).toHaveLength(5)
    for (const { code, reason } of rejections)
      expect([code, reason]).toEqual(['23503', expect.stringContaining('is not present')])
  }
})

test('D4: parents before children over several tables, and the other way for deletes', async () => {
  const tables = `CREATE TABLE z (id int PRIMARY KEY); CREATE TABLE y (id int PRIMARY KEY, z int NOT NULL REFERENCES z);
    CREATE TABLE x (id int PRIMARY KEY, y int NOT NULL REFERENCES y, z int REFERENCES z)`
  const rows = `INSERT INTO z SELECT generate_series(1, 50); INSERT INTO y SELECT i, i FROM generate_series(1, 50) i;
    INSERT INTO x SELECT i, i, i FROM generate_series(1, 50) i`
  const names = ['x', 'y', 'z']
  await follows({ tables, names, change: rows })
  const change = `DELETE FROM x WHERE id <= 20; DELETE FROM y WHERE id <= 20; UPDATE x SET z = 50; DELETE FROM z WHERE id <= 20;
    INSERT INTO z VALUES (100); INSERT INTO y VALUES (100, 100); INSERT INTO x VALUES (100, 100, 100); UPDATE y SET z = 100 WHERE id = 30`
  await follows({ tables, names, rows, change }, { batchSize: 7 })
  await follows(
    {
      tables,
      names,
      rows,
      change:
        'UPDATE x SET y = 1, z = NULL; UPDATE y SET z = 1; DELETE FROM y WHERE id > 1; DELETE FROM z WHERE id > 1',
    },
    { batchSize: 7 },
  )
})

test('D5: the keys of two rows are swapped', async () => {
  for (const batchSize of [1, 1_000]) {
    const change =
      'UPDATE t SET id = -1 WHERE id = 1; UPDATE t SET id = 1 WHERE id = 2; UPDATE t SET id = 2 WHERE id = -1'
    await follows({ tables: SLOTS_NOT_NULL, names: ['t'], rows: TEN, change }, { batchSize })
    await follows(
      { tables: SLOTS_NOT_NULL, names: ['t'], rows: TEN, change: 'UPDATE t SET id = id + 100' },
      { batchSize },
    )
  }
})

test('D3: a row whose other unique value is taken is set aside; the other row and its children live', async () => {
  await using pair = await createPair(source, target)
  await pair.both(`${SLOTS_NOT_NULL}; CREATE TABLE child (id int PRIMARY KEY, t int REFERENCES t ON DELETE CASCADE)`)
  await pair.source.sql("INSERT INTO t VALUES (1, 20, 'source'), (5, 50, 'fine')")
  await pair.target.sql("INSERT INTO t VALUES (1, 10, 'mine'), (2, 20, 'other'); INSERT INTO child VALUES (7, 2)")
  const receipt = await pair.run({})
  const table = receipt.tables.find(({ target: { name } }) => name === 't')
  expect(table?.rejections).toMatchObject([{ op: 'update', key: ['1'], code: '23505' }])
  expect(table?.rejections[0]?.reason).toContain('(u)=(20)')
  expect(table?.counts).toMatchObject({ rejected: 1, inserted: 1, skipped: 1 })
  expect(await pair.target.sql('SELECT * FROM t ORDER BY id')).toEqual([
    ['1', '10', 'mine'],
    ['2', '20', 'other'],
    ['5', '50', 'fine'],
  ])
  expect(await pair.target.sql('SELECT * FROM child')).toEqual([['7', '2']])
})
