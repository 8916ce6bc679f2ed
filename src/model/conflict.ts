import type { Key } from './change.ts'
import type { ColumnType, Form } from './column-type.ts'
import type { Fingerprint } from './fingerprint.ts'
import type { TableRef } from './table.ts'
import type { Row } from './value.ts'

/**
 * Conflicts: rows that both sides have changed since they were last in step. What "since" means is the baseline: the
 * fingerprints of both sides when they last agreed. A change on one side alone is never a conflict.
 */

/** Who has the last word on a row, or on a field, that both sides changed. */
export const CONFLICT_STRATEGIES = ['source_wins', 'target_wins', 'newer_wins', 'merge', 'manual', 'webhook'] as const

export type ConflictStrategy = (typeof CONFLICT_STRATEGIES)[number]

/** How conflicts of one table are decided. */
export interface ConflictPolicy {
  readonly strategy: ConflictStrategy
  /** The column of the target, of a time or a version, by which `newer_wins` tells which row is newer. */
  readonly newerBy: string | null
  /** Who wins where both are as new. */
  readonly tieBreak: 'source' | 'target'
  /** Columns of the target that have a strategy of their own in a merge. */
  readonly fields: ReadonlyMap<string, FieldStrategy>
}

/**
 * Who has the last word on a field that both sides changed to different values, where rows merge field by field.
 * `manual`: somebody decides. `source_wins`, `target_wins`: that side. `newer_wins`: the side whose row is newer.
 * `non_null`: the side that has a value; where both have one, somebody decides. `max`, `min`: by the order of the type.
 * `sum`: what both added to the last common value, for whole and decimal numbers. `union`: a list with what either side
 * added, without what either removed. `source_owns`, `target_owns`: that side's value always, also where only the other
 * side changed it.
 */
export const FIELD_STRATEGIES = [
  'manual',
  'source_wins',
  'target_wins',
  'newer_wins',
  'non_null',
  'max',
  'min',
  'sum',
  'union',
  'source_owns',
  'target_owns',
] as const

export type FieldStrategy = (typeof FIELD_STRATEGIES)[number]

/**
 * What happened to the row, named source first. `first_contact`: the rows differ, and were never known to agree.
 * `unique_clash`: where the row is to be written, another row holds a unique value of it (hazard D3).
 */
export const CONFLICT_KINDS = [
  'update_update',
  'insert_insert',
  'update_delete',
  'delete_update',
  'first_contact',
  'unique_clash',
] as const

export type ConflictKind = (typeof CONFLICT_KINDS)[number]

/** What both sides had when they last agreed; null on a side that had no row. They need not have been equal. */
export interface Agreed {
  readonly source: Fingerprint | null
  readonly target: Fingerprint | null
}

/**
 * What both sides had last, column by column: the values, or the canonical fingerprint of each value as a row of its own.
 */
export type FieldBase = { readonly row: Row } | { readonly fingerprints: readonly Fingerprint[] }

/**
 * What a baseline keeps of the row that both had, beside its fingerprints: the fingerprint of each column, the values of a
 * row that is not large.
 */
export type BaselineDetail = 'fields' | 'image'

/** What a baseline has of a row, to be put back as it was. */
export interface KeptAgreement extends Agreed {
  /** The row that both had, as the adapter of the target wrote it; left out where its values are not known. */
  readonly image?: string
}

/**
 * `open`: it waits for somebody. `resolved`: somebody has decided, and the next run carries that out. `applied`: a run has.
 * `closed`: it went away by itself, because the sides came to agree or one of them took its change back.
 */
export const CONFLICT_STATUSES = ['open', 'resolved', 'applied', 'closed'] as const

export type ConflictStatus = (typeof CONFLICT_STATUSES)[number]

/**
 * How far the asking of a webhook has come. `waiting`: it is asked, or will be. `accepted`: it has said that it answers
 * later. `answered`: it has decided, and a run that carries that out is still to be started. `given_up`: it has not answered
 * in time, and somebody has to decide. `ended`: there is nothing to ask any more.
 */
export const ASKING_STATUSES = ['waiting', 'accepted', 'answered', 'given_up', 'ended'] as const

export type AskingStatus = (typeof ASKING_STATUSES)[number]

/** What is known of the asking of a webhook about a conflict as it is. */
export interface Asking {
  /** The same for every attempt: the `webhook-id`. */
  readonly id: string
  readonly status: AskingStatus
  readonly attempts: number
  /** When it is asked (again), where it is `waiting`; of an attempt under way, when it counts as lost. */
  readonly nextAt: string | null
  readonly lastAt: string | null
  /** Why the last attempt failed, or what kept a run from being started; without anything of what was answered. */
  readonly lastError: string | null
  readonly deadlineAt: string
}

/** `source`, `target`: that side's row is taken. `skip`: both stay as they are. `row`: a row that somebody built. */
export const RESOLUTIONS = ['source', 'target', 'skip', 'row'] as const

export type Resolution = (typeof RESOLUTIONS)[number]

/** What can be decided about many conflicts at once, or once for all of a sort: without looking at their rows. */
export const RULE_RESOLUTIONS = ['source', 'target', 'skip'] as const

export type RuleResolution = (typeof RULE_RESOLUTIONS)[number]

/** The other row of a `unique_clash`: while it has what it has, the row cannot be written. */
export interface Holder {
  /** Where the row cannot be written. */
  readonly side: 'source' | 'target'
  readonly key: Key
  readonly fingerprint: Fingerprint
  /** The name of the unique index. */
  readonly index: string
  /** The columns that its values are made of, by their names in the target. */
  readonly columns: readonly string[]
  /** The one of them that becomes NULL where somebody decides that the row gives way; null: none can be NULL. */
  readonly yields: string | null
}

/** Whether a decision wants the row written that the holder keeps out: then the holder gives the value up. */
export function takesValue({ side }: Pick<Holder, 'side'>, resolution: Resolution): boolean {
  return resolution === (side === 'target' ? 'source' : 'target')
}

/** The table in which conflicts were found, in the target's terms. */
export interface ConflictTable {
  readonly source: TableRef
  readonly target: TableRef
  readonly mappingId: string
  /** See `MappingIdentity.mappingHash`: fingerprints mean something under it alone. */
  readonly mappingHash: string
  /** Names of the key's columns. */
  readonly key: readonly string[]
  /** The columns of the rows, the key's first. */
  readonly columns: readonly {
    readonly name: string
    readonly type: ColumnType
    readonly nullable: boolean
    /** How its values are written in the rows; the type's own text where not given. */
    readonly form?: Form
  }[]
}

/** A conflict with what somebody needs to decide it. */
export interface FoundConflict {
  readonly key: Key
  readonly kind: ConflictKind
  /** What the rows are now; null where a side has none. */
  readonly sourceFingerprint: Fingerprint | null
  readonly targetFingerprint: Fingerprint | null
  /** Null where they were never known to agree. */
  readonly agreed: Agreed | null
  /**
   * Names of the columns that both sides changed to different values, or of those of the unique index; empty where it is
   * about the whole row.
   */
  readonly fields: readonly string[]
  /** Null where there is no such row, and where it is too large to be kept. */
  readonly source: Row | null
  readonly target: Row | null
  /** What both agreed on last; null where that is not known by its values. */
  readonly base: Row | null
  /** The row as far as it merges by itself: what is in `fields` has the target's values. Null where nothing merges. */
  readonly merged: Row | null
  /** Who is in the way, with its row where that is not too large; null but for a `unique_clash`. */
  readonly holder: (Holder & { readonly row: Row | null }) | null
  /** A row was too large to be kept. */
  readonly large: boolean
  /** The strategy that left it to somebody. */
  readonly strategy: ConflictStrategy
  /** Why it could not be decided, in words without values; null where the strategy says so. */
  readonly reason: string | null
}

/** A conflict on which somebody decided. */
export interface ResolvedConflict {
  readonly id: string
  readonly key: Key
  /** What the decision was made on: where a side is another one by now, it does not apply (hazard D15). */
  readonly sourceFingerprint: Fingerprint | null
  readonly targetFingerprint: Fingerprint | null
  /** Who was in the way when it was decided: another one by now is another clash. Null where none was. */
  readonly holder: Holder | null
  readonly resolution: Resolution
  /** For `row`: all columns of the table in their order; null: there is to be no row. */
  readonly row: Row | null
}

/** What became of a decision. */
export interface ResolvedOutcome {
  readonly id: string
  /** `moved`: a side is another one than it was decided on; the conflict is open again, or has gone. */
  readonly outcome: 'applied' | 'moved'
  /** What both sides are once it is applied, as far as that is known: what a decision to flip it is made on. */
  readonly sourceFingerprint: Fingerprint | null
  readonly targetFingerprint: Fingerprint | null
}
