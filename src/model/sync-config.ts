import type { BaselineDetail, ConflictPolicy, ConflictStrategy } from './conflict.ts'
import type { DetectionStrategy } from './detection.ts'
import type { FieldMapping } from './field-mapping.ts'
import type { TableRef } from './table.ts'
import type { ZeroDates } from './zero-dates.ts'

/** One source table and where it goes. Names are as stored in the catalogue. */
export interface TableMapping {
  readonly source: TableRef
  /** A SELECT of the source that stands for the table; `source` is its name then. Null for a table or a view. */
  readonly query: string | null
  readonly target: TableRef
  /** A CEL condition on the columns of the source: rows that do not meet it do not exist for the sync. */
  readonly filter: string | null
  /** What becomes of a row of the target whose row in the source no longer meets the filter. */
  readonly filterExit: 'ignore' | 'delete'
  /** The fields of the target, each by itself; null: columns by name, as the next four say. */
  readonly fields: readonly FieldMapping[] | null
  /** Columns of the source that identify a row; null: the primary key, else a unique index. */
  readonly key: readonly string[] | null
  /** Columns of the source that are carried; null: every column that both sides have. */
  readonly columns: readonly string[] | null
  readonly exclude: readonly string[]
  /** Source column → target column, where the names differ. */
  readonly rename: ReadonlyMap<string, string>
  /** Of this table alone; what is null is as the policies say. */
  readonly conflict: {
    readonly strategy: ConflictStrategy | null
    readonly newerBy: string | null
    readonly fields: ConflictPolicy['fields']
  }
  /** Of this table alone; what is null is as the policies say. */
  readonly detection: { readonly strategy: DetectionStrategy | null; readonly cursorColumn: string | null }
  /** Of this table alone; null: as the policies say. */
  readonly zeroDates: ZeroDates | null
}

export const NO_OWN_DETECTION: TableMapping['detection'] = { strategy: null, cursorColumn: null }

export const NO_OWN_CONFLICT: TableMapping['conflict'] = { strategy: null, newerBy: null, fields: new Map() }

/** A mapping that names two tables and leaves the rest to their columns. */
export function plainMapping(source: TableRef, target: TableRef): TableMapping {
  return {
    source,
    query: null,
    target,
    filter: null,
    filterExit: 'ignore',
    fields: null,
    key: null,
    columns: null,
    exclude: [],
    rename: new Map(),
    conflict: NO_OWN_CONFLICT,
    detection: NO_OWN_DETECTION,
    zeroDates: null,
  }
}

/** What flows from one source to one target, and under which policies. The defaults are those of `DEFAULT_POLICIES`. */
export interface SyncConfig extends Policies {
  /** Null: every table that both sides have (with `create`: every table of the source). */
  readonly tables: readonly TableMapping[] | null
}

/**
 * What the target remembers of each row. `auto`: what the policies need. `fingerprints`: those of both sides. `images`: also
 * the values that both had. `none`: nothing, where no policy needs it.
 */
export const BASELINES = ['auto', 'fingerprints', 'images', 'none'] as const

export const DIRECTIONS = ['one_way', 'two_way'] as const

export type Direction = (typeof DIRECTIONS)[number]

export interface Policies {
  /**
   * `hash` compares digests of buckets and descends where they differ; `full` compares row by row, `content` value by
   * value. `primary_key` compares keys alone; `timestamp` and `rowversion` read what a column says was written since.
   */
  readonly detectionStrategy: DetectionStrategy
  /** The column of the source that `timestamp` and `rowversion` go by. */
  readonly cursorColumn: string | null
  /** Where the source does not show us its open transactions: for how long one is taken to last. */
  readonly cursorWindowSeconds: number
  /** How long deletes may stay unseen by a strategy that cannot see them; 0: no run passes over them. */
  readonly deleteCheckHours: number
  /** Two ways: what the target alone changed reaches the source too. */
  readonly direction: Direction
  /** What becomes of rows that both sides changed; see `ConflictPolicy`. */
  readonly conflictStrategy: ConflictStrategy
  readonly newerBy: string | null
  readonly tieBreak: ConflictPolicy['tieBreak']
  readonly deletePolicy: 'ignore' | 'delete'
  /** `owned`: only rows that this sync wrote or found in step are deleted. `mirror`: every row that the source lacks. */
  readonly deleteScope: 'owned' | 'mirror'
  /** The brake: percent of the target's rows that a run may delete, but at least BRAKE_ROWS rows. */
  readonly maxDeletePercent: number
  /** The very number of deletes that somebody approved, or null. */
  readonly approvedDeletes: number | null
  /** Percent of the target's rows that a run may overwrite; on first contact 10 where not set. */
  readonly maxOverwritePercent: number | null
  readonly approvedOverwrites: number | null
  readonly baseline: (typeof BASELINES)[number]
  readonly verifyAfter: 'auto' | 'full' | 'changed' | 'off'
  /** Make the tables that the target lacks. */
  readonly create: boolean
  /** What becomes of columns that the target lacks: they are left out with a note, added to it, or stop the run. */
  readonly newColumns: 'leave' | 'add' | 'stop'
  /** Rows in a write batch; a batch is also bounded by bytes. */
  readonly batchSize: number
  /** Tables, and pieces of tables, under way at once. */
  readonly parallel: number
  /** Tables under way at once; null: as many as `parallel` allows. */
  readonly parallelTables: number | null
  /** Pieces of one table under way at once; null: as many as `parallel` allows. */
  readonly parallelPieces: number | null
  /** Rows that may be set aside before the run stops. */
  readonly maxRejections: number
  /** What becomes of dates that no calendar has. */
  readonly zeroDates: ZeroDates
}

/** The brakes never act below this many rows. */
export const BRAKE_ROWS = 100

export const DEFAULT_POLICIES: Policies = {
  detectionStrategy: 'hash',
  cursorColumn: null,
  cursorWindowSeconds: 300,
  deleteCheckHours: 24,
  direction: 'one_way',
  conflictStrategy: 'source_wins',
  newerBy: null,
  tieBreak: 'source',
  deletePolicy: 'ignore',
  deleteScope: 'owned',
  maxDeletePercent: 10,
  approvedDeletes: null,
  maxOverwritePercent: null,
  approvedOverwrites: null,
  baseline: 'auto',
  verifyAfter: 'auto',
  create: false,
  newColumns: 'leave',
  batchSize: 1_000,
  parallel: 2,
  parallelTables: null,
  parallelPieces: null,
  maxRejections: 1_000,
  zeroDates: 'reject',
}

/** How conflicts of a table are decided. */
export function conflictPolicy(policies: Policies, { conflict }: Pick<TableMapping, 'conflict'>): ConflictPolicy {
  return {
    strategy: conflict.strategy ?? policies.conflictStrategy,
    newerBy: conflict.newerBy ?? policies.newerBy,
    tieBreak: policies.tieBreak,
    fields: conflict.fields,
  }
}

/** Whether rows are judged by what both sides last agreed on: the source does not simply have the last word. */
export function isThreeWay(policies: Policies, mapping: Pick<TableMapping, 'conflict'>): boolean {
  return policies.direction === 'two_way' || conflictPolicy(policies, mapping).strategy !== 'source_wins'
}

/** Whether these policies need a baseline: deletes of owned rows ask whose a row is. */
export function needsBaseline(
  policies: Policies,
  mapping: Pick<TableMapping, 'filter' | 'filterExit' | 'conflict'>,
): boolean {
  if (isThreeWay(policies, mapping)) return true
  if (policies.baseline !== 'auto') return policies.baseline !== 'none'
  return mayDelete(policies, mapping) && policies.deleteScope === 'owned'
}

/** Fields that cannot be merged without the last common value. */
export function summedFields({ strategy, fields }: Pick<ConflictPolicy, 'strategy' | 'fields'>): string[] {
  return strategy === 'merge' ? [...fields].flatMap(([name, field]) => (field === 'sum' ? [name] : [])) : []
}

/**
 * What a baseline keeps for these policies beside fingerprints. Where the source has the last word nobody notes what both
 * sides changed alike, and what is kept would come to be older than what both had last.
 */
export function baselineDetails(policies: Policies, mapping: Pick<TableMapping, 'conflict'>): BaselineDetail[] {
  if (!isThreeWay(policies, mapping)) return []
  const conflict = conflictPolicy(policies, mapping)
  const keepsImages = policies.baseline === 'images' || summedFields(conflict).length > 0
  return [...(conflict.strategy === 'merge' ? (['fields'] as const) : []), ...(keepsImages ? (['image'] as const) : [])]
}

/** Whether rows of the target may go. */
export function mayDelete(policies: Policies, mapping: Pick<TableMapping, 'filter' | 'filterExit'>): boolean {
  return policies.deletePolicy === 'delete' || (mapping.filter !== null && mapping.filterExit === 'delete')
}
