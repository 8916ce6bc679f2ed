import type { DumpColumn, DumpTable } from '#adapters/dump-source.ts'
import { quoteName, quoteRef } from './sql-text.ts'

const TAB = 0x09
const LINE_END = 0x0a
const BACKSLASH = 0x5c
const QUOTE = 0x27
const CAPITAL_N = 0x4e

/** What the server writes after a backslash, and what it stands for. */
const ESCAPES: Readonly<Record<number, number>> = {
  0x62: 0x08,
  0x66: 0x0c,
  0x6e: 0x0a,
  0x72: 0x0d,
  0x74: 0x09,
  0x76: 0x0b,
}

/** An INSERT ends after so many rows, or where it has come to so many bytes. */
const MOST_ROWS = 500
const MOST_BYTES = 64 * 1024

/** A number that stands in SQL as it is. Zero with a sign would lose that. */
const NUMBER = /^-?(?!0*$)\d+(?:\.\d+)?$|^0$/

/** Values that are looked at whole, because they may stand without quotes: numbers, and t or f. */
const SHORT_BYTES = 150_000

/**
 * Makes INSERTs of the text format of COPY, as it comes: values are never whole in memory, but for numbers. Every value is the
 * server's own text as a literal, which the column's type reads back.
 */
export class InsertRows {
  readonly #columns: readonly DumpColumn[]
  readonly #head: string
  #column = 0
  #rows = 0
  #statementBytes = 0
  /** Bytes of the value in hand that cannot be written yet. */
  #held: number[] = []
  #state: 'start' | 'quoted' | 'held' | 'escape' | 'start escape' | 'null' = 'start'
  #out = Buffer.allocUnsafe(0)
  #at = 0

  constructor({ into, columns, hasIdentity }: DumpTable) {
    this.#columns = columns
    const list = columns.length === 0 ? '' : ` (${columns.map(({ name }) => quoteName(name)).join(', ')})`
    const overriding = hasIdentity ? ' OVERRIDING SYSTEM VALUE' : ''
    this.#head =
      columns.length === 0
        ? `INSERT INTO ${quoteRef(into)} DEFAULT VALUES;\n`
        : `INSERT INTO ${quoteRef(into)}${list}${overriding} VALUES\n`
  }

  /** The SQL that a piece of rows adds. */
  take(chunk: Uint8Array): Buffer {
    this.#out = Buffer.allocUnsafe(chunk.length * 2 + 1024)
    this.#at = 0
    for (const byte of chunk) this.#byte(byte)
    return this.#out.subarray(0, this.#at)
  }

  /** The end of what is open. */
  end(): string {
    const open = this.#rows > 0
    this.#rows = 0
    return open ? ';\n' : ''
  }

  #byte(byte: number): void {
    if (byte === LINE_END || byte === TAB) return this.#endOfValue(byte)
    switch (this.#state) {
      case 'start':
        this.#openRow()
        if (byte === BACKSLASH) this.#state = 'start escape'
        else this.#openValue(byte)
        return
      case 'start escape':
        if (byte === CAPITAL_N) this.#state = 'null'
        else this.#openValue(ESCAPES[byte] ?? byte)
        return
      case 'held':
        if (this.#held.length < SHORT_BYTES) this.#held.push(byte)
        else this.#spill(byte)
        return
      case 'escape':
        this.#state = 'quoted'
        return this.#quoted(ESCAPES[byte] ?? byte)
      case 'quoted':
        if (byte === BACKSLASH) this.#state = 'escape'
        else this.#quoted(byte)
        return
      case 'null':
        return this.#openValue(byte)
    }
  }

  #openValue(byte: number): void {
    if (this.#columns[this.#column]?.literal === 'text') {
      this.#write("'")
      this.#state = 'quoted'
      this.#quoted(byte)
    } else {
      this.#held = [byte]
      this.#state = 'held'
    }
  }

  #spill(byte: number): void {
    this.#write("'")
    for (const held of this.#held) this.#quoted(held)
    this.#held = []
    this.#state = 'quoted'
    this.#quoted(byte)
  }

  #endOfValue(byte: number): void {
    if (this.#columns.length === 0) return this.#write(this.#head)
    if (this.#state === 'start') {
      this.#openRow()
      this.#write("''")
    } else if (this.#state === 'null') this.#write('NULL')
    else if (this.#state === 'held') this.#write(literalOf(Buffer.from(this.#held).toString('latin1')))
    else this.#write("'")
    this.#state = 'start'
    if (byte === TAB) {
      this.#column += 1
      return this.#write(', ')
    }
    this.#column = 0
    this.#write(')')
    if (this.#rows >= MOST_ROWS || this.#statementBytes >= MOST_BYTES) this.#write(this.end())
  }

  #openRow(): void {
    if (this.#column > 0) return
    if (this.#rows === 0) {
      this.#statementBytes = 0
      this.#write(this.#head)
    } else this.#write(',\n')
    this.#rows += 1
    this.#write('(')
  }

  #quoted(byte: number): void {
    if (byte === QUOTE) this.#put(QUOTE)
    this.#put(byte)
  }

  #write(text: string): void {
    // Names are text of any script; all else is ASCII.
    this.#reserve(text.length * 3)
    const written = this.#out.write(text, this.#at, 'utf8')
    this.#at += written
    this.#statementBytes += written
  }

  #put(byte: number): void {
    if (this.#at === this.#out.length) this.#reserve(1)
    this.#out[this.#at++] = byte
    this.#statementBytes += 1
  }

  #reserve(bytes: number): void {
    if (this.#at + bytes <= this.#out.length) return
    const larger = Buffer.allocUnsafe(Math.max(this.#out.length * 2, this.#at + bytes))
    this.#out.copy(larger, 0, 0, this.#at)
    this.#out = larger
  }
}

function literalOf(text: string): string {
  if (text === 't') return 'true'
  if (text === 'f') return 'false'
  return NUMBER.test(text) ? text : `'${text.replaceAll("'", "''")}'`
}
