import type { TableOutline, TableLikeness } from '#model/table-outline.ts'
import type { TableRef, TableSchema } from '#model/table.ts'
import type { TableDdl } from './table-ddl.ts'

/** Making tables that another engine has: the one side tells of its tables, the other drafts its own like them. */
export interface TableDrafts {
  /** Tables that were described, in their order. */
  outline(tables: readonly TableRef[]): Promise<readonly TableOutline[]>
  /** How tables like these would be made here. Only looks. */
  draft(tables: readonly TableLikeness[]): Promise<TablesDraft>
}

export interface TablesDraft {
  /** In the order of what was asked for. */
  readonly tables: readonly TableDraft[]
  readonly ddl: TableDdl
}

export interface TableDraft {
  /** As it would be here; its id, definition and storage are those of the table that it is made like. */
  readonly schema: TableSchema
  /** Why it cannot be made here. */
  readonly problems: readonly string[]
}
