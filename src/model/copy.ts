/** Copies: a PostgreSQL database into another one, with no file between. */
import { DEFAULT_READING, type ReadingOptions } from './dump.ts'
import type { TransformStep } from './field-mapping.ts'

/** What somebody wants of a copy. */
export interface CopyOptions extends ReadingOptions {
  readonly filters: readonly RowFilter[]
  readonly masks: readonly ColumnMask[]
}

/** Which rows of tables are carried. */
export interface RowFilter {
  /** A pattern of tables, as in an export; what it names stands for its partitions and children too. */
  readonly table: string
  /** A CEL condition on the columns of a row; several of one table must all be met. */
  readonly where: string
}

/** What becomes of the values of a column on their way. */
export interface ColumnMask {
  /** As of `RowFilter`. */
  readonly table: string
  readonly column: string
  /** The first one first; several masks of one column follow one another. */
  readonly transforms: readonly TransformStep[]
}

export const DEFAULT_COPY: CopyOptions = {
  ...DEFAULT_READING,
  filters: [],
  masks: [],
}
