/**
 * Every type of a column that MariaDB has, each with values at its bounds, and how a value compares with what has become of
 * it on another server: by the plain words of both, with nothing of the engine in between.
 */
import { Decimal } from 'decimal.js'

import type { ColumnType } from '#model/column-type.ts'

/** A type, and values as SQL that a server under no strict mode takes. */
export interface MysqlType {
  readonly sql: string
  readonly values: readonly string[]
}

const text = (...values: readonly string[]): string[] => values.map((value) => `'${value}'`)

/** What no strict session lets in, and old tables hold. */
const ZEROS = ['0000-00-00', '2020-00-10', '2024-02-00', '0000-01-01']
const DAYS = ['0001-01-01', '1000-01-01', '1582-10-10', '2024-02-29', '9999-12-31']
const NIGHTS = [
  '2024-03-31 02:30:00',
  '2024-10-27 01:30:00',
  '2024-04-07 01:45:00.25',
  '2024-10-06 02:15:00',
  '1969-12-31 23:59:59.999999',
]
const WORDS = [
  '',
  ' ',
  'a',
  'A',
  'a ',
  'é😀x',
  'sad',
  'Sad',
  'NULL',
  '\\\\N',
  "it\\'s",
  'tab\\there',
  'nul\\0here',
  'ß',
  '1',
]

export const MYSQL_TYPES: readonly MysqlType[] = [
  { sql: 'tinyint(1)', values: ['0', '1', '2', '-1', '127', '-128'] },
  { sql: 'tinyint', values: ['0', '1', '-128', '127'] },
  { sql: 'tinyint unsigned', values: ['0', '127', '128', '255'] },
  { sql: 'smallint', values: ['-32768', '32767', '0'] },
  { sql: 'smallint unsigned zerofill', values: ['7', '65535'] },
  { sql: 'mediumint', values: ['-8388608', '8388607'] },
  { sql: 'mediumint unsigned', values: ['0', '16777215'] },
  { sql: 'int', values: ['-2147483648', '2147483647', '0', '2024'] },
  { sql: 'int unsigned', values: ['4294967295', '0'] },
  { sql: 'bigint', values: ['-9223372036854775808', '9223372036854775807', '9007199254740993', '1'] },
  { sql: 'bigint unsigned', values: ['18446744073709551615', '9223372036854775808', '0'] },
  { sql: 'year', values: ['0', '1901', '2155', '2024'] },
  { sql: 'decimal(10,2)', values: ['0', '-0.01', '99999999.99', '1.50', '-7.00'] },
  { sql: 'decimal(5,0)', values: ['99999', '-99999', '0'] },
  { sql: 'decimal(65,30)', values: [`${'9'.repeat(35)}.${'9'.repeat(30)}`, '-1.5', '0.1'] },
  { sql: 'decimal(10,2) unsigned zerofill', values: ['1.50', '0'] },
  { sql: 'float', values: ['0.1', '-16777216', '1e-45', '3.4028234e38', '0'] },
  { sql: 'double', values: ['0.1', '1e23', '-5e-324', '1.7976931348623157e308', '1e15', '123456789', '0', '2.5'] },
  { sql: 'float(7,2)', values: ['1.25', '-99999.99'] },
  { sql: 'double unsigned', values: ['0', '1.5'] },
  { sql: 'varchar(20)', values: text(...WORDS) },
  { sql: 'varchar(3) character set latin1', values: text('', 'é', 'abc', 'a ') },
  { sql: 'varchar(20) character set utf8mb3 collate utf8mb3_general_ci', values: text('', 'é', 'A', 'sad') },
  { sql: 'char(7)', values: text('', 'ab', 'é😀x', '1234567') },
  { sql: 'char(3) character set latin1', values: text('', 'é', 'abc') },
  { sql: 'tinytext', values: [...text(...WORDS), `REPEAT('x', 255)`] },
  { sql: 'text', values: text(...WORDS) },
  { sql: 'longtext', values: [...text(...WORDS), `REPEAT('é', 2000)`] },
  { sql: 'binary(4)', values: ['0x00000000', '0xff00fe41', '0x41424320'] },
  { sql: 'varbinary(4)', values: ["''", '0x00', '0xff00fe41', '0x4120'] },
  { sql: 'tinyblob', values: ["''", '0x00', '0xff00fe41', '0x5c78'] },
  { sql: 'longblob', values: ["''", '0x00', `REPEAT(0xff, 3000)`] },
  { sql: 'date', values: text(...DAYS, ...ZEROS) },
  { sql: 'datetime', values: text(...DAYS.map((day) => `${day} 12:34:56`), ...ZEROS.map((day) => `${day} 00:00:00`)) },
  { sql: 'datetime(3)', values: text('2024-01-01 00:00:00.120', '0001-01-01 00:00:00', '9999-12-31 23:59:59.999') },
  { sql: 'datetime(6)', values: text(...NIGHTS, '0001-01-01 00:00:00', '9999-12-31 23:59:59.999999', '0000-00-00') },
  {
    sql: 'timestamp null',
    values: text('1970-01-01 00:00:01', '2038-01-19 03:14:07', '2024-03-31 02:30:00', '0000-00-00 00:00:00'),
  },
  { sql: 'timestamp(6) null', values: text('2038-01-19 03:14:07.999999', '2024-10-27 01:30:00.5') },
  { sql: 'time', values: text('838:59:59', '-838:59:59', '00:00:00', '24:00:00', '23:59:59', '-00:00:01') },
  { sql: 'time(6)', values: text('12:34:56.1', '-00:00:00.000001', '838:59:59', '24:00:00.000001') },
  { sql: 'json', values: text('{}', ' {"a": 1,"a":2} ', '[1.10, 1e2, null, "é"]', '"x"') },
  { sql: 'uuid', values: text('00000000-0000-0000-0000-000000000000', '6ccd780c-baba-1026-9564-5b8c656024db') },
  { sql: `enum('sad','happy','it''s','')`, values: text('sad', 'happy', "it\\'s", '', 'none of them') },
  { sql: `set('a','b')`, values: text('', 'a', 'a,b') },
  { sql: 'bit(1)', values: ['0', '1'] },
  { sql: 'bit(8)', values: ['0', '5', '255'] },
  { sql: 'inet6', values: text('::1', '2001:db8::ff00:42:8329') },
]

/** How a server says a value plainly. */
export function plainSql(column: string, { kind, ...type }: ColumnType, engine: 'mysql' | 'postgres'): string {
  if (engine === 'postgres') return `${column}::text`
  if (kind === 'bytes') return `CONCAT('\\\\x', LOWER(HEX(${column})))`
  if (kind === 'float') return `CONCAT(${column} + 0e0)`
  if (kind === 'integer') return `CONCAT(${column} + 0)`
  if (isBits({ kind, ...type } as ColumnType)) return `BIN(${column} + 0)`
  return `CONVERT(${column} USING utf8mb4)`
}

function isBits(type: ColumnType): boolean {
  return type.kind === 'other' && type.native.startsWith('bit')
}

const NUMBERS = new Set<ColumnType['kind']>(['integer', 'decimal', 'float', 'boolean'])
const TIMES = new Set<ColumnType['kind']>(['timestamp', 'date', 'time', 'interval'])

/** Whether two plain texts say the same value: of types that may differ, but not in what they can say. */
export function saySame(from: ColumnType, to: ColumnType, [given, arrived]: readonly [string, string]): boolean {
  if (given === arrived) return true
  if (NUMBERS.has(from.kind)) return sameNumber(from, to, [number(given), number(arrived)])
  if (TIMES.has(from.kind)) return time(given) === time(arrived)
  if (from.kind === 'padded text' || to.kind === 'padded text') return given.trimEnd() === arrived.trimEnd()
  if (isBits(from)) return given.replace(/^0+(?=.)/, '') === arrived.replace(/^0+(?=.)/, '')
  if (from.kind === 'json' && to.kind === 'json' && to.binary) {
    return JSON.stringify(JSON.parse(given)) === JSON.stringify(JSON.parse(arrived))
  }
  return false
}

function number(text: string): string {
  return { true: '1', false: '0', t: '1', f: '0' }[text] ?? text
}

function sameNumber(from: ColumnType, to: ColumnType, [a, b]: readonly [string, string]): boolean {
  if (/[A-Z]/i.test(a.replace('e', ''))) return a === b
  const singles = [from, to].some((type) => type.kind === 'float' && type.bits === 32)
  if (singles) return Math.fround(Number(a)) === Math.fround(Number(b))
  // A double stands for all numbers that are read as it; which digits are written of it is each server's own.
  if (from.kind === 'float') return to.kind === 'float' ? Object.is(Number(a), Number(b)) : Number(a) === Number(b)
  const exact = to.kind === 'float' && from.kind === 'integer' ? String(BigInt(Number(b))) : b
  return new Decimal(a).eq(exact)
}

function time(text: string): string {
  const plain = text
    .replace(/\+00$/, '')
    .replace(/(\.\d*?)0+$/, '$1')
    .replace(/\.$/, '')
  return / |:/.test(plain) ? plain : `${plain} 00:00:00`
}
