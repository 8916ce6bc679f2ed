import type { RowSource, Snapshot } from '#adapters/adapter.ts'
import type { Agreement } from '#adapters/baseline.ts'
import type { Key, Rejection } from '#model/change.ts'
import type { Attempt } from './attempt.ts'
import type { TablePlan } from './plan.ts'
import type { AgreementsOf, BaselinesOf } from './stages/apply.ts'
import { NOTHING_LEFT } from './stages/detect.ts'
import { overlaidSource } from './stages/images-source.ts'
import { withOwnRows } from './stages/own-rows.ts'
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
  readonly #turned: boolean
  #source: TableSync['source'] | null = null

  /**
   * `attempt` is that of this way: the target's moment is its source, and the source its target. `turned`: rows were turned
   * round, and all of them are kept. `refused`: those that could not be.
   */
  constructor(
    plan: TablePlan,
    attempt: Attempt,
    { refused, turned }: { refused: readonly Rejection[]; turned: boolean },
  ) {
    super(plan, attempt)
    this.#attempt = attempt
    this.#refusedRows = refused
    this.#turned = turned
  }

  override get source(): TableSync['source'] {
    const images = this.#attempt.staging.images(rowImages(this.plan))
    this.#source ??= overlaidSource(this.#turned ? withoutRows(super.source) : super.source, images)
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

  /** What the target had when a row was sent, and, where it is not deleted, what was sent. */
  #sent(keys: readonly Key[], asWritten: boolean): ReadonlyMap<string, Agreement> {
    const found = this.#attempt.staging.images(agreements(this.plan)).find(keys)
    const told = found.map((image) => [JSON.stringify(image.key), agreementOf(image)] as const)
    return new Map(told.filter(([, sent]) => sent.asWritten === asWritten))
  }

  protected override readonly agreementsOf: AgreementsOf = (keys) => this.#sent(keys, true)
  protected override readonly baselinesOf: BaselinesOf = (keys) => this.#sent(keys, false)

  /** Keys of rows that are not in the source as they were to be. */
  get notWritten(): readonly Key[] {
    return this.refused
  }

  protected override get leavesMoved(): boolean {
    return true
  }

  /** What the whole tables are is proved by the other way. */
  protected override get verificationMode(): 'changed' {
    return 'changed'
  }
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
