/** Values chosen: defaults, maps, lookups, conditions, truth. A value in arguments is written in the text of its type. */
import { z } from 'zod'

import type { ColumnType } from '#model/column-type.ts'
import type { Value } from '#model/value.ts'

import { fail, ofMany, ofText, ofValue, refuse, type Refusal, type Transform } from '#sync/transforms/transform.ts'
import { anyType, boolean, BOOLEAN, number, same, text, TEXT, typeName, typeOf } from '#sync/transforms/types.ts'
import { Decimal, numberArg, readNumber } from '#sync/transforms/number/decimal.ts'
import { whyNotOf } from '#sync/transforms/cast/literal.ts'

const NONE = z.strictObject({})
const literal = z.string().max(100_000)
const ONE_WORD = z.string().max(1_000)

/** The type, if a value of the arguments is in it. */
function holding(type: ColumnType | undefined, values: readonly (string | null)[]): ColumnType | Refusal {
  const of = type ?? TEXT
  const reason = values.map((value) => (value === null ? null : whyNotOf(value, of))).find((found) => found !== null)
  return reason === undefined ? of : refuse(reason)
}

const byDefault = ofValue({
  name: 'default',
  group: 'Choices',
  summary: 'Puts a value in the place of NULL.',
  args: z.strictObject({
    value: literal.meta({ description: 'The value, in the text of the type.' }),
    empty: z
      .boolean()
      .default(false)
      .meta({ description: 'Also in the place of text that is empty or has only spaces.' }),
  }),
  accepts: anyType,
  nulls: 'The value given.',
  result: ([type], { value }) => holding(type, [value]),
  loses: 'which values were missing',
  inverse: 'which values were missing is not kept',
  example: { args: { value: 'unknown' }, input: [null], output: 'unknown' },
  make:
    ({ value: standIn, empty }) =>
    (value) =>
      value === null || (empty && typeof value === 'string' && value.trim() === '') ? standIn : value,
})

const coalesce = ofMany({
  name: 'coalesce',
  group: 'Choices',
  summary: 'Takes the first of several columns that is not NULL.',
  args: z.strictObject({
    empty: z.enum(['keep', 'skip']).default('keep').meta({ description: 'Whether empty text is a value.' }),
  }),
  accepts: anyType,
  nulls: 'Passed over; NULL where all are NULL.',
  result: (types) => common(types),
  loses: 'the other columns',
  inverse: 'the other columns are not kept',
  example: { input: [null, 'second', 'third'], output: 'second' },
  make:
    ({ empty }) =>
    (values) =>
      values.find((value) => value !== null && (empty === 'keep' || value !== '')) ?? null,
})

/** One type for values of several columns: the same, or text that is long enough for all. */
function common(types: readonly ColumnType[]): ColumnType | Refusal {
  const [first, ...others] = types
  if (first === undefined) return refuse('it takes at least one column')
  if (others.every((type) => JSON.stringify(type) === JSON.stringify(first))) return first
  if (!types.every((type) => type.kind === 'text'))
    return refuse('the columns have different types; "cast" comes first')
  const lengths = types.map((type) => (type.kind === 'text' ? type.maxLength : null))
  return { kind: 'text', maxLength: lengths.includes(null) ? null : Math.max(...lengths.map(Number)) }
}

const nullIf = ofText({
  name: 'null_if',
  group: 'Choices',
  summary: 'Makes NULL of some values, such as empty text, N/A or a zero date.',
  args: z.strictObject({
    values: z.array(literal).min(1).max(1_000).meta({ description: 'The values, in the text of the type.' }),
    ignore_case: z.boolean().default(false).meta({ description: 'Capitals and small letters count as equal.' }),
    trim: z.boolean().default(false).meta({ description: 'Spaces at the ends do not count.' }),
  }),
  accepts: anyType,
  result: same,
  loses: 'which of the values it was',
  inverse: 'which of the values it was is not kept',
  example: { args: { values: ['', 'N/A'], ignore_case: true }, input: ['n/a'], output: null },
  make: ({ values, ignore_case, trim }) => {
    const fold = (value: string): string => (ignore_case ? value.toUpperCase() : value)
    const set = new Set(values.map(fold))
    return (value) => (set.has(fold(trim ? value.trim() : value)) ? null : value)
  },
})

const notNull = ofValue({
  name: 'require',
  group: 'Choices',
  summary: 'Rejects NULL, and passes everything else on.',
  args: NONE,
  accepts: anyType,
  nulls: 'Rejected.',
  result: same,
  loses: null,
  inverse: () => ({ name: 'require', args: {} }),
  example: { input: ['x'], output: 'x' },
  make: () => (value) => value ?? fail('the value is NULL'),
})

const constant = ofMany({
  name: 'constant',
  group: 'Choices',
  summary: 'Gives one value always, of whatever columns, or of none.',
  args: z.strictObject({
    value: literal.nullable().meta({ description: 'The value, in the text of the type, or null.' }),
    as: typeName.default('text'),
  }),
  accepts: anyType,
  nulls: 'The value given.',
  result: (_types, { value, as }) => holding(typeOf(as), [value]),
  loses: 'the value of the column',
  inverse: 'the value of the column is not kept',
  example: { args: { value: 'import' }, input: ['anything'], output: 'import' },
  make:
    ({ value }) =>
    () =>
      value,
})

const MISS = { description: 'What becomes of a value that is not in it.' }

const map = ofText({
  name: 'map',
  group: 'Choices',
  summary: 'Replaces whole values by others, by a list.',
  args: z
    .strictObject({
      values: z.record(literal, literal.nullable()).meta({ description: 'Value → new value, or null.' }),
      miss: z.enum(['reject', 'keep', 'null', 'other']).default('reject').meta(MISS),
      other: literal
        .optional()
        .meta({ description: 'The new value of those that are not in the list, with miss: other.' }),
      as: typeName.optional(),
    })
    .refine(({ miss, other }) => (miss === 'other') === (other !== undefined), {
      error: '"other" goes with miss: other, and only with it.',
      path: ['other'],
    }),
  accepts: anyType,
  result: ([type], { values, miss, other, as }) => {
    const into = as === undefined ? (type?.kind === 'enum' ? TEXT : type) : typeOf(as)
    if (miss === 'keep' && as !== undefined) return refuse('values that are kept have the former type: leave out "as"')
    return holding(into, [...Object.values(values), ...(other === undefined ? [] : [other])])
  },
  loses: ({ values, miss }) => (miss === 'reject' && isOneToOne(values) ? null : 'which of several values it was'),
  inverse: ({ values, miss, as }, [type]) => {
    if (miss !== 'reject' || !isOneToOne(values)) return refuse('several values may have become one')
    if (as !== undefined || type?.kind === 'enum') return refuse('the former type is not kept')
    return { name: 'map', args: { values: Object.fromEntries(Object.entries(values).map(([from, to]) => [to, from])) } }
  },
  example: { args: { values: { publish: 'live', draft: 'hidden' } }, input: ['publish'], output: 'live' },
  make: ({ values, miss, other }) => {
    // A Map: keys come from outside, and may be called __proto__ (hazard C19).
    const entries = new Map<string, Value>(Object.entries(values))
    return (value) => {
      const found = entries.get(value)
      if (found !== undefined) return found
      if (miss === 'keep') return value
      return miss === 'reject' ? fail('the value is not in the list') : (other ?? null)
    }
  },
})

function isOneToOne(values: Readonly<Record<string, string | null>>): boolean {
  const all = Object.values(values)
  return !all.includes(null) && new Set(all).size === all.length
}

const relabel = ofText({
  name: 'relabel',
  group: 'Choices',
  summary: 'Gives the labels of an enum, or of text, as those of another enum; labels that are named the same stay.',
  args: z.strictObject({
    labels: z
      .array(z.string().min(1).max(63))
      .min(1)
      .max(1_000)
      .meta({ description: 'The labels of the new enum, in their order.' }),
    rename: z.record(literal, literal).default({}).meta({ description: 'Old label → new label, where they differ.' }),
  }),
  accepts: text,
  result: ([type], { labels, rename: names }) => {
    const known = new Set(labels)
    const given = type?.kind === 'enum' ? type.labels : Object.keys(names)
    const lost = given.filter((label) => !known.has(Object.hasOwn(names, label) ? (names[label] ?? '') : label))
    return lost.length === 0
      ? { kind: 'enum', labels }
      : refuse(`no label of the new enum for ${lost.map((label) => `"${label}"`).join(', ')}`)
  },
  loses: (args, [type]) => (isSplit(args.rename, type) ? null : 'which of several labels it was'),
  inverse: (args, [type]) =>
    type?.kind === 'enum' && isSplit(args.rename, type)
      ? {
          name: 'relabel',
          args: {
            labels: type.labels,
            rename: Object.fromEntries(Object.entries(args.rename).map(([from, to]) => [to, from])),
          },
        }
      : refuse('several labels may have become one, or there was no enum'),
  example: { args: { labels: ['live', 'hidden'], rename: { publish: 'live' } }, input: ['publish'], output: 'live' },
  make: ({ labels, rename: names }) => {
    const known = new Set(labels)
    const renamed = new Map(Object.entries(names))
    return (value) => {
      const label = renamed.get(value) ?? value
      return known.has(label) ? label : fail('the new enum has no such label')
    }
  },
})

/** No two labels of the old enum have become one. */
function isSplit(names: Readonly<Record<string, string>>, type: ColumnType | undefined): boolean {
  if (type?.kind !== 'enum') return false
  const made = type.labels.map((label) => (Object.hasOwn(names, label) ? names[label] : label))
  return new Set(made).size === made.length && Object.keys(names).every((label) => type.labels.includes(label))
}

const lookup = ofValue({
  name: 'lookup',
  group: 'Choices',
  summary: 'Replaces a key by a column of the row that has it in another table of the source.',
  args: z
    .strictObject({
      table: z.string().min(1).max(200).meta({
        description: 'The table, as schema.table; without a schema in public, or in the database of the URL.',
      }),
      key: z.string().min(1).max(63).meta({ description: 'Its column that the value is looked up in.' }),
      value: z.string().min(1).max(63).meta({ description: 'Its column that takes the value’s place.' }),
      as: typeName.default('text'),
      miss: z.enum(['reject', 'keep', 'null', 'other']).default('reject').meta(MISS),
      other: literal.optional().meta({ description: 'The value of keys that no row has, with miss: other.' }),
    })
    .refine(({ miss, other }) => (miss === 'other') === (other !== undefined), {
      error: '"other" goes with miss: other, and only with it.',
      path: ['other'],
    }),
  accepts: anyType,
  result: ([type], { as, miss, other }) => {
    const into = typeOf(as)
    if (miss === 'keep' && JSON.stringify(type) !== JSON.stringify(into))
      return refuse('keys that are kept have another type than the values')
    return holding(into, [other ?? null])
  },
  loses: 'the key',
  inverse: 'several keys may have one value',
  needs: ({ table, key, value }) => [{ table, keyColumn: key, valueColumn: value }],
  example: { args: { table: 'shop.countries', key: 'id', value: 'code' }, input: ['1'], output: 'looked up: 1' },
  make: ({ table, key, value: column, miss, other }, context) => {
    const find = context.lookup({ table, keyColumn: key, valueColumn: column })
    return (value) => {
      if (value === null) return null
      const found = find(value)
      if (found !== undefined) return found
      if (miss === 'keep') return value
      return miss === 'reject' ? fail('no row has this key') : (other ?? null)
    }
  },
})

const choose = ofMany({
  name: 'choose',
  group: 'Choices',
  summary: 'By the boolean of the first column, takes the second where it is true, else the third.',
  args: z.strictObject({
    unknown: z
      .enum(['second', 'third', 'null'])
      .default('third')
      .meta({ description: 'What NULL in the first column takes.' }),
  }),
  accepts: anyType,
  nulls: 'NULL in the first column takes the third; `unknown` says otherwise.',
  result: ([condition, ...options]) => {
    if (condition?.kind !== 'boolean' || options.length < 1 || options.length > 2)
      return refuse('it takes a boolean and one or two columns')
    return common(options)
  },
  loses: 'the column that is not taken',
  inverse: 'the other column is not kept',
  example: {
    types: [BOOLEAN, TEXT, TEXT],
    input: ['f', 'shipping address', 'billing address'],
    output: 'billing address',
  },
  make:
    ({ unknown }) =>
    ([condition, second = null, third = null]) => {
      if (condition === null || condition === undefined)
        return unknown === 'second' ? second : unknown === 'third' ? third : null
      return condition === 't' ? second : third
    },
})

const bucket = ofText({
  name: 'bucket',
  group: 'Choices',
  summary: 'Gives numbers a name by the range that they lie in.',
  args: z
    .strictObject({
      bounds: z
        .array(numberArg)
        .min(1)
        .max(1_000)
        .meta({ description: 'Where each next range begins, from low to high.' }),
      names: z.array(ONE_WORD).min(2).max(1_001).meta({ description: 'A name for each range: one more than bounds.' }),
    })
    .refine(({ bounds, names }) => names.length === bounds.length + 1, {
      error: 'There is one name more than bounds.',
      path: ['names'],
    })
    .refine(({ bounds }) => bounds.every((bound, i) => i === 0 || new Decimal(bound).gt(bounds[i - 1] ?? 0)), {
      error: 'Bounds go from low to high.',
      path: ['bounds'],
    }),
  accepts: number,
  result: TEXT,
  loses: 'the number within its range',
  inverse: 'the number is not kept',
  example: {
    args: { bounds: [18, 65], names: ['child', 'adult', 'senior'] },
    types: [{ kind: 'integer', bits: 32 }],
    input: ['18'],
    output: 'adult',
  },
  make: ({ bounds, names }) => {
    const starts = bounds.map((bound) => new Decimal(bound))
    return (value) => {
      const given = readNumber(value)
      const above = starts.findIndex((start) => given.lt(start))
      return names[above === -1 ? names.length - 1 : above] ?? null
    }
  },
})

const isNull = ofValue({
  name: 'is_null',
  group: 'Truth',
  summary: 'Says whether there is no value.',
  args: z.strictObject({
    empty: z.boolean().default(false).meta({ description: 'Text that is empty or has only spaces counts as none.' }),
  }),
  accepts: anyType,
  nulls: 'True.',
  result: BOOLEAN,
  loses: 'the value',
  inverse: 'true or false does not say what the value was',
  example: { input: [null], output: 't' },
  make:
    ({ empty }) =>
    (value) =>
      value === null || (empty && typeof value === 'string' && value.trim() === '') ? 't' : 'f',
})

const equals = ofText({
  name: 'is_one_of',
  group: 'Truth',
  summary: 'Says whether a value is one of those given, in the text of its type.',
  args: z.strictObject({ values: z.array(literal).min(1).max(1_000).meta({ description: 'The values.' }) }),
  accepts: anyType,
  result: ([type], { values }) => {
    const held = holding(type, values)
    return 'refused' in held ? held : BOOLEAN
  },
  loses: 'the value',
  inverse: 'true or false does not say what the value was',
  example: { args: { values: ['open', 'new'] }, input: ['new'], output: 't' },
  make: ({ values }) => {
    const set = new Set(values)
    return (value) => (set.has(value) ? 't' : 'f')
  },
})

const compare = ofText({
  name: 'compare',
  group: 'Truth',
  summary: 'Compares a number with another.',
  args: z.strictObject({
    is: z.enum(['less', 'at_most', 'equal', 'at_least', 'more']).meta({ description: 'What is true.' }),
    than: numberArg.meta({ description: 'The other number.' }),
  }),
  accepts: number,
  result: BOOLEAN,
  loses: 'the number',
  inverse: 'true or false does not say what the number was',
  example: { args: { is: 'at_least', than: 0 }, types: [{ kind: 'integer', bits: 32 }], input: ['0'], output: 't' },
  make: ({ is, than }) => {
    const other = new Decimal(than)
    const holds = { less: [-1], at_most: [-1, 0], equal: [0], at_least: [0, 1], more: [1] }[is]
    return (value) => (holds.includes(readNumber(value).cmp(other)) ? 't' : 'f')
  },
})

const not = ofText({
  name: 'not',
  group: 'Truth',
  summary: 'Turns true into false and false into true.',
  args: NONE,
  accepts: boolean,
  result: BOOLEAN,
  loses: null,
  inverse: () => ({ name: 'not', args: {} }),
  example: { types: [BOOLEAN], input: ['t'], output: 'f' },
  make: () => (value) => (value === 't' ? 'f' : 't'),
})

const logic = ofMany({
  name: 'all_or_any',
  group: 'Truth',
  summary: 'Says whether all, or any, of several booleans are true.',
  args: z.strictObject({ of: z.enum(['all', 'any']).meta({ description: 'All of them, or at least one.' }) }),
  accepts: boolean,
  nulls: 'Unknown, as in SQL: NULL where the other columns do not decide.',
  result: BOOLEAN,
  loses: 'the single booleans',
  inverse: 'one value does not go back into several columns',
  example: { args: { of: 'any' }, types: [BOOLEAN, BOOLEAN, BOOLEAN], input: ['f', null, 't'], output: 't' },
  make: ({ of }) => {
    const deciding = of === 'all' ? 'f' : 't'
    return (values) => (values.includes(deciding) ? deciding : values.includes(null) ? null : of === 'all' ? 't' : 'f')
  },
})

const words = z.array(ONE_WORD).min(1).max(100)

const parseBoolean = ofText({
  name: 'parse_boolean',
  group: 'Truth',
  summary: 'Reads words such as yes and no as a boolean, whatever their case.',
  args: z.strictObject({
    true: words.default(['true', 't', 'yes', 'y', 'on', '1']).meta({ description: 'Words for true.' }),
    false: words.default(['false', 'f', 'no', 'n', 'off', '0']).meta({ description: 'Words for false.' }),
    miss: z.enum(['reject', 'null']).default('reject').meta({ description: 'What becomes of other words.' }),
  }),
  accepts: text,
  result: BOOLEAN,
  loses: 'which word it was',
  inverse: 'which word it was is not kept',
  example: { input: [' Yes'], output: 't' },
  make: (args) => {
    const known = new Map<string, string>()
    for (const word of args.false) known.set(word.trim().toLowerCase(), 'f')
    for (const word of args.true) known.set(word.trim().toLowerCase(), 't')
    return (value) =>
      known.get(value.trim().toLowerCase()) ??
      (args.miss === 'null' ? null : fail('the text is no word for true or false'))
  },
})

const formatBoolean = ofText({
  name: 'format_boolean',
  group: 'Truth',
  summary: 'Writes a boolean as one of two words.',
  args: z
    .strictObject({
      true: ONE_WORD.default('true').meta({ description: 'The word for true.' }),
      false: ONE_WORD.default('false').meta({ description: 'The word for false.' }),
    })
    .refine((args) => args.true !== args.false, { error: 'The words are the same.', path: ['false'] }),
  accepts: boolean,
  result: TEXT,
  loses: null,
  inverse: (args) => {
    const clash = args.true.trim().toLowerCase() === args.false.trim().toLowerCase()
    return clash
      ? refuse('the words differ in case or spaces alone')
      : { name: 'parse_boolean', args: { true: [args.true], false: [args.false] } }
  },
  example: { args: { true: 'ja', false: 'nein' }, types: [BOOLEAN], input: ['f'], output: 'nein' },
  make: (args) => (value) => (value === 't' ? args.true : args.false),
})

export const CHOICES: readonly Transform[] = [
  byDefault,
  coalesce,
  nullIf,
  notNull,
  constant,
  map,
  relabel,
  lookup,
  choose,
  bucket,
]
export const TRUTH: readonly Transform[] = [isNull, equals, compare, not, logic, parseBoolean, formatBoolean]
