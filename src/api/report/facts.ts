import { listAudit, startersOf, type AuditFilter } from '#control/audit-list.ts'
import { batchesOf, countWrites, type KeptBatch, type TableWrites } from '#control/history-list.ts'
import type { HistoryTools } from '#control/history.ts'
import type { Job } from '#control/jobs.ts'
import { groupRejections, type RejectionGroup } from '#control/rejection-list.ts'
import type { AuditEventRow } from '#control/schema.ts'
import { getConfig } from '#control/sync-configs.ts'
import { getDatasource } from '#control/datasources.ts'
import { nullIfMissing } from '#api/visible.ts'
import { ADMIN_NOUNS, presentChange } from '#api/present-audit.ts'
import { scopeOf } from '#jobs/quarantine.ts'
import { includesRole, type Actor } from '#model/access.ts'
import { toConduct, type Conduct } from '#model/config-document.ts'
import type { Receipt, TableReceipt } from '#model/receipt.ts'

/** What a report of a job says, whatever its form. Everything but the changes, which are read as they are written out. */
export interface ReportFacts {
  readonly generatedAt: string
  readonly generatedBy: string
  readonly job: Job
  /** Null where the log does not go back so far. */
  readonly startedBy: string | null
  readonly config: { readonly id: string; readonly name: string | null; readonly version: number | null } | null
  readonly source: ReportEnd
  readonly target: ReportEnd
  readonly level: Conduct['auditLevel']
  readonly valuesShown: boolean
  readonly tables: readonly TableReceipt[]
  readonly written: readonly TableWrites[]
  /** Rows that the job set aside first or last, and that are still known, by what caused them. */
  readonly rejections: readonly RejectionGroup[]
  readonly notes: readonly string[]
}

export interface ReportEnd {
  readonly id: string
  /** Null where the datasource is gone. */
  readonly name: string | null
  /** As the receipt has it; null without one. */
  readonly address: string | null
}

export interface ReportTools extends HistoryTools {
  readonly actor: Actor
}

export async function reportFacts({ store, actor }: ReportTools, job: Job): Promise<ReportFacts> {
  const receipt = receiptOf(job)
  const end = async (id: string, address: string | null): Promise<ReportEnd> => {
    const found = await getDatasource(store, id).catch(nullIfMissing)
    return { id, name: found?.name ?? null, address }
  }
  const starter = (await startersOf(store, [job.id])).get(job.id)
  const config = job.configId === null ? null : await getConfig(store, job.configId).catch(nullIfMissing)
  return {
    generatedAt: store.clock.now(),
    generatedBy: actor.name,
    job,
    startedBy: starter?.name ?? null,
    config:
      job.configId === null
        ? null
        : { id: job.configId, name: config?.document.name ?? null, version: job.configVersion },
    source: await end(job.sourceDatasourceId, receipt?.source.address ?? null),
    target: await end(job.targetDatasourceId, receipt?.target.address ?? null),
    level: toConduct(job.request.policies).auditLevel,
    valuesShown: includesRole(actor.role, 'operator'),
    tables: receipt?.tables ?? [],
    written: await countWrites(store, { concerns: [{ kind: 'job', id: job.id }] }),
    rejections: await groupRejections(store, { scope: scopeOf(job), jobId: job.id }),
    notes: [...notesOf(job), ...(receipt?.notes ?? [])],
  }
}

function receiptOf({ kind, request, result }: Job): Receipt | null {
  return writes({ kind, request }) && result !== null ? (result as Receipt) : null
}

function writes({ kind, request }: Pick<Job, 'kind' | 'request'>): boolean {
  return (kind === 'sync' || kind === 'revert') && !request.dryRun
}

function notesOf({ status, kind, request }: Job): string[] {
  if (!writes({ kind, request })) return ['The job was to write nothing.']
  const { auditLevel: level } = toConduct(request.policies)
  const notes: string[] = []
  if (level === 'none' || level === 'summary') {
    notes.push(`The audit level is ${level}: no changes of rows were kept.`)
  }
  if (level === 'standard') notes.push('The audit level is standard: operations and keys were kept, rows were not.')
  if (status !== 'succeeded') {
    notes.push(
      `The job is ${status}: the last batches of each table were told before their COMMIT, and may not have been committed.`,
    )
  }
  return notes
}

const EVENTS = 500

/** The events of a job that the caller may see, the oldest first. */
export async function* eventsOf({ store, actor }: ReportTools, jobId: string): AsyncGenerator<AuditEventRow> {
  const filter: AuditFilter = {
    concerns: [{ kind: 'job', id: jobId }],
    ...(includesRole(actor.role, 'admin') ? {} : { without: ADMIN_NOUNS }),
  }
  for (let after: number | null = null; ;) {
    const page: readonly AuditEventRow[] = await listAudit(store, filter, { oldestFirst: true, after, limit: EVENTS })
    yield* page
    const last = page.at(-1)
    if (page.length < EVENTS || last === undefined) return
    after = last.seq
  }
}

export type ReportChange = ReturnType<typeof presentChange>

/** Everything that a job wrote, in order, as the caller may see it. */
export async function* changesIn(tools: ReportTools, jobId: string): AsyncGenerator<ReportChange> {
  const withValues = includesRole(tools.actor.role, 'operator')
  for await (const batch of batchesOf(tools, jobId)) yield* changesOfBatch(batch, withValues)
}

function* changesOfBatch(batch: KeptBatch, withValues: boolean): Generator<ReportChange> {
  if (batch.kind === 'load' || batch.changes === null) yield presentChange({ batch, change: null }, withValues)
  else for (const change of batch.changes) yield presentChange({ batch, change }, withValues)
}
