import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import type { Rule, RuleKind } from './rule-document.ts'

/** A rule as somebody writes it, with values that keep it and one that breaks it: executed by the tests, shown in the docs. */
export interface RuleExample {
  readonly rule: Rule
  readonly type: ColumnType
  /** Values of the field that pass, one row each. */
  readonly keeps: readonly Value[]
  readonly breaks: Value
  readonly reason: string
  /** What the docs say beside the description of the schema. */
  readonly note: string
}

const TEXT: ColumnType = { kind: 'text', maxLength: null }

export const RULE_EXAMPLES: Readonly<Record<RuleKind, RuleExample>> = {
  required: {
    rule: { field: 'name', required: true, on_fail: 'reject' },
    type: TEXT,
    keeps: ['Ann', ''],
    breaks: null,
    reason: 'It is null.',
    note: 'An empty text is not null.',
  },
  type: {
    rule: { field: 'zip', type: 'integer', on_fail: 'warn' },
    type: TEXT,
    keeps: ['01234', null],
    breaks: '12a',
    reason: 'It is not an integer.',
    note: 'For texts that hold something else; what the column itself holds is sure anyway.',
  },
  range: {
    rule: { field: 'price', range: { min: 0, max: '99999999999999999.99' }, on_fail: 'reject' },
    type: { kind: 'decimal', precision: 30, scale: 2 },
    keeps: ['0', '99999999999999999.99', null],
    breaks: '-0.01',
    reason: 'It is less than 0.',
    note: 'Numbers, dates and times by their value, texts by code point; a bound is written as the database writes a value.',
  },
  length: {
    rule: { field: 'code', length: { min: 2, max: 3 }, on_fail: 'reject' },
    type: TEXT,
    keeps: ['ab', '😀😀😀', null],
    breaks: 'abcd',
    reason: 'It has 4 characters, more than 3.',
    note: 'Characters are code points.',
  },
  pattern: {
    rule: { field: 'sku', pattern: '^[A-Z]{2}-\\d+$', on_fail: 'reject' },
    type: TEXT,
    keeps: ['AB-1', null],
    breaks: 'ab-1',
    reason: 'It does not match the pattern.',
    note: 'Patterns are those of the function `matches` (see docs/expressions.md).',
  },
  one_of: {
    rule: { field: 'status', one_of: ['new', 'paid'], on_fail: 'stop' },
    type: TEXT,
    keeps: ['new', null],
    breaks: 'New',
    reason: 'It is none of the values that are allowed.',
    note: 'Compared as texts, by their bytes.',
  },
  unique: {
    rule: { field: 'email', unique: true, on_fail: 'reject' },
    type: TEXT,
    keeps: ['b@example.org', null],
    breaks: 'a@example.org',
    reason: 'Another row of the source has it.',
    note: 'All rows that share a value break it, whichever comes first. A run looks at the whole source once more for it.',
  },
  reference: {
    rule: { field: 'country', reference: { table: 'public.countries', column: 'code' }, on_fail: 'reject' },
    type: TEXT,
    keeps: ['DE', null],
    breaks: 'XX',
    reason: 'It is not in public.countries.code.',
    note: 'The values of the other table are read once, before the first row.',
  },
  expression: {
    rule: { field: 'ends', expression: 'ends > date("2024-01-01")', on_fail: 'warn' },
    type: { kind: 'date' },
    keeps: ['2024-01-02'],
    breaks: '2023-12-31',
    reason: 'The expression is not true.',
    note: 'The expression may use every column of the row (see docs/expressions.md).',
  },
}
