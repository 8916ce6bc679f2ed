/** Hazard C12: values that one side tells apart and the other takes for one are never one row by accident. */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'
import { plainMapping, type SyncConfig } from '#model/sync-config.ts'

import { IntoMysql } from '#test/harness/into-mysql.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, MIRROR, wroteNothing } from '#test/harness/sync.ts'

const { source } = sharedServers()
let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const MERGED = [
  ['utf8mb4_general_ci', 'a', 'A'],
  ['utf8mb4_general_ci', 'é', 'e'],
  ['utf8mb4_general_ci', 'x', 'x  '],
  ['utf8mb4_general_ci', '😀', '😎'],
  ['utf8mb4_unicode_ci', 'straße', 'strasse'],
  ['utf8mb4_unicode_ci', 'résumé', 'RESUME'],
  ['utf8mb4_unicode_nopad_ci', 'a', 'Á'],
  ['utf8mb4_bin', 'x', 'x '],
  ['latin1_swedish_ci', 'Ä', 'ä'],
] as const

const APART = [
  ['utf8mb4_nopad_bin', ['a', 'A', 'a ', 'á', '😀', '😎']],
  ['utf8mb4_bin', ['a', 'A', 'á', '😀', '😎']],
  ['utf8mb4_unicode_nopad_ci', ['a', 'a ', 'b']],
  ['utf8mb4_general_ci', ['a', 'b', 'ß', 'ss']],
] as const

describe('C12: from PostgreSQL into MariaDB', () => {
  async function keyed(collation: string, ...values: readonly string[]): Promise<IntoMysql> {
    const into = await IntoMysql.make(source, server)
    await into.pair.source.sql('CREATE TABLE t (k varchar(20) PRIMARY KEY, v int)')
    await into.side.sql(
      `CREATE TABLE t (k varchar(20) CHARACTER SET ${collation.split('_')[0]} COLLATE ${collation} PRIMARY KEY, v int)`,
    )
    for (const [i, value] of [...values, 'other'].entries()) {
      await into.pair.source.sql('INSERT INTO t VALUES ($1, $2::text::int)', [value, String(i)])
    }
    return into
  }

  test.each(MERGED)('%s: keys %j and %j stop the run before the first write, by name', async (collation, a, b) => {
    await using into = await keyed(collation, a, b)
    const refused = {
      code: 'values_merged',
      message: expect.stringMatching(new RegExp(`PRIMARY over \\(k\\) compares texts by ${collation}`)),
    }
    await expect(into.run(['t'])).rejects.toMatchObject(refused)
    await expect(into.run(['t'])).rejects.toThrow(`(${a})`)
    await expect(into.run(['t'])).rejects.toThrow(`(${b})`)
    expect(await into.side.sql('SELECT k FROM t')).toEqual([])
    const tables = into.tables('t')
    await expect(into.pair.preview({ tables }, { targetUrl: into.url })).rejects.toMatchObject(refused)
  })

  test.each(APART)('%s: keys that it tells apart arrive', async (collation, values) => {
    await using into = await keyed(collation, ...values)
    expect(await into.run(['t'])).toMatchObject({ counts: { inserted: values.length + 1, rejected: 0 } })
    expect(wroteNothing(await into.run(['t']))).toBe(true)
  })

  test('a unique value that is no key names the rows by their keys, and NULL is like no other', async () => {
    await using into = await IntoMysql.make(source, server)
    await into.pair.source.sql('CREATE TABLE t (id int PRIMARY KEY, code varchar(20), site int, UNIQUE (code, site))')
    await into.side.sql(
      'CREATE TABLE t (id int PRIMARY KEY, code varchar(20) COLLATE utf8mb4_general_ci, site int, UNIQUE KEY one (code, site))',
    )
    await into.pair.source.sql(
      "INSERT INTO t VALUES (1, 'a', 1), (2, 'A', 2), (3, 'A', NULL), (4, 'a', NULL), (5, NULL, 1), (6, NULL, 1)",
    )
    expect(await into.run(['t'])).toMatchObject({ counts: { inserted: 6, rejected: 0 } })
    await into.side.sql('DELETE FROM t')
    await into.pair.source.sql("INSERT INTO t VALUES (7, 'A', 1)")
    await expect(into.run(['t'])).rejects.toThrow(/unique index one over \(code, site\).*\(1\) and \(7\), in 1 values/)
  })

  test('what comes later than the first run is set aside, and overwrites nothing', async () => {
    await using into = await keyed('utf8mb4_general_ci', 'abc')
    await into.run(['t'])
    await into.pair.source.sql("INSERT INTO t VALUES ('ABC', 9)")
    expect(await into.run(['t'])).toMatchObject({ counts: { inserted: 0, rejected: 1 } })
    expect(await into.side.sql("SELECT k, v FROM t WHERE k = 'abc'")).toEqual([['abc', '0']])
    await into.pair.source.sql("DELETE FROM t WHERE k = 'abc'")
    expect(await into.run(['t'])).toMatchObject({ counts: { inserted: 1, deleted: 1, rejected: 0 } })
    expect(await into.side.sql("SELECT k, v FROM t WHERE k = 'abc'")).toEqual([['ABC', '9']])
  })
})

const EVERYTHING: Partial<SyncConfig> = {
  ...MIRROR,
  maxOverwritePercent: 100,
  maxDeletePercent: 100,
  verifyAfter: 'full',
}

test('C12: from MariaDB into PostgreSQL a key that differs by case alone is another key', async () => {
  await using pair = await createPair(source, source)
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE t (k varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v int)',
    "INSERT INTO t VALUES ('abc', 1), ('x', 2), ('É', 3)",
  )
  await pair.target.sql(
    "CREATE TABLE t (k varchar(20) PRIMARY KEY, v int); INSERT INTO t VALUES ('ABC', 7), ('x', 8), ('e', 9)",
  )
  const config = { ...EVERYTHING, tables: [side.mapping('t')] }
  expect(await pair.run(config, side.asSource)).toMatchObject({ counts: { inserted: 2, updated: 1, deleted: 2 } })
  expect(await pair.target.sql('SELECT k, v FROM t ORDER BY v')).toEqual([
    ['abc', '1'],
    ['x', '2'],
    ['É', '3'],
  ])
  await side.sql("UPDATE t SET k = 'Abc' WHERE k = 'abc'")
  expect(await pair.run(config, side.asSource)).toMatchObject({ counts: { inserted: 1, deleted: 1 } })
  expect(await pair.target.sql("SELECT k FROM t WHERE lower(k) = 'abc'")).toEqual([['Abc']])
  expect(wroteNothing(await pair.run(config, side.asSource))).toBe(true)
})

describe('C12: from MariaDB into MariaDB', () => {
  const COLLATIONS = [
    { from: 'utf8mb4_bin', to: 'utf8mb4_general_ci', values: ['a', 'A'], merged: true },
    { from: 'utf8mb4_general_ci', to: 'utf8mb4_unicode_ci', values: ['ss', 'ß'], merged: true },
    { from: 'utf8mb4_nopad_bin', to: 'utf8mb4_bin', values: ['a', 'a '], merged: true },
    { from: 'utf8mb4_general_ci', to: 'utf8mb4_general_ci', values: ['a', 'b'], merged: false },
    { from: 'utf8mb4_general_ci', to: 'utf8mb4_nopad_bin', values: ['a', 'b'], merged: false },
  ] as const

  test.each(COLLATIONS)('$from into $to: $values', async ({ from, to, values, merged }) => {
    await using pair = await createPair(source, source)
    const [here, there] = [await MysqlSide.make(server), await MysqlSide.make(server)]
    const table = (collation: string): string =>
      `CREATE TABLE t (k varchar(20) COLLATE ${collation} PRIMARY KEY, v int)`
    await here.sql(table(from), `INSERT INTO t VALUES ('${values[0]}', 1), ('${values[1]}', 2)`)
    await there.sql(table(to))
    const run = () =>
      pair.run(
        { ...EVERYTHING, tables: [plainMapping(here.ref('t'), there.ref('t'))] },
        { ...here.asSource, targetUrl: server.url(there.name) },
      )
    const ended = await run().then(
      ({ counts }) => counts.inserted,
      (error: unknown) => (error instanceof AppError ? error.code : error),
    )
    expect(ended).toBe(merged ? 'values_merged' : 2)
    expect(await there.sql('SELECT k FROM t')).toHaveLength(merged ? 0 : 2)
  })
})

test.each([
  'utf8mb4_general_ci',
  'utf8mb4_unicode_ci',
  'utf8mb4_unicode_520_ci',
  'utf8mb4_unicode_nopad_ci',
  'utf8mb4_bin',
  'utf8mb4_nopad_bin',
  'utf8mb4_swedish_ci',
  'latin1_german2_ci',
])('C12: two values are compared as one where the server has them equal: %s', async (collation) => {
  const side = await MysqlSide.make(server)
  const charset = collation.split('_')[0] ?? ''
  await side.sql(`CREATE TABLE t (k varchar(8) CHARACTER SET ${charset} COLLATE ${collation} PRIMARY KEY)`)
  const letter = fc.constantFrom(...Array.from("aAáÀbBsSßẞ \u00a0-\tæÆœ\u0301\u200bıİ’'😀"), 'ss', 'ae')
  const word = fc.array(letter, { maxLength: 3 }).map((letters) => letters.join(''))
  await side.moment(async (moment, adapter) => {
    const { scan } = await side.scan(adapter, 't')
    const check = async (pairs: readonly (readonly [string, string])[]): Promise<void> => {
      const marks = await moment.comparedAs(
        scan,
        pairs.flat().map((value) => [value]),
      )
      for (const [i, [a, b]] of pairs.entries()) {
        const text = (value: string): string =>
          `CONVERT(CONVERT(x'${Buffer.from(value).toString('hex')}' USING utf8mb4) USING ${charset})`
        const [row] = await side.sql(
          `SELECT ${text(a)} COLLATE ${collation} = ${text(b)} COLLATE ${collation}, ` +
            `CAST(CONVERT(${text(a)} USING utf8mb4) AS BINARY) = x'${Buffer.from(a).toString('hex')}', ` +
            `CAST(CONVERT(${text(b)} USING utf8mb4) AS BINARY) = x'${Buffer.from(b).toString('hex')}'`,
        )
        const [equal, hasA, hasB] = row ?? []
        if (hasA === '0' || hasB === '0') continue
        expect([a, b, marks[2 * i] === marks[2 * i + 1]]).toEqual([a, b, equal === '1'])
      }
    }
    await fc.assert(fc.asyncProperty(fc.array(fc.tuple(word, word), { minLength: 20, maxLength: 20 }), check), {
      seed: printedSeed(),
      numRuns: 10,
    })
  })
})
