/**
 * Column types of PostgreSQL and values for them, weighted towards the bounds and oddities of each type. A value is the
 * text that the server's input function takes, in a session with ISO dates. Types of MariaDB are beside them
 * (`random-mariadb-types.ts`).
 */
import fc from 'fast-check'

/** The first server of a major version that knows the type or value. */
interface Since {
  readonly since?: number
}

export interface RandomType extends Since {
  /** As it stands in CREATE TABLE. */
  readonly sql: string
  readonly values: fc.Arbitrary<string>
  /** The n-th of the values that a key may have: distinct for the server too. Absent where it cannot be a key. */
  readonly keyOf?: (n: number) => string
  /** How a column that refers to one of this type is declared, where it differs. */
  readonly referredAs?: string
  /** Which stored column may be generated from a column of this type; always possible is whether it is NULL. */
  readonly generates?: { readonly sql: string; readonly from: (column: string) => string }
  /** Statements that make user-defined types, before the tables. */
  readonly requires?: readonly string[]
  /** The constant of a value, where that is no quoted text. */
  readonly constant?: (value: string) => string
  /** What gives a value of a column as the text that it is made of, where the column itself does not. */
  readonly read?: (column: string) => string
}

/** Text that imitates the syntax around it, is easily damaged, or is long. */
export const HOSTILE_TEXTS: readonly string[] = [
  '',
  'NULL',
  'null',
  '\\N',
  '\\\\N',
  '\\.',
  '\n\\.\n',
  '\t',
  '\r\n',
  '\r',
  'a\tb\nc\rd',
  "'",
  '"',
  '""',
  "it''s",
  '`',
  '\\',
  '\\x41',
  '\\0',
  ' ',
  ' lead and trail ',
  '{}',
  '{NULL}',
  '(,)',
  ',',
  ';',
  '--',
  '/* */',
  '$1',
  '$$',
  '%s%n',
  '\u0001\u001f\u007f',
  '\u0080\u009f',
  '\u00a0',
  '\u0301',
  'e\u0301',
  '\u00e9',
  '\u200b\u200e\u202e',
  '\u2028\u2029',
  '\ufeff',
  '\ufffd\uffff',
  '😀',
  '👩‍👩‍👧‍👦',
  '\u{10ffff}',
  'ß İ ı ſ',
  '0',
  '-0',
  '1e5',
  'NaN',
  'true',
  '2024-02-29',
  '__proto__',
  '<a>&amp;</a>',
]

const anyText = fc.string({ unit: 'binary', maxLength: 40 }).map((text) => text.replaceAll('\0', ''))

const longText = fc
  .tuple(fc.constantFrom('x', 'ab\\', '😀', '\t\n'), fc.constantFrom(2000, 8191, 100_000))
  .map(([unit, length]) => unit.repeat(Math.ceil(length / unit.length)))

export const text: fc.Arbitrary<string> = fc.oneof(
  { weight: 20, arbitrary: fc.constantFrom(...HOSTILE_TEXTS) },
  { weight: 8, arbitrary: anyText },
  { weight: 1, arbitrary: longText },
)

/** Cut to a number of characters, as PostgreSQL counts them. */
export const textUpTo = (length: number): fc.Arbitrary<string> =>
  text.map((value) => Array.from(value).slice(0, length).join(''))

export const oneOf = (...values: readonly string[]): fc.Arbitrary<string> => fc.constantFrom(...values)

export const mostly = (bounds: readonly string[], others: fc.Arbitrary<string>): fc.Arbitrary<string> =>
  fc.oneof({ weight: 2, arbitrary: fc.constantFrom(...bounds) }, { weight: 1, arbitrary: others })

/** The given values first, then what is made from a number. */
export const keys =
  (bounds: readonly string[], rest: (n: number) => string) =>
  (n: number): string =>
    bounds[n] ?? rest(n)

export const hex = (n: number, digits: number): string => n.toString(16).padStart(digits, '0')
export const pad = (n: number): string => String(n).padStart(2, '0')

export function integer(sql: string, bits: 16 | 32 | 64): RandomType {
  const top = 1n << BigInt(bits - 1)
  const bounds = ['0', '-1', '1', String(top - 1n), String(-top)]
  const wide = bits === 64 ? ['9007199254740992', '9007199254740993', '-9007199254740993'] : []
  return {
    sql,
    values: mostly([...bounds, ...wide], fc.bigInt({ min: -top, max: top - 1n }).map(String)),
    keyOf: keys([...bounds, ...wide], (n) => String(n * 3)),
    generates: { sql: 'numeric', from: (column) => `${column}::numeric * 2` },
  }
}

const asServerFloat = (value: number): string => (Object.is(value, -0) ? '-0' : String(value))

const MORE_DIGITS = '7'.repeat(1000)
const NUMERICS = ['0', '-0.00', '1.10', '1.1', '1e-20', '-99999999999999999999.999999999999', 'NaN', MORE_DIGITS]
export const SMALL_NUMERICS = ['0', '-0.005', '9999999.99', '-9999999.99', '1.1', '1.10', 'NaN']

const decimal = fc
  .tuple(fc.bigInt({ min: -(10n ** 30n), max: 10n ** 30n }), fc.nat(30))
  .map(([digits, scale]) => `${digits}e-${scale}`)

const NUMBERS: readonly RandomType[] = [
  integer('smallint', 16),
  integer('integer', 32),
  integer('bigint', 64),
  {
    sql: 'numeric',
    values: mostly([...NUMERICS, `-${MORE_DIGITS}.${MORE_DIGITS}`, `0.${'0'.repeat(999)}1`], decimal),
    keyOf: keys(['0', 'NaN', MORE_DIGITS, '1.10', '-0.5'], (n) => `${n}.25`),
  },
  { sql: 'numeric', since: 14, values: oneOf('Infinity', '-Infinity', 'NaN', '0.0') },
  { sql: 'numeric(9,2)', values: oneOf(...SMALL_NUMERICS), keyOf: (n) => `${n}.${pad(n % 100)}` },
  { sql: 'numeric(40,20)', values: mostly(['0', '1e-20', '99999999999999999999.99999999999999999999'], oneOf('-1.5')) },
  { sql: 'numeric(3)', values: oneOf('999', '-999', '0.4', '0.5', '-0.5') },
  {
    sql: 'real',
    values: mostly(
      ['0', '-0', 'NaN', 'Infinity', '-Infinity', '1e-45', '1.1754944e-38', '3.4028235e38', '16777217', '0.1'],
      fc.float().map(asServerFloat),
    ),
    keyOf: keys(['NaN', 'Infinity', '-Infinity', '1e-45', '0'], (n) => `${n}.5`),
  },
  {
    sql: 'double precision',
    values: mostly(
      ['0', '-0', 'NaN', 'Infinity', '-Infinity', '5e-324', '2.2250738585072014e-308', '1.7976931348623157e308', '0.1'],
      fc.double().map(asServerFloat),
    ),
    keyOf: keys(['NaN', '-Infinity', '5e-324', '0', '0.30000000000000004', '0.3'], (n) => `${n}.1`),
  },
  {
    sql: 'money',
    values: oneOf('0', '-92233720368547758.08', '92233720368547758.07', '-0.01', '1.5'),
    keyOf: (n) => `${n}.01`,
  },
  { sql: 'oid', values: oneOf('0', '1', '2147483648', '4294967295'), keyOf: keys(['4294967295'], String) },
  {
    sql: 'pg_lsn',
    values: oneOf('0/0', '16/B374D848', 'FFFFFFFF/FFFFFFFF'),
    keyOf: (n) => `${hex(n, 1)}/${hex(n, 1)}`,
  },
]

const md5 = { sql: 'text', from: (column: string): string => `md5(${column})` }

const TEXTS: readonly RandomType[] = [
  { sql: 'text', values: text, keyOf: keys(HOSTILE_TEXTS, (n) => `key ${n}`), generates: md5 },
  {
    sql: 'text COLLATE "C"',
    values: text,
    keyOf: keys(['A', 'a', 'á', 'a ', ' a', ''], (n) => `a-${n}`),
    generates: md5,
  },
  { sql: 'character varying', values: text },
  { sql: 'character varying(20)', values: textUpTo(20), keyOf: (n) => `é${n}`, generates: md5 },
  { sql: 'character varying(1)', values: textUpTo(1) },
  { sql: 'character(7)', values: textUpTo(7), keyOf: (n) => `c${n}` },
  { sql: 'character(1)', values: textUpTo(1) },
  { sql: 'name', values: textUpTo(15), keyOf: (n) => `name ${n}` },
  { sql: '"char"', values: oneOf('', 'a', ' ', '~', '"', "'", '\t') },
  {
    sql: 'bytea',
    values: mostly(
      ['\\x', '\\x00', '\\x5c', '\\xff00fe', `\\x${'ab'.repeat(50_000)}`],
      fc.uint8Array({ maxLength: 300 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`),
    ),
    keyOf: keys(['\\x', '\\x00', '\\x0000'], (n) => `\\xff${hex(n, 4)}`),
  },
]

export const DATES = [
  '4713-01-01 BC',
  '0001-12-31 BC',
  '0001-01-01',
  '1582-10-10',
  '2024-02-29',
  '9999-12-31',
  '10000-01-01',
]
export const STAMPS = [
  '4713-01-01 00:00:00 BC',
  '0044-03-15 12:00:00.5 BC',
  '1969-12-31 23:59:59.999999',
  '2024-03-31 02:30:00',
  '2024-10-27 01:30:00.000001',
  '9999-12-31 23:59:59.999999',
  '294276-12-31 23:59:59.999999',
  'infinity',
  '-infinity',
]
const ZONED = [...STAMPS.slice(1), '2024-03-10 02:30:00.123456-05', '1890-01-01 00:00:00+00:19:32']

const stamp = fc
  .record({ year: fc.integer({ min: 1, max: 20_000 }), day: fc.integer({ min: 1, max: 28 }), us: fc.nat(999_999) })
  .map(({ year, day, us }) => `${String(year).padStart(4, '0')}-0${(day % 9) + 1}-${pad(day)} 13:0${us % 6}:07.${us}`)

export const TIMES = ['00:00:00', '24:00:00', '23:59:59.999999', '12:34:56.1']

const DATES_AND_TIMES: readonly RandomType[] = [
  {
    sql: 'date',
    values: oneOf(...DATES, '5874897-12-31', 'infinity', '-infinity'),
    keyOf: keys(['infinity', '-infinity', ...DATES], (n) => `${2000 + n}-01-01`),
  },
  {
    sql: 'timestamp without time zone',
    values: mostly(STAMPS, stamp),
    keyOf: keys(STAMPS, (n) => `${2000 + n}-01-01`),
  },
  { sql: 'timestamp(0) without time zone', values: oneOf(...STAMPS.slice(0, 5), '2000-01-01 00:00:00.5') },
  {
    sql: 'timestamp with time zone',
    values: mostly(ZONED, stamp),
    keyOf: keys(ZONED, (n) => `${3000 + n}-06-01 00:00:00.00000${n % 10}+02`),
  },
  { sql: 'timestamp(3) with time zone', values: oneOf(...ZONED.slice(1, 4), '2024-01-01 00:00:00.0009') },
  { sql: 'time without time zone', values: oneOf(...TIMES), keyOf: keys(TIMES, (n) => `01:00:00.0${10 + n}`) },
  {
    sql: 'time with time zone',
    values: oneOf('24:00:00+00', '00:00:00+15:59', '23:59:59.999999-15:59', '01:02:03+05:30'),
  },
  {
    sql: 'interval',
    values: oneOf(
      '0',
      '1 year -2 mons +3 days -04:05:06.789',
      '-1 mon +30 days',
      '1 mon',
      '30 days',
      '720:00:00',
      '00:00:00.000001',
      '-00:00:00.000001',
      '178000000 years',
      '-178000000 years',
    ),
    keyOf: keys(['-1 mon', '00:00:00.000001'], (n) => `${n} days`),
  },
  { sql: 'interval', since: 17, values: oneOf('infinity', '-infinity') },
]

const JSON_ONLY = [' { "a" : 1,"a":2 } ', '"\\u0000"', '"\\ud800"', '1.10', '-0', '1e400', '{"b":1,"a":2}\n', '[1 ,2]']
export const JSONS = [
  '{}',
  '[]',
  'null',
  '""',
  'true',
  '9007199254740993',
  '{"__proto__": {"x": 1}}',
  '"\\u00e9\\n\\ud83d\\ude00"',
]
const json = fc.json({ stringUnit: 'grapheme-ascii' }).filter((value) => !value.includes('\\u0000'))

const DOCUMENTS: readonly RandomType[] = [
  { sql: 'json', values: mostly([...JSONS, ...JSON_ONLY], json) },
  { sql: 'jsonb', values: mostly([...JSONS, '1.10', '1.1', '-0', '1e300'], json), keyOf: (n) => `{"k": [${n}, null]}` },
  { sql: 'jsonpath', values: oneOf('$', '$."a"[*] ? (@ > 1.10)', 'strict $.**') },
  { sql: 'xml', values: oneOf('', '<a/>', '<a b="1">x<!-- c --></a>', 'text &lt; only', '<a>\n\t😀</a><b/>') },
  { sql: 'tsvector', values: oneOf('', "'a':1A 'b''c':2,3 'd\\\\e'", "'😀' ''''") },
  { sql: 'tsquery', values: oneOf('', "'a' & !'b'", "'a' <-> 'b':*A | 'c''d'") },
]

const bits = (max: number, min = 0): fc.Arbitrary<string> =>
  fc.array(fc.constantFrom('0', '1'), { minLength: min, maxLength: max }).map((all) => all.join(''))

const OTHERS: readonly RandomType[] = [
  { sql: 'boolean', values: oneOf('t', 'f') },
  { sql: 'uuid', values: fc.uuid(), keyOf: (n) => `00000000-0000-4000-8000-${hex(n, 12)}` },
  {
    sql: 'inet',
    values: oneOf(
      '0.0.0.0',
      '255.255.255.255',
      '10.1.2.3/8',
      '::',
      '::1/64',
      '2001:db8::ff00:42:8329',
      '::ffff:1.2.3.4',
    ),
    keyOf: (n) => `10.0.0.${n}/${24 + (n % 8)}`,
  },
  { sql: 'cidr', values: oneOf('0.0.0.0/0', '10.0.0.0/8', '::/0', '2001:db8::/32'), keyOf: (n) => `10.${n}.0.0/16` },
  {
    sql: 'macaddr',
    values: oneOf('00:00:00:00:00:00', 'ff:ff:ff:ff:ff:ff'),
    keyOf: (n) => `08:00:2b:01:02:${hex(n, 2)}`,
  },
  { sql: 'macaddr8', values: oneOf('08:00:2b:01:02:03:04:05'), keyOf: (n) => `08:00:2b:01:02:03:04:${hex(n, 2)}` },
  { sql: 'bit(8)', values: bits(8, 8), keyOf: (n) => n.toString(2).padStart(8, '0') },
  {
    sql: 'bit varying',
    values: mostly(['', '0', '00'], bits(200)),
    keyOf: keys(['', '0', '00'], (n) => `1${n.toString(2)}`),
  },
  { sql: 'point', values: oneOf('(0,-0)', '(1.5,-2e-300)', '(NaN,Infinity)', '(0.1,1e308)') },
  { sql: 'line', values: oneOf('{1,-1,0}', '{0.1,2,3e10}') },
  { sql: 'lseg', values: oneOf('[(0,0),(1,1)]', '[(0.1,-1),(1e10,2)]') },
  { sql: 'box', values: oneOf('(1,1),(0,0)', '(0.1,5),(-3,1e-9)') },
  { sql: 'path', values: oneOf('[(0,0),(1,1)]', '((0,0),(1,1),(2,0))') },
  { sql: 'polygon', values: oneOf('((0,0),(1,1),(2,0))', '((0.1,1e10))') },
  { sql: 'circle', values: oneOf('<(0,0),0>', '<(0.1,-2),1e5>') },
  { sql: 'pg_snapshot', values: oneOf('1:1:', '10:20:10,14,15') },
  {
    sql: 'int4range',
    values: oneOf('empty', '(,)', '[1,5)', '(-2147483648,2147483647)'),
    keyOf: (n) => `[${n},${n + 3})`,
  },
  { sql: 'int8range', values: oneOf('empty', '[9007199254740993,)', '[1,1]') },
  { sql: 'numrange', values: oneOf('empty', '(,)', '[0.10,1.1]', '(1,NaN]') },
  { sql: 'daterange', values: oneOf('empty', '[2024-02-29,infinity)', '(,0001-01-01 BC)') },
  { sql: 'tsrange', values: oneOf('empty', '["2024-01-01 00:00:00.000001",infinity]') },
  { sql: 'tstzrange', values: oneOf('empty', '(,)', '[-infinity,"2024-03-10 02:30:00-05")') },
  { sql: 'int4multirange', since: 14, values: oneOf('{}', '{[1,3),[5,7)}', '{(,)}') },
  { sql: 'tstzmultirange', since: 14, values: oneOf('{}', '{["2024-01-01 00:00:00+00",infinity)}') },
]

const literal = (value: string): string => `'${value.replaceAll("'", "''")}'`

const LABELS = ['sad', 'Sad', ' sad', '', 'it\'s "ok", {really}', 'NULL', '😀', 'a\\b', 'é'.repeat(31)]
export const MOOD = '"Mood 😀"'
const CREATE_MOOD = `CREATE TYPE ${MOOD} AS ENUM (${LABELS.map(literal).join(', ')})`

export const SHORT = '"short; text"'
const CREATE_SHORT = `CREATE DOMAIN ${SHORT} AS text CHECK (char_length(VALUE) <= 20)`
const PRICE = '"Price"'
const CREATE_PRICE = `CREATE DOMAIN ${PRICE} AS numeric(10,2) CHECK (VALUE BETWEEN -99999999.99 AND 99999999.99)`

const PAIR = '"a ""pair"""'
const CREATE_PAIR = `CREATE TYPE ${PAIR} AS ("n o" bigint, word text, mood ${MOOD})`

const quoted = (value: string): string => `"${value.replaceAll('\\', '\\\\').replaceAll('"', '\\"')}"`

const pair = fc
  .tuple(
    fc.option(fc.bigInt({ min: -9n, max: 2n ** 63n - 1n })),
    fc.option(text),
    fc.option(fc.constantFrom(...LABELS)),
  )
  .map((fields) => `(${fields.map((field) => (field === null ? '' : quoted(String(field)))).join(',')})`)

const mood: RandomType = {
  sql: MOOD,
  values: oneOf(...LABELS),
  requires: [CREATE_MOOD],
  generates: { sql: 'boolean', from: (column) => `${column} = 'Sad'` },
}
const composite: RandomType = { sql: PAIR, values: pair, requires: [CREATE_MOOD, CREATE_PAIR] }

const USER_DEFINED: readonly RandomType[] = [
  mood,
  composite,
  { sql: SHORT, values: textUpTo(20), keyOf: (n) => `short ${n}`, requires: [CREATE_SHORT] },
  {
    sql: PRICE,
    values: oneOf('99999999.99', '-99999999.99', '0', '0.005'),
    keyOf: (n) => `${n}.99`,
    requires: [CREATE_PRICE],
  },
]

/** Arrays of a type: empty, flat, of two dimensions, with NULLs, and with a lower bound that is not 1. */
function arrayOf(type: RandomType, delimiter = ','): RandomType {
  const item = fc.option(type.values, { freq: 4 }).map((value) => (value === null ? 'NULL' : quoted(value)))
  const list = fc.array(item, { minLength: 1, maxLength: 4 })
  const braces = (items: readonly string[]): string => `{${items.join(delimiter)}}`
  const values = fc.oneof(
    fc.constant('{}'),
    list.map(braces),
    list.map((items) => `[0:${items.length - 1}]=${braces(items)}`),
    fc.tuple(list, list).map(([a, b]) => braces([braces(a), braces(a.map((each, index) => b[index] ?? each))])),
  )
  const { sql, since, requires } = type
  return { sql: `${sql}[]`, values, ...(since ? { since } : {}), ...(requires ? { requires } : {}) }
}

const ELEMENTS = new Set([
  'integer',
  'numeric',
  'text',
  'bytea',
  'timestamp with time zone',
  'jsonb',
  'double precision',
])

const PLAIN: readonly RandomType[] = [...NUMBERS, ...TEXTS, ...DATES_AND_TIMES, ...DOCUMENTS, ...OTHERS]

const ARRAYS: readonly RandomType[] = [
  ...PLAIN.filter((type) => ELEMENTS.has(type.sql)).map((type) => arrayOf(type)),
  { ...arrayOf(mood), sql: `${MOOD}[]` },
  arrayOf(composite),
  ...PLAIN.filter((type) => type.sql === 'box').map((type) => arrayOf(type, ';')),
  { sql: 'integer[]', values: oneOf('{{{1},{NULL}}}', '[-2:-1][3:3]={{1},{2}}'), keyOf: (n) => `{${n},NULL}` },
]

/** Keys that the server numbers itself. */
const NUMBERED: readonly RandomType[] = [
  { sql: 'integer GENERATED ALWAYS AS IDENTITY', referredAs: 'integer' },
  { sql: 'bigint GENERATED BY DEFAULT AS IDENTITY (START WITH 1000)', referredAs: 'bigint' },
  { sql: 'serial', referredAs: 'integer' },
  { sql: 'bigserial', referredAs: 'bigint' },
].map((type) => ({ ...type, values: fc.nat(1000).map(String), keyOf: (n: number) => String(n * 2 + 1) }))

/** How many keys each type has at least: `keyOf` may be called with 0 up to this, exclusively. */
export const KEYS = 80

const known =
  (major: number) =>
  ({ since }: RandomType): boolean =>
    since === undefined || since <= major

/** Every type that a server of this major version knows. */
export function typesOf(major: number): readonly RandomType[] {
  return [...PLAIN, ...USER_DEFINED, ...ARRAYS].filter(known(major))
}

/** A type with the keys that it can have. */
export interface KeyType extends RandomType {
  readonly keyOf: (n: number) => string
}

/** The types that a key column may have, and the numbered ones among them as often as in life. */
export function keyTypesOf(major: number): readonly KeyType[] {
  const orderable = typesOf(major).filter((type) => 'keyOf' in type && type.keyOf !== undefined)
  return [...orderable, ...NUMBERED, ...NUMBERED].flatMap((type) =>
    type.keyOf ? [{ ...type, keyOf: type.keyOf }] : [],
  )
}
