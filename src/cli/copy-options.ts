import { InvalidArgumentError, type Command } from 'commander'
import { ColumnMaskDocument, fromMasks, RowFilter, toMasks } from '#api/contract/reading.ts'
import type { CopyOptions } from '#model/copy.ts'
import { BadName, formatPattern, NameReader, type NamePart } from '#model/table-pattern.ts'
import { addReadingFlags, readingBody, toReading, type ReadingFlags } from './reading-options.ts'

export const MASK_HELP = `
--mask TABLE.COLUMN=TRANSFORM masks a column: the name of a transform, several with commas between, or JSON as docs/transforms.md
has it where one has arguments. --where TABLE=CONDITION copies only the rows of a table that meet a CEL condition. In TABLE, *
stands for any characters, and a table stands for its partitions and children too. What names nothing that is copied is an error.
`

/** The masks and filters, as they were read so far. */
export class CopyRules {
  readonly masks: CopyOptions['masks'][number][] = []
  readonly filters: CopyOptions['filters'][number][] = []

  readonly addMask = (text: string): void => {
    const [place, steps] = halves(text, 'TABLE.COLUMN=TRANSFORM')
    const parts = reading(place, (words) => words.parts())
    const column = parts.at(-1)
    const table = patternOf(parts.slice(0, -1))
    if (column === undefined || table === null) throw new InvalidArgumentError('It is written TABLE.COLUMN=TRANSFORM.')
    const parsed = ColumnMaskDocument.safeParse({ table, column: column.text, transforms: stepsOf(steps) })
    if (!parsed.success) throw new InvalidArgumentError(`${parsed.error.issues[0]?.message ?? 'It cannot be read'}`)
    this.masks.push(...toMasks([parsed.data]))
  }

  readonly addFilter = (text: string): void => {
    const [place, where] = halves(text, 'TABLE=CONDITION')
    const table = reading(place, (words) => formatPattern(words.pattern()))
    const parsed = RowFilter.safeParse({ table, where })
    if (!parsed.success) throw new InvalidArgumentError(`${parsed.error.issues[0]?.message ?? 'It cannot be read'}`)
    this.filters.push(parsed.data)
  }
}

/** What stands before the first = that no double quotes hold, and what stands behind it. */
function halves(text: string, form: string): [string, string] {
  const [, place, rest] = /^((?:"(?:[^"]|"")*"|[^="])+)=(.+)$/s.exec(text) ?? []
  if (place === undefined || rest === undefined) throw new InvalidArgumentError(`It is written ${form}.`)
  return [place, rest]
}

function reading<T>(text: string, read: (words: NameReader) => T): T {
  try {
    const words = new NameReader(text)
    const value = read(words)
    words.end()
    return value
  } catch (error) {
    if (error instanceof BadName) throw new InvalidArgumentError(`${error.message}.`)
    throw error
  }
}

function patternOf([first, second, third]: readonly NamePart[]): string | null {
  if (first === undefined || third !== undefined) return null
  return second === undefined
    ? formatPattern({ schema: { text: 'public', literal: true }, name: first })
    : formatPattern({ schema: first, name: second })
}

function stepsOf(text: string): unknown {
  if (!/^\s*[[{]/.test(text)) return text.split(',').map((name) => name.trim())
  try {
    const value: unknown = JSON.parse(text)
    return Array.isArray(value) ? value : [value]
  } catch {
    throw new InvalidArgumentError('What stands behind = is no JSON.')
  }
}

/** What of a database is copied. */
export function addCopyFlags(command: Command, rules: CopyRules): Command {
  return addReadingFlags(command)
    .option('--where <table=condition>', 'only rows that meet the condition; repeatable', rules.addFilter)
    .option('--mask <table.column=transform>', 'values of the column become others; repeatable', rules.addMask)
}

export function toCopyOptions(flags: ReadingFlags, { masks, filters }: CopyRules): CopyOptions {
  return { ...toReading(flags), filters, masks }
}

/** As a request has it. */
export function copyBody({ filters, masks, ...reading }: CopyOptions): Readonly<Record<string, unknown>> {
  return { ...readingBody(reading), filters, masks: fromMasks(masks) }
}
