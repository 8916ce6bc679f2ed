import { describeType } from '#model/column-type.ts'
import { judgeTypes, type Judgement } from '#sync/judge-types.ts'

import type { TypedColumn } from './matrix.ts'

/** What the types of the tests' own making are, for readers. */
const NAMES: Readonly<Record<string, string>> = {
  '"Mood 😀"': 'enum',
  '"Mood 😀"[]': 'enum[]',
  wider_mood: 'enum with more labels',
  '"a ""pair"""': 'composite type',
  '"a ""pair"""[]': 'composite type[]',
  '"short; text"': 'domain over text',
  '"Price"': 'domain over numeric(10,2)',
  moods_of_text: 'domain over character varying(5)',
}

/** A type as its column is declared, and what an adapter makes of it. */
export type NamedColumn = Pick<TypedColumn, 'sql' | 'column'>

export const nameOf = ({ sql }: Pick<NamedColumn, 'sql'>): string => NAMES[sql] ?? sql

interface Judged {
  readonly target: TypedColumn
  readonly judgement: Judgement
}

/** The page of all pairs, as the judgement of types says. */
export function typesPage(types: readonly TypedColumn[]): string {
  const rows = types.map((source) => ({
    source,
    judged: types.map((target): Judged => ({ target, judgement: judgeTypes(source.column.type, target.column.type) })),
  }))
  return [
    ...HEAD,
    '## What goes where',
    '',
    'Every type goes into itself, and every type goes into `text`, `character varying` without a length and domains over',
    'them, as the text that the server writes for it. Neither is repeated below.',
    '',
    '| from | lossless into | checked into |',
    '|---|---|---|',
    ...rows.map(({ source, judged }) => {
      const into = (verdict: Judgement['verdict']): string => list(judged, source, verdict)
      return `| ${code(nameOf(source))} | ${into('lossless')} | ${into('checked')} |`
    }),
    '',
    '## What is checked of a value',
    '',
    '| into | what is refused |',
    '|---|---|',
    ...CHECKS.map(([into, refused]) => `| ${into} | ${refused} |`),
    '',
    '## What does not go by itself',
    '',
    'The transform that carries the values, by kinds of types. Kinds that are not here have no way but text.',
    '',
    '| from | into | next step |',
    '|---|---|---|',
    ...nextSteps(rows.flatMap(({ source, judged }) => judged.map((each) => ({ source, ...each })))),
    '',
  ].join('\n')
}

const HEAD = [
  '# Types',
  '',
  'Every pair of column types is judged before a row is read:',
  '',
  '- **lossless**: each value arrives as it is. Columns of the same name are paired without further ado.',
  '- **checked** (lossy unless each value fits): map the field by itself, and each value is looked at on its way. One that',
  '  does not fit exactly is set aside with its row and the reason; nothing is cut or rounded.',
  '- **impossible**: no value goes by itself. The plan is refused, and says which transform carries the values.',
  '',
  '`syncline validate --data CONFIG` counts on the real rows what does not fit. A domain may have a CHECK of its own, and',
  'a column may be NOT NULL: what the server refuses for that is set aside as well.',
  '',
  'The tests carry values at the bounds of each type through all pairs that are not impossible, between two servers, in',
  'two of four time zones each time, and compare what arrives with what the servers themselves say. This page is made by them:',
  '`npx vitest run test/types -u` writes it anew.',
  '',
]

const CHECKS: readonly (readonly [into: string, refused: string])[] = [
  ['`character varying(n)`', 'more than n characters'],
  ['`character(n)`', 'more than n characters; a space at the end, which char does not tell from its padding'],
  ['integers', 'a fraction, NaN, infinity, a number beyond the bits'],
  ['`numeric(p,s)`', 'more digits than there is room for before the point, more places than s after it, infinity'],
  ['`double precision`', 'a number with more digits than a double holds'],
  ['`timestamp(n)`, `time(n)`', 'a fraction of a second that is finer than n digits'],
  ['a timestamp from `date`', 'a day after 294276-12-31, which no timestamp can be: the server refuses it'],
  ['`jsonb` from `json`', 'a NUL or half a character in a string, a number beyond numeric, more than 1000 levels'],
  ['an enum', 'a text that is none of its labels'],
]

/** Everything goes into these, and would be in every line. */
function isAnyText({ column: { type } }: TypedColumn): boolean {
  return type.kind === 'text' && type.maxLength === null
}

function list(judged: readonly Judged[], source: TypedColumn, verdict: Judgement['verdict']): string {
  const found = judged.filter(
    ({ target, judgement }) => judgement.verdict === verdict && target !== source && !isAnyText(target),
  )
  return found.map(({ target }) => code(nameOf(target))).join(', ')
}

function code(text: string): string {
  return `\`${text}\``
}

/** One line for all pairs of two kinds that share a next step. */
function nextSteps(pairs: readonly (Judged & { readonly source: TypedColumn })[]): string[] {
  const lines = pairs.flatMap(({ source, target, judgement }) => {
    if (judgement.verdict !== 'impossible' || !judgement.hint.startsWith('Map the field')) return []
    return [
      `| ${kindOf(source)} | ${kindOf(target)} | ${judgement.hint.replace('Map the field with the transform ', '')} |`,
    ]
  })
  return [...new Set(lines)]
}

function kindOf({ column: { type } }: TypedColumn): string {
  if (type.kind === 'timestamp') return describeType({ ...type, digits: 6 }).replace('(6)', '')
  if (type.kind === 'padded text') return 'char'
  if (type.kind === 'bytes') return 'bytea'
  return type.kind === 'json' ? describeType(type) : type.kind
}
