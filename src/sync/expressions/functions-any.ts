import { allowElements, fail } from './failure.ts'
import type { LanguageFunction } from './functions.ts'
import { isArray, JsonNumber, type Json } from '#sync/values/json.ts'
import { parseJson } from './json.ts'
import type { Cel, CelType } from './types.ts'
import { comparer, writer } from './values.ts'

/** Functions of any type, and of JSON. */
export const ANY_FUNCTIONS: readonly LanguageFunction[] = [
  {
    name: 'coalesce',
    about: 'The first argument that is not null.',
    seesNull: true,
    overloads: [{ signature: 'coalesce(T...): T', call: (...args: Cel[]) => args.find((arg) => arg !== null) ?? null }],
    examples: [
      { expression: 'coalesce(null, "a", "b")', gives: 'a' },
      { expression: 'coalesce(null, null)', gives: null },
    ],
  },
  {
    name: 'nullIf',
    about: 'Null where both arguments are equal, else the first.',
    seesNull: true,
    overloads: [{ signature: 'nullIf(T, T): T', call: (x: Cel) => x, typed: nullIf }],
    examples: [{ expression: 'nullIf("n/a", "n/a")', gives: null }],
  },
  {
    name: 'least',
    about: 'The smallest of the arguments that are not null.',
    seesNull: true,
    overloads: [{ signature: 'least(T...): T', call: (x: Cel) => x, typed: (types) => extreme(types, -1) }],
    examples: [{ expression: 'least(3, 1.5, null)', gives: '1.5' }],
  },
  {
    name: 'greatest',
    about: 'The greatest of the arguments that are not null.',
    seesNull: true,
    overloads: [{ signature: 'greatest(T...): T', call: (x: Cel) => x, typed: (types) => extreme(types, 1) }],
    examples: [{ expression: 'greatest(3, 1.5)', gives: '3' }],
  },
  {
    name: 'json',
    about: 'The JSON that a text holds, or a value of another type as JSON. Numbers keep all their digits.',
    overloads: [
      { signature: 'json(json): json', call: (x: Json) => x },
      { signature: 'json(any): json', call: () => fail('A value is no JSON.'), typed: jsonOf },
    ],
    examples: [
      { expression: `int(json('{"id": 9007199254740993}').id)`, gives: '9007199254740993' },
      { expression: `json("[1.10, true]")[0]`, gives: '1.10' },
      { expression: 'json([1, 2])', gives: '[1,2]' },
    ],
  },
  {
    name: 'elements',
    about: 'The elements of a JSON array as a list of JSON.',
    overloads: [
      {
        signature: 'elements(json): list of json',
        call: (x: Json) => {
          if (!isArray(x)) return fail('JSON is no array.')
          allowElements(x.length)
          return x
        },
      },
    ],
    examples: [{ expression: `json('["a", "b"]').elements().map(e, text(e)).join("+")`, gives: 'a+b' }],
  },
]

function nullIf([type]: readonly CelType[]): (...args: never[]) => Cel {
  const compare = comparer(type ?? { kind: 'null' })
  return (a: Cel, b: Cel) => (a !== null && b !== null && compare(a, b) === 0 ? null : a)
}

function extreme([type]: readonly CelType[], sign: 1 | -1): (...args: never[]) => Cel {
  const compare = comparer(type ?? { kind: 'null' })
  return (...args: Cel[]) => {
    const present = args.filter((arg) => arg !== null)
    return present.length === 0 ? null : present.reduce((best, arg) => (compare(arg, best) * sign > 0 ? arg : best))
  }
}

function jsonOf([type]: readonly CelType[]): (...args: never[]) => Cel {
  if (type?.kind === 'text') return parseJson
  return toJson(type ?? { kind: 'null' })
}

/** How values of a type become JSON: numbers, truth values, lists and null as such, all else as text. */
export function toJson(type: CelType): (value: Cel) => Json {
  switch (type.kind) {
    case 'null':
      return () => null
    case 'json':
      return (value) => value as Json
    case 'bool':
      return (value) => value === true
    case 'int':
    case 'decimal':
    case 'double': {
      const write = writer(type)
      return (value) => {
        const text = String(write(value))
        return /[a-z]{3}/i.test(text) ? fail('JSON knows no NaN and no infinity.') : new JsonNumber(text)
      }
    }
    case 'list': {
      const element = toJson(type.of)
      return (value) => (value as readonly Cel[]).map((part) => (part === null ? null : element(part)))
    }
    default: {
      const write = writer(type)
      return (value) => (typeof value === 'string' ? value : String(write(value)))
    }
  }
}
