import type { KeyFingerprint } from '#adapters/adapter.ts'
import type { AgreedRow, Baseline } from '#adapters/baseline.ts'
import type { Rejection } from '#model/change.ts'
import type { Agreed, ConflictKind, FoundConflict, ResolvedConflict, ResolvedOutcome } from '#model/conflict.ts'
import { LARGE_ROW_BYTES, type Row } from '#model/value.ts'
import { isSameCell } from '#sync/conflicts/compare.ts'
import { decide } from '#sync/conflicts/decide.ts'
import type { Conflicts } from '#sync/conflicts.ts'
import type { TablePlan } from '#sync/plan.ts'
import { refuseTooMany } from './apply.ts'
import { conflictTable, contest } from './contest.ts'
import {
  BucketReader,
  descendsOnlyWhereDigestsDiffer,
  leaveSettled,
  setAside,
  type DetectContext,
  type Detection,
} from './detect.ts'
import { candidateBatches, rowsOfTables, type Candidates } from './detectors/candidates.ts'
import { heldBy, wayOf, type Held } from './in-the-way.ts'
import { rowsByKey } from './set-aside.ts'
import { digestAll, digestParts, type Digests } from './three-way-digests.ts'
import { Ledger } from './three-way-ledger.ts'
import type { Turner } from './turn-back.ts'

/** What detection needs beside, where each side is held against what both last agreed on. */
export interface ThreeWayContext extends DetectContext {
  /** Null: nothing is known, and whatever differs is first contact. */
  readonly baseline: Baseline | null
  /** Null: nobody is asked, and nothing that was decided is known. */
  readonly conflicts: Conflicts | null
  /** Milliseconds that the source's clock is ahead of the target's. */
  readonly clockSkewMs: number
  /** Null: everything is compared. */
  readonly candidates: Candidates | null
  /** Null: what goes to the source goes as it is, or nothing does. */
  readonly turner: Turner | null
}

/** What was found, and what becomes of people's decisions. */
export interface ThreeWayFound {
  readonly detection: Detection
  /** Decisions that this run carries out. */
  readonly carried: readonly ResolvedConflict[]
  /** Decisions on rows that are others by now. */
  readonly moved: readonly ResolvedOutcome[]
  /** Rows of the target that cannot become rows of the source. */
  readonly refusedBack: readonly Rejection[]
  readonly remarks: Ledger['remarks']
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

/** A row that was made of both sides' rows. */
export interface MergedRow {
  /** Null: the target has it already. */
  readonly row: Row | null
  readonly source: Row
  readonly target: Row
}

/** What becomes of a contested row. */
export type Settlement =
  | { readonly of: Contested; readonly take: 'source' | 'target' }
  | ({ readonly of: Contested; readonly take: 'merged' } & MergedRow)
  | { readonly of: Contested; readonly take: 'nothing'; readonly found: FoundConflict }

type Left = Extract<Settlement, { take: 'nothing' }>

/** Rows that are decided on at once. */
const FLUSH_ROWS = 2_000

/** Bytes of rows that are decided on at once. */
const SETTLE_BYTES = 16 * 1024 * 1024

/** Decisions that one run carries out in a table; the next one goes on. */
const MOST_DECISIONS = 50_000

/**
 * Finds the changes of one table by what each side has changed since both last agreed (DESIGN 1.5): digests of the buckets
 * of each side against those that the baseline has of it, then of the parts of buckets that differ where an index finds
 * these, then keys and fingerprints of what differs still, and for each row the verdict of `decide`. Where the baseline is not complete, the sides are held against each other.
 */
export async function detectThreeWay(plan: TablePlan, context: ThreeWayContext): Promise<ThreeWayFound> {
  const work = new ThreeWay(plan, context)
  await work.carryOut()
  if (context.candidates === null) await work.compare()
  else await work.compareAmong(context.candidates)
  return await work.found()
}

class ThreeWay {
  readonly #plan: TablePlan
  readonly #context: ThreeWayContext
  readonly #ledger: Ledger
  readonly #rows = { source: 0, target: 0, settled: 0, rejectedInBoth: 0 }
  readonly #rejections: Rejection[] = []
  readonly #contested: Contested[] = []
  readonly #alone: Judged[] = []
  readonly #carried: ResolvedConflict[] = []
  readonly #moved: ResolvedOutcome[] = []
  /** Rows on which somebody decided, and that are no business of the comparison; those that it has not met yet. */
  readonly #decided = new Map<string, Judged>()
  readonly #met = new Set<string>()
  readonly #decidedRows = { source: 0, target: 0 }

  constructor(plan: TablePlan, context: ThreeWayContext) {
    this.#plan = plan
    this.#context = context
    this.#ledger = new Ledger(plan, context)
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
      const built = await this.#standing(batch, of)
      const held = await heldBy(batch, this.#plan, this.#context)
      for (const decision of batch) {
        const id = JSON.stringify(decision.key)
        const row = {
          source: of.source.get(id),
          target: of.target.get(id),
          agreed: of.agreed.get(id),
          key: decision.key,
        }
        this.#carryOne(decision, row, { stands: built.has(id), held: held.get(decision.id) ?? null })
      }
      await this.#flush(FLUSH_ROWS)
    }
  }

  /**
   * Decisions for a built row that the target has already: whoever wrote it was cut off between the COMMIT and the telling.
   * As the JSON of their keys.
   */
  async #standing(
    batch: readonly ResolvedConflict[],
    of: Record<'source' | 'target', ReadonlyMap<string, KeyFingerprint>>,
  ): Promise<ReadonlySet<string>> {
    const asked = batch.filter(({ resolution, key, sourceFingerprint, targetFingerprint }) => {
      const id = JSON.stringify(key)
      const [source, target] = [of.source.get(id), of.target.get(id)]
      const [here, there] = [source?.fingerprint ?? null, target?.fingerprint ?? null]
      const unmoved = this.#plan.back === null ? here === sourceFingerprint : here === there
      return resolution === 'row' && unmoved && there !== targetFingerprint && (target?.bytes ?? 0) < LARGE_ROW_BYTES
    })
    const keys = asked.map(({ key }) => key)
    const rows = await rowsByKey(this.#context.target, this.#plan.write.scan, keys)
    return new Set(
      asked
        .filter(({ key, row }) => isSameRow(row, rows.get(JSON.stringify(key)) ?? null))
        .map(({ key }) => JSON.stringify(key)),
    )
  }

  #carryOne(
    decision: ResolvedConflict,
    row: Judged,
    { stands, held }: { readonly stands: boolean; readonly held: Held | null },
  ): void {
    const id = JSON.stringify(decision.key)
    const now = { source: row.source?.fingerprint ?? null, target: row.target?.fingerprint ?? null }
    const taken = decision.resolution === 'source' || decision.resolution === 'target' ? decision.resolution : null
    // The side that was taken is what it was, and the other one has its row by now.
    const followed = taken !== null && now.source === now.target && now[taken] === decision[`${taken}Fingerprint`]
    const isMoved = now.source !== decision.sourceFingerprint || now.target !== decision.targetFingerprint
    const way = held === null ? 'free' : wayOf(decision, held)
    if (this.#decided.has(id) || way === 'barred' || (!stands && !followed && isMoved)) {
      const sides = { sourceFingerprint: now.source, targetFingerprint: now.target }
      this.#moved.push({ id: decision.id, outcome: 'moved', ...sides })
      return
    }
    this.#decide(id, row)
    this.#apply(decision, row, stands)
    if (way === 'given' && held !== null) this.#makeWay(decision, held)
  }

  /** The row in the way gives its value up, unless somebody has decided on that row too. */
  #makeWay({ holder }: ResolvedConflict, { judged, yielded }: Held): void {
    const id = JSON.stringify(judged.key)
    if (this.#decided.has(id) || holder === null || yielded === null) return
    this.#decide(id, judged)
    this.#ledger.giveWay(judged, holder.side, yielded)
  }

  /** The comparison has nothing more to do with it. */
  #decide(id: string, row: Judged): void {
    this.#decided.set(id, row)
    if (row.source !== undefined) this.#decidedRows.source += 1
    if (row.target !== undefined) this.#decidedRows.target += 1
  }

  /** `stands`: the target has the row that was built already. */
  #apply(decision: ResolvedConflict, row: Judged, stands = false): void {
    this.#carried.push(decision)
    const isSame = row.source?.fingerprint === row.target?.fingerprint
    if (isSame && (stands || decision.resolution !== 'row')) return this.#ledger.adopt(row)
    if (stands) return this.#ledger.settle(row)
    switch (decision.resolution) {
      case 'source':
        return this.#ledger.toTarget(row, 'decided')
      case 'target':
        return this.#plan.back === null ? this.#ledger.settle(row) : this.#ledger.toSource(row, 'decided')
      case 'skip':
        return this.#ledger.settle(row)
      case 'row':
        return this.#ledger.writeBuilt(row, decision.row)
    }
  }

  async compare(): Promise<void> {
    const plan = this.#plan
    const { source, target, baseline, signal } = this.#context
    const all = await digestAll(plan, this.#context)
    this.#rows.source = all.now.source.total
    this.#rows.target = all.now.target.total
    let { bucketing } = all
    let bad = this.#differing(all)
    const parts = await digestParts(plan, this.#context, { bucketing, bad })
    if (parts !== null) {
      bucketing = parts.bucketing
      bad = this.#differing(parts)
    }
    if (bad.length > 0) {
      const which = bad.length === bucketing.count ? 'all' : bad
      await this.#descend(bad, {
        source: new BucketReader(source.keys(plan.sourceScan, bucketing, which)),
        target: new BucketReader(target.keys(plan.write.scan, bucketing, which)),
        agreed: new BucketReader(baseline?.rows(bucketing, which) ?? nothing()),
      })
    }
    for (const [id, row] of this.#decided) if (!this.#met.has(id)) this.#ledger.notQuiet(row)
    await this.#flush(1)
    signal.throwIfAborted()
  }

  /** The buckets, or parts, whose rows have to be looked at; all others are counted as they are. */
  #differing({ buckets, now, agreed, differing }: Digests): number[] {
    const complete = this.#context.baseline?.complete === true
    const isQuiet = (bucket: number): boolean =>
      complete
        ? now.source.agrees(agreed.source, bucket) && now.target.agrees(agreed.target, bucket)
        : now.source.agrees(now.target, bucket)
    const bad: number[] = []
    for (const bucket of buckets) {
      const rows = [now.source, now.target, agreed.source, agreed.target].map((digests) => digests.rows(bucket))
      if (descendsOnlyWhereDigestsDiffer(this.#plan) && isQuiet(bucket)) {
        this.#ledger.quiet(now.source.rows(bucket), complete ? differing.get(bucket) : undefined)
      } else if (rows.some((count) => count > 0)) bad.push(bucket)
    }
    return bad
  }

  /** Looks at some rows alone; those that somebody decided on are looked at already, and counted here with the others. */
  async compareAmong(candidates: Candidates): Promise<void> {
    const { source, target, baseline, signal, onRows } = this.#context
    for await (const batch of candidateBatches(this.#plan, candidates, this.#context)) {
      signal.throwIfAborted()
      const keys = batch.filter((key) => !this.#decided.has(JSON.stringify(key)))
      const [here, there, agreed] = await Promise.all([
        source.fingerprints(this.#plan.sourceScan, keys),
        target.fingerprints(this.#plan.write.scan, keys),
        baseline?.find(keys) ?? [],
      ])
      this.#rows.source += here.length
      this.#rows.target += there.length
      onRows(here.length + there.length)
      this.#judgeBucket({ source: here, target: there }, agreed)
      await this.#flush(FLUSH_ROWS)
    }
    await this.#flush(1)
    this.#rows.source += this.#decidedRows.source
    this.#rows.target += this.#decidedRows.target
  }

  async #descend(
    bad: readonly number[],
    readers: {
      source: BucketReader<KeyFingerprint>
      target: BucketReader<KeyFingerprint>
      agreed: BucketReader<AgreedRow>
    },
  ): Promise<void> {
    const { signal } = this.#context
    try {
      for (const bucket of bad) {
        signal.throwIfAborted()
        const [sourceRows, targetRows, agreed] = await Promise.all([
          readers.source.read(bucket),
          readers.target.read(bucket),
          readers.agreed.read(bucket),
        ])
        this.#judgeBucket({ source: sourceRows, target: targetRows }, agreed)
        await this.#flush(FLUSH_ROWS)
      }
    } finally {
      await Promise.all([readers.source.close(), readers.target.close(), readers.agreed.close()])
    }
  }

  #judgeBucket(
    { source: sourceRows, target: targetRows }: Record<'source' | 'target', readonly KeyFingerprint[]>,
    agreed: readonly AgreedRow[],
  ): void {
    const { settled, policies } = this.#context
    const judged = leaveSettled(sourceRows, targetRows, settled)
    this.#rows.settled += sourceRows.length - judged.source.length
    this.#ledger.setApart(sourceRows.length - judged.source.length, targetRows.length - judged.target.length)
    const rows = setAside(judged.source, judged.target, this.#rejections)
    this.#rows.rejectedInBoth += judged.target.length - rows.target.length
    refuseTooMany(this.#rejections, { maxRejections: policies.maxRejections, plan: this.#plan })
    const apart = new Set([
      ...sourceRows.filter((row) => !rows.source.includes(row)).map(({ key }) => JSON.stringify(key)),
      ...targetRows.filter((row) => !rows.target.includes(row)).map(({ key }) => JSON.stringify(key)),
    ])
    const [source, target, last] = [byKey(rows.source), byKey(rows.target), byKey(agreed)]
    const ids = new Set([...source.keys(), ...target.keys(), ...last.keys()])
    for (const id of ids) {
      if (this.#decided.has(id)) this.#met.add(id)
      if (this.#decided.has(id) || apart.has(id)) continue
      const row = { source: source.get(id), target: target.get(id), agreed: last.get(id) }
      const key = row.source?.key ?? row.target?.key ?? row.agreed?.key
      if (key === undefined) continue
      if (this.#mayBeBeyond(row)) this.#alone.push({ ...row, key })
      else this.#judge({ ...row, key })
    }
  }

  /** The source may have a row under the key that does not exist for the sync, and must not be taken for a deleted one. */
  #mayBeBeyond({ source, target }: Pick<Judged, 'source' | 'target'>): boolean {
    return this.#plan.back !== null && this.#plan.exit !== null && source === undefined && target !== undefined
  }

  async #judgeAlone(): Promise<void> {
    const rows = this.#alone.splice(0)
    const beyond = await this.#context.beyondFilter?.(rows.map(({ key }) => key))
    for (const row of rows) {
      if (beyond?.has(JSON.stringify(row.key)) === true) this.#ledger.beyondFilter(row)
      else this.#judge(row)
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
    const { conflict, direction } = this.#plan
    if (this.#mayBeOneSided(row)) return this.#contest(row, 'update_update')
    const verdict = decide(three, { strategy: conflict.strategy, direction })
    switch (verdict.do) {
      case 'adopt':
        return this.#ledger.adopt(row)
      case 'nothing':
        return this.#isOwned(row) ? this.#contest(row, 'update_update') : this.#ledger.leave(row, 'skipped')
      case 'to_target':
        return this.#isOwned(row) ? this.#contest(row, 'update_update') : this.#ledger.toTarget(row, 'found')
      case 'settle':
        return this.#ledger.settle(row)
      case 'contest':
        return this.#contest(row, verdict.kind)
      case 'to_source':
        return this.#isOwned(row) ? this.#contest(row, 'update_update') : this.#ledger.toSource(row, 'found')
    }
  }

  /** Both rows are others, and yet one side may have changed nothing but what the source decides. */
  #mayBeOneSided({ source, target, agreed }: Judged): boolean {
    if ((this.#plan.turning?.oneWay.length ?? 0) === 0 || source === undefined || target === undefined) return false
    if (agreed === undefined || !agreed.hasFields || source.fingerprint === target.fingerprint) return false
    return source.fingerprint !== agreed.source && target.fingerprint !== agreed.target
  }

  #contest(row: Judged, kind: ConflictKind): void {
    this.#contested.push({ ...row, kind })
  }

  /** Fields that a side owns bind rows too that the other one alone has changed: these are merged as well. */
  #isOwned({ source, target }: Judged): boolean {
    const { strategy, fields } = this.#plan.conflict
    const owned = [...fields.values()].some((field) => field === 'source_owns' || field === 'target_owns')
    return strategy === 'merge' && owned && source !== undefined && target !== undefined
  }

  /** Hands on what has come together, where that is at least so many rows. */
  async #flush(least: number): Promise<void> {
    if (this.#alone.length >= least) await this.#judgeAlone()
    if (this.#contested.length >= least) {
      for (const some of bySize(this.#contested.splice(0))) await this.#settle(some)
    }
    await this.#ledger.flush(this.#context, { all: least === 1 })
    refuseTooMany(this.#ledger.refusedBack, { maxRejections: this.#context.policies.maxRejections, plan: this.#plan })
  }

  async #settle(contested: readonly Contested[]): Promise<void> {
    const left: Left[] = []
    for (const settlement of await contest(this.#plan, contested, this.#context)) {
      const { of } = settlement
      if (settlement.take === 'source') this.#ledger.toTarget(of, 'found')
      else if (settlement.take === 'target') this.#ledger.takeTarget(of)
      else if (settlement.take === 'merged') this.#ledger.merge(of, settlement)
      else if (settlement.take === 'nothing') left.push(settlement)
    }
    await this.#park(left)
  }

  /** They wait for somebody, but for those of a sort on which somebody has decided once for all. */
  async #park(left: readonly Left[]): Promise<void> {
    if (left.length === 0) return
    const found = left.map((settlement) => settlement.found)
    const ruled = byKey((await this.#context.conflicts?.park(conflictTable(this.#plan), found)) ?? [])
    for (const { of } of left) {
      const decision = ruled.get(JSON.stringify(of.key))
      if (decision === undefined || this.#carried.length >= MOST_DECISIONS) this.#ledger.leave(of, 'conflicted')
      else this.#apply(decision, of)
    }
  }

  async found(): Promise<ThreeWayFound> {
    const { candidates: found } = this.#context
    const detection = this.#ledger.counted
    return {
      detection: {
        ...(found && (await rowsOfTables(this.#plan, { found, detection }, this.#context))),
        ...detection,
        sourceRows: this.#rows.source,
        targetRows: this.#rows.target,
        rejections: this.#rejections,
        rejectedInBoth: this.#rows.rejectedInBoth,
        settled: this.#rows.settled,
      },
      carried: this.#carried,
      moved: this.#moved,
      refusedBack: this.#ledger.refusedBack,
      remarks: this.#ledger.remarks,
    }
  }
}

// eslint-disable-next-line require-yield -- nothing is there to be given
async function* nothing(): AsyncGenerator<never> {}

/** In parts whose rows may stand in memory at once (invariant 6). */
function* bySize(contested: readonly Contested[]): Generator<readonly Contested[]> {
  let part: Contested[] = []
  let bytes = 0
  for (const one of contested) {
    part.push(one)
    bytes += (one.source?.bytes ?? 0) + (one.target?.bytes ?? 0)
    if (bytes < SETTLE_BYTES) continue
    yield part
    part = []
    bytes = 0
  }
  if (part.length > 0) yield part
}

function isSameRow(a: Row | null, b: Row | null): boolean {
  if (a === null || b === null) return a === b
  return a.every((cell, i) => isSameCell(cell, b[i] ?? null))
}

function byKey<Row extends { readonly key: KeyFingerprint['key'] }>(rows: readonly Row[]): Map<string, Row> {
  return new Map(rows.map((row) => [JSON.stringify(row.key), row]))
}

function agreedOf(row: AgreedRow | undefined): Agreed | null {
  return row === undefined ? null : { source: row.source, target: row.target }
}
