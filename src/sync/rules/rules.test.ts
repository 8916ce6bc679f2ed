import { describe, expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { RULE_SCHEMAS, ruleSchema, type Rule, type RuleKind } from './rule-document.ts'
import { RULE_EXAMPLES } from './rule-examples.ts'
import { compileRules, type Rules, type RuleSources } from './rules.ts'

const TEXT: ColumnType = { kind: 'text', maxLength: null }
const KINDS = Object.keys(RULE_SCHEMAS) as RuleKind[]
const SOURCES: RuleSources = {
  keysOf: ({ table }) => (table === 'public.countries' ? new Set(['DE', 'FR']) : null),
  repeated: (_field, value) => value === 'a@example.org',
}

function compiled(rules: readonly unknown[], type: ColumnType, sources: RuleSources = SOURCES): Rules {
  const parsed = rules.map((rule) => ruleSchema.parse(rule))
  const made = compileRules(
    parsed,
    parsed.map(({ field }) => ({ name: field, type })),
    sources,
  )
  if ('problems' in made) throw new Error(JSON.stringify(made.problems))
  return made
}

function problems(rule: unknown, type: ColumnType = TEXT, field = 'f'): string[] {
  const made = compileRules([ruleSchema.parse(rule)], [{ name: field, type }], SOURCES)
  return 'problems' in made ? made.problems.map(({ message }) => message) : []
}

function reasons(rule: object, type: ColumnType, value: Value): string[] {
  return compiled([{ field: 'f', ...rule }], type)
    .check([value])
    .map(({ reason }) => reason)
}

describe('S3.33: every kind of rule has an example that says what it does', () => {
  test.each(KINDS)('%s', (kind) => {
    const { rule, type, keeps, breaks, reason } = RULE_EXAMPLES[kind]
    const { check } = compiled([rule], type)
    for (const value of keeps) expect(check([value]), String(value)).toEqual([])
    expect(check([breaks])).toEqual([{ rule: kind, column: rule.field, on_fail: rule.on_fail, reason }])
  })
})

test('what happens to a row that breaks a rule is to set it aside, where the rule does not say', () => {
  expect(ruleSchema.parse({ field: 'f', required: true })).toMatchObject({ on_fail: 'reject' })
})

test.each([
  [{ field: 'f' }],
  [{ field: 'f', required: false }],
  [{ field: 'f', required: true, unique: true }],
  [{ field: 'f', required: true, on_fail: 'ignore' }],
  [{ field: 'f', range: {} }],
  [{ field: 'f', length: { min: -1 } }],
  [{ field: 'f', one_of: [] }],
  [{ required: true }],
])('%j is no rule', (document) => {
  expect(ruleSchema.safeParse(document).success).toBe(false)
})

describe('a rule that cannot be kept is refused before any row', () => {
  test.each<[unknown, ColumnType, string]>([
    [{ field: 'g', required: true }, TEXT, 'There is no column "g".'],
    [
      { field: 'f', pattern: '(a)\\1' },
      TEXT,
      'The pattern cannot be used. \\1 is not known, or cannot be matched in linear time.',
    ],
    [
      { field: 'f', range: { min: 'x' } },
      { kind: 'integer', bits: 32 },
      'A bound is no 32-bit integer as the database writes it.',
    ],
    [
      { field: 'f', range: { min: 9007199254740992 } },
      { kind: 'integer', bits: 64 },
      'A bound is no 64-bit integer as the database writes it.',
    ],
    [{ field: 'f', range: { min: '2024-02-30' } }, { kind: 'date' }, 'A bound is no date as the database writes it.'],
    [{ field: 'f', range: { min: 2, max: 1 } }, { kind: 'integer', bits: 32 }, 'The range ends before it begins.'],
    [
      { field: 'f', range: { min: '1' } },
      { kind: 'json', binary: true },
      'Values of jsonb have no order that a range could follow.',
    ],
    [{ field: 'f', length: { max: 1 } }, { kind: 'integer', bits: 32 }, 'Values of 32-bit integer have no length.'],
    [{ field: 'f', reference: { table: 'x', column: 'y' } }, TEXT, 'The values of x.y were not read.'],
    [
      { field: 'f', expression: 'g > 1' },
      TEXT,
      'The expression cannot be used (line 1, column 1): There is no column "g".',
    ],
  ])('%j', (rule, type, message) => {
    expect(problems(rule, type)).toEqual([message])
  })
})

test('C1, C8: a range compares by the type of its column, with all digits', () => {
  const big: ColumnType = { kind: 'integer', bits: 64 }
  expect(reasons({ range: { max: '9007199254740992' } }, big, '9007199254740993')).toHaveLength(1)
  expect(reasons({ range: { max: '9007199254740993' } }, big, '9007199254740993')).toEqual([])
  expect(reasons({ range: { min: '0.10' } }, { kind: 'decimal', precision: null, scale: null }, '0.1')).toEqual([])
  expect(reasons({ range: { min: '10' } }, big, '9')).toHaveLength(1)
  expect(reasons({ range: { max: 'infinity' } }, { kind: 'date' }, '5874897-12-31')).toEqual([])
  expect(reasons({ range: { max: 1 } }, { kind: 'float', bits: 64 }, 'NaN')).toEqual(['It is greater than 1.'])
})

test.each([
  ['number', '1e5', '1e'],
  ['boolean', 'Yes', 'ja'],
  ['date', '2024-02-29', '2023-02-29'],
  ['timestamp', '2024-02-29T12:00:00Z', '2024-02-29T25:00:00Z'],
  ['uuid', 'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11', 'a0eebc99'],
  ['json', '{"a": [1]}', '{a: 1}'],
  ['email', "o'hara+x@mail.example.org", 'ann@localhost'],
  ['url', 'https://example.org/ä', 'ftp://example.org'],
])('type %s: %s is one, %s is none', (type, good, bad) => {
  expect(reasons({ type }, TEXT, good)).toEqual([])
  expect(reasons({ type }, TEXT, bad)).toHaveLength(1)
})

test('all failures of a row are told, in the order of the rules', () => {
  const { check } = compiled(
    [
      { field: 'f', length: { max: 1 }, on_fail: 'warn' },
      { field: 'f', one_of: ['a'], on_fail: 'stop' },
      { field: 'f', required: true },
    ],
    TEXT,
  )
  expect(check(['xy']).map(({ rule, on_fail }) => [rule, on_fail])).toEqual([
    ['length', 'warn'],
    ['one_of', 'stop'],
  ])
  expect(check(['a'])).toEqual([])
})

test('an expression that is null or has no value is not true', () => {
  const type: ColumnType = { kind: 'integer', bits: 32 }
  expect(reasons({ expression: '10 / f > 1' }, type, null)).toEqual(['The expression is not true.'])
  expect(reasons({ expression: '10 / f > 1' }, type, '0')).toEqual([
    'The expression has no value. A number is divided by zero.',
  ])
})

test('S62: a reason holds no value of the row', () => {
  const secret = 'canary-51c2'
  const rules = [
    { pattern: '^x' },
    { one_of: ['x'] },
    { type: 'date' },
    { length: { max: 1 } },
    { range: { max: 'b' } },
    { expression: 'int(f) > 1' },
  ]
  for (const rule of rules) {
    const [reason = ''] = reasons(rule, TEXT, secret)
    expect(reason, JSON.stringify(rule)).not.toBe('')
    expect(reason).not.toContain(secret)
  }
})

test('the example of each rule is one of the document', () => {
  for (const kind of KINDS) expect(ruleSchema.parse(RULE_EXAMPLES[kind].rule) satisfies Rule).toBeDefined()
})
