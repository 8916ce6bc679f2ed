import type { Schemas } from '#api/client.ts'
import type { Job } from '#features/jobs/queries.ts'

/** What jobs end with, as far as the page shows it. The service keeps more of it, which stands in the JSON below. */

type Table = { readonly schema: string; readonly name: string }
type Counts = Schemas['Counts']

export interface TableReceipt {
  readonly source: Table
  readonly target: Table
  readonly counts: Counts
  readonly target_only: number
  readonly bulk_loaded: boolean
  readonly sight: { readonly completeness: string; readonly text: string | null }
  readonly verification: {
    readonly mode: 'full' | 'changed' | 'off'
    readonly rows: number
    readonly source_digest: string
    readonly target_digest: string
    readonly changed_since: number
  }
  readonly rejections: readonly unknown[]
}

export interface Receipt {
  readonly started_at: string
  readonly finished_at: string
  readonly source: { readonly address: string; readonly product: string }
  readonly target: { readonly address: string; readonly product: string }
  readonly completeness: string
  readonly tables: readonly TableReceipt[]
  readonly stopped: readonly {
    readonly target: Table
    readonly code: string
    readonly reason: string
    readonly hint: string
  }[]
  readonly counts: Counts
  readonly sequences_advanced: number
  readonly notes: readonly string[]
}

export interface Comparison {
  readonly equal: boolean
  readonly notes: readonly string[]
  readonly tables: readonly {
    readonly source: Table
    readonly target: Table
    readonly key: readonly string[]
    readonly source_rows: number
    readonly target_rows: number
    readonly only_in_source: number
    readonly only_in_target: number
    readonly different: number
    readonly in_motion: number
    readonly generated_differs: boolean
  }[]
}

export interface Preview {
  readonly tables: readonly {
    readonly target: Table
    readonly inserts: number
    readonly updates: number
    readonly deletes: number
  }[]
  readonly notes: readonly string[]
  readonly stop: { readonly code: string; readonly message: string; readonly hint: string } | null
}

export interface Validation {
  readonly ready: boolean
  readonly tables: readonly {
    readonly source: Table
    readonly target: Table
    readonly ready: boolean
    readonly problems: readonly { readonly code: string; readonly message: string }[]
    readonly fields: readonly {
      readonly columns: readonly string[]
      readonly source_type: string
      readonly target: string
      readonly target_type: string
      readonly verdict: 'lossless' | 'checked' | 'impossible'
      readonly reason: string | null
      readonly next_step: string | null
      readonly misfits: { readonly rows: number } | null
    }[]
    readonly counted: { readonly rows: number; readonly partial: boolean } | null
  }[]
  readonly notes: readonly string[]
}

/** A dump as a receipt names it. */
interface DumpNamed {
  readonly id: string
  readonly file: string
  readonly bytes: number
  readonly sha256: string
}

export interface ExportReceipt {
  readonly dump: DumpNamed & { readonly compression: string; readonly sealed: boolean }
  /** As the server names it. */
  readonly moment: string
  readonly rows: number
  readonly sql_bytes: number
  readonly tables: readonly (Table & { readonly rows: number })[]
  readonly notes: readonly string[]
}

interface Sized {
  readonly what: string
  readonly name: string
  readonly bytes: number | null
}

/** What an import or a copy did; of its plan, what it would do. */
export interface RestoreReceipt {
  readonly target: { readonly address: string; readonly product: string }
  readonly makes: readonly { readonly what: string; readonly name: string }[]
  /** Null where nobody knows. */
  readonly tables: readonly { readonly table: Table; readonly rows: number | null }[]
  readonly rows: number | null
  readonly estimated?: boolean
  /** Null where the process is gone that knew. */
  readonly replaced: readonly Sized[] | null
  /** What the restore had made before which the dump was kept. */
  readonly takes_back?: readonly Sized[]
  readonly dependents: readonly string[]
  /** By which what was agreed to is known again; null where nobody knows, and of earlier versions nothing. */
  readonly plan_digest?: string | null
  readonly backup: string | null
  readonly notes: readonly string[]
  readonly refusals: readonly { readonly code: string; readonly message: string; readonly hint: string }[]
}

export interface ImportReceipt extends RestoreReceipt {
  readonly dump: DumpNamed
}

export interface CopyReceipt extends RestoreReceipt {
  /** As the source names it; null where the process is gone that knew. */
  readonly moment: string | null
}

/** What came of a trial of a dump. */
export interface DrillReceipt {
  readonly dump: DumpNamed
  readonly works: boolean
  readonly server: string
  readonly faults: readonly string[]
  readonly tables: readonly {
    readonly table: string
    /** Rows that the dump says it has, and rows that are there. */
    readonly told: number
    readonly restored: number
    /** Null where values are not compared. */
    readonly same: boolean | null
  }[]
  readonly rows: number
  readonly constraints: number
  readonly definitions: 'same texts' | 'names'
  readonly notes: readonly string[]
}

export type Found =
  | { readonly kind: 'receipt'; readonly receipt: Receipt }
  | { readonly kind: 'comparison'; readonly comparison: Comparison }
  | { readonly kind: 'preview'; readonly preview: Preview }
  | { readonly kind: 'validation'; readonly validation: Validation }
  | { readonly kind: 'export'; readonly exported: ExportReceipt }
  | { readonly kind: 'import'; readonly imported: ImportReceipt }
  | { readonly kind: 'copy'; readonly copied: CopyReceipt }
  | { readonly kind: 'drill'; readonly drilled: DrillReceipt }
  | { readonly kind: 'unknown' }

/** What a job ended with, by its kind; `unknown` where a part that its kind promises is not there. */
export function readReceipt({ kind, dry_run: dryRun }: Pick<Job, 'kind' | 'dry_run'>, raw: unknown): Found {
  if (!has(raw, 'tables')) return { kind: 'unknown' }
  if (kind === 'verify')
    return has(raw, 'equal') ? { kind: 'comparison', comparison: raw as never } : { kind: 'unknown' }
  if (kind === 'validate')
    return has(raw, 'ready') ? { kind: 'validation', validation: raw as never } : { kind: 'unknown' }
  if (kind === 'export') return has(raw, 'dump') ? { kind, exported: raw as never } : { kind: 'unknown' }
  if (kind === 'import') return has(raw, 'dependents') ? { kind, imported: raw as never } : { kind: 'unknown' }
  if (kind === 'copy') return has(raw, 'dependents') ? { kind, copied: raw as never } : { kind: 'unknown' }
  if (kind === 'drill') return has(raw, 'works') ? { kind, drilled: raw as never } : { kind: 'unknown' }
  if (dryRun) return { kind: 'preview', preview: raw as never }
  return has(raw, 'completeness') ? { kind: 'receipt', receipt: raw as never } : { kind: 'unknown' }
}

function has(raw: unknown, name: string): boolean {
  return typeof raw === 'object' && raw !== null && name in raw
}

/** How much a run can claim to have seen. */
export const COMPLETENESS: Readonly<Record<string, string>> = {
  exact: 'exact: one moment of the source, wholly compared',
  bounded: 'bounded: all that was asked for, but not the whole of one moment',
  'best effort': 'best effort: some kind of change cannot be seen this way',
}

/** The proof in a sentence. */
export function proofOf({ tables, stopped }: Pick<Receipt, 'tables' | 'stopped'>): string {
  const sum = (of: (table: TableReceipt) => number): number => tables.reduce((total, table) => total + of(table), 0)
  const rows = sum(({ verification }) => verification.rows)
  const since = sum(({ verification }) => verification.changed_since)
  const off = tables.filter(({ verification }) => verification.mode === 'off').length
  const full = tables.filter(({ verification }) => verification.mode === 'full').length
  if (tables.length === 0) return stopped.length > 0 ? 'No table came to its end.' : 'There was nothing to prove.'
  if (off === tables.length) return 'Nothing was verified.'
  const count = new Intl.NumberFormat()
  const what =
    full === tables.length ? 'Both sides are proved equal' : 'The rows that changed are proved equal on both sides'
  const parts = [
    rows === 0 && full < tables.length
      ? 'Nothing had changed, and nothing was to be proved'
      : `${what}: ${count.format(rows)} ${rows === 1 ? 'row' : 'rows'}`,
    ...(off > 0 ? [`${off} of ${tables.length} tables were not verified`] : []),
    ...(since > 0 ? [`${count.format(since)} rows were changed since by others`] : []),
  ]
  return `${parts.join('; ')}.`
}
