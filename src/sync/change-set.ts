import type { ChangeOutcome, ChangeSetFacts, ChangeSetSummary, ImagedChange, SetChange } from '#model/change-set.ts'

/**
 * The change set of a job that is looked at before it is applied: every change with its cells, durable from the moment in
 * which it is sealed. Where it is kept (a file, the control store, Redis) belongs to our own store; the engine knows this
 * contract alone. What cannot be read whole and unchanged any more is `change_set_lost`, and is computed again.
 */
export interface ChangeSet {
  /** Forgets what there is, and begins a new generation. */
  begin(): Promise<void>
  /** Changes of one table, in the order in which they are applied. @throws AppError `staging_full`, before harm */
  append(table: number, changes: readonly ImagedChange[]): Promise<void>
  /** From now on it is durable, and nothing is appended any more. */
  seal(facts: ChangeSetFacts): Promise<ChangeSetSummary>
  /** What was sealed; null where nothing was. */
  summary(): Promise<ChangeSetSummary | null>
  /**
   * What is to be applied to one table: all that nobody left out and that has no outcome yet. One that is applied `again`
   * comes with the target's row as it was when somebody decided that. @throws AppError `change_set_lost`
   */
  read(table: number): AsyncIterable<readonly SetChange[]>
  /** What applying came to, for all that was not applied. Durable when it resolves. */
  settle(outcomes: readonly ChangeOutcome[]): Promise<void>
}
