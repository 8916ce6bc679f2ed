/** D8: which of two rows is newer, by the values of a time column. */
import { describe, expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { newerSide, type Newer, type NewerRules } from './newer.ts'

const STAMP: ColumnType = { kind: 'timestamp', zoned: true, digits: 6 }
const WALL: ColumnType = { kind: 'timestamp', zoned: false, digits: 6 }
const DATE: ColumnType = { kind: 'date' }
const BIGINT: ColumnType = { kind: 'integer', bits: 64 }
const NUMERIC: ColumnType = { kind: 'decimal', precision: null, scale: null }

const RULES: NewerRules = { skewMs: 0, forced: false }

function compare(type: ColumnType, source: Value, target: Value, rules = RULES): Newer {
  return newerSide({ source: ['key', source], target: ['key', target] }, { at: 1, type }, rules)
}

test.each<[ColumnType, string, string]>([
  [STAMP, '2024-05-01 10:00:00+00', '2024-05-01 09:59:59.999999+00'],
  [STAMP, '2024-05-01 10:00:00.000001+00', '2024-05-01 10:00:00+00'],
  [STAMP, '2024-05-01 10:00:00.1+00', '2024-05-01 10:00:00.099999+00'],
  [STAMP, '2024-05-01 10:00:00+00', '2024-05-01 11:30:00+02'],
  [STAMP, '10000-01-01 00:00:00+00', '9999-12-31 23:59:59.999999+00'],
  [STAMP, '0001-01-01 00:00:00+00', '0001-12-31 00:00:00+00 BC'],
  [STAMP, 'infinity', '294276-12-31 23:59:59.999999+00'],
  [STAMP, '4713-01-01 00:00:00+00 BC', '-infinity'],
  [WALL, '2024-10-27 02:30:00.000001', '2024-10-27 02:30:00'],
  [DATE, '2024-03-01', '2024-02-29'],
  [DATE, '10000-01-01', '9999-01-01'],
  [BIGINT, '10', '9'],
  [BIGINT, '9223372036854775807', '9223372036854775806'],
  [BIGINT, '1714557600000001', '1714557600000000'],
  [NUMERIC, '1714557600.0000011', '1714557600.000001'],
  [NUMERIC, '100000000000000000000000000000000000001', '99999999999999999999999999999999999999.9'],
])('%j: %s is newer than %s', (type, later, earlier) => {
  expect(compare(type, later, earlier)).toEqual({ newer: 'source', tie: false })
  expect(compare(type, earlier, later)).toEqual({ newer: 'target', tie: false })
})

test.each<[ColumnType, string, string]>([
  [STAMP, '2024-05-01 10:00:00+00', '2024-05-01 12:00:00+02'],
  [STAMP, 'infinity', 'infinity'],
  [NUMERIC, '1.50', '1.5'],
  [BIGINT, '7', '7'],
])('%j: %s and %s are equal, and the tie-break is asked', (type, left, right) => {
  expect(compare(type, left, right)).toEqual({ newer: 'source', tie: true })
  expect(compare(type, left, right, { ...RULES, tieBreak: 'target' })).toEqual({ newer: 'target', tie: true })
})

describe('somebody decides where nothing says which row is newer', () => {
  const someTime = '2024-05-01 10:00:00+00'
  test('a row has no time', () => {
    expect(compare(STAMP, null, someTime)).toEqual({ newer: null, reason: 'The row of the source has no time.' })
    expect(compare(STAMP, someTime, null)).toEqual({ newer: null, reason: 'The row of the target has no time.' })
    expect(compare(STAMP, null, null)).toMatchObject({ newer: null })
  })

  test('a side has no row', () => {
    const column = { at: 1, type: STAMP }
    const row = ['key', someTime]
    expect(newerSide({ source: null, target: row }, column, RULES)).toEqual({
      newer: null,
      reason: 'The source has no row to compare.',
    })
    expect(newerSide({ source: row, target: null }, column, RULES)).toEqual({
      newer: null,
      reason: 'The target has no row to compare.',
    })
  })

  test('the time cannot be read', () => {
    expect(compare(STAMP, 'yesterday', someTime)).toMatchObject({ newer: null })
    expect(compare(STAMP, Uint8Array.of(0xff), someTime)).toMatchObject({ newer: null })
    expect(compare(NUMERIC, 'NaN', '1')).toMatchObject({ newer: null })
  })

  test.each<ColumnType>([
    { kind: 'text', maxLength: null },
    { kind: 'time', zoned: false, digits: 6 },
    { kind: 'interval', native: 'interval' },
    { kind: 'float', bits: 64 },
    { kind: 'uuid' },
  ])('%j is no time', (type) => {
    expect(compare(type, '1', '2')).toMatchObject({ newer: null })
  })
})

test.each([
  [0, true],
  [1000, true],
  [-1000, true],
  [1001, false],
  [-1001, false],
  [3_600_000, false],
  [-3_600_000, false],
  [Number.NaN, false],
  [Infinity, false],
])('D8: clocks that differ by %d ms: %s', (skewMs, isTaken) => {
  const made = compare(BIGINT, '2', '1', { skewMs, forced: false })
  expect(made).toEqual(
    isTaken
      ? { newer: 'source', tie: false }
      : { refused: 'The clocks of the two servers differ by more than 1000 ms, or were not measured.' },
  )
  expect(compare(BIGINT, '2', '1', { skewMs, forced: true })).toEqual({ newer: 'source', tie: false })
})
