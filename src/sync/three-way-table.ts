import type { RowSource, Snapshot } from '#adapters/adapter.ts'
import type { Baseline, RememberedRow } from '#adapters/baseline.ts'
import { assert, must } from '#lib/assert.ts'
import type { Key, Rejection } from '#model/change.ts'
import type { FoundConflict, ResolvedConflict, ResolvedOutcome } from '#model/conflict.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import type { Verification } from '#model/receipt.ts'
import { tableName } from '#model/table.ts'
import { LARGE_ROW_BYTES, sizeOfRow, type Row } from '#model/value.ts'
import type { Attempt } from './attempt.ts'
import { isSameCell } from './conflicts/compare.ts'
import type { TablePlan } from './plan.ts'
import type { AgreementsOf } from './stages/apply.ts'
import { setClashesApartAhead } from './stages/clashes-ahead.ts'
import { clashesAmong } from './stages/clashes.ts'
import { conflictTable } from './stages/contest.ts'
import { COUNTERS, type DetectContext, type Detection } from './stages/detect.ts'
import { overlaidSource } from './stages/images-source.ts'
import { sourceOf } from './stages/mapped-source.ts'
import { addRemark, answeredNote, newRemark, remarked, type Remark } from './stages/remark.ts'
import { rowsByKey } from './stages/set-aside.ts'
import { detectThreeWay } from './stages/three-way.ts'
import {
  agreedList,
  agreementImage,
  agreementOf,
  agreements,
  bothList,
  keptImages,
  ownList,
  returnedList,
  rowImages,
} from './stages/three-way-lists.ts'
import { Turner } from './stages/turn-back.ts'
import type { BatchBounds, Images, StagedChange } from './staging.ts'
import { TableSync } from './sync-table.ts'
import type { Verified } from './verify/verify-table.ts'

/** Rows whose values are in memory at once. */
const IMAGES = 100

const KEYS: BatchBounds = { rows: 2_000, bytes: Infinity }

/** Rows that are looked at again at once. */
const TURNED: BatchBounds = { rows: 2_000, bytes: 4 * 1024 * 1024 }

/**
 * The way of a table in which both sides may change: each is held against what both last agreed on (DESIGN 1.5). What
 * people decided is carried out with the rest, what nobody may decide but people is parked, and what nobody writes though
 * the sides agree on it is remembered when all is written.
 */
export class ThreeWayTable extends TableSync {
  readonly #attempt: Attempt
  #source: TableSync['source'] | null = null
  /** Of the target, where it is open still when all is written. */
  #moment: Snapshot | null = null
  #carried: readonly ResolvedConflict[] = []
  #moved: readonly ResolvedOutcome[] = []
  #refusedBack: readonly Rejection[] = []
  #gone: ReadonlySet<string> = new Set()
  readonly #answered = newRemark()

  constructor(plan: TablePlan, attempt: Attempt) {
    super(plan, attempt)
    this.#attempt = attempt
  }

  /** Rows that somebody built, or that were merged, are the source's for whoever writes them. */
  override get source(): TableSync['source'] {
    const base = super.source
    this.#source ??= {
      ...overlaidSource(base, this.#images(rowImages(this.plan))),
      ...(base.warnings === undefined ? {} : { warnings: () => base.warnings?.() ?? new Map() }),
    }
    return this.#source
  }

  #images(name: string): Images {
    return this.#attempt.staging.images(name)
  }

  /** A target that somebody emptied is no empty one: its rows were deleted. */
  protected override async mayLoadWhole(target: Snapshot): Promise<boolean> {
    if (!(await super.mayLoadWhole(target))) return false
    const baseline = await this.#baseline(target)
    return baseline === null || !baseline.complete
  }

  #baseline(moment: Snapshot): Promise<Baseline | null> {
    const { mappingId, mappingHash, write } = this.plan
    return moment.baseline({ mappingId, mappingHash }, write.scan)
  }

  protected override async find(context: Omit<DetectContext, 'target'>, target: Snapshot): Promise<Detection> {
    const { conflicts, clockSkewMs } = this.#attempt
    if (this.plan.back !== null) this.#moment = target
    const baseline = await this.#baseline(target)
    const source = super.source
    const candidates = this.bulk ? null : await this.look.candidates(this.plan, target)
    await using turner = this.#turner(source, target)
    const sides = { ...context, source, target, baseline, candidates, turner }
    const found = await detectThreeWay(this.plan, { ...sides, conflicts, clockSkewMs })
    this.#carried = found.carried
    this.#moved = found.moved
    this.#refusedBack = found.refusedBack
    this.#tellReset(found.remarks.reset)
    this.#tellOutside(found.remarks.outside)
    return found.detection
  }

  #turner(source: RowSource, target: Snapshot): Turner | null {
    const { turning } = this.plan
    const { source: stored, maskKey } = this.#attempt
    return turning && new Turner(this.plan, turning, { source, stored, target, maskKey })
  }

  /** Rows of the target that cannot become rows of the source: both sides keep what they have. */
  get refusedBack(): readonly Rejection[] {
    return this.#refusedBack
  }

  #tellReset(reset: Remark): void {
    if (reset.rows === 0) return
    const fields = this.plan.fields.filter(({ oneWay }) => oneWay !== null).map(({ target }) => target)
    this.note(
      `${tableName(this.plan.target.ref)}: ${remarked(reset)} had values of the target's own in fields that the source ` +
        `decides (${fields.join(', ')}), and get the source's.`,
    )
  }

  #tellOutside(outside: Remark): void {
    if (outside.rows === 0) return
    const name = tableName(this.plan.target.ref)
    this.note(`${name}: ${remarked(outside)} of the target do not meet the filter, and do not go to the source.`)
  }

  protected override readonly agreementsOf: AgreementsOf = (keys) =>
    new Map(
      this.#images(agreements(this.plan))
        .find(keys)
        .map((kept) => [JSON.stringify(kept.key), agreementOf(kept)]),
    )

  /** A row that somebody edited since it was judged is judged by the next run (invariant 9). */
  protected override get leavesMoved(): boolean {
    return true
  }

  /**
   * What went back to the source, or did not. Rows that belong on both sides are written to the target now; one that
   * could not be written to the source is left, and the next run judges it. `now` shows the source as it is after that.
   */
  async takeBack(refused: readonly Key[], now: () => Promise<Snapshot>): Promise<void> {
    const { staging } = this.#attempt
    const gone = new Set(refused.map((key) => JSON.stringify(key)))
    this.#gone = gone
    const isGone = ({ key }: StagedChange): boolean => gone.has(JSON.stringify(key))
    for (const batch of staging.read(returnedList(this.plan), ['keep'], KEYS)) {
      staging.append(
        agreedList(this.plan),
        batch.filter((change) => !isGone(change)),
      )
    }
    for (const batch of staging.read(returnedList(this.plan), ['insert', 'update'], TURNED)) {
      await this.#lookAgain(
        batch.filter((change) => !isGone(change)),
        await now(),
      )
    }
    for (const batch of staging.read(bothList(this.plan), ['insert', 'update', 'delete'], KEYS)) {
      staging.append(
        this.plan.mappingId,
        batch.filter((change) => !isGone(change)),
      )
      for (const change of batch.filter(isGone)) this.#leave(change)
    }
  }

  /**
   * Rows that were turned round are what the mapping makes of them in the source, which only the source knows: it has
   * columns that never come back, and defaults. Where the target has something else, it gets that in this run, so that
   * the next one finds both sides in step.
   */
  async #lookAgain(returned: readonly StagedChange[], now: Snapshot): Promise<void> {
    const { staging, maskKey } = this.#attempt
    await using resources = new AsyncDisposableStack()
    // What is kept of the rows of the moment that was compared stays as it is.
    const apart = { ...this.plan, mappingId: `${this.plan.mappingId} now` }
    const source = sourceOf(apart, { source: now, staging, maskKey, resources })
    const keys = returned.map(({ key }) => key)
    const made = new Map(
      (await source.fingerprints(this.plan.sourceScan, keys)).map((row) => [JSON.stringify(row.key), row]),
    )
    const isSame = ({ key, expect }: StagedChange): boolean =>
      made.get(JSON.stringify(key))?.fingerprint === (expect ?? undefined)
    staging.append(
      agreedList(this.plan),
      returned.filter(isSame).map(({ key }) => ({ op: 'keep', key, expect: null, bytes: 0 })),
    )
    const others = returned.filter((change) => !isSame(change) && made.has(JSON.stringify(change.key)))
    const wanted = others.map(({ key }) => key)
    const rows = await rowsByKey(source, this.plan.sourceScan, wanted)
    const had = await rowsByKey(must(this.#moment, 'the moment that was compared'), this.plan.write.scan, wanted)
    const reset = newRemark()
    for (const change of others) {
      const id = JSON.stringify(change.key)
      const [row, of] = [rows.get(id), made.get(id)]
      if (row === undefined || of === undefined) continue
      if (change.op === 'insert' && this.#hadOwn(had.get(id), row)) addRemark(reset, change.key)
      this.#writeMade(change, { row, source: of.fingerprint })
    }
    this.#tellReset(reset)
  }

  /** Whether a new row of the target came with values that are the source's to decide on. */
  #hadOwn(had: Row | undefined, row: Row): boolean {
    const oneWay = this.plan.turning?.oneWay ?? []
    return oneWay.some((i) => (had?.[i] ?? null) !== null && !isSameCell(had?.[i] ?? null, row[i] ?? null))
  }

  /** It was counted by the other way alone: from now on by this one too. */
  #writeMade({ op: returned, key, expect }: StagedChange, { row, source }: { row: Row; source: Fingerprint }): void {
    const { staging } = this.#attempt
    const found = must(this.detection, 'a detection')
    const bytes = sizeOfRow(row)
    const op = expect === null ? 'insert' : 'update'
    this.#images(rowImages(this.plan)).put([{ key, fingerprint: '', row, bytes }])
    const agreed = { source, target: null, asWritten: true, base: 'as written' } as const
    this.#images(agreements(this.plan)).put([agreementImage(key, agreed)])
    staging.append(ownList(this.plan), [{ op: 'keep', key, expect: null, bytes: 0 }])
    staging.append(this.plan.mappingId, [{ op, key, expect, bytes }])
    const { left } = found
    this.detection = {
      ...found,
      [COUNTERS[op]]: found[COUNTERS[op]] + 1,
      left:
        returned === 'insert'
          ? { ...left, targetOnly: left.targetOnly + 1 }
          : { ...left, elsewhere: left.elsewhere - 1 },
      apart: expect === null ? { ...found.apart, target: found.apart.target + 1 } : found.apart,
    }
  }

  /** Its row was counted as written to the target. */
  #leave({ op, key, expect }: StagedChange): void {
    const found = must(this.detection, 'a detection')
    const name = ({ insert: 'inserts', update: 'updates', delete: 'deletes', keep: 'kept' } as const)[op]
    this.#attempt.staging.append(this.plan.mappingId, [{ op: 'keep', key, expect, bytes: 0 }])
    // A delete is accounted for by the other way alone.
    const own = op === 'delete' ? 0 : 1
    this.detection = {
      ...found,
      [name]: found[name] - 1,
      left: { ...found.left, conflicted: found.left.conflicted + own },
      apart: { source: found.apart.source + own, target: found.apart.target + (expect === null ? 0 : 1) },
    }
  }

  /** Who is to have a unique value is for somebody to decide. */
  protected async setClashesApart(): Promise<void> {
    if (this.outcome.later.length === 0) return
    const { conflicts, signal } = this.#attempt
    const { plan, source: rows, wholeSource: from } = this
    await using into = await this.batchTarget.snapshot(1, signal)
    await clashesAmong(this.outcome, { plan, shown: plan, rows, from, into, home: into }, async (found) => {
      await conflicts?.park(conflictTable(plan), found)
    })
  }

  /** The same before anything is written, against the very moment in which the changes were found. */
  async setClashesApartAhead(into: Snapshot): Promise<void> {
    const { conflicts, staging, signal } = this.#attempt
    const { plan, source: rows, wholeSource: from } = this
    const decisions = new Map(this.#carried.map((decision) => [JSON.stringify(decision.key), decision.id]))
    const tell = async (found: readonly FoundConflict[]): Promise<void> => {
      await conflicts?.park(conflictTable(plan), found)
      // What was decided would not get past the other row either.
      const again = found.flatMap(({ key, sourceFingerprint, targetFingerprint }): ResolvedOutcome[] => {
        const id = decisions.get(JSON.stringify(key))
        return id === undefined ? [] : [{ id, outcome: 'moved', sourceFingerprint, targetFingerprint }]
      })
      this.#moved = [...this.#moved, ...again]
    }
    const sides = { plan, shown: plan, rows, from, into, home: into }
    const found = must(this.detection, 'a detection')
    this.detection = await setClashesApartAhead(found, sides, { staging, signal, tell })
  }

  override async settle(): Promise<void> {
    await this.setClashesApart()
    await super.settle()
    await this.#remember()
  }

  /** What the sides agree on though nobody writes it. A row that could not be written as it was to be is not among it. */
  async #remember(): Promise<void> {
    const writer = must(this.batchTarget.writer, 'a writer')
    const refused = new Set(this.refused.map((key) => JSON.stringify(key)))
    for (const batch of this.#attempt.staging.read(agreedList(this.plan), ['keep'], KEYS)) {
      const held = this.heldBack(batch.map(({ key }) => key))
      const keys = batch
        .map(({ key }) => key)
        .filter((key) => !refused.has(JSON.stringify(key)) && !held.has(JSON.stringify(key)))
      const known = this.agreementsOf(keys)
      const rows = keys.map((key): RememberedRow => {
        const { source, target, base } = must(known.get(JSON.stringify(key)), 'an agreement of each key')
        assert(base !== 'as written', 'nobody writes a row that is remembered')
        return { key, source, target, base }
      })
      const moved = await writer.remember(this.claim, this.plan.write, rows)
      const lost = new Set(moved.map((key) => JSON.stringify(key)))
      await this.#rememberValues(rows.filter(({ key }) => lost.has(JSON.stringify(key))))
    }
  }

  /** Of rows that somebody edits meanwhile: the values that both had stand in the moments in which they were compared. */
  async #rememberValues(rows: readonly RememberedRow[]): Promise<void> {
    const writer = must(this.batchTarget.writer, 'a writer')
    const { sourceScan, write } = this.plan
    const sides = [
      [super.source, sourceScan] as const,
      ...(this.#moment === null ? [] : [[this.#moment, write.scan] as const]),
    ]
    for (let start = 0; start < rows.length; start += IMAGES) {
      const some = rows.slice(start, start + IMAGES)
      const known = new Map<string, Row>()
      for (const [side, scan] of sides) {
        const wanted = new Map(some.map(({ key, source }) => [JSON.stringify(key), source]))
        const there = await side.fingerprints(
          scan,
          some.map(({ key }) => key),
        )
        const same = there.filter(
          ({ key, fingerprint, bytes }) => bytes < LARGE_ROW_BYTES && wanted.get(JSON.stringify(key)) === fingerprint,
        )
        for (const [id, row] of await rowsByKey(
          side,
          scan,
          same.map(({ key }) => key),
        ))
          known.set(id, row)
      }
      const told = some.flatMap((row): RememberedRow[] => {
        const had = known.get(JSON.stringify(row.key))
        return had === undefined ? [] : [{ ...row, base: { row: had } }]
      })
      await writer.remember(this.claim, write, told)
    }
  }

  /** Of these, the rows that were judged and are not written by this run all the same. As the JSON of their keys. */
  protected readonly heldBack: (keys: readonly Key[]) => ReadonlySet<string> = () => new Set()

  /** Tells of decisions that do not hold any more, and of conflicts that have gone; all others are carried out later. */
  async report(): Promise<void> {
    const { conflicts } = this.#attempt
    await conflicts?.settle(this.plan.target.ref, this.#moved)
    await conflicts?.close(this.plan.target.ref, 'kept')
  }

  override async close(): Promise<void> {
    await super.close()
    const { conflicts, target, signal, changeSet } = this.#attempt
    if (conflicts === null) return
    await using moment = await target.snapshot(1, signal)
    const outcomes = await this.#outcomes(moment)
    await conflicts.settle(this.plan.target.ref, [...outcomes, ...this.#moved])
    await conflicts.close(this.plan.target.ref, changeSet === null ? 'go' : 'kept')
  }

  /** What became of the decisions that were carried out, with the target's rows as they are in `moment`. */
  async #outcomes(moment: Snapshot): Promise<ResolvedOutcome[]> {
    const held = this.heldBack(this.#carried.map(({ key }) => key))
    const carried = this.#carried.filter(({ key }) => !held.has(JSON.stringify(key)))
    const keys = carried.map(({ key }) => key)
    if (keys.length === 0) return []
    const now = await moment.fingerprints(this.plan.write.scan, keys)
    const there = new Map(now.map(({ key, fingerprint }) => [JSON.stringify(key), fingerprint]))
    const refused = new Set(this.refused.map((key) => JSON.stringify(key)))
    return carried.map(({ id, key, resolution, sourceFingerprint }) => {
      const targetFingerprint = there.get(JSON.stringify(key)) ?? null
      const returned = this.plan.back !== null && (resolution === 'target' || resolution === 'row')
      return {
        id,
        outcome: refused.has(JSON.stringify(key)) || this.#gone.has(JSON.stringify(key)) ? 'moved' : 'applied',
        sourceFingerprint: returned ? targetFingerprint : sourceFingerprint,
        targetFingerprint,
      }
    })
  }

  /** A proof of the whole table leaves out the rows on which the sides agreed to differ, now or at any time before. */
  override async verify(moment: Snapshot): Promise<Verification> {
    if (this.verificationMode === 'full') await this.#stageDiffering(moment)
    return await super.verify(moment)
  }

  /** Two ways, what a trigger made of a row is a change of the target, which goes to the source in the next run. */
  protected override readonly answered =
    this.plan.back === null
      ? null
      : (keys: readonly Key[]): void => {
          for (const key of keys) addRemark(this.#answered, key)
        }

  protected override async explain(moment: Snapshot, verified: Verified): Promise<number> {
    const differing = await super.explain(moment, verified)
    if (this.#answered.rows > 0) this.note(answeredNote(this.plan.target, this.#answered))
    return differing
  }

  protected override get wholeSource(): TableSync['source'] {
    return super.source
  }

  async #stageDiffering(moment: Snapshot): Promise<void> {
    const { staging } = this.#attempt
    const list = `${this.plan.mappingId} differing`
    staging.clear(list)
    const kept = this.#images(keptImages(this.plan))
    let keys: Key[] = []
    const flush = (): void => {
      const known = new Set(kept.find(keys).map(({ key }) => JSON.stringify(key)))
      const others = keys.filter((key) => !known.has(JSON.stringify(key)))
      staging.append(
        list,
        others.map((key) => ({ op: 'keep', key, expect: null, bytes: 0 })),
      )
      keys = []
    }
    const baseline = await this.#baseline(moment)
    for await (const key of baseline?.differing() ?? []) {
      keys.push(key)
      if (keys.length >= KEYS.rows) flush()
    }
    flush()
  }

  override *keysApart(): Iterable<readonly Key[]> {
    const listed = (name: string) => this.#attempt.staging.read(name, ['keep'], KEYS)
    // What was made of both sides and did not get through is kept besides: a key is taken out of a proof once.
    const own = new Set<string>()
    for (const batch of listed(ownList(this.plan))) for (const { key } of batch) own.add(JSON.stringify(key))
    for (const keys of super.keysApart()) yield keys.filter((key) => !own.has(JSON.stringify(key)))
    for (const name of [ownList(this.plan), `${this.plan.mappingId} differing`]) {
      for (const batch of listed(name)) yield batch.map(({ key }) => key)
    }
  }
}
