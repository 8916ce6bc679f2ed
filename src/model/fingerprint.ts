import { createHash } from 'node:crypto'
import { textPieces } from './row-text.ts'
import { LARGE_ROW_BYTES, sizeOfRow, type Row } from './value.ts'

/**
 * Fingerprints: how rows are compared without being moved.
 *
 * The canonical form of a row is the concatenation, over its compared columns in order, of `-` for NULL and
 * `<octets>:<text>` for a value, `octets` being the length of the text in UTF-8. No data can imitate a border.
 * Its 64-bit fingerprint is the first eight bytes of the MD5 of that, big-endian, as a signed integer.
 * Adapters compute the same in SQL; the type matrix test holds the two together.
 */

/**
 * How the fingerprints of a scan are made.
 * `md5`: the canonical form above, comparable across engines and versions.
 * `column-hash`: PostgreSQL's own 64-bit hash functions, column by column under pinned settings: faster, comparable
 * between two PostgreSQL servers whose hash functions agree, which the engine probes before it relies on it.
 */
export type FingerprintAlgorithm = 'md5' | 'column-hash'

/**
 * What of a column `column-hash` hashes. `integer`, `boolean`, `uuid`: the value itself, all of its bits. `text`: the
 * value cast to text, for types whose cast is their output. `output`: the output of the type, for all that could have a
 * cast of its own or that a cast would shorten.
 */
export type ColumnHash = 'integer' | 'boolean' | 'uuid' | 'text' | 'output'

/** The canonical form of a row, in UTF-8. */
export function canonicalRow(row: Row): Buffer {
  const parts: Uint8Array[] = []
  for (const value of row) {
    if (value === null) {
      parts.push(NULL_MARK)
      continue
    }
    const bytes = typeof value === 'string' ? Buffer.from(value, 'utf8') : value
    parts.push(Buffer.from(`${bytes.length}:`), bytes)
  }
  return Buffer.concat(parts)
}

/** The MD5 of the canonical form. That of a large row is never put together: its values are hashed as they are. */
export function hashRow(row: Row): Buffer {
  const hash = createHash('md5')
  if (sizeOfRow(row) < LARGE_ROW_BYTES) return hash.update(canonicalRow(row)).digest()
  for (const value of row) {
    if (value === null) {
      hash.update(NULL_MARK)
      continue
    }
    hash.update(`${Buffer.byteLength(value)}:`)
    if (typeof value !== 'string') hash.update(value)
    else for (const piece of textPieces(value)) hash.update(piece, 'utf8')
  }
  return hash.digest()
}

const NULL_MARK = Buffer.from('-')

/** A 64-bit hash of a row as the decimal text of a signed integer: it is compared and passed on, never counted with. */
export type Fingerprint = string

/** The canonical fingerprint of a row. */
export function fingerprint(row: Row): Fingerprint {
  return hashRow(row).readBigInt64BE(0).toString()
}

/** What is known of a set of rows: how many, and two sums over their 64-bit hashes that fail in different ways. */
export interface Digest {
  readonly count: number
  readonly xor: bigint
  /** Sum of the signed hashes, modulo 2^64, as a signed integer. */
  readonly sum: bigint
}
