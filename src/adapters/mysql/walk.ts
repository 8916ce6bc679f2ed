import { must } from '#lib/assert.ts'
import type { Column } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { inForm } from './forms.ts'
import { literal, quote } from './sql.ts'
import type { TableSql } from './table-sql.ts'

/** How long a slice should take. Short slices let other work of the server pass, and show progress. */
const SLICE_MS = 500
const FIRST_SLICE_ROWS = 20_000
const LEAST_ROWS = 500
const MOST_ROWS = 5_000_000

/** A part of a table by ranges of the key that it is stored by. */
export interface Range {
  /** For people. */
  readonly label: string
  /** Conditions on row `t`. */
  readonly where: readonly string[]
}

const WHOLE: Range = { label: 'all rows', where: [] }

/** Walks a table in ranges of the key that it is stored by. One range for the whole where there is nothing to walk by. */
export interface Walker {
  next(): Promise<Range | null>
  /** @param tooFine what the last range touched is so much that it costs more to send than to compute */
  adapt(last: { readonly ms: number; readonly rows: number; readonly tooFine: boolean }): void
}

export async function openWalker(connection: Connection, sql: TableSql): Promise<Walker> {
  const columns = walkColumns(sql)
  if (columns === null) return new WholeWalker()
  const [first] = columns
  if (columns.length === 1 && first?.type.kind === 'integer') {
    const bounds = await readBounds(connection, sql, first)
    return bounds === null ? new WholeWalker() : new NumberWalker(sql, first, bounds)
  }
  return new KeyWalker(connection, sql, columns)
}

/** Cuts a table into ranges of about so many rows. */
export async function cutRanges(connection: Connection, sql: TableSql, pieces: number): Promise<readonly Range[]> {
  const columns = walkColumns(sql)
  if (columns === null || pieces <= 1) return [WHOLE]
  const rows = Math.max(LEAST_ROWS, Math.ceil((sql.table.schema.rowEstimate ?? 0) / pieces))
  const [first] = columns
  if (columns.length === 1 && first?.type.kind === 'integer') {
    const bounds = await readBounds(connection, sql, first)
    if (bounds === null) return [WHOLE]
    const width = (bounds.max - bounds.min) / BigInt(pieces) + 1n
    return Array.from({ length: pieces }, (_, i) => {
      const from = bounds.min + BigInt(i) * width
      return numbers(first.name, i === 0 ? null : from, i === pieces - 1 ? null : from + width)
    })
  }
  const walker = new KeyWalker(connection, sql, columns, rows)
  const ranges: Range[] = []
  for (let range = await walker.next(); range !== null; range = await walker.next()) ranges.push(range)
  return ranges
}

/** The columns of the key, where all of them can be compared with a constant in the order of the index; else null. */
function walkColumns({ table }: TableSql): readonly Column[] | null {
  const { walk, schema } = table
  if (walk === null) return null
  const columns = walk.columns.map((name) =>
    must(
      schema.columns.find((column) => column.name === name),
      `no column ${name}`,
    ),
  )
  return columns.every(({ type }) => ORDERED.has(type.kind)) ? columns : null
}

/** Labels are ordered by their numbers, and compared by their texts. */
const ORDERED = new Set(['boolean', 'integer', 'decimal', 'text', 'padded text', 'bytes', 'date', 'timestamp', 'uuid'])

async function readBounds(
  connection: Connection,
  { from }: TableSql,
  { name }: Column,
): Promise<{ min: bigint; max: bigint } | null> {
  const column = `t.${quote(name)}`
  const [row] = await connection.query(
    `SELECT CAST(MIN(${column}) AS CHAR), CAST(MAX(${column}) AS CHAR) FROM ${from} t`,
  )
  const [min, max] = row ?? []
  return min && max ? { min: BigInt(min), max: BigInt(max) } : null
}

class WholeWalker implements Walker {
  #done = false

  next(): Promise<Range | null> {
    const range = this.#done ? null : WHOLE
    this.#done = true
    return Promise.resolve(range)
  }

  adapt(): void {}
}

/** Ranges of numbers; the first and the last are open at their outer end. */
class NumberWalker implements Walker {
  readonly #name: string
  readonly #max: bigint
  #from: bigint | null = null
  #next: bigint
  #width: bigint

  constructor(sql: TableSql, { name }: Column, { min, max }: { min: bigint; max: bigint }) {
    this.#name = name
    this.#max = max
    this.#next = min
    const rows = BigInt(Math.max(1, sql.table.schema.rowEstimate ?? 1))
    this.#width = atLeastOne(((max - min + 1n) * BigInt(FIRST_SLICE_ROWS)) / rows)
  }

  next(): Promise<Range | null> {
    if (this.#next > this.#max) return Promise.resolve(null)
    const end = this.#next + this.#width
    const isLast = end > this.#max
    const range = numbers(this.#name, this.#from, isLast ? null : end)
    this.#from = end
    this.#next = end
    return Promise.resolve(range)
  }

  adapt({ ms, rows, tooFine }: { ms: number; rows: number; tooFine: boolean }): void {
    const factor = rows === 0 ? 4 : factorOf(ms, tooFine)
    this.#width = atLeastOne((this.#width * BigInt(Math.round(factor * 1000))) / 1000n)
  }
}

function atLeastOne(width: bigint): bigint {
  return width > 0n ? width : 1n
}

function factorOf(ms: number, tooFine: boolean): number {
  const factor = Math.min(4, Math.max(0.25, SLICE_MS / Math.max(ms, 1)))
  return tooFine ? Math.max(2, factor) : factor
}

function numbers(name: string, from: bigint | null, end: bigint | null): Range {
  const column = `t.${quote(name)}`
  return {
    label: `${name} ${from === null ? '' : `from ${from} `}${end === null ? 'to the end' : `below ${end}`}`,
    where: [...(from === null ? [] : [`${column} >= ${from}`]), ...(end === null ? [] : [`${column} < ${end}`])],
  }
}

/** Ranges of so many keys each: where one ends is looked up in the index. */
class KeyWalker implements Walker {
  readonly #connection: Connection
  readonly #sql: TableSql
  readonly #columns: readonly Column[]
  #rows: number
  #last: readonly string[] | null = null
  #done = false
  #made = 0

  constructor(connection: Connection, sql: TableSql, columns: readonly Column[], rows = FIRST_SLICE_ROWS) {
    this.#connection = connection
    this.#sql = sql
    this.#columns = columns
    this.#rows = rows
  }

  async next(): Promise<Range | null> {
    if (this.#done) return null
    const after = this.#last === null ? [] : [this.#compare('>', '>', this.#last)]
    const names = this.#columns.map(({ name }) => `t.${quote(name)}`)
    const where = after.length === 0 ? '' : `WHERE ${after.join(' AND ')}`
    const texts = this.#columns.map(({ name, type }) => inForm(`t.${quote(name)}`, type, 'own'))
    const [end] = await this.#connection.query(
      `SELECT ${texts.join(', ')} FROM (SELECT ${names.join(', ')} FROM ${this.#sql.from} t ${where}
         ORDER BY ${names.join(', ')} LIMIT 1 OFFSET ${this.#rows - 1}) t`,
    )
    this.#made += 1
    const label = `part ${this.#made} by ${this.#columns.map(({ name }) => name).join(', ')}`
    const bound = end?.map((text) => text ?? '')
    // A date of zeros is no constant that the server takes.
    if (bound === undefined || bound.some((text, i) => this.#isNoConstant(text, i))) {
      this.#done = true
      return { label, where: after }
    }
    this.#last = bound
    return { label, where: [...after, this.#compare('<', '<=', bound)] }
  }

  adapt({ ms, rows, tooFine }: { ms: number; rows: number; tooFine: boolean }): void {
    if (rows === 0) return
    this.#rows = Math.min(MOST_ROWS, Math.max(LEAST_ROWS, Math.round(this.#rows * factorOf(ms, tooFine))))
  }

  #isNoConstant(text: string, place: number): boolean {
    const kind = this.#columns[place]?.type.kind
    return (kind === 'date' || kind === 'timestamp') && /^0000|-00/.test(text)
  }

  /** The key of row `t` against another one, column by column, as an index is searched by. */
  #compare(strict: '<' | '>', last: string, bound: readonly string[]): string {
    const values = this.#columns.map(({ name }, i) =>
      must(this.#sql.native(name, 'own', literal(must(bound[i], 'a bound'))), `no constant of ${name}`),
    )
    const alternatives = this.#columns.map(({ name }, i) => {
      const equal = this.#columns.slice(0, i).map((before, j) => `t.${quote(before.name)} = ${values[j]}`)
      const operator = i === this.#columns.length - 1 ? last : strict
      return [...equal, `t.${quote(name)} ${operator} ${values[i]}`].join(' AND ')
    })
    return `(${alternatives.map((each) => `(${each})`).join(' OR ')})`
  }
}
