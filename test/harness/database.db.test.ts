import fc from 'fast-check'
import { expect, test } from 'vitest'

import { must } from '#lib/assert.ts'
import { findPostgresBinaries } from '#service/local-postgres.ts'

import {
  copiesByPsql,
  copiesByStream,
  createDatabase,
  differenceOf,
  expectSameTable,
  hasPsql,
  quote,
  tableText,
} from './database.ts'
import { eachServer, sharedServers } from './postgres.ts'
import { UNUSUAL_SETTINGS } from './settings.ts'
import { postgresDialect } from './random-dialect.ts'
import { loadSchema, randomSchema } from './random-schema.ts'

test('a database is there while it is held, and gone after', async () => {
  const { source } = sharedServers()
  await using outside = await createDatabase(source)
  const exists = 'SELECT count(*) FROM pg_database WHERE datname = $1'
  let name
  {
    await using db = await createDatabase(source)
    name = db.name
    await db.sql('CREATE TABLE t (id int)')
    // A session that somebody left open does not keep the database alive.
    const forgotten = await db.connect()
    await forgotten.query('SELECT 1')
    expect(await outside.sql(exists, [name])).toEqual([['1']])
  }
  expect(await outside.sql(exists, [name])).toEqual([['0']])
})

test('values are text, in the same words on every server', async () => {
  for (const server of eachServer()) {
    await using db = await createDatabase(server)
    const rows = await db.sql(
      `SELECT $1::int8, $2::timestamptz, $3::interval, $4::bytea, 0.1::float8 + 0.2, true, NULL::int`,
      ['9007199254740993', '2024-01-02 03:04:05.678901+05', '1 day -02:00', '\\x00ff'],
    )
    const sum = '0.30000000000000004'
    expect(rows).toEqual([
      ['9007199254740993', '2024-01-01 22:04:05.678901+00', '1 day -02:00:00', '\\x00ff', sum, 't', null],
    ])
    expect(await db.sql(`SELECT 1; SELECT 2, 'b'`)).toEqual([['2', 'b']])
    expect(await db.sql('CREATE TABLE t (id int)')).toEqual([])
  }
})

test('the shared servers are of two majors where two are installed', async () => {
  const majors = new Set((await findPostgresBinaries()).map((binaries) => binaries.major))
  if (process.env['SYNCLINE_TEST_POSTGRES_SOURCE'] || process.env['SYNCLINE_TEST_POSTGRES_TARGET']) return
  expect(eachServer()).toHaveLength(Math.min(2, majors.size))
  for (const server of eachServer()) {
    await using db = await createDatabase(server)
    expect(await db.sql("SELECT current_setting('server_version_num')::int / 10000")).toEqual([[String(server.major)]])
  }
})

test('the shared servers have settings that are not the usual ones', async () => {
  const { target } = sharedServers()
  if (process.env['SYNCLINE_TEST_POSTGRES_TARGET']) return
  await using db = await createDatabase(target)
  const [row] = await db.sql("SELECT reset_val, boot_val FROM pg_settings WHERE name = 'TimeZone'")
  expect(row).toEqual(['UTC', 'GMT'])
  const [file] = await db.sql(
    "SELECT setting FROM pg_file_settings WHERE name = 'timezone' ORDER BY seqno DESC LIMIT 1",
  )
  expect(file).toEqual([UNUSUAL_SETTINGS.target.timezone])
})

test('the second reader gives every row, in an order of its own', async () => {
  for (const server of eachServer()) {
    await using db = await createDatabase(server)
    await db.sql(`CREATE TABLE "odd ""name" (id int, "__proto__" text)`)
    await db.sql(`INSERT INTO "odd ""name" VALUES (2, NULL), (10, E'tab\\there\\nand \\\\N'), (1, ''), (3, '😀')`)
    expect(await tableText(db, 'odd "name')).toEqual(['1\t', '10\ttab\\there\\nand \\\\N', '2\t\\N', '3\t😀'])
    expect(await tableText(db, ['public', 'odd "name'], ['__proto__'])).toEqual([
      '',
      '\\N',
      'tab\\there\\nand \\\\N',
      '😀',
    ])
  }
})

test.runIf(await hasPsql())('the second reader gives the same bytes with psql and without', async () => {
  for (const server of eachServer()) {
    await using db = await createDatabase(server)
    const [schema] = fc.sample(randomSchema({ dialect: postgresDialect(server.major) }), { numRuns: 1, seed: 42 })
    if (!schema) throw new Error('nothing generated')
    await loadSchema(db, schema)
    const big = "SELECT repeat('é\\', 100000), NULL, '' FROM generate_series(1, 20)"
    const copies = [...schema.tables.map(({ name }) => `COPY ${quote(name)} TO STDOUT`), `COPY (${big}) TO STDOUT`]
    const texts = await copiesByPsql(db, copies)
    expect(texts).toHaveLength(copies.length)
    expect(texts.at(-1)?.length).toBeGreaterThan(8_000_000)
    const streams = await copiesByStream(db, copies)
    for (const [i, text] of texts.entries()) expect(text.equals(must(streams[i], 'a stream'))).toBe(true)
  }
})

test('equal tables pass whatever the order of their rows, and a difference is told', async () => {
  const { source, target } = sharedServers()
  await using a = await createDatabase(source)
  await using b = await createDatabase(target)
  await a.sql('CREATE TABLE t (id int, v float8)')
  await b.sql('CREATE TABLE u (v float8, id int)')
  await a.sql("INSERT INTO t VALUES (1, 0.1), (2, 'NaN'), (2, 'NaN')")
  await b.sql("INSERT INTO u VALUES ('NaN', 2), (0.1, 1), ('NaN', 2)")
  const how = { as: 'u', columns: ['id', 'v'] }
  await expectSameTable(a, b, 't', how)

  await b.sql('UPDATE u SET v = 0.1 + 1e-17 WHERE id = 1')
  await expectSameTable(a, b, 't', how)
  await b.sql('UPDATE u SET v = 0.1 + 1e-16 WHERE id = 1')
  await expect(expectSameTable(a, b, 't', how)).rejects.toThrow(/only in the first\n {2}- 1\t0\.1\n/)
  await b.sql('DELETE FROM u WHERE id = 1')
  await expect(expectSameTable(a, b, 't', how)).rejects.toThrow('3 rows in the first, 2 in the second')
})

test('a row that is there twice on one side only is a difference', () => {
  expect(differenceOf(['a', 'a', 'b'], ['a', 'b', 'b'])).toContain(
    '1 only in the first\n  - a\n1 only in the second\n  + b',
  )
  expect(differenceOf(['a', 'b'], ['a', 'b'])).toBeUndefined()
})
