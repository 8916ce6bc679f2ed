import type { Bucketing, KeyFingerprint, RowSource, Snapshot } from '#adapters/adapter.ts'
import type { Key, Rejection } from '#model/change.ts'
import type { Policies } from '#model/sync-config.ts'
import type { StagedChange, Staging } from '#sync/staging.ts'
import type { TablePlan } from '#sync/plan.ts'
import { refuseTooMany } from './apply.ts'
import { chooseBuckets, DigestTable } from './buckets.ts'
import { differingValues } from './detectors/content.ts'
import { settledId, type Settled } from './settled.ts'

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
  /** Rows of the source that cannot be carried as mapped. What the target has under their keys is left as it is. */
  readonly rejections: readonly Rejection[]
  /** Of these, how many the target has a row for. */
  readonly rejectedInBoth: number
  /** Rows of the source that are left as somebody settled them. */
  readonly settled: number
  /** Rows that are left as they are on both sides: on purpose, or because somebody has to decide. */
  readonly left: {
    readonly skipped: number
    readonly conflicted: number
    /** Of all these, how many the source does not have. */
    readonly targetOnly: number
    /** Rows of the source that the other way accounts for, as it writes them. */
    readonly elsewhere: number
  }
  /** Where some rows alone were looked at: how many the tables have, as far as it matters for the brakes. */
  readonly ofRows?: { readonly source: number; readonly target: number }
  /** Rows of each side that were not compared, and are neither rejected nor alone in the target: settled, or moved. */
  readonly apart: { readonly source: number; readonly target: number }
}

export interface DetectContext {
  readonly source: RowSource
  readonly target: Snapshot
  readonly staging: Staging
  readonly policies: Policies
  readonly settled: Settled
  readonly signal: AbortSignal
  /** See `beyondFilter` in `mapped-source.ts`. */
  readonly beyondFilter: ((keys: readonly Key[]) => Promise<ReadonlySet<string>>) | null
  /** Told how many rows of one side have been looked at. */
  readonly onRows: (rows: number) => void
}

/** Changes that are handed to the staging at once. */
const APPEND_ROWS = 5_000

/**
 * Finds the changes of one table: digests of buckets over both sides at once, then keys and fingerprints of the buckets
 * that differ, compared here. `full` and `content` hold every bucket for different. Each key of either side is counted once.
 */
export async function detect(plan: TablePlan, context: DetectContext): Promise<Detection> {
  const { source, target } = context
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
    if (descendsOnlyWhereDigestsDiffer(plan) && sourceDigests.agrees(targetDigests, bucket)) {
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

/** Whether equal digests of a bucket are taken for equal rows. */
export function descendsOnlyWhereDigestsDiffer({ detecting }: Pick<TablePlan, 'detecting'>): boolean {
  return detecting.strategy !== 'full' && detecting.strategy !== 'content'
}

/** What a table is to get that is not there yet: every row that can be carried is an insert. */
export async function listRows(
  plan: TablePlan,
  {
    source,
    staging,
    policies,
    signal,
    onRows,
  }: Pick<DetectContext, 'source' | 'staging' | 'policies' | 'signal' | 'onRows'>,
): Promise<Detection> {
  staging.clear(plan.mappingId)
  const found = { ...NOTHING_FOUND, sourceRows: 0 }
  const rejections: Rejection[] = []
  const pending: StagedChange[] = []
  for await (const { key, bytes, fault } of source.keys(plan.sourceScan, ONE_BUCKET, 'all')) {
    found.sourceRows += 1
    if (fault === undefined) pending.push({ op: 'insert', key, expect: null, bytes })
    else rejections.push({ op: 'insert', key, ...fault })
    refuseTooMany(rejections, { maxRejections: policies.maxRejections, plan })
    if (pending.length < APPEND_ROWS) continue
    signal.throwIfAborted()
    onRows(pending.length)
    found.inserts += pending.length
    staging.append(plan.mappingId, pending.splice(0))
  }
  found.inserts += pending.length
  staging.append(plan.mappingId, pending)
  return { ...found, targetRows: 0, rejections }
}

const ONE_BUCKET: Bucketing = { by: 'key hash', count: 1 }

export const NOTHING_LEFT: Detection['left'] = { skipped: 0, conflicted: 0, targetOnly: 0, elsewhere: 0 }

type Found = typeof NOTHING_FOUND

const NOTHING_FOUND = {
  unchanged: 0,
  inserts: 0,
  updates: 0,
  deletes: 0,
  kept: 0,
  rejectedInBoth: 0,
  settled: 0,
  apart: { source: 0, target: 0 },
  left: NOTHING_LEFT,
  rejections: [] as readonly Rejection[],
}

export async function digestSide(
  rows: RowSource,
  scan: TablePlan['sourceScan'],
  bucketing: Bucketing,
  { onRows, signal }: Pick<DetectContext, 'onRows' | 'signal'>,
): Promise<DigestTable> {
  const digests = new DigestTable(bucketing.count)
  for await (const slice of rows.digests(scan, bucketing)) {
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
): Promise<Found> {
  const { source, target, signal } = context
  const which = bad.length === bucketing.count ? 'all' : bad
  const sourceBuckets = new BucketReader(source.keys(plan.sourceScan, bucketing, which))
  const targetBuckets = new BucketReader(target.keys(plan.write.scan, bucketing, which))
  const judging = new Judging(plan, context)
  try {
    for (const bucket of bad) {
      signal.throwIfAborted()
      const [sourceRows, targetRows] = await Promise.all([sourceBuckets.read(bucket), targetBuckets.read(bucket)])
      await judging.judge(sourceRows, targetRows)
    }
    return await judging.end()
  } finally {
    await Promise.all([sourceBuckets.close(), targetBuckets.close()])
  }
}

/**
 * Holds rows of both sides against each other, some at a time, wherever they come from: what the one side has under a key
 * must be given together with what the other has under it. Each key may be given once.
 */
export class Judging {
  readonly #plan: TablePlan
  readonly #context: DetectContext
  readonly #found = { ...NOTHING_FOUND }
  readonly #apart = { source: 0, target: 0 }
  readonly #rejections: Rejection[] = []
  readonly #pending: StagedChange[] = []

  constructor(plan: TablePlan, context: DetectContext) {
    this.#plan = plan
    this.#context = context
  }

  async judge(sourceRows: readonly KeyFingerprint[], targetRows: readonly KeyFingerprint[]): Promise<void> {
    const { settled, policies } = this.#context
    const judged = leaveSettled(sourceRows, targetRows, settled)
    this.#apart.source += sourceRows.length - judged.source.length
    this.#apart.target += targetRows.length - judged.target.length
    const whole = setAside(judged.source, judged.target, this.#rejections)
    this.#found.rejectedInBoth += judged.target.length - whole.target.length
    refuseTooMany(this.#rejections, { maxRejections: policies.maxRejections, plan: this.#plan })
    const byValue = this.#plan.detecting.strategy === 'content'
    const differing = byValue ? await differingValues(this.#plan, whole, this.#context) : NO_KEYS
    this.#found.unchanged += compareBucket(whole, differing, this.#pending)
    if (this.#pending.length >= APPEND_ROWS) await this.#flush()
  }

  async end(): Promise<Found> {
    await this.#flush()
    return { ...this.#found, rejections: this.#rejections, apart: this.#apart, settled: this.#apart.source }
  }

  async #flush(): Promise<void> {
    const changes = await decideTargetOnly(this.#pending.splice(0), this.#plan, this.#context)
    for (const change of changes) this.#found[COUNTERS[change.op]] += 1
    this.#context.staging.append(this.#plan.mappingId, changes)
  }
}

/** Takes out the rows that somebody settled, with what the target has for them. */
export function leaveSettled(
  sourceRows: readonly KeyFingerprint[],
  targetRows: readonly KeyFingerprint[],
  { inSource, inTarget }: Settled,
): { source: readonly KeyFingerprint[]; target: readonly KeyFingerprint[] } {
  if (inSource.size === 0) return { source: sourceRows, target: targetRows }
  const source = sourceRows.filter(({ key, fault }) => !inSource.has(settledId(key, fault)))
  return { source, target: targetRows.filter(({ key }) => !inTarget.has(JSON.stringify(key))) }
}

/** Takes out the rows that cannot be carried, with what the target has under their keys. */
export function setAside(
  sourceRows: readonly KeyFingerprint[],
  targetRows: readonly KeyFingerprint[],
  rejections: Rejection[],
): { source: readonly KeyFingerprint[]; target: readonly KeyFingerprint[] } {
  const faulty = sourceRows.filter(({ fault }) => fault !== undefined)
  if (faulty.length === 0) return { source: sourceRows, target: targetRows }
  const keys = new Set<string>()
  const inTarget = new Set(targetRows.map(({ key }) => JSON.stringify(key)))
  for (const { key, fault } of faulty) {
    if (fault === undefined) continue
    const id = JSON.stringify(key)
    const there = fault.keyIn === 'target' && inTarget.has(id)
    if (there) keys.add(id)
    rejections.push({ op: there ? 'update' : 'insert', key, ...fault })
  }
  return {
    source: sourceRows.filter(({ fault }) => fault === undefined),
    target: targetRows.filter(({ key }) => !keys.has(JSON.stringify(key))),
  }
}

export const COUNTERS = { insert: 'inserts', update: 'updates', delete: 'deletes', keep: 'kept' } as const

/** Compares one bucket; returns how many rows are equal. `differing`: rows that are not, whatever their fingerprints say. Rows of the target alone come out as deletes. */
function compareBucket(
  { source, target }: Readonly<Record<'source' | 'target', readonly KeyFingerprint[]>>,
  differing: ReadonlySet<string>,
  changes: StagedChange[],
): number {
  const targets = new Map(target.map((row) => [JSON.stringify(row.key), row]))
  let unchanged = 0
  for (const row of source) {
    const id = JSON.stringify(row.key)
    const partner = targets.get(id)
    targets.delete(id)
    if (partner === undefined) changes.push({ op: 'insert', key: row.key, expect: null, bytes: row.bytes })
    else if (partner.fingerprint === row.fingerprint && !differing.has(id)) unchanged += 1
    else changes.push({ op: 'update', key: row.key, expect: partner.fingerprint, bytes: row.bytes })
  }
  for (const row of targets.values()) {
    changes.push({ op: 'delete', key: row.key, expect: row.fingerprint, bytes: row.bytes })
  }
  return unchanged
}

/**
 * A row of the target alone is deleted where the policy says so, for rows that the source has lost and for rows that left
 * the filter each, and by scope only if it is ours.
 */
export async function decideTargetOnly(
  changes: readonly StagedChange[],
  plan: TablePlan,
  { target, policies, beyondFilter, settled }: DetectContext,
): Promise<readonly StagedChange[]> {
  const alone = changes.filter((change) => change.op === 'delete').map(({ key }) => key)
  if (alone.length === 0) return changes
  const deletes = { lost: policies.deletePolicy === 'delete', left: plan.exit === 'delete' }
  const asked = beyondFilter !== null && deletes.lost !== deletes.left
  const left = asked ? await beyondFilter(alone) : NO_KEYS
  const goes = (id: string): boolean => !settled.staying.has(id) && (left.has(id) ? deletes.left : deletes.lost)
  const going = alone.filter((key) => goes(JSON.stringify(key)))
  const isOurs =
    policies.deleteScope === 'mirror' || going.length === 0
      ? null
      : await target.owned(plan.mappingId, plan.write.scan, going)
  return changes.map((change) => {
    if (change.op !== 'delete') return change
    const id = JSON.stringify(change.key)
    return goes(id) && (isOurs === null || isOurs.has(id)) ? change : { ...change, op: 'keep' as const }
  })
}

const NO_KEYS: ReadonlySet<string> = new Set()

/** Reads a stream that is ordered by bucket, a bucket at a time. */
export class BucketReader<Row extends { readonly bucket: number }> {
  readonly #rows: AsyncIterator<Row>
  #ahead: Row | null = null
  #ended = false

  constructor(rows: AsyncIterable<Row>) {
    this.#rows = rows[Symbol.asyncIterator]()
  }

  async read(bucket: number): Promise<Row[]> {
    const rows: Row[] = []
    for (;;) {
      const row = this.#ahead ?? (await this.#next())
      this.#ahead = row
      if (row === null || row.bucket > bucket) return rows
      rows.push(row)
      this.#ahead = null
    }
  }

  async #next(): Promise<Row | null> {
    if (this.#ended) return null
    const next = await this.#rows.next()
    this.#ended = next.done === true
    return next.done ? null : next.value
  }

  async close(): Promise<void> {
    await this.#rows.return?.()
  }
}
