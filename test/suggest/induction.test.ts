import { expect, test } from 'vitest'

import { compileExpression } from '#sync/expressions/expression.ts'
import { suggestFields, type FieldSuggestion } from '#sync/suggest-mapping.ts'
import type { Row } from '#model/value.ts'

import { readTable } from './labelled.ts'

const PEOPLE: readonly (readonly [string, string, string])[] = [
  ['1', 'Ada', 'Lovelace'],
  ['2', 'Grace', 'Hopper'],
  ['3', 'Alan', 'Turing'],
  ['4', 'Edsger', 'Dijkstra'],
  ['5', 'Barbara', 'Liskov'],
  ['6', 'Ken', 'Thompson'],
]

/** The suggestion for one column of the target, with the same rows on both sides. */
function suggest(
  tables: [source: string, target: string],
  rows: [source: Row[], target: Row[]],
  column: string,
): FieldSuggestion | undefined {
  const [source, target] = [readTable(tables[0]), readTable(tables[1])]
  const [from, to] = rows
  const found = suggestFields(
    { schema: source, rows: from },
    { schema: target, rows: to },
    { source: from, target: to },
  )
  return found.fields.find((field) => field.target === column)
}

/** A column whose values become others, row by row, beside a key. */
function induced(
  types: readonly [from: string, to: string],
  pairs: readonly (readonly [string | null, string | null])[],
  names: readonly [from: string, to: string] = ['aaa', 'zzz'],
) {
  const rows = (side: 0 | 1): Row[] => pairs.map((pair, i) => [String(i + 1), pair[side]])
  const tables: [string, string] = [`t id:i! ${names[0]}${types[0]}`, `u id:i! ${names[1]}${types[1]}`]
  return suggest(tables, [rows(0), rows(1)], names[1])
}

const CHAINS: readonly (readonly [
  string,
  readonly [string, string],
  readonly (readonly [string | null, string | null])[],
  unknown,
])[] = [
  ['equal', ['', ''], PEOPLE.map(([, first]) => [first, first]), []],
  ['lower', ['', ''], PEOPLE.map(([, first]) => [first, first.toLowerCase()]), ['lower']],
  ['trim and upper', ['', ''], PEOPLE.map(([, first]) => [` ${first} `, first.toUpperCase()]), ['trim', 'upper']],
  [
    'a prefix',
    ['', ''],
    PEOPLE.map(([, first]) => [first, `SKU-${first}`]),
    [{ affix: { before: 'SKU-', after: '' } }],
  ],
  [
    'without a suffix',
    ['', ''],
    PEOPLE.map(([, first]) => [`${first}.html`, first]),
    [{ split_part: { separator: '.', part: 0 } }],
  ],
  [
    'the last three',
    ['', ''],
    PEOPLE.map(([id]) => [`${'X'.repeat(Number(id))}${id}7${id}`, `${id}7${id}`]),
    [{ substring: { start: -3 } }],
  ],
  ['cents', [':i', ':n'], PEOPLE.map(([id]) => [`${id}99`, `${id}.99`]), [{ scale: { power: -2 } }]],
  [
    'seconds since 1970',
    [':b', ':tz'],
    PEOPLE.map(([id]) => [`170000000${id}`, `2023-11-14 22:13:2${id}+00`]),
    [{ from_epoch: { unit: 'seconds', zoned: true } }],
  ],
  [
    'days as people write them',
    ['', ':d'],
    PEOPLE.map(([id]) => [`2${id}.03.2024`, `2024-03-2${id}`]),
    [{ parse_time: { pattern: 'dd.MM.yyyy', as: 'date' } }],
  ],
  [
    'numbers as people write them',
    ['', ':n'],
    PEOPLE.map(([id]) => [`1.23${id},50`, `123${id}.50`]),
    [{ parse_number: { decimal: ',', group: '.' } }],
  ],
]

test.each(CHAINS)('%s: the chain is found, and holds in all matched rows', (_, types, pairs, chain) => {
  const field = induced(types, pairs)
  const written = field?.transforms.map(({ name, args }) => (Object.keys(args).length === 0 ? name : { [name]: args }))
  expect(written).toEqual(chain)
  expect(field).toMatchObject({ from: { kind: 'columns', columns: ['aaa'] }, verified: pairs.length, by: 'offline' })
})

test('a list of values is found where the names speak for the pair, and not by the values alone', () => {
  const pairs = [...PEOPLE, ...PEOPLE].map(
    (_, i) => (i % 2 === 0 ? ['publish', 'live'] : ['draft', 'hidden']) as [string, string],
  )
  const field = induced(['', ''], pairs, ['post_status', 'state_code'])
  expect(field?.transforms).toEqual([
    { name: 'map', args: { values: { draft: 'hidden', publish: 'live' }, as: 'text' } },
  ])
  expect(induced(['', ''], pairs)).toBeUndefined()
})

test('one row that a chain does not carry is enough: it is not offered as seen to be right', () => {
  const pairs = PEOPLE.map(([, first]) => [first, first.toLowerCase()] as const)
  expect(induced(['', ''], pairs)?.verified).toBe(PEOPLE.length)
  for (const wrong of ['somebody else', null]) {
    const spoiled = pairs.map(([from, to], i) => [from, i === 4 ? wrong : to] as const)
    expect(induced(['', ''], spoiled)?.verified ?? null).toBeNull()
  }
})

test('two rows prove nothing', () => {
  const pairs = PEOPLE.slice(0, 2).map(([, first]) => [first, `${first}!`] as const)
  expect(induced(['', ''], pairs)).toBeUndefined()
})

test('columns that are joined in the target are joined, and those that are parts of one are split', () => {
  const parts: Row[] = PEOPLE.map(([...row]) => row)
  const whole: Row[] = PEOPLE.map(([id, first, last]) => [id, `${last}, ${first}`])
  const joined = suggest(['t id:i! aaa bbb', 'u id:i! zzz'], [parts, whole], 'zzz')
  expect(joined).toMatchObject({
    from: { columns: ['bbb', 'aaa'] },
    transforms: [{ name: 'concat', args: { separator: ', ' } }],
    verified: 6,
    expression: 'bbb + ", " + aaa',
  })
  for (const [column, part] of [
    ['aaa', -1],
    ['bbb', 0],
  ] as const) {
    const split = suggest(['u id:i! zzz', 't id:i! aaa bbb'], [whole, parts], column)
    expect(split, column).toMatchObject({
      from: { columns: ['zzz'] },
      transforms: [{ name: 'split_part', args: { part } }],
      verified: 6,
    })
  }
})

test('without rows of both sides, names propose the join and the split of a name and of an address', () => {
  const find = (source: string, target: string, column: string): FieldSuggestion | undefined =>
    suggest([source, target], [[], []], column)
  expect(find('p id:i! first_name last_name', 'q id:i! full_name', 'full_name')).toMatchObject({
    from: { columns: ['first_name', 'last_name'] },
    verified: null,
  })
  expect(find('p id:i! full_name', 'q id:i! vorname nachname', 'nachname')).toMatchObject({
    from: { columns: ['full_name'] },
    transforms: [{ name: 'split_part', args: { separator: ' ', part: 1, rest: true } }],
  })
  expect(find('p id:i! strasse plz ort', 'q id:i! address', 'address')?.from).toEqual({
    kind: 'columns',
    columns: ['strasse', 'plz', 'ort'],
  })
})

test('values tell columns apart whose names do not', () => {
  const source: Row[] = PEOPLE.map(([id, first]) => [id, `${first}@example.org`, `https://example.org/${first}`])
  const target: Row[] = PEOPLE.map(([id, first]) => [
    `9${id}`,
    `http://other.example/${first}`,
    `${first}@other.example`,
  ])
  const tables: [string, string] = ['t id:i! contact_a contact_b', 'u id:i! contact_1 contact_2']
  const schemas = [readTable(tables[0]), readTable(tables[1])] as const
  const { fields } = suggestFields({ schema: schemas[0], rows: source }, { schema: schemas[1], rows: target })
  const pairs = fields.flatMap(({ from, target: to }) => (from.kind === 'columns' ? [`${from.columns[0]}>${to}`] : []))
  expect(pairs).toEqual(expect.arrayContaining(['contact_b>contact_1', 'contact_a>contact_2']))
})

test('text that is serialized by PHP goes into JSON by the transform that reads it', () => {
  const rows: Row[] = PEOPLE.map(([id]) => [id, `a:1:{s:1:"k";i:${id};}`])
  const [source, target] = [readTable('t id:i! meta_value'), readTable('u id:i! metaValue:j')]
  const { fields } = suggestFields({ schema: source, rows }, { schema: target, rows: [] })
  expect(fields.find((field) => field.target === 'metaValue')?.transforms).toEqual([
    { name: 'php_unserialize', args: {} },
  ])
})

test('an expression that is offered beside a chain makes the same of every row', () => {
  let expressions = 0
  for (const [what, types, pairs] of CHAINS) {
    const field = induced(types, pairs)
    if (field === undefined || field.expression === null) continue
    const { columns } = readTable(`t aaa${types[0]}`)
    const compiled = compileExpression(field.expression, columns)
    if ('problem' in compiled) throw new Error(`${what}: ${field.expression}: ${compiled.problem.message}`)
    for (const [from, to] of pairs) expect(compiled.evaluate([from]), what).toBe(to)
    expressions += 1
  }
  expect(expressions).toBeGreaterThan(3)
})
