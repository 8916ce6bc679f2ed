/**
 * Serialized PHP as JSON. What JSON says by itself is plain: null, booleans, 64-bit integers, text in UTF-8, lists, and
 * arrays whose keys are text or integers that do not count from 0. All else stands in a wrapper, an object with the one
 * key "$php", so that the way back gives the same bytes:
 *
 *   {"$php": ["float", "0.1"]}             a float, by its digits
 *   {"$php": ["bytes", "ff00"]}            a string that is no UTF-8, in hexadecimal
 *   {"$php": ["array", [[key, value] …]]}  an array whose keys are neither 0, 1, 2 … nor all plain text
 *   {"$php": ["object", class, [[key, value] …]]}, ["custom", class, hex], ["enum", "Class:Case"], ["R", "2"], ["r", "2"]
 */
import { fail } from '#sync/transforms/transform.ts'
import { isArray, JsonNumber, type Json } from '#sync/values/json.ts'
import type { Php } from './codec.ts'

const WRAP = '$php'

/** What PHP turns into an integer when it is a key: "7" never stays text. */
const INTEGER_KEY = /^(?:0|-?[1-9]\d{0,18})$/

export function phpToJson(php: Php, wrapped: boolean): Json {
  const inner = (of: Php): Json => phpToJson(of, wrapped)
  const wrap = (...parts: Json[]): Json =>
    wrapped ? new Map([[WRAP, parts]]) : fail(`JSON cannot say what the value holds (${php.is}); "form: wrapped" can`)
  const pairs = (of: readonly (readonly [Php, Php])[]): Json => of.map(([key, value]) => [inner(key), inner(value)])
  switch (php.is) {
    case 'null':
      return null
    case 'boolean':
      return php.value
    case 'integer':
      return new JsonNumber(php.text)
    case 'float':
      return wrapped ? wrap('float', php.text) : plainFloat(php.text)
    case 'string': {
      const text = utf8(php.bytes)
      return text === null ? wrap('bytes', hex(php.bytes)) : text
    }
    case 'array':
      return arrayToJson(php.of, inner) ?? wrap('array', pairs(php.of))
    case 'object':
      return wrap('object', name(php.name), pairs(php.of))
    case 'custom':
      return wrap('custom', name(php.name), hex(php.bytes))
    case 'enum':
      return wrap('enum', name(php.name))
    case 'reference':
      return wrap(php.kind, php.to)
  }
}

function plainFloat(text: string): Json {
  const digits = text.replace(/^-?\./, (start) => start.replace('.', '0.')).replace(/\.$/, '')
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:E[+-]?\d+)?$/.test(digits)
    ? new JsonNumber(digits)
    : fail('JSON has no infinity and no NaN; "form: wrapped" can say them')
}

/** A list or an object, if JSON keeps the keys apart and in their order. */
function arrayToJson(of: readonly (readonly [Php, Php])[], inner: (php: Php) => Json): Json | null {
  if (of.every(([key], i) => key.is === 'integer' && key.text === String(i))) return of.map(([, value]) => inner(value))
  const members = new Map<string, Json>()
  for (const [key, value] of of) {
    const text = key.is === 'string' ? utf8(key.bytes) : null
    if (text === null || INTEGER_KEY.test(text) || members.has(text)) return null
    members.set(text, inner(value))
  }
  return members.size === 1 && members.has(WRAP) ? null : members
}

/** Null where the bytes are no UTF-8 that a text of JSON can hold. */
function utf8(bytes: string): string | null {
  // oxlint-disable-next-line no-control-regex -- ASCII is its own UTF-8
  if (/^[\x01-\x7f]*$/.test(bytes)) return bytes
  if (bytes.includes('\0')) return null
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.from(bytes, 'latin1'))
  } catch {
    return null
  }
}

function name(bytes: string): string {
  return utf8(bytes) ?? fail('the name of a class is no UTF-8')
}

function hex(bytes: string): string {
  return Buffer.from(bytes, 'latin1').toString('hex')
}

export function jsonToPhp(json: Json): Php {
  if (json === null) return { is: 'null' }
  if (typeof json === 'boolean') return { is: 'boolean', value: json }
  if (typeof json === 'string') return phpString(json)
  if (json instanceof JsonNumber) return phpNumber(json.text)
  if (isArray(json))
    return { is: 'array', of: json.map((value, i) => [{ is: 'integer', text: String(i) }, jsonToPhp(value)]) }
  const wrapper = json.size === 1 ? json.get(WRAP) : undefined
  if (wrapper !== undefined) return unwrap(wrapper)
  return { is: 'array', of: [...json].map(([key, value]) => [phpKey(key), jsonToPhp(value)]) }
}

const LEAST = -(2n ** 63n)

/** Beyond 64 bits PHP has floats alone, which would round. */
function phpNumber(text: string): Php {
  if (!INTEGER_KEY.test(text))
    return /^-?\d+$/.test(text) && text !== '-0' ? fail('an integer of the JSON does not fit 64 bits') : phpFloat(text)
  const whole = BigInt(text)
  return whole >= LEAST && whole < -LEAST
    ? { is: 'integer', text }
    : fail('an integer of the JSON does not fit 64 bits')
}

/** As PHP writes floats with serialize_precision -1: the shortest digits of the double. */
function phpFloat(text: string): Php {
  const value = Number(text)
  if (!Number.isFinite(value)) return fail('a number of the JSON does not fit a float')
  if (value === 0) return { is: 'float', text: Object.is(value, -0) ? '-0' : '0' }
  const [mantissa = '', power = '0'] = value.toExponential().split('e')
  const exponent = Number(power)
  if (exponent >= -4 && exponent < 17) return { is: 'float', text: plainDigits(mantissa, exponent) }
  const digits = mantissa.includes('.') ? mantissa : `${mantissa}.0`
  return { is: 'float', text: `${digits}E${exponent < 0 ? '-' : '+'}${Math.abs(exponent)}` }
}

function plainDigits(mantissa: string, exponent: number): string {
  const sign = mantissa.startsWith('-') ? '-' : ''
  const digits = mantissa.replace(/[-.]/g, '')
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0')
  const rest = digits.slice(exponent + 1)
  return sign + whole + (rest === '' ? '' : `.${rest}`)
}

function phpString(text: string): Php {
  return text.isWellFormed()
    ? { is: 'string', bytes: latin(text) }
    : fail('a text of the JSON holds half a surrogate pair')
}

/** The bytes of UTF-8 as Latin 1. */
function latin(text: string): string {
  // oxlint-disable-next-line no-control-regex -- ASCII is its own UTF-8
  return /^[\x00-\x7f]*$/.test(text) ? text : Buffer.from(text).toString('latin1')
}

function phpKey(key: string): Php {
  const isInteger = INTEGER_KEY.test(key) && BigInt(key) >= LEAST && BigInt(key) < -LEAST
  return isInteger ? { is: 'integer', text: key } : phpString(key)
}

function unwrap(wrapper: Json): Php {
  const [kind, first, second] = isArray(wrapper) ? wrapper : []
  const text = (json: Json | undefined, shape: RegExp): string =>
    typeof json === 'string' && shape.test(json) ? json : wrongWrapper()
  const bytes = (json: Json | undefined): string =>
    Buffer.from(text(json, /^(?:[\da-f]{2})*$/), 'hex').toString('latin1')
  switch (kind) {
    case 'float':
      return { is: 'float', text: text(first, /^(?:-?(?:\d+\.?\d*|\.\d+)(?:E[+-]?\d+)?|-?INF|NAN)$/i) }
    case 'bytes':
      return { is: 'string', bytes: bytes(first) }
    case 'array':
      return { is: 'array', of: unwrapPairs(first) }
    case 'object':
      return { is: 'object', name: latin(text(first, /^[^"]*$/)), of: unwrapPairs(second) }
    case 'custom':
      return { is: 'custom', name: latin(text(first, /^[^"]*$/)), bytes: bytes(second) }
    case 'enum':
      return { is: 'enum', name: latin(text(first, /^[^"]*$/)) }
    case 'R':
    case 'r':
      return {
        is: 'reference',
        kind: kind,
        to: text(first, /^[1-9]\d{0,9}$/),
      }
    default:
      return wrongWrapper()
  }
}

function unwrapPairs(json: Json | undefined): [Php, Php][] {
  if (json === undefined || !isArray(json)) return wrongWrapper()
  return json.map((pair) => {
    const [key, value] = isArray(pair) && pair.length === 2 ? pair : []
    if (key === undefined || value === undefined) return wrongWrapper()
    const made = jsonToPhp(key)
    return made.is === 'integer' || made.is === 'string' ? [made, jsonToPhp(value)] : wrongWrapper()
  })
}

function wrongWrapper(): never {
  return fail('a "$php" wrapper of the JSON cannot be read')
}
