import type { Adapter, Snapshot } from '#adapters/adapter.ts'
import { allEnded, Slots } from '#lib/slots.ts'
import { delay } from '#lib/clock.ts'
import type { Key } from '#model/change.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import type { TableRef } from '#model/table.ts'
import type { TablePlan } from './plan.ts'
import { selectTables } from './select-tables.ts'
import { refuseSameDatabase, type RunTools } from './run-sync.ts'
import { checkKey } from './stages/check-key.ts'
import { detect } from './stages/detect.ts'
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
 * have stayed as they were: a row under way is no difference (DESIGN 9).
 */
export async function compareDatabases(request: Request, tools: RunTools): Promise<Comparison> {
  const { source, target, config } = request
  await refuseSameDatabase(source, target)
  const selection = await selectTables({ source, target }, { ...config, create: false })
  tools.journal.record({
    type: 'planned',
    tables: selection.plans.map((plan) => plan.target.ref),
    notes: selection.notes,
  })
  using staging = tools.openStaging()
  const slots = new Slots(config.parallel)
  await using moments = await openMoments(request, tools.signal)
  const tables = new Map<TablePlan, TableComparison>()
  await allEnded(
    selection.plans.map((plan) =>
      slots.use(async () => {
        tables.set(plan, await compareTable(plan, { request, moments, staging, tools }))
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

interface Context {
  readonly request: Request
  readonly moments: Moments
  readonly staging: Staging
  readonly tools: RunTools
}

async function compareTable(plan: TablePlan, context: Context): Promise<TableComparison> {
  const { request, moments, staging, tools } = context
  const phase = request.by === 'proof' ? 'verify' : 'compare'
  const table = plan.target.ref
  tools.journal.record({ type: 'phase', table, phase, total: plan.source.rowEstimate, estimated: true })
  const proof = request.by === 'proof' ? await prove(plan, moments) : null
  if (proof?.equal) {
    tools.journal.record({ type: 'phase done', table, phase })
    return toComparison(plan, { sourceRows: proof.source.rows, targetRows: proof.target.rows, proof, found: NONE })
  }
  await checkKey(plan, 'source', moments.source)
  await checkKey(plan, 'target', moments.target)
  const detection = await detect(plan, {
    source: moments.source,
    target: moments.target,
    staging,
    policies: { ...request.config, deletePolicy: 'delete', deleteScope: 'mirror' },
    signal: tools.signal,
    onRows: (rows) => tools.journal.record({ type: 'progress', table, phase, rows, bytes: 0 }),
  })
  const total = detection.inserts + detection.updates + detection.deletes
  const found = total === 0 ? NONE : await recheck(plan, context)
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

function prove(plan: TablePlan, moments: Moments): Promise<Verified> {
  return verifyFull({
    source: { snapshot: moments.source, scan: plan.proofScans.source },
    target: { snapshot: moments.target, scan: plan.proofScans.target },
    except: () => [],
  })
}

const SIDES: Readonly<Record<Exclude<StagedOperation, 'keep'>, Difference['side']>> = {
  insert: 'only in source',
  delete: 'only in target',
  update: 'different',
}

/** The differences that are still the very same after a pause. */
async function recheck(plan: TablePlan, { request, moments, staging, tools }: Context): Promise<Found> {
  await delay(PAUSE_MS, tools.signal)
  await using later = await openMoments(request, tools.signal)
  const counts = { ...NONE.counts }
  const samples: Difference[] = []
  let inMotion = 0
  for (const changes of staging.read(plan.mappingId, ['insert', 'update', 'delete'], KEYS)) {
    const keys = changes.map((change) => change.key)
    const [before, after] = await Promise.all([states(plan, moments, keys), states(plan, later, keys)])
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
async function states(plan: TablePlan, moments: Moments, keys: readonly Key[]): Promise<Map<string, string>> {
  const [source, target] = await Promise.all([
    moments.source.fingerprints(plan.sourceScan, keys),
    moments.target.fingerprints(plan.write.scan, keys),
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
