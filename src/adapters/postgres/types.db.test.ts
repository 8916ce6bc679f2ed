/** Hazards C1 to C17: every type, at its bounds, arrives as the server's own text says, on every way that rows take. */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { ScanColumn } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { columnHash } from '#model/column-type.ts'
import { fingerprint } from '#model/fingerprint.ts'
import type { SyncConfig } from '#model/sync-config.ts'

import { createDatabase, quote, type Database, expectSameTables } from '#test/harness/database.ts'
import { eachServer, sharedServers, type TestServer } from '#test/harness/postgres.ts'
import { typesOf, type RandomType } from '#test/harness/random-types.ts'
import { createPair, wroteNothing, type Pair } from '#test/harness/sync.ts'
import { Connection } from './connection.ts'
import { parseEndpoint } from './endpoint.ts'
import { fingerprintSql, type HashedColumn } from './fingerprint-sql.ts'
import { introspect } from './introspect.ts'
import { canonicalSql, xorSql } from './sql.ts'
import { TableSql } from './table-sql.ts'

const VALUES = 60

const { source, target } = sharedServers()
const directions: readonly (readonly [string, TestServer, TestServer])[] = [
  [`${source.major} to ${source.major}`, source, source],
  [`${source.major} to ${target.major}`, source, target],
  [`${target.major} to ${source.major}`, target, source],
]

/** The distinct values that sampling gives, the bounds among them. */
function valuesOf(type: RandomType): string[] {
  return [...new Set(fc.sample(type.values, { numRuns: VALUES, seed: 1 }))]
}

/** A table per type, with a row per value and one that is NULL. */
async function fill(db: Database, types: readonly RandomType[]): Promise<void> {
  await makeTables(db, types)
  await insertValues(db, types)
}

async function insertValues(db: Database, types: readonly RandomType[]): Promise<void> {
  for (const [index, type] of types.entries()) {
    const rows = [null, ...valuesOf(type)]
    await db.sql(`INSERT INTO "${index}" (id, v) VALUES ${rows.map((_, id) => `(${id}, $${id + 1})`).join(', ')}`, rows)
  }
}

async function makeTables(db: Database, types: readonly RandomType[]): Promise<void> {
  for (const statement of new Set(types.flatMap((type) => type.requires ?? []))) await db.sql(statement)
  const tables = types.map(({ sql }, index) => `CREATE TABLE "${index}" (id int PRIMARY KEY, v ${sql})`)
  await db.sql(tables.join(';'))
}

async function expectAllSame(pair: Pair, types: readonly RandomType[]): Promise<void> {
  await expectSameTables(pair.source, pair.target, [...types.keys()].map(String))
}

const POLICIES: Partial<SyncConfig> = { maxOverwritePercent: 100, verifyAfter: 'full' }

test.each(directions)(
  'every value arrives by COPY, and then again row by row (PostgreSQL %s)',
  async (_name, from, to) => {
    const types = typesOf(Math.min(from.major, to.major))
    await using pair = await createPair(from, to)
    await fill(pair.source, types)
    await makeTables(pair.target, types)
    const loaded = await pair.run(POLICIES)
    expect(loaded.tables.every((table) => table.bulkLoaded)).toBe(true)
    await expectAllSame(pair, types)
    expect(wroteNothing(await pair.run(POLICIES))).toBe(true)

    // A third is missing, a third has another value, a third is in step.
    for (const index of types.keys()) {
      await pair.target.sql(`DELETE FROM "${index}" WHERE id % 3 = 0; UPDATE "${index}" SET v = NULL WHERE id % 3 = 1`)
    }
    const written = await pair.run({ ...POLICIES, approvedOverwrites: null })
    expect(written.tables.some((table) => table.bulkLoaded)).toBe(false)
    await expectAllSame(pair, types)
    expect(wroteNothing(await pair.run(POLICIES))).toBe(true)
  },
)

test.each(directions)(
  'values arrive in tables that force the text form of COPY (PostgreSQL %s)',
  async (_name, from, to) => {
    const types = typesOf(Math.min(from.major, to.major))
    await using pair = await createPair(from, to)
    for (const db of [pair.source, pair.target]) {
      await makeTables(db, types)
      // A column of type oid never travels in binary.
      for (const index of types.keys()) await db.sql(`ALTER TABLE "${index}" ADD o oid DEFAULT 1`)
    }
    await insertValues(pair.source, types)
    await pair.run(POLICIES)
    await expectAllSame(pair, types)
  },
)

test.each(eachServer().map((server) => [server.major, server] as const))(
  'the fingerprint of a row is the same in SQL and here (PostgreSQL %i)',
  async (major, server) => {
    const types = typesOf(major)
    await using db = await createDatabase(server)
    await fill(db, types)
    await using connection = await Connection.open(parseEndpoint(db.url))
    for (const [index, type] of types.entries()) {
      const rows = await connection.transaction('read', () =>
        connection.query(
          `SELECT ${fingerprintSql([whole('t.id'), whole('t.v')], { algorithm: 'md5', utf8: true })}, ${canonicalSql(['t.v'], true)}, t.id, t.v FROM public.${quote(String(index))} t`,
        ),
      )
      expect(rows.length).toBe(valuesOf(type).length + 1)
      for (const [hash, canonical, ...row] of rows) {
        expect([type.sql, canonical, hash]).toEqual([type.sql, canonical, String(fingerprint(row))])
      }
    }
  },
)

function whole(expression: string): HashedColumn {
  return { expression, hash: 'output' }
}

/** By the text of a row: its fingerprints under `column-hash`, hashed as the plan of two equal tables has it. */
async function fastFingerprints(db: Database, table: string): Promise<Map<string, Set<string>>> {
  await using connection = await Connection.open(parseEndpoint(db.url))
  return await connection.transaction('read', async () => {
    const ref = { schema: 'public', name: table }
    const [described] = await introspect(connection, [ref])
    const columns = (described?.schema.columns ?? [])
      .filter(({ name }) => name !== 'id')
      .map(({ name, type }): ScanColumn => ({
        name,
        form: 'own',
        hash: columnHash({ source: type, target: type, form: 'own' }),
      }))
    const sql = new TableSql(
      { table: ref, columns, keyLength: 1, algorithm: 'column-hash', filter: null },
      must(described, table),
    )
    const { sized } = sql
    const rows = await connection.query(
      `SELECT ROW(${sql.expressions.join(', ')})::text, ${sql.fingerprint} FROM ${sql.from} t
       UNION ALL SELECT y.text, y.f FROM (SELECT x.text, ${sized.fingerprint} AS f, ${sized.bytes} FROM (
         SELECT ROW(${sql.expressions.join(', ')})::text AS text, ${sized.columns} FROM ${sql.from} t OFFSET 0) x) y`,
    )
    const found = new Map<string, Set<string>>()
    for (const [text, hash] of rows) {
      const hashes = found.get(text ?? '') ?? new Set()
      found.set(text ?? '', hashes.add(hash ?? ''))
    }
    return found
  })
}

/** One fingerprint a text, and another for each. */
function expectTold(found: ReadonlyMap<string, ReadonlySet<string>>, what: string): void {
  const hashes = [...found.values()].map((each) => [...each])
  expect([what, hashes.filter((each) => each.length !== 1)]).toEqual([what, []])
  expect([what, new Set(hashes.flat()).size]).toEqual([what, found.size])
}

test('the fast fingerprint tells apart what the text tells apart, and is the same on both servers', async () => {
  const types = typesOf(Math.min(source.major, target.major))
  await using pair = await createPair(source, target)
  await fill(pair.source, types)
  await fill(pair.target, types)
  for (const [index, type] of types.entries()) {
    const found = await fastFingerprints(pair.source, String(index))
    expect(found.size).toBeGreaterThan(1)
    expectTold(found, type.sql)
    expect([type.sql, await fastFingerprints(pair.target, String(index))]).toEqual([type.sql, found])
  }
})

/** Rows that a careless hash takes for one another. */
const ALIKE: readonly (readonly [columns: string, rows: readonly string[]])[] = [
  ['a text, b text', [`NULL, ''`, `'', NULL`, `NULL, NULL`, `'', ''`, `'a', 'b'`, `'b', 'a'`, `'ab', ''`, `'', 'ab'`]],
  ['a text, b text', [`'a', 'a'`, `'b', 'b'`, `'c', 'c'`, `'NULL', NULL`, `NULL, 'NULL'`, `'a ', 'a'`, `'a', 'a '`]],
  ['a int, b int', ['0, 0', '1, 1', '2, 2', '0, 1', '1, 0', 'NULL, 0', '0, NULL', 'NULL, NULL', '-1, -1', '-1, 0']],
  ['a bigint, b bigint', ['0, 0', '4294967297, 0', '0, 4294967297', '4294967297, 4294967297', '-4294967297, 0']],
  ['a bigint, b bigint', ['1, 2', '2, 1', '1, 4294967298', '4294967296, 1', '4294967295, -1', '-1, 4294967295']],
  ['a bool, b bool', ['true, false', 'false, true', 'NULL, false', 'false, NULL', 'true, true', 'false, false']],
  ['a numeric, b numeric', ['1, 1.0', '1.0, 1', '1.00, 1', `'NaN', 1`, '0, 0.0', '0.0, 0', '-0.1, 0.1', '0.1, -0.1']],
  ['a float8, b float4', [`'-0', 0`, `0, '-0'`, '0, 0', `'NaN', 0`, `0, 'NaN'`, `'Infinity', 0`, `'-Infinity', 0`]],
  ['a interval', [`'1 mon'`, `'30 days'`, `'720:00'`, `'1 day'`, `'24:00'`, `'0'`, 'NULL']],
  ['a timetz', [`'12:00+00'`, `'13:00+01'`, `'11:00-01'`]],
  ['a timestamptz, b date', [`'infinity', 'infinity'`, `'-infinity', 'infinity'`, `'infinity', '-infinity'`]],
  ['a bpchar, b char(3)', [`'a', 'a'`, `'a ', 'a'`, `'', ''`, `' ', ''`, `NULL, ''`, `'', NULL`]],
  ['a int[], b text[]', [`'{}', NULL`, `'{NULL}', NULL`, `'{1,2}', NULL`, `'[0:1]={1,2}', NULL`, `'{{1,2}}', NULL`]],
  ['a int[], b text[]', [`NULL, '{}'`, `NULL, '{NULL}'`, `NULL, '{"NULL"}'`, `NULL, '{a,b}'`, `NULL, '{"a,b"}'`]],
  ['a jsonb, b json', [`'1', '1'`, `'1.0', '1'`, `'"1"', '1'`, `'null', '1'`, `NULL, '1'`, `'1', ' 1'`, `'[]', '{}'`]],
  ['a uuid, b bytea', [`NULL, ''`, `NULL, NULL`, `NULL, '\\x00'`, `NULL, '\\x0000'`]],
  ['a inet, b cidr', [`'10.0.0.1', '10.0.0.0/8'`, `'10.0.0.1/8', '10.0.0.0/8'`, `'10.0.0.1/32', '10.0.0.0/9'`]],
]

test.each(eachServer().map((server) => [server.major, server] as const))(
  'the fast fingerprint takes no row for another (PostgreSQL %i)',
  async (_major, server) => {
    await using db = await createDatabase(server)
    for (const [index, [columns, rows]] of ALIKE.entries()) {
      await db.sql(`CREATE TABLE "${index}" (${columns}); INSERT INTO "${index}" VALUES (${rows.join('), (')})`)
      const found = await fastFingerprints(db, String(index))
      expectTold(found, columns)
    }
    // Integers and moments at regular distances, those among them that the server's own hashes fold together.
    await db.sql(`CREATE TABLE n AS SELECT g * step AS a FROM generate_series(-5000, 5000) g,
      unnest('{1,256,65536,4294967295,4294967296,4294967297,281474976710656}'::int8[]) step`)
    await db.sql(`CREATE TABLE m AS SELECT timestamptz '2000-01-01 00:00+00' + a * interval '1 microsecond' AS a FROM n
      WHERE abs(a) < 1e17`)
    for (const table of ['n', 'm']) {
      const found = await fastFingerprints(db, table)
      expect(found.size).toBeGreaterThan(30_000)
      expectTold(found, table)
    }
  },
)

test('values that two rows exchange change both sums of a bucket', async () => {
  await using db = await createDatabase(source)
  await db.sql(`CREATE TABLE t (g int, a int, b text, c uuid);
    INSERT INTO t VALUES (1, 1, 'a', NULL), (1, 2, 'b', NULL), (2, 1, 'b', NULL), (2, 2, 'a', NULL)`)
  const columns = (['integer', 'text', 'uuid'] as const).map((hash, i) => ({ expression: `t.${'abc'[i]}`, hash }))
  const sums = await db.sql(
    `SELECT count(DISTINCT x), count(DISTINCT s) FROM (
       SELECT ${xorSql('h', source.major)} AS x, sum(h) AS s
       FROM (SELECT g, ${fingerprintSql(columns, { algorithm: 'column-hash', utf8: true })} AS h FROM t) r GROUP BY g) d`,
  )
  expect(sums).toEqual([['2', '2']])
})

/** Pairs of different types that carry every value of the source, with values at the limits of it. */
const LOSSLESS: readonly (readonly [from: string, to: string, values: readonly string[]])[] = [
  ['smallint', 'integer', ['-32768', '32767']],
  ['smallint', 'bigint', ['-32768', '32767']],
  ['integer', 'bigint', ['-2147483648', '2147483647', '0']],
  ['smallint', 'numeric(5)', ['-32768', '32767', '10']],
  ['integer', 'numeric(12,2)', ['-2147483648', '2147483647', '100']],
  ['bigint', 'numeric', ['-9223372036854775808', '9223372036854775807', '9007199254740993', '1000']],
  ['bigint', 'numeric(19)', ['-9223372036854775808', '9223372036854775807']],
  ['integer', 'double precision', ['-2147483648', '2147483647', '0', '100000']],
  ['smallint', 'double precision', ['-32768', '32767', '1000']],
  ['real', 'double precision', ['0.1', '3.4028235e38', '1e-45', 'NaN', '-Infinity', '-0', '16777216']],
  ['numeric(9,2)', 'numeric', ['9999999.99', '1.10', 'NaN', '0.00']],
  ['numeric(9,2)', 'numeric(12,4)', ['9999999.99', '1.10', 'NaN', '-0.01']],
  ['varchar(5)', 'varchar(9)', ['éééé😀', '', 'a  ']],
  ['varchar(5)', 'text', ['éééé😀', '', 'a  ']],
  ['text', 'varchar', ['x'.repeat(100_000), '']],
  ['char(5)', 'varchar(5)', ['a', 'abcde', '']],
  ['char(5)', 'text', ['a', 'abcde', '']],
  ['timestamp(3)', 'timestamp(6)', ['2024-01-01 00:00:00.999', 'infinity', '0044-03-15 12:00:00.5 BC']],
  ['timestamptz(0)', 'timestamptz', ['2024-03-10 02:30:00-05', '-infinity']],
  ['time(0)', 'time', ['24:00:00', '00:00:01']],
  ['date', 'timestamp', ['4713-01-01 BC', '0001-12-31 BC', '9999-12-31', 'infinity', '2024-02-29', '294276-12-31']],
  ['jsonb', 'json', ['{"b":1,"a":1.10}', '9007199254740993', 'null']],
  ['uuid', 'text', ['00000000-0000-4000-8000-000000000000']],
  ['uuid', 'varchar(36)', ['ffffffff-ffff-4fff-bfff-ffffffffffff']],
  ['boolean', 'text', ['true', 'false']],
  ['integer', 'text', ['-2147483648', '0']],
  ['numeric', 'text', ['1.10', 'NaN', '1e-20']],
  ['double precision', 'text', ['0.1', '5e-324', '-0', 'NaN', '1e22']],
  ['bytea', 'text', ['\\x', '\\x00ff5c']],
  ['timestamptz', 'text', ['2024-03-10 02:30:00.123456-05', 'infinity', '0044-03-15 12:00:00 BC']],
  ['interval', 'text', ['1 year -2 mons +3 days -04:05:06.789', '0']],
  ['jsonb', 'text', ['{"b":1,"a":1.10}']],
  ['json', 'text', [' { "a" : 1,"a":2 } ']],
  ['integer[]', 'text', ['{1,NULL}', '[0:1]={1,2}', '{}']],
  ['integer[]', 'bigint[]', ['{1,NULL}', '[0:1]={-2147483648,2147483647}', '{}', '{{1},{2}}']],
  ['varchar(4)[]', 'text[]', ['{a,"b c",NULL,"NULL"}']],
  ['inet', 'text', ['10.1.2.3/8', '::1']],
  ['int4range', 'text', ['empty', '[1,5)']],
]

test.each(directions)('what is said to be lossless between two types is (PostgreSQL %s)', async (_name, from, to) => {
  await using pair = await createPair(from, to)
  for (const [index, [fromType, toType, values]] of LOSSLESS.entries()) {
    await pair.source.sql(`CREATE TABLE "${index}" (id int PRIMARY KEY, v ${fromType})`)
    await pair.target.sql(`CREATE TABLE "${index}" (id int PRIMARY KEY, v ${toType})`)
    for (const [id, value] of [null, ...values].entries()) {
      await pair.source.sql(`INSERT INTO "${index}" VALUES ($1, $2)`, [String(id), value])
    }
  }
  // The source's own cast says what must arrive; text shows more digits than equality of numbers asks for.
  const expectArrived = async (): Promise<void> => {
    for (const [index, [fromType, toType, values]] of LOSSLESS.entries()) {
      const wanted = await pair.source.sql(`SELECT id, v::${toType}::text FROM "${index}" ORDER BY id`)
      const arrived = await pair.target.sql(`SELECT id, v::text FROM "${index}" ORDER BY id`)
      expect([fromType, toType, arrived]).toEqual([fromType, toType, wanted])
      expect(arrived).toHaveLength(values.length + 1)
    }
  }
  const { counts } = await pair.run(POLICIES)
  expect(counts.rejected).toBe(0)
  await expectArrived()
  expect(wroteNothing(await pair.run(POLICIES))).toBe(true)
  for (const index of LOSSLESS.keys()) {
    await pair.target.sql(`DELETE FROM "${index}" WHERE id = 1; UPDATE "${index}" SET v = NULL WHERE id > 1`)
  }
  expect((await pair.run({ ...POLICIES, approvedOverwrites: null })).counts.rejected).toBe(0)
  await expectArrived()
  expect(wroteNothing(await pair.run(POLICIES))).toBe(true)
})

const LOSSY: readonly (readonly [from: string, to: string])[] = [
  ['bigint', 'integer'],
  ['integer', 'smallint'],
  ['bigint', 'double precision'],
  ['bigint', 'numeric(18)'],
  ['integer', 'numeric(10,1)'],
  ['integer', 'real'],
  ['numeric', 'numeric(10,2)'],
  ['numeric(9,2)', 'numeric(9,1)'],
  ['numeric(9,2)', 'numeric(9,3)'],
  ['numeric', 'double precision'],
  ['double precision', 'real'],
  ['double precision', 'numeric'],
  ['text', 'varchar(10)'],
  ['varchar', 'varchar(10)'],
  ['varchar(11)', 'varchar(10)'],
  ['varchar(5)', 'char(5)'],
  ['char(6)', 'varchar(5)'],
  ['text', 'integer'],
  ['text', 'jsonb'],
  ['timestamp', 'timestamptz'],
  ['timestamptz', 'timestamp'],
  ['timestamp(6)', 'timestamp(3)'],
  ['timestamp', 'date'],
  ['date', 'timestamptz'],
  ['time', 'timetz'],
  ['json', 'jsonb'],
  ['uuid', 'varchar(35)'],
  ['boolean', 'integer'],
  ['integer', 'boolean'],
  ['bytea', 'varchar(100)'],
  ['integer[]', 'integer'],
  ['bigint[]', 'integer[]'],
  ['real[]', 'double precision[]'],
  ['inet', 'cidr'],
  ['int4range', 'int8range'],
  ['interval', 'time'],
  ['money', 'numeric'],
  ['oid', 'integer'],
  ['xml', 'json'],
  ['bit(8)', 'bit(9)'],
  ['interval', 'interval(3)'],
]

test('a date that no timestamp can be is set aside, and its neighbours arrive', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(`CREATE TABLE t (id int PRIMARY KEY, v date);
    INSERT INTO t VALUES (1, '294276-12-31'), (2, '294277-01-01'), (3, '5874897-12-31'), (4, 'infinity'), (5, '4713-01-01 BC')`)
  await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY, v timestamp)')
  const { counts, tables } = await pair.run()
  expect(counts).toMatchObject({ inserted: 3, rejected: 2 })
  expect(tables[0]?.rejections.map(({ key, code }) => [key, code])).toEqual([
    [['2'], '22008'],
    [['3'], '22008'],
  ])
})

test('what would lose or invent something is refused before anything moves', async () => {
  await using pair = await createPair(source, target)
  for (const [index, [fromType, toType]] of LOSSY.entries()) {
    await pair.source.sql(
      `CREATE TABLE t${index} (id int PRIMARY KEY, v ${fromType}); INSERT INTO t${index} VALUES (1)`,
    )
    await pair.target.sql(`CREATE TABLE t${index} (id int PRIMARY KEY, v ${toType})`)
  }
  const error: unknown = await pair.run().catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'impossible_mapping' })
  const lines = error instanceof Error ? error.message.split('\n') : []
  for (const [index, pairOfTypes] of LOSSY.entries()) {
    expect([pairOfTypes, lines.some((line) => line.startsWith(`public.t${index}.v `))]).toEqual([pairOfTypes, true])
    expect(await pair.target.sql(`SELECT count(*) FROM t${index}`)).toEqual([['0']])
  }
})
