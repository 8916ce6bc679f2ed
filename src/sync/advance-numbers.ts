import type { Adapter, SequenceState } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import type { TableSync } from './sync-table.ts'

/** The rows are there already: where the login may not advance the numbers of a table, that is told and stops nothing. */
export async function advanceNumbers(
  table: TableSync,
  target: Adapter,
  states: readonly SequenceState[],
): Promise<number> {
  try {
    return await must(target.writer, 'a writer').advanceSequences(table.plan.target.ref, states)
  } catch (error) {
    if (!(error instanceof AppError) || error.code !== 'missing_privilege') throw error
    table.note(`${error.message} ${error.hint}`)
    return 0
  }
}
