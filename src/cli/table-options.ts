import { InvalidArgumentError } from 'commander'
import type { TableRef } from '#model/table.ts'
import { asRef, type NamePart, type TableChoice, type TableOptions, type TablePattern } from '#service/choose-tables.ts'

export const NAMES_HELP = `
Names are as the catalogue stores them: case counts, nothing is folded. TABLE is schema.table, or table for one in
public. In --table and --exclude-table, * stands for any characters. A name that holds one of . : = , * " goes into double
quotes, as in SQL, and a double quote in it is written twice; the shell needs quotes of its own around that:
  --table 'shop."order:lines"' --exclude '"Odd ""name"""="a,b"'`

/** The table flags, as they were read so far. */
export class TableFlags {
  readonly include: { source: TablePattern; target: TableRef | null }[] = []
  readonly exclude: TablePattern[] = []
  readonly options: TableOptions[] = []

  get choice(): TableChoice {
    return { include: this.include, exclude: this.exclude, options: this.options }
  }

  readonly addTable = (text: string): void => {
    const words = new Words(text)
    const source = words.pattern()
    const target = words.takes(':') ? words.table() : null
    words.end()
    if (target !== null && asRef(source) === null) throw bad('a pattern cannot be given another name')
    this.include.push({ source, target })
  }

  readonly addExcludedTable = (text: string): void => {
    const words = new Words(text)
    this.exclude.push(words.pattern())
    words.end()
  }

  readonly addColumns = (text: string): void => {
    this.options.push({ ...NOTHING, ...tableAndColumns(text, 'columns') })
  }

  readonly addExcluded = (text: string): void => {
    this.options.push({ ...NOTHING, ...tableAndColumns(text, 'exclude') })
  }

  readonly addKey = (text: string): void => {
    this.options.push({ ...NOTHING, ...tableAndColumns(text, 'key') })
  }

  readonly addRename = (text: string): void => {
    const words = new Words(text)
    const parts = words.parts()
    words.take('=')
    const name = words.name()
    words.end()
    const column = parts.at(-1)?.text
    const table = toTable(parts.slice(0, -1))
    if (column === undefined || table === null) throw bad('it is written TABLE.COLUMN=NEWNAME')
    this.options.push({ ...NOTHING, table, rename: new Map([[column, name]]) })
  }
}

const NOTHING = { key: null, columns: null, exclude: [], rename: new Map<string, string>() }

function tableAndColumns<N extends string>(text: string, as: N): { table: TableRef } & Record<N, string[]> {
  const words = new Words(text)
  const table = words.table()
  words.take('=')
  const columns = [words.name()]
  while (words.takes(',')) columns.push(words.name())
  words.end()
  return { table, [as]: columns } as { table: TableRef } & Record<N, string[]>
}

function toTable(parts: readonly NamePart[]): TableRef | null {
  const [first, second] = parts
  if (first === undefined || parts.length > 2) return null
  return second === undefined ? { schema: 'public', name: first.text } : { schema: first.text, name: second.text }
}

/** A reader of names and the marks between them. */
class Words {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  pattern(): TablePattern {
    const [first, second, third] = this.parts()
    if (first === undefined || third !== undefined) throw bad('a table is written schema.table, or table')
    return second === undefined
      ? { schema: { text: 'public', literal: true }, name: first }
      : { schema: first, name: second }
  }

  table(): TableRef {
    const ref = asRef(this.pattern())
    if (ref === null) throw bad('here * is not allowed; a name with a * goes into double quotes')
    return ref
  }

  name(): string {
    return this.#part().text
  }

  parts(): NamePart[] {
    const parts = [this.#part()]
    while (this.takes('.')) parts.push(this.#part())
    return parts
  }

  takes(mark: string): boolean {
    if (this.#text[this.#at] !== mark) return false
    this.#at += 1
    return true
  }

  take(mark: string): void {
    if (!this.takes(mark)) throw bad(`a ${mark} is missing after "${this.#text.slice(0, this.#at)}"`)
  }

  end(): void {
    if (this.#at < this.#text.length) throw bad(`"${this.#text.slice(this.#at)}" is left over`)
  }

  #part(): NamePart {
    const rest = this.#text.slice(this.#at)
    const quoted = /^"((?:[^"]|"")+)"/.exec(rest)
    const plain = /^[^.:=,"]+/.exec(rest)
    const found = quoted ?? plain
    if (found === null) throw bad(rest === '' ? 'a name is missing' : `no name can be read at "${rest}"`)
    this.#at += found[0].length
    return quoted === null
      ? { text: found[0], literal: false }
      : { text: (quoted[1] ?? '').replaceAll('""', '"'), literal: true }
  }
}

function bad(reason: string): InvalidArgumentError {
  return new InvalidArgumentError(`${reason}.`)
}
