/** JSON: taken apart, changed and built. */
import { z } from 'zod'

import type { ColumnType } from '#model/column-type.ts'

import { fail, ofText, type Transform } from '#sync/transforms/transform.ts'
import { BOOLEAN, INTEGER, json, JSONB, same, TEXT } from '#sync/transforms/types.ts'
import { writeArray } from '#sync/transforms/array/literal.ts'
import { isArray, isObject, type Json } from '#sync/values/json.ts'
import { elementsOf, membersOf, readJson, writeJson } from './tree.ts'
import { isBinary, scalarText } from './values.ts'

const NONE = z.strictObject({})
const key = z.string().max(1_000)
const keys = z.array(key).min(1).max(1_000)
const path = z
  .array(z.union([key, z.int()]))
  .min(1)
  .max(50)
  .meta({ description: 'Keys, and places in arrays from 0 (negative from the end).', examples: [['address', 'city']] })
type Path = readonly (string | number)[]

/** A function of JSON as one of its text. */
function over(types: readonly ColumnType[], change: (given: Json) => Json): (value: string) => string {
  const binary = isBinary(types)
  return (value) => writeJson(change(readJson(value)), binary)
}

/** Whether a value out of a document is one of JSON. */
function isJson(value: unknown): boolean {
  return z.json().safeParse(value).success
}

/** The value at a path; undefined where nothing is. */
function at(given: Json, steps: Path): Json | undefined {
  let found: Json | undefined = given
  for (const step of steps) {
    if (found === undefined) return undefined
    if (isObject(found)) found = found.get(String(step))
    else if (isArray(found) && typeof step === 'number') found = found[step < 0 ? found.length + step : step]
    else return undefined
  }
  return found
}

const get = ofText({
  name: 'json_get',
  group: 'JSON',
  summary: 'Takes the value at a path, as text or as JSON; NULL where there is none.',
  args: z.strictObject({
    path,
    as: z
      .enum(['text', 'json'])
      .default('text')
      .meta({ description: 'Text takes single values only, and JSON null is NULL.' }),
  }),
  accepts: json,
  result: ([type], { as }) => (as === 'text' ? TEXT : (type ?? JSONB)),
  loses: 'the rest of the JSON',
  inverse: 'the rest is not kept',
  example: {
    args: { path: ['items', -1, 'sku'] },
    types: [JSONB],
    input: ['{"items": [{"sku": "A1"}, {"sku": "B2"}]}'],
    output: 'B2',
  },
  make:
    ({ path: steps, as }, _context, types) =>
    (value) => {
      const found = at(readJson(value), steps)
      if (found === undefined) return null
      return as === 'text' ? scalarText(found) : writeJson(found, isBinary(types))
    },
})

const set = ofText({
  name: 'json_set',
  group: 'JSON',
  summary: 'Sets the value at a path of keys; objects that are missing on the way are made.',
  args: z.strictObject({
    path: keys.max(50).meta({ description: 'Keys from the outside in.' }),
    value: z
      .unknown()
      .refine(isJson, { error: 'This is nothing that JSON can say.' })
      .meta({ description: 'The value, as JSON.' }),
    only_missing: z.boolean().default(false).meta({ description: 'Leaves a value that is there.' }),
  }),
  accepts: json,
  result: same,
  loses: ({ only_missing }) => (only_missing ? null : 'the value that was there'),
  inverse: 'whether a value was there is not kept',
  example: {
    args: { path: ['seo', 'index'], value: true },
    types: [JSONB],
    input: ['{"id": 1}'],
    output: '{"id": 1, "seo": {"index": true}}',
  },
  make: (args, _context, types) => {
    const made = readJson(JSON.stringify(args.value))
    const put = (given: Json, [first = '', ...rest]: readonly string[]): Json => {
      const members = new Map(membersOf(given))
      const there = members.get(first)
      if (rest.length > 0) members.set(first, put(there === undefined ? new Map<string, Json>() : there, rest))
      else if (!(args.only_missing && there !== undefined)) members.set(first, made)
      return members
    }
    return over(types, (given) => put(given, args.path))
  },
})

const pick = ofText({
  name: 'json_pick',
  group: 'JSON',
  summary: 'Keeps some members of an object.',
  args: z.strictObject({ keys: keys.meta({ description: 'The keys that stay.' }) }),
  accepts: json,
  result: same,
  loses: 'the other members',
  inverse: 'the other members are not kept',
  example: {
    args: { keys: ['id', 'name'] },
    types: [JSONB],
    input: ['{"id": 1, "name": "a", "secret": "x"}'],
    output: '{"id": 1, "name": "a"}',
  },
  make: (args, _context, types) => {
    const kept = new Set(args.keys)
    return over(types, (given) => new Map([...membersOf(given)].filter(([name]) => kept.has(name))))
  },
})

const omit = ofText({
  name: 'json_omit',
  group: 'JSON',
  summary: 'Drops some members of an object, or members of that name in any depth.',
  args: z.strictObject({
    keys: keys.meta({ description: 'The keys that go.' }),
    deep: z.boolean().default(false).meta({ description: 'Also inside, in any depth.' }),
  }),
  accepts: json,
  result: same,
  loses: 'the members that are dropped',
  inverse: 'the members are not kept',
  example: {
    args: { keys: ['token'], deep: true },
    types: [JSONB],
    input: ['{"a": {"token": "x", "b": 2}}'],
    output: '{"a": {"b": 2}}',
  },
  make: (args, _context, types) => {
    const gone = new Set(args.keys)
    const strip = (given: Json): Json => {
      if (isArray(given)) return given.map(strip)
      if (!isObject(given)) return given
      return new Map([...given].flatMap(([name, value]) => (gone.has(name) ? [] : [[name, strip(value)] as const])))
    }
    const shallow = (given: Json): Json => new Map([...membersOf(given)].filter(([name]) => !gone.has(name)))
    return over(types, args.deep ? strip : shallow)
  },
})

const rename = ofText({
  name: 'json_rename',
  group: 'JSON',
  summary: 'Renames keys of an object; a new name that is there already is rejected.',
  args: z.strictObject({
    keys: z.record(key, key).meta({ description: 'Old key → new key.' }),
  }),
  accepts: json,
  result: same,
  loses: null,
  inverse: 'a member may have had the new name from the start',
  example: {
    args: { keys: { post_title: 'title' } },
    types: [JSONB],
    input: ['{"post_title": "Hi"}'],
    output: '{"title": "Hi"}',
  },
  make: (args, _context, types) => {
    const names = new Map(Object.entries(args.keys))
    return over(types, (given) => {
      const members = [...membersOf(given)].map(([name, value]) => [names.get(name) ?? name, value] as const)
      const of = new Map(members)
      return of.size === members.length ? of : fail('two members would have one key')
    })
  },
})

const keysOf = ofText({
  name: 'json_keys',
  group: 'JSON',
  summary: 'Gives the keys of an object as an array, in their order.',
  args: NONE,
  accepts: json,
  result: { kind: 'array', of: TEXT },
  loses: 'the values',
  inverse: 'the values are not kept',
  example: { types: [JSONB], input: ['{"a": 1, "b c": 2}'], output: '{a,"b c"}' },
  make: () => (value) => writeArray([...membersOf(readJson(value)).keys()].map((name) => scalarText(name))),
})

const length = ofText({
  name: 'json_length',
  group: 'JSON',
  summary: 'Counts the elements of an array or the members of an object.',
  args: NONE,
  accepts: json,
  result: INTEGER,
  loses: 'the values',
  inverse: 'a count does not say what was counted',
  example: { types: [JSONB], input: ['[1, [2, 3]]'], output: '2' },
  make: () => (value) => {
    const given = readJson(value)
    return String(isObject(given) ? given.size : elementsOf(given).length)
  },
})

const has = ofText({
  name: 'json_has',
  group: 'JSON',
  summary: 'Says whether there is a value at a path; JSON null is one.',
  args: z.strictObject({ path }),
  accepts: json,
  result: BOOLEAN,
  loses: 'the values',
  inverse: 'true or false does not say what the value was',
  example: { args: { path: ['a', 0] }, types: [JSONB], input: ['{"a": [null]}'], output: 't' },
  make:
    ({ path: steps }) =>
    (value) =>
      at(readJson(value), steps) === undefined ? 'f' : 't',
})

const removeNulls = ofText({
  name: 'json_strip_nulls',
  group: 'JSON',
  summary: 'Drops members that are null, in any depth; null in arrays stays.',
  args: NONE,
  accepts: json,
  result: same,
  loses: 'which members were null',
  inverse: 'members that were null are not kept',
  example: { types: [JSONB], input: ['{"a": null, "b": {"c": null, "d": [null]}}'], output: '{"b": {"d": [null]}}' },
  make: (_args, _context, types) => {
    const strip = (given: Json): Json => {
      if (isArray(given)) return given.map(strip)
      if (!isObject(given)) return given
      return new Map([...given].flatMap(([name, value]) => (value === null ? [] : [[name, strip(value)] as const])))
    }
    return over(types, strip)
  },
})

const flatten = ofText({
  name: 'json_flatten',
  group: 'JSON',
  summary: 'Makes one flat object of nested ones, with keys such as address.city; arrays stay.',
  args: z.strictObject({
    separator: z.string().min(1).max(10).default('.').meta({ description: 'What stands between the keys.' }),
  }),
  accepts: json,
  result: same,
  loses: 'what was nested and what had the separator in its key',
  inverse: 'a key may hold the separator by itself',
  example: { types: [JSONB], input: ['{"a": {"b": 1, "c": {"d": 2}}}'], output: '{"a.b": 1, "a.c.d": 2}' },
  make: ({ separator }, _context, types) =>
    over(types, (given) => {
      const of = new Map<string, Json>()
      const walk = (members: ReadonlyMap<string, Json>, before: string): void => {
        for (const [name, value] of members) {
          const full = before + name
          if (isObject(value) && value.size > 0) walk(value, full + separator)
          else if (of.has(full)) fail('two members would have one key')
          else of.set(full, value)
        }
      }
      walk(membersOf(given), '')
      return of
    }),
})

export const JSONS: readonly Transform[] = [get, set, pick, omit, rename, keysOf, length, has, removeNulls, flatten]
