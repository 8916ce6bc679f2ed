import type { Rejection } from './change.ts'
import type { Counts } from './counts.ts'
import type { ErrorCode } from './errors.ts'
import type { Position } from './position.ts'
import type { TableRef } from './table.ts'

/**
 * How much a run can claim to have seen. `exact`: one snapshot of the source, wholly compared. `bounded`: what was asked
 * for, such as the rows of a replay, or every row that was there all the time, but not all of one moment, as over a REST
 * API, or all that a bound on the length of transactions lets a cursor see. `best effort`: some kind of change is not seen.
 */
export type Completeness = 'exact' | 'bounded' | 'best effort'

const WEAKEST_FIRST: readonly Completeness[] = ['best effort', 'bounded']

export function weakest(of: readonly Completeness[]): Completeness {
  return WEAKEST_FIRST.find((one) => of.includes(one)) ?? 'exact'
}

/** What a look at a table could see. `text`: what it could not, for people; null where it saw everything. */
export interface Sight {
  readonly completeness: Completeness
  readonly text: string | null
}

/** How a table was verified after the run, by code of its own. */
export interface Verification {
  /** `full`: every row of both sides; `changed`: every row that the run touched; `off`: nothing. */
  readonly mode: 'full' | 'changed' | 'off'
  readonly rows: number
  /** 256 hex digits over the rows in canonical form; both are equal where the table was proved. Empty where off. */
  readonly sourceDigest: string
  readonly targetDigest: string
  /** Rows that differ although the run had brought them in step, because somebody changed the target meanwhile. */
  readonly changedSince: number
}

/** What a run did to one table, and the proof. */
export interface TableReceipt {
  readonly source: TableRef
  readonly target: TableRef
  readonly key: readonly string[]
  readonly counts: Counts
  /** Rows of the target alone, kept by policy. */
  readonly targetOnly: number
  readonly bulkLoaded: boolean
  readonly sight: Sight
  readonly verification: Verification
  readonly rejections: readonly Rejection[]
  readonly batches: number
}

/** A table that a run had to leave half done, because of something that concerns this table alone. */
export interface StoppedTable {
  readonly source: TableRef
  readonly target: TableRef
  readonly code: ErrorCode
  readonly reason: string
  readonly hint: string
}

/** The proof that a run leaves. */
export interface Receipt {
  readonly jobId: string
  readonly startedAt: string
  readonly finishedAt: string
  readonly dryRun: boolean
  readonly source: { readonly address: string; readonly product: string; readonly position: Position }
  readonly target: { readonly address: string; readonly product: string }
  readonly completeness: Completeness
  readonly tables: readonly TableReceipt[]
  /** Tables that are not among `tables`: what was written to them is recorded, and the next run goes on with it. */
  readonly stopped: readonly StoppedTable[]
  /** Of `tables`. */
  readonly counts: Counts
  readonly sequencesAdvanced: number
  readonly notes: readonly string[]
}
