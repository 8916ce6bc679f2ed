import type { TableRef } from '#model/table.ts'
import type { Addition, Claim } from './adapter.ts'

/**
 * Making tables. What belongs after the data (indexes, constraints, foreign keys) is kept in the target from the moment
 * in which the tables are made, and leaves that list in the transaction that carries it out: a run that was killed in
 * between is completed by the next.
 */
export interface TableMaker {
  /** Makes the tables in one transaction, or none of them. */
  create(ddl: TableDdl): Promise<void>
  /**
   * Adds columns to the table of a claim, all of them or none, in one transaction with the test of the epoch.
   * @throws AppError `stale_epoch`; `schema_changed`, worth another try, where the table has such a column by now
   */
  addColumns(claim: Claim, additions: readonly Addition[]): Promise<void>
  /** What is still to be carried out for tables, in order. */
  pending(): Promise<readonly PendingDdl[]>
  carryOut(pending: PendingDdl): Promise<void>
}

export interface PendingDdl extends DdlStatement {
  readonly id: string
  /** Foreign keys wait until all the tables hold their rows. */
  readonly stage: 'after data' | 'foreign keys'
}

/**
 * One statement without its `;`, all names qualified and quoted. Those before the data run one after another. One after
 * the data can run once its tables are loaded and the earlier ones that share a table with it have run.
 */
export interface DdlStatement {
  readonly sql: string
  /** As pg_dump names it in its table of contents: TABLE, INDEX, FK CONSTRAINT, COMMENT, … */
  readonly kind: string
  /** The tables that it touches; none for what stands for itself, such as a type. */
  readonly tables: readonly TableRef[]
  /** What CREATE makes, by the names of the catalogue (no schema for a schema or an extension). */
  readonly object?: { readonly kind: string; readonly schema: string; readonly name: string }
}

/** Statements that make tables elsewhere. */
export interface TableDdl {
  /** All tables that are made: the wanted ones, and those that these cannot be without. */
  readonly tables: readonly TableRef[]
  /** Schemas, extensions, types, functions, sequences, tables, partitions, defaults; in their order. */
  readonly beforeData: readonly DdlStatement[]
  /** Keys, indexes, checks that are not validated, statistics; in their order. */
  readonly afterData: readonly DdlStatement[]
  readonly foreignKeys: readonly DdlStatement[]
  /** What is left out or comes along, for people; row-level security first. */
  readonly notes: readonly string[]
}
