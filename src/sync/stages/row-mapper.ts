import { Transform, type TransformCallback } from 'node:stream'
import { must, toError } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import type { Value } from '#model/value.ts'
import type { RuleFailure } from '#sync/rules/rules.ts'
import type { Mapped, Mapper } from './map.ts'
import { LaidRow, NO_MORE, type RowLayout, type WantedCells } from './row-layout.ts'

/** Told of what does not become a row, and of rows that break a rule and are carried. */
export interface MapListener {
  readonly reject: (raw: LaidRow, what: Extract<Mapped, { kind: 'fault' }>) => void
  readonly warn: (failures: readonly RuleFailure[]) => void
}

/** Rows are gathered in so many bytes; a larger one goes by itself, in parts. */
const OUT_BYTES = 128 * 1024
/** So many are worth being sent on. */
const SENT_BYTES = 48 * 1024
/** What a row has besides its cells has no more. */
const BESIDE_CELLS = 16

type Computed = readonly Value[]

/** A cell of the new row, by the place of its field; or neighbours that are copied as they lie, `[first, end)`. */
export type Part = { readonly first: number; readonly end: number } | { readonly field: number; readonly place: number }

/** Maps a stream of rows to a stream of rows of the same layout. */
export class RowMapper extends Transform {
  readonly #mapper: Mapper
  readonly #layout: RowLayout
  readonly #parts: readonly Part[]
  readonly #listener: MapListener
  /** What has come of a row that is not whole; of one that is known to be large, in memory of its size. */
  #pending: Buffer[] = []
  #large: Buffer | null = null
  #pendingBytes = 0
  #begun = false
  #ended = false
  /** Rows are written into it from `#sent` on; what is before that was given away. */
  #out = Buffer.allocUnsafeSlow(OUT_BYTES)
  #sent = 0
  #filled = 0
  taken = 0
  given = 0

  constructor(
    mapper: Mapper,
    layout: RowLayout,
    { parts, listener }: { parts: readonly Part[]; listener: MapListener },
  ) {
    super()
    this.#mapper = mapper
    this.#layout = layout
    this.#parts = parts
    this.#listener = listener
  }

  override _transform(chunk: Buffer, _: BufferEncoding, done: TransformCallback): void {
    try {
      if (this.#mapper.hasCode) return void this.#mapLater([...this.#rowsIn(chunk)], done)
      for (const bytes of this.#whole(chunk)) this.#mapAll(bytes)
    } catch (error) {
      return done(toError(error))
    }
    done()
  }

  async #mapLater(rows: readonly LaidRow[], done: TransformCallback): Promise<void> {
    try {
      await this.#mapper.prepare(rows)
      for (const row of rows) this.#map(row)
      this.#send(SENT_BYTES)
    } catch (error) {
      return done(toError(error))
    }
    done()
  }

  /** What is to be looked at: what has come of a row, with what comes now. Nothing while that cannot be a whole row. */
  *#whole(chunk: Buffer): Generator<Buffer> {
    const large = this.#large
    if (large !== null) {
      const taken = chunk.copy(large, this.#pendingBytes)
      this.#pendingBytes += taken
      if (this.#pendingBytes < large.length) return
      this.#large = null
      this.#pendingBytes = 0
      yield large
      if (taken < chunk.length) yield* this.#whole(chunk.subarray(taken))
    } else if (this.#pendingBytes === 0) yield chunk
    else {
      this.#pending.push(chunk)
      this.#pendingBytes += chunk.length
      if (!this.#layout.mayEnd(this.#pendingBytes, chunk)) return
      const bytes = Buffer.concat(this.#pending)
      this.#pending = []
      this.#pendingBytes = 0
      yield bytes
    }
  }

  #keep(bytes: Buffer): void {
    const { needed } = this.#layout
    this.#pendingBytes = bytes.length
    if (needed > OUT_BYTES) {
      this.#large = Buffer.allocUnsafeSlow(needed)
      bytes.copy(this.#large)
    } else if (bytes.length > 0) this.#pending.push(bytes)
  }

  /** Where the rows of a stream begin, the head of a stream left out; null where that is not there. */
  #begin(bytes: Buffer): number | null {
    if (this.#begun) return 0
    const { head } = this.#layout
    if (bytes.length < head.length) return null
    if (!head.equals(bytes.subarray(0, head.length)))
      throw new AppError('internal', 'The rows begin in an unknown way.')
    this.push(head)
    this.#begun = true
    return head.length
  }

  /** One row at a time, where it lies: nothing is kept of it. */
  #mapAll(bytes: Buffer): void {
    let at = this.#begin(bytes)
    if (at === null) return this.#keep(bytes)
    const row = new LaidRow(this.#layout, bytes)
    for (;;) {
      const end = this.#layout.find(bytes, at, row.cells)
      if (end < 0) return this.#rest(bytes, at, end)
      this.#map(row)
      at = end
    }
  }

  *#rowsIn(chunk: Buffer): Generator<LaidRow> {
    for (const bytes of this.#whole(chunk)) {
      let at = this.#begin(bytes)
      if (at === null) this.#keep(bytes)
      while (at !== null) {
        const row = new LaidRow(this.#layout, bytes)
        const end = this.#layout.find(bytes, at, row.cells)
        if (end < 0) {
          this.#rest(bytes, at, end)
          break
        }
        yield row
        at = end
      }
    }
  }

  #rest(bytes: Buffer, at: number, found: number): void {
    if (found === NO_MORE) this.#ended = true
    else this.#keep(bytes.subarray(at))
    this.#send(SENT_BYTES)
  }

  override _flush(done: TransformCallback): void {
    const torn = this.#pendingBytes > 0 || (this.#layout.ends && !this.#ended)
    if (torn) return done(new AppError('connection_lost', 'The rows ended in the middle of one.'))
    this.#send(0)
    if (this.#layout.tail.length > 0) this.push(this.#layout.tail)
    done()
  }

  #map(raw: LaidRow): void {
    const mapped = this.#mapper.map(raw)
    this.taken += 1
    if (mapped.kind === 'filtered') return
    if (mapped.kind === 'fault') return this.#listener.reject(raw, mapped)
    this.given += 1
    if (mapped.warnings.length > 0) this.#listener.warn(mapped.warnings)
    this.#write(raw, mapped.computed)
  }

  #write({ bytes, cells }: LaidRow, computed: Computed): void {
    const layout = this.#layout
    let most = BESIDE_CELLS
    for (const part of this.#parts) {
      if ('field' in part) most += layout.most(computed[part.field] ?? null)
      else most += (cells[part.end] ?? 0) - (cells[part.first] ?? 0)
    }
    if (most > this.#out.length - this.#filled) this.#send(0)
    if (most > OUT_BYTES) return this.#writeParts(bytes, cells, computed)
    if (most > this.#out.length - this.#filled) this.#renew()
    const out = this.#out
    let at = layout.begin(out, this.#filled)
    for (const part of this.#parts) {
      if ('field' in part) at = layout.write(out, at, { value: computed[part.field] ?? null, place: part.place })
      else {
        const end = cells[part.end] ?? 0
        at = layout.copied(out, at + bytes.copy(out, at, cells[part.first], end))
      }
    }
    this.#filled = layout.end(out, at)
  }

  #writeParts(bytes: Buffer, cells: readonly number[], computed: Computed): void {
    const wanted = this.#parts.map((part): WantedCells =>
      'field' in part ? { value: computed[part.field] ?? null, place: part.place } : part,
    )
    for (const part of this.#layout.parts(bytes, cells, wanted)) this.push(part)
  }

  /** Gives away what was written, where that is at least so much. */
  #send(least: number): void {
    if (this.#filled - this.#sent < Math.max(1, least)) return
    this.push(this.#out.subarray(this.#sent, this.#filled))
    this.#sent = this.#filled
  }

  #renew(): void {
    this.#out = Buffer.allocUnsafeSlow(OUT_BYTES)
    this.#sent = 0
    this.#filled = 0
  }
}

/** What new rows are made of: some fields, in their order. */
export function partsOf(
  fields: readonly { readonly inputs: readonly number[]; readonly carried: boolean }[],
  places: readonly number[],
): Part[] {
  const parts: Part[] = []
  for (const [place, field] of places.entries()) {
    const { inputs, carried } = must(fields[field], 'a field')
    if (!carried) {
      parts.push({ field, place })
      continue
    }
    const first = must(inputs[0], 'the input of a field')
    const last = parts.at(-1)
    if (last !== undefined && 'first' in last && last.end === first)
      parts[parts.length - 1] = { ...last, end: first + 1 }
    else parts.push({ first, end: first + 1 })
  }
  return parts
}

/** How many cells of a row, from the first on, must be told apart to look at some, and to copy the parts of another row. */
export function cellsToldApart(count: number, parts: readonly Part[], lookedAt: readonly number[]): number {
  const copied = parts.flatMap((part) => ('first' in part ? [part.first, part.end] : []))
  const borders = [...copied, ...lookedAt.flatMap((place) => [place, place + 1])]
  return Math.max(0, ...borders.filter((border) => border < count))
}
