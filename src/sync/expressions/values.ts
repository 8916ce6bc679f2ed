import { integerRange, type ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { readArray, writeArray } from '#sync/values/array-text.ts'
import { floatText } from '#sync/values/float-text.ts'
import { compactJson, type Json } from '#sync/values/json.ts'
import { compareDecimals, compareDoubles, decimalText, readDecimal, type ExactDecimal } from './decimal.ts'
import { allowElements, fail } from './failure.ts'
import { parseJson } from './json.ts'
import { clockText, dateText, durationText, momentText, readClock, readDate, readMoment } from './moments.ts'
import { celTypeOf, type Cel, type CelType } from './types.ts'

/** How the cells of a column become values of an expression. */
export function reader(type: ColumnType): (cell: Value) => Cel {
  const read = textReader(type)
  return (cell) => {
    if (cell === null) return null
    if (typeof cell !== 'string') return fail('A text is not valid UTF-8.')
    return read(cell)
  }
}

function textReader(type: ColumnType): (text: string) => Cel {
  switch (celTypeOf(type).kind) {
    case 'int':
      return BigInt
    case 'bool':
      return (text) => text === 't'
    case 'double':
      // A float of 32 bits is the double that its bits are, not the one that its text is nearest to.
      return type.kind === 'float' && type.bits === 32 ? (text) => Math.fround(Number(text)) : Number
    case 'decimal':
      return remembering(readDecimal)
    case 'json':
      return remembering(parseJson)
    case 'bytes':
      return readBytes
    case 'timestamp':
    case 'datetime':
      return readMoment
    case 'date':
      return readDate
    case 'time':
      return readClock
    case 'list': {
      if (type.kind !== 'array') return fail('A column is no list.')
      const element = textReader(type.of)
      return remembering((text) => elementsOf(text).map((part) => (part === null ? null : element(part))))
    }
    case 'text':
    case 'duration':
    case 'null':
      return (text) => text
  }
}

/** A cell that is used twice is read once. */
function remembering<T extends Cel>(read: (text: string) => T): (text: string) => T {
  let last: { readonly text: string; readonly value: T } | undefined
  return (text) => {
    if (last?.text !== text) last = { text, value: read(text) }
    return last.value
  }
}

function elementsOf(text: string): (string | null)[] {
  const elements = readArray(text, (fault) =>
    fail(
      fault === 'broken' ? 'An array cannot be read.' : 'An array has more than one dimension, or does not begin at 1.',
    ),
  )
  allowElements(elements.length)
  return elements
}

function readBytes(text: string): Uint8Array {
  if (!text.startsWith(String.raw`\x`)) fail('Bytes cannot be read.')
  return Buffer.from(text.slice(2), 'hex')
}

export function bytesText(bytes: Uint8Array): string {
  return String.raw`\x` + Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('hex')
}

/** How a value of an expression becomes a cell: the canonical text of `columnTypeOf(type)`. */
export function writer(type: CelType): (value: Cel) => Value {
  const write = textWriter(type)
  return (value) => {
    if (value === null) return null
    const text = write(value)
    // No database takes it in a text, and PostgreSQL in none at all.
    if (text.includes('\0')) fail('A text holds the character U+0000.')
    return text
  }
}

/* Types were checked when the expression was compiled: a value is what its type says. */
function textWriter(type: CelType): (value: Cel) => string {
  switch (type.kind) {
    case 'int':
    case 'text':
    case 'null':
      return String
    case 'bool':
      return (value) => (value === true ? 't' : 'f')
    case 'double':
      return (value) => floatText(value as number, 64)
    case 'decimal':
      return (value) => decimalText(value as ExactDecimal)
    case 'bytes':
      return (value) => bytesText(value as Uint8Array)
    case 'timestamp':
    case 'datetime':
      return (value) => momentText(value as bigint, type.kind === 'timestamp')
    case 'date':
      return (value) => dateText(value as number)
    case 'time':
      return (value) => clockText(value as bigint)
    case 'duration':
      return (value) => durationText(value as bigint)
    case 'json':
      return (value) => compactJson(value as Json)
    case 'list': {
      const element = textWriter(type.of)
      return (value) => writeArray((value as readonly Cel[]).map((part) => (part === null ? null : element(part))))
    }
  }
}

/** The order of two values of one type, neither of them null: negative, zero or positive. */
export function comparer(type: CelType): (a: Cel, b: Cel) => number {
  switch (type.kind) {
    case 'decimal':
      return (a, b) => compareDecimals(a as ExactDecimal, b as ExactDecimal)
    case 'double':
      return (a, b) => compareDoubles(a as number, b as number)
    case 'text':
      return (a, b) => compareTexts(a as string, b as string)
    case 'bytes':
      return (a, b) => Buffer.compare(a as Uint8Array, b as Uint8Array)
    case 'json':
      return (a, b) => (compactJson(a as Json) === compactJson(b as Json) ? 0 : 1)
    case 'list': {
      const element = comparer(type.of)
      const same = (a: Cel, b: Cel): boolean => (a === null || b === null ? a === b : element(a, b) === 0)
      return (a, b) => {
        const [left, right] = [a as readonly Cel[], b as readonly Cel[]]
        return left.length === right.length && left.every((part, i) => same(part, right[i] ?? null)) ? 0 : 1
      }
    }
    default:
      return (a, b) => {
        const [left, right] = [a as bigint, b as bigint]
        if (left < right) return -1
        return left > right ? 1 : 0
      }
  }
}

/** Types whose values have an order, and not equality alone. */
export function isOrdered(type: CelType): boolean {
  return type.kind !== 'json' && type.kind !== 'list' && type.kind !== 'null'
}

/** The order of code points, which is the order of UTF-8 bytes: JavaScript's own puts U+FF5E behind U+1F600. */
export function compareTexts(a: string, b: string): number {
  if (a === b) return 0
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    const [left, right] = [a.charCodeAt(i), b.charCodeAt(i)]
    if (left === right) continue
    // A half of a surrogate pair stands for a code point behind all others.
    const [high, low] = [left >= 0xd800 && left <= 0xdfff, right >= 0xd800 && right <= 0xdfff]
    return high === low ? left - right : Number(high) - Number(low)
  }
  return a.length - b.length
}

/** Whether a text is a value of a column type as the database writes it, for values that come from outside. */
export function isCanonical(type: ColumnType, text: string): boolean {
  if (type.kind === 'text') return type.maxLength === null || Array.from(text).length <= type.maxLength
  if (type.kind === 'enum') return type.labels.includes(text)
  if (type.kind === 'uuid') return /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/.test(text)
  if (type.kind === 'integer') {
    const { least, most } = integerRange(type)
    return /^(?:0|-?[1-9]\d{0,19})$/.test(text) && BigInt(text) >= least && BigInt(text) <= most
  }
  if (type.kind === 'boolean') return text === 't' || text === 'f'
  if (type.kind === 'decimal') return isCanonicalDecimal(type, text)
  // More digits than the column holds would be rounded by the server, unseen.
  if ((type.kind === 'timestamp' || type.kind === 'time') && fractionDigits(text) > type.digits) return false
  const known = celTypeOf(type)
  if (known.kind === 'text') return true
  const value = reader(type)(text)
  // JSON is kept as it was written.
  return known.kind === 'json' || writer(known)(value) === text
}

function isCanonicalDecimal(type: Extract<ColumnType, { kind: 'decimal' }>, text: string): boolean {
  const found = /^(?:-?(0|[1-9]\d*)(?:\.(\d+))?|NaN|-?Infinity)$/.exec(text)
  if (found === null) return false
  const [, whole, fraction = ''] = found
  if (type.precision === null) return true
  const scale = type.scale ?? 0
  // Infinity does not fit a column with a precision, and NaN fits every one.
  if (whole === undefined) return text === 'NaN'
  return fraction.length <= Math.max(scale, 0) && whole.replace(/^0$/, '').length <= type.precision - scale
}

function fractionDigits(text: string): number {
  return /\.(\d+)/.exec(text)?.[1]?.length ?? 0
}
