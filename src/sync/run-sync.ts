import type { Adapter, Horizon, JobIdentity, Snapshot, Writer } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Clock } from '#lib/clock.ts'
import { allEnded, Slots } from '#lib/slots.ts'
import { addCounts, NO_COUNTS } from '#model/counts.ts'
import { AppError } from '#model/errors.ts'
import { weakest, type Receipt, type TableReceipt } from '#model/receipt.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { sameTable, tableName, type TableRef } from '#model/table.ts'
import { advanceReturned, advanceSequences } from './advance-numbers.ts'
import type { Attempt, ChangeSetInHand } from './attempt.ts'
import { checkBrakes, type Intent } from './brakes.ts'
import { claimAll } from './claims.ts'
import { TableFromChangeSet } from './change-set-table.ts'
import type { Conflicts } from './conflicts.ts'
import { closeAll, stoppedTable } from './close-tables.ts'
import { holdAsPlanned, judgeDrift } from './drift.ts'
import type { History } from './history.ts'
import type { Journal } from './journal.ts'
import { JudgedChangeSetTable } from './judged-change-set-table.ts'
import { withPatience } from './patience.ts'
import { seesMoments, type TablePlan } from './plan.ts'
import { concerns, plannedDdl, readMissingDdl, readPendingDdl, refuseOtherDdl, refuseUnseenDdl } from './plan-ddl.ts'
import { refuseWriting } from './plan-requests.ts'
import { selectForRevert } from './plan-revert.ts'
import type { Quarantine, Replay } from './quarantine.ts'
import { TableReplay } from './replay-table.ts'
import { refuseSameDatabase } from './same-database.ts'
import { selectTables, type Selection } from './select-tables.ts'
import { isJudgedAgain } from './stages/keep-changes.ts'
import { PIECE_BYTES } from './stages/load.ts'
import type { Staging } from './staging.ts'
import { TableSync } from './sync-table.ts'
import { ThreeWayTable } from './three-way-table.ts'
import { closeBack, prepareBothWays, refuseReadOnlySource, wayBack, writeBack } from './two-ways.ts'
import { writeAll, writeAtOnce } from './write-tables.ts'

export interface SyncRequest {
  readonly source: Adapter
  /** Opened for writing, unless it is a dry run. */
  readonly target: Adapter
  readonly config: SyncConfig
  /** Only these rows, which were set aside before, are tried again (see `replay-table.ts`). */
  readonly replay?: Replay
  /** Nothing is looked for: these changes, which were decided before, are applied in one transaction. */
  readonly changeSet?: ChangeSetInHand
}

/** What a run needs of the world. */
export interface RunTools {
  readonly openStaging: () => Staging
  readonly journal: Journal
  readonly clock: Clock
  readonly job: RunIdentity
  readonly signal: AbortSignal
  /** By which values are masked and tokenised; null where none was given. */
  readonly maskKey: Uint8Array | null
  /** Where rows go that cannot be carried; null: they are in the receipt alone. */
  readonly quarantine: Quarantine | null
  /** Where what is written is kept; null: nowhere. */
  readonly history: History | null
  /** Where conflicts wait for somebody; null: they are in the receipt alone. */
  readonly conflicts: Conflicts | null
}

/** The job that a run belongs to, and how it makes sure that it may still work for it. */
export interface RunIdentity extends JobIdentity {
  /**
   * Rejects where another process has taken the job. Asked before an older process is ended and once more after the
   * claim: whoever takes the job after that claims after us, and our epoch is over then (invariant 8).
   */
  confirm(): Promise<void>
}

/**
 * Brings the target in step with the source, once. Interrupted at any instant, it can be called again: it goes on from
 * what was committed, and neither loses nor repeats anything (invariants 1, 2, 8).
 * @throws AppError; nothing of the batch in hand was committed then
 */
export async function runSync(request: SyncRequest, tools: RunTools): Promise<Receipt> {
  let prepared = false
  let progress: Progress = { committed: false, planned: [] }
  const attempt = async (): Promise<Receipt> => {
    progress = { committed: false, planned: progress.planned }
    if (!prepared) await prepare(request, tools)
    prepared = true
    return attemptSync(request, tools, progress).catch((error: unknown) => {
      throw request.changeSet === undefined ? error : forGood(error)
    })
  }
  // A table that never proves equal is written anew each time, and gets nowhere by that.
  return withPatience(tools, attempt, (error) => {
    const proved = !(error instanceof AppError && error.code === 'verification_failed')
    return progress.committed && proved
  })
}

/** What a change set has written is not what was decided: another attempt would take its own rows for those of others. */
function forGood(error: unknown): unknown {
  if (!(error instanceof AppError) || error.code !== 'verification_failed') return error
  return new AppError(error.code, error.message, { hint: error.hint, retry: 'never', cause: error })
}

/** Refuses what must not run at all. */
async function prepare(request: SyncRequest, { journal, history }: RunTools): Promise<void> {
  const { source, target, changeSet } = request
  if (!changeSet?.reverting) await refuseSameDatabase(source, target)
  refuseReadOnlySource(request)
  if (target.writer === null) return
  refuseWriting(target.server, { inOne: changeSet !== undefined, images: history?.level === 'images' })
  if (Math.abs(source.server.clockSkewMs) > 5_000) {
    journal.record({
      type: 'note',
      text: `The source's clock is off by ${Math.round(source.server.clockSkewMs / 1000)} s.`,
    })
  }
}

interface Progress {
  /** The attempt has committed something. */
  committed: boolean
  /** What the first attempt of the run planned; empty until then. */
  readonly planned: TablePlan[]
}

async function attemptSync(request: SyncRequest, tools: RunTools, progress: Progress): Promise<Receipt> {
  const { source, target, config } = request
  const startedAt = tools.clock.now()
  const writer = must(target.writer, 'a target that is opened for writing')
  using staging = tools.openStaging()
  const before = await selectFor(request)
  await tools.job.confirm()
  await writer.keepOthersOut(
    before.plans.map((plan) => plan.mappingId),
    tools.job,
  )
  await prepareBothWays(before, request, { ...tools, staging })
  await completeIndexes(writer, before, request)
  const selection = await decideTriggers(writer, await selectFor(request))
  if (progress.planned.length === 0) progress.planned.push(...selection.plans)
  refuseOtherPlan(progress.planned, selection)
  const { journal } = tools
  const stop = new AbortController()
  const signal = AbortSignal.any([tools.signal, stop.signal])
  await using resources = new AsyncDisposableStack()
  const horizon = await horizonOf(source, selection)
  await using moment = await source.snapshot(readersOf(selection, config.parallel), signal)
  await holdAsPlanned(
    moment,
    source,
    selection.plans.map((plan) => plan.source),
  )
  const attempt: Attempt = {
    source: moment,
    horizon,
    target,
    config,
    staging,
    maskKey: tools.maskKey,
    resources,
    quarantine: tools.quarantine,
    conflicts: tools.conflicts,
    clockSkewMs: source.server.clockSkewMs - target.server.clockSkewMs,
    replay: request.replay ?? null,
    changeSet: request.changeSet ?? null,
    listing: false,
    history: tools.history,
    journal,
    signal,
    stop,
    slots: new Slots(config.parallel),
    tableSlots: new Slots(config.parallelTables ?? Infinity),
  }
  announce(selection, journal)

  const detected = await detectAll(selection, attempt)
  const back = detected.moment && (await wayBack(detected.tables, detected.moment, { attempt, request }))
  // Whoever decided on a change set, or on rows that were set aside, has seen them.
  const seen = attempt.replay !== null || attempt.changeSet !== null
  if (!seen) checkBrakes([...detected.intents, ...(back?.intents ?? [])], config)
  const tables = await createMissing(detected.tables, selection, { request, attempt, writer })
  await claimAll(tables, request, tools.job)
  for (const { claim } of tables) await tools.history?.begin(claim.mappingId, claim.committed.batches)
  await addColumns(tables, selection, { request, attempt, writer })
  if (back !== null && back.tables.length > 0) await claimAll(back.tables, back.request, tools.job)
  if (back !== null) await writeBack(back, tables)
  await writeRows(tables, attempt, { writer, progress })
  const sequencesAdvanced =
    (await advanceSequences(tables, attempt)) + (back === null ? 0 : await advanceReturned(back))
  const returned = back === null ? [] : await closeBack(back, tables)
  const told = [...returned, ...(await closeAll(tables, { attempt, request, writer }))]
  await settleChangeSet(tables, attempt, { committed: true })
  return {
    jobId: must(tables[0], 'a table').claim.jobId,
    startedAt,
    finishedAt: tools.clock.now(),
    dryRun: false,
    source: { address: source.server.address, product: source.server.product, position: moment.position },
    target: { address: target.server.address, product: target.server.product },
    completeness: completenessOf(told, selection, { attempt, request }),
    tables: told,
    stopped: tables.flatMap(stoppedTable),
    counts: told.reduce((sum, table) => addCounts(sum, table.counts), NO_COUNTS),
    sequencesAdvanced,
    notes: [...selection.notes, ...notesOf([...(back?.tables ?? []), ...tables])],
  }
}

function notesOf(tables: readonly TableSync[]): string[] {
  return tables.flatMap(({ notes, warnings }) => [...notes, ...warnings])
}

/** Batch by batch, or all at once. @throws AppError `changes_moved`, of which the change set knows then */
async function writeRows(
  tables: readonly TableSync[],
  attempt: Attempt,
  { writer, progress }: { writer: Writer; progress: Progress },
): Promise<void> {
  const wrote = (): boolean => tables.some((table) => table.outcome.batches > 0)
  if (attempt.changeSet === null) {
    try {
      return await writeAll(tables, attempt, writer)
    } finally {
      progress.committed = wrote()
    }
  }
  try {
    await writeAtOnce(tables, attempt, writer)
    progress.committed = wrote()
  } catch (error) {
    const isMoved = error instanceof AppError && error.code === 'changes_moved'
    if (isMoved) await settleChangeSet(tables, attempt, { committed: false })
    // What was told of a transaction that is undone for good was never written; what may come again is told again.
    if (error instanceof AppError && error.retry !== 'later') await forgetTold(tables, attempt)
    throw error
  }
}

async function forgetTold(tables: readonly TableSync[], { history }: Attempt): Promise<void> {
  for (const { claim } of tables) await history?.begin(claim.mappingId, claim.committed.batches)
}

/** Tells the change set what was not applied, and why: rows that moved as they are now. */
async function settleChangeSet(
  tables: readonly TableSync[],
  { changeSet, target, signal }: Attempt,
  { committed }: { committed: boolean },
): Promise<void> {
  if (changeSet === null) return
  const own = tables.filter((table) => table instanceof TableFromChangeSet)
  // Where nothing is decided on again, nobody asks what was written.
  const again = own.some(({ outcome }) => outcome.conflicts.length > 0)
  await using now = await target.snapshot(1, signal)
  for (const table of own) {
    const which = { moment: now, committed, written: committed && again }
    for await (const outcomes of table.outcomes(which)) await changeSet.set.settle(outcomes)
  }
}

function completenessOf(
  told: readonly TableReceipt[],
  { plans }: Selection,
  { attempt, request }: { attempt: Attempt; request: SyncRequest },
): Receipt['completeness'] {
  const whole = attempt.replay === null && seesMoments(plans, request)
  return weakest([whole ? 'exact' : 'bounded', ...told.map(({ sight }) => sight.completeness)])
}

/**
 * How many readers of a moment find work at once: two for each table that is compared, because one under comparison may
 * ask for its baseline while it reads its buckets, and one for each piece that is loaded.
 */
function readersOf({ plans }: Selection, parallel: number): number {
  const pieces = plans.reduce((sum, { source: { bytes } }) => sum + Math.max(1, Math.ceil(bytes / PIECE_BYTES)), 0)
  return 2 * Math.min(parallel, pieces)
}

/** Asked before the snapshot is opened: what is committed in between must be seen by the one or the other (hazard A2). */
export async function horizonOf(source: Adapter, { plans }: Selection): Promise<Horizon | null> {
  return plans.some(({ detecting }) => detecting.cursor !== null) ? await source.horizon() : null
}

/** A run that begins again must mean what it meant: what was altered since is for the next one to plan. */
function refuseOtherPlan(planned: readonly TablePlan[], { plans, missing }: Selection): void {
  for (const first of planned) {
    const again = plans.find(
      (plan) => sameTable(plan.source.ref, first.source.ref) && sameTable(plan.target.ref, first.target.ref),
    )
    // Until it is made, a missing table has the source's definition in the target as well.
    const sides = missing.some((ref) => sameTable(ref, first.target.ref)) ? (['source'] as const) : SIDES
    for (const side of sides) {
      const drift = judgeDrift(first, { side, now: again?.[side], writing: false })
      if ('stop' in drift) throw new AppError('schema_changed', drift.stop)
    }
  }
}

const SIDES = ['source', 'target'] as const

function tableOf(plan: TablePlan, attempt: Attempt): TableSync {
  const { changeSet } = attempt
  if (changeSet !== null) {
    const again = isJudgedAgain(plan) && !changeSet.reverting
    return again ? new JudgedChangeSetTable(plan, attempt, changeSet) : new TableFromChangeSet(plan, attempt, changeSet)
  }
  if (attempt.replay !== null) return new TableReplay(plan, attempt, attempt.replay)
  return plan.threeWay ? new ThreeWayTable(plan, attempt) : new TableSync(plan, attempt)
}

/** Of a change set, the tables that it changes; all of them where it changes nothing, so that this is proved. */
async function selectFor(request: SyncRequest): Promise<Selection> {
  const { changeSet } = request
  if (changeSet?.reverting) return selectForRevert(request, changeSet.summary.tables)
  const selection = await selectTables(request, request.config)
  if (changeSet === undefined) return selection
  const { tables, ddl = [] } = changeSet.summary
  const isAltered = (target: TableRef): boolean => ddl.some((each) => each.tables.some((ref) => sameTable(ref, target)))
  // What the sides agree on without a write is remembered all the same.
  const changed = tables.filter(
    ({ target, inserts, updates, deletes, created, added = [], conflicts }) =>
      created || added.length > 0 || isAltered(target) || inserts + updates + deletes > 0 || conflicts !== undefined,
  )
  const wanted = changed.length === 0 ? tables : changed
  const lost = wanted.find(({ target }) => !selection.plans.some((plan) => sameTable(plan.target.ref, target)))
  if (lost !== undefined) {
    throw new AppError('change_set_outdated', `${tableName(lost.target)} is not a table of the sync any more.`)
  }
  const plans = selection.plans.filter((plan) => wanted.some(({ target }) => sameTable(target, plan.target.ref)))
  return { ...selection, plans }
}

/**
 * What reads of the target at once while a table is compared: its buckets, the rows that turn out to differ and, where both
 * sides are held against it, the baseline. One too few and a table would wait for itself; behind a pooler each is dear.
 */
function readersOfTarget({ threeWay }: TablePlan): number {
  return threeWay ? 3 : 2
}

/** Detection of all tables, over one moment of each side. `look` is called while that moment of the target can be read. */
export async function detectAll(
  selection: Selection,
  attempt: Attempt,
  look?: (tables: readonly TableSync[], target: Snapshot) => Promise<void>,
): Promise<{ tables: readonly TableSync[]; intents: readonly Intent[]; moment: Snapshot | null }> {
  const { target, config, slots, tableSlots, signal, stop } = attempt
  const tables = selection.plans.map((plan) => tableOf(plan, attempt))
  const moment = await target.snapshot(
    Math.max(0, ...selection.plans.map(readersOfTarget)) * Math.min(config.parallel, tables.length),
    signal,
  )
  // What goes back to the source is read out of this very moment.
  const goesBack = selection.plans.some(({ back }) => back !== null)
  await using _ = goesBack ? null : moment
  if (goesBack) attempt.resources.use(moment)
  const exists = (table: TableSync): boolean => !selection.missing.some((ref) => sameTable(ref, table.plan.target.ref))
  await holdAsPlanned(
    moment,
    target,
    tables.filter(exists).map(({ plan }) => plan.target),
  )
  await allEnded(
    tables.map((table) => tableSlots.use(() => slots.use(() => table.detect(moment, exists(table))))),
    stop,
  )
  await look?.(tables, moment)
  const names = ({ mappingId, grownFrom }: TablePlan): string[] => [
    mappingId,
    ...(grownFrom === null ? [] : [grownFrom]),
  ]
  const known = await moment.knownMappings(selection.plans.flatMap(names))
  const intents = tables.flatMap(({ plan, detection }) =>
    detection === null ? [] : [{ plan, detection, firstContact: !names(plan).some((name) => known.has(name)) }],
  )
  return { tables, intents, moment: goesBack ? moment : null }
}

/** Makes the missing tables and plans them again, against what the target has now. */
async function createMissing(
  tables: readonly TableSync[],
  { missing, drafted, added }: Selection,
  { request, attempt, writer }: { request: SyncRequest; attempt: Attempt; writer: Writer },
): Promise<TableSync[]> {
  const { source, target, config } = request
  for (const table of missing)
    attempt.journal.record({ type: 'phase', table, phase: 'create', total: null, estimated: false })
  const ddl = await readMissingDdl({ missing, drafted }, { source, moment: attempt.source, target })
  const seen = attempt.changeSet?.summary.ddl
  if (seen !== undefined) refuseOtherDdl(seen, plannedDdl(ddl, added))
  if (ddl === null) return [...tables]
  // Those of a draft were told with the plan.
  if (drafted === null) for (const text of ddl.notes) attempt.journal.record({ type: 'note', text })
  await writer.tables.create(ddl)
  for (const table of missing) attempt.journal.record({ type: 'phase done', table, phase: 'create' })
  const isNew = (plan: TablePlan): boolean => missing.some((ref) => sameTable(ref, plan.target.ref))
  const { plans } = await selectTables({ source, target }, config)
  const made = plans.filter(isNew).map((plan) => tableOf(plan, attempt))
  if (attempt.changeSet === null) for (const table of made) table.bulk = true
  else {
    await using now = await target.snapshot(1, attempt.signal)
    for (const table of made) await table.detect(now, true)
  }
  return [...tables.filter((table) => !isNew(table.plan)), ...made]
}

/**
 * Gives tables the columns that they lack, and plans these tables again, against what the target has now. Their changes
 * were found as if the columns had been there, with NULL in every row: they hold (invariant 9). After the claim, so that
 * a run which is killed before its rows are written finds a mapping of its own.
 */
async function addColumns(
  tables: readonly TableSync[],
  { added }: Selection,
  { request, attempt, writer }: { request: SyncRequest; attempt: Attempt; writer: Writer },
): Promise<void> {
  if (added.length === 0) return
  for (const { table: ref, additions } of added) {
    const table = must(
      tables.find(({ plan }) => sameTable(plan.target.ref, ref)),
      'the table that gets columns',
    )
    attempt.journal.record({ type: 'phase', table: ref, phase: 'create', total: null, estimated: false })
    await writer.tables.addColumns(table.claim, additions)
    attempt.journal.record({ type: 'phase done', table: ref, phase: 'create' })
  }
  const { plans } = await selectTables(request, request.config)
  for (const table of tables.filter(({ plan }) => plan.grownFrom !== null)) {
    const again = plans.find(({ mappingId }) => mappingId === table.plan.mappingId)
    if (again === undefined || again.grownFrom !== null) {
      const name = tableName(table.plan.target.ref)
      throw new AppError('schema_changed', `${name} was altered while the run gave it columns.`, { retry: 'later' })
    }
    table.replan(again)
  }
}

/**
 * Indexes that a killed run had still to make: without them rows could not be found by key. Foreign keys wait.
 * @throws AppError `change_set_outdated` where whoever decided on the changes has not seen them
 */
async function completeIndexes(
  writer: Writer,
  selection: Selection,
  { changeSet, target }: SyncRequest,
): Promise<void> {
  const { plans } = selection
  const seen = changeSet?.summary.ddl
  if (seen !== undefined) refuseUnseenDdl(seen, await readPendingDdl(selection, target))
  const pending = await writer.tables.pending()
  const targets = plans.map((plan) => plan.target)
  for (const statement of pending) {
    if (statement.stage === 'after data' && concerns(statement, targets)) await writer.tables.carryOut(statement)
  }
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
