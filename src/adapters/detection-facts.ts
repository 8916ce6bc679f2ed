import type { TableRef } from '#model/table.ts'

/**
 * What a server tells of its tables that bears on how their changes can be found. It is read, never guessed: null says
 * that it could not be told, and `TableFacts.unknown` why. See the contract `Adapter`.
 */
export interface DetectionFacts {
  readonly sessions: SessionFacts
  /** In the order in which they were asked for. */
  readonly tables: readonly TableFacts[]
}

/** Whether every transaction that is open was seen, so that a cursor can be kept behind all of them. */
export interface SessionFacts {
  readonly complete: boolean
  /** Why not; null where all were seen. */
  readonly why: string | null
  /** The statement that mends it, where there is one. */
  readonly remedy: string | null
}

/** A table, and its columns that could be a cursor. */
export interface FactsQuestion {
  readonly table: TableRef
  readonly columns: readonly string[]
}

export interface TableFacts {
  /** By the server's statistics, partitions included. */
  readonly rows: number | null
  /** On disk, without indexes. */
  readonly bytes: number | null
  readonly writes: WriteCounts | null
  /** A subscription writes into the table: triggers that do not fire always do not fire then. */
  readonly replicated: boolean | null
  /** Those that were asked for and that there are; empty where nothing is known of any. */
  readonly columns: readonly ColumnFacts[]
  readonly sample: Sample | null
  /** What could not be told, each with its reason, in words. */
  readonly unknown: readonly string[]
}

/** Rows that were written, by the server's own counters; rolled back ones are among them. */
export interface WriteCounts {
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** When the counters were set back last, as the server writes it; null where they never were, as far as it knows. */
  readonly since: string | null
}

export interface Sample {
  readonly rows: number
  /** All rows were looked at. */
  readonly whole: boolean
}

export interface ColumnFacts {
  readonly column: string
  /** Who gives it its value; null: whoever writes the row, and nobody else. */
  readonly onInsert: Upkeep | null
  readonly onUpdate: Upkeep | null
  /** The name of an index by which the rows from a value on are found. */
  readonly index: string | null
  /** Null where nothing could be sampled. */
  readonly sample: ColumnSample | null
  /** Statements that would make an index, or a trigger that sets the column by every insert and update; null: none can. */
  readonly remedies: { readonly index: string | null; readonly trigger: string | null }
}

/** How the database itself gives a column its value. */
export interface Upkeep {
  /**
   * `clock`: the time of the transaction or a later one, as no session's settings change it; `local clock`: as a session's
   * time zone has it; `sequence`: the next number of a sequence; `transaction`: the number of the transaction, in 64 bits;
   * `row counter`: one more than the row had; `other`: something else, or what cannot be told.
   */
  readonly value: 'clock' | 'local clock' | 'sequence' | 'transaction' | 'row counter' | 'other'
  /**
   * `always`: whatever the writer gives; `changed`: the same where the row differs from what it was, by the equality of its
   * types; `omitted`: where the writer gives none; `perhaps`: under conditions that cannot be told.
   */
  readonly when: 'always' | 'changed' | 'omitted' | 'perhaps'
  /** For people: `trigger "touch"`, `default now()`. */
  readonly by: string
  /** It also acts on what a subscription writes. */
  readonly inReplication: boolean
  /** The sequence gives a session several numbers at once; null: that could not be told; false where there is none. */
  readonly cached: boolean | null
}

/** Of a sample's rows. */
export interface ColumnSample {
  readonly nulls: number
  /** Values later than the server's clock, in whichever time zone; null where it is no time. */
  readonly future: number | null
  /** Different values, NULL aside. */
  readonly distinct: number
  /** Rows that share the value that most of them share. */
  readonly mostOfOne: number
  /** Rows whose value is smaller than that of the row before them in the order of the key; null where the key has none. */
  readonly disorder: number | null
}
