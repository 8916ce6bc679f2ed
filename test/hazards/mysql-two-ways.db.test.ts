/** Two ways between PostgreSQL and MariaDB: the baseline is kept in MariaDB (hazard D7, RELIABILITY I2, I3, I7). */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { NO_OWN_CONFLICT, plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'

import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { IntoMysql } from '#test/harness/into-mysql.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { MIRROR } from '#test/harness/sync.ts'
import { expectQuiet, runTwoWays } from '#test/harness/two-ways.ts'

const { source } = sharedServers()
let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const ITEM = ['CREATE TABLE item (id int PRIMARY KEY, n int, price decimal(10,2), note varchar(200))']

function itemOf({ side }: IntoMysql, changes: Partial<TableMapping> = {}): TableMapping {
  return { ...plainMapping({ schema: 'public', name: 'item' }, side.ref('item')), ...changes }
}

async function items(...extra: readonly string[]): Promise<IntoMysql> {
  const into = await IntoMysql.make(source, server)
  await into.both(...ITEM)
  await into.side.sql('SELECT 1', ...extra)
  await into.pair.source.sql("INSERT INTO item SELECT i, 10, 1.5, 'x' FROM generate_series(1, 6) i")
  return into
}

function run(into: IntoMysql, config: Partial<SyncConfig>, conflicts = new MemoryConflicts()) {
  const tables = config.tables ?? [itemOf(into)]
  return runTwoWays(into.pair, { ...config, tables }, { conflicts, targetUrl: into.url })
}

function quiet(into: IntoMysql, config: Partial<SyncConfig>): Promise<void> {
  return expectQuiet(into.pair, { tables: [itemOf(into)], ...config }, { targetUrl: into.url })
}

describe.each(['fingerprints', 'images'] as const)('with %s', (baseline) => {
  test('what either side changes arrives on the other, deletes too, and then all is quiet', async () => {
    await using into = await items()
    const config = { baseline } as const
    await run(into, config)
    await quiet(into, config)
    await into.pair.source.sql("UPDATE item SET note = 'source' WHERE id = 1; DELETE FROM item WHERE id = 2")
    await into.pair.source.sql('INSERT INTO item VALUES (10, 1, 1, NULL)')
    await into.side.sql(
      "UPDATE item SET note = 'target ''☯' WHERE id = 3",
      'DELETE FROM item WHERE id = 4',
      "INSERT INTO item VALUES (11, 1, 1, '')",
    )
    await run(into, config)
    const { source: there, target } = await into.rows('item')
    expect(target).toEqual(there)
    expect(target.map(([id, , , note]) => [id, note])).toEqual([
      ['1', 'source'],
      ['3', "target '☯"],
      ['5', 'x'],
      ['6', 'x'],
      ['10', null],
      ['11', ''],
    ])
    await quiet(into, config)
  })

  test('a merge puts together what each side changed of a row', async () => {
    await using into = await items()
    const config = { baseline, conflictStrategy: 'merge' } as const
    await run(into, config)
    for (const round of ['1', '2']) {
      await into.pair.source.sql('UPDATE item SET n = n + 1 WHERE id < 4')
      await into.side.sql(`UPDATE item SET note = '${round}' WHERE id > 2`)
      await run(into, config)
      await quiet(into, config)
      const { source: there, target } = await into.rows('item')
      expect(target).toEqual(there)
      expect(target.map(([, n, , note]) => [Number(n) - 10, note])).toEqual([
        [Number(round), 'x'],
        [Number(round), 'x'],
        [Number(round), round],
        [0, round],
        [0, round],
        [0, round],
      ])
    }
  })

  test('what both sides changed waits for somebody, with what both had before', async () => {
    await using into = await items()
    const config = { baseline } as const
    await run(into, config)
    await into.pair.source.sql("UPDATE item SET note = 'source' WHERE id = 1")
    await into.side.sql("UPDATE item SET note = 'target' WHERE id = 1")
    const receipt = await run(into, config)
    expect(receipt.counts).toMatchObject({ conflicted: 1 })
    expect((await into.rows('item')).target[0]).toEqual(['1', '10', '1.50', 'target'])
  })
})

test('a merge adds what both sides add, field by field', async () => {
  await using into = await items()
  const sums = new Map([
    ['n', 'sum'],
    ['price', 'sum'],
  ] as const)
  const tables = [itemOf(into, { conflict: { ...NO_OWN_CONFLICT, fields: sums } })]
  const config = { conflictStrategy: 'merge', tables } as const
  await run(into, config)
  for (const round of [1, 2]) {
    await into.pair.source.sql('UPDATE item SET n = n + 1, price = price + 1 WHERE id < 4')
    await into.pair.source.sql("UPDATE item SET note = note || 's' WHERE id = 5")
    await into.side.sql('UPDATE item SET n = n + 20, price = price + 20 WHERE id > 2 AND id < 6')
    await run(into, config)
    await expectQuiet(into.pair, config, { targetUrl: into.url })
    const { source: there, target } = await into.rows('item')
    expect(target).toEqual(there)
    expect(target.map(([id, n, , note]) => [id, Number(n) - 10, note])).toEqual([
      ['1', round, 'x'],
      ['2', round, 'x'],
      ['3', 21 * round, 'x'],
      ['4', 20 * round, 'x'],
      ['5', 20 * round, `x${'s'.repeat(round)}`],
      ['6', 0, 'x'],
    ])
  }
})

test('D7: triggers of the target that answer a write have their way, once', async () => {
  await using into = await items()
  await run(into, {})
  await into.side.sql(
    'CREATE TRIGGER louder BEFORE INSERT ON item FOR EACH ROW SET NEW.note = UPPER(NEW.note)',
    'CREATE TRIGGER louder_too BEFORE UPDATE ON item FOR EACH ROW SET NEW.note = UPPER(NEW.note)',
  )
  await into.pair.source.sql("UPDATE item SET note = 'edit' WHERE id = 1; INSERT INTO item VALUES (20, 1, 1, 'new')")
  for (let round = 0; round < 2; round++) await run(into, {})
  const { source: there, target } = await into.rows('item')
  expect(target).toEqual(there)
  expect(target.map(([, , , note]) => note)).toEqual(['EDIT', 'x', 'x', 'x', 'x', 'x', 'NEW'])
  await quiet(into, {})
})

test('D7: a time that the server would set by itself is written as it came', async () => {
  await using into = await IntoMysql.make(source, server)
  await into.pair.source.sql('CREATE TABLE item (id int PRIMARY KEY, note varchar(20), changed timestamp NOT NULL)')
  await into.side.sql(
    `CREATE TABLE item (id int PRIMARY KEY, note varchar(20),
       changed datetime(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6) ON UPDATE CURRENT_TIMESTAMP(6))`,
  )
  await into.pair.source.sql("INSERT INTO item SELECT i, 'x', '2020-02-29 01:02:03.5' FROM generate_series(1, 5) i")
  await run(into, {})
  await into.pair.source.sql("UPDATE item SET note = 'y' WHERE id < 3")
  await run(into, {})
  const changed = await into.side.sql('SELECT DISTINCT CAST(changed AS CHAR) FROM item')
  expect(changed).toEqual([['2020-02-29 01:02:03.500000']])
  await quiet(into, {})
})

test('C12: a baseline holds keys of texts that have no length of their own', async () => {
  await using into = await IntoMysql.make(source, server)
  await into.pair.source.sql(
    "CREATE TABLE word (k text PRIMARY KEY, v int); INSERT INTO word VALUES ('one', 1), ('ONE', 2)",
  )
  await into.side.sql('CREATE TABLE word (k TEXT NOT NULL, v int, INDEX (k(20)))')
  const mapping = { ...plainMapping({ schema: 'public', name: 'word' }, into.side.ref('word')), key: ['k'] }
  const policies = { ...MIRROR, conflictStrategy: 'manual', verifyAfter: 'full', tables: [mapping] } as const
  const receipt = await into.pair.run(policies, { targetUrl: into.url, conflicts: new MemoryConflicts() })
  expect(receipt.counts).toMatchObject({ inserted: 2, rejected: 0 })
  const names = await into.side.sql("SHOW TABLES LIKE 'syncline\\\\_baseline\\\\_%'")
  expect(await into.side.sql(`SELECT CONVERT(k0 USING utf8mb4) FROM \`${names[0]?.[0]}\` ORDER BY k0`)).toEqual([
    ['ONE'],
    ['one'],
  ])
})
