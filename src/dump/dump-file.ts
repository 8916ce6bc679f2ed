/** The bytes of a dump as it was before it was packed and sealed, within bounds, and UTF-8 throughout. */
import { isUtf8 } from 'node:buffer'
import { createHash } from 'node:crypto'
import { PassThrough, pipeline, Readable, type Transform } from 'node:stream'
import { createGunzip } from 'node:zlib'
import { formatBytes } from '#lib/amounts.ts'
import { toError } from '#lib/assert.ts'
import type { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'
import { isSealed, opening } from './sealed.ts'
import { UNPACKED_BYTES, unpackZstd } from './zstd-frames.ts'

/** A file that can be read from its beginning, more than once. */
export interface DumpFile {
  /** For people. */
  readonly name: string
  readonly bytes: number
  read(): AsyncIterable<Buffer>
}

export interface ReadLimits {
  /** How large it may be unpacked. */
  readonly maxBytes: number
  /** How many times as large as the file; null: the file is one that we have written, however well that is packed. */
  readonly maxRatio: number | null
  /** How large a statement may be, rows of COPY aside. */
  readonly maxStatementBytes: number
}

export interface ReadDump {
  readonly limits: ReadLimits
  readonly passphrase: Secret | null
  readonly signal: AbortSignal
}

/** What strangers send is hardly packed so well; below the floor nobody minds (security item S39). */
export const MAX_RATIO = 200
const RATIO_FLOOR_BYTES = 64 * 1024 * 1024

const GZIP = Buffer.from([0x1f, 0x8b])
const ZSTD = Buffer.from([0x28, 0xb5, 0x2f, 0xfd])
const BYTE_ORDER_MARK = Buffer.from([0xef, 0xbb, 0xbf])
const MAGIC_BYTES = 8

/** The mark of either byte order, or the two hyphens that a dump begins with. */
const UTF16 = ['fffe', 'feff', '2d002d00', '002d002d'].map((hex) => Buffer.from(hex, 'hex'))

const TAR = Buffer.from('ustar')
const TAR_AT = 257

/** What other files begin with, and what to do about them. */
const STRANGERS: readonly (readonly [magic: Buffer, what: string])[] = [
  [Buffer.from('PGDMP'), 'an archive of pg_dump -Fc: pg_restore -f FILE makes a plain dump of it'],
  [Buffer.from('PK\u0003\u0004', 'latin1'), 'a ZIP archive: unpack it first'],
  [Buffer.from('BZh'), 'packed by bzip2: unpack it first'],
  [Buffer.from([0xfd, 0x37, 0x7a, 0x58, 0x5a]), 'packed by xz: unpack it first'],
  [Buffer.from('SQLite f'), 'a database of SQLite, and no dump of one'],
  [GZIP, 'packed twice: unpack it first'],
  [ZSTD, 'packed twice: unpack it first'],
]

export class DumpReader {
  readonly #file: DumpFile
  readonly #options: ReadDump
  readonly #hash = createHash('sha256')
  /** Bytes of the file that have been read, and what came out of them. */
  read = 0
  unpacked = 0

  constructor(file: DumpFile, options: ReadDump) {
    this.#file = file
    this.#options = options
  }

  /** The SHA-256 of what was read of the file, when all of it was. */
  digest(): string {
    return this.#hash.digest('hex')
  }

  /**
   * The plain bytes, in chunks that end anywhere.
   * @throws AppError `not_a_dump`, `dump_damaged`, `dump_encoding`, `dump_too_large`, `dump_sealed`, `interrupted`
   */
  async *bytes(): AsyncGenerator<Buffer> {
    let held: Buffer = Buffer.alloc(0)
    let first = true
    for await (const chunk of this.#unsealed()) {
      this.#options.signal.throwIfAborted()
      this.unpacked += chunk.length
      this.#refuseBomb()
      let bytes = held.length === 0 ? chunk : Buffer.concat([held, chunk])
      if (first && bytes.length < MAGIC_BYTES) {
        held = bytes
        continue
      }
      if (first) bytes = this.#asText(bytes)
      first = false
      const whole = bytes.length - openCharacter(bytes)
      const text = bytes.subarray(0, whole)
      held = bytes.subarray(whole)
      this.#refuseOther(text)
      yield text
    }
    if (first) held = this.#asText(held)
    this.#refuseOther(held)
    if (this.unpacked === 0) throw new AppError('not_a_dump', `${this.#file.name} is empty.`)
    if (held.length > 0) yield held
  }

  async *#unsealed(): AsyncGenerator<Buffer> {
    const { passphrase } = this.#options
    const raw = new Peeked(this.#counted())
    const sealed = isSealed(await raw.peek(MAGIC_BYTES))
    if (sealed && passphrase === null) throw new AppError('dump_sealed', `${this.#file.name} is sealed.`)
    const plain = new Peeked(sealed && passphrase !== null ? this.#through(raw.all(), opening(passphrase)) : raw.all())
    const magic = await plain.peek(MAGIC_BYTES)
    if (magic.subarray(0, GZIP.length).equals(GZIP))
      yield* this.#through(plain.all(), createGunzip({ chunkSize: UNPACKED_BYTES }))
    else if (magic.subarray(0, ZSTD.length).equals(ZSTD)) yield* this.#asUnpacked(unpackZstd(plain.all()))
    else yield* plain.all()
  }

  async *#counted(): AsyncGenerator<Buffer> {
    for await (const chunk of this.#file.read()) {
      this.read += chunk.length
      this.#hash.update(chunk)
      yield chunk
    }
  }

  #through(bytes: AsyncIterable<Buffer>, transform: Transform): AsyncGenerator<Buffer> {
    const out = new PassThrough()
    pipeline(Readable.from(bytes), transform, out, () => undefined)
    return this.#asUnpacked(out)
  }

  async *#asUnpacked(unpacked: AsyncIterable<unknown>): AsyncGenerator<Buffer> {
    try {
      for await (const chunk of unpacked) yield asBuffer(chunk)
    } catch (error) {
      if (error instanceof AppError) throw error
      if (this.#options.signal.aborted) this.#options.signal.throwIfAborted()
      throw new AppError('dump_damaged', `${this.#file.name} cannot be unpacked: ${toError(error).message}.`, {
        cause: error,
      })
    }
  }

  #refuseBomb(): void {
    const { maxBytes, maxRatio } = this.#options.limits
    if (this.unpacked > maxBytes) {
      throw new AppError('dump_too_large', `${this.#file.name} has more than ${formatBytes(maxBytes)} unpacked.`)
    }
    if (maxRatio !== null && this.unpacked > RATIO_FLOOR_BYTES && this.unpacked > maxRatio * this.read) {
      throw new AppError(
        'dump_too_large',
        `${this.#file.name} becomes more than ${maxRatio} times as large as it is, as what is made to fill a disk does.`,
        { hint: 'If it is a file of your own, unpack it first (gunzip, zstd -d), and import what comes out.' },
      )
    }
  }

  #asText(bytes: Buffer): Buffer {
    const stranger = STRANGERS.find(([magic]) => bytes.subarray(0, magic.length).equals(magic))
    if (stranger !== undefined) throw new AppError('not_a_dump', `${this.#file.name} is ${stranger[1]}.`)
    if (bytes.subarray(TAR_AT, TAR_AT + TAR.length).equals(TAR)) {
      throw new AppError(
        'not_a_dump',
        `${this.#file.name} is a tar archive: of one of pg_dump -Ft, pg_restore -f FILE makes a plain dump.`,
      )
    }
    if (UTF16.some((magic) => bytes.subarray(0, magic.length).equals(magic))) {
      throw new AppError(
        'dump_encoding',
        `${this.#file.name} is in UTF-16, as PowerShell writes what is sent to a file.`,
        {
          hint: 'Let pg_dump write the file itself (pg_dump -f FILE), or convert it: iconv -f UTF-16 -t UTF-8.',
        },
      )
    }
    const marked = bytes.subarray(0, BYTE_ORDER_MARK.length).equals(BYTE_ORDER_MARK)
    return marked ? bytes.subarray(BYTE_ORDER_MARK.length) : bytes
  }

  #refuseOther(text: Buffer): void {
    if (text.includes(0)) {
      throw new AppError('not_a_dump', `${this.#file.name} has a zero byte, which no text of PostgreSQL has.`)
    }
    if (!isUtf8(text)) throw new AppError('dump_encoding', `${this.#file.name} has bytes that are not UTF-8.`)
  }
}

/** How many bytes at the end are the beginning of a character of UTF-8 that is not whole. */
function openCharacter(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back] ?? 0
    if (byte < 0x80) return 0
    if (byte < 0xc0) continue
    const length = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : 2
    return length > back ? back : 0
  }
  return 0
}

function asBuffer(chunk: unknown): Buffer {
  if (Buffer.isBuffer(chunk)) return chunk
  throw new AppError('internal', 'A stream of bytes gave something else.')
}

/** Bytes whose beginning can be looked at first. */
class Peeked {
  readonly #source: AsyncIterator<Buffer>
  #ahead: Buffer = Buffer.alloc(0)

  constructor(source: AsyncIterable<Buffer>) {
    this.#source = source[Symbol.asyncIterator]()
  }

  async peek(bytes: number): Promise<Buffer> {
    while (this.#ahead.length < bytes) {
      const next = await this.#source.next()
      if (next.done === true) break
      this.#ahead = Buffer.concat([this.#ahead, next.value])
    }
    return this.#ahead
  }

  async *all(): AsyncGenerator<Buffer> {
    try {
      if (this.#ahead.length > 0) yield this.#ahead
      for (let next = await this.#source.next(); next.done !== true; next = await this.#source.next()) yield next.value
    } finally {
      await this.#source.return?.()
    }
  }
}
