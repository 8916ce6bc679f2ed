/** Spatial columns of MariaDB go by well-known text, where somebody says so, and by nothing else. */
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { FieldMapping } from '#model/field-mapping.ts'
import { plainMapping } from '#model/sync-config.ts'

import { IntoMysql } from '#test/harness/into-mysql.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, MIRROR, wroteNothing } from '#test/harness/sync.ts'

const { source } = sharedServers()
let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const field = (target: string, transform?: string, args: Readonly<Record<string, unknown>> = {}): FieldMapping => ({
  target,
  from: { kind: 'columns', columns: [target] },
  transforms: transform === undefined ? [] : [{ name: transform, args }],
  rules: [],
})

const SHAPES = [
  'SRID=4326;POINT(10.75 59.91)',
  'SRID=0;POINT(-0.00001234 123456789.125)',
  'SRID=3857;LINESTRING(0 0,1 1,2 0.5)',
  'SRID=0;POLYGON((0 0,0 10,10 10,10 0,0 0),(1 1,1 2,2 2,1 1))',
  'SRID=4326;MULTIPOINT(1 2,3 4)',
  'SRID=0;MULTILINESTRING((0 0,1 1),(2 2,3 3))',
  'SRID=0;MULTIPOLYGON(((0 0,0 1,1 1,0 0)))',
  'SRID=0;GEOMETRYCOLLECTION(POINT(1 2),LINESTRING(0 0,1 1))',
]

const TABLE = 'CREATE TABLE place (id int PRIMARY KEY, g geometry NULL)'

async function places(): Promise<MysqlSide> {
  const side = await MysqlSide.make(server)
  const rows = SHAPES.map((shape, i) => {
    const [, srid, wkt] = /^SRID=(\d+);(.*)$/.exec(shape) ?? []
    return `(${i}, ST_GeomFromText('${wkt}', ${srid}))`
  })
  await side.sql(TABLE, `INSERT INTO place VALUES ${rows.join(', ')}, (99, NULL)`)
  return side
}

const wanted = [...SHAPES.map((shape, i) => [String(i), shape]), ['99', null]]
const EVERYTHING = { ...MIRROR, maxOverwritePercent: 100, verifyAfter: 'full' } as const

test.each(['load', 'batches'])('shapes become texts that name their SRID, by %s', async (way) => {
  await using pair = await createPair(source, source)
  const side = await places()
  await pair.target.sql('CREATE TABLE place (id int PRIMARY KEY, g text)')
  if (way === 'batches') await pair.target.sql("INSERT INTO place VALUES (0, 'nowhere')")
  const fields = [field('id'), field('g', 'geometry_to_wkt')]
  const config = { ...EVERYTHING, tables: [{ ...side.mapping('place'), fields }] }
  expect(await pair.run(config, side.asSource)).toMatchObject({ counts: { rejected: 0 } })
  expect(await pair.target.sql('SELECT id, g FROM place ORDER BY id')).toEqual(wanted)
  expect(wroteNothing(await pair.run(config, side.asSource))).toBe(true)
})

test.each(['load', 'batches'])('and texts become shapes, by %s', async (way) => {
  await using into = await IntoMysql.make(source, server)
  await into.pair.source.sql('CREATE TABLE place (id int PRIMARY KEY, g text)')
  await into.side.sql(TABLE)
  if (way === 'batches') await into.side.sql("INSERT INTO place VALUES (0, ST_GeomFromText('POINT(9 9)'))")
  for (const [id = '', shape = null] of wanted) {
    await into.pair.source.sql('INSERT INTO place VALUES ($1::text::int, $2::text)', [id ?? '', shape])
  }
  await into.pair.source.sql(
    "INSERT INTO place VALUES (100, 'SRID=0;POLYGON((0 0,1 1,2 2))'), (101, 'nowhere'), (102, 'POINT(1 2)'), (103, 'srid=4326; Point( 10.50 60 )')",
  )
  const tables = into
    .tables('place')
    .map((table) => ({ ...table, fields: [field('id'), field('g', 'wkt_to_geometry')] }))
  const run = () => into.pair.run({ ...EVERYTHING, tables }, { targetUrl: into.url })
  expect(await run()).toMatchObject({ counts: { rejected: 3 } })
  const rows = await into.side.sql("SELECT id, CONCAT('SRID=', ST_SRID(g), ';', ST_AsText(g)) FROM place ORDER BY id")
  expect(rows).toEqual([...wanted, ['103', 'SRID=4326;POINT(10.5 60)']])
  expect(await run()).toMatchObject({ counts: { inserted: 0, updated: 0, deleted: 0, unchanged: 10, rejected: 3 } })
})

test('with the SRID declared, texts are plain, and another SRID is set aside', async () => {
  await using pair = await createPair(source, source)
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE place (id int PRIMARY KEY, g point NOT NULL)',
    "INSERT INTO place VALUES (1, ST_GeomFromText('POINT(1 2)', 4326)), (2, ST_GeomFromText('POINT(1 2)', 0))",
  )
  await pair.target.sql('CREATE TABLE place (id int PRIMARY KEY, g text)')
  const fields = [field('id'), field('g', 'geometry_to_wkt', { srid: 4326 })]
  const receipt = await pair.run({ ...EVERYTHING, tables: [{ ...side.mapping('place'), fields }] }, side.asSource)
  expect(receipt.counts).toMatchObject({ inserted: 1, rejected: 1 })
  expect(await pair.target.sql('SELECT id, g FROM place')).toEqual([['1', 'POINT(1 2)']])
})

test('between two servers of MariaDB shapes go as they are; another shape is set aside', async () => {
  await using pair = await createPair(source, source)
  const [from, to] = [await places(), await MysqlSide.make(server)]
  await to.sql('CREATE TABLE place (id int PRIMARY KEY, g point NULL)')
  const tables = [plainMapping(from.ref('place'), to.ref('place'))]
  const run = () => pair.run({ ...EVERYTHING, tables }, { ...from.asSource, targetUrl: server.url(to.name) })
  expect(await run()).toMatchObject({ counts: { inserted: 3, rejected: 6 } })
  await to.sql('ALTER TABLE place MODIFY g geometry NULL')
  expect(await run()).toMatchObject({ counts: { inserted: 6, rejected: 0 } })
  const read = 'SELECT id, HEX(g) FROM place ORDER BY id'
  expect(await to.sql(read)).toEqual(await from.sql(read))
})

test('a shape is no text by itself, nor a shape of PostgreSQL; the next step is said', async () => {
  await using pair = await createPair(source, source)
  const side = await places()
  await pair.target.sql('CREATE TABLE place (id int PRIMARY KEY, g text)')
  const run = () => pair.run({ ...EVERYTHING, tables: [side.mapping('place')] }, side.asSource)
  await expect(run()).rejects.toMatchObject({
    code: 'impossible_mapping',
    message: expect.stringContaining('geometry_to_wkt'),
  })
  await pair.target.sql('ALTER TABLE place ALTER g TYPE point USING NULL')
  await expect(run()).rejects.toMatchObject({ code: 'impossible_mapping' })
  await using into = await IntoMysql.make(source, server)
  await into.pair.source.sql('CREATE TABLE place (id int PRIMARY KEY, g point)')
  await into.side.sql(TABLE)
  await expect(into.run(['place'])).rejects.toMatchObject({ code: 'impossible_mapping' })
  await into.pair.source.sql('ALTER TABLE place ALTER g TYPE text USING NULL')
  await expect(into.run(['place'])).rejects.toMatchObject({
    code: 'impossible_mapping',
    message: expect.stringContaining('wkt_to_geometry'),
  })
})
