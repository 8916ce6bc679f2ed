import { assert } from '#lib/assert.ts'

/**
 * Rows where they lie, as the text protocol sends them: cells one after another, each behind its length.
 * Source: "Protocol::LengthEncodedInteger" and "Text Resultset Row" of MySQL's protocol documentation.
 */

/** A row as the driver hands it to its own parser: the cells are `buffer` from `offset` on, to `end`. */
export interface RowPacket {
  readonly buffer: Buffer
  readonly offset: number
  readonly end: number
}

export type TextCell = string | null

const NULL_CELL = 251
const TWO_BYTES = 252
const THREE_BYTES = 253

const TAB = 0x09
const NEWLINE = 0x0a
const RETURN = 0x0d
const BACKSLASH = 0x5c
const LETTER_N = 0x6e
const LETTER_NULL = 0x4e
const LETTER_R = 0x72
const LETTER_T = 0x74

/** Goes over the cells of a row: `start` and `end` of the one that was read last. */
class CellWalk {
  readonly #buffer: Buffer
  readonly #last: number
  #at: number
  start = 0
  /** Before `start` where the cell is NULL. */
  end = 0

  constructor({ buffer, offset, end }: RowPacket) {
    this.#buffer = buffer
    this.#at = offset
    this.#last = end
  }

  /** Whether there was another cell. */
  next(): boolean {
    if (this.#at >= this.#last) return false
    const first = this.#buffer[this.#at] ?? NULL_CELL
    this.start = this.#at + 1
    this.end = this.start + first
    if (first === NULL_CELL) this.end = this.start - 1
    else if (first > NULL_CELL) this.#long(first)
    this.#at = Math.max(this.start, this.end)
    assert(this.#at <= this.#last, 'a row has the cells that it says')
    return true
  }

  #long(first: number): void {
    const at = this.start
    const size = first === TWO_BYTES ? 2 : first === THREE_BYTES ? 3 : 8
    // A row is far shorter than what six bytes can say.
    const length = this.#buffer.readUIntLE(at, Math.min(size, 6))
    this.start = at + size
    this.end = this.start + length
  }

  get isNull(): boolean {
    return this.end < this.start
  }

  text(): TextCell {
    return this.isNull ? null : this.#buffer.toString('utf8', this.start, this.end)
  }
}

/** The cells of a row as texts. */
export function readCells(packet: RowPacket): TextCell[] {
  const walk = new CellWalk(packet)
  const cells: TextCell[] = []
  while (walk.next()) cells.push(walk.text())
  return cells
}

/** Lines are sent together, so many bytes of them at once. */
const CHUNK = 128 * 1024
/** So many are worth being sent on. */
const SENT = 64 * 1024

/** Makes lines of `model/row-text.ts` of rows, byte by byte: no cell becomes a text on the way. */
export class RowLines {
  readonly #apart: { readonly keyLength: number } | null
  /** Keys of the rows that were left out, in their order. */
  readonly large: TextCell[][] = []
  #out = Buffer.allocUnsafeSlow(CHUNK)
  #at = 0
  rows = 0

  /** @param apart rows begin with a mark, `1` where the row is to be left out and its key be kept */
  constructor(apart: { readonly keyLength: number } | null) {
    this.#apart = apart
  }

  /** Takes a row. Returns what is worth being sent on: its memory is not used again. */
  next(packet: RowPacket): Buffer | null {
    const walk = new CellWalk(packet)
    if (this.#apart !== null) {
      walk.next()
      if (walk.text() === '1') {
        this.#keep(walk, this.#apart.keyLength)
        return null
      }
    }
    // An escape makes two bytes of one, and a NULL is longer than its length by two.
    const full = this.#roomFor(2 * (packet.end - packet.offset) + 4)
    let at = this.#at
    const out = this.#out
    const { buffer } = packet
    while (walk.next()) {
      if (walk.isNull) {
        out[at++] = BACKSLASH
        out[at++] = LETTER_NULL
      } else at = copyEscaped(buffer, walk, { out, at })
      out[at++] = TAB
    }
    out[at - 1] = NEWLINE
    this.#at = at
    this.rows += 1
    return full
  }

  #keep(walk: CellWalk, keyLength: number): void {
    const key: TextCell[] = []
    while (key.length < keyLength && walk.next()) key.push(walk.text())
    this.large.push(key)
  }

  #roomFor(bytes: number): Buffer | null {
    if (this.#at < SENT && bytes <= this.#out.length - this.#at) return null
    const full = this.rest()
    this.#out = Buffer.allocUnsafeSlow(Math.max(CHUNK, bytes))
    return full
  }

  /** What has not been sent on. */
  rest(): Buffer | null {
    const full = this.#at === 0 ? null : this.#out.subarray(0, this.#at)
    this.#at = 0
    this.#out = Buffer.alloc(0)
    return full
  }
}

function copyEscaped(
  buffer: Buffer,
  { start, end }: { readonly start: number; readonly end: number },
  to: { readonly out: Buffer; readonly at: number },
): number {
  const { out } = to
  let { at } = to
  for (let i = start; i < end; i++) {
    const byte = buffer[i] ?? 0
    if (byte > RETURN && byte !== BACKSLASH) {
      out[at++] = byte
      continue
    }
    const letter = escapeOf(byte)
    if (letter !== 0) out[at++] = BACKSLASH
    out[at++] = letter === 0 ? byte : letter
  }
  return at
}

/** The letter behind the backslash; 0 where a byte needs none. */
function escapeOf(byte: number): number {
  switch (byte) {
    case TAB:
      return LETTER_T
    case NEWLINE:
      return LETTER_N
    case RETURN:
      return LETTER_R
    case BACKSLASH:
      return BACKSLASH
    default:
      return 0
  }
}
