import { describe, expect, test } from 'vitest'

import type { ColumnType, Form } from '#model/column-type.ts'
import { FIELD_STRATEGIES, type FieldBase, type FieldStrategy } from '#model/conflict.ts'
import { fingerprint } from '#model/fingerprint.ts'
import type { Value } from '#model/value.ts'
import { mergeRows, type MergeColumn, type MergeInput } from './merge.ts'

const TEXT: ColumnType = { kind: 'text', maxLength: null }
const BIGINT: ColumnType = { kind: 'integer', bits: 64 }
const NUMERIC: ColumnType = { kind: 'decimal', precision: null, scale: null }
const MONEY: ColumnType = { kind: 'decimal', precision: 6, scale: 2 }
const STAMP: ColumnType = { kind: 'timestamp', zoned: true, digits: 6 }
const WALL: ColumnType = { kind: 'timestamp', zoned: false, digits: 6 }
const DATE: ColumnType = { kind: 'date' }
const TIME: ColumnType = { kind: 'time', zoned: false, digits: 6 }
const ZONED_TIME: ColumnType = { kind: 'time', zoned: true, digits: 6 }
const TEXTS: ColumnType = { kind: 'array', of: TEXT }
const JSONB: ColumnType = { kind: 'json', binary: true }
const JSON_TEXT: ColumnType = { kind: 'json', binary: false }

function column(strategy: FieldStrategy = 'manual', type = TEXT, form: Form = 'own'): MergeColumn {
  return { type, form, isKey: false, strategy }
}

/** A value of one column that both sides may have changed; `base` undefined: not known. */
interface Cell {
  readonly base: Value | undefined
  readonly source: Value
  readonly target: Value
}

const CONFLICT = Symbol('conflict')

function mergeCell(of: MergeColumn, { base, source, target }: Cell, newer: MergeInput['newer'] = null): unknown {
  const known: FieldBase | null = base === undefined ? null : { row: [base] }
  const { row, conflicts } = mergeRows([of], { source: [source], target: [target], base: known, newer })
  return conflicts.length > 0 ? CONFLICT : row[0]
}

const bytes = (...codes: number[]): Uint8Array => Uint8Array.from(codes)

describe('what one side changed is taken from it, whatever the strategy', () => {
  const cells: [string, Cell, Value][] = [
    ['by the source', { base: 'a', source: 'b', target: 'a' }, 'b'],
    ['by the target', { base: 'a', source: 'a', target: 'c' }, 'c'],
    ['by neither', { base: 'a', source: 'a', target: 'a' }, 'a'],
    ['by both alike', { base: 'a', source: 'b', target: 'b' }, 'b'],
    ['to NULL', { base: 'a', source: null, target: 'a' }, null],
    ['from NULL', { base: null, source: null, target: '' }, ''],
    ['from an empty text to NULL', { base: '', source: '', target: null }, null],
    ['to the same bytes', { base: 'a', source: bytes(0xff), target: bytes(0xff) }, bytes(0xff)],
    ['to other bytes', { base: bytes(0xff), source: bytes(0xff), target: bytes(0xfe) }, bytes(0xfe)],
    ['to another spelling of a character', { base: '\u00e9', source: 'e\u0301', target: '\u00e9' }, 'e\u0301'],
  ]
  const strategies = FIELD_STRATEGIES.filter((strategy) => !strategy.endsWith('_owns'))
  test.each(cells)('%s', (_, cell, expected) => {
    for (const strategy of strategies) {
      expect(mergeCell(column(strategy), cell), strategy).toEqual(expected)
      // By fingerprints alone, all is the same.
      const { base, source, target } = cell
      const { row, conflicts } = mergeRows([column(strategy)], {
        source: [source],
        target: [target],
        base: { fingerprints: [fingerprint([base ?? null])] },
        newer: null,
      })
      expect({ row, conflicts }, strategy).toEqual({ row: [expected], conflicts: [] })
    }
  })
})

/** Both sides changed it, to different values. */
test.each<[FieldStrategy, ColumnType, Cell, unknown]>([
  ['manual', TEXT, { base: 'a', source: 'b', target: 'c' }, CONFLICT],
  ['source_wins', TEXT, { base: 'a', source: null, target: 'c' }, null],
  ['target_wins', TEXT, { base: 'a', source: 'b', target: null }, null],
  ['non_null', TEXT, { base: 'a', source: null, target: 'c' }, 'c'],
  ['non_null', TEXT, { base: 'a', source: 'b', target: null }, 'b'],
  ['non_null', TEXT, { base: 'a', source: '', target: null }, ''],
  ['non_null', TEXT, { base: 'a', source: 'b', target: '' }, CONFLICT],
  ['max', BIGINT, { base: '1', source: '9', target: '10' }, '10'],
  ['min', BIGINT, { base: '1', source: '9', target: '10' }, '9'],
  ['max', BIGINT, { base: '0', source: '9223372036854775807', target: '9223372036854775806' }, '9223372036854775807'],
  ['min', BIGINT, { base: '0', source: '-9223372036854775808', target: '-9' }, '-9223372036854775808'],
  ['max', BIGINT, { base: '1', source: null, target: '10' }, CONFLICT],
  [
    'max',
    NUMERIC,
    { base: '0', source: `1${'0'.repeat(400)}.1`, target: `1${'0'.repeat(400)}.09` },
    `1${'0'.repeat(400)}.1`,
  ],
  ['max', NUMERIC, { base: '0', source: '-0.10', target: '-0.9' }, '-0.10'],
  ['max', NUMERIC, { base: '0', source: 'NaN', target: '9' }, 'NaN'],
  ['max', NUMERIC, { base: '0', source: '1.0', target: '1.00' }, '1.00'],
  ['max', NUMERIC, { base: '0', source: '1.00', target: '1.0' }, '1.00'],
  ['min', NUMERIC, { base: '0', source: '1.00', target: '1.0' }, '1.0'],
  [
    'max',
    STAMP,
    { base: null, source: '2024-01-01 00:00:00.000001+00', target: '2024-01-01 00:00:00+00' },
    '2024-01-01 00:00:00.000001+00',
  ],
  ['max', STAMP, { base: null, source: 'infinity', target: '294276-01-01 00:00:00+00' }, 'infinity'],
  ['min', STAMP, { base: null, source: '-infinity', target: '4713-01-01 00:00:00+00 BC' }, '-infinity'],
  [
    'min',
    WALL,
    { base: null, source: '0044-03-15 00:00:00 BC', target: '0043-03-15 00:00:00 BC' },
    '0044-03-15 00:00:00 BC',
  ],
  [
    'max',
    WALL,
    { base: null, source: '10000-01-01 00:00:00', target: '9999-12-31 23:59:59.999999' },
    '10000-01-01 00:00:00',
  ],
  ['max', DATE, { base: null, source: '10000-01-01', target: '9999-12-31' }, '10000-01-01'],
  ['max', TIME, { base: null, source: '09:59:59.999999', target: '10:00:00' }, '10:00:00'],
  ['max', ZONED_TIME, { base: null, source: '10:00:00+02', target: '09:00:00+00' }, '09:00:00+00'],
  ['min', ZONED_TIME, { base: null, source: '00:30:00+01', target: '00:00:00+00' }, '00:30:00+01'],
  ['max', TEXT, { base: '', source: '\uff5e', target: '😀' }, '😀'],
  ['max', TEXT, { base: '', source: 'a', target: 'B' }, 'a'],
  ['max', TEXT, { base: '', source: bytes(0xff), target: 'B' }, CONFLICT],
  ['max', { kind: 'boolean' }, { base: null, source: 't', target: 'f' }, 't'],
  ['max', { kind: 'float', bits: 64 }, { base: '0', source: '1e+15', target: '999' }, '1e+15'],
  ['max', { kind: 'interval', native: 'interval' }, { base: null, source: '1 day', target: '23:00:00' }, CONFLICT],
  ['max', { kind: 'enum', labels: ['low', 'high'] }, { base: null, source: 'high', target: 'low' }, CONFLICT],
  ['max', JSONB, { base: null, source: '1', target: '2' }, CONFLICT],
  ['max', TEXTS, { base: null, source: '{a}', target: '{b}' }, CONFLICT],
  ['sum', BIGINT, { base: '10', source: '15', target: '12' }, '17'],
  ['sum', BIGINT, { base: '10', source: '5', target: '8' }, '3'],
  [
    'sum',
    BIGINT,
    { base: '9007199254740993', source: '9007199254740994', target: '9007199254740995' },
    '9007199254740996',
  ],
  ['sum', BIGINT, { base: '0', source: '9223372036854775807', target: '1' }, CONFLICT],
  ['sum', BIGINT, { base: undefined, source: '1', target: '2' }, CONFLICT],
  ['sum', BIGINT, { base: null, source: '1', target: '2' }, CONFLICT],
  ['sum', BIGINT, { base: '1', source: null, target: '2' }, CONFLICT],
  ['sum', MONEY, { base: '0.10', source: '0.30', target: '0.20' }, '0.40'],
  ['sum', MONEY, { base: '0.00', source: '-0.05', target: '-0.01' }, '-0.06'],
  ['sum', MONEY, { base: '0.00', source: '9999.00', target: '1.00' }, CONFLICT],
  ['sum', NUMERIC, { base: '0.1', source: '0.10000000000000000000000000000000000000000001', target: '1e5' }, CONFLICT],
  ['sum', NUMERIC, { base: '1', source: `${'9'.repeat(50)}.5`, target: '2.25' }, `1${'0'.repeat(50)}.75`],
  ['sum', NUMERIC, { base: '1', source: 'NaN', target: '2' }, CONFLICT],
  ['sum', { kind: 'float', bits: 64 }, { base: '1', source: '2', target: '3' }, CONFLICT],
  ['sum', TEXT, { base: '1', source: '2', target: '3' }, CONFLICT],
  ['union', TEXTS, { base: '{a,b}', source: '{a,b,c}', target: '{d,a,b}' }, '{d,a,b,c}'],
  ['union', TEXTS, { base: '{a,b,c}', source: '{b,c}', target: '{a,b}' }, '{b}'],
  ['union', TEXTS, { base: undefined, source: '{a,b}', target: '{b,c}' }, '{b,c,a}'],
  ['union', TEXTS, { base: null, source: '{a}', target: '{b}' }, '{b,a}'],
  [
    'union',
    TEXTS,
    { base: '{}', source: '{"a,b","say \\"x\\"",""}', target: '{"\\\\",NULL,"NULL"}' },
    '{"\\\\",NULL,"NULL","a,b","say \\"x\\"",""}',
  ],
  ['union', TEXTS, { base: '{}', source: '{x,x,y}', target: '{a,a}' }, '{a,a,x,y}'],
  ['union', TEXTS, { base: '{NULL,a}', source: '{a,b}', target: '{NULL,a,c}' }, '{a,c,b}'],
  ['union', TEXTS, { base: '{a}', source: null, target: '{a,b}' }, CONFLICT],
  ['union', TEXTS, { base: '{a}', source: '{{a},{b}}', target: '{a,b}' }, CONFLICT],
  ['union', TEXTS, { base: '{a}', source: '[0:1]={a,b}', target: '{a,c}' }, CONFLICT],
  [
    'union',
    JSONB,
    { base: '["a"]', source: '["a", "b", null]', target: '["a", {"k": 1.0}]' },
    '["a", {"k": 1.0}, "b", null]',
  ],
  ['union', JSONB, { base: '[1, 2]', source: '[1]', target: '[1, 2, 3]' }, '[1, 3]'],
  ['union', JSONB, { base: '[]', source: '{"a": 1}', target: '[1]' }, CONFLICT],
  [
    'union',
    JSON_TEXT,
    { base: '[]', source: '[12345678901234567890.10]', target: '[ "é\\u00e9" ]' },
    '["éé", 12345678901234567890.10]',
  ],
  ['union', JSON_TEXT, { base: '[]', source: '[{"a":1,"a":2}]', target: '[1]' }, CONFLICT],
  ['union', JSON_TEXT, { base: '[]', source: '["\\u0000"]', target: '[1]' }, '[1, "\\u0000"]'],
  ['union', TEXT, { base: '[]', source: '[1]', target: '[2]' }, CONFLICT],
])('%s of %j: %j', (strategy, type, cell, expected) => {
  expect(mergeCell(column(strategy, type), cell)).toEqual(expected)
})

test('what is in conflict has the target’s value, and what was made of both is said to be', () => {
  const columns = [column('manual'), column('sum', BIGINT), column('max', BIGINT), column('union', TEXTS)]
  const merged = mergeRows(columns, {
    source: ['b', '15', '3', '{a}'],
    target: ['c', '12', '4', '{b}'],
    base: { row: ['a', '10', '1', '{}'] },
    newer: 'source',
  })
  expect(merged).toEqual({ row: ['c', '17', '4', '{b,a}'], conflicts: [0], combined: [1, 3] })
})

test('sum: a column that is read without zeros behind the last digit gets none', () => {
  const cell = { base: '0.5', source: '1.25', target: '1.25' }
  const changed = { ...cell, target: '0.75' }
  expect(mergeCell(column('sum', MONEY, 'decimal'), changed)).toBe('1.5')
  expect(mergeCell(column('sum', NUMERIC, 'own'), changed)).toBe('1.50')
})

test('newer_wins: the newer row, and somebody where nothing says which is', () => {
  const cell = { base: 'a', source: 'b', target: 'c' }
  expect(mergeCell(column('newer_wins'), cell, 'source')).toBe('b')
  expect(mergeCell(column('newer_wins'), cell, 'target')).toBe('c')
  expect(mergeCell(column('newer_wins'), cell)).toBe(CONFLICT)
})

test('an owner has the field, also where the other side alone changed it', () => {
  for (const cell of [
    { base: 'a', source: 'a', target: 'c' },
    { base: 'a', source: 'b', target: 'a' },
    { base: undefined, source: 'a', target: 'c' },
    { base: 'a', source: null, target: 'c' },
  ]) {
    expect(mergeCell(column('source_owns'), cell)).toBe(cell.source)
    expect(mergeCell(column('target_owns'), cell)).toBe(cell.target)
  }
})

test('without a base each field that differs was changed on both sides', () => {
  const columns = ['manual', 'manual', 'source_wins', 'max'] as const
  const merged = mergeRows(
    columns.map((strategy) => column(strategy)),
    { source: ['a', 'b', 'c', 'd'], target: ['a', 'x', 'y', 'z'], base: null, newer: null },
  )
  expect(merged).toEqual({ row: ['a', 'x', 'c', 'z'], conflicts: [1], combined: [] })
})

test('a column that was added since the base has no base', () => {
  const columns = [column(), column(), column()]
  const rows = { source: ['b', 'new', 'same'], target: ['a', 'other', 'same'], newer: null }
  const expected = { row: ['b', 'other', 'same'], conflicts: [1], combined: [] }
  expect(mergeRows(columns, { ...rows, base: { row: ['a'] } })).toEqual(expected)
  expect(mergeRows(columns, { ...rows, base: { fingerprints: [fingerprint(['a'])] } })).toEqual(expected)
})

test('by fingerprints alone there is no sum, and nothing that was removed from a list', () => {
  const columns = [column('sum', BIGINT), column('union', TEXTS)]
  const base = { fingerprints: [fingerprint(['10']), fingerprint(['{a,b}'])] }
  const merged = mergeRows(columns, { source: ['11', '{a,c}'], target: ['12', '{b}'], base, newer: null })
  expect(merged).toEqual({ row: ['12', '{b,a,c}'], conflicts: [0], combined: [1] })
})

test('a key keeps the spelling that the target has', () => {
  const key: MergeColumn = { ...column('source_owns'), isKey: true }
  const merged = mergeRows([key, column()], { source: ['A', 'x'], target: ['a', 'x'], base: null, newer: null })
  expect(merged).toEqual({ row: ['a', 'x'], conflicts: [], combined: [] })
})

test('I7: fields that the sides changed apart from each other are all kept', () => {
  const places = Array.from({ length: 8 }, (_, place) => place)
  const base = places.map(String)
  for (let mask = 0; mask < 256; mask++) {
    const source = places.map((place) => (mask & (1 << place) ? `s${place}` : String(place)))
    const target = places.map((place) => (mask & (1 << place) ? String(place) : `t${place}`))
    const expected = places.map((place) => (mask & (1 << place) ? `s${place}` : `t${place}`))
    const columns = places.map(() => column())
    const merged = mergeRows(columns, { source, target, base: { row: base }, newer: null })
    expect(merged).toEqual({ row: expected, conflicts: [], combined: [] })
  }
})
