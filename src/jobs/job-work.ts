import type { Adapter, CommittedCounts } from '#adapters/adapter.ts'
import { recordConnectionFailure, recordConnectionSuccess } from '#control/breakers.ts'
import { getDatasource } from '#control/datasources.ts'
import { openChangeSet } from '#control/change-sets.ts'
import type { ChangeSetTools } from '#control/change-set-tools.ts'
import type { Job } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { writtenJob } from '#control/written-job.ts'
import { must } from '#lib/assert.ts'
import type { Clock } from '#lib/clock.ts'
import type { SecretBox } from '#lib/secret-box.ts'
import { toConduct, toPolicies, toTableChoice, type Conduct } from '#model/config-document.ts'
import { addCounts, countsOfWritten, type Counts } from '#model/counts.ts'
import type { Datasource } from '#model/datasource.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import { toJobError } from '#model/job.ts'
import type { JobRequest } from '#model/job-request.ts'
import type { Receipt } from '#model/receipt.ts'
import { publicReason } from '#model/rejection.ts'
import { NO_OWN_DETECTION, type SyncConfig, type TableMapping } from '#model/sync-config.ts'
import { atHome, sameTable, type TableRef } from '#model/table.ts'
import { formatTableName, parsePattern, parseTableName, type TableChoice } from '#model/table-pattern.ts'
import { chooseTables } from '#sync/choose-tables.ts'
import { compareDatabases } from '#sync/compare-databases.ts'
import type { Journal } from '#sync/journal.ts'
import { planRevert } from '#sync/plan-revert.ts'
import { previewSync } from '#sync/preview-sync.ts'
import { validateSchema } from '#sync/validate-schema.ts'
import { runSync, type RunIdentity, type RunTools } from '#sync/run-sync.ts'
import type { Replay } from '#sync/quarantine.ts'
import type { Staging } from '#sync/staging.ts'
import { conflictsOf } from './conflicts.ts'
import { fitPolicies } from './connections.ts'
import { fromStore } from './from-store.ts'
import { copyWork } from './copy-work.ts'
import { drillWork } from './drill-work.ts'
import type { DumpTools } from './dumps.ts'
import { exportWork } from './export-work.ts'
import { importWork } from './import-work.ts'
import type { OpenDatasource } from './opener.ts'
import { quarantineOf, replayOf } from './quarantine.ts'
import { historyOf } from './history.ts'
import { isReviewed, reviewedWork, type Rest } from './reviewed-work.ts'
import { noteDriftOfJob } from './schema-drift.ts'
import { sourceConsent, writesSource } from './start-job.ts'

/** What the work of a job needs of the world. */
export interface WorkTools {
  readonly store: Store
  readonly openDatasource: OpenDatasource
  readonly openStaging: () => Staging
  readonly maskKey: Uint8Array | null
  readonly box: SecretBox
  readonly changeSets: ChangeSetTools
  readonly dumps: DumpTools
  readonly clock: Clock
  readonly journal: Journal
  /** Resolves when the store has what the journal was told until now. */
  readonly keepJournal: () => Promise<void>
  readonly identity: RunIdentity
  /** Asks the work to stop where it can go on later: after the batch in hand. */
  readonly stop: AbortSignal
  /** Ends every connection. */
  readonly end: AbortSignal
}

/** What a job ended with. */
export interface JobOutcome {
  /** Null where nothing was to be written. */
  readonly counts: Counts | null
  /** A `Receipt`, a `Preview` (its `stop` as a `JobError`), a `Comparison` or a `SchemaValidation`, by kind and request. */
  readonly result: unknown
  /** Why some tables were not brought to their end, or null: the job has failed then, with the receipt of the others. */
  readonly stopped: AppError | null
  /** It has not ended: it waits for an approval, or for decisions. */
  readonly rests: Rest | null
}

/** What a receipt says of rows is for all who may see the job (invariant 7). */
function fitToShow(receipt: Receipt): Receipt {
  const tables = receipt.tables.map((table) => ({
    ...table,
    rejections: table.rejections.map((rejection) => ({ ...rejection, value: null, reason: publicReason(rejection) })),
  }))
  return { ...receipt, tables }
}

/** Differences that are shown of each kind and table. */
const SAMPLES = 20

/** Time for the counts of a validation that is a job. */
const COUNT_MS = 10 * 60_000

const UNREACHABLE: readonly ErrorCode[] = [
  'host_not_found',
  'connection_refused',
  'connection_timeout',
  'connection_lost',
  'server_unavailable',
]

/** Does what a job asks for. @throws AppError */
export async function doWork(job: Job, tools: WorkTools): Promise<JobOutcome> {
  const { kind, request } = job
  if (kind === 'export') return doExport(job, tools)
  if (kind === 'import') return doImport(job, tools)
  if (kind === 'copy') return doCopy(job, tools)
  if (kind === 'drill') return doDrill(job, tools)
  if (isReviewed(job)) return doReviewed(job, tools)
  const write = kind === 'sync' && !request.dryRun
  return withEnds(job, { write, tools }, async (ends) => {
    const run = runToolsOf(job, tools)
    if (kind === 'verify') return found(await compareDatabases({ ...ends, by: 'proof', samples: SAMPLES }, run))
    if (kind === 'validate') {
      const { clock, maskKey, stop: signal } = tools
      return found(await validateSchema(ends, { clock, maskKey, signal, limitMs: COUNT_MS, count: true }))
    }
    if (request.dryRun) return doPreview(job, { ends, run, tools })
    const receipt = await runSync(ends, run)
    const [first] = receipt.stopped
    const result = fitToShow(receipt)
    if (first === undefined) return { ...found(result), counts: receipt.counts }
    // The receipt counts the tables that came to their end; of the others at least what they wrote is known.
    const all = await ends.target.committedBy(tools.identity.id)
    const stopped = new AppError(first.code, first.reason, { hint: first.hint })
    return { ...found(result), counts: withRest(receipt.counts, all), stopped }
  })
}

/** The database is written into a file. */
async function doExport(job: Job, tools: WorkTools): Promise<JobOutcome> {
  const datasource = await fromStore(getDatasource(tools.store, job.sourceDatasourceId))
  await using source = await openEnd('source', datasource, { job, write: false, tools })
  return found(await exportWork(job, { source, datasource, tools }))
}

/** A file is restored into the database. */
async function doImport(job: Job, tools: WorkTools): Promise<JobOutcome> {
  const datasource = await fromStore(getDatasource(tools.store, job.targetDatasourceId))
  const open = (): Promise<Adapter> => openEnd('target', datasource, { job, write: !job.request.dryRun, tools })
  return found(await importWork(job, { open, datasource, tools }))
}

/** One database becomes as the other is. */
async function doCopy(job: Job, tools: WorkTools): Promise<JobOutcome> {
  const [from, to] = await fromStore(
    Promise.all([
      getDatasource(tools.store, job.sourceDatasourceId),
      getDatasource(tools.store, job.targetDatasourceId),
    ]),
  )
  await using source = await openEnd('source', from, { job, write: false, tools })
  await using target = await openEnd('target', to, { job, write: !job.request.dryRun, tools })
  return found(await copyWork(job, { source, target, from, to, tools }))
}

/** A dump is restored beside the database, looked at, and dropped again. */
async function doDrill(job: Job, tools: WorkTools): Promise<JobOutcome> {
  const datasource = await fromStore(getDatasource(tools.store, job.targetDatasourceId))
  await using target = await openEnd('target', datasource, { job, write: true, tools })
  const { result, failure } = await drillWork(job, { target, tools })
  return { ...found(result), stopped: failure }
}

/** Nothing was to be written. */
function found(result: unknown): JobOutcome {
  return { counts: null, result, stopped: null, rests: null }
}

/** What would be done, each change of it, kept to be looked at and approved. */
async function doPreview(
  job: Job,
  { ends, run, tools }: { ends: Ends; run: RunTools; tools: WorkTools },
): Promise<JobOutcome> {
  const { staging } = toConduct(job.request.policies)
  await using set = openChangeSet(tools.changeSets, { jobId: job.id, staging })
  // Its rows are in the change set alone, sealed: what a job ended with is for all who may see the job (invariant 7).
  const { stop, ...preview } = await previewSync(ends, run, { samples: 0, set })
  return found({ ...preview, stop: stop && toJobError(stop) })
}

/** A job whose changes are computed, looked at, and applied as they are. */
async function doReviewed(job: Job, tools: WorkTools): Promise<JobOutcome> {
  const run = runToolsOf(job, tools)
  const { rests, counts, receipt, summary } = await reviewedWork(job, {
    changeSets: tools.changeSets,
    run,
    withEnds: (write, body) => withEnds(job, { write, tools }, body),
    compute: async (ends, set) => {
      const { revert } = job.request
      if (revert !== undefined) {
        const { jobId, keys } = revert
        const tables = revert.tables?.map(parseTableName) ?? null
        return planRevert(ends.target, run, {
          job: await fromStore(writtenJob(tools, jobId)),
          set,
          choice: { tables, keys },
        })
      }
      const { changeSet } = await previewSync(ends, run, { samples: 0, set, quarantining: true })
      return must(changeSet, 'the changes that were kept')
    },
  })
  const result =
    receipt === null
      ? { changeSet: summary, ...earlierOf(job) }
      : { ...fitToShow(receipt), changeSet: summary, ...earlierOf(job) }
  // Whoever rests without having written anything now may have done so before.
  return { counts: counts ?? (rests === null ? null : job.counts), result, stopped: null, rests }
}

/** The receipts of the rounds before this one, after each of which somebody had to decide. */
function earlierOf({ result }: Job): { readonly earlier?: readonly unknown[] } {
  if (typeof result !== 'object' || result === null) return {}
  const { earlier, ...last } = result as { readonly earlier?: readonly unknown[] }
  const own = 'tables' in last ? [last] : []
  const all = [...(earlier ?? []), ...own]
  return all.length === 0 ? {} : { earlier: all }
}

/** What undoes a job can be undone itself. */
function auditLevelOf({ kind, request }: Job): Conduct['auditLevel'] {
  return kind === 'revert' ? 'detailed' : toConduct(request.policies).auditLevel
}

/** What both sides of a job are, opened. */
interface Ends {
  readonly source: Adapter
  readonly target: Adapter
  readonly config: SyncConfig
  readonly replay?: Replay
}

/** Which tables, the change set says. */
function toRevertConfig(request: JobRequest, poolSize: number): SyncConfig {
  const { onReject: _, ...stated } = toPolicies(request.policies)
  const given = { ...stated, direction: 'one_way', conflictStrategy: 'source_wins' } as const
  return {
    ...fitPolicies(given, { document: request.policies, poolSizes: [poolSize] }),
    deletePolicy: 'delete',
    create: false,
    tables: [],
  }
}

async function withEnds<T>(
  job: Job,
  { write, tools }: { write: boolean; tools: WorkTools },
  body: (ends: Ends) => Promise<T>,
): Promise<T> {
  const [from, to] = await fromStore(
    Promise.all([
      getDatasource(tools.store, job.sourceDatasourceId),
      getDatasource(tools.store, job.targetDatasourceId),
    ]),
  )
  // What is undone is read from the target, as it is written there.
  await using source = await openEnd(job.kind === 'revert' ? 'target' : 'source', job.kind === 'revert' ? to : from, {
    job,
    write: write && writesSource(job),
    tools,
  })
  await using target = await openEnd('target', to, { job, write, tools })
  if (job.kind === 'revert') return await body({ source, target, config: toRevertConfig(job.request, to.poolSize) })
  const note = (text: string): void => tools.journal.record({ type: 'note', text })
  const lacks = await noteDriftOfJob(tools.store, job, { source, target })
  const config = await toConfig(job.request, { source, target }, { note, poolSizes: [from.poolSize, to.poolSize] })
  const replay = job.request.replay && replayOf(job, job.request.replay, tools)
  const result = await body({ source, target, config, ...(replay === undefined ? {} : { replay }) })
  // What it has made is known from now on: nobody alters it unseen before the next run.
  if (lacks && !job.request.dryRun) await noteDriftOfJob(tools.store, job, { source, target })
  return result
}

function runToolsOf(job: Job, tools: WorkTools): RunTools {
  return {
    openStaging: tools.openStaging,
    journal: tools.journal,
    clock: tools.clock,
    job: tools.identity,
    signal: tools.stop,
    maskKey: tools.maskKey,
    quarantine: quarantineOf(job, tools),
    conflicts: conflictsOf(job, tools),
    history: historyOf(job, auditLevelOf(job), tools),
  }
}

function withRest(counts: Counts, all: CommittedCounts | null): Counts {
  if (all === null) return counts
  const [inserted, updated, deleted] = [
    all.inserted - counts.inserted,
    all.updated - counts.updated,
    all.deleted - counts.deleted,
  ]
  return addCounts(counts, countsOfWritten({ inserted, updated, deleted }))
}

/** How long a target is asked for what a job has committed. */
const COUNTS_MS = 5_000

/**
 * What a job has committed until now, as the target knows it; null where it was to write nothing, never came to writing,
 * or cannot be asked.
 */
export async function readCommitted(
  job: Job,
  { store, openDatasource }: Pick<WorkTools, 'store' | 'openDatasource'>,
): Promise<Counts | null> {
  if ((job.kind !== 'sync' && job.kind !== 'revert') || job.request.dryRun) return null
  try {
    const datasource = await getDatasource(store, job.targetDatasourceId)
    const consent = { allowProtectedWrite: false, targetNamed: false }
    const signal = AbortSignal.timeout(COUNTS_MS)
    await using target = await openDatasource(datasource, { write: false, consent, signal })
    const committed = await target.committedBy(job.id)
    return committed === null ? null : countsOfWritten(committed)
  } catch {
    // How the job ended is told either way.
    return null
  }
}

/** Says which end could not be opened, and lets the breaker of its datasource know. */
async function openEnd(
  end: 'source' | 'target',
  datasource: Datasource,
  { job, write, tools }: { job: Job; write: boolean; tools: WorkTools },
): Promise<Adapter> {
  const { allowProtectedWrite, targetNamed } = job.request
  try {
    const consent = end === 'source' ? sourceConsent(job.request) : { allowProtectedWrite, targetNamed }
    // It asks the store for the password.
    const adapter = await fromStore(tools.openDatasource(datasource, { write, consent, signal: tools.end }))
    await fromStore(recordConnectionSuccess(tools.store, datasource.id))
    return adapter
  } catch (error) {
    if (!(error instanceof AppError) || tools.end.aborted) throw error
    const { code, message, hint, retry } = error
    if (UNREACHABLE.includes(code)) await fromStore(recordConnectionFailure(tools.store, datasource.id, message))
    throw new AppError(code, `The ${end} ${datasource.name}: ${message}`, { hint, retry, cause: error })
  }
}

/** What the engine is told to do for a request, by the tables of both ends. */
export async function toConfig(
  request: JobRequest,
  ends: { source: Adapter; target: Adapter },
  { note, poolSizes }: { note: (text: string) => void; poolSizes: readonly number[] },
): Promise<SyncConfig> {
  const { onReject: _, ...stated } = toPolicies(request.policies)
  const policies = fitPolicies(
    {
      ...stated,
      // Who replays rows has looked at each of them; what is missing in the target is not made for them.
      ...(request.replay === undefined ? {} : { create: false }),
      ...(request.mode === 'full' ? { detectionStrategy: 'full' as const } : {}),
      approvedDeletes: request.approvedDeletes,
      approvedOverwrites: request.approvedOverwrites,
    },
    { document: request.policies, poolSizes },
  )
  const wanted = request.tables?.map((name) => atHome(parseTableName(name), ends.source.server)) ?? null
  const chosen = await chooseTables(withWanted(toTableChoice(request.policies), wanted), ends, {
    create: policies.create,
    note,
  })
  const tables = wanted === null ? chosen : onlyWanted(chosen ?? [], wanted)
  // Whoever asks for everything means every table, whatever is said of it.
  const whole = request.mode === 'full' && tables !== null
  return { ...policies, tables: whole ? tables.map((each) => ({ ...each, detection: NO_OWN_DETECTION })) : tables }
}

/** A config that names no tables means all of them; then those that are wanted are named. */
function withWanted(choice: TableChoice, wanted: readonly TableRef[] | null): TableChoice {
  if (wanted === null || choice.include.length > 0) return choice
  return {
    ...choice,
    include: wanted.map((ref) => ({
      source: parsePattern(formatTableName(ref)),
      target: null,
      query: null,
    })),
  }
}

function onlyWanted(chosen: readonly TableMapping[], wanted: readonly TableRef[]): readonly TableMapping[] {
  const missing = wanted.find((ref) => !chosen.some(({ source }) => sameTable(source, ref)))
  if (missing !== undefined) {
    throw new AppError('table_not_found', `The sync has no table ${formatTableName(missing)}.`, {
      hint: 'Name tables as they are called in the source, from among those that the sync config picks.',
    })
  }
  return chosen.filter(({ source }) => wanted.some((ref) => sameTable(source, ref)))
}
