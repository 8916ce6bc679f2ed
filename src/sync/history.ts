import type { Key, Operation } from '#model/change.ts'
import type { KeptAgreement } from '#model/conflict.ts'
import type { TableRef } from '#model/table.ts'
import type { Row } from '#model/value.ts'

/**
 * The whole row of the target before and after a change, as the transaction that wrote it saw it, in the order of
 * `WrittenBatch.columns`: also what triggers and defaults made of it, and columns that the sync does not carry.
 */
export interface WrittenImage {
  readonly before: Row | null
  readonly after: Row | null
  /** What the baseline had under the key before; null where it had nothing, or there is none. */
  readonly baseline: KeptAgreement | null
  /** One of them is too large to be kept: it is null, though there is such a row. */
  readonly large: boolean
}

export interface WrittenChange {
  readonly op: Operation
  readonly key: Key
  /** Where images are kept. */
  readonly image: WrittenImage | null
}

/** What one batch writes to one table. */
export interface WrittenBatch {
  readonly mappingId: string
  /** See `MappingIdentity.mappingHash`: the fingerprints of the baseline mean something under it alone. */
  readonly mappingHash: string
  readonly target: TableRef
  /** Names of the key's columns. */
  readonly key: readonly string[]
  /** Of the images: all columns of the table; empty where no images are kept. */
  readonly columns: readonly string[]
  /** The batch's number in the target: 1, 2, 3 … of a job and mapping. */
  readonly batch: number
  /** `patch`: completes rows that were written before by the same job. */
  readonly kind: 'apply' | 'patch'
  readonly changes: readonly WrittenChange[]
}

/** Rows that came into an empty table at once. */
export interface WrittenLoad {
  readonly mappingId: string
  readonly target: TableRef
  readonly rows: number
  /** The proof of the rows, where there is one. */
  readonly digest: string
}

/**
 * What jobs have written, kept by our own store: `keys` for operations and keys, `images` for whole rows as well. A batch
 * is told before its COMMIT, so that nothing is written that the history lacks; what was told and never committed is
 * forgotten when the job goes on.
 */
export interface History {
  readonly level: 'keys' | 'images'
  /** Durable when it resolves. Values are sealed. */
  keep(batch: WrittenBatch): Promise<void>
  /** The target has committed so many batches of the mapping by this job: what was told beyond is no history. */
  begin(mappingId: string, committedBatches: number): Promise<void>
  loaded(load: WrittenLoad): Promise<void>
}

/** One table that a job wrote to. */
export interface WrittenTable extends Pick<WrittenBatch, 'mappingId' | 'mappingHash' | 'target' | 'key' | 'columns'> {
  /** Every row that the job wrote is kept with its image. */
  readonly complete: boolean
}

/** What a job has written, as it is read back. */
export interface WrittenJob {
  readonly tables: readonly WrittenTable[]
  /** The newest come first. */
  changes(table: WrittenTable): AsyncIterable<readonly WrittenChange[]>
}
