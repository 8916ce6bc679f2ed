import { Readable } from 'node:stream'
import type pg from 'pg'
import { must } from '#lib/assert.ts'

const COPY_DATA = 0x64
const COPY_DONE = 0x63
/** CopyOutResponse, NoticeResponse, ParameterStatus, NotificationResponse: they may stand before and between rows. */
const ASIDES: readonly number[] = [0x48, 0x4e, 0x53, 0x41]
/** A letter, and a length that counts itself. */
const HEADER_BYTES = 5
const LENGTH_BYTES = 4

type Listener = (chunk: Buffer) => void

/**
 * COPY … TO STDOUT as a stream of what its messages hold. Meanwhile it reads the socket in the driver's place; from the end
 * of the data on, or from an error, the driver reads again. The stream ends once the server has said how many rows it sent,
 * so that whoever has read it to its end can count.
 */
export class CopyOut extends Readable implements pg.Submittable {
  readonly #sql: string
  #wire: pg.Connection | null = null
  #driver: Listener | null = null
  readonly #listener: Listener = (chunk) => this.#take(chunk)
  /** A header that came in two chunks. */
  readonly #header = Buffer.alloc(HEADER_BYTES)
  #have = 0
  /** Bytes of the message in hand that are still to come, and whether they are data. */
  #rest = 0
  #isData = false
  rowCount = 0
  /** Messages that have begun: the server sends one for each row of text. */
  seen = 0

  /** @param aheadBytes that are fetched before anybody reads them */
  constructor(sql: string, aheadBytes?: number) {
    super(aheadBytes === undefined ? {} : { highWaterMark: aheadBytes })
    this.#sql = sql
  }

  submit(wire: pg.Connection): void {
    const driver = must(wire.stream.listeners('data')[0], 'the driver listens to its socket') as Listener
    wire.stream.removeListener('data', driver)
    wire.stream.on('data', this.#listener)
    this.#driver = driver
    this.#wire = wire
    wire.query(this.#sql)
  }

  override _read(): void {
    if (this.#driver !== null) this.#wire?.stream.resume()
  }

  /** The data in a chunk are moved together where the headers were: nobody else has the chunk, and it needs no copy. */
  #take(chunk: Buffer): void {
    let [at, kept] = [0, 0]
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const end = Math.min(chunk.length, at + this.#rest)
        if (this.#isData) {
          chunk.copyWithin(kept, at, end)
          kept += end - at
        }
        this.#rest -= end - at
        at = end
      } else if (this.#have === 0 && at + HEADER_BYTES <= chunk.length) {
        const code = chunk[at] ?? 0
        if (!this.#begins(code, chunk.readUInt32BE(at + 1))) return this.#end(chunk, { kept, at, code })
        at += HEADER_BYTES
      } else {
        this.#header[this.#have++] = chunk[at++] ?? 0
        if (this.#have < HEADER_BYTES) continue
        this.#have = 0
        const code = this.#header[0] ?? 0
        if (this.#begins(code, this.#header.readUInt32BE(1))) continue
        return this.#end(Buffer.concat([chunk.subarray(0, kept), this.#header, chunk.subarray(at)]), {
          kept,
          at: kept,
          code,
        })
      }
    }
    if (kept > 0 && !this.push(chunk.subarray(0, kept))) this.#wire?.stream.pause()
  }

  /** Whether a message is ours. */
  #begins(code: number, length: number): boolean {
    this.#isData = code === COPY_DATA
    if (this.#isData) this.seen += 1
    this.#rest = Math.max(0, length - LENGTH_BYTES)
    return this.#isData || ASIDES.includes(code)
  }

  /** Gives the socket back, with everything from the message at `at` on; the one that ends the data says nothing to the driver. */
  #end(chunk: Buffer, { kept, at, code }: { kept: number; at: number; code: number }): void {
    const [wire, driver] = [must(this.#wire, 'a connection'), must(this.#driver, 'a driver')]
    this.#driver = null
    if (kept > 0) this.push(chunk.subarray(0, kept))
    wire.stream.removeListener('data', this.#listener)
    wire.stream.on('data', driver)
    wire.stream.resume()
    driver(chunk.subarray(code === COPY_DONE ? at + HEADER_BYTES : at))
  }

  handleCommandComplete({ text }: { readonly text?: string }): void {
    this.rowCount = Number(/^COPY (\d+)/.exec(text ?? '')?.[1] ?? 0)
    this.push(null)
  }

  handleError(error: Error): void {
    this.destroy(error)
  }

  handleReadyForQuery(): void {}
}
