import type { TableRef } from './table.ts'

/**
 * What a statement may do beyond making something new. `locks`: it alters a table that is there, which nobody else reads or
 * writes for that moment. `code`: it brings code along that the target runs from then on.
 */
export type DdlRisk = 'locks' | 'code'

export const DDL_RISKS = ['locks', 'code'] as const satisfies readonly DdlRisk[]

/** When a statement runs: before rows are written, once the tables that it touches are loaded, or once all of them are. */
export const DDL_STAGES = ['before data', 'after data', 'foreign keys'] as const

export type DdlStage = (typeof DDL_STAGES)[number]

/** A statement by which a run would change the target's tables, as the run would send it, without its `;`. */
export interface PlannedDdl {
  readonly sql: string
  /** As pg_dump names it in its table of contents: TABLE, INDEX, FK CONSTRAINT, … */
  readonly kind: string
  /** The tables that it touches; none for what stands for itself, such as a type. */
  readonly tables: readonly TableRef[]
  readonly stage: DdlStage
  readonly risk: DdlRisk | null
}
