import { Slots } from '#lib/slots.ts'
import type { Snapshot } from '#adapters/adapter.ts'
import type { ChangeSetSummary, ChangeSetTable } from '#model/change-set.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { toJobError } from '#model/job.ts'
import type { PlannedDdl } from '#model/planned-ddl.ts'
import { sameTable, tableName, type TableRef } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import { checkBrakes, checkOverwrites } from './brakes.ts'
import type { ChangeSet } from './change-set.ts'
import { holdAsPlanned } from './drift.ts'
import { keepChanges } from './stages/keep-changes.ts'
import { withPatience } from './patience.ts'
import { plannedDdl, readMissingDdl, readPendingDdl } from './plan-ddl.ts'
import { announce, detectAll, horizonOf, type RunTools, type SyncRequest } from './run-sync.ts'
import { refuseSameDatabase } from './same-database.ts'
import { selectTables } from './select-tables.ts'
import type { StagedOperation, Staging } from './staging.ts'
import type { Attempt } from './attempt.ts'
import type { TableSync } from './sync-table.ts'
import { ThreeWayTable } from './three-way-table.ts'
import { wayBack } from './two-ways.ts'

/** A change with its cells, in the order of `TablePreview.columns`; unchanged cells are given too. */
export interface SampleChange {
  readonly op: StagedOperation
  readonly key: Key
  readonly before: Row | null
  readonly after: Row | null
}

/** What a run would do to one table, in the target's terms. */
export interface TablePreview {
  readonly source: TableRef
  readonly target: TableRef
  readonly key: readonly string[]
  readonly columns: readonly string[]
  /** The table is missing and would be created. */
  readonly created: boolean
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
  readonly unchanged: number
  /** Rows of the target alone that stay. */
  readonly kept: number
  readonly samples: readonly SampleChange[]
}

export interface Preview {
  readonly tables: readonly TablePreview[]
  /** By which the run would change the target's tables, in the order in which it would. */
  readonly ddl: readonly PlannedDdl[]
  readonly notes: readonly string[]
  /** The brake or other guard at which the run would stop, or null. */
  readonly stop: AppError | null
  /** The whole of it, where it was kept. */
  readonly changeSet: ChangeSetSummary | null
}

/**
 * What `runSync` would do, without doing it: the same selection, detection and brakes, over read-only sessions. Nothing
 * is written and no position moves (invariant 5).
 */
export async function previewSync(
  request: SyncRequest,
  tools: RunTools,
  /**
   * With a change set, everything that would be done is kept in it, row by row. `quarantining`: it will be done, so that
   * rows which cannot be carried are set aside.
   */
  { samples, set = null, quarantining = false }: { samples: number; set?: ChangeSet | null; quarantining?: boolean },
): Promise<Preview> {
  return withPatience(tools, () => previewOnce(request, tools, { samples, set, quarantining }))
}

async function previewOnce(
  request: SyncRequest,
  tools: RunTools,
  { samples, set, quarantining }: { samples: number; set: ChangeSet | null; quarantining: boolean },
): Promise<Preview> {
  const { source, target, config } = request
  await refuseSameDatabase(source, target)
  using staging = tools.openStaging()
  const selection = await selectTables(request, config)
  const horizon = await horizonOf(source, selection)
  await using moment = await source.snapshot(config.parallel + 1, tools.signal)
  await holdAsPlanned(
    moment,
    source,
    selection.plans.map((plan) => plan.source),
  )
  const { journal, signal } = tools
  const slots = new Slots(config.parallel)
  const tableSlots = new Slots(config.parallelTables ?? Infinity)
  const failed = new AbortController()
  const { maskKey, quarantine } = tools
  await using resources = new AsyncDisposableStack()
  const attempt: Attempt = {
    source: moment,
    horizon,
    target,
    config,
    staging,
    maskKey,
    resources,
    quarantine,
    conflicts: quarantining ? tools.conflicts : null,
    clockSkewMs: source.server.clockSkewMs - target.server.clockSkewMs,
    replay: null,
    changeSet: null,
    listing: set !== null,
    history: null,
    journal,
    signal,
    stop: failed,
    slots,
    tableSlots,
  }
  announce(selection, journal)
  const made = await readMissingDdl(selection, { source, moment, target })
  const ddl = plannedDdl(made, selection.added, await readPendingDdl(selection, target))
  await set?.begin()
  const isMissing = ({ plan }: TableSync): boolean => selection.missing.some((ref) => sameTable(ref, plan.target.ref))
  const kept: ChangeSetTable[] = []
  const keep = async (found: readonly TableSync[], now: Snapshot): Promise<void> => {
    if (set === null) return
    for (const [place, table] of found.entries()) {
      const target = isMissing(table) ? null : now
      if (quarantining) await table.tell()
      if (table instanceof ThreeWayTable && target !== null) await table.setClashesApartAhead(target)
      if (quarantining && table instanceof ThreeWayTable) await table.report()
      kept.push(await keepChanges(table, { set, place, staging, target, signal }))
    }
  }
  const { tables, intents: found, moment: seen } = await detectAll(selection, attempt, keep)
  const back = seen && (await wayBack(tables, seen, { attempt, request }))
  const intents = [...found, ...(back?.intents ?? [])]
  // Notes of a draft were told with the plan.
  const left = selection.drafted === null ? (made?.notes ?? []) : []
  const unseen = [...left, ...tables.flatMap(({ look, plan }) => look.note(plan) ?? [])]
  for (const text of unseen) journal.record({ type: 'note', text })
  const ways = [...tables.flatMap((table) => table.notes), ...(back?.tables ?? []).flatMap(tellBack)]
  const notes = [...selection.notes, ...unseen, ...ways]
  const stop = brakeOf(() => checkBrakes(intents, config))
  const further = stop?.code === 'delete_brake' ? brakeOf(() => checkOverwrites(intents, config)) : null
  const changeSet =
    (await set?.seal({
      tables: kept,
      notes,
      ddl,
      stop: stop && toJobError(stop),
      ...(further === null ? {} : { furtherStop: toJobError(further) }),
      position: moment.position.label,
    })) ?? null
  return { tables: await previewTables(tables, attempt, { isMissing, samples }), ddl, notes, stop, changeSet }
}

async function previewTables(
  tables: readonly TableSync[],
  attempt: Attempt,
  { isMissing, samples }: { isMissing: (table: TableSync) => boolean; samples: number },
): Promise<TablePreview[]> {
  const previews: TablePreview[] = []
  for (const table of tables) {
    previews.push(await previewTable(table, attempt, { created: isMissing(table), samples }))
  }
  return previews
}

/** What would be done to the source. */
function tellBack({ plan: { target }, detection }: TableSync): string[] {
  if (detection === null) return []
  const { inserts, updates, deletes, rejections } = detection
  const refused = rejections.length === 0 ? '' : `; ${rejections.length} rows cannot come back`
  const name = tableName(target.ref)
  return [`In the source, ${name} would get ${inserts} inserts, ${updates} updates and ${deletes} deletes${refused}.`]
}

function brakeOf(check: () => void): AppError | null {
  try {
    check()
    return null
  } catch (error) {
    if (error instanceof AppError) return error
    throw error
  }
}

async function previewTable(
  { plan, detection, source }: TableSync,
  { target, staging, signal }: Attempt,
  { created, samples }: { created: boolean; samples: number },
): Promise<TablePreview> {
  const facts = {
    source: plan.source.ref,
    target: plan.target.ref,
    key: plan.write.scan.columns.slice(0, plan.write.scan.keyLength).map((column) => column.name),
    columns: plan.write.scan.columns.map((column) => column.name),
    created,
  }
  if (detection === null) {
    const rows = await source.sample(plan.sourceScan, samples)
    const inserts = await source.count(plan.sourceScan)
    return {
      ...facts,
      inserts,
      updates: 0,
      deletes: 0,
      unchanged: 0,
      kept: 0,
      samples: rows.map((row) => ({
        op: 'insert',
        key: row.slice(0, plan.sourceScan.keyLength),
        before: null,
        after: row,
      })),
    }
  }
  const changes = firstChanges(staging, plan.mappingId, samples)
  const keys = changes.map((change) => change.key)
  const rowsOf = async (rows: Promise<readonly Row[]>): Promise<Map<string, Row>> =>
    new Map((await rows).map((row) => [JSON.stringify(row.slice(0, plan.sourceScan.keyLength)), row]))
  await using now = await target.snapshot(1, signal)
  const after = await rowsOf(source.rows(plan.sourceScan, keys))
  const before = created ? new Map<string, Row>() : await rowsOf(now.rows(plan.write.scan, keys))
  const { inserts, updates, deletes, unchanged, kept } = detection
  return {
    ...facts,
    inserts,
    updates,
    deletes,
    unchanged,
    kept,
    samples: changes.map(({ op, key }) => ({
      op,
      key,
      before: before.get(JSON.stringify(key)) ?? null,
      after: after.get(JSON.stringify(key)) ?? null,
    })),
  }
}

/** A few changes of each kind. */
function firstChanges(staging: Staging, table: string, limit: number): { op: StagedOperation; key: Key }[] {
  const changes: { op: StagedOperation; key: Key }[] = []
  for (const op of ['update', 'insert', 'delete'] as const) {
    for (const batch of staging.read(table, [op], { rows: limit, bytes: Infinity })) {
      changes.push(...batch)
      break
    }
  }
  return changes
}
