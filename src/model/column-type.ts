import type { ColumnHash } from './fingerprint.ts'

/**
 * A column's type in words that every engine shares. What only one engine has is `other` under its own signature.
 * `signature` says all that decides whether two types carry the very same values: two columns whose signatures are
 * equal exchange values as they are, of whatever engine.
 */
export type ColumnType =
  | IntegerType
  | {
      readonly kind: 'decimal'
      readonly precision: number | null
      readonly scale: number | null
      /** It may have a precision that the source does not tell. */
      readonly untold?: true
      /** It has neither NaN nor infinities. */
      readonly finite?: true
      readonly unsigned?: true
    }
  | {
      readonly kind: 'float'
      readonly bits: 32 | 64
      /** It has neither NaN nor infinities, and one zero. */
      readonly finite?: true
      readonly unsigned?: true
      /** It rounds what it is given to so many places after the point. */
      readonly places?: number
    }
  | TextType
  | {
      readonly kind: 'padded text'
      readonly length: number
      /** What it fills up with is no part of its output. */
      readonly trimmed?: true
      readonly nul?: true
      readonly charset?: string
    }
  | {
      readonly kind: 'boolean'
      /** It is an integer of 8 bits: `t`, `f`, or another number. */
      readonly tiny?: true
    }
  | { readonly kind: 'timestamp'; readonly zoned: boolean; readonly digits: number; readonly within?: TimeRange }
  | { readonly kind: 'date'; readonly within?: TimeRange }
  | {
      readonly kind: 'time'
      readonly zoned: boolean
      readonly digits: number
      /** It is a span of up to 838 hours, and may be negative. */
      readonly signed?: true
    }
  | { readonly kind: 'interval'; readonly native: string }
  | {
      readonly kind: 'uuid'
      /** It refuses some that are of no version that its server knows. */
      readonly strict?: true
    }
  | {
      readonly kind: 'bytes'
      readonly maxBytes?: number
      /** Of this length always: what is shorter is filled up with zero bytes. */
      readonly padded?: number
    }
  | {
      readonly kind: 'json'
      readonly binary: boolean
      /** The server has a grammar and bounds of its own: what it takes for JSON is not quite what others do. */
      readonly dialect?: 'mariadb' | 'mysql'
    }
  | {
      readonly kind: 'enum'
      readonly labels: readonly string[]
      /** The catalogue cannot write some labels, and has a question mark for each character of theirs. */
      readonly untold?: true
    }
  | { readonly kind: 'array'; readonly of: ColumnType }
  | { readonly kind: 'other'; readonly native: string }

export interface IntegerType {
  readonly kind: 'integer'
  readonly bits: 8 | 16 | 24 | 32 | 64
  readonly unsigned?: true
  /** It has 0 and the years from 1901 to 2155 alone. */
  readonly year?: true
}

export interface TextType {
  readonly kind: 'text'
  readonly maxLength: number | null
  /** Of the text in UTF-8, or in its character set. */
  readonly maxBytes?: number
  /** It may hold NUL characters. */
  readonly nul?: true
  /** It has the characters of this set alone; without it, all. */
  readonly charset?: string
}

/** Which times there are. `calendar`: the years 0 to 9999, and days of a zero month or year; `epoch`: from 1970 on, for so long. */
export type TimeRange = 'calendar' | 'epoch'

/** How a value is written down so that both sides write it alike; each adapter says it in its own SQL. */
export type Form =
  /** the type's own output text */
  | 'own'
  /** the value cast to text */
  | 'text'
  /** a plain decimal number without trailing zeros after the point */
  | 'decimal'
  /** the same of a source that tells no precision: its reader refuses a value that numeric(precision,scale) would round */
  | `decimal(${number},${number})`
  /** an IEEE double, shortest text that reads back the same */
  | 'float64'
  /** `YYYY-MM-DD HH:MM:SS[.ffffff]` without a zone */
  | 'timestamp'
  /** a whole number, of a boolean 0 or 1 */
  | 'integer'

/**
 * Whether one type can be carried into another without losing or inventing anything, and in which form. `refuses`: what the
 * server of the target has no value for; it refuses such a value by itself, so that its row is set aside.
 */
export type Carriage =
  | { readonly ok: true; readonly form: Form; readonly refuses?: string }
  | { readonly ok: false; readonly reason: string }

/** How the fast fingerprint takes a column of a pair: one way for both sides, or else by output. */
export function columnHash({
  source,
  target,
  form,
}: {
  source: ColumnType
  target: ColumnType
  form: Form
}): ColumnHash {
  // Every other form is made by an expression of ours, whose type has no cast of its own.
  if (form !== 'own') return 'text'
  const [from, to] = [typeHash(source), typeHash(target)]
  return from === to ? from : 'output'
}

function typeHash(type: ColumnType): ColumnHash {
  switch (type.kind) {
    case 'integer':
    case 'boolean':
    case 'uuid':
      return type.kind
    case 'array':
      // Only the arrays of the server's own types: whoever owns a type may give its arrays a cast.
      return isCatalogType(type.of) ? 'text' : 'output'
    case 'padded text':
    case 'other':
      return 'output'
    default:
      return 'text'
  }
}

function isCatalogType(type: ColumnType): boolean {
  if (type.kind === 'array') return isCatalogType(type.of)
  return type.kind !== 'enum' && type.kind !== 'other'
}

const own: Carriage = { ok: true, form: 'own' }
const no = (reason: string): Carriage => ({ ok: false, reason })
const as = (form: Form, ...refused: readonly (string | null)[]): Carriage => {
  const refuses = refused.filter((what) => what !== null).join(', ')
  return refuses === '' ? { ok: true, form } : { ok: true, form, refuses }
}

/**
 * Judges a pair of column types. Only what is lossless for every value of the source type passes, but for values that the
 * target's server is known to refuse.
 */
export function judgePair(source: ColumnType, target: ColumnType): Carriage {
  if (JSON.stringify(source) === JSON.stringify(target)) return as('own', unfitZeros(source))
  if (isSpatial(source) && isSpatial(target)) return judgeSpatial(source, target)
  if (isSpatial(source) || isSpatial(target)) return impossible(source, target)
  if (target.kind === 'text') return judgeIntoText(source, target)
  switch (source.kind) {
    case 'boolean':
      return judgeBoolean(source, target)
    case 'integer':
      return judgeInteger(source, target)
    case 'decimal':
      return judgeDecimal(source, target)
    case 'float':
      return judgeFloat(source, target)
    case 'padded text': {
      if (target.kind !== 'padded text' || target.length !== source.length) return impossible(source, target)
      return as('text', ...unfitText(source, target))
    }
    case 'timestamp':
      return target.kind === 'timestamp' && target.zoned === source.zoned && target.digits >= source.digits
        ? as('own', unfitTimes(source.within, target.within))
        : impossible(source, target)
    case 'time':
      return judgeTime(source, target)
    case 'date':
      if (target.kind === 'date') return as('own', unfitTimes(source.within, target.within))
      return target.kind === 'timestamp' && !target.zoned
        ? as('timestamp', unfitTimes(source.within, target.within))
        : impossible(source, target)
    case 'bytes':
      return judgeBytes(source, target)
    case 'uuid':
      if (target.kind !== 'uuid') return impossible(source, target)
      return as('own', target.strict ? 'UUIDs of versions that its server does not know' : null)
    case 'json':
      return judgeJson(source, target)
    case 'enum': {
      if (target.kind !== 'enum') return impossible(source, target)
      if (target.untold) return as('own', 'labels that it has not')
      if (source.untold) return no('the catalogue of the source cannot write all labels')
      const missing = source.labels.filter((label) => !target.labels.includes(label))
      return missing.length === 0 ? own : no(`the target enum has no label ${missing.map((l) => `"${l}"`).join(', ')}`)
    }
    case 'array': {
      if (target.kind !== 'array') return impossible(source, target)
      const element = judgePair(source.of, target.of)
      return element.ok && element.form !== 'own' ? no('the elements would have to be converted one by one') : element
    }
    default:
      return impossible(source, target)
  }
}

interface TextMarks {
  readonly nul?: true
  readonly charset?: string
}

/** Bytes of a character in UTF-8, at most. */
const CHARACTER_BYTES = 4

function judgeIntoText(source: ColumnType, target: TextType): Carriage {
  const marks: TextMarks = source.kind === 'text' || source.kind === 'padded text' ? source : {}
  const unfit = unfitText(marks, target)
  if (target.maxLength === null) {
    const { maxBytes } = target
    const fits = maxBytes === undefined || (mostBytes(source) ?? Infinity) <= maxBytes
    return as(source.kind === 'text' ? 'own' : 'text', ...unfit, fits ? null : `more than ${maxBytes} bytes`)
  }
  if (source.kind === 'text' && source.maxLength !== null && source.maxLength <= target.maxLength) {
    return as('own', ...unfit)
  }
  if (source.kind === 'padded text' && source.length <= target.maxLength) return as('text', ...unfit)
  if (source.kind === 'uuid' && target.maxLength >= 36) return as('text')
  return no(`a value may be longer than ${target.maxLength} characters`)
}

/** How many bytes the texts of a type have at most, where that is known. */
function mostBytes(type: ColumnType): number | null {
  switch (type.kind) {
    case 'text':
      return type.maxBytes ?? (type.maxLength === null ? null : type.maxLength * CHARACTER_BYTES)
    case 'padded text':
      return type.length * CHARACTER_BYTES
    case 'integer':
    case 'boolean':
    case 'uuid':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'float':
      return 40
    default:
      return null
  }
}

function unfitText(source: TextMarks, target: TextMarks): (string | null)[] {
  const another = target.charset !== undefined && target.charset !== source.charset
  return [
    source.nul && !target.nul ? 'NUL characters' : null,
    another ? `characters that ${target.charset} has not` : null,
  ]
}

function judgeBoolean(source: { readonly tiny?: true }, target: ColumnType): Carriage {
  const type: ColumnType = { kind: 'boolean', ...source }
  if (target.kind === 'boolean') return as('own', source.tiny ? 'numbers but 0 and 1' : null)
  if (target.kind !== 'integer' || target.year || !source.tiny) return impossible(type, target)
  return target.unsigned ? no('a negative number has no place in it') : as('integer')
}

/** The smallest and the largest number of an integer type. */
export function integerRange({ bits, unsigned }: IntegerType): { readonly least: bigint; readonly most: bigint } {
  const size = 1n << BigInt(bits)
  return unsigned ? { least: 0n, most: size - 1n } : { least: -size / 2n, most: size / 2n - 1n }
}

function judgeInteger(source: IntegerType, target: ColumnType): Carriage {
  const { least, most } = integerRange(source)
  if (target.kind === 'boolean' && target.tiny) {
    return source.bits === 8 && !source.unsigned ? as('integer') : no(`${describeType(source)} overflows 8 bits`)
  }
  if (target.kind === 'integer') {
    const range = integerRange(target)
    if (target.year) return no('a number need not be a year')
    return range.least <= least && range.most >= most
      ? own
      : no(
          source.unsigned || target.unsigned
            ? `${describeType(source)} overflows ${describeType(target)}`
            : `${source.bits}-bit integers overflow ${target.bits} bits`,
        )
  }
  if (target.kind === 'decimal') {
    if (target.precision === null) return as('decimal')
    const scale = target.scale ?? 0
    if (scale < 0) return no(`${describeType(target)} rounds whole numbers`)
    const [whole, digits] = [target.precision - scale, String(most).length]
    if (whole < digits) return no(`values of ${digits} digits overflow ${describeType(target)}`)
    return as('decimal', unfitSign(source, target))
  }
  if (target.kind === 'float' && target.bits === 64 && source.bits <= 32 && target.places === undefined) {
    return as('float64', unfitSign(source, target))
  }
  return impossible({ kind: 'integer', bits: 64 }, target)
}

interface NumberMarks {
  readonly finite?: true
  readonly unsigned?: true
}

function unfitSign(source: NumberMarks, target: NumberMarks): string | null {
  return target.unsigned && !source.unsigned ? 'negative numbers' : null
}

function unfitNumbers(source: NumberMarks, target: NumberMarks): (string | null)[] {
  return [target.finite && !source.finite ? 'NaN, infinities' : null, unfitSign(source, target)]
}

function judgeDecimal(source: Extract<ColumnType, { kind: 'decimal' }>, target: ColumnType): Carriage {
  if (target.kind !== 'decimal') return impossible(source, target)
  // An unlimited numeric keeps the scale that each value came with, so the texts agree as they are.
  if (target.precision === null) return own
  const unfit = unfitNumbers(source, target)
  if (source.untold) return as(`decimal(${target.precision},${target.scale ?? 0})`, ...unfit)
  if (source.precision === null) return no(`a value may not fit ${describeType(target)}`)
  const scale = target.scale ?? 0
  const whole = target.precision - scale
  const fits = scale >= (source.scale ?? 0) && whole >= source.precision - (source.scale ?? 0)
  return fits ? as('decimal', ...unfit) : no(`${describeType(source)} does not fit ${describeType(target)}`)
}

function judgeFloat(source: Extract<ColumnType, { kind: 'float' }>, target: ColumnType): Carriage {
  if (target.kind !== 'float' || target.bits < source.bits) return impossible(source, target)
  if (target.places !== undefined) return no(`the target rounds to ${target.places} places after the point`)
  const zero = target.finite && !source.finite ? 'the negative zero' : null
  return as('float64', ...unfitNumbers(source, target), zero)
}

/** The shapes of MySQL and MariaDB. Their text is that of `ST_AsText` with the SRID before it: `SRID=4326;POINT(10 59.9)`. */
export function isSpatial(type: ColumnType): boolean {
  return type.kind === 'other' && SPATIAL.test(type.native)
}

const SPATIAL = /^geometry\((?:geometry|point|linestring|polygon|multi[a-z]+|geometrycollection)\)$/
const ANY_SHAPE = 'geometry(geometry)'

/** A shape is no text but by a transform, which says what becomes of its SRID. */
function judgeSpatial(source: ColumnType, target: ColumnType): Carriage {
  if (source.kind !== 'other' || target.kind !== 'other') return impossible(source, target)
  if (target.native === ANY_SHAPE) return own
  return source.native === ANY_SHAPE ? as('own', `shapes that are no ${target.native}`) : impossible(source, target)
}

/** Whether a type has days of which the year, the month or the day is zero (hazard C5). */
export function mayHoldZeroDates(type: ColumnType): boolean {
  return isDateOrTimestamp(type) && type.within !== undefined
}

export function isDateOrTimestamp(type: ColumnType): type is Extract<ColumnType, { kind: 'date' | 'timestamp' }> {
  return type.kind === 'date' || type.kind === 'timestamp'
}

/** Sessions of ours write no days of zeros but where somebody wants them kept. */
function unfitZeros(type: ColumnType): string | null {
  return mayHoldZeroDates(type) ? ZEROS : null
}

const ZEROS = 'days and times of zeros'

/** Of times that one side has and the other has not. */
function unfitTimes(source: TimeRange | undefined, target: TimeRange | undefined): string | null {
  if (source !== undefined && source === target) return ZEROS
  if (target === 'epoch') return 'times before 1970 and after what 32 bits of seconds reach, infinity'
  if (target === 'calendar') return source === undefined ? 'years before 1 and after 9999, infinity' : ZEROS
  if (source === undefined) return null
  return source === 'calendar' ? `${ZEROS}, the year 0` : ZEROS
}

function judgeTime(source: Extract<ColumnType, { kind: 'time' }>, target: ColumnType): Carriage {
  if (target.kind === 'interval' && source.signed) {
    const [, digits = '6'] = /^interval(?:\((\d)\))?$/.exec(target.native) ?? [null, '-1']
    return Number(digits) >= source.digits ? own : no(`${target.native} does not hold ${describeType(source)}`)
  }
  if (target.kind !== 'time' || target.zoned !== source.zoned) return impossible(source, target)
  if (source.signed && !target.signed) return no('a span may be negative or longer than a day')
  return target.digits >= source.digits ? own : impossible(source, target)
}

function judgeBytes(source: Extract<ColumnType, { kind: 'bytes' }>, target: ColumnType): Carriage {
  if (target.kind !== 'bytes') return impossible(source, target)
  if (target.padded !== undefined && target.padded !== source.padded) {
    return no(`what is shorter than ${target.padded} bytes would be filled up`)
  }
  const { maxBytes } = target
  const fits = maxBytes === undefined || (source.maxBytes ?? Infinity) <= maxBytes
  return as('own', fits ? null : `more than ${maxBytes} bytes`)
}

function judgeJson(source: Extract<ColumnType, { kind: 'json' }>, target: ColumnType): Carriage {
  if (target.kind !== 'json') return impossible(source, target)
  if (target.binary) return source.binary ? own : no('json keeps spacing, order and duplicate keys that jsonb drops')
  // MySQL writes JSON anew, in a form of its own.
  if (target.dialect === 'mysql') return no('json keeps spacing, order, numbers and duplicate keys that MySQL rewrites')
  return as('own', source.dialect === target.dialect ? null : 'what the server does not take for JSON')
}

function impossible(source: ColumnType, target: ColumnType): Carriage {
  return no(`${describeType(source)} cannot become ${describeType(target)} without a conversion that somebody chose`)
}

/** For people: `decimal(10,2)`, `timestamp(6) with time zone`. */
export function describeType(type: ColumnType): string {
  switch (type.kind) {
    case 'integer':
      if (type.year) return 'year'
      return `${type.unsigned ? 'unsigned ' : ''}${type.bits}-bit integer`
    case 'float':
      return `${type.bits}-bit float`
    case 'decimal':
      return type.precision === null ? 'decimal' : `decimal(${type.precision},${type.scale ?? 0})`
    case 'text':
      if (type.maxBytes !== undefined) return `text(${type.maxBytes} bytes)`
      return type.maxLength === null ? 'text' : `text(${type.maxLength})`
    case 'padded text':
      return `char(${type.length})`
    case 'timestamp':
      return `timestamp(${type.digits})${type.zoned ? ' with time zone' : ''}`
    case 'time':
      if (type.signed) return `time span(${type.digits})`
      return `time(${type.digits})${type.zoned ? ' with time zone' : ''}`
    case 'bytes':
      return type.maxBytes === undefined ? 'bytes' : `bytes(${type.maxBytes})`
    case 'json':
      return type.binary ? 'jsonb' : 'json'
    case 'enum':
      return `enum(${type.labels.length} labels)`
    case 'array':
      return `array of ${describeType(type.of)}`
    case 'interval':
    case 'other':
      return type.native
    case 'boolean':
    case 'date':
    case 'uuid':
      return type.kind
  }
}
