import type { ConflictTable, FoundConflict, ResolvedConflict, ResolvedOutcome } from '#model/conflict.ts'
import type { TableRef } from '#model/table.ts'

/**
 * Where conflicts wait for somebody. The implementation belongs to our own store; the engine knows this contract alone.
 * A conflict is known once under its key, in the scope of a sync config: found again with the same rows, it is the same,
 * and what somebody decided about it stays; found with other rows, it is open again (hazard D15). Everything may be told
 * again.
 */
export interface Conflicts {
  /** Decisions on rows of one table that are to be carried out, in no order. */
  resolved(target: TableRef): AsyncIterable<readonly ResolvedConflict[]>
  /**
   * Keeps conflicts, before anything is written. Returns those that were decided as they were found, because somebody has
   * decided once for all of their sort: they are to be carried out with the others. @throws AppError `store_failed`, worth
   * another try
   */
  park(table: ConflictTable, conflicts: readonly FoundConflict[]): Promise<readonly ResolvedConflict[]>
  /** What became of decisions, after it was committed. */
  settle(target: TableRef, outcomes: readonly ResolvedOutcome[]): Promise<void>
  /**
   * The table was looked at whole since `resolved` was read: open conflicts that this was not told of have gone. Decisions
   * that were neither carried out nor found to have moved go with them, unless they are `kept` for a later run.
   */
  close(target: TableRef, decisions: 'go' | 'kept'): Promise<void>
}
