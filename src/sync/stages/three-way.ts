import type { AgreedRow, Agreement, Baseline, BaselineDigest, KeyFingerprint } from '#adapters/adapter.ts'
import { assert } from '#lib/assert.ts'
import type { Rejection } from '#model/change.ts'
import type { Agreed, ConflictKind, FoundConflict, ResolvedConflict, ResolvedOutcome } from '#model/conflict.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import { sizeOfRow, type Row } from '#model/value.ts'
import { decide } from '#sync/conflicts/decide.ts'
import type { Conflicts } from '#sync/conflicts.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { Images, KeptImage, StagedChange } from '#sync/staging.ts'
import { refuseTooMany } from './apply.ts'
import { chooseBuckets, DigestTable } from './buckets.ts'
import { conflictTable, contest } from './contest.ts'
import {
  BucketReader,
  COUNTERS,
  decideTargetOnly,
  descendsOnlyWhereDigestsDiffer,
  digestSide,
  leaveSettled,
  setAside,
  type DetectContext,
  type Detection,
} from './detect.ts'

/** What detection needs beside, where each side is held against what both last agreed on. */
export interface ThreeWayContext extends DetectContext {
  /** Null: nothing is known, and whatever differs is first contact. */
  readonly baseline: Baseline | null
  /** Null: nobody is asked, and nothing that was decided is known. */
  readonly conflicts: Conflicts | null
  /** Milliseconds that the source's clock is ahead of the target's. */
  readonly clockSkewMs: number
}

/** What was found, and what becomes of people's decisions. */
export interface ThreeWayFound {
  readonly detection: Detection
  /** Decisions that this run carries out. */
  readonly carried: readonly ResolvedConflict[]
  /** Decisions on rows that are others by now. */
  readonly moved: readonly ResolvedOutcome[]
}

/** A row of which a side is another one than both last agreed on. */
export interface Judged {
  readonly source: KeyFingerprint | undefined
  readonly target: KeyFingerprint | undefined
  readonly agreed: AgreedRow | undefined
  readonly key: KeyFingerprint['key']
}

export interface Contested extends Judged {
  readonly kind: ConflictKind
}

/** What becomes of a contested row. */
export type Settlement =
  | { readonly of: Contested; readonly take: 'source' | 'target' }
  | {
      readonly of: Contested
      readonly take: 'merged'
      /** Null: the target has it already. */
      readonly row: Row | null
      /** The fingerprint of each column of the source's row: what the next merge begins with. */
      readonly fields: readonly Fingerprint[]
    }
  | { readonly of: Contested; readonly take: 'nothing'; readonly found: FoundConflict }

/** Rows that are decided on at once. */
const FLUSH_ROWS = 2_000

/** Decisions that one run carries out in a table; the next one goes on. */
const MOST_DECISIONS = 50_000

/**
 * Finds the changes of one table by what each side has changed since both last agreed (DESIGN 1.5): digests of the buckets
 * of each side against those that the baseline has of it, then keys and fingerprints of the buckets that differ, and for
 * each row the verdict of `decide`. Where the baseline is not complete, the sides are held against each other.
 */
export async function detectThreeWay(plan: TablePlan, context: ThreeWayContext): Promise<ThreeWayFound> {
  const work = new ThreeWay(plan, context)
  await work.carryOut()
  await work.compare()
  return work.found()
}

/** The lists of the staging, beside that of the changes. */
export function agreedList({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} agreed`
}

/** Rows that are written though no side has them. */
export function rowImages({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} rows`
}

/** What the sides agree on from now on, by key: what each of them has, then the columns. */
export function agreements({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} agreements`
}

export function agreementOf({ row }: Pick<KeptImage, 'row'>): Agreement {
  const [source, target, ...fields] = (row ?? []).map((cell) => (typeof cell === 'string' ? cell : null))
  const known = fields.filter((field) => field !== null)
  return { source: source ?? null, target: target ?? null, fields: known.length === 0 ? null : known }
}

/** Keys of rows that are written and that no side has: a proof of the whole table leaves them out. */
export function ownList({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} own`
}

/** Keys of rows that a proof of the whole table leaves out by another list than that of what was agreed. */
export function keptImages({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} kept`
}

class ThreeWay {
  readonly #plan: TablePlan
  readonly #context: ThreeWayContext
  readonly #counts = { unchanged: 0, inserts: 0, updates: 0, deletes: 0, kept: 0 }
  readonly #left = { skipped: 0, conflicted: 0, targetOnly: 0 }
  readonly #apart = { source: 0, target: 0 }
  readonly #rows = { source: 0, target: 0, settled: 0, rejectedInBoth: 0 }
  readonly #rejections: Rejection[] = []
  readonly #changes: StagedChange[] = []
  readonly #agreed: StagedChange[] = []
  readonly #kept: StagedChange[] = []
  readonly #contested: Contested[] = []
  readonly #carried: ResolvedConflict[] = []
  readonly #moved: ResolvedOutcome[] = []
  /** Rows on which somebody decided, and that are no business of the comparison. */
  readonly #decided = new Set<string>()

  constructor(plan: TablePlan, context: ThreeWayContext) {
    this.#plan = plan
    this.#context = context
    const { staging } = context
    staging.clear(plan.mappingId)
    for (const list of [agreedList(plan), ownList(plan)]) staging.clear(list)
    for (const images of [this.#images, this.#keptRows, this.#agreements]) images.clear()
  }

  get #images(): Images {
    return this.#context.staging.images(rowImages(this.#plan))
  }

  get #keptRows(): Images {
    return this.#context.staging.images(keptImages(this.#plan))
  }

  get #agreements(): Images {
    return this.#context.staging.images(agreements(this.#plan))
  }

  /** What people decided, where both sides are still what they decided on (hazard D15). */
  async carryOut(): Promise<void> {
    const { conflicts, source, target, baseline, signal } = this.#context
    if (conflicts === null) return
    for await (const batch of conflicts.resolved(this.#plan.target.ref)) {
      signal.throwIfAborted()
      if (this.#carried.length + batch.length > MOST_DECISIONS) break
      const keys = batch.map(({ key }) => key)
      const [here, there, agreed] = await Promise.all([
        source.fingerprints(this.#plan.sourceScan, keys),
        target.fingerprints(this.#plan.write.scan, keys),
        baseline?.find(keys) ?? [],
      ])
      const of = { source: byKey(here), target: byKey(there), agreed: byKey(agreed) }
      for (const decision of batch) {
        const id = JSON.stringify(decision.key)
        const row = {
          source: of.source.get(id),
          target: of.target.get(id),
          agreed: of.agreed.get(id),
          key: decision.key,
        }
        this.#carryOne(decision, row, id)
      }
      await this.#flush(FLUSH_ROWS)
    }
  }

  #carryOne(decision: ResolvedConflict, row: Judged, id: string): void {
    const now = { source: row.source?.fingerprint ?? null, target: row.target?.fingerprint ?? null }
    if (now.source !== decision.sourceFingerprint || now.target !== decision.targetFingerprint) {
      this.#moved.push({
        id: decision.id,
        outcome: 'moved',
        sourceFingerprint: now.source,
        targetFingerprint: now.target,
      })
      return
    }
    this.#decided.add(id)
    this.#carried.push(decision)
    switch (decision.resolution) {
      case 'source':
        return now.source === now.target ? this.#adopt(row) : this.#toTarget(row, 'decided')
      case 'target':
      case 'skip':
        return this.#settle(row)
      case 'row':
        return this.#writeBuilt(row, decision.row)
    }
  }

  async compare(): Promise<void> {
    const plan = this.#plan
    const { source, target, baseline, staging, signal } = this.#context
    const rows = Math.max(plan.source.rowEstimate ?? 0, plan.target.rowEstimate ?? 0, 1)
    const bucketing = await chooseBuckets(plan, { source, target }, rows)
    const [sourceDigests, targetDigests, agreed] = await Promise.all([
      digestSide(source, plan.sourceScan, bucketing, this.#context),
      digestSide(target, plan.write.scan, bucketing, this.#context),
      baseline?.digests(bucketing) ?? [],
    ])
    this.#rows.source = sourceDigests.total
    this.#rows.target = targetDigests.total
    const last = { source: new DigestTable(bucketing.count), target: new DigestTable(bucketing.count) }
    const differing = new Map<number, BaselineDigest['differing']>()
    for (const { bucket, source: digest, target: other, differing: apart } of agreed) {
      last.source.add([{ bucket, digest }])
      last.target.add([{ bucket, digest: other }])
      differing.set(bucket, apart)
    }
    const complete = baseline?.complete === true
    const isQuiet = (bucket: number): boolean =>
      complete
        ? sourceDigests.agrees(last.source, bucket) && targetDigests.agrees(last.target, bucket)
        : sourceDigests.agrees(targetDigests, bucket)
    const bad: number[] = []
    for (let bucket = 0; bucket < bucketing.count; bucket++) {
      if (descendsOnlyWhereDigestsDiffer(plan) && isQuiet(bucket)) {
        this.#quiet(sourceDigests.rows(bucket), complete ? differing.get(bucket) : undefined)
      } else if (
        sourceDigests.rows(bucket) + targetDigests.rows(bucket) + last.source.rows(bucket) + last.target.rows(bucket) >
        0
      )
        bad.push(bucket)
    }
    if (bad.length > 0) {
      const which = bad.length === bucketing.count ? 'all' : bad
      await this.#descend(bad, {
        source: new BucketReader(source.keys(plan.sourceScan, bucketing, which)),
        target: new BucketReader(target.keys(plan.write.scan, bucketing, which)),
        agreed: new BucketReader(baseline?.rows(bucketing, which) ?? nothing()),
      })
    }
    await this.#flush(1)
    staging.append(plan.mappingId, this.#kept.splice(0))
    signal.throwIfAborted()
  }

  /** Nothing has changed in a bucket: of its rows those are left on which the sides agreed to differ. */
  #quiet(rows: number, { both, sourceOnly, targetOnly } = { both: 0, sourceOnly: 0, targetOnly: 0 }): void {
    this.#counts.unchanged += rows - both - sourceOnly
    this.#left.skipped += both + sourceOnly + targetOnly
    this.#left.targetOnly += targetOnly
    this.#apart.source += both + sourceOnly
    this.#apart.target += both + targetOnly
  }

  async #descend(
    bad: readonly number[],
    readers: {
      source: BucketReader<KeyFingerprint>
      target: BucketReader<KeyFingerprint>
      agreed: BucketReader<AgreedRow>
    },
  ): Promise<void> {
    const { signal, settled, policies } = this.#context
    try {
      for (const bucket of bad) {
        signal.throwIfAborted()
        const [sourceRows, targetRows, agreed] = await Promise.all([
          readers.source.read(bucket),
          readers.target.read(bucket),
          readers.agreed.read(bucket),
        ])
        const judged = leaveSettled(sourceRows, targetRows, settled)
        this.#rows.settled += sourceRows.length - judged.source.length
        this.#apart.source += sourceRows.length - judged.source.length
        this.#apart.target += targetRows.length - judged.target.length
        const whole = setAside(judged.source, judged.target, this.#rejections)
        this.#rows.rejectedInBoth += judged.target.length - whole.target.length
        refuseTooMany(this.#rejections, { maxRejections: policies.maxRejections, plan: this.#plan })
        const apart = new Set([
          ...sourceRows.filter((row) => !whole.source.includes(row)).map(({ key }) => JSON.stringify(key)),
          ...targetRows.filter((row) => !whole.target.includes(row)).map(({ key }) => JSON.stringify(key)),
        ])
        this.#judgeBucket(whole, agreed, apart)
        await this.#flush(FLUSH_ROWS)
      }
    } finally {
      await Promise.all([readers.source.close(), readers.target.close(), readers.agreed.close()])
    }
  }

  #judgeBucket(
    rows: { source: readonly KeyFingerprint[]; target: readonly KeyFingerprint[] },
    agreed: readonly AgreedRow[],
    apart: ReadonlySet<string>,
  ): void {
    const [source, target, last] = [byKey(rows.source), byKey(rows.target), byKey(agreed)]
    const ids = new Set([...source.keys(), ...target.keys(), ...last.keys()])
    for (const id of ids) {
      if (this.#decided.has(id) || apart.has(id)) continue
      const row = { source: source.get(id), target: target.get(id), agreed: last.get(id) }
      const key = row.source?.key ?? row.target?.key ?? row.agreed?.key
      if (key !== undefined) this.#judge({ ...row, key })
    }
  }

  #judge(row: Judged): void {
    const { baseline } = this.#context
    const three = {
      source: row.source?.fingerprint ?? null,
      target: row.target?.fingerprint ?? null,
      agreed: agreedOf(row.agreed),
      baselineComplete: baseline?.complete === true,
    }
    const verdict = decide(three, { strategy: this.#plan.conflict.strategy, direction: 'one_way' })
    switch (verdict.do) {
      case 'adopt':
        return this.#adopt(row)
      case 'nothing':
        return this.#leave(row, 'skipped')
      case 'to_target':
        return this.#toTarget(row, 'found')
      case 'settle':
        return this.#settle(row)
      case 'contest':
        this.#contested.push({ ...row, kind: verdict.kind })
        return
      case 'to_source':
        assert(false, 'a sync in one way writes to its target alone')
    }
  }

  #adopt({ key, source, target, agreed }: Judged): void {
    if (source !== undefined) this.#counts.unchanged += 1
    const known = agreed !== undefined && isSame(agreed.source, source) && isSame(agreed.target, target)
    const lacks = this.#plan.write.baselineFields && agreed?.fields === null && source !== undefined
    if (!known || lacks) this.#remember(key, source, target)
  }

  #remember(key: Judged['key'], source: KeyFingerprint | undefined, target: KeyFingerprint | undefined): void {
    this.#agree(key, { source: source?.fingerprint ?? null, target: target?.fingerprint ?? null, fields: null })
    this.#agreed.push({ op: 'keep', key, expect: null, bytes: 0 })
  }

  #agree(key: Judged['key'], agreement: Agreement): void {
    const { source, target, fields } = agreement
    this.#agreements.put([{ key, fingerprint: '', row: [source, target, ...(fields ?? [])], bytes: 0 }])
  }

  #settle(row: Judged): void {
    this.#remember(row.key, row.source, row.target)
    this.#leave(row, 'skipped')
  }

  /**
   * The target gets what merged, and the source keeps what it has. What the sides agree on is the source's row: what is the
   * target's own in the merged one stays its own for every later merge.
   */
  #merge(row: Contested, { row: merged, fields }: { row: Row | null; fields: readonly Fingerprint[] }): void {
    const source = row.source?.fingerprint ?? null
    this.#agree(row.key, { source, target: source, fields })
    if (merged !== null) return this.#write(row, merged)
    this.#agreed.push({ op: 'keep', key: row.key, expect: null, bytes: 0 })
    this.#leave(row, 'skipped')
  }

  #leave({ key, source, target }: Judged, how: 'skipped' | 'conflicted'): void {
    this.#kept.push({ op: 'keep', key, expect: target?.fingerprint ?? null, bytes: 0 })
    this.#keptRows.put([{ key, fingerprint: '', row: null, bytes: 0 }])
    this.#left[how] += 1
    if (source !== undefined) this.#apart.source += 1
    if (target !== undefined) this.#apart.target += 1
    if (source === undefined) this.#left.targetOnly += 1
  }

  /** `decided`: somebody wants the row gone, whatever the policy for deletes is. */
  #toTarget({ key, source, target }: Judged, why: 'found' | 'decided'): void {
    const expect = target?.fingerprint ?? null
    if (source !== undefined) {
      const op = target === undefined ? 'insert' : 'update'
      this.#counts[COUNTERS[op]] += 1
      this.#changes.push({ op, key, expect, bytes: source.bytes })
    } else if (why === 'decided') {
      this.#counts.deletes += 1
      this.#context.staging.append(this.#plan.mappingId, [{ op: 'delete', key, expect, bytes: target?.bytes ?? 0 }])
    } else this.#changes.push({ op: 'delete', key, expect, bytes: target?.bytes ?? 0 })
  }

  /** A row that somebody built; null: there is to be none. The source keeps what it has, and the sides agree on that. */
  #writeBuilt(judged: Judged, row: Row | null): void {
    const { key, source, target } = judged
    const has = source?.fingerprint ?? null
    if (row !== null) {
      this.#agree(key, { source: has, target: 'written', fields: null })
      return this.#write(judged, row)
    }
    if (target === undefined) return this.#settle(judged)
    this.#counts.deletes += 1
    this.#context.staging.append(this.#plan.mappingId, [
      { op: 'delete', key, expect: target.fingerprint, bytes: target.bytes },
    ])
    if (source === undefined) return
    this.#remember(key, source, undefined)
    // It goes from the target alone: the source's side of it is counted with that.
    this.#apart.source += 1
    this.#left.targetOnly -= 1
  }

  #write({ key, source, target }: Judged, row: Row): void {
    const op = target === undefined ? ('insert' as const) : ('update' as const)
    const bytes = sizeOfRow(row)
    this.#images.put([{ key, fingerprint: '', row, bytes }])
    this.#keptRows.put([{ key, fingerprint: '', row: null, bytes: 0 }])
    this.#context.staging.append(ownList(this.#plan), [{ op: 'keep', key, expect: null, bytes: 0 }])
    this.#counts[COUNTERS[op]] += 1
    this.#context.staging.append(this.#plan.mappingId, [{ op, key, expect: target?.fingerprint ?? null, bytes }])
    if (source !== undefined) return
    this.#left.targetOnly += 1
    this.#apart.target += 1
  }

  /** Hands on what has come together, where that is at least so many rows. */
  async #flush(least: number): Promise<void> {
    const { staging, conflicts } = this.#context
    if (this.#contested.length >= least) {
      const found: FoundConflict[] = []
      for (const settlement of await contest(this.#plan, this.#contested.splice(0), this.#context)) {
        const { of } = settlement
        if (settlement.take === 'source') this.#toTarget(of, 'found')
        else if (settlement.take === 'target') this.#settle(of)
        else if (settlement.take === 'merged') this.#merge(of, settlement)
        else if (settlement.take === 'nothing') {
          found.push(settlement.found)
          this.#leave(of, 'conflicted')
        }
      }
      if (found.length > 0) await conflicts?.park(conflictTable(this.#plan), found)
    }
    if (this.#changes.length >= least) {
      const changes = await decideTargetOnly(this.#changes.splice(0), this.#plan, this.#context)
      for (const change of changes) {
        if (change.op === 'delete' || change.op === 'keep') this.#counts[COUNTERS[change.op]] += 1
        if (change.op === 'keep') this.#keptRows.put([{ key: change.key, fingerprint: '', row: null, bytes: 0 }])
      }
      staging.append(this.#plan.mappingId, changes)
    }
    if (this.#agreed.length >= least) staging.append(agreedList(this.#plan), this.#agreed.splice(0))
    if (this.#kept.length >= least) staging.append(this.#plan.mappingId, this.#kept.splice(0))
  }

  found(): ThreeWayFound {
    return {
      detection: {
        ...this.#counts,
        sourceRows: this.#rows.source,
        targetRows: this.#rows.target,
        rejections: this.#rejections,
        rejectedInBoth: this.#rows.rejectedInBoth,
        settled: this.#rows.settled,
        left: this.#left,
        apart: this.#apart,
      },
      carried: this.#carried,
      moved: this.#moved,
    }
  }
}

// eslint-disable-next-line require-yield -- nothing is there to be given
async function* nothing(): AsyncGenerator<AgreedRow> {}

function byKey<Row extends { readonly key: KeyFingerprint['key'] }>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [JSON.stringify(row.key), row]))
}

function agreedOf(row: AgreedRow | undefined): Agreed | null {
  return row === undefined ? null : { source: row.source, target: row.target }
}

function isSame(last: string | null, now: KeyFingerprint | undefined): boolean {
  return last === (now?.fingerprint ?? null)
}
