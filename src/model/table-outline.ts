import type { TableRef, TableSchema } from './table.ts'

/**
 * What another engine has to know of a table to make one like it. Values are in the canonical text of their column's type;
 * what one engine alone understands is named for people, and left out.
 */
export interface TableOutline {
  readonly engine: 'postgres' | 'mysql'
  readonly schema: TableSchema
  readonly comment: string | null
  /** By the names of the columns. */
  readonly columns: ReadonlyMap<string, ColumnOutline>
  /** Over plain columns, for finding rows alone: unique ones are keys of the schema. */
  readonly indexes: readonly IndexOutline[]
  /** By the names of the foreign keys. */
  readonly actions: ReadonlyMap<string, ForeignKeyActions>
  /** What else belongs to the table and is not told: `the check positive_total`, `the index idx (gin)`. */
  readonly left: readonly string[]
}

export interface ColumnOutline {
  readonly default: DefaultOutline | null
  readonly comment: string | null
}

export type DefaultOutline =
  | { readonly kind: 'value'; readonly text: string }
  /** The time of the insert. */
  | { readonly kind: 'now' }
  /** The next number: an identity, a sequence, AUTO_INCREMENT. */
  | { readonly kind: 'number' }
  | { readonly kind: 'random uuid' }
  /** An expression of the engine's own. */
  | { readonly kind: 'expression'; readonly sql: string }

export interface IndexOutline {
  readonly name: string
  readonly columns: readonly string[]
}

export type ForeignKeyAction = 'no action' | 'restrict' | 'cascade' | 'set null' | 'set default'

export interface ForeignKeyActions {
  readonly onDelete: ForeignKeyAction
  readonly onUpdate: ForeignKeyAction
}

/** A table that is to be made like another one, under a name of its own. */
export interface TableLikeness {
  readonly outline: TableOutline
  readonly target: TableRef
  /** Where the parents of its foreign keys are in the target, in the order of these; null where one is not there. */
  readonly parents: readonly (TableRef | null)[]
}
