import { expect, test } from 'vitest'
import { z } from 'zod'
import { fit } from './schema-words.ts'

/** Each flaw as `path: message`. */
function flaws(schema: z.ZodType, value: unknown): readonly string[] {
  return fit(schema, value).flaws?.map(({ path, message }) => `${path.join('.')}: ${message}`) ?? []
}

const Table = z.strictObject({ source: z.string(), target: z.string().optional(), keep: z.boolean().optional() })

test.each<[string, z.ZodType, unknown, readonly string[]]>([
  [
    'a missing field',
    z.object({ name: z.string(), n: z.int() }),
    {},
    ['name: This is missing.', 'n: This is missing.'],
  ],
  ['a missing choice', z.object({ by: z.enum(['a', 'b']) }), {}, ['by: This is missing.']],
  ['null', z.object({ name: z.string() }), { name: null }, ['name: This must be text, not null.']],
  ['a list', z.object({ n: z.number() }), { n: [] }, ['n: This must be a number, not a list.']],
  ['a fraction', z.object({ n: z.int() }), { n: 1.5 }, ['n: This must be a whole number, not a number.']],
  ['a text', z.object({ on: z.boolean() }), { on: 'yes' }, ['on: This must be true or false, not text.']],
  ['no object', z.strictObject({}), 'x', [': This must be an object, not text.']],
  [
    'another choice',
    z.enum(['hash', 'full', 'content']),
    'hsah',
    [': This must be hash, full or content; the nearest is hash.'],
  ],
  ['far from all choices', z.enum(['hash', 'full']), 7, [': This must be hash or full.']],
  ['the only choice', z.enum(['one_way']), 'one-way', [': This must be one_way.']],
  ['too small', z.number().min(1), 0, [': This must be at least 1.']],
  ['too large', z.int().max(9), 10, [': This must be at most 9.']],
  ['not above', z.number().gt(0), 0, [': This must be more than 0.']],
  ['empty', z.string().min(1), '', [': This is empty.']],
  ['too long', z.string().max(3), 'four', [': This must have at most 3 characters.']],
  ['too few', z.array(z.string()).min(1), [], [': This must have at least 1 entry.']],
  ['no time', z.iso.datetime(), 'tomorrow', [': This must be a time such as 2026-01-31T12:00:00Z.']],
  ['words of the schema', z.string().regex(/^a/, { error: 'It begins with a.' }), 'b', [': It begins with a.']],
  [
    'unknown fields',
    z.object({ tables: z.array(Table) }),
    { tables: [{ source: 'a', tagret: 'b', zzz: 1 }] },
    ['tables.0.tagret: There is no such field; the nearest is target.', 'tables.0.zzz: There is no such field.'],
  ],
  [
    'unknown, of several forms',
    z.union([z.string(), Table]),
    { source: 'a', keeps: true },
    ['keeps: There is no such field; the nearest is keep.'],
  ],
  ['none of several forms', z.union([z.string(), z.array(z.string())]), 7, [': This must be text or a list.']],
  [
    'one of two, and missing',
    z.object({ key: z.union([z.string(), z.array(z.string())]) }),
    {},
    ['key: This is missing.'],
  ],
  [
    'inside the form that was meant',
    z.object({ key: z.union([z.string(), z.array(z.string())]) }),
    { key: ['a', 1] },
    ['key.1: This must be text, not a number.'],
  ],
  [
    'forms that a field tells apart',
    z.union([
      z.strictObject({ use: z.literal('trim'), side: z.string() }),
      z.strictObject({ use: z.literal('round'), digits: z.int() }),
    ]),
    { use: 'round' },
    ['digits: This is missing.'],
  ],
  [
    'a value of a record',
    z.record(z.string(), Table),
    { a: { sorce: 'x', source: 'y' } },
    ['a.sorce: There is no such field; the nearest is source.'],
  ],
])('%s', (_, schema, value, expected) => {
  expect(flaws(schema, value)).toEqual(expected)
})

test('what fits is given as the schema reads it', () => {
  expect(fit(z.object({ n: z.string().transform(Number) }), { n: '7' })).toEqual({ value: { n: 7 }, flaws: null })
})

test('of any number of flaws the first hundred are told', () => {
  const many = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`unknown_${i}`, i]))
  expect(flaws(Table, { source: 'a', ...many })).toHaveLength(100)
})
