import type { RowSource, Snapshot } from '#adapters/adapter.ts'
import type { Agreement } from '#adapters/baseline.ts'
import type { Key, Rejection } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import type { Attempt } from './attempt.ts'
import { isSameCell } from './conflicts/compare.ts'
import type { TablePlan } from './plan.ts'
import type { AgreementsOf, BaselinesOf } from './stages/apply.ts'
import { clashesAmong } from './stages/clashes.ts'
import { conflictTable } from './stages/contest.ts'
import { NOTHING_LEFT } from './stages/detect.ts'
import { refuseOwn, sentRows } from './stages/explain.ts'
import { overlaidSource } from './stages/images-source.ts'
import { withOwnRows } from './stages/own-rows.ts'
import { addRemark, answeredNote, newRemark } from './stages/remark.ts'
import { rowsByKey } from './stages/set-aside.ts'
import { agreementOf, agreements, rowImages } from './stages/three-way-lists.ts'
import { TableSync } from './sync-table.ts'
import { mappedProof } from './verify/mapped-proof.ts'

/**
 * The way back of a table that is synced two ways: what its other way found for the source is written there, out of the
 * very moment of the target in which it was found. A row of the source that was edited since is left (invariant 9), and the
 * next run judges it.
 */
export class BackTable extends TableSync {
  readonly #attempt: Attempt
  readonly #refusedRows: readonly Rejection[]
  readonly #forth: TablePlan
  #source: TableSync['source'] | null = null

  /**
   * `attempt` is that of this way: the target's moment is its source, and the source its target. `forth` is the plan whose
   * way back this is, and `refused` are the rows that it could not turn round.
   */
  constructor(
    plan: TablePlan,
    attempt: Attempt,
    { forth, refused }: { forth: TablePlan; refused: readonly Rejection[] },
  ) {
    super(plan, attempt)
    this.#attempt = attempt
    this.#forth = forth
    this.#refusedRows = refused
  }

  override get source(): TableSync['source'] {
    const images = this.#attempt.staging.images(rowImages(this.plan))
    this.#source ??= overlaidSource(this.#forth.turning !== null ? withoutRows(super.source) : super.source, images)
    return this.#source
  }

  override detect(_: Snapshot): Promise<void> {
    const { staging } = this.#attempt
    const [inserts, updates, deletes] = (['insert', 'update', 'delete'] as const).map((op) =>
      staging.count(this.plan.mappingId, op),
    ) as [number, number, number]
    const refused = this.#refusedRows
    const inBoth = refused.filter(({ op }) => op === 'update').length
    this.outcome.rejections.splice(0, Infinity, ...refused)
    this.detection = {
      sourceRows: inserts + updates + refused.length,
      targetRows: updates + deletes + inBoth,
      unchanged: 0,
      inserts,
      updates,
      deletes,
      kept: 0,
      rejections: refused,
      rejectedInBoth: inBoth,
      settled: 0,
      left: NOTHING_LEFT,
      apart: { source: 0, target: 0 },
    }
    return Promise.resolve()
  }

  /** What the target had when a row was sent; what was sent with it, unless it is deleted or was turned round. */
  #sent(keys: readonly Key[]): ReadonlyMap<string, Agreement> {
    const found = this.#attempt.staging.images(agreements(this.plan)).find(keys)
    return new Map(found.map((image) => [JSON.stringify(image.key), agreementOf(image)]))
  }

  protected override readonly agreementsOf: AgreementsOf = (keys) => this.#sent(keys)

  protected override readonly baselinesOf: BaselinesOf = (keys) => {
    const rows = this.#attempt.staging.images(rowImages(this.plan)).find(keys)
    const turned = new Set(rows.map(({ key }) => JSON.stringify(key)))
    return new Map([...this.#sent(keys)].filter(([id, { asWritten }]) => !asWritten && !turned.has(id)))
  }

  /** A conflict is known by the way forth, whichever side a row cannot be written into. */
  async #setClashesApart(): Promise<void> {
    // Rows that were turned round are in terms that nobody sees: those that are kept out are rejected.
    if (this.outcome.later.length === 0 || this.#forth.turning !== null) return
    const { source: home, target, conflicts, signal } = this.#attempt
    const { plan, source: rows } = this
    const shown = this.#forth
    await using into = await target.snapshot(1, signal)
    await clashesAmong(this.outcome, { plan, shown, rows, from: super.source, into, home }, async (found) => {
      await conflicts?.park(conflictTable(shown), found)
    })
  }

  override async settle(): Promise<void> {
    await this.#setClashesApart()
    await super.settle()
  }

  protected override get leavesMoved(): boolean {
    return true
  }

  /**
   * Which rows of the source are not what was sent. Those that somebody wrote since are changes of the source; those that
   * we wrote ourselves are others only because triggers answered. @throws AppError `verification_failed`
   */
  protected override async explain(moment: Snapshot): Promise<number> {
    const { plan, claim } = this
    const { ref, triggers } = plan.target
    const answered = newRemark()
    let differing = 0
    for (const keys of this.keysTouched()) {
      const sent = await rowsByKey(this.source, plan.sourceScan, keys)
      const there = await rowsByKey(moment, plan.write.scan, keys)
      const others = keys.filter((key) => !isSameRow(sent, there, JSON.stringify(key)))
      differing += others.length
      const wrote = sentRows(others, () => Promise.resolve(sent))
      if (triggers.length === 0) {
        await refuseOwn(moment, { claim, plan: plan.write, sent: wrote }, { fault: OTHERS })
        continue
      }
      const { keys: own } = await moment.writtenBy(claim, plan.write, wrote)
      for (const key of own) addRemark(answered, key)
    }
    if (answered.rows > 0) this.note(answeredNote(plan.target, answered))
    if (differing > 0) return differing
    throw new AppError('verification_failed', `${tableName(ref)}: the proofs differ, but no row that was sent does.`)
  }

  /** What the whole tables are is proved by the other way. */
  protected override get verificationMode(): 'changed' {
    return 'changed'
  }
}

const OTHERS = 'rows that this run wrote differ from what was sent'

function isSameRow(sent: ReadonlyMap<string, Row>, there: ReadonlyMap<string, Row>, id: string): boolean {
  const [from, to] = [sent.get(id), there.get(id)]
  if (from === undefined || to === undefined) return from === to
  return from.every((cell, i) => isSameCell(cell, to[i] ?? null))
}

/** What was turned round is kept, row by row; what the base has besides is in other terms. */
function withoutRows(base: RowSource): RowSource {
  const none = (): Promise<readonly []> => Promise.resolve([])
  return withOwnRows(base, {
    rows: none,
    largeRows: none,
    fingerprints: none,
    proof: () => mappedProof(() => Promise.resolve()),
  })
}
