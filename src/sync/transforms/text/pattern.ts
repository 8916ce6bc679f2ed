/** Transforms by regular expression, in time that grows with the text alone. */
import { z } from 'zod'

import { fail, ofText, refuse, type Refusal, type Transform } from '#sync/transforms/transform.ts'
import { BOOLEAN, maxLength, sameLength, text, TEXT } from '#sync/transforms/types.ts'
import { writeArray } from '#sync/transforms/array/literal.ts'
import { BadPattern, compileRegex, type Match, type Regex } from './regex.ts'

const pattern = z
  .string()
  .min(1)
  .max(1_000)
  .superRefine((source, context) => {
    try {
      compileRegex(source, { ignoreCase: false, multiline: false })
    } catch (error) {
      if (!(error instanceof BadPattern)) throw error
      context.addIssue({ code: 'custom', message: `The pattern cannot be used: ${error.message}.` })
    }
  })
  .meta({
    description: 'A regular expression, as in JavaScript with the flag u, without look-around and back references.',
    examples: ['[A-Z]{2}\\d+'],
  })

const FLAGS = {
  ignore_case: z.boolean().default(false).meta({ description: 'Capitals and small letters count as equal.' }),
  multiline: z.boolean().default(false).meta({ description: '^ and $ also match at the ends of lines.' }),
}

interface Flags {
  readonly pattern: string
  readonly ignore_case: boolean
  readonly multiline: boolean
}

function compile({ pattern: source, ignore_case, multiline }: Flags): Regex {
  return compileRegex(source, { ignoreCase: ignore_case, multiline })
}

/** How often the matches of one text may read it anew; more is a pattern that seeks the end from every place. */
const MAX_PASSES = 50

/** All matches, one after the other. */
function* matches(regex: Regex, value: string): Generator<Match> {
  const most = regex.read + MAX_PASSES * (value.length + 200)
  for (let from = 0; from <= value.length;) {
    const match = regex.exec(value, from)
    if (match === null) return
    yield match
    const [start = 0, end = 0] = match
    from = end > start ? end : end + ((value.codePointAt(end) ?? 0) > 0xffff ? 2 : 1)
    if (regex.read > most) fail('the pattern reads the text over and over; make it less open')
  }
}

/** The text of a group; null where it took no part. */
function groupOf(match: Match, value: string, group: number): string | null {
  const [start = -1, end = -1] = [match[group * 2], match[group * 2 + 1]]
  return start === -1 || end === -1 ? null : value.slice(start, end)
}

/** Texts, and groups by number; null where a $ stands alone. */
function replacementParts(replacement: string): (string | number)[] | null {
  const parts: string[] = replacement.match(/\$\$|\$\d|[^$]+|\$/g) ?? []
  if (parts.includes('$')) return null
  return parts.map((part) => (part === '$$' ? '$' : part.startsWith('$') ? Number(part[1]) : part))
}

function groupFits(group: number | string, regex: Regex): Refusal | null {
  return typeof group === 'string' || group <= regex.groups
    ? null
    : refuse(`the pattern has ${regex.groups} groups, and group ${group} is asked for`)
}

const replacePattern = ofText({
  name: 'replace_pattern',
  group: 'Patterns',
  summary: 'Replaces what matches a pattern.',
  args: z.strictObject({
    pattern,
    with: z
      .string()
      .max(1_000)
      .default('')
      .meta({ description: 'What takes its place; $0 is the match, $1 a group, $$ a dollar.' }),
    only_first: z.boolean().default(false).meta({ description: 'Replaces the first match only.' }),
    ...FLAGS,
  }),
  accepts: text,
  result: (_types, args) => {
    const parts = replacementParts(args.with)
    if (parts === null) return refuse('write $$ for a dollar in "with"')
    const regex = compile(args)
    return parts.map((part) => groupFits(part, regex)).find((problem) => problem !== null) ?? TEXT
  },
  loses: 'the text that is replaced',
  inverse: 'what was replaced is not kept',
  example: {
    args: { pattern: '(\\d{2})\\.(\\d{2})\\.(\\d{4})', with: '$3-$2-$1' },
    input: ['due 24.12.2025'],
    output: 'due 2025-12-24',
  },
  make: (args) => {
    const regex = compile(args)
    const parts = replacementParts(args.with) ?? []
    return (value) => {
      let made = ''
      let done = 0
      for (const match of matches(regex, value)) {
        made += value.slice(done, match[0])
        for (const part of parts) made += typeof part === 'string' ? part : (groupOf(match, value, part) ?? '')
        done = match[1] ?? value.length
        if (args.only_first) break
      }
      return done === 0 && made === '' ? value : made + value.slice(done)
    }
  },
})

const extract = ofText({
  name: 'extract',
  group: 'Patterns',
  summary: 'Takes the first match of a pattern, or a group of it.',
  args: z.strictObject({
    pattern,
    group: z
      .int()
      .min(0)
      .max(99)
      .optional()
      .meta({ description: 'Which group; default 1 where the pattern has one, else the match.' }),
    miss: z
      .enum(['null', 'keep', 'reject'])
      .default('null')
      .meta({ description: 'What becomes of text that does not match.' }),
    ...FLAGS,
  }),
  accepts: text,
  result: (types, args) =>
    groupFits(args.group ?? 0, compile(args)) ?? { kind: 'text', maxLength: maxLength(types[0]) },
  loses: 'the text around it',
  inverse: 'the text around it is not kept',
  example: { args: { pattern: '#(\\d+)' }, input: ['Fixes #4711, thanks'], output: '4711' },
  make: (args) => {
    const regex = compile(args)
    const group = args.group ?? Math.min(1, regex.groups)
    return (value) => {
      const match = regex.exec(value, 0)
      if (match !== null) return groupOf(match, value, group)
      return args.miss === 'keep' ? value : args.miss === 'null' ? null : fail('the text does not match the pattern')
    }
  },
})

const extractAll = ofText({
  name: 'extract_all',
  group: 'Patterns',
  summary: 'Takes all matches of a pattern, as an array.',
  args: z.strictObject({
    pattern,
    group: z
      .int()
      .min(0)
      .max(99)
      .optional()
      .meta({ description: 'Which group; default 1 where the pattern has one, else the match.' }),
    ...FLAGS,
  }),
  accepts: text,
  result: (_types, args) => groupFits(args.group ?? 0, compile(args)) ?? { kind: 'array', of: TEXT },
  loses: 'the text between the matches',
  inverse: 'the text between the matches is not kept',
  example: { args: { pattern: '#(\\w+)' }, input: ['#sync your #data'], output: '{sync,data}' },
  make: (args) => {
    const regex = compile(args)
    const group = args.group ?? Math.min(1, regex.groups)
    return (value) => writeArray(Array.from(matches(regex, value), (match) => groupOf(match, value, group)))
  },
})

const matchesPattern = ofText({
  name: 'matches',
  group: 'Patterns',
  summary: 'Says whether a pattern matches anywhere in text; ^ and $ make it match all of it.',
  args: z.strictObject({ pattern, ...FLAGS }),
  accepts: text,
  result: BOOLEAN,
  loses: 'the text itself',
  inverse: 'true or false does not say what the text was',
  example: { args: { pattern: '^[A-Z]{2}\\d{2}$' }, input: ['DE89'], output: 't' },
  make: (args) => {
    const regex = compile(args)
    return (value) => (regex.exec(value, 0) === null ? 'f' : 't')
  },
})

const requirePattern = ofText({
  name: 'require_pattern',
  group: 'Patterns',
  summary: 'Rejects text that a pattern does not match, and passes the rest on.',
  args: z.strictObject({ pattern, ...FLAGS }),
  accepts: text,
  result: sameLength,
  loses: null,
  inverse: (args) => ({ name: 'require_pattern', args }),
  example: { args: { pattern: '^\\d{5}$' }, input: ['10115'], output: '10115' },
  make: (args) => {
    const regex = compile(args)
    return (value) => (regex.exec(value, 0) === null ? fail('the text does not match the pattern') : value)
  },
})

export const PATTERNS: readonly Transform[] = [replacePattern, extract, extractAll, matchesPattern, requirePattern]
