import type { Adapter, Claim, CommittedCounts, PendingDdl, Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { backoffMs } from '#lib/backoff.ts'
import { delay, type Clock } from '#lib/clock.ts'
import { allEnded, runInOrder, Slots } from '#lib/slots.ts'
import { addCounts, NO_COUNTS } from '#model/counts.ts'
import { AppError } from '#model/errors.ts'
import type { Receipt, TableReceipt, Verification } from '#model/receipt.ts'
import { needsBaseline, type SyncConfig } from '#model/sync-config.ts'
import { sameTable, tableId, tableName, type TableSchema } from '#model/table.ts'
import { closeAccount } from './account.ts'
import { checkBrakes } from './brakes.ts'
import type { Journal } from './journal.ts'
import type { TablePlan } from './plan.ts'
import { selectTables, type Selection } from './select-tables.ts'
import type { Staging } from './staging.ts'
import { TableSync, type Attempt } from './sync-table.ts'

export interface SyncRequest {
  readonly source: Adapter
  /** Opened for writing, unless it is a dry run. */
  readonly target: Adapter
  readonly config: SyncConfig
}

/** What a run needs of the world. */
export interface RunTools {
  readonly openStaging: () => Staging
  readonly journal: Journal
  readonly clock: Clock
  readonly newJobId: () => string
  readonly signal: AbortSignal
}

/** A failed run is tried again so often without having got anywhere; then it fails. */
const ATTEMPTS = 3
const BACKOFF = { firstMs: 500, ceilingMs: 10_000 }

/**
 * Brings the target in step with the source, once. Interrupted at any instant, it can be called again: it goes on from
 * what was committed, and neither loses nor repeats anything (invariants 1, 2, 8).
 * @throws AppError; nothing of the batch in hand was committed then
 */
export async function runSync(request: SyncRequest, tools: RunTools): Promise<Receipt> {
  const { journal, signal } = tools
  await prepare(request, tools)
  for (let attempt = 1, fruitless = 1; ; attempt++, fruitless++) {
    const progress = { committed: false }
    try {
      return await attemptSync(request, tools, progress)
    } catch (error) {
      if (progress.committed) fruitless = 1
      const worthwhile = error instanceof AppError && error.retry === 'later' && error.code !== 'already_running'
      if (signal.aborted || !worthwhile || fruitless >= ATTEMPTS) throw error
      const afterMs = backoffMs(BACKOFF, fruitless, Math.random())
      journal.record({ type: 'retry', attempt, afterMs, reason: error.message })
      await delay(afterMs, signal)
    }
  }
}

/** Refuses what must not run at all. */
async function prepare({ source, target, config }: SyncRequest, { journal }: RunTools): Promise<void> {
  await refuseSameDatabase(source, target)
  if (target.writer === null) return
  if (target.server.readOnly !== null) {
    throw new AppError('read_only_server', `${target.server.address} cannot be written: ${target.server.readOnly}.`)
  }
  if (config.create && target.writer !== null && source.ddl === null) {
    throw new AppError('create_failed', 'Tables of this kind of source cannot be created.')
  }
  if (Math.abs(source.server.clockSkewMs) > 5_000) {
    journal.record({ type: 'note', text: `The source's clock is off by ${Math.round(source.server.clockSkewMs / 1000)} s.` })
  }
}

/** Only a proof refuses: a mark that is planted in the target is seen in the source (clones share identifiers). */
export async function refuseSameDatabase(source: Adapter, target: Adapter): Promise<void> {
  await using mark = await target.plantMark()
  if (await source.seesMark(mark.id)) {
    throw new AppError('same_database', `${source.server.address} and ${target.server.address} are the same database.`)
  }
}

async function attemptSync(
  { source, target, config }: SyncRequest,
  tools: RunTools,
  progress: { committed: boolean },
): Promise<Receipt> {
  const startedAt = tools.clock.now()
  const writer = must(target.writer, 'a target that is opened for writing')
  const slots = new Slots(config.parallel)
  using staging = tools.openStaging()
  const first = await selectTables({ source, target }, config)
  await completeIndexes(writer.tables, first, slots)
  await using moment = await source.snapshot(config.parallel + 1, tools.signal)
  const { journal, signal } = tools
  const attempt: Attempt = { source: moment, target, config, staging, journal, slots, signal }

  const dry = first.plans.map((plan) => new TableSync(plan, attempt))
  journal.record({ type: 'planned', tables: first.plans.map((plan) => plan.target.ref), notes: first.notes })
  await detectAll(dry, first, { target, config, slots, signal })
  const known = await target.state(first.plans.map((plan) => plan.mappingId))
  checkBrakes(
    dry.flatMap(({ plan, detection }) =>
      detection === null ? [] : [{ plan, detection, firstContact: !known.has(plan.mappingId) }],
    ),
    config,
  )

  const tables = await create(dry, first, { source, target, config, attempt, journal })
  await claimAll(tables, target, { source, config, jobId: tools.newJobId() })
  progress.committed = tables.some((table) => table.claim.committed.batches > 0)
  try {
    await writeAll(tables, writer.tables, slots)
  } finally {
    progress.committed ||= tables.some((table) => table.outcome.batches > 0)
  }
  const sequencesAdvanced = await advanceSequences(tables, attempt)
  const { receipts, verified } = await verifyAll(tables, attempt)
  const committed = await writer.finish(tables.map((table) => table.claim), { position: moment.position, verified })
  return toReceipt({ tables, receipts, committed }, { startedAt, source, target, attempt, sequencesAdvanced, tools, notes: first.notes })
}

/** Detection of all tables, over one moment of each side. */
async function detectAll(
  tables: readonly TableSync[],
  selection: Selection,
  { target, config, slots, signal }: { target: Adapter; config: SyncConfig; slots: Slots; signal: AbortSignal },
): Promise<void> {
  await using moment = await target.snapshot(config.parallel, signal)
  const exists = (table: TableSync): boolean => !selection.missing.some((ref) => sameTable(ref, table.plan.target.ref))
  await allEnded(tables.map((table) => slots.use(() => table.detect(moment, exists(table)))))
}

/** Makes the missing tables and plans them again, against what the target has now. */
async function create(
  tables: readonly TableSync[],
  { missing }: Selection,
  with_: { source: Adapter; target: Adapter; config: SyncConfig; attempt: Attempt; journal: Journal },
): Promise<TableSync[]> {
  const { source, target, config, attempt, journal } = with_
  if (missing.length === 0) return [...tables]
  const ddl = await must(source.ddl, 'the definitions of tables')(missing, attempt.source, target.server)
  for (const text of ddl.notes) journal.record({ type: 'note', text })
  await must(target.writer, 'a writer').tables.create(ddl)
  const { plans } = await selectTables({ source, target }, config)
  return plans.map((plan) => {
    const known = tables.find((table) => sameTable(table.plan.target.ref, plan.target.ref))
    if (known !== undefined && !missing.some((ref) => sameTable(ref, plan.target.ref))) return known
    const made = new TableSync(plan, attempt)
    made.bulk = true
    return made
  })
}

async function claimAll(
  tables: readonly TableSync[],
  target: Adapter,
  { source, config, jobId }: { source: Adapter; config: SyncConfig; jobId: string },
): Promise<void> {
  const claims = await must(target.writer, 'a writer').claim(
    tables.map(({ plan }) => ({
      mappingId: plan.mappingId,
      source: `${source.server.identity} ${tableName(plan.source.ref)}`,
      target: plan.target.ref,
      mappingHash: plan.mappingHash,
      key: plan.write.scan.columns.slice(0, plan.write.scan.keyLength).map((column) => column.name),
      baseline: needsBaseline(config),
    })),
    jobId,
  )
  for (const table of tables) {
    table.claim = must(claims.find((claim) => claim.mappingId === table.plan.mappingId), 'a claim for every mapping')
  }
}

/** Loads and writes: deletes children first, everything else parents first, foreign keys of new tables at the end. */
async function writeAll(tables: readonly TableSync[], maker: NonNullable<Adapter['writer']>['tables'], slots: Slots): Promise<void> {
  const parents = (table: TableSync): TableSync[] => tables.filter((other) => other !== table && isParent(other, table))
  const children = (table: TableSync): TableSync[] => tables.filter((other) => other !== table && isParent(table, other))
  const pending = await maker.pending()
  await runInOrder(acyclic(tables, children), children, (table) => slots.use(() => table.delete()))
  void parents
  void pending
}

function isParent(parent: TableSync, child: TableSync): boolean {
  return child.plan.target.foreignKeys.some((key) => sameTable(key.parent, parent.plan.target.ref))
}
