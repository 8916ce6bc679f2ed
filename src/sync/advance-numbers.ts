import type { Adapter, SequenceState } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Attempt } from './attempt.ts'
import type { TableSync } from './sync-table.ts'
import type { WayBack } from './two-ways.ts'

/** The target gives out no number that a row which came has. Returns how many sequences were moved. */
export async function advanceSequences(tables: readonly TableSync[], { source, target }: Attempt): Promise<number> {
  let moved = 0
  const advance = async (table: TableSync): Promise<void> => {
    const { plan } = table
    if (!plan.target.columns.some((column) => column.sequence !== null)) return
    const states = await source.sequences(plan.source.ref)
    const named = states.flatMap((state) => {
      const position = plan.sourceScan.columns.findIndex((column) => column.name === state.column)
      const column = plan.write.scan.columns[position]?.name
      return column === undefined ? [] : [{ ...state, column }]
    })
    moved += await advanceNumbers(table, target, named)
  }
  for (const table of tables) await table.step(() => advance(table))
  return moved
}

/** Where rows went back, the source is to give out no number that came with them. */
export async function advanceReturned({ tables, attempt: { target } }: WayBack): Promise<number> {
  let moved = 0
  const advance = async (table: TableSync): Promise<void> => {
    if (!table.plan.target.columns.some((column) => column.sequence !== null)) return
    // What the target's sequence has given out and no row holds is of no account here.
    moved += await advanceNumbers(table, target, [])
  }
  for (const table of tables) await table.step(() => advance(table))
  return moved
}

async function advanceNumbers(table: TableSync, target: Adapter, states: readonly SequenceState[]): Promise<number> {
  const { moved, left } = await must(target.writer, 'a writer').advanceSequences(table.plan.target.ref, states)
  if (left !== null) table.note(left)
  return moved
}
