import type { ConfigPolicies } from './config-document.ts'

/** What a job was asked to do, kept with it, so that it goes on with the same after any interruption. */
export interface JobRequest {
  /** The policies of the sync config as they were when the job was asked for. */
  readonly policies: ConfigPolicies
  /** Find what would be done, and write nothing. */
  readonly dryRun: boolean
  /** Only these tables of the config, by their names in the source; null: all. */
  readonly tables: readonly string[] | null
  /** `full`: compare row by row, whatever the config says. */
  readonly mode: 'incremental' | 'full'
  readonly allowProtectedWrite: boolean
  /** The same of the source, for a sync in two ways; left out: no. */
  readonly allowProtectedSourceWrite?: boolean
  /** The target was named by whoever asked, so that it may be written without being marked writable. */
  readonly targetNamed: boolean
  readonly approvedDeletes: number | null
  readonly approvedOverwrites: number | null
  /** Rows that were set aside are tried again, and nothing else is done. */
  readonly replay?: ReplayRequest
  /** The changes of this job, which somebody has approved, are applied, and nothing else is done. */
  readonly changeSet?: string
  /** Where conflicts of the run are known, other than in its sync config or in itself: see `conflict.scope`. */
  readonly conflictScope?: string
  /** What another job wrote is undone. */
  readonly revert?: RevertRequest
}

/** What of a job is undone. */
export interface RevertRequest {
  readonly jobId: string
  /** By their names in the target; null: all that it wrote to. */
  readonly tables: readonly string[] | null
  /** Only the rows of these keys, of the one table that is named; null: all. */
  readonly keys: readonly (readonly (string | null)[])[] | null
}

/** Which rows of the quarantine a job tries again. */
export interface ReplayRequest {
  /** The job that set them aside. */
  readonly jobId: string
  /** Where they are known: see `rejection.scope`. */
  readonly scope: string
  /** Null: all that are open or edited. */
  readonly ids: readonly string[] | null
}
