import { describe, expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { FUNCTIONS } from './calls.ts'
import { compileExpression } from './expression.ts'
import { ExpressionFailure } from './failure.ts'
import { MACROS } from './macros.ts'

const TEXT: ColumnType = { kind: 'text', maxLength: null }

/** A row of each kind of column: name, type, cell. */
const ROW: readonly (readonly [string, ColumnType, Value])[] = [
  ['id', { kind: 'integer', bits: 64 }, '9007199254740993'],
  ['small', { kind: 'integer', bits: 16 }, '7'],
  ['price', { kind: 'decimal', precision: 20, scale: 2 }, '12345678901234567.10'],
  ['ratio', { kind: 'float', bits: 64 }, '0.1'],
  ['single', { kind: 'float', bits: 32 }, '0.1'],
  ['name', TEXT, 'Ann'],
  ['Full Name', TEXT, 'Ann Lee'],
  ['none', TEXT, null],
  ['no number', { kind: 'integer', bits: 32 }, null],
  ['flag', { kind: 'boolean' }, 't'],
  ['at', { kind: 'timestamp', zoned: true, digits: 6 }, '2024-02-29 23:59:59.999999+00'],
  ['wall', { kind: 'timestamp', zoned: false, digits: 6 }, '0044-03-15 12:00:00 BC'],
  ['day', { kind: 'date' }, '2024-02-29'],
  ['raw', { kind: 'bytes' }, String.raw`\x00ff`],
  ['tags', { kind: 'array', of: TEXT }, '{a,"b c",NULL}'],
  [
    'data',
    { kind: 'json', binary: false },
    '{"id": 9007199254740993, "n": {"x": 1.10, "": null}, "l": [1, "2"], "__proto__": 5}',
  ],
  ['plan', { kind: 'enum', labels: ['free', 'paid'] }, 'paid'],
  ['invalid', TEXT, new Uint8Array([0xff])],
]

const COLUMNS = ROW.map(([name, type]) => ({ name, type }))

function evaluate(text: string): Value {
  const compiled = compileExpression(text, COLUMNS)
  if ('problem' in compiled) throw new Error(`${text}: ${compiled.problem.message}`)
  return compiled.evaluate(compiled.uses.map((name) => ROW.find(([column]) => column === name)?.[2] ?? null))
}

function problem(text: string): string {
  const compiled = compileExpression(text, COLUMNS)
  return 'problem' in compiled ? compiled.problem.message : `no problem: ${JSON.stringify(compiled.result)}`
}

function failure(text: string): string {
  try {
    return `no failure: ${String(evaluate(text))}`
  } catch (error) {
    if (error instanceof ExpressionFailure) return error.reason
    throw error
  }
}

describe('every example in the docs gives what it says', () => {
  const examples = [...FUNCTIONS.flatMap(({ examples: of }) => of), ...MACROS.map(({ example }) => example)]
  test.each(examples)('$expression', ({ expression, gives }) => {
    expect(evaluate(expression)).toBe(gives)
  })

  test('every function has one', () => {
    expect(FUNCTIONS.filter((of) => of.examples.length === 0)).toEqual([])
  })
})

describe('C1 to C9: values are exact', () => {
  test.each([
    ['id + 0', '9007199254740993'],
    ['price + 0.005', '12345678901234567.105'],
    ['price * 3', '37037036703703701.3'],
    ['price', '12345678901234567.10'],
    ['0.1 + 0.2 == 0.3', 't'],
    ['small / 2', '3'],
    ['-7 % 3', '-1'],
    ['decimal(1) / 3', '0.33333333333333333333333333333333333333'],
    ['single == 0.1', 'f'],
    ['single == ratio', 'f'],
    ['ratio == 0.1', 't'],
    ['-9223372036854775808', '-9223372036854775808'],
    ['at + duration("1us")', '2024-03-01 00:00:00+00'],
    ['wall - duration("365d")', '0045-03-15 12:00:00 BC'],
    ['day + 1', '2024-03-01'],
    ['day - date("2023-03-01")', '365'],
    ['data.id', '9007199254740993'],
    ['data.n.x', '1.10'],
    ['data', '{"id": 9007199254740993, "n": {"x": 1.10, "": null}, "l": [1, "2"], "__proto__": 5}'],
    ['int(data.id) + 1', '9007199254740994'],
    ['data.id == 9007199254740993 && data.id != 9007199254740992', 't'],
    ['data["__proto__"]', '5'],
    ['{"a": [price, null], "b": name}', '{"a":[12345678901234567.1,null],"b":"Ann"}'],
    ['raw', String.raw`\x00ff`],
    ['tags', '{a,"b c",NULL}'],
    ['tags + ["NULL", ""]', '{a,"b c",NULL,"NULL",""}'],
    ['row["Full Name"] + row.name', 'Ann LeeAnn'],
    ['plan == "paid"', 't'],
    ['"\\uFF5E" < "\\U0001F600"', 't'],
  ])('%s is %s', (text, expected) => {
    expect(evaluate(text)).toBe(expected)
  })

  test('a column as it is keeps its type and its text', () => {
    const compiled = compileExpression('price', COLUMNS)
    expect(compiled).toMatchObject({ uses: ['price'], result: { kind: 'decimal', precision: 20, scale: 2 } })
  })

  test.each([
    ['size(name)', { kind: 'integer', bits: 64 }],
    ['price + 1', { kind: 'decimal', precision: null, scale: null }],
    ['at', { kind: 'timestamp', zoned: true, digits: 6 }],
    ['at - at', { kind: 'interval', native: 'interval' }],
    ['name.split(" ")', { kind: 'array', of: TEXT }],
    ['name == "x"', { kind: 'boolean' }],
  ])('%s has the type %j', (text, result) => {
    expect(compileExpression(text, COLUMNS)).toMatchObject({ result })
  })
})

describe('C13: NULL has clear rules', () => {
  test.each([
    ['none + "x"', null],
    ['lower(none)', null],
    ['none == null', 't'],
    ['none == "x"', 'f'],
    ['none != "x"', 't'],
    ['none < "x"', null],
    ['!(none < "x")', null],
    ['none < "x" && false', 'f'],
    ['none < "x" || true', 't'],
    ['none < "x" || false', null],
    ['none in ["x"]', 'f'],
    ['none in ["x", null]', 't'],
    ['none < "x" ? "a" : "b"', 'b'],
    ['coalesce(none, name)', 'Ann'],
    ['has(row.none) || has(row["no number"])', 'f'],
    ['has(row.name) && has(data.n) && has(data.n[""])', 't'],
    ['has(data.n.y)', 'f'],
    ['data.n[""] == null && data.n.nothing.deeper == null', 't'],
    ['tags.exists(t, t > "b")', 't'],
    ['tags.exists(t, t > "x")', null],
    ['row["no number"] + 1', null],
    ['small / (small - 7) == 1 && false', 'f'],
    ['small / (small - 7) == 1 || flag', 't'],
  ])('%s is %s', (text, expected) => {
    expect(evaluate(text)).toBe(expected)
  })
})

describe('mistakes are found before any row is read', () => {
  test.each([
    ['price + name', '+ is not defined for decimal and text. Make a text of the other with text(x).'],
    ['price + ratio', '+ is not defined for decimal and double. Convert one of them, with double(x) or decimal(x).'],
    [
      'data.id + 1',
      '+ is not defined for json and int. Say what the JSON is, with int(x), decimal(x), text(x) or bool(x).',
    ],
    ['at < wall', '< is not defined for timestamp and datetime.'],
    ['1 / 0 == 1 && flag', 'A number is divided by zero.'],
    ['nothing', 'There is no column "nothing".'],
    ['Lower(name)', 'There is no function Lower. Write lower.'],
    ['now()', 'There is no function now.'],
    ['random()', 'There is no function random.'],
    ['name.matches("(a)\\\\1")', 'The pattern cannot be used. \\1 is not known, or cannot be matched in linear time.'],
    ['name ? 1 : 2', '?: needs truth values, and not text.'],
    ['9223372036854775808', 'An integer does not fit 64 bits.'],
    ['[1, "a"]', 'int and text do not go together.'],
    ['row', 'row stands for the whole row: name a column of it, as row.name or row["any name"].'],
    ['1 +', 'Unexpected token: EOF.'],
    [`${'('.repeat(500)}1${')'.repeat(500)}`, expect.stringContaining('')],
    ['!'.repeat(3_900) + 'flag', expect.stringContaining('')],
    [`"${'x'.repeat(4_000)}"`, 'It is longer than 4000 characters.'],
  ])('%s', (text, message) => {
    expect(problem(text)).toEqual(message)
    expect(problem(text)).not.toMatch(/^no problem/)
  })

  test('a place is a line and a column', () => {
    expect(compileExpression('name +\n  nothing', COLUMNS)).toMatchObject({ problem: { line: 2, column: 3 } })
  })
})

describe('S62, M14: a failure is in words, without the row, and nothing runs away', () => {
  test.each([
    ['invalid == null', 'A text is not valid UTF-8.'],
    ['int(name)', 'A text is no number.'],
    ['id * id', 'An integer does not fit 64 bits.'],
    ['small / (small - 7)', 'A number is divided by zero.'],
    ['int(price)', 'A number is not whole: round it first.'],
    ['tags[5]', 'A list has no such element.'],
    ['date(name)', 'A text is no date.'],
    ['json(name)', 'A text is not valid JSON.'],
    ['name.padLeft(100000000, "x")', 'A text would be longer than 10000000 characters.'],
    ['name.padLeft(10000000, "x").replace("x", "xxxxxxxxxxxxx")', 'A text would be longer than 10000000 characters.'],
    [
      'cel.bind(l, name.padLeft(5000, "x").split(""), l.all(a, l.all(b, l.all(c, l.all(d, a == a)))))',
      'It would take more than 10000000 steps.',
    ],
    ['fromHex(name)', 'A text is not hexadecimal.'],
    ['addDays(day, 999999999999)', 'A date lies outside of what a date can hold.'],
    ['name + "\\u0000"', 'A text holds the character U+0000.'],
  ])('%s', (text, reason) => {
    expect(failure(text)).toBe(reason)
  })

  test('S27: a pattern takes time by the length of the text', () => {
    const text = 'name.padLeft(99999, "a").matches(name.padLeft(30, "a").replace("a", "(a|a)*") + "$b")'
    expect(evaluate(text)).toBe('f')
  })

  test('deep JSON is refused', () => {
    const compiled = compileExpression('data.a', [{ name: 'data', type: { kind: 'json', binary: true } }])
    if ('problem' in compiled) throw new Error(compiled.problem.message)
    expect(() => compiled.evaluate(['['.repeat(100_000) + ']'.repeat(100_000)])).toThrow('nested deeper')
  })
})
