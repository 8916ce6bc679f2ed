import type { RowSource } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { BRAKE_ROWS } from '#model/sync-config.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { BatchBounds, StagedChange } from '#sync/staging.ts'
import { Judging, type DetectContext, type Detection } from '#sync/stages/detect.ts'

/**
 * What a detector gives: the keys of rows that may differ, of either side, each once and in no order. What becomes of them
 * is decided by the same comparison of both sides' rows as in a look at the whole, so that a key too many does no harm.
 */
export interface Candidates {
  readonly keys: AsyncIterable<Key>
  /** How many rows the tables have, where the detector has counted them by the time that its keys are read. */
  readonly ofRows: () => Detection['ofRows'] | null
}

/** Keys that are looked at together. */
const BATCH: BatchBounds = { rows: 2_000, bytes: Infinity }
const APPEND_KEYS = 5_000

/** Finds the changes among some rows alone. The detection counts these rows, and no others. */
export async function detectAmong(plan: TablePlan, found: Candidates, context: DetectContext): Promise<Detection> {
  const { source, target, staging, signal, onRows } = context
  staging.clear(plan.mappingId)
  const judging = new Judging(plan, context)
  let [sourceRows, targetRows] = [0, 0]
  for await (const keys of candidateBatches(plan, found, context)) {
    signal.throwIfAborted()
    const [here, there] = await Promise.all([
      source.fingerprints(plan.sourceScan, keys),
      target.fingerprints(plan.write.scan, keys),
    ])
    sourceRows += here.length
    targetRows += there.length
    onRows(here.length + there.length)
    await judging.judge(here, there)
  }
  const detection = { ...(await judging.end()), sourceRows, targetRows }
  return { ...detection, ...(await rowsOfTables(plan, { found, detection }, context)) }
}

/** A brake compares with the rows of the tables, which are counted where it may act. */
export async function rowsOfTables(
  plan: TablePlan,
  { found, detection }: { found: Candidates; detection: Pick<Detection, 'updates' | 'deletes'> },
  { source, target }: { source: RowSource; target: RowSource },
): Promise<Pick<Detection, 'ofRows'>> {
  const counted = found.ofRows()
  if (counted) return { ofRows: counted }
  if (detection.deletes === 0 && detection.updates <= BRAKE_ROWS) return {}
  const [here, there] = await Promise.all([source.count(plan.sourceScan), target.count(plan.write.scan)])
  return { ofRows: { source: here, target: there } }
}

/** All keys are there before the first one is looked up: no session is held by their reading meanwhile. */
export async function* candidateBatches(
  { mappingId }: Pick<TablePlan, 'mappingId'>,
  { keys }: Pick<Candidates, 'keys'>,
  { staging, signal }: Pick<DetectContext, 'staging' | 'signal'>,
): AsyncGenerator<readonly Key[]> {
  const list = `${mappingId} candidates`
  staging.clear(list)
  let some: StagedChange[] = []
  for await (const key of keys) {
    some.push({ op: 'keep', key, expect: null, bytes: 0 })
    if (some.length < APPEND_KEYS) continue
    signal.throwIfAborted()
    staging.append(list, some)
    some = []
  }
  staging.append(list, some)
  for (const batch of staging.read(list, ['keep'], BATCH)) yield batch.map(({ key }) => key)
  staging.clear(list)
}
