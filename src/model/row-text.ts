import { isLarge, type LargeValue, type SentRow, type Value } from './value.ts'

/**
 * Rows as text, as they travel in bulk between any two sides: the text format of COPY, as PostgreSQL documents it under
 * "File Formats". A line per row, tabs between columns, `\N` for NULL, and backslash, newline, carriage return and tab
 * escaped. Only these four need an escape on the way in. The whole is UTF-8.
 */

const SPECIAL = /[\\\n\r\t]/g
const HAS_SPECIAL = /[\\\n\r\t]/
const ESCAPES: Readonly<Record<string, string>> = { '\\': '\\\\', '\n': '\\n', '\r': '\\r', '\t': '\\t' }

export function copyLine(row: readonly Value[]): string {
  return `${row.map(copyCell).join('\t')}\n`
}

/** Characters of a cell that are escaped at once. */
const PIECE = 64 * 1024

/** The line in pieces, so that a large value does not stand in memory a second time; or not even once (`LargeValue`). */
export function* copyPieces(row: SentRow): Generator<string | LargeValue> {
  if (isShort(row)) {
    yield copyLine(row)
    return
  }
  for (const [i, value] of row.entries()) {
    if (i > 0) yield '\t'
    if (typeof value !== 'string') {
      yield value !== null && isLarge(value) ? value : copyCell(value)
      continue
    }
    for (const piece of textPieces(value)) yield copyCell(piece)
  }
  yield '\n'
}

/** A text in pieces, each of whole characters. */
export function* textPieces(text: string): Generator<string> {
  for (let start = 0; start < text.length;) {
    const end = start + PIECE
    // The two halves of a character beyond the first 65,536 must be encoded together.
    const isHalf = (text.codePointAt(end - 1) ?? 0) > 0xffff
    const next = isHalf ? end + 1 : end
    yield text.slice(start, next)
    start = next
  }
}

function isShort(row: SentRow): row is readonly Value[] {
  return row.every((cell) => cell === null || (!isLarge(cell) && cell.length <= PIECE))
}

/** A value as a cell of a line: a text as it is written in UTF-8, bytes as one character each. */
export function copyCell(value: Value): string {
  if (value === null) return '\\N'
  const text = typeof value === 'string' ? value : Buffer.from(value).toString('latin1')
  // Most cells have none, and looking is cheaper than replacing nothing.
  return HAS_SPECIAL.test(text) ? text.replace(SPECIAL, (character) => ESCAPES[character] ?? character) : text
}

/**
 * What is read back is held as a string with one character per byte (`latin1`): cutting it at tabs and newlines and
 * putting cells together again is then exact whatever the bytes, and only cells that somebody looks at are decoded.
 */
export class LineReader {
  /** What has come of a line that has not ended: of a large one its only copy. */
  #pending = ''

  /** The lines that a chunk completes, without their newlines. */
  push(chunk: Buffer): string[] {
    const last = chunk.lastIndexOf(NEWLINE)
    if (last < 0) {
      this.#pending += chunk.toString('latin1')
      return []
    }
    const lines = (this.#pending + chunk.toString('latin1', 0, last)).split('\n')
    this.#pending = chunk.toString('latin1', last + 1)
    return lines
  }

  /** Whether a line has begun that has not ended. */
  get torn(): boolean {
    return this.#pending !== ''
  }
}

const NEWLINE = 0x0a

/** The cells of a line, still escaped. */
export function splitCells(line: string): string[] {
  return line.split('\t')
}

const UNESCAPED: Readonly<Record<string, string>> = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t', v: '\v' }
const ESCAPED = /\\(.)/gs
// oxlint-disable-next-line no-control-regex -- everything beyond ASCII
const BEYOND_ASCII = /[^\x00-\x7f]/

/** What a cell of a line says, the cell held with one character per byte. */
export function decodeCell(cell: string): string | null {
  // No byte of a character beyond ASCII looks like one of ASCII, so that escapes can be undone on either side of decoding.
  return unescapeCell(BEYOND_ASCII.test(cell) ? Buffer.from(cell, 'latin1').toString('utf8') : cell)
}

/** What a cell of a line says, the cell being decoded. */
export function unescapeCell(cell: string): string | null {
  if (!cell.includes('\\')) return cell
  return cell === '\\N' ? null : cell.replace(ESCAPED, (_, letter: string) => UNESCAPED[letter] ?? letter)
}
