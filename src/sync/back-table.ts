import type { Snapshot } from '#adapters/adapter.ts'
import type { Agreement } from '#adapters/baseline.ts'
import type { Key } from '#model/change.ts'
import type { Attempt } from './attempt.ts'
import type { TablePlan } from './plan.ts'
import type { AgreementsOf, BaselinesOf } from './stages/apply.ts'
import { clashesAmong } from './stages/clashes.ts'
import { conflictTable } from './stages/contest.ts'
import { NOTHING_LEFT } from './stages/detect.ts'
import { overlaidSource } from './stages/images-source.ts'
import { agreementOf, agreements, rowImages } from './stages/three-way-lists.ts'
import { TableSync } from './sync-table.ts'

/**
 * The way back of a table that is synced two ways: what its other way found for the source is written there, out of the
 * very moment of the target in which it was found. A row of the source that was edited since is left (invariant 9), and the
 * next run judges it.
 */
export class BackTable extends TableSync {
  readonly #attempt: Attempt
  #source: TableSync['source'] | null = null

  readonly #forth: TablePlan

  /**
   * `attempt` is that of this way: the target's moment is its source, and the source its target.
   * @param forth the plan whose way back this is
   */
  constructor(plan: TablePlan, attempt: Attempt, forth: TablePlan) {
    super(plan, attempt)
    this.#attempt = attempt
    this.#forth = forth
  }

  override get source(): TableSync['source'] {
    this.#source ??= overlaidSource(super.source, this.#attempt.staging.images(rowImages(this.plan)))
    return this.#source
  }

  override detect(_: Snapshot): Promise<void> {
    const { staging } = this.#attempt
    const [inserts, updates, deletes] = (['insert', 'update', 'delete'] as const).map((op) =>
      staging.count(this.plan.mappingId, op),
    ) as [number, number, number]
    this.detection = {
      sourceRows: inserts + updates,
      targetRows: updates + deletes,
      unchanged: 0,
      inserts,
      updates,
      deletes,
      kept: 0,
      rejections: [],
      rejectedInBoth: 0,
      settled: 0,
      left: NOTHING_LEFT,
      apart: { source: 0, target: 0 },
    }
    return Promise.resolve()
  }

  /** What the target had when a row was sent, and, where it is not deleted, what was sent. */
  #sent(keys: readonly Key[], asWritten: boolean): ReadonlyMap<string, Agreement> {
    const found = this.#attempt.staging.images(agreements(this.plan)).find(keys)
    const told = found.map((image) => [JSON.stringify(image.key), agreementOf(image)] as const)
    return new Map(told.filter(([, sent]) => sent.asWritten === asWritten))
  }

  protected override readonly agreementsOf: AgreementsOf = (keys) => this.#sent(keys, true)
  protected override readonly baselinesOf: BaselinesOf = (keys) => this.#sent(keys, false)

  /** A conflict is known by the way forth, whichever side a row cannot be written into. */
  async #setClashesApart(): Promise<void> {
    if (this.outcome.later.length === 0) return
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

  /** What the whole tables are is proved by the other way. */
  protected override get verificationMode(): 'changed' {
    return 'changed'
  }
}
