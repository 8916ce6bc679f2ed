import type { Key, Operation, PlannedChange, RowFault } from '#model/change.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import type { Row } from '#model/value.ts'

/** `keep`: a row that is left as it is on both sides; known, so that verification can leave it out. */
export type StagedOperation = Operation | 'keep'

export interface StagedChange extends Omit<PlannedChange, 'op'> {
  readonly op: StagedOperation
}

/**
 * The change set of a job while it is decided and applied: every change of every table, without row values, outside
 * the memory of the process. What is appended can be read any number of times, in the order in which it came.
 * The implementation belongs to our own store; the engine knows this contract alone.
 */
export interface Staging extends Disposable {
  append(table: string, changes: readonly StagedChange[]): void
  count(table: string, op: StagedOperation): number
  /** Changes of one table, in batches bounded by rows and by the bytes of the rows that they speak of. */
  read(table: string, ops: readonly StagedOperation[], batch: BatchBounds): Iterable<readonly StagedChange[]>
  /** Forgets a table's changes, so that it can be detected again. */
  clear(table: string): void
  /** Where the rows of one table are kept that are computed on their way. */
  spool(table: string): Spool
  /** Where the rows of one table are kept that a change set brings. */
  images(table: string): Images
}

/** Whole rows by their keys, outside the memory of the process. */
export interface Images {
  clear(): void
  put(images: readonly KeptImage[]): void
  /** What is kept of these keys, in no order; keys without anything are left out. */
  find(keys: readonly Key[]): readonly KeptImage[]
}

export interface KeptImage {
  readonly key: Key
  readonly fingerprint: Fingerprint
  /** Null where it is too large to be kept. */
  readonly row: Row | null
  readonly bytes: number
}

/** What is known of rows that were computed on their way, outside the memory of the process: keys and fingerprints. */
export interface Spool {
  clear(): void
  put(rows: readonly SpooledRow[]): void
  /** Rows of some buckets, ordered by bucket. */
  read(buckets: readonly number[] | 'all'): Iterable<SpooledRow>
  /** The keys in the source of rows by their keys in the target; keys that no row has are left out. */
  sourceKeys(keys: readonly Key[]): readonly Key[]
  /** Which of these keys of the target rows have that do not meet the filter. As JSON of the key. */
  filteredKeys(keys: readonly Key[]): ReadonlySet<string>
  /** Keeps marks of values. `repeatedMarks`: those that were given more than once, at most so many. */
  mark(marks: readonly string[]): void
  repeatedMarks(most: number): ReadonlySet<string>
  /** Rows whose key holds a NULL, keys of several rows, and one of them. */
  keyFaults(): { readonly nulls: number; readonly duplicates: number; readonly sample: Key | null }
}

export interface SpooledRow {
  readonly bucket: number
  readonly key: Key
  readonly sourceKey: Key
  readonly fingerprint: Fingerprint
  readonly bytes: number
  /** It does not meet the filter: only its keys are kept. */
  readonly filtered: boolean
  readonly fault: RowFault | null
}

export interface BatchBounds {
  readonly rows: number
  readonly bytes: number
}
