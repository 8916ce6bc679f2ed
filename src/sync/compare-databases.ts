import type { Adapter, RowSource, Snapshot } from '#adapters/adapter.ts'
import { allEnded, Slots } from '#lib/slots.ts'
import { delay } from '#lib/clock.ts'
import type { Key } from '#model/change.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import type { TableRef } from '#model/table.ts'
import { holdAsPlanned } from './drift.ts'
import { withPatience } from './patience.ts'
import type { TablePlan } from './plan.ts'
import { selectTables } from './select-tables.ts'
import type { RunTools } from './run-sync.ts'
import { refuseSameDatabase } from './same-database.ts'
import { checkKey } from './stages/check-key.ts'
import { NOTHING_SETTLED } from './stages/settled.ts'
import { detect } from './stages/detect.ts'
import { sourceOf } from './stages/mapped-source.ts'
import type { StagedOperation, Staging } from './staging.ts'
import { verifyFull, type Verified } from './verify/verify-table.ts'

/** How long rows that differ are left alone before they are looked at again. */
const PAUSE_MS = 700
const KEYS = { rows: 2_000, bytes: Infinity }

/** A row that differs, as it differed before and after a pause. */
export interface Difference {
  readonly side: 'only in source' | 'only in target' | 'different'
  readonly key: Key
}

export interface TableComparison {
  readonly source: TableRef
  readonly target: TableRef
  readonly key: readonly string[]
  readonly sourceRows: number
  readonly targetRows: number
  readonly onlyInSource: number
  readonly onlyInTarget: number
  readonly different: number
  /** Rows that differed at first and then had become equal or had changed again: somebody is writing them. */
  readonly inMotion: number
  /** All rows agree in what is carried, and yet the proofs differ: a column that each side generates by itself does. */
  readonly generatedDiffers: boolean
  readonly samples: readonly Difference[]
  /** The proofs over both sides, where verification was asked for. */
  readonly proof: Verified | null
}

export interface Comparison {
  readonly equal: boolean
  readonly tables: readonly TableComparison[]
  readonly notes: readonly string[]
}

interface Request {
  readonly source: Adapter
  readonly target: Adapter
  readonly config: SyncConfig
  /** `rows`: digests first, then the rows of bad buckets. `proof`: 128-bit proofs first, rows only where they differ. */
  readonly by: 'rows' | 'proof'
  readonly samples: number
}

/**
 * Compares two databases that may both be in use. What differs is read again after a pause and counts only if both sides
 * have stayed as they were: a row under way is no difference (DESIGN 9). A server that restarts is waited for.
 */
export async function compareDatabases(request: Request, tools: RunTools): Promise<Comparison> {
  return withPatience(tools, () => compareOnce(request, tools))
}

async function compareOnce(request: Request, tools: RunTools): Promise<Comparison> {
  const { source, target, config } = request
  await refuseSameDatabase(source, target)
  const selection = await selectTables({ source, target }, { ...config, create: false, newColumns: 'leave' })
  tools.journal.record({
    type: 'planned',
    tables: selection.plans.map((plan) => plan.target.ref),
    notes: selection.notes,
  })
  using staging = tools.openStaging()
  await using resources = new AsyncDisposableStack()
  const slots = new Slots(Math.min(config.parallel, config.parallelTables ?? config.parallel))
  await using moments = await openMoments(request, tools.signal)
  await Promise.all(
    (['source', 'target'] as const).map((side) =>
      holdAsPlanned(
        moments[side],
        request[side],
        selection.plans.map((plan) => plan[side]),
      ),
    ),
  )
  const tables = new Map<TablePlan, TableComparison>()
  await allEnded(
    selection.plans.map((plan) =>
      slots.use(async () => {
        tables.set(plan, await compareTable(plan, { request, moments, staging, tools, resources }))
      }),
    ),
  )
  const comparisons = selection.plans.flatMap((plan) => tables.get(plan) ?? [])
  const equal = comparisons.every(
    (table) => table.onlyInSource + table.onlyInTarget + table.different === 0 && !table.generatedDiffers,
  )
  return { equal, tables: comparisons, notes: selection.notes }
}

/** One moment of each side, taken together. */
class Moments implements AsyncDisposable {
  readonly source: Snapshot
  readonly target: Snapshot

  constructor(source: Snapshot, target: Snapshot) {
    this.source = source
    this.target = target
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.source[Symbol.asyncDispose](), this.target[Symbol.asyncDispose]()])
  }
}

async function openMoments({ source, target, config }: Request, signal: AbortSignal): Promise<Moments> {
  const first = await source.snapshot(config.parallel, signal)
  try {
    return new Moments(first, await target.snapshot(config.parallel, signal))
  } catch (error) {
    await first[Symbol.asyncDispose]()
    throw error
  }
}

/** The rows of a table in one moment of each side. */
interface Sides {
  readonly source: RowSource
  readonly target: Snapshot
}

function sidesAt(
  plan: TablePlan,
  { source, target }: Moments,
  { staging, tools, resources }: Pick<Context, 'staging' | 'tools' | 'resources'>,
): Sides {
  return { source: sourceOf(plan, { source, staging, maskKey: tools.maskKey, resources }), target }
}

interface Context {
  readonly request: Request
  readonly moments: Moments
  readonly staging: Staging
  readonly tools: RunTools
  readonly resources: AsyncDisposableStack
}

async function compareTable(plan: TablePlan, context: Context): Promise<TableComparison> {
  const { request, moments, staging, tools } = context
  const phase = request.by === 'proof' ? 'verify' : 'compare'
  const table = plan.target.ref
  tools.journal.record({ type: 'phase', table, phase, total: plan.source.rowEstimate, estimated: true })
  const sources = sidesAt(plan, moments, context)
  const proof = request.by === 'proof' ? await prove(plan, sources) : null
  if (proof?.equal) {
    tools.journal.record({ type: 'phase done', table, phase })
    return toComparison(plan, { sourceRows: proof.source.rows, targetRows: proof.target.rows, proof, found: NONE })
  }
  await checkKey(plan, 'source', sources.source)
  await checkKey(plan, 'target', sources.target)
  const detection = await detect(plan, {
    ...sources,
    beyondFilter: null,
    settled: NOTHING_SETTLED,
    staging,
    policies: { ...request.config, deletePolicy: 'delete', deleteScope: 'mirror' },
    signal: tools.signal,
    onRows: (rows) => tools.journal.record({ type: 'progress', table, phase, rows, bytes: 0 }),
  })
  const total = detection.inserts + detection.updates + detection.deletes
  const found = total === 0 ? NONE : await recheck(plan, sources, context)
  tools.journal.record({ type: 'phase done', table, phase })
  return toComparison(plan, { ...detection, proof, found })
}

/** Differences that lasted, and how many did not. */
interface Found {
  readonly counts: Readonly<Record<Difference['side'], number>>
  readonly inMotion: number
  readonly samples: readonly Difference[]
}

const NONE: Found = {
  counts: { 'only in source': 0, 'only in target': 0, different: 0 },
  inMotion: 0,
  samples: [],
}

function prove(plan: TablePlan, { source, target }: Sides): Promise<Verified> {
  return verifyFull({
    source: { rows: source, scan: plan.proofScans.source },
    target: { rows: target, scan: plan.proofScans.target },
    except: () => [],
  })
}

const SIDES: Readonly<Record<Exclude<StagedOperation, 'keep'>, Difference['side']>> = {
  insert: 'only in source',
  delete: 'only in target',
  update: 'different',
}

/** The differences that are still the very same after a pause. */
async function recheck(plan: TablePlan, sides: Sides, context: Context): Promise<Found> {
  const { request, staging, tools } = context
  await delay(PAUSE_MS, tools.signal)
  await using later = await openMoments(request, tools.signal)
  const laterSides = sidesAt(plan, later, context)
  const counts = { ...NONE.counts }
  const samples: Difference[] = []
  let inMotion = 0
  for (const changes of staging.read(plan.mappingId, ['insert', 'update', 'delete'], KEYS)) {
    const keys = changes.map((change) => change.key)
    const [before, after] = await Promise.all([states(plan, sides, keys), states(plan, laterSides, keys)])
    for (const { op, key } of changes) {
      const id = JSON.stringify(key)
      if (op === 'keep' || before.get(id) !== after.get(id)) {
        inMotion += 1
        continue
      }
      counts[SIDES[op]] += 1
      if (samples.length < request.samples) samples.push({ side: SIDES[op], key })
    }
  }
  return { counts, inMotion, samples }
}

/** What both sides hold under some keys, as one text per key. */
async function states(plan: TablePlan, sides: Sides, keys: readonly Key[]): Promise<Map<string, string>> {
  const [source, target] = await Promise.all([
    sides.source.fingerprints(plan.sourceScan, keys),
    sides.target.fingerprints(plan.write.scan, keys),
  ])
  const of = (rows: typeof source): Map<string, string> =>
    new Map(rows.map((row) => [JSON.stringify(row.key), String(row.fingerprint)]))
  const [sources, targets] = [of(source), of(target)]
  return new Map(
    keys.map((key) => {
      const id = JSON.stringify(key)
      return [id, `${sources.get(id) ?? 'none'} ${targets.get(id) ?? 'none'}`]
    }),
  )
}

function toComparison(
  plan: TablePlan,
  of: { sourceRows: number; targetRows: number; proof: Verified | null; found: Found },
): TableComparison {
  const { counts, inMotion, samples } = of.found
  const same = Object.values(counts).every((count) => count === 0)
  return {
    source: plan.source.ref,
    target: plan.target.ref,
    key: plan.write.scan.columns.slice(0, plan.write.scan.keyLength).map((column) => column.name),
    sourceRows: of.sourceRows,
    targetRows: of.targetRows,
    onlyInSource: counts['only in source'],
    onlyInTarget: counts['only in target'],
    different: counts.different,
    inMotion,
    generatedDiffers: same && inMotion === 0 && of.proof !== null && !of.proof.equal,
    samples,
    proof: of.proof,
  }
}
