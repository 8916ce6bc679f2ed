import { hash } from 'node:crypto'

const LF = 0x0a
const LANES = [0, 4, 8, 12] as const
const NOTHING = Buffer.alloc(0)

/** A digest of rows in the text format of COPY, whatever their order: the sum of the digests of the lines, in lanes of 32 bits. */
export class RowDigest {
  readonly #sums = LANES.map(() => 0)
  #pending: Buffer = NOTHING
  #rows = 0

  get rows(): number {
    return this.#rows
  }

  /** The bytes are those of the caller again afterwards. */
  take(bytes: Buffer): void {
    let at = 0
    for (let end = bytes.indexOf(LF, at); end >= 0; end = bytes.indexOf(LF, at)) {
      const line = bytes.subarray(at, end)
      this.#add(this.#pending.length === 0 ? line : Buffer.concat([this.#pending, line]))
      this.#pending = NOTHING
      at = end + 1
    }
    if (at < bytes.length) this.#pending = Buffer.concat([this.#pending, bytes.subarray(at)])
  }

  #add(line: Buffer): void {
    const digest = hash('md5', line, 'buffer')
    for (const [i, lane] of LANES.entries()) this.#sums[i] = ((this.#sums[i] ?? 0) + digest.readUInt32LE(lane)) >>> 0
    this.#rows += 1
  }

  toString(): string {
    return this.#sums.map((sum) => sum.toString(16).padStart(8, '0')).join('')
  }
}

/** A digest for each table. */
export class RowDigests {
  readonly #tables = new Map<string, RowDigest>()

  of(table: string): RowDigest {
    const known = this.#tables.get(table)
    if (known !== undefined) return known
    const digest = new RowDigest()
    this.#tables.set(table, digest)
    return digest
  }

  entries(): Iterable<readonly [table: string, digest: RowDigest]> {
    return this.#tables
  }
}
