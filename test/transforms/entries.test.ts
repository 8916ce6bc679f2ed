/** Every entry of the table of transforms: its example, and the values that break transforms (hazards C1 to C19). */
import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { whyNotOf } from '#sync/transforms/cast/literal.ts'
import { compileChain, type Chain } from '#sync/transforms/chain.ts'
import { TRANSFORMS } from '#sync/transforms/registry.ts'
import { GROUPS, isRefusal, TransformError, type Context, type Transform } from '#sync/transforms/transform.ts'

import { printedSeed } from '#test/harness/seed.ts'

const CONTEXT: Context = {
  lookup: () => (key) => (typeof key === 'string' && key.length < 3 ? `looked up: ${key}` : undefined),
  maskKey: new Uint8Array(32).fill(7),
}

const HARD_TEXTS = [
  '',
  ' ',
  '\t\r\n',
  'a',
  'A',
  '0',
  '-0',
  '-1',
  '1.5',
  'ß',
  'İı',
  'ǆ',
  'ﬁ',
  '👍🏽',
  '👨‍👩‍👧',
  'e\u0301',
  'שלום',
  'مرحبا 123',
  '\u202eabc',
  '\u00a0x\u00a0',
  '\ufeffx',
  'NULL',
  '\\N',
  '{',
  '}',
  '{}',
  '"',
  '\\',
  "'",
  '%',
  '%zz',
  '<',
  '<a',
  '<a "',
  '<!--',
  '&#0;',
  '&#xD800;',
  '&nope;',
  '$1',
  '(',
  '[',
  '*',
  'a@b',
  'a@b.c',
  '+49',
  'http://',
  'null',
  'true',
  '[]',
  '{"a":1}',
  '{"a":1,"a":2}',
  '[1e400]',
  '"\\ud800"',
  '"\\u0000"',
  'N;',
  'i:1;',
  's:2:"é";',
  's:9:"a";',
  'a:1:{i:0;R:1;}',
  'O:8:"stdClass":0:{}',
  '9007199254740993',
  '9223372036854775807',
  '1e999',
  'NaN',
  '__proto__',
  'constructor',
  'x'.repeat(10_000),
  '𝒳'.repeat(300),
  '2025-02-30',
  '0000-00-00',
  '2020-00-10',
  '2ed6657d-e927-568b-95e1-2665a8aea6a2',
]

const HARD: Partial<Record<ColumnType['kind'], readonly string[]>> = {
  text: HARD_TEXTS,
  integer: ['0', '1', '-1', '32767', '-32768', '2147483647', '-2147483648'],
  decimal: [
    '0',
    '-0.5',
    '0.5',
    '1.10',
    '99999999999999999999.999',
    '-2.5',
    'NaN',
    'Infinity',
    `1${'0'.repeat(999)}`,
    `0.${'0'.repeat(900)}1`,
  ],
  boolean: ['t', 'f'],
  bytes: ['\\x', '\\x00', '\\xff', '\\xefbbbf', '\\xc3a9', '\\x80', `\\x${'00'.repeat(16)}`],
  timestamp: [
    '1970-01-01 00:00:00',
    '1969-12-31 23:59:59.999999',
    '0001-01-01 00:00:00',
    '4713-01-01 00:00:00 BC',
    '294276-12-31 23:59:59.999999',
    'infinity',
    '-infinity',
    '2024-02-29 12:00:00',
    '2025-03-30 02:30:00',
    '2025-10-26 02:30:00',
  ],
  date: [
    '1970-01-01',
    '2024-02-29',
    '0001-01-01',
    '4713-01-01 BC',
    '5874897-12-31',
    'infinity',
    '-infinity',
    '9999-12-31',
  ],
  time: ['00:00:00', '23:59:59.999999', '24:00:00'],
  interval: ['00:00:00', '1 day', '-1 days +02:03:00', '1 year 2 mons', '-00:00:01.5', '1000000:00:00'],
  json: [
    'null',
    '{}',
    '[]',
    '"x"',
    '1.10',
    '{"a": {"b": [1, null]}}',
    '[["a"], {"b": 9007199254740993}]',
    '{"__proto__": 1}',
    '"👍"',
    '{"$php": ["float", "1e"]}',
    '['.repeat(600) + ']'.repeat(600),
  ],
  uuid: [
    '00000000-0000-0000-0000-000000000000',
    'ffffffff-ffff-ffff-ffff-ffffffffffff',
    '01890a5d-ac96-774b-bcce-b302099a8057',
  ],
  enum: ['new'],
}

const HARD_ARRAYS = {
  numbers: ['{}', '{NULL}', '{1,2,1}', '{{1},{2}}', '[0:1]={1,2}', '{NULL,-3,10,9}'],
  texts: ['{}', '{NULL}', '{""}', '{"a,b","\\"q\\""}', '{"NULL",NULL}', '{{a},{b}}', '{é,👍,"\\\\"}'],
} as const

function hardValues(type: ColumnType): readonly string[] {
  if (type.kind === 'array') return HARD_ARRAYS[type.of.kind === 'text' ? 'texts' : 'numbers']
  const values = HARD[type.kind] ?? []
  return type.kind === 'timestamp' && type.zoned
    ? values.map((value) => (value.endsWith('infinity') ? value : value.replace(/( BC)?$/, '+00$1')))
    : values
}

function chainOf({ name, example }: Transform): Chain {
  const compiled = compileChain([{ name, args: example.args }], example.types)
  if ('problems' in compiled) throw new Error(JSON.stringify(compiled.problems))
  return compiled.chain
}

/** What a chain makes of values, or the reason why it rejects them; any other error is a failure. */
function outcome(
  apply: (values: readonly Value[]) => Value,
  values: readonly Value[],
): { made: Value } | { reason: string } {
  try {
    return { made: apply(values) }
  } catch (error) {
    if (!(error instanceof TransformError)) throw error
    if (error.at === null) throw new Error('the error does not say which step it is of', { cause: error })
    return { reason: error.reason }
  }
}

function expectOfType(made: Value, type: ColumnType): void {
  if (made === null) return
  if (typeof made !== 'string' || made.includes('\0')) throw new Error('the result is no text')
  // What has no finite number, and json that says null, are values of their types, too.
  if (/^-?(?:NaN|Infinity)$/.test(made) && (type.kind === 'decimal' || type.kind === 'float')) return
  expect(whyNotOf(made, type), `${made.slice(0, 100)} as ${JSON.stringify(type)}`).toBeNull()
}

test('the table has at least 60 transforms, of names that differ, in every group', () => {
  expect(new Set(TRANSFORMS.map(({ name }) => name)).size).toBe(TRANSFORMS.length)
  expect(TRANSFORMS.length).toBeGreaterThanOrEqual(60)
  expect(new Set(TRANSFORMS.map(({ group }) => group))).toEqual(new Set(GROUPS))
  for (const { name } of TRANSFORMS) expect(name).toMatch(/^[a-z][a-z0-9_]*$/)
})

describe.each(TRANSFORMS.map((transform) => [transform.name, transform] as const))('%s', (_name, transform) => {
  const chain = chainOf(transform)
  const apply = chain.bind(CONTEXT)
  const { input, output, types } = transform.example

  test('does what its example says', () => {
    const made = apply(input)
    // What is keyed stands as ? in its example.
    const [before = '', after] = transform.group === 'Privacy' ? (output ?? '').toString().split('?') : []
    const keyed = after === undefined ? /$^/ : new RegExp(`^${before}.+${after}$`)
    expect(after === undefined ? made : String(made).replace(keyed, () => String(output))).toBe(output)
    expect(made === input[0]).toBe(output === input[0])
    expectOfType(made, chain.result)
  })

  test('leaves NULL alone unless it is about NULL', () => {
    const nulls = types.map(() => null)
    const found = outcome(apply, nulls)
    expect(transform.nulls === null ? found : { made: null }).toEqual({ made: null })
  })

  test('rejects bytes that are no text, or reads them', () => {
    outcome(
      apply,
      types.map(() => Uint8Array.of(0xff, 0xfe)),
    )
  })

  test('hard values are carried in the result type or rejected, the same each time', () => {
    const again = chain.bind(CONTEXT)
    const lists = types.map(hardValues)
    const longest = Math.max(...lists.map((list) => list.length), 1)
    for (let i = 0; i < longest; i += 1) {
      const values = lists.map((list, column) => list[(i + column) % Math.max(1, list.length)] ?? null)
      const first = outcome(apply, values)
      expect(outcome(again, values)).toEqual(first)
      expect(outcome(apply, values)).toEqual(first)
      if ('made' in first) expectOfType(first.made, chain.result)
      const told =
        'reason' in first
          ? values.filter((value) => value !== null && value.length > 11 && first.reason.includes(value))
          : []
      expect(told, 'a reason holds no value').toEqual([])
    }
  })

  test('random text and arguments of its example: never another error, and the inverse gives the value back', () => {
    const seed = printedSeed()
    const single = types.length === 1 ? types[0] : undefined
    const inverse = chain.inverse
    const compiledBack = single === undefined || isRefusal(inverse) ? null : compileChain(inverse, [chain.result])
    if (compiledBack !== null && 'problems' in compiledBack) throw new Error(JSON.stringify(compiledBack.problems))
    const back = compiledBack?.chain.bind(CONTEXT)
    const texts: readonly string[] = ['padded text', 'enum']
    const backTo = compiledBack?.chain.result.kind ?? null
    expect([null, texts.includes(single?.kind ?? '') ? 'text' : single?.kind]).toContain(backTo)
    fc.assert(
      fc.property(fc.tuple(...types.map(valuesOf)), (values) => {
        const found = outcome(apply, values)
        if (!('made' in found)) return
        expectOfType(found.made, chain.result)
        expect(back === undefined ? values[0] : back([found.made])).toBe(values[0])
      }),
      { seed, numRuns: 200 },
    )
  })
})

const words = fc.string({
  unit: fc.constantFrom(
    'a',
    'B',
    '1',
    ' ',
    '-',
    ',',
    '.',
    '"',
    '\\',
    '{',
    '<',
    '&',
    ';',
    'é',
    'ß',
    '👍',
    'e\u0301',
    '\n',
    '=',
    '+',
    '%',
    '/',
    'ا',
  ),
})
/** Any code point: fast-check's own unit for it takes seconds to set up. */
const codePoint = fc.integer({ min: 1, max: 0x10ffff }).map((code) => String.fromCodePoint(code))
const micros = fc.bigInt({ min: -(2n ** 55n), max: 2n ** 55n })

function momentText(since: bigint, digits: number): string {
  const size = 10n ** BigInt(6 - digits)
  const whole = (since / size) * size
  const seconds = whole / 1_000_000n - (whole % 1_000_000n < 0n ? 1n : 0n)
  const fraction = String(whole - seconds * 1_000_000n)
    .padStart(6, '0')
    .replace(/0+$/, '')
  const date = new Date(Number(seconds) * 1000).toISOString()
  return `${date.slice(0, 19).replace('T', ' ')}${fraction === '' ? '' : `.${fraction}`}`
}

/** Values of a type in its canonical form. */
function valuesOf(type: ColumnType): fc.Arbitrary<string> {
  switch (type.kind) {
    case 'integer':
      return fc.bigInt({ min: -(2n ** BigInt(type.bits - 1)), max: 2n ** BigInt(type.bits - 1) - 1n }).map(String)
    case 'decimal':
      return fc
        .tuple(fc.bigInt({ min: -(10n ** 20n), max: 10n ** 20n }), fc.nat(6))
        .map(([digits, scale]) => {
          const sign = digits < 0n ? '-' : ''
          const text = String(digits < 0n ? -digits : digits).padStart(scale + 1, '0')
          return scale === 0 ? sign + text : `${sign}${text.slice(0, -scale)}.${text.slice(-scale)}`
        })
        .filter((text) => !/^-0(?:\.0*)?$/.test(text))
    case 'boolean':
      return fc.constantFrom('t', 'f')
    case 'bytes':
      return fc.uint8Array({ maxLength: 40 }).map((bytes) => `\\x${Buffer.from(bytes).toString('hex')}`)
    case 'timestamp':
      return micros
        .map((since) => momentText(since, type.digits) + (type.zoned ? '+00' : ''))
        .filter((text) => /^\d{4}-/.test(text))
    case 'date':
      return micros.map((since) => momentText(since, 0).slice(0, 10)).filter((text) => /^\d{4}-\d\d-\d\d$/.test(text))
    case 'time':
      return micros.map((since) => momentText(since, 6).slice(11)).filter((text) => /^\d\d:/.test(text))
    case 'uuid':
      return fc.uuid()
    case 'json':
      return fc
        .oneof(
          fc.json({ stringUnit: 'grapheme' }),
          fc.dictionary(words, words).map((members) => JSON.stringify(members)),
          fc.array(words).map((elements) => JSON.stringify(elements)),
        )
        .map((text) => canonicalJson(text, type.binary))
    case 'array':
      return fc.array(fc.option(valuesOf(type.of))).map((elements) => canonicalArray(elements))
    case 'interval':
      return fc
        .tuple(fc.integer({ min: 2, max: 99 }), fc.nat(23))
        .map(([days, hours]) => `${days} days ${String(hours).padStart(2, '0')}:00:00`)
    default:
      return fc
        .oneof(
          words,
          fc.string({ unit: 'grapheme' }),
          fc.array(codePoint).map((points) => points.join('')),
        )
        .map((text) => text.toWellFormed().replaceAll('\0', ''))
  }
}

function canonicalJson(text: string, binary: boolean): string {
  const compiled = compileChain(
    [{ name: 'parse_json', args: { as: binary ? 'jsonb' : 'json' } }],
    [{ kind: 'text', maxLength: null }],
  )
  if ('problems' in compiled) throw new Error('parse_json')
  const found = outcome(compiled.chain.bind(CONTEXT), [text])
  return 'made' in found && typeof found.made === 'string' ? found.made : '{}'
}

function canonicalArray(elements: readonly (string | null)[]): string {
  return `{${elements.map((each) => (each === null ? 'NULL' : /[ \t\n\r\v\f{}",\\]|^$|^null$/i.test(each) ? `"${each.replace(/["\\]/g, '\\$&')}"` : each)).join(',')}}`
}
