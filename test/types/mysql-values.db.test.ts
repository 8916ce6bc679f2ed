/**
 * Hazards C1, C3, C4, C9, C12: a value has one text in every form, whoever writes it. MariaDB in its SQL, PostgreSQL in its
 * own and Node.js agree to the byte, and on the fingerprint, for random values of every type that both servers have.
 */
import { Readable } from 'node:stream'

import fc from 'fast-check'
import { afterAll, beforeAll, expect, test } from 'vitest'

import { Connection } from '#adapters/mysql/connection.ts'
import { fingerprintSql, keyHashBucketSql } from '#adapters/mysql/fingerprint-sql.ts'
import { fromForm, inForm } from '#adapters/mysql/forms.ts'
import { columnType } from '#adapters/mysql/types.ts'
import { inForm as inFormOfPostgres } from '#adapters/postgres/sql.ts'
import type { Form } from '#model/column-type.ts'
import { fingerprint, hashRow } from '#model/fingerprint.ts'
import { copyLine } from '#model/row-text.ts'
import { createDatabase } from '#test/harness/database.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'

const RUNS = 10_000
const BUCKETS = 4_096
const { source: postgres } = sharedServers()

/** One type of each server, and texts that both take for a value of it. */
interface Pair {
  readonly mysql: string
  readonly postgres: string
  readonly form: Form
  readonly values: fc.Arbitrary<string>
  readonly bounds: readonly string[]
}

const pad = (number: number, width = 2): string => String(number).padStart(width, '0')
const integers = (least: bigint, most: bigint): Pick<Pair, 'values' | 'bounds'> => ({
  values: fc.bigInt({ min: least, max: most }).map(String),
  bounds: [String(least), String(most), String(least + 1n), String(most - 1n)],
})
const signed = (bits: number): Pick<Pair, 'values' | 'bounds'> =>
  integers(-(2n ** BigInt(bits - 1)), 2n ** BigInt(bits - 1) - 1n)
const unsigned = (bits: number): Pick<Pair, 'values' | 'bounds'> => integers(0n, 2n ** BigInt(bits) - 1n)

const decimals = (precision: number, scale: number): Pick<Pair, 'values' | 'bounds'> => {
  const most = 10n ** BigInt(precision) - 1n
  const written = (digits: bigint): string => {
    const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0')
    const [whole, fraction] = [text.slice(0, text.length - scale), text.slice(text.length - scale)]
    return `${digits < 0n ? '-' : ''}${whole}${scale === 0 ? '' : `.${fraction}`}`
  }
  const digits = fc.oneof(fc.bigInt({ min: -most, max: most }), fc.bigInt({ min: -1_000n, max: 1_000n }))
  return { values: digits.map(written), bounds: [0n, 1n, -1n, most, -most, 10n ** BigInt(scale)].map(written) }
}

const isCarried = (value: number): boolean => Number.isFinite(value) && value !== 0
const doubleOf = (bits: bigint): number => {
  const view = new DataView(new ArrayBuffer(8))
  view.setBigUint64(0, bits)
  return view.getFloat64(0)
}
const singleOf = (bits: number): number => {
  const view = new DataView(new ArrayBuffer(4))
  view.setUint32(0, bits)
  return view.getFloat32(0)
}
const DOUBLES: Pick<Pair, 'values' | 'bounds'> = {
  values: fc
    .oneof(fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map(doubleOf), fc.double(), fc.maxSafeInteger().map(Number))
    .filter(isCarried)
    .map(String),
  bounds: [
    ...Array.from({ length: 632 }, (_, i) => `1e${i - 323}`),
    ...Array.from({ length: 320 }, (_, i) => `-9.999999999999999e${i - 20}`.replace(/e([3-9]\d\d)$/, 'e299')),
    ...Array.from({ length: 2_098 }, (_, i) => String(2 ** (i - 1_074))),
    // Halfway between two doubles, where shortest texts differ between libraries.
    ...Array.from({ length: 900 }, (_, i) => `${(i % 9) + 1}e${15 + Math.floor(i / 30)}`),
    ...Array.from({ length: 300 }, (_, i) => String((2 ** 53 + 2 * i + 1) * 2 ** (i % 80))),
    '0',
    '9.5367431640625e-07',
    '1.7976931348623157e308',
    '5e-324',
    '0.0001',
    '0.00009999999999999999',
    '999999999999999.9',
    '1000000000000000',
    '9007199254740993',
    '123456789012345680000',
  ],
}
const SINGLES: Pick<Pair, 'values' | 'bounds'> = {
  values: fc
    .oneof(
      fc
        .integer({ min: 0, max: 2 ** 31 - 1 })
        .chain((bits) => fc.boolean().map((isNegative) => (isNegative ? -singleOf(bits) : singleOf(bits)))),
      fc.float(),
    )
    .filter(isCarried)
    .map(String),
  bounds: [
    '0',
    String(Math.fround(0.1)),
    '16777216',
    String(2 ** -149),
    '3.4028234663852886e38',
    ...Array.from({ length: 277 }, (_, i) => String(2 ** (i - 149))),
  ],
}

const HOSTILE = [
  '',
  ' ',
  'NULL',
  '\\N',
  '\\',
  "'",
  '"',
  '\t',
  '\r\n',
  '\\.',
  '%',
  '_',
  '\u0001',
  'é',
  'e\u0301',
  '😀',
  '\u{10ffff}',
  'ß',
  'a ',
  ' a',
  '\u00a0',
  '\ufeff',
]
const text = (most: number): Pick<Pair, 'values' | 'bounds'> => ({
  values: fc
    .string({ unit: 'binary', maxLength: most })
    .map((value) => value.replaceAll('\0', '').replace(/[\ud800-\udfff]/gu, 'x')),
  bounds: [...HOSTILE, '😀'.repeat(most)],
})
const trimmed = ({ values, bounds }: Pick<Pair, 'values' | 'bounds'>): Pick<Pair, 'values' | 'bounds'> => ({
  values: values.map((value) => value.replace(/ +$/, '')),
  bounds: bounds.map((value) => value.replace(/ +$/, '')),
})
const bytes = (least: number, most: number): Pick<Pair, 'values' | 'bounds'> => ({
  values: fc
    .uint8Array({ minLength: least, maxLength: most })
    .map((value) => `\\x${Buffer.from(value).toString('hex')}`),
  bounds: [`\\x${'00'.repeat(most)}`, `\\x${'ff'.repeat(least)}`, `\\x${'5c'.repeat(most)}`],
})
const bits = (length: number): Pick<Pair, 'values' | 'bounds'> => ({
  values: fc
    .bigInt({ min: 0n, max: 2n ** BigInt(length) - 1n })
    .map((value) => value.toString(2).padStart(length, '0')),
  bounds: ['0'.repeat(length), '1'.repeat(length), `1${'0'.repeat(length - 1)}`],
})

const LAST_DAY = [31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
const day = (least: number, most: number): fc.Arbitrary<string> =>
  fc
    .tuple(fc.integer({ min: least, max: most }), fc.nat(11), fc.nat(30))
    .map(([year, month, date]) => `${pad(year, 4)}-${pad(month + 1)}-${pad(Math.min(date + 1, LAST_DAY[month] ?? 28))}`)
const fraction = (digits: number): fc.Arbitrary<string> =>
  digits === 0 ? fc.constant('') : fc.nat(10 ** digits - 1).map((n) => `.${pad(n, digits)}`)
const clock = (digits: number, hours = 23): fc.Arbitrary<string> =>
  fc
    .tuple(fc.nat(hours), fc.nat(59), fc.nat(59), fraction(digits))
    .map(([h, m, s, rest]) => `${pad(h)}:${pad(m)}:${pad(s)}${rest}`)
const moment = (digits: number, of: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.tuple(of, clock(digits)).map((parts) => parts.join(' '))
const NIGHTS = [
  '2024-03-31 02:30:00',
  '2024-10-27 01:30:00',
  '2024-04-07 01:45:00',
  '2024-10-06 02:15:00',
  '2024-03-10 02:30:00',
]
const EPOCH = ['1970-01-01 00:00:01', '2038-01-19 03:14:07', ...NIGHTS]

const PAIRS: readonly Pair[] = [
  { mysql: 'tinyint(1)', postgres: 'boolean', form: 'own', values: fc.constantFrom('t', 'f'), bounds: ['t', 'f'] },
  { mysql: 'tinyint(1)', postgres: 'smallint', form: 'integer', ...signed(8) },
  { mysql: 'tinyint', postgres: 'smallint', form: 'own', ...signed(8) },
  { mysql: 'smallint(4) unsigned zerofill', postgres: 'integer', form: 'own', ...unsigned(16) },
  { mysql: 'smallint', postgres: 'smallint', form: 'own', ...signed(16) },
  { mysql: 'mediumint', postgres: 'integer', form: 'own', ...signed(24) },
  { mysql: 'int', postgres: 'integer', form: 'own', ...signed(32) },
  { mysql: 'int unsigned', postgres: 'bigint', form: 'own', ...unsigned(32) },
  { mysql: 'bigint', postgres: 'bigint', form: 'own', ...signed(64) },
  { mysql: 'bigint unsigned', postgres: 'numeric(20,0)', form: 'decimal', ...unsigned(64) },
  { mysql: 'bigint', postgres: 'numeric(30,5)', form: 'decimal', ...signed(64) },
  {
    mysql: 'year',
    postgres: 'smallint',
    form: 'own',
    values: fc.integer({ min: 1901, max: 2155 }).map(String),
    bounds: ['0'],
  },
  { mysql: 'decimal(10,2)', postgres: 'numeric(10,2)', form: 'decimal', ...decimals(10, 2) },
  {
    mysql: 'decimal(10,2) unsigned zerofill',
    postgres: 'numeric(10,2)',
    form: 'decimal',
    ...decimals(10, 2),
    values: decimals(10, 2).values.map((v) => v.replace('-', '')),
    bounds: ['0.00', '99999999.99'],
  },
  { mysql: 'decimal(38,0)', postgres: 'numeric(38)', form: 'decimal', ...decimals(38, 0) },
  { mysql: 'decimal(65,30)', postgres: 'numeric(65,30)', form: 'decimal', ...decimals(65, 30) },
  { mysql: 'decimal(18,6)', postgres: 'numeric', form: 'own', ...decimals(18, 6) },
  { mysql: 'double', postgres: 'double precision', form: 'float64', ...DOUBLES },
  { mysql: 'float', postgres: 'real', form: 'float64', ...SINGLES },
  { mysql: 'float', postgres: 'double precision', form: 'float64', ...SINGLES },
  { mysql: 'varchar(200)', postgres: 'varchar(200)', form: 'own', ...text(20) },
  { mysql: 'varchar(200) collate utf8mb4_general_ci', postgres: 'text', form: 'own', ...text(20) },
  { mysql: 'longtext', postgres: 'text', form: 'own', ...text(60) },
  { mysql: 'tinytext', postgres: 'text', form: 'own', ...text(30) },
  { mysql: 'text character set utf16', postgres: 'text', form: 'own', ...text(20) },
  {
    mysql: 'text character set latin1',
    postgres: 'text',
    form: 'own',
    values: fc.string({ unit: 'grapheme-ascii', maxLength: 20 }),
    bounds: ['', 'é€', 'ÿ', 'a '],
  },
  { mysql: 'char(40)', postgres: 'char(40)', form: 'text', ...trimmed(text(20)) },
  { mysql: 'char(40)', postgres: 'text', form: 'text', ...trimmed(text(20)) },
  { mysql: 'varbinary(40)', postgres: 'bytea', form: 'own', ...bytes(0, 40) },
  { mysql: 'binary(16)', postgres: 'bytea', form: 'own', ...bytes(16, 16) },
  { mysql: 'mediumblob', postgres: 'bytea', form: 'own', ...bytes(0, 60) },
  {
    mysql: 'date',
    postgres: 'date',
    form: 'own',
    values: day(1, 9999),
    bounds: ['0001-01-01', '9999-12-31', '2024-02-29'],
  },
  {
    mysql: 'date',
    postgres: 'timestamp',
    form: 'timestamp',
    values: day(1, 9999),
    bounds: ['0001-01-01', '9999-12-31'],
  },
  {
    mysql: 'datetime(6)',
    postgres: 'timestamp',
    form: 'own',
    values: moment(6, day(1, 9999)),
    bounds: ['0001-01-01 00:00:00', '9999-12-31 23:59:59.999999', ...NIGHTS],
  },
  { mysql: 'datetime', postgres: 'timestamp(0)', form: 'own', values: moment(0, day(1, 9999)), bounds: NIGHTS },
  {
    mysql: 'datetime(3)',
    postgres: 'timestamp',
    form: 'own',
    values: moment(3, day(1, 9999)),
    bounds: ['2024-01-01 10:00:00.100', ...NIGHTS],
  },
  {
    mysql: 'timestamp(6) null',
    postgres: 'timestamptz',
    form: 'own',
    values: moment(6, day(1971, 2037)),
    bounds: [...EPOCH, '2038-01-19 03:14:07.999999'],
  },
  {
    mysql: 'timestamp null',
    postgres: 'timestamptz(0)',
    form: 'own',
    values: moment(0, day(1971, 2037)),
    bounds: EPOCH,
  },
  {
    mysql: 'time(6)',
    postgres: 'time',
    form: 'own',
    values: clock(6),
    bounds: ['00:00:00', '24:00:00', '23:59:59.999999'],
  },
  {
    mysql: 'time(3)',
    postgres: 'interval',
    form: 'own',
    values: fc.tuple(fc.constantFrom('', '-'), clock(3, 837)).map((parts) => parts.join('')),
    bounds: ['838:59:59', '-838:59:59', '00:00:00', '-00:00:00.001'],
  },
  {
    mysql: 'uuid',
    postgres: 'uuid',
    form: 'own',
    values: fc.uuid({ version: [1, 3, 4, 5] }),
    bounds: ['00000000-0000-0000-0000-000000000000', 'ffffffff-ffff-ffff-ffff-ffffffffffff'],
  },
  { mysql: 'char(36)', postgres: 'uuid', form: 'text', values: fc.uuid(), bounds: [] },
  {
    mysql: 'json',
    postgres: 'json',
    form: 'own',
    values: fc.json({ stringUnit: 'grapheme-ascii', maxDepth: 3 }),
    bounds: [' { "a" : 1,"a":2 } ', '1.10', '9007199254740993', '"\\u00e9"'],
  },
  { mysql: 'bit(10)', postgres: 'bit(10)', form: 'own', ...bits(10) },
  { mysql: 'bit(64)', postgres: 'bit(64)', form: 'own', ...bits(64) },
  { mysql: 'bit(1)', postgres: 'bit(1)', form: 'own', ...bits(1) },
  {
    mysql: "enum('sad','Very sad','it''s','b\\\\c','é','1','')",
    postgres: 'mood',
    form: 'own',
    values: fc.constantFrom('sad', 'Very sad', "it's", 'b\\c', 'é', '1', ''),
    bounds: [],
  },
]

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb({ settings: { 'default-time-zone': '-05:00', 'sql-mode': '' } })
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

async function typeOf(connection: Connection, table: string): Promise<ReturnType<typeof columnType>> {
  const [row] = await connection.query(
    `SELECT c.COLUMN_TYPE, c.CHARACTER_SET_NAME, EXISTS (SELECT 1 FROM information_schema.CHECK_CONSTRAINTS k
       WHERE k.CONSTRAINT_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME AND k.CHECK_CLAUSE LIKE 'json_valid%')
     FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = ? AND c.COLUMN_NAME = 'v'`,
    [table],
  )
  const [spelled, charset, isJson] = row ?? []
  return columnType({ spelled: spelled ?? '', charset: charset ?? null, isJson: isJson === '1' })
}

test.each(PAIRS)('$mysql and $postgres write each value alike (form $form)', { timeout: 300_000 }, async (pair) => {
  const texts = [null, ...pair.bounds, ...fc.sample(pair.values, { numRuns: RUNS, seed: printedSeed() })]
  await using there = await createDatabase(postgres)
  await there.sql(`CREATE TYPE mood AS ENUM ('sad', 'Very sad', 'it''s', E'b\\\\c', 'é', '1', '')`)
  await there.sql(`CREATE TABLE t (id int PRIMARY KEY, v ${pair.postgres})`)
  await there.sql(`INSERT INTO t SELECT r.n, r.s::${pair.postgres} FROM unnest($1::text[]) WITH ORDINALITY r(s, n)`, [
    arrayOf(texts),
  ])
  const wanted = await there.sql(
    `SELECT CASE WHEN v IS NOT NULL THEN concat(${inFormOfPostgres('v', pair.form)}) END FROM t ORDER BY id`,
  )

  const name = await server.createDatabase()
  await using here = await Connection.open(server.endpoint(name), { readOnly: false })
  await here.execute(`CREATE TABLE t (id INT PRIMARY KEY, v ${pair.mysql}) CHARACTER SET utf8mb4`)
  await here.execute('CREATE TEMPORARY TABLE stage (id INT PRIMARY KEY, v LONGTEXT CHARACTER SET utf8mb4)')
  const lines = wanted.map(([text = null], i) => Buffer.from(copyLine([String(i + 1), text])))
  await here.load(
    `LOAD DATA LOCAL INFILE 'rows' INTO TABLE stage CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n'`,
    Readable.from(lines),
  )
  const type = await typeOf(here, 't')
  await here.execute(`INSERT INTO t SELECT s.id, ${fromForm('s.v', type, pair.form)} FROM stage s`)
  const hashed = { column: 't.v', text: inForm('t.v', type, pair.form) }
  const found = await here.query(
    `SELECT ${hashed.text}, ${fingerprintSql([hashed, hashed])}, ${keyHashBucketSql([hashed], BUCKETS)} FROM t ORDER BY id`,
  )
  const mine = wanted.map(([text = null]) => [
    text,
    fingerprint([text, text]),
    String(hashRow([text]).readUInt32BE(0) % BUCKETS),
  ])
  expect(found.length).toBe(mine.length)
  for (const [i, row] of found.entries()) expect([texts[i], ...row]).toEqual([texts[i], ...(mine[i] ?? [])])
})

function arrayOf(texts: readonly (string | null)[]): string {
  const items = texts.map((each) =>
    each === null ? 'NULL' : `"${each.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`,
  )
  return `{${items.join(',')}}`
}
