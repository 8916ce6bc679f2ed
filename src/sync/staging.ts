import type { Operation, PlannedChange } from '#model/change.ts'

/** `keep`: a row of the target alone that the policy leaves there; known, so that verification can leave it out. */
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
}

export interface BatchBounds {
  readonly rows: number
  readonly bytes: number
}
