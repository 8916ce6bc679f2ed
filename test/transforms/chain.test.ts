import { describe, expect, test } from 'vitest'
import { z } from 'zod'

import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'
import { compileChain, type Chain } from '#sync/transforms/chain.ts'
import { ChainDocument, StepDocument, toDocument, toStep } from '#sync/transforms/step-schema.ts'
import { TransformError, type Context, type Step } from '#sync/transforms/transform.ts'

const TEXT: ColumnType = { kind: 'text', maxLength: null }
const INTEGER: ColumnType = { kind: 'integer', bits: 32 }
const CONTEXT: Context = { lookup: () => () => undefined, maskKey: new Uint8Array(32) }

function chain(documents: readonly StepDocument[], types: readonly ColumnType[] = [TEXT]): Chain {
  const compiled = compileChain(documents.map(toStep), types)
  if ('problems' in compiled) throw new Error(JSON.stringify(compiled.problems))
  return compiled.chain
}

function run(documents: readonly StepDocument[], values: readonly Value[], types?: readonly ColumnType[]): Value {
  return chain(documents, types).bind(CONTEXT)(values)
}

function problems(steps: readonly Step[], types: readonly ColumnType[] = [TEXT]): unknown {
  const compiled = compileChain(steps, types)
  return 'problems' in compiled ? compiled.problems.map(({ step, path, message }) => [step, path, message]) : []
}

function reasonOf(work: () => unknown): string {
  try {
    work()
  } catch (error) {
    if (error instanceof TransformError) return `${error.at?.step} ${error.message}`
    throw error
  }
  return 'nothing was thrown'
}

describe('a chain', () => {
  test('applies its steps in their order, and gives the type of the last', () => {
    const steps: StepDocument[] = ['trim', 'lower', { truncate: { length: 5 } }]
    expect(run(steps, ['  STRASSE  '])).toBe('stras')
    expect(chain(steps).result).toEqual({ kind: 'text', maxLength: 5 })
  })

  test('without steps is the column itself', () => {
    expect(run([], ['x'])).toBe('x')
    expect(chain([], [INTEGER])).toMatchObject({ result: INTEGER, lossy: [], inverse: [] })
  })

  test('of several columns begins with a step that takes several', () => {
    expect(run([{ concat: { separator: '-' } }, 'upper'], ['a', 'b'], [TEXT, TEXT])).toBe('A-B')
    expect(problems([{ name: 'trim', args: {} }], [TEXT, TEXT])).toEqual([
      [0, '', expect.stringContaining('2 columns need a first step')],
    ])
    expect(
      problems([
        { name: 'trim', args: {} },
        { name: 'concat', args: {} },
      ]),
    ).toEqual([[1, '', expect.stringContaining('can only be the first step')]])
  })

  test('says an unknown name with the nearest one, wrong arguments with their place, and both types', () => {
    expect(problems([{ name: 'trimm', args: {} }])).toEqual([
      [0, '', 'There is no transform "trimm"; did you mean "trim"?'],
    ])
    expect(problems([{ name: 'map', args: { values: { a: 7 }, miss: 'keep' } }])).toEqual([
      [0, 'values.a', expect.stringContaining('map: ')],
    ])
    expect(problems([{ name: 'trim', args: { sides: 'both' } }])).toEqual([[0, '', expect.stringContaining('sides')]])
    expect(
      problems([
        { name: 'length', args: {} },
        { name: 'trim', args: {} },
      ]),
    ).toEqual([[1, '', '"trim" takes text, and is given 32-bit integer']])
  })

  test('says all problems that it can see at once', () => {
    expect(
      problems([
        { name: 'nothing_like_it_at_all', args: {} },
        { name: 'pad', args: {} },
      ]),
    ).toEqual([
      [0, '', 'There is no transform "nothing_like_it_at_all"'],
      [1, 'length', expect.stringContaining('pad: ')],
    ])
  })

  test('invariant 4: tells its losses, and none where there are none', () => {
    expect(chain(['trim', 'base64_encode']).lossy).toEqual(['trim: what is removed from the ends'])
    expect(chain(['html_escape', 'base64_encode']).lossy).toEqual([])
  })

  test('has an inverse where every step has one', () => {
    const there = chain([{ scale: { power: 2 } }, { affix: { before: 'x' } }].slice(0, 1), [INTEGER])
    expect(there.inverse).toEqual([{ name: 'scale', args: { power: -2 } }])
    expect(chain([{ affix: { before: 'x' } }, 'url_encode']).inverse).toMatchObject([
      { name: 'url_decode' },
      { name: 'remove_affix' },
    ])
    expect(chain(['url_encode', 'upper']).inverse).toEqual({
      refused: '"upper" cannot be undone: the former case is not kept',
    })
  })

  test('says which step rejected a value, and never the value (invariant 7)', () => {
    const reason = reasonOf(() => run(['trim', 'parse_number', 'abs'], ['4711 secret']))
    expect(reason).toMatch(/^1 parse_number: /)
    expect(reason).not.toContain('secret')
  })

  test('invariant 4: a text that outgrows its column is rejected, not cut', () => {
    expect(reasonOf(() => run(['upper'], ['ß'.repeat(3)], [{ kind: 'text', maxLength: 3 }]))).toContain('longer than 3')
    expect(run(['upper'], ['a👍b'], [{ kind: 'text', maxLength: 3 }])).toBe('A👍B')
  })

  test('invariant 4: JSON null on the way of a path is no object, and is not replaced by one', () => {
    const types: ColumnType[] = [{ kind: 'json', binary: true }]
    expect(run([{ json_set: { path: ['a', 'b'], value: 1 } }], ['{"c": null}'], types)).toBe(
      '{"a": {"b": 1}, "c": null}',
    )
    expect(reasonOf(() => run([{ json_set: { path: ['a', 'b'], value: 1 } }], ['{"a": null}'], types))).toContain(
      'no object',
    )
    expect(run([{ json_get: { path: ['a'], as: 'json' } }], ['{"a": null}'], types)).toBe('null')
    expect(run([{ json_has: { path: ['a'] } }], ['{"a": null}'], types)).toBe('t')
  })

  test('names what must be looked up before it runs', () => {
    const needs = chain([{ lookup: { table: 'shop.countries', key: 'id', value: 'code' } }]).needs
    expect(needs).toEqual([{ table: 'shop.countries', keyColumn: 'id', valueColumn: 'code' }])
  })
})

describe('masks', () => {
  const other: Context = { ...CONTEXT, maskKey: new Uint8Array(32).fill(1) }

  test.each(['token', 'mask_email', 'mask_digits'])('%s depends on the key and on nothing else', (name) => {
    const value = name === 'mask_email' ? 'ada@a.example' : '4111 1111 1111 1111'
    const steps = chain([name])
    expect(steps.bind(CONTEXT)([value])).toBe(steps.bind(CONTEXT)([value]))
    expect(steps.bind(CONTEXT)([value])).not.toBe(steps.bind(other)([value]))
  })

  test.each([1, 2, 3])('mask_digits makes no two numbers of %s digits meet', (digits) => {
    const all = Array.from({ length: 10 ** digits }, (_, i) => String(i).padStart(digits, '0'))
    const apply = chain(['mask_digits']).bind(CONTEXT)
    expect(new Set(all.map((value) => apply([value]))).size).toBe(all.length)
  })
})

describe('patterns', () => {
  test.each(['(a+)+$', '(a|a)*b', '(?:a*)*c', '(.*)(.*)(.*)x', 'a{0,100}a{0,100}b'])(
    'S52: %s is linear in the text',
    (pattern) => {
      expect(run([{ matches: { pattern } }], [`${'a'.repeat(20_000)}!`])).toBe('f')
    },
  )

  test.each(['(?=a)', '(a)\\1', '(?<n>a)', 'a{1000}', '((a{500}){500})', '(', '[', 'a**'])(
    '%s is refused',
    (pattern) => {
      expect(problems([{ name: 'matches', args: { pattern } }])).toHaveLength(1)
    },
  )

  test.each([
    ['a|ab', 'xab'],
    ['(a*?)(b+)', 'aabb'],
    ['^\\d{2,3}$', '123'],
    ['[\\p{L}-]+', '1 Zoë-x 2'],
    ['\\bfoo\\b', 'a foo.'],
    ['(?:x|(y))+', 'xyx'],
    ['colou?r', 'the color'],
    ['.', '👍'],
    ['[^a-c]+', 'abcxyz'],
    ['(a|b)*c|d', 'ababd'],
    ['\\u{1F44D}', 'a👍'],
    ['a.c', 'a\nc'],
    ['', 'x'],
  ])('%s finds in %j what the engine of JavaScript finds', (pattern, value) => {
    const found = new RegExp(pattern || 'x{0}', 'u').exec(value)
    expect(run([{ extract: { pattern: pattern || 'x{0}', group: 0 } }], [value])).toBe(found?.[0] ?? null)
  })

  test('matches that each seek the end of a long text are stopped', () => {
    const steps: StepDocument[] = [{ replace_pattern: { pattern: 'a(?:.*z)?', with: '' } }]
    expect(reasonOf(() => run(steps, ['a'.repeat(20_000)]))).toContain('over and over')
  })
})

describe('a step in a document', () => {
  test('is a name, or a name with its arguments', () => {
    expect(ChainDocument.parse(['trim', { truncate: { length: 40 } }])).toEqual(['trim', { truncate: { length: 40 } }])
    expect(toStep({ truncate: { length: 40 } })).toEqual({ name: 'truncate', args: { length: 40 } })
    expect(toDocument({ name: 'trim', args: {} })).toBe('trim')
    expect(toDocument(toStep({ truncate: { length: 40 } }))).toEqual({ truncate: { length: 40 } })
  })

  test.each<[unknown, string, string]>([
    ['trimm', '', 'did you mean "trim"'],
    [{ truncate: { length: 'x' } }, 'truncate.length', 'truncate: '],
    ['truncate', 'length', 'truncate: '],
    [{ trim: {}, upper: {} }, '', 'A step is the name'],
    [7, '', 'A step is the name'],
  ])('%j is refused at %j', (document, path, message) => {
    const issue = StepDocument.safeParse(document).error?.issues[0]
    expect(z.core.toDotPath(issue?.path ?? [])).toBe(path)
    expect(issue?.message).toContain(message)
  })

  test('has a JSON Schema that names and describes every transform and argument', () => {
    const schema = z.toJSONSchema(ChainDocument, { io: 'input' })
    expect(JSON.stringify(schema)).toContain('"const":"trim"')
    const undescribed: string[] = []
    const look = (node: unknown, path: string): void => {
      if (typeof node !== 'object' || node === null) return
      for (const [name, field] of Object.entries(node)) {
        const described = typeof field === 'object' && field !== null && 'description' in field
        if (path.endsWith('/properties') && !described) undescribed.push(`${path}/${name}`)
        look(field, `${path}/${name}`)
      }
    }
    look(schema, '')
    expect(undescribed).toEqual([])
  })
})
