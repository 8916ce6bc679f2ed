/** How a value of one type becomes one of another; what would be lost on the way is rejected unless it was chosen. */
import { describeType, integerRange, judgePair, type ColumnType } from '#model/column-type.ts'

import { fail, refuse, type Refusal } from '#sync/transforms/transform.ts'
import { maxLength } from '#sync/transforms/types.ts'
import { readArray, writeArray } from '#sync/transforms/array/literal.ts'
import { readJson, writeJson } from '#sync/transforms/json/tree.ts'
import { Decimal, readNumber, ROUNDING, scaleOf, writeNumber, type Rounding } from '#sync/transforms/number/decimal.ts'
import { charactersOf, indexAfter } from '#sync/transforms/text/characters.ts'
import { DAY, readMicros, type Moment } from '#sync/values/time-text.ts'
import { isInfinite, readMoment, writeMoment } from '#sync/transforms/time/moment.ts'
import { readUuid } from '#sync/transforms/identity/uuid.ts'
import { floatText } from '#sync/values/float-text.ts'
import { readIsoMoment } from './iso.ts'

export interface CastOptions {
  /** How digits go that the type has no room for; they are rejected where it says so. */
  readonly rounding: Rounding | 'reject'
  /** What becomes of values beyond the bounds of the type. */
  readonly overflow: 'reject' | 'clamp' | 'null'
}

type Convert = (value: string) => string | null

/** The way from one type to another, or why there is none. */
export function converter(from: ColumnType, to: ColumnType, options: CastOptions): Convert | Refusal {
  if (JSON.stringify(from) === JSON.stringify(to)) return (value) => value
  switch (to.kind) {
    case 'text':
      return intoText(from, to, options)
    case 'integer':
    case 'decimal':
      return intoNumber(from, to, options)
    case 'float':
      return intoFloat(from, to.bits, options)
    case 'boolean':
      return intoBoolean(from)
    case 'date':
    case 'timestamp':
      return intoMoment(from, to, options)
    case 'time':
      return intoClock(from, to, options)
    case 'uuid':
      return isText(from) ? (value) => readUuid(value) ?? fail('the text is no UUID') : none(from, to)
    case 'bytes':
      return isText(from) ? refuse('use "encode_text", which names the encoding, or "hex_decode"') : none(from, to)
    case 'json':
      if (isText(from)) return refuse('use "parse_json"')
      return from.kind === 'json' ? (value) => writeJson(readJson(value), to.binary) : none(from, to)
    case 'array':
      return from.kind === 'array' ? ofElements(converter(from.of, to.of, options)) : none(from, to)
    default:
      return none(from, to)
  }
}

/** What the cast loses, given the options; null where nothing. */
export function castLoses(from: ColumnType, to: ColumnType, options: CastOptions): string | null {
  if (from.kind === 'array' && to.kind === 'array') return castLoses(from.of, to.of, options)
  const losses = [
    options.rounding === 'reject' || judgePair(from, to).ok ? null : 'digits that the type has no room for',
    options.overflow === 'reject' || judgePair(from, to).ok ? null : 'values beyond the bounds of the type',
    from.kind === 'json' && from.binary !== (to.kind === 'json' && to.binary) && to.kind === 'json'
      ? 'spaces and the order of keys'
      : null,
    from.kind === 'padded text' ? 'spaces at the end' : null,
    isText(from) && to.kind !== 'text' ? 'the former spelling' : null,
    from.kind === 'float' && to.kind === 'integer' ? 'the sign of zero' : null,
  ].filter((loss) => loss !== null)
  return losses.length === 0 ? null : losses.join(', ')
}

/** Types whose values come back by the opposite cast, digit for digit. */
export function comesBack(from: ColumnType, to: ColumnType): boolean {
  if (from.kind === 'boolean' && (to.kind === 'integer' || (to.kind === 'text' && to.maxLength === null))) return true
  if (from.kind === 'integer' && to.kind === 'integer') return judgePair(from, to).ok
  if (from.kind === 'integer' && to.kind === 'decimal') return to.precision === null
  if (from.kind === 'date' && to.kind === 'timestamp') return !to.zoned
  const asText = to.kind === 'text' && to.maxLength === null
  return asText && ['integer', 'uuid'].includes(from.kind)
}

function none(from: ColumnType, to: ColumnType): Refusal {
  return refuse(`there is no way from ${describeType(from)} to ${describeType(to)}`)
}

function isText(type: ColumnType): boolean {
  return type.kind === 'text' || type.kind === 'padded text' || type.kind === 'enum'
}

function beyond(options: CastOptions, bound: string, to: ColumnType): string | null {
  if (options.overflow === 'reject') return fail(`the value is beyond the bounds of ${describeType(to)}`)
  return options.overflow === 'null' ? null : bound
}

function intoText(
  from: ColumnType,
  to: Extract<ColumnType, { kind: 'text' }>,
  options: CastOptions,
): Convert | Refusal {
  if (from.kind === 'bytes')
    return refuse('use "decode_bytes", which names the encoding, or "hex_encode" or "base64_encode"')
  const write: (value: string) => string =
    from.kind === 'boolean'
      ? (value) => (value === 't' ? 'true' : 'false')
      : from.kind === 'padded text'
        ? (value) => value.replace(/ +$/, '')
        : (value) => value
  const most = maxLength(to)
  if (most === null) return write
  return (value) => {
    const made = write(value)
    if (made.length <= most || charactersOf(made) <= most) return made
    return beyond(options, made.slice(0, indexAfter(made, most)), to)
  }
}

function intoNumber(
  from: ColumnType,
  to: Extract<ColumnType, { kind: 'integer' | 'decimal' }>,
  options: CastOptions,
): Convert | Refusal {
  if (from.kind === 'boolean') {
    return to.kind === 'integer' ? (value) => (value === 't' ? '1' : '0') : none(from, to)
  }
  if (from.kind !== 'integer' && from.kind !== 'decimal' && from.kind !== 'float' && !isText(from))
    return none(from, to)
  const [least, most] = boundsOf(to)
  const unlimited = to.kind === 'decimal' && to.precision === null
  const scale = to.kind === 'integer' ? 0 : (to.scale ?? 0)
  return (value) => {
    const given = readNumber(isText(from) ? value.trim() : value)
    if (unlimited) return /[eE]/.test(value) ? writeNumber(given) : writeNumber(given, scaleOf(value.trim()))
    const made = given.decimalPlaces() <= scale ? given : rounded(given, scale, options)
    if (least !== null && made.lt(least)) return beyond(options, writeNumber(least, scale), to)
    return most !== null && made.gt(most) ? beyond(options, writeNumber(most, scale), to) : writeNumber(made, scale)
  }
}

function rounded(given: Decimal, scale: number, { rounding }: CastOptions): Decimal {
  if (rounding === 'reject')
    return fail(`the number has more than ${scale} digits after the point; "rounding" says how they go`)
  return given.toDecimalPlaces(scale, ROUNDING[rounding])
}

function boundsOf(
  type: Extract<ColumnType, { kind: 'integer' | 'decimal' }>,
): readonly [Decimal | null, Decimal | null] {
  if (type.kind === 'integer') {
    const { least, most } = integerRange(type)
    return [new Decimal(String(least)), new Decimal(String(most))]
  }
  if (type.precision === null) return [null, null]
  const scale = type.scale ?? 0
  const most = new Decimal(10).pow(type.precision).sub(1).div(new Decimal(10).pow(scale))
  return [most.neg(), most]
}

const FLOAT_WORD = /^-?(?:Infinity|NaN)$/

function intoFloat(from: ColumnType, bits: 32 | 64, options: CastOptions): Convert | Refusal {
  const to: ColumnType = { kind: 'float', bits }
  if (from.kind !== 'integer' && from.kind !== 'decimal' && from.kind !== 'float' && !isText(from))
    return none(from, to)
  return (value) => {
    const text = isText(from) ? value.trim() : value
    if (FLOAT_WORD.test(text)) return text
    const given = readNumber(text)
    const made = floatText(given.toNumber(), bits)
    if (made.endsWith('Infinity')) return beyond(options, made, to)
    const exact = new Decimal(made).eq(given)
    // A wider float names a number that the shortest digits of the narrow one only stand for.
    if (exact || options.rounding !== 'reject') return made
    return fail(`the number has more digits than ${describeType(to)} holds; "rounding" lets them go`)
  }
}

const WORDS: Readonly<Record<string, string>> = {
  t: 't',
  true: 't',
  yes: 't',
  on: 't',
  '1': 't',
  f: 'f',
  false: 'f',
  no: 'f',
  off: 'f',
  '0': 'f',
}

function intoBoolean(from: ColumnType): Convert | Refusal {
  if (from.kind !== 'integer' && !isText(from)) return none(from, { kind: 'boolean' })
  return (value) => {
    const word = value.trim().toLowerCase()
    return (Object.hasOwn(WORDS, word) ? WORDS[word] : undefined) ?? fail('the value is neither true nor false')
  }
}

function intoMoment(
  from: ColumnType,
  to: Extract<ColumnType, { kind: 'date' | 'timestamp' }>,
  options: CastOptions,
): Convert | Refusal {
  const zoned = to.kind === 'timestamp' && to.zoned
  if (isText(from)) return (value) => fitMoment(readIsoMoment(value.trim(), zoned), to, options)
  if (from.kind === 'timestamp' && (to.kind === 'date' ? from.zoned : from.zoned !== to.zoned)) {
    return refuse('use "to_local_time", "from_local_time" or "date_of", which name the zone')
  }
  if (zoned && from.kind === 'date') return refuse('cast to timestamp first; "from_local_time" then names the zone')
  if (from.kind !== 'timestamp' && from.kind !== 'date') return none(from, to)
  return (value) => (isInfinite(value) ? value : fitMoment(readMoment(value), to, options))
}

function fitMoment(
  moment: Moment,
  to: Extract<ColumnType, { kind: 'date' | 'timestamp' }>,
  options: CastOptions,
): string {
  const micros = roundedMicros(moment.micros, to.kind === 'date' ? DAY : 10 ** (6 - to.digits), options)
  return writeMoment({ day: moment.day + Math.floor(micros / DAY), micros: micros % DAY }, to)
}

function roundedMicros(micros: number, step: number, { rounding }: CastOptions): number {
  if (micros % step === 0) return micros
  if (rounding === 'reject') return fail('the time is finer than the type; "rounding" says how it goes')
  return new Decimal(micros).toNearest(step, ROUNDING[rounding]).toNumber()
}

function intoClock(
  from: ColumnType,
  to: Extract<ColumnType, { kind: 'time' }>,
  options: CastOptions,
): Convert | Refusal {
  if (to.zoned) return none(from, to)
  if (from.kind === 'timestamp') return refuse('use "time_of", which names the zone')
  if (!isText(from) && !(from.kind === 'time' && !from.zoned)) return none(from, to)
  return (value) => {
    const micros = readMicros(value.trim()) ?? fail('the text is no time of day')
    return writeMoment({ day: 0, micros: roundedMicros(micros, 10 ** (6 - to.digits), options) }, to)
  }
}

function ofElements(convert: Convert | Refusal): Convert | Refusal {
  if ('refused' in convert) return convert
  return (value) => writeArray(readArray(value).map((element) => (element === null ? null : convert(element))))
}
