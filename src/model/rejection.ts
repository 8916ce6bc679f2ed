import type { Key, Rejection } from './change.ts'
import type { ColumnType } from './column-type.ts'
import type { TableRef } from './table.ts'

/**
 * Where a row stands that was set aside. `edited`: somebody gave values of the target, which a replay is to write.
 * `replayed`: it went through. `dismissed`: somebody leaves it as it is. `gone`: it went through, or left the source.
 */
export const REJECTION_STATUSES = ['open', 'edited', 'replayed', 'dismissed', 'gone'] as const

export type RejectionStatus = (typeof REJECTION_STATUSES)[number]

/** Cells by the names of their columns, as text. A list, because names may repeat or be hostile. */
export type NamedCells = readonly (readonly [name: string, text: string | null])[]

/** A column of the target, as far as an edit is checked by it. */
export interface EditableColumn {
  readonly name: string
  readonly type: ColumnType
  readonly nullable: boolean
}

/** The table that rows were set aside of, as the run saw it. */
export interface RejectingTable {
  readonly source: TableRef
  readonly target: TableRef
  /** The fields of the target that a row is made of, the key first. */
  readonly columns: readonly EditableColumn[]
}

/** A rejection with everything that is needed to look at it, to mend it and to try it again. */
export interface RejectedRow extends Rejection {
  /** The row's key in the source; null where it has no row there. */
  readonly sourceKey: Key | null
  /** Of the source's row and the mapping that reads it; null where there is no row. */
  readonly sourceFingerprint: string | null
  /** Of the row that the target had under the key; null where it had none. */
  readonly targetFingerprint: string | null
  readonly source: NamedCells | null
  /** What the mapping made of it; null where it could not. */
  readonly mapped: NamedCells | null
  /** Why cells are missing, or null. */
  readonly note: string | null
}

/** A row that a person has settled: as long as the source's row is the same, runs leave it and what the target has. */
export interface SettledRow extends Pick<RejectedRow, 'key' | 'keyIn' | 'sourceKey' | 'sourceFingerprint'> {
  readonly id: string
  /** The key in the target; null where it has none there. */
  readonly targetKey: Key | null
}

/** A row that is to be tried again, with the values that somebody gave for fields of the target. */
export interface ReplayRow extends Pick<
  RejectedRow,
  'key' | 'keyIn' | 'op' | 'sourceKey' | 'sourceFingerprint' | 'targetFingerprint'
> {
  readonly id: string
  readonly edits: NamedCells | null
}

/** A row that a replay brought through. */
export interface ReplayedRow {
  readonly id: string
  readonly targetKey: Key | null
  readonly sourceFingerprint: string | null
}

/**
 * Why a row was set aside, in words that whoever may not see values may read (invariant 7): what a server says of a row may
 * quote it (`Failing row contains (…)`, `Key (email)=(…) already exists`, `invalid input syntax for type date: "…"`), and
 * what a trigger says is anybody's guess.
 */
export function publicReason(fault: Pick<Rejection, 'code' | 'reason'> | undefined): string {
  if (fault === undefined) return ''
  if (fault.code === 'P0001') return 'A trigger of the target refused it.'
  return fault.reason
    .replaceAll(/ ?Failing row contains \(.*\)\.?/gs, '')
    .replaceAll(/\)=\(.*\)/gs, ')=(…)')
    .replaceAll(/: ".*"/gs, '')
}
