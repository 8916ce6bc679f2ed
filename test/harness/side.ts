/** A database of one side of a pair, in words that hold of every engine. */
import type { TableRef } from '#model/table.ts'

export type Engine = 'PostgreSQL' | 'MariaDB'

export type TextRow = (string | null)[]

export interface Side extends AsyncDisposable {
  readonly engine: Engine
  readonly name: string
  readonly url: string
  /** The schema in which tables are looked for that nobody named. */
  readonly home: string
  /** One statement; values as the server writes them. */
  sql(text: string): Promise<TextRow[]>
  /** Statements one after another, in one session. */
  each(statements: readonly string[]): Promise<void>
  /** A table of the home schema. */
  ref(table: string): TableRef
  quote(name: string): string
  /** A text, or NULL, as a constant. */
  literal(value: string | null): string
  /** Rows of a column `n` with all whole numbers between two, for FROM. */
  numbers(first: number, last: number): string
  /** Counts what the tables hold, for the planner. */
  analyze(table: string): Promise<unknown>
  /** A table of the product's own, for FROM. */
  own(table: string): string
  /** Sessions of the product in this database. */
  sessions(): Promise<TextRow[]>
}
