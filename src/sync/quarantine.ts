import type { RejectedRow, RejectingTable, ReplayedRow, ReplayRow, SettledRow } from '#model/rejection.ts'
import type { TableRef } from '#model/table.ts'

/**
 * Where the rows of a run go that it sets aside. The implementation belongs to whoever keeps jobs; the engine knows this
 * contract alone. Everything may be told again: what is known under a key is known once.
 */
export interface Quarantine {
  /**
   * Keeps rows that were left out, after what they were left out of was committed.
   * @throws AppError `store_failed`, worth another try
   */
  keep(table: RejectingTable, rows: readonly RejectedRow[]): Promise<void>
  /** What people have settled in a table of the target. */
  settled(target: TableRef): Promise<readonly SettledRow[]>
  /** The table was looked at whole: what was not told of has gone. `heeded` and `stale` are ids of settled rows. */
  close(target: TableRef, settled: { heeded: readonly string[]; stale: readonly string[] }): Promise<void>
}

/** The rows that a replay is about. */
export interface Replay {
  /** Rows of one table of the target, in the order in which they were set aside. */
  rows(target: TableRef): Promise<readonly ReplayRow[]>
  /** Rows of a table that went through, and rows that have left the source. */
  done(rows: readonly ReplayedRow[], gone: readonly string[]): Promise<void>
}
