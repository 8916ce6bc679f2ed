/** MariaDB as the source of a mapping: what is looked up, and what is said of its rows before anything moves. */
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { FieldMapping } from '#model/field-mapping.ts'
import { plainMapping } from '#model/sync-config.ts'

import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair } from '#test/harness/sync.ts'

const { source } = sharedServers()
let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const field = (target: string, column: string, transforms: FieldMapping['transforms'] = []): FieldMapping => ({
  target,
  from: { kind: 'columns', columns: [column] },
  transforms,
  rules: [],
})

test('a table that values are looked up in needs no schema: it is in the database of the URL', async () => {
  await using pair = await createPair(source, source)
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE country (code char(2) PRIMARY KEY, name varchar(40))',
    'CREATE TABLE city (id int PRIMARY KEY, country char(2))',
    "INSERT INTO country VALUES ('no', 'Norway'), ('is', 'Iceland')",
    "INSERT INTO city VALUES (1, 'no'), (2, 'is')",
  )
  await pair.target.sql('CREATE TABLE city (id int PRIMARY KEY, country text)')
  const lookup = { name: 'lookup', args: { table: 'country', key: 'code', value: 'name' } }
  const fields = [field('id', 'id'), field('country', 'country', [lookup])]
  const config = { tables: [{ ...side.mapping('city'), fields }] }
  const { tables } = await pair.validate(config, {}, side.asSource)
  expect(tables[0]).toMatchObject({ ready: true, counted: { rows: 2 } })
  await pair.run(config, side.asSource)
  expect(await pair.target.sql('SELECT id, country FROM city ORDER BY id')).toEqual([
    ['1', 'Norway'],
    ['2', 'Iceland'],
  ])
})

test('values that the target refuses by itself are counted beforehand', async () => {
  await using pair = await createPair(source, source)
  const side = await MysqlSide.make(server)
  await side.sql(
    "SET SESSION sql_mode = ''",
    'CREATE TABLE t (id int PRIMARY KEY, d date NULL, s varchar(10) NULL, f tinyint(1) NULL)',
    "INSERT INTO t VALUES (1, '2024-01-01', 'a', 1), (2, '2024-00-01', 'b\\0', 2), (3, '0000-00-00', NULL, 0)",
  )
  await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY, d date, s varchar(10), f boolean)')
  const { tables } = await pair.validate({ tables: [side.mapping('t')] }, {}, side.asSource)
  expect(tables[0]?.fields).toMatchObject([
    { target: 'id', reason: null },
    {
      target: 'd',
      reason: expect.stringContaining('days and times of zeros'),
      misfits: { rows: 2, keys: [['2'], ['3']] },
    },
    { target: 's', reason: 'the target refuses NUL characters', misfits: { rows: 1, keys: [['2']] } },
    { target: 'f', reason: 'the target refuses numbers but 0 and 1', misfits: { rows: 1, keys: [['2']] } },
  ])
})

test('C15: labels that the catalogue of MariaDB cannot write are carried all the same, both ways', async () => {
  await using pair = await createPair(source, source)
  const [side, other] = [await MysqlSide.make(server), await MysqlSide.make(server)]
  const table = "CREATE TABLE t (id int PRIMARY KEY, mood enum('😀','ok','what?') CHARACTER SET utf8mb4 NULL)"
  await side.sql(table, "INSERT INTO t VALUES (1, '😀'), (2, 'ok'), (3, 'what?'), (4, NULL)")
  await pair.target.sql(
    "CREATE TYPE mood AS ENUM ('😀', 'ok', 'what?'); CREATE TABLE t (id int PRIMARY KEY, mood mood)",
  )
  const config = { verifyAfter: 'full', tables: [side.mapping('t')] } as const
  expect(await pair.run(config, side.asSource)).toMatchObject({ counts: { inserted: 4, rejected: 0 } })
  const wanted = [
    ['1', '😀'],
    ['2', 'ok'],
    ['3', 'what?'],
    ['4', null],
  ]
  expect(await pair.target.sql('SELECT id, mood FROM t ORDER BY id')).toEqual(wanted)
  await other.sql(table)
  await pair.source.sql(
    "CREATE TABLE t (id int PRIMARY KEY, mood text); INSERT INTO t VALUES (1, '😀'), (2, 'ok'), (3, 'what?'), (4, NULL), (5, '😎')",
  )
  const back = { verifyAfter: 'full', tables: [plainMapping({ schema: 'public', name: 't' }, other.ref('t'))] } as const
  expect(await pair.run(back, { targetUrl: server.url(other.name) })).toMatchObject({
    counts: { inserted: 4, rejected: 1 },
  })
  expect(await other.sql('SELECT id, mood FROM t ORDER BY id')).toEqual(wanted)
  const again = await pair.run(back, { targetUrl: server.url(other.name) })
  expect(again).toMatchObject({ counts: { inserted: 0, updated: 0, unchanged: 4, rejected: 1 } })
})

test('rows are found by keys that the target writes otherwise: truths as words, long numbers as powers of ten', async () => {
  await using pair = await createPair(source, source)
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE flag (id tinyint(1) PRIMARY KEY, v varchar(10))',
    "INSERT INTO flag VALUES (0, 'old'), (1, 'old'), (2, 'old')",
    'CREATE TABLE long_number (id bigint PRIMARY KEY, v varchar(10))',
    "INSERT INTO long_number VALUES (7, 'old'), (-1000000000000000, 'old'), (9007199254740992, 'old'), (1152921504606846976, 'old')",
    'CREATE TABLE longer (id bigint unsigned PRIMARY KEY, v varchar(10))',
    "INSERT INTO longer VALUES (7, 'old'), (1000000000000000, 'old'), (18446744073709549568, 'old')",
  )
  await pair.target.sql(`CREATE TABLE flag (id text PRIMARY KEY, v text);
    CREATE TABLE long_number (id double precision PRIMARY KEY, v text);
    CREATE TABLE longer (id double precision PRIMARY KEY, v text)`)
  const tables = ['flag', 'long_number', 'longer']
  const config = { tables: tables.map((name) => side.mapping(name)), maxOverwritePercent: 100 }
  await pair.run(config, side.asSource)
  await side.sql(...tables.map((name) => `UPDATE ${name} SET v = 'new'`))
  expect((await pair.run(config, side.asSource)).counts).toMatchObject({ updated: 10, rejected: 0 })
  for (const name of tables)
    expect(await pair.target.sql(`SELECT count(*) FROM ${name} WHERE v <> 'new'`)).toEqual([['0']])
})
