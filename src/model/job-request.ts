import type { ConfigPolicies } from './config-document.ts'
import type { CopyOptions } from './copy.ts'
import type { ExportOptions } from './dump.ts'

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
  /** The database, which stands as source and as target, is dumped. */
  readonly export?: ExportOptions
  /** A dump is restored into the database, which stands as source and as target. */
  readonly import?: ImportRequest
  /** The source is copied into the target. */
  readonly copy?: CopyRequest
  /** A dump is restored, on trial, beside the database, which stands as source and as target. */
  readonly drill?: DrillRequest
}

/** What is copied, and what somebody agreed to. */
export interface CopyRequest {
  readonly options: CopyOptions
  /** As of `ImportRequest`. */
  readonly replace: boolean
  readonly backup: boolean
  /** What the source brings may do whatever the login of the target may. */
  readonly trusted: boolean
  /** As of `ImportRequest`. */
  readonly agreed?: string | null
}

/** Which dump is restored on trial, as of `ImportRequest`. */
export type DrillRequest = Pick<ImportRequest, 'dump' | 'trusted' | 'owners' | 'grants' | 'passphrase'>

/** What is restored, and what somebody agreed to. */
export interface ImportRequest {
  /** The id of a dump. */
  readonly dump: string
  /** What is there is replaced. */
  readonly replace: boolean
  /** What is replaced is kept first. */
  readonly backup: boolean
  /** What is replaced is exchanged at the end: until then it can be read. */
  readonly swap: boolean
  /** The file may do whatever the login may. */
  readonly trusted: boolean
  readonly owners: boolean
  readonly grants: boolean
  /** Where the passphrase is found (`env:NAME`, `file:PATH`) that the file is sealed with; null: it is not. */
  readonly passphrase: string | null
  /** The digest of the plan that somebody has agreed to; null, and in jobs of earlier versions nothing: none was shown. */
  readonly agreed?: string | null
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
