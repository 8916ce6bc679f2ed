import {
  describeType,
  integerRange,
  isSpatial,
  judgePair,
  type ColumnType,
  type Form,
  type IntegerType,
  type TextType,
  type TimeRange,
} from '#model/column-type.ts'
import { ValueRefused, type Value } from '#model/value.ts'
import { floatText } from '#sync/values/float-text.ts'
import { jsonbText } from '#sync/values/jsonb-text.ts'

/**
 * How a value that was computed on the way gets into a column: checked against the column's type value by value, and
 * written as the target's server would write it back, so that both sides compare equal afterwards. What does not fit
 * exactly is refused, never cut or rounded (invariant 4): rounding is a transform that somebody chose.
 */
export interface Fit {
  /** The form in which the target's side is read. */
  readonly form: Form
  /** @throws ValueRefused */
  readonly convert: (value: Value) => Value
}

type Convert = (text: string) => string

/** @returns why no value of the one type can get into a column of the other, where that is so */
export function fitValue(from: ColumnType, to: ColumnType): Fit | { readonly reason: string } {
  const how = converter(from, to)
  if (how === null) {
    return { reason: `${describeType(from)} does not become ${describeType(to)} by itself: add the transform cast` }
  }
  const [form, convert] = how
  return { form, convert: (value) => (value === null ? null : convert(textOf(value))) }
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

function textOf(value: string | Uint8Array): string {
  if (typeof value === 'string') return value
  try {
    return utf8.decode(value)
  } catch {
    throw new ValueRefused('holds bytes that are no text')
  }
}

const same: Convert = (text) => text

function converter(from: ColumnType, to: ColumnType): [Form, Convert] | null {
  if (isSpatial(from) && !isSpatial(to)) return null
  const number = isNumber(from)
  switch (to.kind) {
    case 'text':
      return ['own', intoText(from, to)]
    case 'padded text':
      if (from.kind === 'padded text') return ['own', (value) => padded(to)(unpadded(value))]
      return from.kind === 'text' ? ['own', padded(to)] : null
    case 'integer':
      return number && !to.year ? ['own', intoInteger(from, to)] : fromBoolean(from, to)
    case 'boolean':
      return intoBoolean(from, to)
    case 'decimal':
      return number ? ['decimal', intoDecimal(to)] : null
    case 'float':
      return number ? intoFloat(from, to) : null
    case 'timestamp':
      if (from.kind === 'date' && !to.zoned) return ['own', within(to.within, fromDate)]
      return from.kind === 'timestamp' && from.zoned === to.zoned
        ? ['own', within(to.within, withDigits(to.digits))]
        : null
    case 'date':
      return from.kind === 'date' ? ['own', within(to.within, same)] : null
    case 'time':
      return intoTime(from, to)
    case 'bytes':
      return from.kind === 'bytes' ? ['own', intoBytes(to)] : null
    case 'json':
      if (from.kind !== 'json' || (to.dialect === 'mysql' && from.dialect !== 'mysql')) return null
      return ['own', to.binary && !from.binary ? jsonbText : same]
    case 'enum':
      if (from.kind !== 'enum' && from.kind !== 'text') return null
      return ['own', to.untold ? same : intoEnum(to.labels)]
    default: {
      const carriage = judgePair(from, to)
      return carriage.ok && carriage.form === 'own' ? ['own', same] : null
    }
  }
}

function isNumber({ kind }: ColumnType): boolean {
  return kind === 'integer' || kind === 'decimal' || kind === 'float'
}

function intoText(from: ColumnType, { maxLength, maxBytes, nul }: TextType): Convert {
  return (value) => {
    const text = asText(from, value)
    if (maxBytes !== undefined && Buffer.byteLength(text) > maxBytes) {
      throw new ValueRefused(`is longer than ${maxBytes} bytes`)
    }
    if (!nul && text.includes('\0'))
      throw new ValueRefused('holds a NUL character, which no text of the target can hold')
    if (maxLength !== null && text.length > maxLength && characters(text) > maxLength) {
      throw new ValueRefused(`is longer than ${maxLength} characters`)
    }
    return text
  }
}

const WORDS: ReadonlyMap<string, string> = new Map([
  ['t', 'true'],
  ['f', 'false'],
])

/** What the server's own cast to text makes of an output. */
function asText(from: ColumnType, value: string): string {
  // A boolean's own output is a letter; as a text it is a word.
  if (from.kind === 'boolean') return WORDS.get(value) ?? value
  // The cast shows the length of the network of a single host, the output leaves it out.
  if (from.kind === 'other' && from.native === 'inet' && !value.includes('/')) {
    return `${value}/${value.includes(':') ? 128 : 32}`
  }
  const isPadded = from.kind === 'padded text' || (from.kind === 'other' && from.native === 'bpchar')
  return isPadded ? unpadded(value) : value
}

function unpadded(text: string): string {
  return text.replace(/ +$/, '')
}

/** Code points, as PostgreSQL counts. */
function characters(text: string): number {
  let count = 0
  for (const _ of text) count += 1
  return count
}

function padded({ length, trimmed }: { readonly length: number; readonly trimmed?: true }): Convert {
  return (text) => {
    if (text.endsWith(' '))
      throw new ValueRefused('ends in a space, which char does not tell from what it fills up with')
    const missing = length - characters(text)
    if (missing < 0) throw new ValueRefused(`is longer than ${length} characters`)
    return trimmed ? text : text + ' '.repeat(missing)
  }
}

const PLAIN_NUMBER = /^([+-]?)(\d*)(?:\.(\d*))?(?:[eE]([+-]?\d{1,5}))?$/

/** A number as its digits: sign, whole part without leading and fraction without trailing zeros; null for NaN and infinities. */
function readNumber(text: string): { sign: string; whole: string; fraction: string } | null {
  const match = PLAIN_NUMBER.exec(text)
  if (match === null || `${match[2]}${match[3] ?? ''}` === '') return null
  const [, sign = '', before = '', after = '', exponent = '0'] = match
  const shift = Number(exponent)
  const digits = before + after
  const point = before.length + shift
  const whole = (point <= 0 ? '' : digits.slice(0, point).padEnd(point, '0')).replace(/^0+/, '')
  const fraction = (point < 0 ? '0'.repeat(-point) + digits : digits.slice(point)).replace(/0+$/, '')
  const zero = whole === '' && fraction === ''
  return { sign: sign === '-' && !zero ? '-' : '', whole, fraction }
}

function intoInteger(from: ColumnType, to: IntegerType): Convert {
  const { least, most } = integerRange(to)
  const read = from.kind === 'float' ? wholeOfFloat(from.bits) : wholeOfText
  return (text) => {
    const value = read(text)
    if (value === null) throw new ValueRefused('is not a whole number')
    if (value < least || value > most) {
      throw new ValueRefused(to.unsigned && value < 0n ? 'is negative' : `does not fit ${to.bits} bits`)
    }
    return String(value)
  }
}

/** A boolean that is a number of 8 bits is one for integers, and of its numbers 0 and 1 are booleans elsewhere. */
const TINY: IntegerType = { kind: 'integer', bits: 8 }

function fromBoolean(from: ColumnType, to: IntegerType): [Form, Convert] | null {
  if (from.kind !== 'boolean' || !from.tiny || to.year) return null
  const fit = intoInteger(TINY, to)
  return ['integer', (text) => fit(text === 't' ? '1' : text === 'f' ? '0' : text)]
}

function intoBoolean(from: ColumnType, to: { readonly tiny?: true }): [Form, Convert] | null {
  if (isNumber(from)) return to.tiny ? ['integer', intoInteger(from, TINY)] : null
  if (from.kind !== 'boolean') return null
  return [
    'own',
    (text) => {
      if (text === 't' || text === 'f') return text
      if (!to.tiny) throw new ValueRefused('is neither true nor false but another number')
      return intoInteger(TINY, TINY)(text)
    },
  ]
}

function wholeOfText(text: string): bigint | null {
  const number = readNumber(text)
  return number === null || number.fraction !== '' ? null : BigInt(`${number.sign}${number.whole || '0'}`)
}

/** The number itself: its shortest text names another one of those that read back as the same float. */
function wholeOfFloat(bits: 32 | 64): (text: string) => bigint | null {
  return (text) => {
    const value = readFloat(text, bits)
    return Number.isInteger(value) ? BigInt(value) : null
  }
}

function readFloat(text: string, bits: 32 | 64): number {
  return bits === 32 ? Math.fround(Number(text)) : Number(text)
}

function intoDecimal(to: Extract<ColumnType, { kind: 'decimal' }>): Convert {
  const { precision, scale, finite, unsigned } = to
  return (text) => {
    const number = readNumber(text)
    if (number === null) {
      if (!finite && (text === 'NaN' || (precision === null && /^-?Infinity$/.test(text)))) return text
      throw new ValueRefused('is not a number that the column can hold')
    }
    const { sign, whole, fraction } = number
    if (unsigned && sign === '-') throw new ValueRefused('is negative')
    if (precision !== null) {
      const places = scale ?? 0
      const tooFine = places >= 0 ? fraction.length > places : fraction !== '' || /[1-9]/.test(whole.slice(places))
      if (tooFine) throw new ValueRefused(`has more than ${places} places after the point`)
      const room = precision - places
      if (whole.length > Math.max(0, room)) {
        throw new ValueRefused(`has more than ${Math.max(0, room)} digits before the point`)
      }
      if (room < 0 && /[1-9]/.test(fraction.slice(0, -room))) {
        throw new ValueRefused(`needs digits in the first ${-room} places after the point`)
      }
    }
    return `${sign}${whole || '0'}${fraction === '' ? '' : `.${fraction}`}`
  }
}

const NO_FINITE = /^(?:NaN|-?Infinity)$/

function intoFloat(from: ColumnType, to: Extract<ColumnType, { kind: 'float' }>): [Form, Convert] | null {
  if (to.places !== undefined) return null
  if (to.bits === 64) return ['own', checkedFloat(to, intoDouble(from))]
  // As doubles: two servers write a single in digits of their own.
  return from.kind === 'float' && from.bits === 32 && to.finite ? ['float64', checkedFloat(to, intoDouble(from))] : null
}

function checkedFloat({ finite, unsigned }: Extract<ColumnType, { kind: 'float' }>, convert: Convert): Convert {
  return (text) => {
    const written = convert(text)
    if (finite && (NO_FINITE.test(written) || written === '-0')) {
      throw new ValueRefused('is NaN, infinite or the negative zero, which the column has not')
    }
    if (unsigned && written.startsWith('-')) throw new ValueRefused('is negative')
    return written
  }
}

function intoDouble(from: ColumnType): Convert {
  return (text) => {
    if (NO_FINITE.test(text)) return text
    if (from.kind === 'float') return floatText(readFloat(text, from.bits), 64)
    const written = floatText(Number(text), 64)
    const [given, back] =
      from.kind === 'integer' ? [BigInt(text), BigInt(Number(text))] : [digitsOf(text), digitsOf(written)]
    if (given === null) throw new ValueRefused('is not a number')
    if (given !== back) throw new ValueRefused('has more digits than a double can hold')
    return written
  }
}

function digitsOf(text: string): string | null {
  const number = readNumber(text)
  return number === null ? null : JSON.stringify(number)
}

const fromDate: Convert = (text) => {
  if (text === 'infinity' || text === '-infinity') return text
  const [day = '', era] = text.split(' ')
  const year = day.split('-')[0] ?? ''
  if (era === undefined && Number(year) > 294_276) throw new ValueRefused('is beyond the last timestamp')
  return `${day} 00:00:00${era === undefined ? '' : ` ${era}`}`
}

function withDigits(digits: number): Convert {
  return (text) => {
    const fraction = /\.(\d+)/.exec(text)?.[1] ?? ''
    if (fraction.replace(/0+$/, '').length > digits) {
      throw new ValueRefused(`has a finer fraction of a second than ${digits} digits`)
    }
    return text
  }
}

/** In the years of a calendar from 1 to 9999. What of them a server does not have, it refuses by itself. */
function within(range: TimeRange | undefined, convert: Convert): Convert {
  if (range === undefined) return convert
  return (text) => {
    const made = convert(text)
    if (!/^\d{4}-/.test(made) || made.endsWith('BC')) throw new ValueRefused('is beyond the times of the column')
    return made
  }
}

const CLOCK = /^(-?)(\d{2,3}):([0-5]\d):([0-5]\d)(?:\.(\d{1,6}))?$/
const DAY_SECONDS = 86_400
/** Of the longest span: 838:59:59. */
const SPAN_SECONDS = 3_020_399

function intoTime(from: ColumnType, to: Extract<ColumnType, { kind: 'time' }>): [Form, Convert] | null {
  if (from.kind === 'interval' && !to.signed) return null
  if (from.kind !== 'interval' && (from.kind !== 'time' || from.zoned !== to.zoned)) return null
  const fit = withDigits(to.digits)
  if (from.kind === 'time' && (!from.signed || to.signed)) return ['own', fit]
  return [
    'own',
    (text) => {
      const found = CLOCK.exec(text)
      if (found === null) throw new ValueRefused('has days or longer units, which a span of hours has not')
      const [, sign, hours, minutes, seconds, fraction = ''] = found
      const whole = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds)
      if (!to.signed && (sign === '-' || whole > DAY_SECONDS || (whole === DAY_SECONDS && fraction !== ''))) {
        throw new ValueRefused('is no time of a day')
      }
      if (to.signed && whole > SPAN_SECONDS) throw new ValueRefused('is longer than 838 hours')
      return fit(text)
    },
  ]
}

function intoBytes({ maxBytes, padded: length }: Extract<ColumnType, { kind: 'bytes' }>): Convert {
  return (text) => {
    const bytes = (text.length - 2) / 2
    if (maxBytes !== undefined && bytes > maxBytes) throw new ValueRefused(`is longer than ${maxBytes} bytes`)
    if (length !== undefined && bytes < length) throw new ValueRefused(`would be filled up to ${length} bytes`)
    return text
  }
}

function intoEnum(labels: readonly string[]): Convert {
  const known = new Set(labels)
  return (text) => {
    if (!known.has(text)) throw new ValueRefused('is none of the labels of the enum')
    return text
  }
}
