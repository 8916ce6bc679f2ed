import type { ColumnType } from '#model/column-type.ts'

/**
 * The types of columns as the description of the API names them: without modifier, but for the length of character types,
 * and with the labels of enums. Every column is asked for in a form whose JSON is a string or null, so that no number is
 * ever parsed: cast to text where JSON would hold a number, a truth value or a structure, else as it is, because then the
 * string is what the type's own output function writes.
 */
export interface ColumnText {
  readonly type: ColumnType
  /** Ask for it cast to text. */
  readonly cast: boolean
  /** The string that arrives as the server's own output; null where it does not say exactly what the value is. */
  readonly toOwn: (text: string) => string | null
  /** The setting of a role that would be to blame for the null. */
  readonly setting: string
}

export interface Described {
  /** The type's name as the API spells it, e.g. `character varying`. */
  readonly format: string
  readonly maxLength: number | null
  readonly labels: readonly string[] | null
}

const same = (text: string): string => text

const cast = (type: ColumnType, toOwn: ColumnText['toOwn'] = same, setting = ''): ColumnText => ({
  type,
  cast: true,
  toOwn,
  setting,
})

const plain = (type: ColumnType, toOwn: ColumnText['toOwn'] = same, setting = ''): ColumnText => ({
  type,
  cast: false,
  toOwn,
  setting,
})

const only =
  (pattern: RegExp): ColumnText['toOwn'] =>
  (text) =>
    pattern.test(text) ? text : null

const DATE = String.raw`\d{4,}-\d\d-\d\d`
const TIME = String.raw`\d\d:\d\d:\d\d(?:\.\d{1,6})?`
const ISO_DATE = new RegExp(`^(?:${DATE}(?: BC)?|-?infinity)$`)
const JSON_STAMP = new RegExp(`^(${DATE})T(${TIME})(\\+00:00)?( BC)?$`)
/** What times look like inside other values, where no JSON writes them anew. */
const INNER = {
  date: new RegExp(`${DATE}(?: BC)?`, 'g'),
  timestamp: new RegExp(`${DATE} ${TIME}(?: BC)?`, 'g'),
  zoned: new RegExp(`${DATE} ${TIME}\\+00(?: BC)?`, 'g'),
}
const HEX_BYTES = /^\\x(?:[0-9a-f]{2})*$/
const DOLLARS = /^-?\$\d{1,3}(?:,\d{3})*\.\d\d$/
/** The style `postgres`; what it shares with `sql_standard` means the same in both. */
const INTERVAL =
  /^(?:(?:[+-]?\d+ (?:years?|mons?|days?))(?: [+-]?\d+ (?:years?|mons?|days?))*(?: [+-]?\d{2,}:\d\d:\d\d(?:\.\d{1,6})?)?|[+-]?\d{2,}:\d\d:\d\d(?:\.\d{1,6})?|-?infinity)$/

/** JSON writes times as ISO 8601 whatever the date style is; the server's own text has a blank, and `+00` for UTC. */
function fromJsonStamp(zoned: boolean): ColumnText['toOwn'] {
  return (text) => {
    if (text === 'infinity' || text === '-infinity') return text
    const [, date, time, zone, era = ''] = JSON_STAMP.exec(text) ?? []
    if (date === undefined || (zone !== undefined) !== zoned) return null
    return `${date} ${time}${zoned ? '+00' : ''}${era}`
  }
}

/** A structure of which nothing is left but its brackets once the values that are known are taken out. */
function madeOf(value: RegExp): ColumnText['toOwn'] {
  return (text) =>
    /[\dA-Za-z]/.test(text.replace(BOUNDS, '').replaceAll(value, '').replaceAll(WORDS, '')) ? null : text
}

const BOUNDS = /^(?:\[-?\d+:-?\d+\])+=/
const WORDS = /-?infinity|NULL|empty/g

const text = (maxLength: number | null): ColumnType => ({ kind: 'text', maxLength })
const other = (native: string): ColumnType => ({ kind: 'other', native })
const stamp = (zoned: boolean): ColumnType => ({ kind: 'timestamp', zoned, digits: 6 })

/** A numeric whose precision the API does not tell: the limits of the target are held against each value. */
const DECIMAL: ColumnType = { kind: 'decimal', precision: null, scale: null, untold: true }

const BUILT_IN: Readonly<Record<string, ColumnText>> = {
  smallint: cast({ kind: 'integer', bits: 16 }),
  integer: cast({ kind: 'integer', bits: 32 }),
  bigint: cast({ kind: 'integer', bits: 64 }),
  numeric: cast(DECIMAL),
  real: cast({ kind: 'float', bits: 32 }),
  'double precision': cast({ kind: 'float', bits: 64 }),
  text: plain(text(null)),
  boolean: cast({ kind: 'boolean' }, (value) => ({ true: 't', false: 'f' })[value] ?? null),
  date: plain({ kind: 'date' }, only(ISO_DATE), 'datestyle'),
  'timestamp without time zone': plain(stamp(false), fromJsonStamp(false), 'datestyle'),
  'timestamp with time zone': plain(stamp(true), fromJsonStamp(true), 'timezone'),
  'time without time zone': plain({ kind: 'time', zoned: false, digits: 6 }),
  'time with time zone': plain({ kind: 'time', zoned: true, digits: 6 }),
  interval: plain({ kind: 'interval', native: 'interval' }, only(INTERVAL), 'intervalstyle'),
  uuid: plain({ kind: 'uuid' }),
  bytea: plain({ kind: 'bytes' }, only(HEX_BYTES), 'bytea_output'),
  json: cast({ kind: 'json', binary: false }),
  jsonb: cast({ kind: 'json', binary: true }),
  money: plain(other('money'), only(DOLLARS), 'lc_monetary'),
  '"char"': plain(other('char')),
  'bit varying': plain(other('varbit')),
  int4range: plain(other('range of int4')),
  int8range: plain(other('range of int8')),
  numrange: plain(other('range of numeric')),
  daterange: plain(other('range of date'), madeOf(INNER.date), 'datestyle'),
  tsrange: plain(other('range of timestamp'), madeOf(INNER.timestamp), 'datestyle'),
  tstzrange: plain(other('range of timestamptz'), madeOf(INNER.zoned), 'timezone'),
  int4multirange: plain(other('ranges of int4')),
  int8multirange: plain(other('ranges of int8')),
  nummultirange: plain(other('ranges of numeric')),
  datemultirange: plain(other('ranges of date'), madeOf(INNER.date), 'datestyle'),
  tsmultirange: plain(other('ranges of timestamp'), madeOf(INNER.timestamp), 'datestyle'),
  tstzmultirange: plain(other('ranges of timestamptz'), madeOf(INNER.zoned), 'timezone'),
}

/** What values of an element look like inside an array, where they depend on settings. */
const INNER_OF: Readonly<Record<string, ColumnText['toOwn']>> = {
  date: madeOf(INNER.date),
  'timestamp without time zone': madeOf(INNER.timestamp),
  'timestamp with time zone': madeOf(INNER.zoned),
  bytea: madeOf(/\\\\x(?:[0-9a-f]{2})*/g),
  interval: madeOf(
    /(?:[+-]?\d+ (?:years?|mons?|days?) ?)+(?:[+-]?\d{2,}:\d\d:\d\d(?:\.\d{1,6})?)?|[+-]?\d{2,}:\d\d:\d\d(?:\.\d{1,6})?/g,
  ),
  money: madeOf(/-?\$\d{1,3}(?:,\d{3})*\.\d\d/g),
  daterange: madeOf(INNER.date),
  tsrange: madeOf(INNER.timestamp),
  tstzrange: madeOf(INNER.zoned),
}

/** Types of the server whose output depends on no setting, and whose name is the same everywhere. */
const PLAIN_NAMES = new Set(
  [
    'name oid inet cidr macaddr macaddr8 xml jsonpath tsvector tsquery pg_lsn pg_snapshot txid_snapshot',
    'point line lseg box path polygon circle',
  ].flatMap((line) => line.split(' ')),
)

/** How a column is asked for, and what its type is as far as the API tells. */
export function columnText({ format, maxLength, labels }: Described): ColumnText {
  if (labels !== null) return plain({ kind: 'enum', labels })
  if (format === 'character varying') return plain(text(maxLength))
  if (format === 'character') {
    return plain(maxLength === null ? other('bpchar') : { kind: 'padded text', length: maxLength })
  }
  const known = Object.hasOwn(BUILT_IN, format) ? BUILT_IN[format] : undefined
  if (known !== undefined) return known
  if (PLAIN_NAMES.has(format)) return plain(other(format))
  const element = format.endsWith('[]') ? format.slice(0, -2) : null
  if (element === null) return cast(other(unqualified(format)))
  const of = columnText({ format: element, maxLength: null, labels: null })
  const setting = of.setting === '' ? 'datestyle' : of.setting
  const inner = Object.hasOwn(INNER_OF, element) ? INNER_OF[element] : undefined
  return cast({ kind: 'array', of: of.type }, inner ?? same, setting)
}

/** A type of an extension has the same name in whatever schema it is. */
function unqualified(format: string): string {
  return format.replace(/^(?:"(?:[^"]|"")*"|[^".]+)\./, '')
}
