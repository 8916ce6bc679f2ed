import { InvalidArgumentError } from 'commander'
import { NO_OWN_CONFLICT, NO_OWN_DETECTION } from '#model/sync-config.ts'
import type { TableRef } from '#model/table.ts'
import {
  asRef,
  BadName,
  NameReader,
  type NamePart,
  type TableChoice,
  type TableOptions,
  type TablePattern,
  type TableWish,
} from '#model/table-pattern.ts'

export const NAMES_HELP = `
Names are as the catalogue stores them: case counts, nothing is folded. TABLE is schema.table, or table for one in
public. In --table and --exclude-table, * stands for any characters. A name that holds one of . : = , * " goes into double
quotes, as in SQL, and a double quote in it is written twice; the shell needs quotes of its own around that:
  --table 'shop."order:lines"' --exclude '"Odd ""name"""="a,b"'`

/** The table flags, as they were read so far. */
export class TableFlags {
  readonly include: TableWish[] = []
  readonly exclude: TablePattern[] = []
  readonly options: TableOptions[] = []

  get choice(): TableChoice {
    return { include: this.include, exclude: this.exclude, options: this.options }
  }

  readonly addTable = reading((words) => {
    const source = words.pattern()
    const target = words.takes(':') ? words.table() : null
    if (target !== null && asRef(source) === null) throw new BadName('a pattern cannot be given another name')
    this.include.push({ source, target, query: null })
  })

  readonly addExcludedTable = reading((words) => {
    this.exclude.push(words.pattern())
  })

  readonly addColumns = reading((words) => {
    this.options.push({ ...NOTHING, ...tableAndColumns(words, 'columns') })
  })

  readonly addExcluded = reading((words) => {
    this.options.push({ ...NOTHING, ...tableAndColumns(words, 'exclude') })
  })

  readonly addKey = reading((words) => {
    this.options.push({ ...NOTHING, ...tableAndColumns(words, 'key') })
  })

  readonly addRename = reading((words) => {
    const parts = words.parts()
    words.take('=')
    const name = words.name()
    const column = parts.at(-1)?.text
    const table = toTable(parts.slice(0, -1))
    if (column === undefined || table === null) throw new BadName('it is written TABLE.COLUMN=NEWNAME')
    this.options.push({ ...NOTHING, table, rename: new Map([[column, name]]) })
  })
}

const NOTHING = {
  key: null,
  columns: null,
  exclude: [],
  rename: new Map<string, string>(),
  filter: null,
  filterExit: 'ignore',
  fields: null,
  conflict: NO_OWN_CONFLICT,
  detection: NO_OWN_DETECTION,
  zeroDates: null,
} as const

function tableAndColumns<N extends string>(words: NameReader, as: N): { table: TableRef } & Record<N, string[]> {
  const table = words.table()
  words.take('=')
  const columns = [words.name()]
  while (words.takes(',')) columns.push(words.name())
  return { table, [as]: columns } as { table: TableRef } & Record<N, string[]>
}

function toTable(parts: readonly NamePart[]): TableRef | null {
  const [first, second] = parts
  if (first === undefined || parts.length > 2) return null
  return second === undefined ? { schema: 'public', name: first.text } : { schema: first.text, name: second.text }
}

/** An option whose text is read to its end by `read`; what cannot be read is an error of the option. */
function reading(read: (words: NameReader) => void): (text: string) => void {
  return (text) => {
    try {
      const words = new NameReader(text)
      read(words)
      words.end()
    } catch (error) {
      if (error instanceof BadName) throw new InvalidArgumentError(`${error.message}.`)
      throw error
    }
  }
}
