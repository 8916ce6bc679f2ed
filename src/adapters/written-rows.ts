import type { Key, Operation } from '#model/change.ts'
import type { Row } from '#model/value.ts'
import type { BaselineRow, Scan } from './adapter.ts'

/**
 * A row of the target before and after its batch, as the transaction saw it, by the columns of `Telling.images`: also what
 * triggers and defaults made of it, and columns that the mapping does not carry.
 */
export interface RowImage {
  readonly before: Row | null
  readonly after: Row | null
  /** What the baseline had before; null where it had nothing, or there is none. */
  readonly baseline: BaselineRow | null
  /** One of them is too large to stand in memory: it is null, though there is such a row. */
  readonly large: boolean
}

/** What a batch has written, before its COMMIT. */
export interface WrittenRows {
  /** Its number: 1, 2, 3 … of a job and mapping. */
  readonly batch: number
  /** Those that were hit, in the batch's order. */
  readonly rows: readonly { readonly op: Operation; readonly key: Key; readonly image: RowImage | null }[]
}

/** Who is told of a batch before its COMMIT: nothing is written that was not told. */
export interface Telling {
  /** The columns of the images, the key first; null where only keys are told. */
  readonly images: Scan | null
  /** What it throws takes the batch back. */
  tell(written: WrittenRows): Promise<void>
}
