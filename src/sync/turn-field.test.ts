import { expect, test } from 'vitest'

import type { ColumnType, Form } from '#model/column-type.ts'
import type { Column } from '#model/table.ts'
import type { Value } from '#model/value.ts'
import { must } from '#lib/assert.ts'
import { compileChain } from './transforms/chain.ts'
import type { Context, Step } from './transforms/transform.ts'
import { turnChain, turnDirect, type Turn } from './turn-field.ts'

const TEXT: ColumnType = { kind: 'text', maxLength: null }
const INT: ColumnType = { kind: 'integer', bits: 32 }
const BIGINT: ColumnType = { kind: 'integer', bits: 64 }

function column(type: ColumnType, more: Partial<Column> = {}): Column {
  return {
    name: 'c',
    id: 1,
    type,
    nativeType: '',
    nullable: true,
    hasDefault: false,
    generated: null,
    expression: null,
    collation: null,
    identity: null,
    sequence: null,
    ...more,
  }
}

const NOTHING: Context = {
  lookup: () => () => undefined,
  maskKey: new Uint8Array(32),
}

/** What a value becomes on its way back, or why it has none. */
function back(turn: Turn, value: Value): Value | { readonly refused: string } {
  if ('oneWay' in turn) return { refused: turn.oneWay }
  try {
    return turn.bind === null ? value : turn.bind(NOTHING)([value])
  } catch (error) {
    return { refused: error instanceof Error ? error.message : String(error) }
  }
}

function chained(from: ColumnType, to: ColumnType, steps: readonly Step[]): Turn {
  const compiled = compileChain(steps, [from])
  const chain = must('chain' in compiled ? compiled.chain : undefined, 'a chain that fits')
  return turnChain({ columns: [column(from)], chain, target: to, forth: (context) => chain.bind(context) })
}

const ANOTHER = { refused: 'would come to the target again as another value' }

test.each<[string, ColumnType, ColumnType, Form, Value, ReturnType<typeof back>]>([
  ['as it is', TEXT, TEXT, 'own', 'x', 'x'],
  ['NULL stays NULL', INT, BIGINT, 'own', null, null],
  ['what fits', INT, BIGINT, 'own', '7', '7'],
  ['what does not fit', INT, BIGINT, 'own', '5000000000', { refused: 'does not fit 32 bits' }],
  [
    'a text that is too long',
    { kind: 'text', maxLength: 2 },
    TEXT,
    'own',
    'abc',
    { refused: 'is longer than 2 characters' },
  ],
  ['a padded text fills itself up', { kind: 'padded text', length: 3 }, TEXT, 'text', 'ab', 'ab'],
  [
    'json that jsonb would write otherwise',
    { kind: 'json', binary: true },
    { kind: 'json', binary: false },
    'own',
    '{"a" :1}',
    ANOTHER,
  ],
  [
    'what nothing leads back from',
    INT,
    TEXT,
    'text',
    '7',
    { refused: 'text does not become 32-bit integer by itself: add the transform cast' },
  ],
])('a column that is carried as it is comes back: %s', (...[, from, to, form, value, wanted]) => {
  expect(back(turnDirect(column(from), column(to), form), value)).toEqual(wanted)
})

test('what the source computes by itself never comes back', () => {
  const turn = turnDirect(column(TEXT, { name: 'made', generated: 'stored' }), column(TEXT), 'own')
  expect(turn).toEqual({ oneWay: 'the source computes "made" by itself' })
})

test('a way back that leads to another value is none', () => {
  const turn = chained(INT, TEXT, [{ name: 'cast', args: { to: 'text' } }])
  expect([back(turn, '7'), back(turn, '007'), back(turn, null)]).toEqual(['7', ANOTHER, null])
})

test('several steps are undone from the last one on', () => {
  const turn = chained(TEXT, TEXT, [
    { name: 'affix', args: { before: 'a' } },
    { name: 'affix', args: { before: 'b' } },
  ])
  expect(back(turn, 'bax')).toBe('x')
  expect(back(turn, 'abx')).toMatchObject({ refused: expect.stringContaining('affix') as string })
})

test('a step without an inverse makes the field go one way', () => {
  expect(chained(TEXT, TEXT, [{ name: 'upper', args: {} }])).toMatchObject({
    oneWay: expect.stringContaining('"upper"') as string,
  })
})
