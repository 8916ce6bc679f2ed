import type { Fingerprint } from './fingerprint.ts'
import type { Cell, Value } from './value.ts'

/** The text of the key columns, in the order of the plan's key. */
export type Key = readonly Value[]

/** Cells by the order of the plan's columns. */
export type Cells = readonly Cell[]

/** One row's insert, update or delete, in the terms of the side that it is said of. A changed key is a delete and an insert. */
export type Change =
  | { readonly op: 'insert'; readonly key: Key; readonly after: Cells }
  | { readonly op: 'update'; readonly key: Key; readonly before?: Cells; readonly after: Cells }
  | { readonly op: 'delete'; readonly key: Key; readonly before?: Cells }

export type Operation = Change['op']

/**
 * A change that was decided, as the change set keeps it: without the values, which the source's snapshot still holds.
 * `expect` is the fingerprint that the target's row had when this was decided: the change is applied to that row or to
 * none (compare-and-set). An insert expects that there is no row.
 */
export interface PlannedChange {
  readonly op: Operation
  readonly key: Key
  readonly expect: Fingerprint | null
  /** About how many bytes the row has, so that batches are bounded by bytes. */
  readonly bytes: number
}

/** Why a row cannot be carried as mapped. The value is for the quarantine alone: it never reaches logs or errors. */
export interface RowFault {
  /** A code of the server (a SQLSTATE), or the name of the rule or step that failed. */
  readonly code: string
  readonly reason: string
  /** The field of the target that it is about; null where it is about the whole row. */
  readonly column: string | null
  /** The value that was refused, as it came into the field; null where there is none, or it is NULL. */
  readonly value: string | null
  /** Whose key the row is known by: the source's where that of the target could not be computed. */
  readonly keyIn: 'source' | 'target'
}

/** A row that cannot be carried, set aside with the reason. */
export interface Rejection extends RowFault {
  readonly op: Operation
  /** By `keyIn`. */
  readonly key: Key
}
