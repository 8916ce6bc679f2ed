/** What the checks of single values must not let through, and must not keep out (invariant 4). */
import { expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import { ValueRefused, type Value } from '#model/value.ts'

import { fitValue } from './fit-value.ts'
import { jsonbText } from './values/jsonb-text.ts'

const text: ColumnType = { kind: 'text', maxLength: null }
const char = (length: number): ColumnType => ({ kind: 'padded text', length })
const integer = (bits: 16 | 32 | 64): ColumnType => ({ kind: 'integer', bits })
const float = (bits: 32 | 64): ColumnType => ({ kind: 'float', bits })
const decimal = (precision: number | null, scale: number | null): ColumnType => ({ kind: 'decimal', precision, scale })

/** What arrives, or why nothing does. */
function fit(from: ColumnType, to: ColumnType, value: Value): Value {
  const found = fitValue(from, to)
  if ('reason' in found) return `impossible: ${found.reason}`
  try {
    return found.convert(value)
  } catch (error) {
    if (error instanceof ValueRefused) return `refused: ${error.message}`
    throw error
  }
}

test('C8: a decimal with more places than digits takes what the server takes', () => {
  const tiny = decimal(2, 4)
  expect(fit(decimal(null, null), tiny, '0')).toBe('0')
  expect(fit(decimal(null, null), tiny, '0.0099')).toBe('0.0099')
  expect(fit(decimal(null, null), tiny, '-0.0001')).toBe('-0.0001')
  expect(fit(decimal(null, null), tiny, '0.01')).toMatch(/^refused/)
  expect(fit(decimal(null, null), tiny, '1')).toMatch(/^refused/)
})

test('C8: a decimal that is rounded before its point takes whole steps alone', () => {
  const coarse = decimal(2, -3)
  expect(fit(decimal(null, null), coarse, '99000')).toBe('99000')
  expect(fit(decimal(null, null), coarse, '99500')).toMatch(/^refused/)
  expect(fit(decimal(null, null), coarse, '100000')).toMatch(/^refused/)
  expect(fit(decimal(null, null), coarse, '0.5')).toMatch(/^refused/)
})

test('C13: the spaces that fill a char are no part of the value', () => {
  expect(fit(char(9), { kind: 'text', maxLength: 3 }, 'ab       ')).toBe('ab')
  expect(fit(char(9), { kind: 'text', maxLength: 3 }, 'abcd     ')).toMatch(/^refused/)
  expect(fit(char(9), { kind: 'enum', labels: ['ab'] }, 'ab       ')).toMatch(/^impossible/)
})

test('C13: spaces at the end of a text would be lost in a char', () => {
  expect(fit(text, char(4), 'ab')).toBe('ab  ')
  expect(fit(text, char(4), 'ab ')).toMatch(/^refused/)
  expect(fit(text, char(4), ' ')).toMatch(/^refused/)
  expect(fit(char(2), char(4), 'a ')).toBe('a   ')
})

test('C9: a float becomes the whole number that it is, not the one that its shortest text names', () => {
  expect(fit(float(64), integer(64), '1.2345678901234568e+18')).toBe('1234567890123456768')
  expect(fit(float(32), integer(64), '1.2345679e+11')).toBe('123456790528')
  expect(fit(float(64), integer(64), '1.5')).toMatch(/^refused/)
  expect(fit(float(64), integer(64), '-0')).toBe('0')
  expect(fit(float(64), integer(64), '9.223372036854776e+18')).toMatch(/^refused/)
})

test('C9: a single becomes the double that it is', () => {
  expect(fit(float(32), float(64), '0.1')).toBe('0.10000000149011612')
  expect(fit(float(32), float(64), '3.4028235e+38')).toBe('3.4028234663852886e+38')
})

test('C1: an integer goes into a double where it comes back the same', () => {
  expect(fit(integer(64), float(64), '1234567890123456768')).toBe('1.2345678901234568e+18')
  expect(fit(integer(64), float(64), '1234567890123456800')).toMatch(/^refused/)
  expect(fit(integer(64), float(64), '9007199254740993')).toMatch(/^refused/)
  expect(fit(integer(64), float(64), '-9223372036854775808')).toBe('-9.223372036854776e+18')
})

test('C16: a host is written with the length of its network, as the cast to text writes it', () => {
  const inet: ColumnType = { kind: 'other', native: 'inet' }
  expect(fit(inet, { kind: 'text', maxLength: 20 }, '10.0.0.1')).toBe('10.0.0.1/32')
  expect(fit(inet, { kind: 'text', maxLength: 20 }, '::1')).toBe('::1/128')
  expect(fit(inet, { kind: 'text', maxLength: 20 }, '10.0.0.0/8')).toBe('10.0.0.0/8')
})

test('C11: bytes that are no text are refused, not replaced', () => {
  expect(fit(text, { kind: 'text', maxLength: 5 }, Buffer.from('é'))).toBe('é')
  expect(fit(text, { kind: 'text', maxLength: 5 }, Buffer.from([0x61, 0xff]))).toMatch(/^refused/)
})

test('C2: jsonb takes numbers up to the bounds of numeric, and no number takes the memory', () => {
  expect(jsonbText('1e131071')).toBe(`1${'0'.repeat(131_071)}`)
  expect(jsonbText('1e-16383')).toBe(`0.${'0'.repeat(16_382)}1`)
  expect(() => jsonbText('1e131072')).toThrow(ValueRefused)
  expect(() => jsonbText('1e-16384')).toThrow(ValueRefused)
  expect(() => jsonbText('1e999999999')).toThrow(ValueRefused)
  expect(() => jsonbText('1e-999999999')).toThrow(ValueRefused)
})

test('C2: a JSON string of many megabytes is read', () => {
  const long = `"${'ab'.repeat(10_000_000)}"`
  expect(jsonbText(long) === long).toBe(true)
  const escaped = `"${'a\\n'.repeat(5_000_000)}"`
  expect(jsonbText(escaped) === escaped).toBe(true)
})
