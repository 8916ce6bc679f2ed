import type { TableRef } from '#model/table.ts'

/** A table or view as somebody sees it who looks around. */
export interface TableDescription {
  readonly table: TableRef
  readonly kind: 'table' | 'partitioned_table' | 'view' | 'materialized_view' | 'foreign_table'
  readonly columns: readonly ColumnDescription[]
  readonly primaryKey: readonly string[]
  /** Unique indexes over plain columns, without the primary key. */
  readonly uniqueKeys: readonly (readonly string[])[]
  readonly foreignKeys: readonly {
    readonly columns: readonly string[]
    readonly references: TableRef
    readonly referencedColumns: readonly string[]
  }[]
  /** By the server's statistics; null where it has none. */
  readonly estimatedRows: number | null
  /** Row-level security would hide rows from this login. */
  readonly hidesRows: boolean
}

export interface ColumnDescription {
  readonly name: string
  /** As the server writes it: `numeric(12,2)`. */
  readonly type: string
  readonly nullable: boolean
  readonly default: string | null
  readonly generated: boolean
}

/** The first rows of a table, each value as the server writes it. */
export interface RowsPreview {
  readonly columns: readonly { readonly name: string; readonly type: string }[]
  readonly rows: readonly (readonly (string | null)[])[]
  /** Some values are longer than what is shown. */
  readonly cut: boolean
  /** Those values, with how many characters they really have. */
  readonly cuts: readonly { readonly row: number; readonly column: string; readonly characters: number }[]
}

/** Characters of a value that are shown. */
export const SHOWN_CHARACTERS = 500
export const MOST_PREVIEW_ROWS = 100

export interface PreviewQuestion {
  readonly table: TableRef
  readonly limit: number
  /** Only the rows in which this column has one of these values. */
  readonly only?: { readonly column: string; readonly values: readonly string[] }
}
