import type { FieldMapping } from './field-mapping.ts'
import type { TableMapping } from './sync-config.ts'
import type { TableRef } from './table.ts'

/** Tables by name; `*` stands for any run of characters where a part is a pattern, and for itself where it is literal. */
export interface TablePattern {
  readonly schema: NamePart
  readonly name: NamePart
}

export interface NamePart {
  readonly text: string
  readonly literal: boolean
}

/** Tables that somebody wants. `query`: the SELECT that stands for the table, which `source` names then. */
export interface TableWish {
  readonly source: TablePattern
  readonly target: TableRef | null
  readonly query: string | null
}

/** What a user picked, before anybody looked at the databases. */
export interface TableChoice {
  /** Empty: every table. `target` names one table elsewhere, where the source is one table. */
  readonly include: readonly TableWish[]
  readonly exclude: readonly TablePattern[]
  readonly options: readonly TableOptions[]
}

/** What a user said about one table of the source. */
export interface TableOptions {
  readonly table: TableRef
  readonly key: readonly string[] | null
  readonly columns: readonly string[] | null
  readonly exclude: readonly string[]
  readonly rename: ReadonlyMap<string, string>
  readonly conflict: TableMapping['conflict']
  readonly detection: TableMapping['detection']
  readonly zeroDates: TableMapping['zeroDates']
  readonly filter: string | null
  readonly filterExit: 'ignore' | 'delete'
  readonly fields: readonly FieldMapping[] | null
}

export const EVERY_TABLE: TablePattern = { schema: { text: '*', literal: false }, name: { text: '*', literal: false } }

/** A name that cannot be read, and why. */
export class BadName extends Error {
  override readonly name = 'BadName'
}

/**
 * Reads `schema.table`, or `table` for one in `public`; `*` stands for any characters. A part that holds one of
 * `. : = , * "` goes into double quotes, and a double quote in it is written twice. @throws BadName
 */
export function parsePattern(text: string): TablePattern {
  const words = new NameReader(text)
  const pattern = words.pattern()
  words.end()
  return pattern
}

/** As `parsePattern`, for one table. @throws BadName */
export function parseTableName(text: string): TableRef {
  const words = new NameReader(text)
  const table = words.table()
  words.end()
  return table
}

/** The shortest text that `parsePattern` reads as this pattern. */
export function formatPattern({ schema, name }: TablePattern): string {
  const part = ({ text, literal }: NamePart): string =>
    (literal && text.includes('*')) || /[.:=,"]/.test(text) ? `"${text.replaceAll('"', '""')}"` : text
  return schema.text === 'public' ? part(name) : `${part(schema)}.${part(name)}`
}

export function formatTableName({ schema, name }: TableRef): string {
  return formatPattern({ schema: { text: schema, literal: true }, name: { text: name, literal: true } })
}

/** The one table that a pattern names, or null where it has a wildcard. */
export function asRef({ schema, name }: TablePattern): TableRef | null {
  const wild = [schema, name].some((part) => !part.literal && part.text.includes('*'))
  return wild ? null : { schema: schema.text, name: name.text }
}

export function matches({ schema, name }: TablePattern, ref: TableRef): boolean {
  return matchesPart(schema, ref.schema) && matchesPart(name, ref.name)
}

function matchesPart({ text, literal }: NamePart, name: string): boolean {
  if (literal || !text.includes('*')) return text === name
  const [first = '', ...rest] = text.split('*')
  const last = rest.pop() ?? ''
  if (!name.startsWith(first)) return false
  // The first place where a part fits leaves the most for the others: nothing need be tried twice.
  let at = first.length
  for (const part of rest) {
    const found = name.indexOf(part, at)
    if (found < 0) return false
    at = found + part.length
  }
  return name.length - last.length >= at && name.endsWith(last)
}

/** A reader of names and the marks between them. */
export class NameReader {
  readonly #text: string
  #at = 0

  constructor(text: string) {
    this.#text = text
  }

  pattern(): TablePattern {
    const [first, second, third] = this.parts()
    if (first === undefined || third !== undefined) throw new BadName('a table is written schema.table, or table')
    return second === undefined
      ? { schema: { text: 'public', literal: true }, name: first }
      : { schema: first, name: second }
  }

  table(): TableRef {
    const ref = asRef(this.pattern())
    if (ref === null) throw new BadName('here * is not allowed; a name with a * goes into double quotes')
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
    if (!this.takes(mark)) throw new BadName(`a ${mark} is missing after "${this.#text.slice(0, this.#at)}"`)
  }

  end(): void {
    if (this.#at < this.#text.length) throw new BadName(`"${this.#text.slice(this.#at)}" is left over`)
  }

  #part(): NamePart {
    const rest = this.#text.slice(this.#at)
    const quoted = /^"((?:[^"]|"")+)"/.exec(rest)
    const plain = /^[^.:=,"]+/.exec(rest)
    const found = quoted ?? plain
    if (found === null) throw new BadName(rest === '' ? 'a name is missing' : `no name can be read at "${rest}"`)
    this.#at += found[0].length
    return quoted === null
      ? { text: found[0], literal: false }
      : { text: (quoted[1] ?? '').replaceAll('""', '"'), literal: true }
  }
}
