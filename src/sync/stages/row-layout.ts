import { CELLS_HEAD, CELLS_TAIL, type CellType } from '#model/cell-rows.ts'
import { AppError } from '#model/errors.ts'
import { assert, must } from '#lib/assert.ts'
import { copyCell, textPieces, unescapeCell } from '#model/row-text.ts'
import type { Value } from '#model/value.ts'
import type { RawRow } from './map.ts'

/**
 * How rows lie in a stream of bytes: where one ends, where its cells are, and how the cells of another are written. What a
 * cell holds is looked at only when somebody asks for it; all others are copied as they lie, and neighbours at once.
 */
export interface RowLayout {
  /** What comes before the first row, and after the last one. */
  readonly head: Buffer
  readonly tail: Buffer
  /**
   * Looks for the row that begins at `at`, and writes down where its cells begin, those that must be told apart, and where
   * it ends, after the last.
   * Returns where the row ends, or `NOT_WHOLE`, or `NO_MORE` where the stream has ended; then nothing of `cells` counts.
   */
  find(bytes: Buffer, at: number, cells: number[]): number
  /** How many bytes a row that was not whole has at least; 0 where nobody knows. */
  readonly needed: number
  /** Whether such a row may be whole now that a chunk has come, and with it `have` bytes. */
  mayEnd(have: number, chunk: Buffer): boolean
  /** Whether the stream says by itself where it ends. */
  readonly ends: boolean
  read(bytes: Buffer, cells: readonly number[], place: number): Value
  /** How many bytes a cell with this value has at most, whatever its place. */
  most(value: Value): number
  /** Begins a row; all of these say where what they wrote ends. */
  begin(out: Buffer, at: number): number
  /** Cells have been copied as they lay, up to `at`. */
  copied(out: Buffer, at: number): number
  write(out: Buffer, at: number, cell: { value: Value; place: number }): number
  end(out: Buffer, at: number): number
  /** The same for a row that is not put together: its parts, in order. */
  parts(bytes: Buffer, cells: readonly number[], wanted: readonly WantedCells[]): Generator<Buffer>
}

/** Neighbours that are copied as they lie, `[first, end)`; or a value for a place of the new row. */
export type WantedCells =
  | { readonly first: number; readonly end: number }
  | { readonly value: Value; readonly place: number }

/** A row where it lies. */
export class LaidRow implements RawRow {
  readonly layout: RowLayout
  bytes: Buffer
  cells: number[]

  constructor(layout: RowLayout, bytes: Buffer) {
    this.layout = layout
    this.bytes = bytes
    this.cells = []
  }

  value(place: number): Value {
    return this.layout.read(this.bytes, this.cells, place)
  }
}

export const NOT_WHOLE = -1
export const NO_MORE = -2

const NONE = Buffer.alloc(0)
const TAB = 0x09
const NEWLINE = 0x0a

/** Lines of text, by `model/row-text.ts`. Each cell lies with the tab or the newline that ends it. */
export class TextLayout implements RowLayout {
  readonly head = NONE
  readonly tail = NONE
  readonly ends = false
  readonly needed = 0
  readonly #count: number
  readonly #told: number

  /**
   * @param count how many cells a row has
   * @param told how many of them, from the first on, must be told apart; all others are only copied together
   */
  constructor(count: number, told: number) {
    this.#count = count
    this.#told = Math.min(told, count - 1)
  }

  find(bytes: Buffer, at: number, cells: number[]): number {
    let next = at
    cells[0] = at
    for (let found = 0; found < this.#told; next++) {
      if (next >= bytes.length) return NOT_WHOLE
      const byte = bytes[next]
      assert(byte !== NEWLINE, 'a line has a cell for each column')
      if (byte === TAB) cells[++found] = next + 1
    }
    const end = bytes.indexOf(NEWLINE, next)
    if (end < 0) return NOT_WHOLE
    cells[this.#count] = end + 1
    return end + 1
  }

  mayEnd(_: number, chunk: Buffer): boolean {
    return chunk.includes(NEWLINE)
  }

  read(bytes: Buffer, cells: readonly number[], place: number): Value {
    return unescapeCell(bytes.toString('utf8', cells[place], must(cells[place + 1], 'the end of a cell') - 1))
  }

  most(value: Value): number {
    // What is escaped has one byte, and gets two; no other character has more than three.
    return 3 * Math.max(1, value?.length ?? 0) + 1
  }

  begin(_: Buffer, at: number): number {
    return at
  }

  copied(out: Buffer, at: number): number {
    out[at - 1] = TAB
    return at
  }

  write(out: Buffer, at: number, { value }: { value: Value }): number {
    const cell = copyCell(value)
    const end = at + out.write(cell, at, typeof value === 'string' ? 'utf8' : 'latin1')
    out[end] = TAB
    return end + 1
  }

  end(out: Buffer, at: number): number {
    out[at - 1] = NEWLINE
    return at
  }

  *parts(bytes: Buffer, cells: readonly number[], wanted: readonly WantedCells[]): Generator<Buffer> {
    for (const [i, part] of wanted.entries()) {
      if (i > 0) yield Buffer.of(TAB)
      if ('first' in part) yield bytes.subarray(cells[part.first], must(cells[part.end], 'the end of a cell') - 1)
      else if (typeof part.value !== 'string') yield Buffer.from(copyCell(part.value), 'latin1')
      else for (const piece of textPieces(part.value)) yield Buffer.from(copyCell(piece))
    }
    yield Buffer.of(NEWLINE)
  }
}

const NULL_LENGTH = -1
const COUNT_BYTES = 2
const LENGTH_BYTES = 4
/** As in `CellType.write`. */
const BYTES_BESIDE_TEXT = 8

/** Rows of cells, by `model/cell-rows.ts`. Each cell lies behind its length. */
export class CellLayout implements RowLayout {
  readonly head: Buffer = CELLS_HEAD
  readonly tail: Buffer = CELLS_TAIL
  readonly ends = true
  readonly #read: readonly (CellType | null)[]
  readonly #written: readonly (CellType | null)[]
  needed = 0

  /**
   * @param read the types of the cells of a row, null for those that nobody can look at
   * @param written those of the cells of the new row, null for those that can only be copied
   */
  constructor(read: readonly (CellType | null)[], written: readonly (CellType | null)[]) {
    this.#read = read
    this.#written = written
  }

  find(bytes: Buffer, at: number, cells: number[]): number {
    const count = this.#read.length
    let next = at + COUNT_BYTES
    if (next > bytes.length) return this.#lacks(COUNT_BYTES)
    const sent = bytes.readInt16BE(at)
    if (sent < 0) {
      return next === bytes.length ? NO_MORE : this.#refuse()
    }
    if (sent !== count) this.#refuse()
    for (let i = 0; i < count; i++) {
      if (next + LENGTH_BYTES > bytes.length) return this.#lacks(next + LENGTH_BYTES - at)
      cells[i] = next
      const length = bytes.readInt32BE(next)
      next += length < 0 ? LENGTH_BYTES : LENGTH_BYTES + length
    }
    cells[count] = next
    return next > bytes.length ? this.#lacks(next - at) : next
  }

  #lacks(needed: number): number {
    this.needed = needed
    return NOT_WHOLE
  }

  #refuse(): never {
    throw new AppError('internal', 'The rows came in cells that are not those of the table.')
  }

  mayEnd(have: number): boolean {
    return have >= this.needed
  }

  read(bytes: Buffer, cells: readonly number[], place: number): Value {
    const start = must(cells[place], 'a cell')
    if (bytes.readInt32BE(start) < 0) return null
    return must(this.#read[place], 'a type that is read').read(bytes, start + LENGTH_BYTES, cells[place + 1] ?? 0)
  }

  most(value: Value): number {
    return LENGTH_BYTES + BYTES_BESIDE_TEXT + 3 * (value?.length ?? 0)
  }

  begin(out: Buffer, at: number): number {
    return out.writeInt16BE(this.#written.length, at)
  }

  copied(_: Buffer, at: number): number {
    return at
  }

  write(out: Buffer, at: number, { value, place }: { value: Value; place: number }): number {
    if (value === null) return out.writeInt32BE(NULL_LENGTH, at)
    const start = at + LENGTH_BYTES
    const type = must(this.#written[place], 'a type that is written')
    const end = typeof value === 'string' ? type.write(out, start, value) : writeBytes(out, start, { type, value })
    out.writeInt32BE(end - start, at)
    return end
  }

  end(_: Buffer, at: number): number {
    return at
  }

  *parts(bytes: Buffer, cells: readonly number[], wanted: readonly WantedCells[]): Generator<Buffer> {
    const count = Buffer.alloc(COUNT_BYTES)
    count.writeInt16BE(this.#written.length)
    yield count
    for (const part of wanted) {
      if ('first' in part) yield bytes.subarray(cells[part.first], cells[part.end])
      else yield* this.#pieces(part.value, part.place)
    }
  }

  *#pieces(value: Value, place: number): Generator<Buffer> {
    const { prefix } = must(this.#written[place], 'a type that is written')
    if (typeof value !== 'string' || prefix === null) {
      const cell = Buffer.alloc(this.most(value))
      yield cell.subarray(0, this.write(cell, 0, { value, place }))
      return
    }
    const first = Buffer.alloc(this.most(''))
    const begun = this.write(first, 0, { value: '', place })
    first.writeInt32BE(prefix + Buffer.byteLength(value))
    yield first.subarray(0, begun)
    for (const piece of textPieces(value)) yield Buffer.from(piece)
  }
}

/** Bytes that are no text go into a text as they are: its server says what it thinks of them. */
function writeBytes(out: Buffer, at: number, { type, value }: { type: CellType; value: Uint8Array }): number {
  assert(type.prefix !== null, 'a value of bytes goes into a text')
  const start = type.write(out, at, '')
  out.set(value, start)
  return start + value.length
}
