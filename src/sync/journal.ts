import type { TableRef } from '#model/table.ts'

/** What a run is doing to a table. */
export type Phase = 'create' | 'compare' | 'load' | 'delete' | 'write' | 'index' | 'verify' | 'data'

/** Where a dump is that is written or restored, as a whole. */
export type Stage = 'check' | 'backup' | 'schema' | 'data' | 'indexes' | 'constraints'

/**
 * What a run tells while it is under way. `rows` and `bytes` are what was done since the last event of the table and
 * phase; `total` is the number of rows that the phase expects, null where nobody knows, `estimated` where it is the
 * server's statistics. `totals` are the rows that each table is expected to have, where that is known beforehand; `steps`
 * the statements that a stage takes, each of which is a `step`.
 */
export type RunEvent =
  | {
      readonly type: 'planned'
      readonly tables: readonly TableRef[]
      readonly notes: readonly string[]
      readonly totals?: readonly (number | null)[]
    }
  | { readonly type: 'stage'; readonly stage: Stage; readonly steps?: number }
  | { readonly type: 'step' }
  | {
      readonly type: 'phase'
      readonly table: TableRef
      readonly phase: Phase
      readonly total: number | null
      readonly estimated: boolean
    }
  | {
      readonly type: 'progress'
      readonly table: TableRef
      readonly phase: Phase
      readonly rows: number
      readonly bytes: number
    }
  | { readonly type: 'phase done'; readonly table: TableRef; readonly phase: Phase }
  | { readonly type: 'note'; readonly text: string }
  | { readonly type: 'retry'; readonly attempt: number; readonly afterMs: number; readonly reason: string }

/** Where a run's events go. Never throws and never waits: a slow reader must not hold up the rows. */
export interface Journal {
  record(event: RunEvent): void
}
