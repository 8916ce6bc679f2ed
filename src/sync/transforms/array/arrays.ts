/** Arrays of one dimension. */
import { z } from 'zod'

import type { ColumnType } from '#model/column-type.ts'

import { fail, ofMany, ofText, refuse, textOf, type Transform } from '#sync/transforms/transform.ts'
import { anyType, array, BOOLEAN, INTEGER, same, TEXT } from '#sync/transforms/types.ts'
import { readNumber } from '#sync/transforms/number/decimal.ts'
import { readArray, writeArray } from './literal.ts'

const NONE = z.strictObject({})
const TEXTS: ColumnType = { kind: 'array', of: TEXT }
const NUMBERS: ColumnType = { kind: 'array', of: INTEGER }

function elementType([type]: readonly ColumnType[]): ColumnType {
  return type?.kind === 'array' ? type.of : TEXT
}

/** A place from 0, or from the end where negative. */
function fromEnd(place: number, length: number): number {
  return place < 0 ? length + place : place
}

const element = ofText({
  name: 'array_element',
  group: 'Arrays',
  summary: 'Takes one element; NULL where there is none.',
  args: z.strictObject({ at: z.int().meta({ description: 'Which element, from 0; -1 is the last.' }) }),
  accepts: array,
  result: elementType,
  loses: 'the other elements',
  inverse: 'the other elements are not kept',
  example: { args: { at: -1 }, types: [TEXTS], input: ['{red,"dark blue"}'], output: 'dark blue' },
  make:
    ({ at }) =>
    (value) => {
      const elements = readArray(value)
      return elements[fromEnd(at, elements.length)] ?? null
    },
})

const length = ofText({
  name: 'array_length',
  group: 'Arrays',
  summary: 'Counts the elements; NULL elements count.',
  args: NONE,
  accepts: array,
  result: INTEGER,
  loses: 'the elements',
  inverse: 'a count does not say what was counted',
  example: { types: [TEXTS], input: ['{a,b,NULL}'], output: '3' },
  make: () => (value) => String(readArray(value).length),
})

const unique = ofText({
  name: 'array_unique',
  group: 'Arrays',
  summary: 'Keeps the first of equal elements.',
  args: NONE,
  accepts: array,
  result: same,
  loses: 'elements that occur again',
  inverse: 'elements that occurred again are not kept',
  example: { types: [TEXTS], input: ['{b,a,b,NULL,NULL}'], output: '{b,a,NULL}' },
  make: () => (value) => writeArray([...new Set(readArray(value))]),
})

const sort = ofText({
  name: 'array_sort',
  group: 'Arrays',
  summary: 'Sorts the elements: numbers by value, all else by the bytes of the text; NULL last.',
  args: z.strictObject({ descending: z.boolean().default(false).meta({ description: 'The greatest first.' }) }),
  accepts: array,
  result: same,
  loses: 'the former order',
  inverse: 'the former order is not kept',
  example: { types: [NUMBERS], input: ['{10,9,NULL,100}'], output: '{9,10,100,NULL}' },
  make: ({ descending }, _context, types) => {
    const of = elementType(types)
    const compare = of.kind === 'integer' || of.kind === 'decimal' ? byNumber : byBytes
    const sign = descending ? -1 : 1
    return (value) =>
      writeArray(
        readArray(value).toSorted((a, b) => {
          if (a === null || b === null) return a === b ? 0 : a === null ? 1 : -1
          return sign * compare(a, b)
        }),
      )
  },
})

function byNumber(a: string, b: string): number {
  return readNumber(a).cmp(readNumber(b))
}

function byBytes(a: string, b: string): number {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

const reverse = ofText({
  name: 'array_reverse',
  group: 'Arrays',
  summary: 'Turns the order around.',
  args: NONE,
  accepts: array,
  result: same,
  loses: null,
  inverse: () => ({ name: 'array_reverse', args: {} }),
  example: { types: [NUMBERS], input: ['{1,2,3}'], output: '{3,2,1}' },
  make: () => (value) => writeArray(readArray(value).toReversed()),
})

const slice = ofText({
  name: 'array_slice',
  group: 'Arrays',
  summary: 'Keeps the elements of a stretch.',
  args: z.strictObject({
    start: z.int().default(0).meta({ description: 'The first element, from 0; negative from the end.' }),
    length: z.int().min(0).optional().meta({ description: 'How many; all that follow where not given.' }),
  }),
  accepts: array,
  result: same,
  loses: 'the other elements',
  inverse: 'the other elements are not kept',
  example: { args: { start: 1, length: 2 }, types: [NUMBERS], input: ['{1,2,3,4}'], output: '{2,3}' },
  make:
    ({ start, length: count }) =>
    (value) => {
      const elements = readArray(value)
      const from = Math.max(0, fromEnd(start, elements.length))
      return writeArray(elements.slice(from, count === undefined ? undefined : from + count))
    },
})

const contains = ofText({
  name: 'array_contains',
  group: 'Arrays',
  summary: 'Says whether an element, in the text of its type, is in the array.',
  args: z.strictObject({ element: z.string().max(10_000).meta({ description: 'What is looked for.' }) }),
  accepts: array,
  result: BOOLEAN,
  loses: 'the elements',
  inverse: 'true or false does not say what the elements were',
  example: { args: { element: 'vip' }, types: [TEXTS], input: ['{new,vip}'], output: 't' },
  make: (args) => (value) => (readArray(value).includes(args.element) ? 't' : 'f'),
})

const join = ofText({
  name: 'array_join',
  group: 'Arrays',
  summary: 'Joins the elements to one text; an element that holds the separator is rejected.',
  args: z.strictObject({
    separator: z.string().max(100).meta({ description: 'What stands between the elements.' }),
    nulls: z.enum(['reject', 'skip']).default('reject').meta({ description: 'What becomes of NULL elements.' }),
    ambiguous: z
      .enum(['reject', 'keep'])
      .default('reject')
      .meta({ description: 'What becomes of elements that hold the separator.' }),
  }),
  accepts: array,
  result: TEXT,
  loses: ({ nulls, ambiguous }) =>
    nulls === 'skip' || ambiguous === 'keep' ? 'where elements begin, and which were NULL' : null,
  inverse: ({ separator, nulls, ambiguous }, types) => {
    if (nulls === 'skip' || ambiguous === 'keep') return refuse('where elements began is not kept')
    if (separator === '' || elementType(types).kind !== 'text') return refuse('the elements cannot be told apart')
    return { name: 'split', args: { separator } }
  },
  example: { args: { separator: ', ' }, types: [TEXTS], input: ['{red,"dark blue"}'], output: 'red, dark blue' },
  make:
    ({ separator, nulls, ambiguous }) =>
    (value) => {
      const elements = readArray(value)
      const present = elements.filter((each) => each !== null)
      if (nulls === 'reject' && present.length < elements.length) return fail('the array holds NULL')
      const made = present.join(separator)
      if (ambiguous === 'keep' || separator === '') return made
      // Also the empty array, and a separator that forms where two elements meet, would not come back.
      const back = made.split(separator)
      if (back.length !== present.length || back.some((each, i) => each !== present[i])) {
        return fail('the elements could not be told apart: one holds the separator, or there is none')
      }
      return made
    },
})

const compact = ofText({
  name: 'array_compact',
  group: 'Arrays',
  summary: 'Drops NULL elements, and empty texts if asked.',
  args: z.strictObject({ empty: z.boolean().default(false).meta({ description: 'Drops empty texts, too.' }) }),
  accepts: array,
  result: same,
  loses: 'NULL elements and where they stood',
  inverse: 'where NULL stood is not kept',
  example: { types: [TEXTS], input: ['{a,NULL,""}'], output: '{a,""}' },
  make:
    ({ empty }) =>
    (value) =>
      writeArray(readArray(value).filter((each) => each !== null && !(empty && each === ''))),
})

const build = ofMany({
  name: 'array_of',
  group: 'Arrays',
  summary: 'Makes an array of several columns of one type.',
  args: z.strictObject({
    nulls: z.enum(['keep', 'skip']).default('keep').meta({ description: 'NULL becomes an element, or is left out.' }),
  }),
  accepts: anyType,
  nulls: 'An element NULL; `nulls: skip` leaves it out.',
  result: ([first, ...others]) => {
    if (first === undefined || first.kind === 'array') return refuse('it takes columns that are no arrays')
    const equal = others.every((type) => JSON.stringify(type) === JSON.stringify(first))
    return equal ? { kind: 'array', of: first } : refuse('the columns have different types; "cast" comes first')
  },
  loses: ({ nulls }) => (nulls === 'skip' ? 'which columns were NULL' : null),
  inverse: 'one value does not go back into several columns',
  example: { types: [INTEGER, INTEGER], input: ['1', null], output: '{1,NULL}' },
  make:
    ({ nulls }) =>
    (values) => {
      const elements = values.map(textOf)
      return writeArray(nulls === 'skip' ? elements.filter((each) => each !== null) : elements)
    },
})

export const ARRAYS: readonly Transform[] = [
  element,
  length,
  unique,
  sort,
  reverse,
  slice,
  contains,
  join,
  compact,
  build,
]
