import { floatText } from '#sync/values/float-text.ts'
import { compactJson, JsonNumber, type Json } from '#sync/values/json.ts'
import {
  checkInt,
  decimalText,
  fixed,
  fromDouble,
  parseDecimal,
  round,
  toInteger,
  type ExactDecimal,
} from './decimal.ts'
import { fail } from './failure.ts'
import type { LanguageFunction } from './functions.ts'
import type { Cel, CelType } from './types.ts'
import { writer } from './values.ts'

/** Functions of numbers, and conversions into numbers, texts and truth values. */
export const NUMBER_FUNCTIONS: readonly LanguageFunction[] = [
  {
    name: 'abs',
    about: 'The number without its sign.',
    overloads: [
      { signature: 'abs(int): int', call: (x: bigint) => checkInt(x < 0n ? -x : x) },
      { signature: 'abs(decimal): decimal', call: (x: ExactDecimal) => x.abs() },
      { signature: 'abs(double): double', call: (x: number) => Math.abs(x) },
    ],
    examples: [{ expression: 'abs(-1.50)', gives: '1.5' }],
  },
  {
    name: 'round',
    about:
      'The number rounded to so many digits behind the point (before it, where negative), none without the argument. The mode is one of half_up (the default: halves away from zero), half_even, half_down, up, down, ceil, floor.',
    overloads: [
      { signature: 'round(decimal): decimal', call: (x: ExactDecimal) => round(x, 0n, 'half_up') },
      { signature: 'round(decimal, int): decimal', call: (x: ExactDecimal, n: bigint) => round(x, n, 'half_up') },
      { signature: 'round(decimal, int, text): decimal', call: round },
      { signature: 'round(double): double', call: (x: number) => rounded(x, 0n, 'half_up') },
      { signature: 'round(double, int): double', call: (x: number, n: bigint) => rounded(x, n, 'half_up') },
      { signature: 'round(double, int, text): double', call: rounded },
    ],
    examples: [
      { expression: 'round(2.345, 2)', gives: '2.35' },
      { expression: 'round(2.345, 2, "half_even")', gives: '2.34' },
      { expression: 'round(1250, -2)', gives: '1300' },
    ],
  },
  {
    name: 'floor',
    about: 'The greatest whole number that is not above the number.',
    overloads: [
      { signature: 'floor(decimal): decimal', call: (x: ExactDecimal) => round(x, 0n, 'floor') },
      { signature: 'floor(double): double', call: (x: number) => Math.floor(x) },
    ],
    examples: [{ expression: 'floor(-1.5)', gives: '-2' }],
  },
  {
    name: 'ceil',
    about: 'The smallest whole number that is not below the number.',
    overloads: [
      { signature: 'ceil(decimal): decimal', call: (x: ExactDecimal) => round(x, 0n, 'ceil') },
      { signature: 'ceil(double): double', call: (x: number) => Math.ceil(x) },
    ],
    examples: [{ expression: 'ceil(-1.5)', gives: '-1' }],
  },
  {
    name: 'fixed',
    about: 'The number as a text with exactly so many digits behind the point.',
    overloads: [{ signature: 'fixed(decimal, int): text', call: fixed }],
    examples: [{ expression: 'fixed(1.5, 2)', gives: '1.50' }],
  },
  {
    name: 'int',
    about: 'The 64-bit integer that a value is. It fails where the value is not whole, too large or no number.',
    overloads: [
      { signature: 'int(int): int', call: (x: bigint) => x },
      { signature: 'int(decimal): int', call: toInteger },
      { signature: 'int(double): int', call: (x: number) => toInteger(fromDouble(x)) },
      { signature: 'int(text): int', call: (x: string) => toInteger(number(x)) },
      { signature: 'int(bool): int', call: (x: boolean) => (x ? 1n : 0n) },
      { signature: 'int(json): int', call: (x: Json) => toInteger(jsonNumber(x)) },
    ],
    examples: [
      { expression: 'int("9007199254740993")', gives: '9007199254740993' },
      { expression: 'int(2.0)', gives: '2' },
    ],
  },
  {
    name: 'decimal',
    about: 'The exact decimal number that a value is. It fails where the value is none.',
    overloads: [
      { signature: 'decimal(decimal): decimal', call: (x: ExactDecimal) => x },
      { signature: 'decimal(double): decimal', call: fromShortest },
      { signature: 'decimal(text): decimal', call: number },
      { signature: 'decimal(json): decimal', call: jsonNumber },
    ],
    examples: [
      { expression: 'decimal("0.1") + decimal("0.2")', gives: '0.3' },
      { expression: 'decimal(double(0.1))', gives: '0.1' },
    ],
  },
  {
    name: 'double',
    about: 'The floating-point number nearest to a value.',
    overloads: [
      { signature: 'double(double): double', call: (x: number) => x },
      { signature: 'double(decimal): double', call: (x: ExactDecimal) => x.toNumber() },
      { signature: 'double(text): double', call: (x: string) => number(x).toNumber() },
      { signature: 'double(json): double', call: (x: Json) => jsonNumber(x).toNumber() },
    ],
    examples: [{ expression: 'double(1) / double(3)', gives: '0.3333333333333333' }],
  },
  {
    name: 'text',
    about:
      'The value as a text: of JSON the text that it is, or its JSON where it is none; of all else what would be written into a column of its type, truth values as true and false.',
    overloads: [{ signature: 'text(any): text', call: () => fail('A value has no text.'), typed: textOf }],
    examples: [
      { expression: 'text(1.50)', gives: '1.5' },
      { expression: 'text(true)', gives: 'true' },
      { expression: 'text(date("2024-02-29"))', gives: '2024-02-29' },
    ],
  },
  {
    name: 'bool',
    about: 'The truth value that a text (true, t, yes, on, 1 and their opposites), a number (0 is false) or JSON is.',
    overloads: [
      { signature: 'bool(bool): bool', call: (x: boolean) => x },
      { signature: 'bool(text): bool', call: truth },
      { signature: 'bool(int): bool', call: (x: bigint) => x !== 0n },
      {
        signature: 'bool(json): bool',
        call: (x: Json) => (typeof x === 'boolean' ? x : fail('JSON is no truth value.')),
      },
    ],
    examples: [{ expression: 'bool("Yes")', gives: 't' }],
  },
]

function number(text: string): ExactDecimal {
  return parseDecimal(text) ?? fail('A text is no number.')
}

function jsonNumber(value: Json): ExactDecimal {
  if (value instanceof JsonNumber) return number(value.text)
  return typeof value === 'string' ? number(value) : fail('JSON is no number.')
}

/** The number that people see, and not the binary fraction behind it. */
function fromShortest(value: number): ExactDecimal {
  return number(floatText(value, 64))
}

function rounded(value: number, digits: bigint, mode: string): number {
  return round(fromShortest(value), digits, mode).toNumber()
}

function textOf([type]: readonly CelType[]): (...args: never[]) => Cel {
  if (type?.kind === 'bool') return (x: boolean) => String(x)
  if (type?.kind === 'decimal') return decimalText
  if (type?.kind === 'json') return (x: Json) => (typeof x === 'string' ? x : compactJson(x))
  return type === undefined ? String : writer(type)
}

function truth(text: string): boolean {
  const word = text.trim().toLowerCase()
  if (['true', 't', 'yes', 'y', 'on', '1'].includes(word)) return true
  return ['false', 'f', 'no', 'n', 'off', '0'].includes(word) ? false : fail('A text is no truth value.')
}
