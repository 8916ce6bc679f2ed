import { judgePair } from '#model/column-type.ts'
import { judgeTypes } from '#sync/judge-types.ts'

import { nameOf, type NamedColumn } from './page.ts'

/** From one engine into another, by its heading. */
export interface Direction {
  readonly heading: string
  readonly from: readonly NamedColumn[]
  readonly to: readonly NamedColumn[]
}

/** The page of all pairs in which MariaDB is, as the judgement of types says. */
export function mysqlTypesPage(directions: readonly Direction[]): string {
  return [...HEAD, ...directions.flatMap(section)].join('\n')
}

const HEAD = [
  '# Types of MySQL and MariaDB',
  '',
  '[types.md](types.md) says what lossless, checked and impossible mean, and what is checked of a value. Here a server that',
  'is not PostgreSQL has a part in each pair.',
  '',
  'A value of a lossless pair that the target has no place for, such as an infinity or a day of zeros, is refused by the',
  'target itself: its row is set aside with the reason. The last table of each section says what that can be.',
  '',
  'Times without a zone are carried as they are read off a clock, times with one as moments; the zones of sessions, servers',
  'and of this program make no difference. A `tinyint(1)` is a boolean, and still a number of 8 bits.',
  '',
  'The tests carry values at the bounds of each type through all pairs, in two of four time zones each time, and compare what arrives. This',
  'page is made by them: `npx vitest run test/types -u` writes it anew.',
  '',
]

/** Everything goes into these, and would be in every line. */
function isAnyText({ column: { type } }: NamedColumn): boolean {
  return type.kind === 'text' && type.maxLength === null && type.charset === undefined
}

function section({ heading, from, to }: Direction): string[] {
  const targets = to.filter((each) => !isAnyText(each))
  const rows = from.map((source) => {
    const into = (verdict: string): string =>
      targets
        .filter(({ column }) => judgeTypes(source.column.type, column.type).verdict === verdict)
        .map(code)
        .join(', ')
    return `| ${code(source)} | ${into('lossless')} | ${into('checked')} |`
  })
  return [
    `## ${heading}`,
    '',
    'Every type also goes into the types of long texts, as the text that is written for it.',
    '',
    '| from | lossless into | checked into |',
    '|---|---|---|',
    ...rows,
    '',
    '| from | into | the target refuses |',
    '|---|---|---|',
    ...refusals({ from, to }),
    '',
  ]
}

/** One line for all targets that refuse the same of a source. */
function refusals({ from, to }: Pick<Direction, 'from' | 'to'>): string[] {
  return from.flatMap((source) => {
    const found = new Map<string, string[]>()
    for (const target of to) {
      const carriage = judgePair(source.column.type, target.column.type)
      if (!carriage.ok || carriage.refuses === undefined) continue
      found.set(carriage.refuses, [...(found.get(carriage.refuses) ?? []), code(target)])
    }
    return Array.from(found, ([refused, targets]) => `| ${code(source)} | ${targets.join(', ')} | ${refused} |`)
  })
}

function code(column: NamedColumn): string {
  return `\`${nameOf(column)}\``
}
