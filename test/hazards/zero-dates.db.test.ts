/** Hazard C5: days of zeros, which MySQL and MariaDB have and no calendar has, become what somebody declared, and nothing else. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import type { Receipt } from '#model/receipt.ts'
import { plainMapping, type SyncConfig } from '#model/sync-config.ts'
import type { ZeroDates } from '#model/zero-dates.ts'

import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, MIRROR, wroteNothing, type Pair } from '#test/harness/sync.ts'

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const TABLE = `CREATE TABLE visit (id int PRIMARY KEY, d date NULL, m datetime(3) NULL, s timestamp NULL, e datetime(6) NULL)`
const IN_POSTGRES = `CREATE TABLE visit (id int PRIMARY KEY, d date, m timestamp, s timestamptz, e timestamp(3))`
const ANY_DATE = "SET SESSION sql_mode = ''"
const ROWS = `INSERT INTO visit VALUES
  (1, '2024-02-29', '2024-02-29 23:59:59.123', '2024-02-29 12:00:00', '2024-02-29 23:59:59.120000'),
  (2, '0000-00-00', '2024-01-01 00:00:00', '2024-01-01 00:00:00', '2024-01-01'),
  (3, '2024-00-15', '2024-01-01 00:00:00', '2024-01-01 00:00:00', '2024-01-01'),
  (4, '2024-01-00', '2024-00-00 10:11:12.5', '0000-00-00 00:00:00', '0000-00-00 00:00:00'),
  (5, NULL, '0000-00-00 00:00:00', NULL, NULL)`

type Way = 'load' | 'batches'
const WAYS: readonly Way[] = ['load', 'batches']

async function visits(statement: string = ROWS): Promise<{ side: MysqlSide; pair: Pair }> {
  const pair = await createPair(sharedServers().source, sharedServers().source)
  const side = await MysqlSide.make(server)
  await side.sql(ANY_DATE, TABLE, statement)
  await pair.target.sql(IN_POSTGRES)
  return { side, pair }
}

const MANY_ALLOWED: Partial<SyncConfig> = { ...MIRROR, maxOverwritePercent: 100, verifyAfter: 'full' }

function intoPostgres({ side, pair }: { side: MysqlSide; pair: Pair }, zeroDates: ZeroDates): Promise<Receipt> {
  return pair.run({ ...MANY_ALLOWED, tables: [{ ...side.mapping('visit'), zeroDates }] }, side.asSource)
}

async function readVisits(pair: Pair): Promise<unknown> {
  return await pair.target.sql('SELECT id, d, m, s, e FROM visit ORDER BY id')
}

describe.each(WAYS)('C5: from MariaDB into PostgreSQL by %s', (way) => {
  async function begin(): Promise<{ side: MysqlSide; pair: Pair }> {
    const sides = await visits()
    if (way === 'batches') await sides.pair.target.sql("INSERT INTO visit VALUES (1, '1999-01-01')")
    return sides
  }

  test('a row with a day of zeros is set aside where nobody declared anything', async () => {
    const sides = await begin()
    await using pair = sides.pair
    const receipt = await intoPostgres(sides, 'reject')
    expect(receipt.counts).toMatchObject({ rejected: 4 })
    expect(await readVisits(pair)).toEqual([
      ['1', '2024-02-29', '2024-02-29 23:59:59.123', '2024-02-29 12:00:00+00', '2024-02-29 23:59:59.12'],
    ])
  })

  test.each([
    { zeroDates: { as: null }, day: null, midnight: null },
    { zeroDates: { as: '1970-01-02' }, day: '1970-01-02', midnight: '1970-01-02 00:00:00' },
  ] as const)('$zeroDates stands in its place, in each column that has one', async ({ zeroDates, day, midnight }) => {
    const sides = await begin()
    await using pair = sides.pair
    const receipt = await intoPostgres(sides, zeroDates)
    expect(receipt.counts).toMatchObject({ rejected: 0 })
    const plain = ['2024-01-01 00:00:00', '2024-01-01 00:00:00+00', '2024-01-01 00:00:00'] as const
    const wanted = [
      ['1', '2024-02-29', '2024-02-29 23:59:59.123', '2024-02-29 12:00:00+00', '2024-02-29 23:59:59.12'],
      ['2', day, ...plain],
      ['3', day, ...plain],
      ['4', day, midnight, midnight && `${midnight}+00`, midnight],
      ['5', null, midnight, null, null],
    ]
    expect(await readVisits(pair)).toEqual(wanted)
    expect(wroteNothing(await intoPostgres(sides, zeroDates))).toBe(true)
    await sides.side.sql(ANY_DATE, "UPDATE visit SET d = '2020-00-00' WHERE id = 1", 'DELETE FROM visit WHERE id = 3')
    expect(await intoPostgres(sides, zeroDates)).toMatchObject({ counts: { updated: 1, deleted: 1 } })
    expect(await pair.target.sql('SELECT d FROM visit WHERE id = 1')).toEqual([[day]])
  })
})

test('C5: where NULL is to stand, a made column may be NULL; one that may not is told beforehand', async () => {
  await using pair = await createPair(sharedServers().source, sharedServers().source)
  const side = await MysqlSide.make(server)
  await side.sql(
    ANY_DATE,
    `CREATE TABLE visit (id int PRIMARY KEY, d date NOT NULL DEFAULT '0000-00-00')`,
    `INSERT INTO visit VALUES (1, '0000-00-00'), (2, '2024-02-29')`,
  )
  const config = { tables: [{ ...side.mapping('visit'), zeroDates: { as: null } }], verifyAfter: 'full' } as const
  const receipt = await pair.run({ ...config, create: true }, side.asSource)
  expect(receipt.counts).toMatchObject({ inserted: 2, rejected: 0 })
  expect(receipt.notes).toContain("public.visit.d gets no default: value 0000-00-00 is the source's own.")
  expect(await pair.target.sql('SELECT d FROM visit ORDER BY id')).toEqual([[null], ['2024-02-29']])
  await pair.target.sql('TRUNCATE visit; ALTER TABLE visit ALTER d SET NOT NULL')
  const again = await pair.run({ ...config, maxOverwritePercent: 100 }, side.asSource)
  expect(again.counts).toMatchObject({ rejected: 1 })
  expect(again.notes).toContainEqual(
    expect.stringMatching(/public\.visit\.d must have a value: rows with a day of zeros/),
  )
})

test('C5: a day of zeros in a key is never replaced, and as a text it is carried as it is', async () => {
  await using pair = await createPair(sharedServers().source, sharedServers().source)
  const side = await MysqlSide.make(server)
  await side.sql(
    ANY_DATE,
    'CREATE TABLE t (d date NOT NULL, n int NOT NULL, w date NULL, PRIMARY KEY (d, n))',
    "INSERT INTO t VALUES ('2024-01-01', 1, '0000-00-00'), ('0000-00-00', 1, '2024-00-01'), ('0000-00-00', 2, NULL)",
  )
  await pair.target.sql('CREATE TABLE t (d date, n int, w text, PRIMARY KEY (d, n))')
  const tables = [{ ...side.mapping('t'), zeroDates: { as: '1970-01-02' } }] as const
  const receipt = await pair.run({ ...MANY_ALLOWED, tables }, side.asSource)
  expect(receipt.counts).toMatchObject({ inserted: 1, rejected: 2 })
  expect(await pair.target.sql('SELECT d, n, w FROM t')).toEqual([['2024-01-01', '1', '0000-00-00']])
})

test('C5: PostgreSQL has none that could be kept', async () => {
  const sides = await visits()
  await using _ = sides.pair
  await expect(intoPostgres(sides, 'keep')).rejects.toMatchObject({
    code: 'impossible_mapping',
    message: expect.stringMatching(/visit\.d \(date\) cannot keep its days of zeros in public\.visit\.d/),
  })
})

describe.each(WAYS)('C5: from MariaDB into MariaDB by %s', (way) => {
  async function twoSides(): Promise<{ pair: Pair; from: MysqlSide; to: MysqlSide }> {
    const pair = await createPair(sharedServers().source, sharedServers().source)
    const [from, to] = [await MysqlSide.make(server), await MysqlSide.make(server)]
    await from.sql(ANY_DATE, TABLE, ROWS)
    await to.sql(TABLE)
    if (way === 'batches') await to.sql("INSERT INTO visit (id, d) VALUES (1, '1999-01-01'), (9, '1999-01-01')")
    return { pair, from, to }
  }

  const run = ({ pair, from, to }: Awaited<ReturnType<typeof twoSides>>, zeroDates: ZeroDates): Promise<Receipt> => {
    const tables = [{ ...plainMapping(from.ref('visit'), to.ref('visit')), zeroDates }]
    return pair.run(
      { ...MANY_ALLOWED, deletePolicy: 'delete', deleteScope: 'mirror', tables },
      { ...from.asSource, targetUrl: server.url(to.name) },
    )
  }

  const READ = 'SELECT id, CONCAT(d), CONCAT(m), CONCAT(s), CONCAT(e) FROM visit ORDER BY id'

  test('kept days of zeros arrive as they are, and are in step', async () => {
    const sides = await twoSides()
    await using _ = sides.pair
    expect(await run(sides, 'keep')).toMatchObject({ counts: { rejected: 0 } })
    expect(await sides.to.sql(READ)).toEqual(await sides.from.sql(READ))
    expect(wroteNothing(await run(sides, 'keep'))).toBe(true)
    await sides.from.sql(
      ANY_DATE,
      "UPDATE visit SET s = '0000-00-00 00:00:00', d = '2024-10-00' WHERE id = 1",
      'DELETE FROM visit WHERE id = 4',
    )
    expect(await run(sides, 'keep')).toMatchObject({ counts: { updated: 1, deleted: 1 } })
    expect(await sides.to.sql(READ)).toEqual(await sides.from.sql(READ))
  })

  test('where nobody declared that they are kept, their rows are set aside', async () => {
    const sides = await twoSides()
    await using _ = sides.pair
    expect(await run(sides, 'reject')).toMatchObject({ counts: { rejected: 4 } })
    expect(await sides.to.sql('SELECT id FROM visit ORDER BY id')).toEqual([['1']])
  })

  test('a day stands in their place there too', async () => {
    const sides = await twoSides()
    await using _ = sides.pair
    expect(await run(sides, { as: '1970-01-02' })).toMatchObject({ counts: { rejected: 0 } })
    expect(await sides.to.sql('SELECT CONCAT(d), CONCAT(s) FROM visit WHERE id = 4')).toEqual([
      ['1970-01-02', '1970-01-02 00:00:00'],
    ])
  })
})

test('C5: rows whose key is a day of zeros are found by it', async () => {
  await using pair = await createPair(sharedServers().source, sharedServers().source)
  const [from, to] = [await MysqlSide.make(server), await MysqlSide.make(server)]
  const table = 'CREATE TABLE t (d date PRIMARY KEY, v int)'
  await from.sql(ANY_DATE, table, "INSERT INTO t VALUES ('0000-00-00', 1), ('2024-00-01', 2), ('2024-01-01', 3)")
  await to.sql(ANY_DATE, table, "INSERT INTO t VALUES ('0000-00-00', 0), ('2023-00-00', 2)")
  const tables = [{ ...plainMapping(from.ref('t'), to.ref('t')), zeroDates: 'keep' as const }]
  const run = (): Promise<Receipt> =>
    pair.run(
      { ...MANY_ALLOWED, deletePolicy: 'delete', deleteScope: 'mirror', tables },
      { ...from.asSource, targetUrl: server.url(to.name) },
    )
  expect(await run()).toMatchObject({ counts: { inserted: 2, updated: 1, deleted: 1, rejected: 0 } })
  expect(await to.sql('SELECT CONCAT(d), v FROM t ORDER BY d')).toEqual(
    await from.sql('SELECT CONCAT(d), v FROM t ORDER BY d'),
  )
  expect(wroteNothing(await run())).toBe(true)
})
