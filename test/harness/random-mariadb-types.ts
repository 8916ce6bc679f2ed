/** Column types of MariaDB and values for them under a strict mode, as `random-types.ts` has those of PostgreSQL. */
import fc from 'fast-check'

import { HOSTILE_TEXTS, keys, mostly, oneOf, text, textUpTo, type KeyType, type RandomType } from './random-types.ts'

/** A type, and the values that have no place in PostgreSQL. */
interface MariadbType extends RandomType {
  readonly only?: fc.Arbitrary<string>
}

const twice = { sql: 'decimal(30,0)', from: (column: string): string => `CAST(${column} AS DECIMAL(30,0)) * 2` }

function integer(sql: string, low: bigint, high: bigint): MariadbType {
  const bounds = [low, 0n, 1n, high].map(String)
  const known = [...new Set(bounds)]
  // Keys begin with the bounds; the others lie between them, and are none of them.
  const keyOf = keys(known, (n) => String(n + 1))
  return { sql, values: mostly(known, fc.bigInt({ min: low, max: high }).map(String)), keyOf, generates: twice }
}

const asItIs = { constant: (value: string): string => value }
const asBytes = {
  constant: (value: string): string => `X'${value}'`,
  read: (column: string): string => `HEX(${column})`,
}

const hex = (maxLength: number, minLength = 0): fc.Arbitrary<string> =>
  fc.uint8Array({ minLength, maxLength }).map((bytes) => Buffer.from(bytes).toString('hex').toUpperCase())

const NUMBERS: readonly MariadbType[] = [
  { sql: 'tinyint(1)', values: oneOf('0', '1'), only: oneOf('2', '-1', '127', '-128') },
  integer('tinyint', -128n, 127n),
  integer('tinyint unsigned', 0n, 255n),
  integer('smallint', -(2n ** 15n), 2n ** 15n - 1n),
  integer('mediumint unsigned', 0n, 2n ** 24n - 1n),
  integer('int', -(2n ** 31n), 2n ** 31n - 1n),
  integer('int unsigned', 0n, 2n ** 32n - 1n),
  integer('bigint', -(2n ** 63n), 2n ** 63n - 1n),
  integer('bigint unsigned', 0n, 2n ** 64n - 1n),
  { sql: 'year', values: oneOf('1901', '2155', '2024') },
  {
    sql: 'decimal(10,2)',
    values: oneOf('0', '-0.01', '99999999.99', '1.50', '-7.00'),
    keyOf: (n) => `${n}.${String(n % 100).padStart(2, '0')}`,
  },
  { sql: 'decimal(5,0)', values: oneOf('99999', '-99999', '0') },
  { sql: 'decimal(65,30)', values: oneOf(`${'9'.repeat(35)}.${'9'.repeat(30)}`, '-1.5', '0.1') },
  { ...asItIs, sql: 'float', values: oneOf('0.1', '-16777216', '1e-30', '3.4028234e38', '0') },
  { ...asItIs, sql: 'double', values: oneOf('0.1', '1e23', '-5e-324', '1.7976931348623157e308', '123456789', '2.5') },
]

const COMPARED_BY_BYTES = 'CHARACTER SET utf8mb4 COLLATE utf8mb4_nopad_bin'

const TEXTS: readonly MariadbType[] = [
  { sql: 'varchar(20)', values: textUpTo(20), keyOf: (n) => `key ${n}` },
  { sql: `varchar(40) ${COMPARED_BY_BYTES}`, values: textUpTo(40), keyOf: keys(HOSTILE_TEXTS, (n) => `é${n}`) },
  { sql: 'varchar(10) CHARACTER SET latin1', values: oneOf('', 'é', 'abc', 'a ', "\\'"), keyOf: (n) => `ä${n}` },
  { sql: 'char(7)', values: oneOf('', 'ab', 'é😀x', '1234567') },
  { sql: 'tinytext', values: oneOf(...HOSTILE_TEXTS, 'x'.repeat(255)) },
  { sql: 'text', values: oneOf(...HOSTILE_TEXTS) },
  { sql: 'longtext', values: text },
  { ...asBytes, sql: 'binary(4)', values: hex(4, 4) },
  { ...asBytes, sql: 'varbinary(20)', values: hex(20), keyOf: keys(['', '00', '0000', '5C'], (n) => `FF${10 + n}`) },
  { ...asBytes, sql: 'longblob', values: mostly(['', '00', 'AB'.repeat(50_000)], hex(300)) },
]

const DAYS = ['0001-01-01', '1000-01-01', '1582-10-10', '2024-02-29', '9999-12-31']
const MOMENTS = [
  '1000-01-01 00:00:00',
  '2024-03-31 02:30:00.5',
  '2024-10-27 01:30:00.000001',
  '9999-12-31 23:59:59.999999',
]

const TIMES: readonly MariadbType[] = [
  { sql: 'date', values: oneOf(...DAYS), keyOf: keys(DAYS, (n) => `${2000 + n}-01-01`) },
  { sql: 'datetime', values: oneOf(...DAYS.map((day) => `${day} 12:34:56`)) },
  { sql: 'datetime(3)', values: oneOf('2024-01-01 00:00:00.120', '9999-12-31 23:59:59.999') },
  { sql: 'datetime(6)', values: oneOf(...MOMENTS), keyOf: keys(MOMENTS, (n) => `${2000 + n}-01-01 00:00:00.5`) },
  { sql: 'timestamp', values: oneOf('1970-01-01 00:00:01', '2038-01-19 03:14:07', '2024-03-31 02:30:00') },
  { sql: 'timestamp(6)', values: oneOf('2038-01-19 03:14:07.999999', '2024-10-27 01:30:00.5') },
  { sql: 'time', values: oneOf('00:00:00', '23:59:59'), only: oneOf('838:59:59', '-838:59:59', '-00:00:01') },
  { sql: 'time(6)', values: oneOf('12:34:56.1'), only: oneOf('-00:00:00.000001', '838:59:59', '24:00:00.000001') },
]

const OTHERS: readonly MariadbType[] = [
  { sql: 'json', values: oneOf('{}', ' {"a": 1,"a":2} ', '[1.10, 1e2, null, "é"]', '"x"', 'null', '9007199254740993') },
  {
    sql: 'uuid',
    values: fc.uuid({ version: 4 }),
    keyOf: (n) => `00000000-0000-4000-8000-${n.toString(16).padStart(12, '0')}`,
  },
  { sql: `enum('sad','happy','it''s','NULL')`, values: oneOf('sad', 'happy', "it's", 'NULL') },
  { sql: `set('a','b')`, values: oneOf('', 'a', 'a,b') },
  { sql: 'bit(8)', constant: (value) => `b'${value}'`, values: oneOf('0', '101', '11111111') },
  { sql: 'inet6', values: oneOf('::1', '2001:db8::ff00:42:8329') },
]

/** Keys that the server numbers itself. */
const NUMBERED: readonly MariadbType[] = ['int', 'bigint unsigned'].map((sql) => ({
  sql: `${sql} AUTO_INCREMENT`,
  referredAs: sql,
  values: fc.nat(1000).map(String),
  keyOf: (n: number) => String(n * 2 + 1),
}))

const ALL = [...NUMBERS, ...TEXTS, ...TIMES, ...OTHERS]

/** Every type; `within`: with values that PostgreSQL has no place for. */
export function mariadbTypes({ within }: { readonly within: boolean }): readonly RandomType[] {
  return ALL.map(({ only, ...type }) =>
    within && only !== undefined ? { ...type, values: fc.oneof(type.values, only) } : type,
  )
}

export function mariadbKeyTypes(): readonly KeyType[] {
  return [...ALL, ...NUMBERED, ...NUMBERED].flatMap(({ keyOf, ...type }) =>
    keyOf === undefined ? [] : [{ ...type, keyOf }],
  )
}
