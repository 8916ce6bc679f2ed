import type { ColumnType } from './column-type.ts'

/** A table, by the names that the server's catalogue holds; never quoted, never folded. */
export interface TableRef {
  readonly schema: string
  readonly name: string
}

export interface Column {
  readonly name: string
  /** The server's own number of it: another column that takes the name has another one; `TO_BE_ADDED` until it is there. */
  readonly id: number
  readonly type: ColumnType
  /** The type as the server spells it with its modifier, e.g. `numeric(10,2)`. */
  readonly nativeType: string
  readonly nullable: boolean
  readonly hasDefault: boolean
  /** How the server fills it by itself: then it is read and compared, never written. */
  readonly generated: 'stored' | 'virtual' | null
  /** The expression that a generated column is computed by, as the server writes it. */
  readonly expression: string | null
  /** By which its texts are compared and ordered; null where the type has none. */
  readonly collation: string | null
  /** An identity column keeps the value it is given. */
  readonly identity: 'always' | 'by default' | null
  /** Set where a sequence feeds the column, so that the sequence is advanced after rows were written. */
  readonly sequence: string | null
}

/** The number of a column that a run is to add to the table. */
export const TO_BE_ADDED = 0

/** A set of columns that no two rows share. */
export interface UniqueKey {
  readonly name: string
  readonly columns: readonly string[]
  /** No column of it can be NULL. */
  readonly notNull: boolean
  /** Checked at the end of each statement, so that it can arbitrate ON CONFLICT. */
  readonly immediate: boolean
  /** The collations by which it takes texts for one that differ, `utf8mb4_general_ci`; absent: it tells all texts apart. */
  readonly merges?: string
}

export interface ForeignKey {
  readonly name: string
  readonly columns: readonly string[]
  readonly parent: TableRef
  readonly parentColumns: readonly string[]
  readonly deferrable: boolean
}

export type Right = 'use' | 'select' | 'insert' | 'update' | 'delete'

/** What a table is to a reader and a writer. Everything is as the catalogue says, nothing is estimated but `rowEstimate`. */
export interface TableSchema {
  readonly ref: TableRef
  /** The server's own identity of the table: another one if it was dropped and made anew. */
  readonly id: string
  /**
   * Changes with everything that decides what is read from the table or written into it: compared, never read. Where it
   * has changed, `sync/drift.ts` says whether that matters.
   */
  readonly definition: string
  /** Changes where the table is emptied or rewritten as a whole. */
  readonly storage: string
  /** `query`: a SELECT that stands for a table, under a name that somebody gave it. */
  readonly kind: 'table' | 'partitioned' | 'view' | 'materialized view' | 'foreign table' | 'query'
  readonly columns: readonly Column[]
  readonly primaryKey: UniqueKey | null
  /** Unique indexes over plain columns, without the primary key; partial and expression indexes are no keys. */
  readonly uniqueKeys: readonly UniqueKey[]
  readonly foreignKeys: readonly ForeignKey[]
  /** Another table's foreign key points here. */
  readonly referenced: boolean
  /** Names of enabled user triggers and rules: they would act on our writes. */
  readonly triggers: readonly string[]
  readonly rowSecurity: boolean
  /** What this login may do with it; `use` is the right to look into its schema. */
  readonly rights: Readonly<Record<Right, boolean>>
  /** The partitions of a partitioned table, of every level. */
  readonly partitions: readonly TableRef[]
  /** Rows by the server's statistics; null where it has none yet. */
  readonly rowEstimate: number | null
  /** Bytes on disk by the server's own count. */
  readonly bytes: number
  /** Why not even a snapshot sees the table at one moment, where the others of its server are; absent: it does. */
  readonly unsteady?: string
}

export function sameTable(a: TableRef, b: TableRef): boolean {
  return a.schema === b.schema && a.name === b.name
}

/** The schema that names without one stand for, in whatever is written down before a server is asked for its own. */
export const UNNAMED_SCHEMA = 'public'

/** A table as it is called on a server, of which somebody may have named no schema. */
export function atHome(ref: TableRef, { homeSchema }: { readonly homeSchema: string }): TableRef {
  return ref.schema === UNNAMED_SCHEMA ? { schema: homeSchema, name: ref.name } : ref
}

/** The table of another server that has the same name: what is in the home schema of the one is in that of the other. */
export function counterpart(
  ref: TableRef,
  { from, to }: { readonly from: { readonly homeSchema: string }; readonly to: { readonly homeSchema: string } },
): TableRef {
  return ref.schema === from.homeSchema ? { schema: to.homeSchema, name: ref.name } : ref
}

/** For people: `shop.orders`. Not SQL. */
export function tableName(ref: TableRef): string {
  return `${ref.schema}.${ref.name}`
}

/** The same of whatever has a name; what is in no schema, as a schema itself, has that alone. */
export function objectName({ schema, name }: TableRef): string {
  return schema === '' ? name : tableName({ schema, name })
}

/** For maps: no two refs share it, whatever the names hold. */
export function tableId(ref: TableRef): string {
  return JSON.stringify([ref.schema, ref.name])
}
