import type { Key, PlannedChange } from './change.ts'
import type { KeptAgreement } from './conflict.ts'
import type { ColumnType } from './column-type.ts'
import type { Fingerprint } from './fingerprint.ts'
import type { JobError } from './job.ts'
import type { PlannedDdl } from './planned-ddl.ts'
import type { TableRef } from './table.ts'
import type { Row } from './value.ts'

/**
 * A change set: all changes of a job, decided, with what each row was and will be. What was decided about single changes
 * (left out, moved since, refused) stands beside it as marks: the changes themselves never change.
 */

/** A change with its cells, in the order of the columns of its table in the change set. */
export interface ImagedChange extends PlannedChange {
  /**
   * The fingerprint of the row that is to be, by the source; null for a delete. Of a row that no side has (merged, or built
   * by somebody) the canonical one.
   */
  readonly source: Fingerprint | null
  /** Null where there is no row before or after it, and where the row is too large to be kept. */
  readonly before: Row | null
  readonly after: Row | null
  /** The row is too large to be kept: where it is applied, it is read again, and must be the same by its fingerprint. */
  readonly large: boolean
  /** What the baseline has for the row once this is applied (null: nothing), where that is not the row itself. */
  readonly baseline?: KeptAgreement | null
}

/** A change in its place. */
export interface SetChange extends ImagedChange {
  /** 1, 2, 3 … over the whole change set. */
  readonly seq: number
  /** The place of its table in the change set. */
  readonly table: number
}

/** One table of a change set, in the target's terms. */
export interface ChangeSetTable {
  readonly source: TableRef
  readonly target: TableRef
  readonly mappingId: string
  /** See `MappingIdentity.mappingHash`: under another one the changes mean nothing. */
  readonly mappingHash: string
  /** The mapping under which the `baseline` of the changes means something; left out where they bring none. */
  readonly baselineHash?: string
  /** Names of the key's columns. */
  readonly key: readonly string[]
  /** The columns of `before` and `after`. */
  readonly columns: readonly {
    readonly name: string
    readonly type: ColumnType
    /** The server computes it: it is never written. */
    readonly computed?: true
  }[]
  /** The table is missing, and is made when the change set is applied. */
  readonly created: boolean
  /** Columns that the table lacks, and that are added when the change set is applied. */
  readonly added?: readonly string[]
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
  /** Of the updates, how many change each column; columns that none changes are left out. */
  readonly changedColumns: readonly { readonly column: string; readonly rows: number }[]
  readonly unchanged: number
  /** Rows of the target alone that stay. */
  readonly kept: number
  /** Rows of the source that cannot be carried. */
  readonly rejected: number
  /**
   * Rows that both sides changed and that nobody has decided on; left out where the source has the last word anyway. Where
   * it is given, the table is held against its baseline once more when the changes are applied.
   */
  readonly conflicts?: number
}

export interface ChangeSetFacts {
  readonly tables: readonly ChangeSetTable[]
  readonly notes: readonly string[]
  /** By which the target's tables are changed when it is applied; left out: nobody has looked. */
  readonly ddl?: readonly PlannedDdl[]
  /** The brake or other guard at which applying it would stop, or null. */
  readonly stop: JobError | null
  /** Another brake that it would meet after the first one, or left out. */
  readonly furtherStop?: JobError
  /** Where the source was, for people. */
  readonly position: string
}

/** Whether nothing at all is written when it is applied. */
export function isEmpty({ tables, stop }: ChangeSetFacts): boolean {
  const brings = ({ inserts, updates, deletes, created, added = [] }: ChangeSetTable): boolean =>
    inserts + updates + deletes > 0 || created || added.length > 0
  return stop === null && !tables.some(brings)
}

/** Rows that somebody has to decide on before the change set means something. */
export function openConflictsOf({ tables }: Pick<ChangeSetFacts, 'tables'>): number {
  return tables.reduce((sum, { conflicts = 0 }) => sum + conflicts, 0)
}

export const STAGING_KINDS = ['embedded', 'redis'] as const

export type StagingKind = (typeof STAGING_KINDS)[number]

export interface ChangeSetSummary extends ChangeSetFacts {
  /** Another one each time that the changes are computed. */
  readonly generation: string
  /** SHA-256 in hex over all changes: what somebody approves is this. */
  readonly digest: string
  readonly changes: number
  /** As they are kept. */
  readonly bytes: number
  readonly staging: StagingKind
  readonly sealedAt: string
}

/**
 * What stands beside a change. `left`: somebody wants it not to be applied. `moved`: the target's row was another one when
 * it was to be applied, so that it was not; somebody decides anew. `again`: somebody decided that a moved one is applied
 * to the row as it is now. `refused`: the target refused the row. `in_step`: the target had the row already.
 * `written`: the job has written it, and others are still to be decided on.
 */
export const CHANGE_MARKS = ['left', 'moved', 'again', 'refused', 'in_step', 'written'] as const

export type ChangeMark = (typeof CHANGE_MARKS)[number]

/** What applying a change set came to, for one change. */
export interface ChangeOutcome {
  readonly seq: number
  readonly mark: Extract<ChangeMark, 'moved' | 'refused' | 'in_step' | 'written'>
  /** Without values; null where there is nothing to say. */
  readonly reason: string | null
  /** The target's row as it is now, for one that moved: what somebody decides on. */
  readonly now: { readonly expect: Fingerprint | null; readonly row: Row | null } | null
}

/** A change as people look at it. */
export interface MarkedChange extends SetChange {
  readonly mark: ChangeMark | null
  readonly reason: string | null
}

/** Which changes of a set; what is null matters not. */
export interface ChangeFilter {
  readonly target: TableRef | null
  readonly ops: readonly PlannedChange['op'][] | null
  /** Only updates of this column. */
  readonly column: string | null
  readonly key: Key | null
  /** `none`: unmarked ones. */
  readonly marks: readonly (ChangeMark | 'none')[] | null
  readonly seqs: readonly number[] | null
}
