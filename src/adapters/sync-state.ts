import type { BaselineDetail } from '#model/conflict.ts'
import type { Position } from '#model/position.ts'
import type { TableRef } from '#model/table.ts'
import type { SessionFacts } from './detection-facts.ts'

/** What a target keeps of a sync beside its rows, and what a source says of its transactions. See the contract `Adapter`. */

/** The columns of a table of the source by their numbers: a number that has another name was renamed. */
export interface KnownColumns {
  /** `TableSchema.id`: the numbers of another table mean nothing here. */
  readonly table: string
  readonly names: ReadonlyMap<number, string>
}

/** The job that a run belongs to. */
export interface JobIdentity {
  readonly id: string
  /**
   * The number of the lease under which a service runs the job; it grows with every process that takes the job over. Null:
   * nobody keeps the job but the target itself.
   */
  readonly lease: number | null
}

/** What a job owns of one table mapping in the target, while its epoch is current. */
export interface Claim {
  readonly mappingId: string
  readonly jobId: string
  readonly epoch: bigint
  /** What an earlier, unfinished run of the same job has committed already. */
  readonly committed: CommittedCounts
  /** The phase in which the earlier run stopped, or `new` or `done`. */
  readonly phase: StatePhase
  /** Under which mapping the fingerprints of the baseline were made; there may be none. */
  readonly mappingHash: string
  readonly hasBaseline: boolean
  /** What the baseline keeps beside fingerprints. */
  readonly baselineDetails: readonly BaselineDetail[]
  /** Whether the baseline holds every row that is in step. */
  readonly baselineComplete: boolean
  /** Seconds since the last full verification that succeeded; null if there was none. */
  readonly verifiedSecondsAgo: number | null
}

export type StatePhase = 'new' | 'loading' | 'applying' | 'done'

export interface CommittedCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  readonly batches: number
}

/** What identifies a table mapping in the target's state, and what must be the same for its fingerprints to hold. */
export interface MappingIdentity {
  readonly mappingId: string
  readonly source: string
  readonly target: TableRef
  /** Hash of everything that decides what a fingerprint means: columns, forms, key, algorithm, source version. */
  readonly mappingHash: string
  /** The key's columns in the target, for the baseline. */
  readonly key: readonly string[]
  /** Names of the columns of the target that it carries. */
  readonly carried: readonly string[]
  /** Keep a baseline for it. */
  readonly baseline: boolean
  /** What it is to keep beside fingerprints: all else that it kept is forgotten. */
  readonly baselineDetails: readonly BaselineDetail[]
  /** The source's columns as they are now, for the next run; null where they have no numbers that last. */
  readonly columns: KnownColumns | null
  /** What the state knows of the mapping stays as it is: the job undoes rows of it. */
  readonly asItIs: boolean
}

/** What the state is to know of a job that is closed. */
export interface Closing {
  readonly position: Position
  /** Mappings that were proved whole. */
  readonly verified: readonly string[]
  /** By mapping, what the next run finds changes by; null: nothing. A mapping that is not among them keeps what it has. */
  readonly detection: ReadonlyMap<string, string | null>
}

/** Times by the server's own clock, in microseconds since 1970. */
export interface Horizon extends SessionFacts {
  readonly now: bigint
  /**
   * When the oldest transaction began that is open now, or `now`; null where one is open whose beginning nobody knows. Not
   * `complete`: of those that were seen.
   */
  readonly oldest: bigint | null
}

/** What a cursor has come to in a snapshot. */
export interface CursorReached {
  /** The largest value, as the server writes it, but none beyond the ceiling; null where no row has one. */
  readonly value: string | null
  /** A time of the server at which the snapshot was there already, in microseconds since 1970. */
  readonly at: bigint
  /** The values come out of a sequence that gives a session several at once, to be used whenever it likes. */
  readonly cached: boolean
}
