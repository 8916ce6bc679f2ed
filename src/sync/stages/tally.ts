import type { Operation, Rejection } from '#model/change.ts'
import type { StagedChange } from '#sync/staging.ts'
import { NOTHING_LEFT, type Detection } from './detect.ts'

/** What rows that are looked at one by one come to, as a detection that closes. */
export class Tally {
  sourceRows = 0
  unchanged = 0
  readonly #changes: Record<Operation | 'keep', number> = { insert: 0, update: 0, delete: 0, keep: 0 }
  readonly #rejections: Rejection[] = []
  readonly #apart = { source: 0, target: 0 }
  #skipped = 0

  change(change: StagedChange): StagedChange {
    this.#changes[change.op] += 1
    return change
  }

  reject(rejection: Rejection): void {
    this.#rejections.push(rejection)
  }

  skip(): void {
    this.#skipped += 1
    this.#apart.source += 1
  }

  leave(inTarget: boolean): void {
    this.#apart.source += 1
    if (inTarget) this.#apart.target += 1
  }

  done(): Detection {
    const { insert, update, delete: deletes, keep } = this.#changes
    return {
      sourceRows: this.sourceRows,
      targetRows: this.unchanged + update + deletes + keep + this.#apart.target,
      unchanged: this.unchanged,
      inserts: insert,
      updates: update,
      deletes,
      kept: keep,
      rejections: this.#rejections,
      rejectedInBoth: 0,
      settled: this.#skipped,
      apart: this.#apart,
      left: NOTHING_LEFT,
    }
  }
}
