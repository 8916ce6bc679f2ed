/** The first of two readings: the whole file is looked at before anything of the target is touched. */
import type { OtherObject } from '#adapters/restore-target.ts'
import type { Join } from '#model/dump.ts'
import { AppError } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import { formatTableName } from '#model/table-pattern.ts'
import { DumpReader, type DumpFile, type ReadDump } from './dump-file.ts'
import { EndMarks, type Origin } from './end-marks.ts'
import { readItems, type ItemHooks } from './read-items.ts'
import { nameText } from './named-objects.ts'
import { Recognizer } from './recognize.ts'
import type { Made, Recognized, RecognizeOptions, Skipped } from './recognized.ts'
import type { DumpItem } from './dump-item.ts'

export interface LoadedTable {
  readonly table: TableRef
  readonly rows: number
  /** Of COPY: what the rows have in the file. */
  readonly bytes: number
}

/** What a dump would do, wherever it comes from. */
export interface DumpContents {
  readonly statements: number
  readonly makes: readonly Made[]
  /** What it makes besides, and keeps where it is there. */
  readonly others: readonly OtherObject[]
  readonly loads: readonly LoadedTable[]
  /** Tables that it brings rows into without making them. */
  readonly fills: readonly TableRef[]
  /** Sequences that it moves without making them. */
  readonly moves: readonly TableRef[]
  /** Tables that it makes parts of tables that it does not make. */
  readonly joins: readonly Join[]
  /** Large objects that it makes, by their OIDs. */
  readonly largeObjects: readonly string[]
  readonly roles: readonly string[]
  readonly extensions: readonly string[]
  readonly languages: readonly string[]
  readonly tablespaces: readonly string[]
  /** Databases that it says it connects to. */
  readonly connects: readonly string[]
  /** Statements that are not run, by why. */
  readonly skipped: Readonly<Partial<Record<Skipped, number>>>
}

/** What a file would do. */
export interface DumpPlan extends DumpContents {
  readonly file: string
  /** Of the file as it is, and of its SQL. */
  readonly bytes: number
  readonly unpacked: number
  /** SHA-256 of the file as it is. */
  readonly digest: string
  readonly origin: Origin
}

const MOST_REFUSALS = 20

/**
 * Reads a dump from its beginning to its end.
 * @throws AppError `not_a_dump`, `dump_damaged`, `dump_encoding`, `dump_too_large`, `dump_sealed`, `dump_refused` with what is
 *   refused and on which lines, `dump_unfit` for a format of later
 */
export async function checkDump(file: DumpFile, options: ReadDump & RecognizeOptions): Promise<DumpPlan> {
  const reader = new DumpReader(file, options)
  const marks = new EndMarks(file.name)
  const gathering = new Gathering(options)
  const hooks: ItemHooks = { tap: (bytes) => marks.tap(bytes), judge: (error) => marks.judge(error) }
  for await (const item of readItems(reader, options.limits.maxStatementBytes, hooks)) {
    marks.take(item)
    gathering.take(item)
  }
  // Whether it is a dump at all comes before what of it is refused.
  const origin = marks.end(gathering.loaded())
  gathering.refuse(file.name)
  const { read: bytes, unpacked } = reader
  return { file: file.name, bytes, unpacked, digest: reader.digest(), origin, ...gathering.result() }
}

/**
 * What items would do that come from no file.
 * @param name what they are of, for people
 * @throws AppError `dump_refused`
 */
export function gatherContents(name: string, items: Iterable<DumpItem>, options: RecognizeOptions): DumpContents {
  const gathering = new Gathering(options)
  for (const item of items) gathering.take(item)
  gathering.refuse(name)
  return gathering.result()
}

class Gathering {
  readonly #recognizer: Recognizer
  readonly #refusals: string[] = []
  #refused = 0
  #fix: string | null = null
  readonly #moves = new Map<string, TableRef>()
  readonly #largeObjects: string[] = []
  #statements = 0
  readonly #makes: Made[] = []
  readonly #others: OtherObject[] = []
  readonly #loads = new Map<string, { table: TableRef; rows: number; bytes: number }>()
  readonly #connects = new Set<string>()
  readonly #skipped: Partial<Record<Skipped, number>> = {}
  #load: { table: TableRef; rows: number; bytes: number } | null = null

  constructor(options: RecognizeOptions) {
    this.#recognizer = new Recognizer(options)
  }

  take(item: DumpItem): void {
    switch (item.kind) {
      case 'comment':
        return
      case 'command':
        return this.#command(item)
      case 'statement':
      case 'copy':
        this.#statements += 1
        return this.#recognized(
          this.#recognizer.recognize(item.text, { copies: item.kind === 'copy', line: item.line }),
          item.line,
        )
      case 'rows':
        if (this.#load !== null) this.#load.bytes += item.bytes.length
        return
      case 'end of rows':
        if (this.#load !== null) this.#load.rows += item.rows
        this.#load = null
    }
  }

  #command({ text, line }: { text: string; line: number }): void {
    const [command = '', database] = text.trim().split(/\s+/)
    if (command === '\\restrict' || command === '\\unrestrict') return
    const name = command === '\\connect' ? /^(?:"([^"]+)"|(\w+))$/.exec(database ?? '') : null
    if (name === null) this.#refuse(line, 'a command of psql', 'is not run here')
    else this.#connects.add(name[1] ?? name[2] ?? '')
  }

  #recognized(recognized: Recognized, line: number): void {
    this.#load = null
    switch (recognized.does) {
      case 'refused':
        this.#fix ??= recognized.fix
        return this.#refuse(line, recognized.label, recognized.why)
      case 'skip':
        this.#skipped[recognized.because] = (this.#skipped[recognized.because] ?? 0) + 1
        return
      case 'run':
        if (recognized.makes !== null) this.#makes.push(recognized.makes)
        if (recognized.other !== null) this.#others.push(recognized.other)
        if (recognized.moves !== null) this.#moves.set(nameText(recognized.moves), recognized.moves)
        if (recognized.largeObject !== null) this.#largeObjects.push(recognized.largeObject)
        return
      case 'set':
        if (recognized.name === 'client_encoding' && !/^utf-?8$/i.test(recognized.value)) {
          throw new AppError('dump_encoding', `Line ${line} says that the file is in ${recognized.value}.`)
        }
        return
      case 'load':
        this.#load = this.#loadOf(recognized.table)
        return
      case 'insert':
        this.#loadOf(recognized.table).rows += recognized.rows
    }
  }

  #loadOf(table: TableRef): { table: TableRef; rows: number; bytes: number } {
    const name = formatTableName(table)
    const load = this.#loads.get(name) ?? { table: { schema: table.schema, name: table.name }, rows: 0, bytes: 0 }
    this.#loads.set(name, load)
    return load
  }

  #refuse(line: number, label: string, why: string): void {
    this.#refused += 1
    const where = line === 0 ? '' : `line ${line}: `
    if (this.#refusals.length < MOST_REFUSALS) this.#refusals.push(`${where}${label} ${why}`)
  }

  *loaded(): Generator<readonly [TableRef, number]> {
    for (const { table, rows } of this.#loads.values()) yield [table, rows]
  }

  refuse(name: string): void {
    for (const { line, label, why } of this.#recognizer.end()) this.#refuse(line, label, why)
    if (this.#refused === 0) return
    const more = this.#refused > MOST_REFUSALS ? `; and ${this.#refused - MOST_REFUSALS} more` : ''
    const hint = this.#fix === null ? {} : { hint: this.#fix }
    throw new AppError('dump_refused', `${name} is not imported: ${this.#refusals.join('; ')}${more}.`, hint)
  }

  result(): DumpContents {
    const { roles, extensions, languages, tablespaces } = this.#recognizer.needs
    const made = new Set(this.#makes.filter(({ object }) => object === 'relation').map(formatTableName))
    const loads = [...this.#loads.values()]
    return {
      statements: this.#statements,
      makes: this.#makes.map((each) => (this.#recognizer.isBlurred(each) ? { ...each, args: undefined } : each)),
      others: this.#others,
      loads,
      fills: loads.map(({ table }) => table).filter((table) => !made.has(formatTableName(table))),
      moves: [...this.#moves.values()],
      joins: this.#recognizer.joins,
      largeObjects: this.#largeObjects,
      roles: [...roles],
      extensions: [...extensions],
      languages: [...languages],
      tablespaces: [...tablespaces],
      connects: [...this.#connects],
      skipped: this.#skipped,
    }
  }
}
