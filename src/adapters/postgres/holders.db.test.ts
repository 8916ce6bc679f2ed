/** Who holds a unique value, asked of the server itself. */
import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import type { Scan } from '#adapters/adapter.ts'
import type { Row } from '#model/value.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'

const { target } = sharedServers()

interface Asked {
  readonly sql: string
  readonly columns: readonly string[]
  /** Null: all of the table. */
  readonly index: string | null
  readonly rows: readonly Row[]
}

/** Each holder as its place, its index and its key. */
async function holders({ sql, columns, index, rows }: Asked): Promise<string[]> {
  await using database = await createDatabase(target)
  await database.sql(sql)
  const { signal } = new AbortController()
  await using adapter = await openDatabase(database.url, { write: null, signal })
  const table = { schema: 'public', name: 't' }
  await adapter.describe([table])
  const scan: Scan = {
    table,
    columns: columns.map((name) => ({ name, form: 'own', hash: 'text' })),
    keyLength: 1,
    algorithm: 'md5',
    filter: null,
  }
  await using moment = await adapter.snapshot(1, signal)
  const found = await moment.holders(scan, index === null ? null : { schema: 'public', name: index }, rows)
  return found.map((one) => `${one.place} ${one.index.name} ${one.row.key.join()} (${one.columns.join()})`).toSorted()
}

test('D3: another row that has the value, and never the row itself; all indexes, or the one that refused', async () => {
  const asked = {
    sql: `CREATE TABLE t (id int PRIMARY KEY, a text UNIQUE, b int UNIQUE); INSERT INTO t VALUES (1, 'x', 10), (2, 'y', 20)`,
    columns: ['id', 'a', 'b'],
    rows: [
      ['1', 'x', '10'],
      ['1', 'y', '10'],
      ['3', 'x', '20'],
      ['4', 'z', null],
    ],
  }
  expect(await holders({ ...asked, index: null })).toEqual(['1 t_a_key 2 (a)', '2 t_a_key 1 (a)', '2 t_b_key 2 (b)'])
  expect(await holders({ ...asked, index: 't_b_key' })).toEqual(['2 t_b_key 2 (b)'])
  expect(await holders({ ...asked, index: 'nothing' })).toEqual([])
})

test('an index about a column that is not carried, or of another table, is not asked', async () => {
  const sql = `CREATE TABLE t (id int PRIMARY KEY, a text, own int DEFAULT 7, UNIQUE (a, own)); CREATE TABLE u (a text UNIQUE);
    INSERT INTO t VALUES (1, 'x', 7); INSERT INTO u VALUES ('x')`
  const rows = [['2', 'x']]
  expect(await holders({ sql, columns: ['id', 'a'], index: null, rows })).toEqual([])
  expect(await holders({ sql, columns: ['id', 'a'], index: 'u_a_key', rows })).toEqual([])
})

test('names, expressions and conditions are the index’s own', async () => {
  const sql = `CREATE TABLE t (id int PRIMARY KEY, "n" text, "E, 1" text, gone date, note text);
    CREATE UNIQUE INDEX once ON t (lower("n"), ("E, 1" || 'note')) INCLUDE (note) WHERE gone IS NULL;
    INSERT INTO t VALUES (1, 'Ab', 'e', NULL, 'x'), (2, 'Cd', 'e', '2026-01-01', 'x')`
  const rows = [
    ['5', 'aB', 'e', null, 'y'],
    ['6', 'cd', 'e', null, 'y'],
    ['7', 'ab', 'e', '2026-01-01', 'y'],
  ]
  expect(await holders({ sql, columns: ['id', 'n', 'E, 1', 'gone', 'note'], index: 'once', rows })).toEqual([
    '0 once 1 (n,E, 1)',
  ])
})

test('a partition that refuses, by an index of its own', async () => {
  const sql = `CREATE TABLE t (id int PRIMARY KEY, a text) PARTITION BY RANGE (id);
    CREATE TABLE p PARTITION OF t FOR VALUES FROM (0) TO (100); CREATE UNIQUE INDEX p_once ON p (a);
    CREATE TABLE q PARTITION OF t FOR VALUES FROM (100) TO (200); INSERT INTO t VALUES (1, 'x'), (101, 'x')`
  expect(await holders({ sql, columns: ['id', 'a'], index: 'p_once', rows: [['2', 'x']] })).toEqual(['0 p_once 1 (a)'])
})
