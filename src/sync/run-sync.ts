import type { Adapter, CommittedCounts, PendingDdl, Writer } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import { backoffMs } from '#lib/backoff.ts'
import { delay, type Clock } from '#lib/clock.ts'
import { allEnded, runApart, runInOrder, Slots } from '#lib/slots.ts'
import { addCounts, NO_COUNTS } from '#model/counts.ts'
import { AppError, EXIT, type ErrorCode } from '#model/errors.ts'
import type { Receipt, TableReceipt, Verification } from '#model/receipt.ts'
import { needsBaseline, type SyncConfig } from '#model/sync-config.ts'
import { sameTable, tableId, tableName, type TableSchema } from '#model/table.ts'
import { closeAccount } from './account.ts'
import { checkBrakes, type Intent } from './brakes.ts'
import type { Journal } from './journal.ts'
import { orderTables } from './order.ts'
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
const BACKOFF = { firstMs: 500, ceilingMs: 5_000 }

/** A server that cannot be reached is waited for this long, so that it may restart under a run. */
const RESTART_MS = 60_000
const UNREACHABLE: readonly ErrorCode[] = [
  'connection_lost',
  'connection_refused',
  'connection_timeout',
  'server_unavailable',
]

/**
 * Brings the target in step with the source, once. Interrupted at any instant, it can be called again: it goes on from
 * what was committed, and neither loses nor repeats anything (invariants 1, 2, 8).
 * @throws AppError; nothing of the batch in hand was committed then
 */
export async function runSync(request: SyncRequest, tools: RunTools): Promise<Receipt> {
  const { journal, clock, signal } = tools
  let prepared = false
  for (let attempt = 1, fruitless = 1, failingSince: number | null = null; ; attempt++, fruitless++) {
    const progress = { committed: false }
    try {
      if (!prepared) await prepare(request, tools)
      prepared = true
      return await attemptSync(request, tools, progress)
    } catch (error) {
      // A table that never proves equal is written anew each time, and gets nowhere by that.
      const proved = !(error instanceof AppError && error.code === 'verification_failed')
      if (progress.committed && proved) {
        fruitless = 1
        failingSince = null
      }
      failingSince ??= clock.elapsed()
      const worthwhile = error instanceof AppError && error.retry === 'later' && error.code !== 'already_running'
      if (signal.aborted || !worthwhile) throw error
      const restarting = UNREACHABLE.includes(error.code) && clock.elapsed() - failingSince < RESTART_MS
      if (fruitless >= ATTEMPTS && !restarting) throw asLost(error)
      const afterMs = backoffMs(BACKOFF, fruitless, Math.random())
      journal.record({ type: 'retry', attempt, afterMs, reason: error.message })
      await delay(afterMs, signal)
    }
  }
}

/** Both ends were reached when the run began: what cannot be connected any more has been lost. */
function asLost(error: AppError): AppError {
  if (error.exit !== EXIT.cannotConnect) return error
  return new AppError('connection_lost', error.message, { hint: error.hint, cause: error })
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
    journal.record({
      type: 'note',
      text: `The source's clock is off by ${Math.round(source.server.clockSkewMs / 1000)} s.`,
    })
  }
}

/** Only a proof refuses: a mark that is planted in the target is seen in the source (clones share identifiers). */
export async function refuseSameDatabase(source: Adapter, target: Adapter): Promise<void> {
  await using mark = await target.plantMark()
  if (await source.seesMark(mark.id)) {
    throw new AppError('same_database', `${source.server.address} and ${target.server.address} are the same database.`)
  }
}

async function attemptSync(request: SyncRequest, tools: RunTools, progress: { committed: boolean }): Promise<Receipt> {
  const { source, target, config } = request
  const startedAt = tools.clock.now()
  const writer = must(target.writer, 'a target that is opened for writing')
  using staging = tools.openStaging()
  const before = await selectTables(request, config)
  await writer.keepOthersOut(before.plans.map((plan) => plan.mappingId))
  await completeIndexes(writer, before)
  const selection = await decideTriggers(writer, await selectTables(request, config))
  const { journal } = tools
  const stop = new AbortController()
  const signal = AbortSignal.any([tools.signal, stop.signal])
  await using moment = await source.snapshot(2 * config.parallel, signal)
  const attempt: Attempt = {
    source: moment,
    target,
    config,
    staging,
    journal,
    signal,
    stop,
    slots: new Slots(config.parallel),
  }
  announce(selection, journal)

  const detected = await detectAll(selection, attempt)
  checkBrakes(detected.intents, config)
  const tables = await createMissing(detected.tables, selection, { request, attempt, writer })
  await claimAll(tables, { request, jobId: tools.newJobId() })
  try {
    await writeAll(tables, attempt, writer)
  } finally {
    progress.committed = tables.some((table) => table.outcome.batches > 0)
  }
  const sequencesAdvanced = await advanceSequences(tables, attempt)
  const verified = await verifyAll(tables, attempt)
  await refuseDrift(tables, request)
  const committed = await writer.finish(
    tables.map((table) => table.claim),
    { position: moment.position, verified: verified.proved },
  )
  const receipts = tables.map((table, i) =>
    tableReceipt(table, {
      committed: must(committed[i], 'the counters of a claim'),
      verification: must(verified.of.get(table), 'a verification'),
    }),
  )
  return {
    jobId: must(tables[0], 'a table').claim.jobId,
    startedAt,
    finishedAt: tools.clock.now(),
    dryRun: false,
    source: { address: source.server.address, product: source.server.product, position: moment.position },
    target: { address: target.server.address, product: target.server.product },
    completeness: 'exact',
    tables: receipts,
    counts: receipts.reduce((sum, table) => addCounts(sum, table.counts), NO_COUNTS),
    sequencesAdvanced,
    notes: selection.notes,
  }
}

/** Detection of all tables, over one moment of each side. */
export async function detectAll(
  selection: Selection,
  attempt: Attempt,
): Promise<{ tables: readonly TableSync[]; intents: readonly Intent[] }> {
  const { target, config, slots, signal, stop } = attempt
  // A table under comparison may ask for its baseline while it reads its buckets.
  const connections = 2 * config.parallel
  const tables = selection.plans.map((plan) => new TableSync(plan, attempt))
  await using moment = await target.snapshot(connections, signal)
  const exists = (table: TableSync): boolean => !selection.missing.some((ref) => sameTable(ref, table.plan.target.ref))
  await allEnded(
    tables.map((table) => slots.use(() => table.detect(moment, exists(table)))),
    stop,
  )
  const known = await moment.knownMappings(selection.plans.map((plan) => plan.mappingId))
  const intents = tables.flatMap(({ plan, detection }) =>
    detection === null ? [] : [{ plan, detection, firstContact: !known.has(plan.mappingId) }],
  )
  return { tables, intents }
}

/** Makes the missing tables and plans them again, against what the target has now. */
async function createMissing(
  tables: readonly TableSync[],
  { missing }: Selection,
  { request, attempt, writer }: { request: SyncRequest; attempt: Attempt; writer: Writer },
): Promise<TableSync[]> {
  if (missing.length === 0) return [...tables]
  const { source, target, config } = request
  for (const table of missing)
    attempt.journal.record({ type: 'phase', table, phase: 'create', total: null, estimated: false })
  const ddl = await must(source.ddl, 'the definitions of tables')(missing, attempt.source, target.server)
  for (const text of ddl.notes) attempt.journal.record({ type: 'note', text })
  await writer.tables.create(ddl)
  for (const table of missing) attempt.journal.record({ type: 'phase done', table, phase: 'create' })
  const isNew = (plan: TablePlan): boolean => missing.some((ref) => sameTable(ref, plan.target.ref))
  const { plans } = await selectTables({ source, target }, config)
  const made = plans.filter(isNew).map((plan) => new TableSync(plan, attempt))
  for (const table of made) table.bulk = true
  return [...tables.filter((table) => !isNew(table.plan)), ...made]
}

async function claimAll(
  tables: readonly TableSync[],
  { request, jobId }: { request: SyncRequest; jobId: string },
): Promise<void> {
  const { source, target, config } = request
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
    table.claim = must(
      claims.find((claim) => claim.mappingId === table.plan.mappingId),
      'a claim for every mapping',
    )
  }
}

/**
 * Everything that is written, in the order that foreign keys ask for: deletes, children first; then loads and writes,
 * parents first, each table followed by its own indexes; then what another row was in the way of; then foreign keys of
 * new tables.
 */
async function writeAll(
  tables: readonly TableSync[],
  { slots, journal, stop }: Attempt,
  writer: Writer,
): Promise<void> {
  const order = rank(tables)
  const parents = (table: TableSync): TableSync[] =>
    tables.filter((other) => isParent(other, table) && order(other) < order(table))
  const children = (table: TableSync): TableSync[] =>
    tables.filter((other) => isParent(table, other) && order(other) > order(table))
  await runInOrder(tables, { after: children, stop }, (table) => slots.use(() => table.delete()))
  const pending = ofTables(await writer.tables.pending(), tables)
  const isOwn = ({ stage, tables: [ref, ...more] }: PendingDdl): boolean =>
    stage === 'after data' && more.length === 0 && tables.some(({ plan }) => ref && sameTable(plan.target.ref, ref))
  // What concerns several tables, or a partition that is no table of the run, comes when all rows are there.
  const [own, shared] = split(pending, isOwn)
  await runInOrder(tables, { after: parents, stop }, async (table) => {
    await table.load()
    await slots.use(() => table.write(), table.weight)
    const mine = own.filter((statement) => statement.tables.some((ref) => sameTable(ref, table.plan.target.ref)))
    if (mine.length > 0) await slots.use(() => carryOut(mine, table, { journal, writer }), table.weight)
  })
  await settleAll(tables)
  const [others, foreignKeys] = split(shared, (statement) => statement.stage === 'after data')
  for (const statement of others) await writer.tables.carryOut(statement)
  // A foreign key locks both its tables against every other.
  await runApart(foreignKeys, { holds: ({ tables: locked }) => locked.map(tableId), stop }, (statement) =>
    slots.use(() => writer.tables.carryOut(statement)),
  )
}

/** What one table lets go may be what a row of another waits for: all are tried while one of them gets on. */
async function settleAll(tables: readonly TableSync[]): Promise<void> {
  const waiting = (): number => tables.reduce((sum, table) => sum + table.waiting, 0)
  const retry = async (): Promise<void> => {
    for (let before = Infinity; waiting() > 0 && waiting() < before;) {
      before = waiting()
      for (const table of tables) await table.applyLater()
    }
  }
  await retry()
  if (waiting() > 0) {
    for (const table of tables) await table.untie()
    await retry()
  }
  for (const table of tables) await table.settle()
}

async function carryOut(
  statements: readonly PendingDdl[],
  table: TableSync,
  { journal, writer }: { journal: Journal; writer: Writer },
): Promise<void> {
  const ref = table.plan.target.ref
  journal.record({ type: 'phase', table: ref, phase: 'index', total: statements.length, estimated: false })
  for (const statement of statements) {
    await writer.tables.carryOut(statement)
    journal.record({ type: 'progress', table: ref, phase: 'index', rows: 1, bytes: 0 })
  }
  journal.record({ type: 'phase done', table: ref, phase: 'index' })
}

/** Indexes that a killed run had still to make: without them rows could not be found by key. Foreign keys wait. */
async function completeIndexes(writer: Writer, { plans }: Selection): Promise<void> {
  const pending = await writer.tables.pending()
  const targets = plans.map((plan) => plan.target)
  for (const statement of pending) {
    if (statement.stage === 'after data' && concerns(statement, targets)) await writer.tables.carryOut(statement)
  }
}

function ofTables(pending: readonly PendingDdl[], tables: readonly TableSync[]): readonly PendingDdl[] {
  const targets = tables.map((table) => table.plan.target)
  return pending.filter((statement) => concerns(statement, targets))
}

function concerns(statement: PendingDdl, targets: readonly TableSchema[]): boolean {
  return statement.tables.every((ref) =>
    targets.some((table) => [table.ref, ...table.partitions].some((own) => sameTable(own, ref))),
  )
}

/** Silences triggers where the role may and no foreign key would fall silent with them; says so, or says they fire. */
async function decideTriggers(writer: Writer, selection: Selection): Promise<Selection> {
  const notes = [...selection.notes]
  const affected = selection.plans.filter((plan) => plan.target.triggers.length > 0)
  if (affected.length === 0) return selection
  const may = await writer.maySilenceTriggers()
  const plans = selection.plans.map((plan) => {
    const { triggers, foreignKeys, referenced, ref } = plan.target
    if (triggers.length === 0) return plan
    const silence = may && foreignKeys.length === 0 && !referenced
    const names = triggers.join(', ')
    notes.push(
      silence
        ? `Triggers and rules of ${tableName(ref)} do not fire for this run: ${names}.`
        : `Triggers and rules of ${tableName(ref)} fire for what this run writes: ${names}.`,
    )
    return { ...plan, write: { ...plan.write, silenceTriggers: silence } }
  })
  return { ...selection, plans, notes }
}

export function announce({ plans, notes }: Selection, journal: Journal): void {
  journal.record({ type: 'planned', tables: plans.map((plan) => plan.target.ref), notes })
}

async function advanceSequences(tables: readonly TableSync[], { source, target }: Attempt): Promise<number> {
  let moved = 0
  for (const { plan } of tables) {
    if (!plan.target.columns.some((column) => column.sequence !== null)) continue
    const states = await source.sequences(plan.source.ref)
    const named = states.flatMap((state) => {
      const position = plan.sourceScan.columns.findIndex((column) => column.name === state.column)
      const column = plan.write.scan.columns[position]?.name
      return column === undefined ? [] : [{ ...state, column }]
    })
    moved += await must(target.writer, 'a writer').advanceSequences(plan.target.ref, named)
  }
  return moved
}

/** The proofs, over one moment of the target; a table that is proved whole fills its baseline from that very moment. */
async function verifyAll(
  tables: readonly TableSync[],
  attempt: Attempt,
): Promise<{ of: ReadonlyMap<TableSync, Verification>; proved: readonly string[] }> {
  const { target, config, slots, signal, stop } = attempt
  const of = new Map<TableSync, Verification>()
  const proved: string[] = []
  await using moment = await target.snapshot(config.parallel, signal)
  const verify = async (table: TableSync): Promise<void> => {
    const verification = await table.verify(moment)
    of.set(table, verification)
    if (verification.mode !== 'full' || verification.changedSince > 0) return
    proved.push(table.claim.mappingId)
    if (!table.plan.write.baseline || table.claim.baselineComplete) return
    await must(target.writer, 'a writer').adopt(table.claim, table.plan.write, { moment, except: table.keysApart() })
  }
  await allEnded(
    tables.map((table) => slots.use(() => verify(table))),
    stop,
  )
  return { of, proved }
}

/** A table that changed its shape under the run was read or written by a plan that no longer holds (hazard D10). */
async function refuseDrift(tables: readonly TableSync[], { source, target }: SyncRequest): Promise<void> {
  const now = await Promise.all([
    source.describe(tables.map(({ plan }) => plan.source.ref)),
    target.describe(tables.map(({ plan }) => plan.target.ref)),
  ])
  for (const { plan } of tables) {
    for (const [side, before] of [plan.source, plan.target].entries()) {
      const after = now[side]?.find((table) => sameTable(table.ref, before.ref))
      if (after !== undefined && JSON.stringify(after.columns) === JSON.stringify(before.columns)) continue
      throw new AppError(
        'schema_changed',
        `${tableName(before.ref)} changed its columns while the run was under way.`,
        {
          retry: 'later',
        },
      )
    }
  }
}

function tableReceipt(
  table: TableSync,
  { committed, verification }: { committed: CommittedCounts; verification: Verification },
): TableReceipt {
  const { plan, outcome, detection, loaded, bulk, claim } = table
  const counts = closeAccount({ plan, detection, loaded, outcome, before: claim.committed, committed })
  return {
    source: plan.source.ref,
    target: plan.target.ref,
    key: plan.sourceScan.columns.slice(0, plan.sourceScan.keyLength).map((column) => column.name),
    counts,
    targetOnly: detection?.kept ?? 0,
    bulkLoaded: bulk,
    verification,
    rejections: [...outcome.rejections, ...outcome.incomplete],
    batches: committed.batches,
  }
}

/** A place for every table, parents before children; inside a ring of foreign keys any order serves. */
function rank(tables: readonly TableSync[]): (table: TableSync) => number {
  const { groups } = orderTables(tables.map((table) => table.plan.target))
  const places = new Map(groups.flat().map((schema, place) => [tableId(schema.ref), place]))
  return (table) => places.get(tableId(table.plan.target.ref)) ?? 0
}

function isParent(parent: TableSync, child: TableSync): boolean {
  return child.plan.target.foreignKeys.some((key) => sameTable(key.parent, parent.plan.target.ref))
}

function split<T>(items: readonly T[], belongs: (item: T) => boolean): [T[], T[]] {
  return [items.filter(belongs), items.filter((item) => !belongs(item))]
}
