import type { ChangeSetTable, SetChange } from '#model/change-set.ts'

/** What a script has to know of a table. */
export type ScriptTable = Pick<ChangeSetTable, 'target' | 'key' | 'columns'>

/**
 * Changes as statements in the dialect of the target, by which somebody can make them by hand: one transaction, of which
 * each statement changes its row as it was decided on, or none.
 */
export interface ChangeScript {
  /** @param notes come first, as comments */
  begin(notes: readonly string[]): string
  /** What cannot be written as a statement is said in a comment. */
  statement(table: ScriptTable, change: SetChange): string
  comment(text: string): string
  end(): string
}
