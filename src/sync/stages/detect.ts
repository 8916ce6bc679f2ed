import type { Bucketing, KeyFingerprint, Snapshot } from '#adapters/adapter.ts'
import type { Policies } from '#model/sync-config.ts'
import type { StagedChange, Staging } from '#sync/staging.ts'
import type { TablePlan } from '#sync/plan.ts'
import { chooseBuckets, DigestTable } from './buckets.ts'

/** What detection found in a table. The changes themselves are in the staging. */
export interface Detection {
  readonly sourceRows: number
  readonly targetRows: number
  readonly unchanged: number
  readonly inserts: number
  readonly updates: number
  readonly deletes: number
  /** Rows of the target alone that the policy keeps. */
  readonly kept: number
}

export interface DetectContext {
  readonly source: Snapshot
  readonly target: Snapshot
  readonly staging: Staging
  readonly policies: Policies
  readonly signal: AbortSignal
  /** Told how many rows of one side have been looked at. */
  readonly onRows: (rows: number) => void
}

/** Changes that are handed to the staging at once. */
const APPEND_ROWS = 5_000

/**
 * Finds the changes of one table: digests of buckets over both sides at once, then keys and fingerprints of the buckets
 * that differ, compared here. `full` holds every bucket for different. Each key of either side is counted once.
 */
export async function detect(plan: TablePlan, context: DetectContext): Promise<Detection> {
  const { source, target, policies } = context
  const rows = Math.max(plan.source.rowEstimate ?? 0, plan.target.rowEstimate ?? 0, 1)
  const bucketing = await chooseBuckets(plan, { source, target }, rows)
  context.staging.clear(plan.mappingId)
  const [sourceDigests, targetDigests] = await Promise.all([
    digestSide(source, plan.sourceScan, bucketing, context),
    digestSide(target, plan.write.scan, bucketing, context),
  ])
  const bad: number[] = []
  let unchanged = 0
  for (let bucket = 0; bucket < bucketing.count; bucket++) {
    if (policies.detectionStrategy === 'hash' && sourceDigests.agrees(targetDigests, bucket)) {
      unchanged += sourceDigests.rows(bucket)
    } else if (sourceDigests.rows(bucket) + targetDigests.rows(bucket) > 0) bad.push(bucket)
  }
  const found = bad.length === 0 ? NOTHING_FOUND : await descend(plan, { bucketing, bad }, context)
  return {
    sourceRows: sourceDigests.total,
    targetRows: targetDigests.total,
    ...found,
    unchanged: unchanged + found.unchanged,
  }
}

const NOTHING_FOUND = { unchanged: 0, inserts: 0, updates: 0, deletes: 0, kept: 0 }

async function digestSide(
  snapshot: Snapshot,
  scan: TablePlan['sourceScan'],
  bucketing: Bucketing,
  { onRows, signal }: DetectContext,
): Promise<DigestTable> {
  const digests = new DigestTable(bucketing.count)
  for await (const slice of snapshot.digests(scan, bucketing)) {
    signal.throwIfAborted()
    onRows(digests.add(slice))
  }
  return digests
}

/** Walks the bad buckets of both sides in step, one bucket in memory at a time. */
async function descend(
  plan: TablePlan,
  { bucketing, bad }: { bucketing: Bucketing; bad: readonly number[] },
  context: DetectContext,
): Promise<typeof NOTHING_FOUND> {
  const { source, target, staging, signal } = context
  const which = bad.length === bucketing.count ? 'all' : bad
  const sourceBuckets = new BucketReader(source.keys(plan.sourceScan, bucketing, which))
  const targetBuckets = new BucketReader(target.keys(plan.write.scan, bucketing, which))
  const found = { ...NOTHING_FOUND }
  const pending: StagedChange[] = []
  const flush = async (): Promise<void> => {
    const changes = await decideTargetOnly(pending.splice(0), plan, context)
    for (const change of changes) found[COUNTERS[change.op]] += 1
    staging.append(plan.mappingId, changes)
  }
  try {
    for (const bucket of bad) {
      signal.throwIfAborted()
      const [sourceRows, targetRows] = await Promise.all([sourceBuckets.read(bucket), targetBuckets.read(bucket)])
      found.unchanged += compareBucket(sourceRows, targetRows, pending)
      if (pending.length >= APPEND_ROWS) await flush()
    }
    await flush()
  } finally {
    await Promise.all([sourceBuckets.close(), targetBuckets.close()])
  }
  return found
}

const COUNTERS = { insert: 'inserts', update: 'updates', delete: 'deletes', keep: 'kept' } as const

/** Compares one bucket; returns how many rows are equal. Rows of the target alone come out as deletes. */
function compareBucket(
  sourceRows: readonly KeyFingerprint[],
  targetRows: readonly KeyFingerprint[],
  changes: StagedChange[],
): number {
  const targets = new Map(targetRows.map((row) => [JSON.stringify(row.key), row]))
  let unchanged = 0
  for (const row of sourceRows) {
    const id = JSON.stringify(row.key)
    const partner = targets.get(id)
    targets.delete(id)
    if (partner === undefined) changes.push({ op: 'insert', key: row.key, expect: null, bytes: row.bytes })
    else if (partner.fingerprint === row.fingerprint) unchanged += 1
    else changes.push({ op: 'update', key: row.key, expect: partner.fingerprint, bytes: row.bytes })
  }
  for (const row of targets.values()) {
    changes.push({ op: 'delete', key: row.key, expect: row.fingerprint, bytes: row.bytes })
  }
  return unchanged
}

/** A row of the target alone is deleted where the policy says so and, by scope, only if it is ours. */
async function decideTargetOnly(
  changes: readonly StagedChange[],
  plan: TablePlan,
  { target, policies }: DetectContext,
): Promise<readonly StagedChange[]> {
  const alone = changes.filter((change) => change.op === 'delete')
  if (alone.length === 0) return changes
  if (policies.deletePolicy === 'delete' && policies.deleteScope === 'mirror') return changes
  const owned =
    policies.deletePolicy === 'delete'
      ? await target.owned(
          plan.mappingId,
          plan.write.scan,
          alone.map((change) => change.key),
        )
      : new Set<string>()
  return changes.map((change) =>
    change.op === 'delete' && !owned.has(JSON.stringify(change.key)) ? { ...change, op: 'keep' as const } : change,
  )
}

/** Reads a stream that is ordered by bucket, a bucket at a time. */
class BucketReader {
  readonly #rows: AsyncIterator<KeyFingerprint>
  #ahead: KeyFingerprint | null = null
  #ended = false

  constructor(rows: AsyncIterable<KeyFingerprint>) {
    this.#rows = rows[Symbol.asyncIterator]()
  }

  async read(bucket: number): Promise<KeyFingerprint[]> {
    const rows: KeyFingerprint[] = []
    for (;;) {
      const row = this.#ahead ?? (await this.#next())
      this.#ahead = row
      if (row === null || row.bucket > bucket) return rows
      rows.push(row)
      this.#ahead = null
    }
  }

  async #next(): Promise<KeyFingerprint | null> {
    if (this.#ended) return null
    const next = await this.#rows.next()
    this.#ended = next.done === true
    return next.done ? null : next.value
  }

  async close(): Promise<void> {
    await this.#rows.return?.()
  }
}
