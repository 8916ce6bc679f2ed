/** JSON read, written and built. */
import { z } from 'zod'

import type {} from '#model/column-type.ts'

import { fail, ofMany, ofText, refuse, type Transform } from '#sync/transforms/transform.ts'
import { anyType, array, BOOLEAN, INTEGER, json, JSON_TEXT, JSONB, text, TEXT } from '#sync/transforms/types.ts'
import { writeArray } from '#sync/transforms/array/literal.ts'
import { compactJson, isObject, JsonNumber, type Json } from '#sync/values/json.ts'
import { elementsOf, membersOf, readJson, writeJson } from './tree.ts'
import { isBinary, scalarText, toJson } from './values.ts'

const key = z.string().max(1_000)
const keys = z.array(key).min(1).max(1_000)

const target = z.enum(['json', 'jsonb']).default('jsonb').meta({ description: 'The type of the result.' })

const parse = ofText({
  name: 'parse_json',
  group: 'JSON',
  summary: 'Reads text as JSON, every digit kept; text that is no JSON is rejected, a key that comes twice too.',
  args: z.strictObject({
    as: target,
    empty: z.enum(['reject', 'null']).default('reject').meta({ description: 'What becomes of empty text.' }),
  }),
  accepts: text,
  result: (_types, { as }) => (as === 'jsonb' ? JSONB : JSON_TEXT),
  loses: ({ as }) => (as === 'jsonb' ? 'spaces and the order of keys' : 'spaces'),
  inverse: 'the former spelling is not kept',
  example: { input: ['{"b":9007199254740993,"a":1.10}'], output: '{"a": 1.10, "b": 9007199254740993}' },
  make:
    ({ as, empty }) =>
    (value) =>
      value === '' && empty === 'null' ? null : writeJson(readJson(value), as === 'jsonb'),
})

const write = ofText({
  name: 'json_text',
  group: 'JSON',
  summary: 'Writes JSON as text: as it is, compact, or canonical with sorted keys.',
  args: z.strictObject({
    style: z
      .enum(['as_is', 'compact', 'canonical'])
      .default('as_is')
      .meta({ description: 'Canonical: sorted keys, one space after : and ,.' }),
  }),
  accepts: json,
  result: TEXT,
  loses: ({ style }, types) =>
    style === 'as_is' || isBinary(types) ? null : style === 'compact' ? 'spaces' : 'spaces and the order of keys',
  inverse: (_args, types) =>
    isBinary(types) ? { name: 'parse_json', args: { as: 'jsonb' } } : refuse('spaces are not kept'),
  example: { args: { style: 'compact' }, types: [JSONB], input: ['{"a": [1, 2]}'], output: '{"a":[1,2]}' },
  make: ({ style }) => {
    if (style === 'as_is') return (value) => value
    return style === 'canonical' ? (value) => writeJson(readJson(value), true) : (value) => compactJson(readJson(value))
  },
})

const toArray = ofText({
  name: 'json_to_array',
  group: 'JSON',
  summary: 'Makes an array of texts, or of numbers, of a JSON array of single values.',
  args: z.strictObject({
    of: z
      .enum(['text', 'decimal', 'boolean'])
      .default('text')
      .meta({ description: 'The type of the elements; another kind of value is rejected.' }),
  }),
  accepts: json,
  result: (_types, { of }) => ({
    kind: 'array',
    of: of === 'text' ? TEXT : of === 'boolean' ? BOOLEAN : { kind: 'decimal', precision: null, scale: null },
  }),
  loses: null,
  inverse: (_args, types) =>
    isBinary(types) ? { name: 'array_to_json', args: { as: 'jsonb' } } : refuse('spaces are not kept'),
  example: { types: [JSONB], input: ['["red", "dark blue", null]'], output: '{red,"dark blue",NULL}' },
  make:
    ({ of }) =>
    (value) =>
      writeArray(
        elementsOf(readJson(value)).map((element) => {
          if (element === null) return null
          if (of === 'decimal' && element instanceof JsonNumber) return writeJson(element, true)
          if (of === 'boolean' && typeof element === 'boolean') return element ? 't' : 'f'
          return of === 'text' && typeof element === 'string'
            ? scalarText(element)
            : fail(`an element is not of type ${of}`)
        }),
      ),
})

const fromArray = ofText({
  name: 'array_to_json',
  group: 'JSON',
  summary: 'Makes a JSON array of an array.',
  args: z.strictObject({ as: target }),
  accepts: array,
  result: (_types, { as }) => (as === 'jsonb' ? JSONB : JSON_TEXT),
  loses: null,
  inverse: (_args, [type]) =>
    type?.kind === 'array' && type.of.kind === 'text' && type.of.maxLength === null
      ? { name: 'json_to_array', args: { of: 'text' } }
      : refuse('the type of the elements is not kept'),
  example: { types: [{ kind: 'array', of: INTEGER }], input: ['{1,NULL}'], output: '[1, null]' },
  make: ({ as }, _context, [type = TEXT]) => {
    const convert = toJson(type)
    return (value) => writeJson(convert(value), as === 'jsonb')
  },
})

const object = ofMany({
  name: 'json_object',
  group: 'JSON',
  summary: 'Builds an object of several columns.',
  args: z.strictObject({
    keys: keys.meta({ description: 'The key of each column, in their order.' }),
    nulls: z
      .enum(['keep', 'skip'])
      .default('keep')
      .meta({ description: 'NULL becomes null, or its member is left out.' }),
    as: target,
  }),
  accepts: anyType,
  nulls: 'A member that is null; `nulls: skip` leaves it out.',
  result: (types, args) => {
    if (args.keys.length !== types.length) return refuse(`it has ${args.keys.length} keys for ${types.length} columns`)
    if (new Set(args.keys).size < args.keys.length) return refuse('a key comes twice')
    return args.as === 'jsonb' ? JSONB : JSON_TEXT
  },
  loses: ({ nulls }) => (nulls === 'skip' ? 'which columns were NULL' : null),
  inverse: 'one value does not go back into several columns',
  example: {
    args: { keys: ['id', 'name'] },
    types: [INTEGER, TEXT],
    input: ['7', 'Ada'],
    output: '{"id": 7, "name": "Ada"}',
  },
  make: (args, _context, types) => {
    const converts = types.map(toJson)
    return (values) => {
      const members = args.keys.map((name, i) => [name, converts[i]?.(values[i] ?? null) ?? null] as const)
      const of = new Map(args.nulls === 'skip' ? members.filter(([, value]) => value !== null) : members)
      return writeJson(of, args.as === 'jsonb')
    }
  },
})

const list = ofMany({
  name: 'json_array',
  group: 'JSON',
  summary: 'Builds a JSON array of several columns of any type.',
  args: z.strictObject({ as: target }),
  accepts: anyType,
  nulls: 'An element null.',
  result: (_types, { as }) => (as === 'jsonb' ? JSONB : JSON_TEXT),
  loses: null,
  inverse: 'one value does not go back into several columns',
  example: { types: [INTEGER, BOOLEAN, TEXT], input: ['1', 't', null], output: '[1, true, null]' },
  make: ({ as }, _context, types) => {
    const converts = types.map(toJson)
    return (values) =>
      writeJson(
        converts.map((convert, i) => convert(values[i] ?? null)),
        as === 'jsonb',
      )
  },
})

const merge = ofMany({
  name: 'json_merge',
  group: 'JSON',
  summary: 'Merges objects of several columns; where keys meet, the later column wins.',
  args: z.strictObject({
    deep: z.boolean().default(false).meta({ description: 'Objects that meet are merged as well.' }),
  }),
  accepts: json,
  nulls: 'Left out; NULL where all are NULL.',
  result: ([first]) => first ?? JSONB,
  loses: 'members that a later column has as well',
  inverse: 'one value does not go back into several columns',
  example: {
    args: { deep: true },
    types: [JSONB, JSONB],
    input: ['{"a": {"x": 1}}', '{"a": {"y": 2}}'],
    output: '{"a": {"x": 1, "y": 2}}',
  },
  make: ({ deep }, _context, types) => {
    const converts = types.map(toJson)
    const both = (left: Json, right: Json): Json => {
      const of = new Map(membersOf(left))
      for (const [name, value] of membersOf(right)) {
        const there = of.get(name)
        of.set(name, deep && there !== undefined && isObject(there) && isObject(value) ? both(there, value) : value)
      }
      return of
    }
    return (values) => {
      const present = values.flatMap((value, i) => (value === null ? [] : [converts[i]?.(value) ?? null]))
      return present.length === 0 ? null : writeJson(present.reduce(both, new Map<string, Json>()), isBinary(types))
    }
  },
})

export const JSON_BUILT: readonly Transform[] = [parse, write, toArray, fromArray, object, list, merge]
