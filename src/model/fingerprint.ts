import { createHash } from 'node:crypto'
import type { Row } from './value.ts'

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
 * `text-hash`: PostgreSQL's hashtextextended over the row's text under pinned settings: faster, comparable between
 * two PostgreSQL servers whose hash functions agree, which the engine probes before it relies on it.
 */
export type FingerprintAlgorithm = 'md5' | 'text-hash'

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

const NULL_MARK = Buffer.from('-')

/** A 64-bit hash of a row as the decimal text of a signed integer: it is compared and passed on, never counted with. */
export type Fingerprint = string

/** The canonical fingerprint of a row. */
export function fingerprint(row: Row): Fingerprint {
  return createHash('md5').update(canonicalRow(row)).digest().readBigInt64BE(0).toString()
}

/** What is known of a set of rows: how many, and two sums over their 64-bit hashes that fail in different ways. */
export interface Digest {
  readonly count: number
  readonly xor: bigint
  /** Sum of the signed hashes, modulo 2^64, as a signed integer. */
  readonly sum: bigint
}
