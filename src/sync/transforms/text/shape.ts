/** Texts cut, filled, taken apart and put together. */
import { z } from 'zod'

import { BOOLEAN, INTEGER, maxLength, text, textOrBytes, TEXT } from '#sync/transforms/types.ts'
import { fail, ofMany, ofText, refuse, textOf, type Transform } from '#sync/transforms/transform.ts'
import { writeArray } from '#sync/transforms/array/literal.ts'
import { beginningOfBytes, charactersOf, indexAfter } from './characters.ts'

const LENGTH = z.int().min(1).max(1_000_000)
const PIECE = z.string().max(10_000)

const pad = ofText({
  name: 'pad',
  group: 'Text',
  summary: 'Fills text up to a length.',
  args: z.strictObject({
    length: LENGTH.max(10_000).meta({ description: 'Characters of the result; longer text stays as it is.' }),
    fill: z.string().min(1).max(100).default(' ').meta({ description: 'What it is filled with.' }),
    side: z.enum(['start', 'end']).default('start').meta({ description: 'The end that is filled.' }),
  }),
  accepts: text,
  result: (types, { length }) => {
    const most = maxLength(types[0])
    return { kind: 'text', maxLength: most === null ? null : Math.max(most, length) }
  },
  loses: null,
  inverse: 'text that began or ended with the filling cannot be told from what was added',
  example: { args: { length: 8, fill: '0' }, input: ['4711'], output: '00004711' },
  make: ({ length, fill, side }) => {
    const units = Array.from(fill)
    return (value) => {
      if (value.length >= length * 2) return value
      const missing = length - charactersOf(value)
      if (missing <= 0) return value
      const filling = fill.repeat(Math.floor(missing / units.length)) + units.slice(0, missing % units.length).join('')
      return side === 'start' ? filling + value : value + filling
    }
  },
})

const truncate = ofText({
  name: 'truncate',
  group: 'Text',
  summary: 'Cuts text after so many characters or bytes, at the end of a whole character.',
  args: z
    .strictObject({
      length: LENGTH.meta({ description: 'The most that is kept, the ellipsis included.' }),
      unit: z.enum(['characters', 'bytes']).default('characters').meta({ description: 'Bytes are counted in UTF-8.' }),
      ellipsis: z.string().max(20).default('').meta({ description: 'Put at the end where something was cut, as "…".' }),
    })
    .refine(({ length, unit, ellipsis }) => sizeOf(ellipsis, unit) <= length, {
      error: 'The ellipsis is longer than the text may be.',
      path: ['ellipsis'],
    }),
  accepts: text,
  result: (_types, { length }) => ({ kind: 'text', maxLength: length }),
  loses: ({ length, unit }) => `what is beyond ${length} ${unit}`,
  inverse: 'what was cut is not kept',
  example: { args: { length: 10, ellipsis: '…' }, input: ['A long sentence'], output: 'A long se…' },
  make: ({ length, unit, ellipsis }) => {
    const room = length - sizeOf(ellipsis, unit)
    if (unit === 'bytes') {
      return (value) => (beginningOfBytes(value, length) === value ? value : beginningOfBytes(value, room) + ellipsis)
    }
    return (value) => {
      if (value.length <= length || charactersOf(value) <= length) return value
      return value.slice(0, indexAfter(value, room)) + ellipsis
    }
  },
})

function sizeOf(value: string, unit: 'characters' | 'bytes'): number {
  return unit === 'bytes' ? Buffer.byteLength(value) : charactersOf(value)
}

const substring = ofText({
  name: 'substring',
  group: 'Text',
  summary: 'Takes the characters from a place on; a negative place counts from the end.',
  args: z.strictObject({
    start: z.int().min(-1_000_000).max(1_000_000).meta({ description: 'Place of the first character, from 0.' }),
    length: LENGTH.optional().meta({ description: 'How many characters; all that follow where not given.' }),
  }),
  accepts: text,
  result: (types, { length }) => ({ kind: 'text', maxLength: length ?? maxLength(types[0]) }),
  loses: 'the other characters',
  inverse: 'the other characters are not kept',
  example: { args: { start: -4 }, input: ['DE89370400440532013000'], output: '3000' },
  make:
    ({ start, length }) =>
    (value) => {
      const first = start < 0 ? Math.max(0, charactersOf(value) + start) : start
      const from = indexAfter(value, first)
      if (length === undefined) return from === 0 ? value : value.slice(from)
      const rest = value.slice(from)
      return rest.slice(0, indexAfter(rest, length))
    },
})

const replace = ofText({
  name: 'replace',
  group: 'Text',
  summary: 'Replaces a text by another, letter by letter as given.',
  args: z.strictObject({
    search: z.string().min(1).max(10_000).meta({ description: 'What is looked for.' }),
    with: PIECE.default('').meta({ description: 'What takes its place.' }),
    only_first: z.boolean().default(false).meta({ description: 'Replaces the first one only.' }),
  }),
  accepts: text,
  result: TEXT,
  loses: 'the text that is replaced',
  inverse: 'the new text may have been there before',
  example: { args: { search: 'http://', with: 'https://' }, input: ['http://a.example'], output: 'https://a.example' },
  make: ({ search, with: by, only_first }) => {
    const made = (): string => by
    return (value) =>
      value.includes(search) ? (only_first ? value.replace(search, made) : value.replaceAll(search, made)) : value
  },
})

const affix = ofText({
  name: 'affix',
  group: 'Text',
  summary: 'Puts a text before and after.',
  args: z.strictObject({
    before: PIECE.default('').meta({ description: 'Put before.' }),
    after: PIECE.default('').meta({ description: 'Put after.' }),
  }),
  accepts: text,
  result: (types, { before, after }) => {
    const most = maxLength(types[0])
    return { kind: 'text', maxLength: most === null ? null : most + charactersOf(before) + charactersOf(after) }
  },
  loses: null,
  inverse: (args) => ({ name: 'remove_affix', args }),
  example: { args: { before: 'SKU-' }, input: ['4711'], output: 'SKU-4711' },
  make:
    ({ before, after }) =>
    (value) =>
      before + value + after,
})

const removeAffix = ofText({
  name: 'remove_affix',
  group: 'Text',
  summary: 'Takes a text away from the beginning and the end; text without it is rejected or kept.',
  args: z.strictObject({
    before: PIECE.default('').meta({ description: 'Taken from the beginning.' }),
    after: PIECE.default('').meta({ description: 'Taken from the end.' }),
    miss: z.enum(['reject', 'keep']).default('reject').meta({ description: 'What becomes of text without it.' }),
  }),
  accepts: text,
  result: (types) => ({ kind: 'text', maxLength: maxLength(types[0]) }),
  loses: ({ miss }) => (miss === 'keep' ? 'whether it was there' : null),
  inverse: ({ before, after, miss }) =>
    miss === 'keep' ? refuse('whether it was there is not kept') : { name: 'affix', args: { before, after } },
  example: { args: { before: 'SKU-' }, input: ['SKU-4711'], output: '4711' },
  make:
    ({ before, after, miss }) =>
    (value) => {
      const has = value.startsWith(before) && value.endsWith(after) && value.length >= before.length + after.length
      if (has) return value.slice(before.length, value.length - after.length)
      return miss === 'keep' ? value : fail('the text does not begin and end as it must')
    },
})

const split = ofText({
  name: 'split',
  group: 'Text',
  summary: 'Takes text apart at a separator, into an array.',
  args: z.strictObject({
    separator: z.string().min(1).max(100).meta({ description: 'What stands between the parts.' }),
    trim: z.boolean().default(false).meta({ description: 'Trims every part, and drops those that are empty.' }),
  }),
  accepts: text,
  result: { kind: 'array', of: TEXT },
  loses: ({ trim }) => (trim ? 'spaces around the parts and empty parts' : null),
  inverse: ({ separator, trim }) =>
    trim ? refuse('what was trimmed is not kept') : { name: 'array_join', args: { separator } },
  example: {
    args: { separator: ',', trim: true },
    input: ['red, green,,dark blue'],
    output: '{red,green,"dark blue"}',
  },
  make:
    ({ separator, trim }) =>
    (value) => {
      const parts = value.split(separator)
      return writeArray(trim ? parts.map((part) => part.trim()).filter((part) => part !== '') : parts)
    },
})

const splitPart = ofText({
  name: 'split_part',
  group: 'Text',
  summary: 'Takes one part of text that a separator divides; NULL where there is none.',
  args: z.strictObject({
    separator: z.string().min(1).max(100).meta({ description: 'What stands between the parts.' }),
    part: z.int().min(-1000).max(1000).meta({ description: 'Which part, from 0; -1 is the last.' }),
    rest: z.boolean().default(false).meta({ description: 'Takes all that follows as well.' }),
  }),
  accepts: text,
  result: (types) => ({ kind: 'text', maxLength: maxLength(types[0]) }),
  loses: 'the other parts',
  inverse: 'the other parts are not kept',
  example: { args: { separator: ' ', part: 1, rest: true }, input: ['Ada King Lovelace'], output: 'King Lovelace' },
  make:
    ({ separator, part, rest }) =>
    (value) => {
      const parts = value.split(separator)
      const from = part < 0 ? parts.length + part : part
      if (from < 0 || from >= parts.length) return null
      return rest ? parts.slice(from).join(separator) : (parts[from] ?? null)
    },
})

const concat = ofMany({
  name: 'concat',
  group: 'Text',
  summary: 'Joins the texts of several columns.',
  args: z.strictObject({
    separator: z.string().max(100).default('').meta({ description: 'What stands between them.' }),
    nulls: z.enum(['skip', 'empty', 'null']).default('skip').meta({
      description: 'NULL is left out with its separator, counts as empty text, or makes the result NULL.',
    }),
  }),
  accepts: text,
  nulls: 'Left out; `nulls` says otherwise. NULL where all are NULL.',
  result: (types, { separator }) => {
    const lengths = types.map(maxLength)
    const sum = lengths.reduce((all, one) => (all === null || one === null ? null : all + one), 0)
    return { kind: 'text', maxLength: sum === null ? null : sum + charactersOf(separator) * (types.length - 1) }
  },
  loses: 'where one text ends and the next begins',
  inverse: 'the separator may stand in the texts as well',
  example: { args: { separator: ' ' }, input: ['Ada', null, 'Lovelace'], output: 'Ada Lovelace' },
  make:
    ({ separator, nulls }) =>
    (values) => {
      const all = values.map(textOf)
      const present = all.filter((value) => value !== null)
      if (present.length === 0 || (nulls === 'null' && present.length < all.length)) return null
      return (nulls === 'skip' ? present : all.map((value) => value ?? '')).join(separator)
    },
})

const template = ofMany({
  name: 'template',
  group: 'Text',
  summary: 'Fills the texts of columns into a text with places {1}, {2} and so on; {{ is a brace.',
  args: z.strictObject({
    text: PIECE.min(1).meta({ description: 'The text with its places.', examples: ['{1} <{2}>'] }),
  }),
  accepts: text,
  nulls: 'NULL where a value that is filled in is NULL.',
  result: (types, { text: pattern }) => {
    const parts = templateParts(pattern)
    if (parts === null) return refuse('the template has a brace that is no place: write {{ and }} for braces')
    const wrong = parts.find((part) => typeof part === 'number' && part >= types.length)
    return wrong === undefined ? TEXT : refuse(`the template names column ${Number(wrong) + 1} of ${types.length}`)
  },
  loses: 'where the values begin and end',
  inverse: 'the values cannot be told from the text around them',
  example: { args: { text: '{1} <{2}>' }, input: ['Ada', 'ada@a.example'], output: 'Ada <ada@a.example>' },
  make: ({ text: pattern }) => {
    const parts = templateParts(pattern) ?? []
    return (values) => {
      let made = ''
      for (const part of parts) {
        const piece = typeof part === 'string' ? part : textOf(values[part])
        if (piece === null) return null
        made += piece
      }
      return made
    }
  },
})

/** Texts, and places from 0; null where a brace stands alone. */
function templateParts(pattern: string): (string | number)[] | null {
  const parts = pattern.match(/\{\{|\}\}|\{[1-9]\d{0,2}\}|[^{}]+|[{}]/g) ?? []
  if (parts.some((part) => part === '{' || part === '}')) return null
  return parts.map((part) => {
    if (part === '{{' || part === '}}') return part.slice(1)
    return part.startsWith('{') ? Number(part.slice(1, -1)) - 1 : part
  })
}

const length = ofText({
  name: 'length',
  group: 'Text',
  summary: 'Counts the characters of text, or the bytes of text in UTF-8 or of bytes.',
  args: z.strictObject({
    unit: z.enum(['characters', 'bytes']).default('characters').meta({ description: 'What is counted.' }),
  }),
  accepts: textOrBytes,
  result: (types, { unit }) =>
    types[0]?.kind === 'bytes' && unit === 'characters' ? refuse('bytes have no characters') : INTEGER,
  loses: 'the text itself',
  inverse: 'a length does not say what was counted',
  example: { input: ['naïve 👍🏽'], output: '8' },
  make: ({ unit }, _context, types) => {
    if (types[0]?.kind === 'bytes') return (value) => String((value.length - 2) / 2)
    return (value) => String(unit === 'bytes' ? Buffer.byteLength(value) : charactersOf(value))
  },
})

const containsText = ofText({
  name: 'contains_text',
  group: 'Text',
  summary: 'Says whether text contains, begins with, or ends with another.',
  args: z.strictObject({
    text: PIECE.min(1).meta({ description: 'What is looked for.' }),
    where: z.enum(['anywhere', 'start', 'end']).default('anywhere').meta({ description: 'Where it is looked for.' }),
    ignore_case: z.boolean().default(false).meta({ description: 'Capitals and small letters count as equal.' }),
  }),
  accepts: text,
  result: BOOLEAN,
  loses: 'the text itself',
  inverse: 'true or false does not say what the text was',
  example: { args: { text: '@a.example', where: 'end' }, input: ['ada@a.example'], output: 't' },
  make: ({ text: search, where, ignore_case }) => {
    const fold = (value: string): string => (ignore_case ? value.toUpperCase().toLowerCase() : value)
    const wanted = fold(search)
    const method = ({ anywhere: 'includes', start: 'startsWith', end: 'endsWith' } as const)[where]
    return (value) => (fold(value)[method](wanted) ? 't' : 'f')
  },
})

export const SHAPE: readonly Transform[] = [
  pad,
  truncate,
  substring,
  replace,
  affix,
  removeAffix,
  split,
  splitPart,
  concat,
  template,
  length,
  containsText,
]
