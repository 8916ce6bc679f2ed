import type { Key } from '#model/change.ts'
import type { Agreed, FieldBase } from '#model/conflict.ts'
import type { Digest, Fingerprint } from '#model/fingerprint.ts'
import type { Row } from '#model/value.ts'
import type { Bucketing, Parts } from './adapter.ts'

/** What both sides of a mapping had when they last agreed, row by row, as the target keeps it. */
export interface Baseline {
  /** It holds every row that was in step when it was last looked at whole, and every row that was written since. */
  readonly complete: boolean
  /** What the buckets of each side were then. One pass. */
  digests(bucketing: Bucketing): Promise<readonly BaselineDigest[]>
  /** The same of parts of some buckets. */
  partDigests(parts: Parts): AsyncIterable<readonly BaselineDigest[]>
  /** Rows of some buckets, ordered by bucket. */
  rows(bucketing: Bucketing, buckets: readonly number[] | 'all'): AsyncIterable<AgreedRow>
  find(keys: readonly Key[]): Promise<readonly FoundRow[]>
  /**
   * The rows that both had under some of these keys, each of so many columns; keys of which the values are not known are
   * left out.
   */
  images(keys: readonly Key[], columns: number): Promise<readonly BaseImage[]>
  /** Keys of rows on which the sides agreed to differ. */
  differing(): AsyncIterable<Key>
}

export interface BaselineDigest {
  readonly bucket: number
  readonly source: Digest
  readonly target: Digest
  /** Rows on which the sides agreed to differ: that both have, that the source alone has, that the target alone has. */
  readonly differing: { readonly both: number; readonly sourceOnly: number; readonly targetOnly: number }
}

export interface AgreedRow extends Agreed {
  readonly bucket: number
  readonly key: Key
  /** The sides had the same row, and the fingerprint of each of its columns is known. */
  readonly hasFields: boolean
  /** The values of that row are known too. */
  readonly hasImage: boolean
}

export interface FoundRow extends AgreedRow {
  /** The fingerprint of each column of the row that both had, by itself; null where they differed, or none are kept. */
  readonly fields: readonly Fingerprint[] | null
}

/** The row that both had under a key, by the columns of the mapping in the target. */
export interface BaseImage {
  readonly key: Key
  readonly row: Row
}

/** What the sides agree on from now on. */
export interface Agreement {
  readonly source: Fingerprint | null
  readonly target: Fingerprint | null
  /** The target has the row that is written, whatever `target` says. */
  readonly asWritten: boolean
  /** The row that both are taken to have; null where nothing of it is known. */
  readonly base: FieldBase | 'as written' | null
}

/** A row that nobody writes, and on which the sides agree as they are. Null on both sides: it is forgotten. */
export interface RememberedRow extends Agreed {
  readonly key: Key
  /** The row that both are taken to have; null: the target's, where that is the row on which they agree. */
  readonly base: FieldBase | null
}
