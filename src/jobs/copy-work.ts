import type { Adapter } from '#adapters/adapter.ts'
import type { Job } from '#control/jobs.ts'
import { DatabaseCopy } from '#dump/copy-database.ts'
import type { RestorePlan } from '#dump/plan-import.ts'
import { must } from '#lib/assert.ts'
import type { Datasource } from '#model/datasource.ts'
import { AppError, leavesDoubt } from '#model/errors.ts'
import { toJobError, type JobError } from '#model/job.ts'
import type { TableRef } from '#model/table.ts'
import { exportReaders } from './connections.ts'
import {
  announceCommit,
  backUp,
  committedFindings,
  earlierBackup,
  findingsOf,
  sweepBackups,
  wasCommitted,
  type RestoreFindings,
} from './import-work.ts'
import type { WorkTools } from './job-work.ts'

/** What a copy ended with, or would do. */
export interface CopyResult extends RestoreFindings {
  /** The moment of the source that it is of; null where the process is gone that knew. */
  readonly moment: string | null
  /** Rows that were copied; of a dry run, as the source estimates them, null where nobody knows. */
  readonly tables: readonly { readonly table: TableRef; readonly rows: number | null }[]
  readonly rows: number | null
  readonly estimated: boolean
  /** The dump that has what was replaced; null where nothing was. */
  readonly backup: string | null
  readonly notes: readonly string[]
  /** Of a dry run: why it would not be done. */
  readonly refusals: readonly JobError[]
}

export interface CopyEnds {
  readonly source: Adapter
  readonly target: Adapter
  /** The datasources of both. */
  readonly from: Datasource
  readonly to: Datasource
  readonly tools: WorkTools
}

/**
 * Copies one database of a job into the other, once, however often its process dies: see `importWork`. A copy that is begun
 * anew is of a later moment.
 * @throws AppError
 */
export async function copyWork(job: Job, { source, target, from, to, tools }: CopyEnds): Promise<CopyResult> {
  const { journal, maskKey, stop } = tools
  const request = must(job.request.copy, 'what is to be copied')
  const pool = Math.min(from.poolSize, to.poolSize)
  const options = { ...request.options, parallel: exportReaders(request.options, pool) }
  try {
    if (await wasCommitted(job, { target, tools })) {
      return committedEarlier(job, target, await earlierBackup(job, tools))
    }
    await sweepBackups(job, tools)
    await using copy = await DatabaseCopy.open({ source, target }, options, request, { maskKey, signal: stop })
    if (job.request.dryRun) return wouldDo(copy)
    const copied = await copy.run(target, {
      journal,
      agreed: request.agreed ?? null,
      backup: request.backup ? (kept) => backUp(job, kept, { target, datasource: to, tools }) : null,
      beforeCommit: (transaction) => announceCommit(transaction, tools),
    })
    const { tables, rows, notes } = copied
    const { moment, plan } = copy
    return { ...findingsOf(plan), moment, tables, rows, estimated: false, backup: copied.backup, notes, refusals: [] }
  } catch (error) {
    if (!stop.aborted || leavesDoubt(error)) throw error
    throw new AppError('interrupted', 'The copy was interrupted; the target is as it was.', { cause: error })
  }
}

function wouldDo({ moment, plan }: DatabaseCopy): CopyResult {
  const { expected, estimated, notes, refusals } = plan
  const findings = findingsOf(plan)
  const rows = sumOf(expected)
  return {
    ...findings,
    moment,
    tables: expected,
    rows,
    estimated,
    backup: null,
    notes,
    refusals: refusals.map(toJobError),
  }
}

function sumOf(tables: RestorePlan['expected']): number | null {
  return tables.reduce<number | null>((sum, { rows }) => (sum === null || rows === null ? null : sum + rows), 0)
}

/** The source has moved on; what was brought, the progress tells that was kept before the commit. */
function committedEarlier({ progress }: Job, target: Adapter, backup: string | null): CopyResult {
  const tables = (progress?.tables ?? []).map(({ table, rows }) => ({ table, rows }))
  const notes = ['The process that copied it died after the commit: what is told here is what it had kept until then.']
  return {
    ...committedFindings(target),
    moment: null,
    tables,
    rows: progress?.rows ?? null,
    estimated: false,
    backup,
    notes,
    refusals: [],
  }
}
