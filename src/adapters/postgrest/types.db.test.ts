/** Hazards C1 to C16, A11: every value that the API tells exactly arrives as the server's own text; the rest is refused. */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'
import { plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'

import { expectSameTable, type Database, expectSameTables } from '#test/harness/database.ts'
import { eachServer, sharedServers, type TestServer } from '#test/harness/postgres.ts'
import { startRestApi, startWritableApi } from '#test/harness/postgrest.ts'
import { typesOf, type RandomType } from '#test/harness/random-types.ts'
import { createPair, wroteNothing, type Pair } from '#test/harness/sync.ts'

const VALUES = 60
const POLICIES: Partial<SyncConfig> = { maxOverwritePercent: 100, verifyAfter: 'full', parallel: 2 }

const first = sharedServers().source
const servers = eachServer().map((server) => [server.major, server] as const)

function valuesOf(type: RandomType): string[] {
  return [...new Set(fc.sample(type.values, { numRuns: VALUES, seed: 1 }))]
}

async function makeTables(
  db: Database,
  types: readonly RandomType[],
  sql: (type: RandomType) => string,
): Promise<void> {
  for (const statement of new Set(types.flatMap((type) => type.requires ?? []))) await db.sql(statement)
  await db.sql(types.map((type, index) => `CREATE TABLE "${index}" (id int PRIMARY KEY, v ${sql(type)})`).join(';'))
}

async function fill(db: Database, types: readonly RandomType[]): Promise<void> {
  await db.sql('BEGIN')
  for (const [index, type] of types.entries()) {
    for (const [id, value] of [null, ...valuesOf(type)].entries()) {
      await db.sql(`INSERT INTO "${index}" (id, v) VALUES ($1, $2)`, [String(id), value])
    }
  }
  await db.sql('COMMIT')
}

/** Rows go and lose their values, so that the next run writes them one by one. */
async function disturb(db: Database, names: readonly string[]): Promise<void> {
  for (const name of names) {
    await db.sql(`DELETE FROM "${name}" WHERE id % 3 = 0; UPDATE "${name}" SET v = NULL WHERE id % 3 = 1`)
  }
}

function mapping(index: number): TableMapping {
  const ref = { schema: 'public', name: String(index) }
  return plainMapping(ref, ref)
}

/**
 * Types whose modifier or structure the API does not tell, and of which no value can be checked. The digits of a
 * timestamp's seconds are not told either, and each value is checked against those of the target.
 */
const UNTOLD = ['bit(8)', '"a ""pair"""', '"a ""pair"""[]', '"Mood 😀"[]']

const compare = (a: string, b: string): number => (a < b ? -1 : 1)

async function refusedBy(
  pair: Pair,
  types: readonly RandomType[],
  source: Parameters<Pair['run']>[1],
): Promise<number[]> {
  try {
    await pair.run({ ...POLICIES, tables: types.map((_, index) => mapping(index)) }, source)
    return []
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'impossible_mapping') throw error
    return error.message.split('\n').map((line) => Number(/^public\.(\d+)\./.exec(line)?.[1]))
  }
}

test.each(servers)(
  'every type arrives by load and row by row, or is refused (PostgreSQL %i)',
  async (major, server: TestServer) => {
    const types = typesOf(major)
    await using pair = await createPair(server, server)
    await makeTables(pair.source, types, ({ sql }) => sql)
    await makeTables(pair.target, types, ({ sql }) => sql)
    await fill(pair.source, types)
    await using api = await startRestApi(pair.source)
    const source = { sourceUrl: api.place() }

    const refused = await refusedBy(pair, types, source)
    expect([...new Set(refused.map((index) => types[index]?.sql ?? ''))].toSorted(compare)).toEqual(
      UNTOLD.toSorted(compare),
    )
    const tables = [...types.keys()].filter((index) => !refused.includes(index)).map(mapping)
    const loaded = await pair.run({ ...POLICIES, tables }, source)
    expect(loaded.completeness).toBe('bounded')
    expect(loaded.tables.every((table) => table.bulkLoaded)).toBe(true)
    await expectSameTables(
      pair.source,
      pair.target,
      tables.map(({ source: ref }) => ref.name),
    )
    expect(wroteNothing(await pair.run({ ...POLICIES, tables }, source))).toBe(true)

    await disturb(
      pair.target,
      tables.map(({ source: ref }) => ref.name),
    )
    await pair.run({ ...POLICIES, tables }, source)
    await expectSameTables(
      pair.source,
      pair.target,
      tables.map(({ source: ref }) => ref.name),
    )
    expect(wroteNothing(await pair.run({ ...POLICIES, tables }, source))).toBe(true)
  },
)

test.each(servers)(
  'every type arrives in a project that is written over REST (PostgreSQL %i)',
  async (major, server: TestServer) => {
    const types = typesOf(major)
    await using pair = await createPair(server, server)
    await makeTables(pair.source, types, ({ sql }) => sql)
    await makeTables(pair.target, types, ({ sql }) => sql)
    await fill(pair.source, types)
    await using api = await startWritableApi(pair.target)
    const target = { targetUrl: api.place(), writesTarget: true }
    const tables = [...types.keys()].map(mapping)
    const names = tables.map(({ source: ref }) => ref.name)
    const arrived = await pair.run({ ...POLICIES, tables }, target)
    expect(arrived.tables.flatMap(({ source: ref, rejections }) => rejections.map((each) => [ref.name, each]))).toEqual(
      [],
    )
    await expectSameTables(pair.source, pair.target, names)
    expect(wroteNothing(await pair.run({ ...POLICIES, tables }, target))).toBe(true)
    await disturb(pair.target, names)
    await pair.run({ ...POLICIES, tables }, target)
    await expectSameTables(pair.source, pair.target, names)
  },
)

test.each(servers)(
  'every type arrives as text in a text column, as a cast writes it (PostgreSQL %i)',
  async (major, server) => {
    const types = typesOf(major)
    await using pair = await createPair(server, server)
    await makeTables(pair.source, types, ({ sql }) => sql)
    await makeTables(pair.target, types, () => 'text')
    await fill(pair.source, types)
    await using api = await startRestApi(pair.source)
    await pair.run({ ...POLICIES, tables: types.map((_, index) => mapping(index)) }, { sourceUrl: api.place() })
    for (const index of types.keys()) {
      await pair.source.sql(`CREATE VIEW "as text ${index}" AS SELECT id, v::text FROM "${index}"`)
      await expectSameTable(pair.source, pair.target, `as text ${index}`, { as: String(index) })
    }
  },
)

test.each([
  ['intervalstyle', 'sql_standard', `'1 year 2 days'::interval`, 'interval'],
  ['bytea_output', 'escape', `'\\x00ff'::bytea`, 'bytea'],
  ['timezone', 'Asia/Kolkata', `'2024-01-01 00:00:00+00'::timestamptz`, 'timestamptz'],
  ['extra_float_digits', '0', `0.30000000000000004::float8`, 'float8'],
  ['extra_float_digits', '-2', `0.1234567::float4`, 'float4'],
  ['datestyle', 'SQL, DMY', `tsrange('2024-02-01', '2024-03-01')`, 'tsrange'],
])('C4: a text that the setting %s makes ambiguous is refused', async (name, value, literal, type) => {
  await using pair = await createPair(first, first)
  await pair.both(`CREATE TABLE t (id int PRIMARY KEY, v ${type})`)
  await pair.source.sql(`INSERT INTO t VALUES (1, ${literal})`)
  await using api = await startRestApi(pair.source, { settings: { [name]: value }, knowsTimezone: false })
  await expect(pair.run(POLICIES, { sourceUrl: api.place() })).rejects.toMatchObject({
    code: 'ambiguous_text',
    message: expect.stringMatching(new RegExp(`public\\.t.*${name}`)),
  })
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['0']])
})

test('C8: a numeric that the target would round is refused, and nothing is written', async () => {
  await using pair = await createPair(first, first)
  await pair.source.sql(`CREATE TABLE t (id int PRIMARY KEY, v numeric); INSERT INTO t VALUES (1, 1.10), (2, 1.234)`)
  await pair.target.sql(`CREATE TABLE t (id int PRIMARY KEY, v numeric(10,2))`)
  await using api = await startRestApi(pair.source)
  await expect(pair.run(POLICIES, { sourceUrl: api.place() })).rejects.toMatchObject({ code: 'impossible_mapping' })
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['0']])
  await pair.source.sql(`UPDATE t SET v = 99999999.99 WHERE id = 2`)
  await pair.run(POLICIES, { sourceUrl: api.place() })
  expect(await pair.target.sql('SELECT v FROM t ORDER BY id')).toEqual([['1.10'], ['99999999.99']])
  expect(wroteNothing(await pair.run(POLICIES, { sourceUrl: api.place() }))).toBe(true)
})
