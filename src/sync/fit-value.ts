import { describeType, judgePair, type ColumnType, type Form } from '#model/column-type.ts'
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
  const number = from.kind === 'integer' || from.kind === 'decimal' || from.kind === 'float'
  switch (to.kind) {
    case 'text':
      return ['own', intoText(from, to.maxLength)]
    case 'padded text':
      if (from.kind === 'padded text') return ['own', (value) => padded(to.length)(unpadded(value))]
      return from.kind === 'text' ? ['own', padded(to.length)] : null
    case 'integer':
      return number ? ['own', intoInteger(from, to.bits)] : null
    case 'decimal':
      return number ? ['decimal', intoDecimal(to)] : null
    case 'float':
      return number && to.bits === 64 ? ['own', intoFloat(from)] : null
    case 'timestamp':
      if (from.kind === 'date' && !to.zoned) return ['own', fromDate]
      return from.kind === 'timestamp' && from.zoned === to.zoned ? ['own', withDigits(to.digits)] : null
    case 'time':
      return from.kind === 'time' && from.zoned === to.zoned ? ['own', withDigits(to.digits)] : null
    case 'json':
      if (from.kind !== 'json') return null
      return ['own', to.binary && !from.binary ? jsonbText : same]
    case 'enum':
      return from.kind === 'enum' || from.kind === 'text' ? ['own', intoEnum(to.labels)] : null
    default: {
      const carriage = judgePair(from, to)
      return carriage.ok && carriage.form === 'own' ? ['own', same] : null
    }
  }
}

function intoText(from: ColumnType, maxLength: number | null): Convert {
  return (value) => {
    const text = asText(from, value)
    if (text.includes('\0')) throw new ValueRefused('holds a NUL character, which no text of the target can hold')
    if (maxLength !== null && text.length > maxLength && characters(text) > maxLength) {
      throw new ValueRefused(`is longer than ${maxLength} characters`)
    }
    return text
  }
}

/** What the server's own cast to text makes of an output. */
function asText(from: ColumnType, value: string): string {
  // A boolean's own output is a letter; as a text it is a word.
  if (from.kind === 'boolean') return value === 't' ? 'true' : 'false'
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

function padded(length: number): Convert {
  return (text) => {
    if (text.endsWith(' '))
      throw new ValueRefused('ends in a space, which char does not tell from what it fills up with')
    const missing = length - characters(text)
    if (missing < 0) throw new ValueRefused(`is longer than ${length} characters`)
    return text + ' '.repeat(missing)
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

function intoInteger(from: ColumnType, bits: 16 | 32 | 64): Convert {
  const limit = 2n ** BigInt(bits - 1)
  const read = from.kind === 'float' ? wholeOfFloat(from.bits) : wholeOfText
  return (text) => {
    const value = read(text)
    if (value === null) throw new ValueRefused('is not a whole number')
    if (value < -limit || value >= limit) throw new ValueRefused(`does not fit ${bits} bits`)
    return String(value)
  }
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

function intoDecimal({ precision, scale }: { precision: number | null; scale: number | null }): Convert {
  return (text) => {
    const number = readNumber(text)
    if (number === null) {
      if (text === 'NaN' || (precision === null && /^-?Infinity$/.test(text))) return text
      throw new ValueRefused('is not a number that the column can hold')
    }
    const { sign, whole, fraction } = number
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

function intoFloat(from: ColumnType): Convert {
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

function intoEnum(labels: readonly string[]): Convert {
  const known = new Set(labels)
  return (text) => {
    if (!known.has(text)) throw new ValueRefused('is none of the labels of the enum')
    return text
  }
}
