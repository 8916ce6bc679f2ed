import type { Snapshot } from '#adapters/adapter.ts'
import type { SetChange } from '#model/change-set.ts'
import type { Key } from '#model/change.ts'
import type { Attempt, ChangeSetInHand } from './attempt.ts'
import { placeOf } from './change-set-table.ts'
import type { TablePlan } from './plan.ts'
import type { DetectContext, Detection } from './stages/detect.ts'
import { comingFingerprints } from './stages/keep-changes.ts'
import { agreements, keptImages, ownList, rowImages } from './stages/three-way-lists.ts'
import type { BatchBounds, Images, KeptImage, StagedChange } from './staging.ts'
import { ThreeWayTable } from './three-way-table.ts'

const BATCH: BatchBounds = { rows: 500, bytes: 4 * 1024 * 1024 }
const EVERYTHING = ['keep', 'delete', 'update', 'insert'] as const

/**
 * The way of changes that were decided before, where both sides may have changed their rows: the table is held against its
 * baseline once more, with what people decided, and of what is found then, that is written which is in the change set.
 * The source may have a row newer than that: the one of the change set is written, and what the source has since is a
 * change of the source for the next run. All else that is another one by now waits: nobody has looked at it.
 * A job that was killed after its COMMIT finds that both sides agree, and has nothing left to write.
 */
export class JudgedChangeSetTable extends ThreeWayTable {
  readonly #attempt: Attempt
  readonly #hand: ChangeSetInHand
  readonly #place: number

  constructor(plan: TablePlan, attempt: Attempt, hand: ChangeSetInHand) {
    super(plan, attempt)
    this.#attempt = attempt
    this.#hand = hand
    this.#place = placeOf(plan, hand)
  }

  /** Every row was looked at, one by one. */
  protected override mayLoadWhole(): Promise<boolean> {
    return Promise.resolve(false)
  }

  /** Who stands in the way was looked at when the changes were computed; what has come since is set aside, and found anew. */
  protected override setClashesApart(): Promise<void> {
    return Promise.resolve()
  }

  protected override async find(context: Omit<DetectContext, 'target'>, target: Snapshot): Promise<Detection> {
    const found = await super.find(context, target)
    await this.#readSet()
    return await this.#holdBack(found)
  }

  /** By key: what is to be done to the row, with the row where it was kept. */
  get #planned(): Images {
    return this.#attempt.staging.images(`${this.plan.mappingId} planned`)
  }

  get #held(): Images {
    return this.#attempt.staging.images(`${this.plan.mappingId} held`)
  }

  protected override readonly heldBack = (keys: readonly Key[]): ReadonlySet<string> =>
    new Set(this.#held.find(keys).map(({ key }) => JSON.stringify(key)))

  async #readSet(): Promise<void> {
    this.#planned.clear()
    for await (const changes of this.#hand.set.read(this.#place)) {
      this.#attempt.signal.throwIfAborted()
      this.#planned.put(
        changes.map((change) => {
          const { key, after, bytes } = change
          return { key, fingerprint: describe(change), row: after, bytes }
        }),
      )
    }
  }

  async #holdBack(found: Detection): Promise<Detection> {
    const { staging, signal } = this.#attempt
    const chosen = `${this.plan.mappingId} chosen`
    staging.clear(chosen)
    this.#held.clear()
    const books = new Books(found)
    for (const batch of staging.read(this.plan.mappingId, EVERYTHING, BATCH)) {
      signal.throwIfAborted()
      staging.append(chosen, await this.#choose(batch, books))
    }
    if (books.leaves) {
      staging.clear(this.plan.mappingId)
      for (const batch of staging.read(chosen, EVERYTHING, BATCH)) staging.append(this.plan.mappingId, batch)
    }
    staging.clear(chosen)
    return books.detection
  }

  /** What is written of a batch, and what is left in place of the rest. */
  async #choose(batch: readonly StagedChange[], books: Books): Promise<StagedChange[]> {
    const { plan, source } = this
    const { staging } = this.#attempt
    const keysOf = (some: readonly StagedChange[]): Key[] => some.map(({ key }) => key)
    const changes = batch.filter(({ op }) => op !== 'keep')
    const hashes = await comingFingerprints(
      { plan, source, staging },
      keysOf(changes.filter(({ op }) => op !== 'delete')),
    )
    const planned = byKey(this.#planned.find(keysOf(changes)))
    const own = byKey(staging.images(rowImages(plan)).find(keysOf(changes)))
    const agreed = byKey(staging.images(agreements(plan)).find(keysOf(changes)))
    return batch.flatMap((change): StagedChange[] => {
      if (change.op === 'keep') return [change]
      const id = JSON.stringify(change.key)
      const wanted = planned.get(id)
      const now = { ...change, source: hashes.get(id) ?? null }
      if (wanted?.fingerprint === describe(now)) return [change]
      const plain = !own.has(id) && !agreed.has(id)
      if (wanted !== undefined && plain && wanted.row !== null && isNewer(wanted, now))
        return [this.#asPlanned(change, wanted)]
      books.leave(change, wanted === undefined ? 'skipped' : 'conflicted')
      this.#held.put([{ key: change.key, fingerprint: '', row: null, bytes: 0 }])
      // A proof of the whole table leaves out rows that no side has, by a list of their own.
      return own.has(id) ? [] : [this.#leftOut(change)]
    })
  }

  #leftOut({ key, expect }: Pick<StagedChange, 'key' | 'expect'>): StagedChange {
    this.#attempt.staging.images(keptImages(this.plan)).put([{ key, fingerprint: '', row: null, bytes: 0 }])
    return { op: 'keep', key, expect, bytes: 0 }
  }

  /** What is written then is no row that the source has now. */
  #asPlanned(change: StagedChange, { key, row, bytes }: KeptImage): StagedChange {
    const { staging } = this.#attempt
    staging.images(rowImages(this.plan)).put([{ key, fingerprint: '', row, bytes }])
    staging.append(ownList(this.plan), [this.#leftOut(change)])
    return { ...change, bytes }
  }
}

type Described = Pick<SetChange, 'key' | 'expect' | 'source'> & { readonly op: StagedChange['op'] }

/** What is done to which row of the target, and what comes of it. */
function describe({ op, expect, source }: Described): string {
  return JSON.stringify([op, expect, source])
}

/** The same is to be done to the same row of the target, with what the source had of it then. */
function isNewer({ fingerprint }: KeptImage, { op, expect }: Described): boolean {
  const [plannedOp, plannedExpect] = JSON.parse(fingerprint) as [string, string | null]
  return plannedOp === op && plannedExpect === expect
}

/** The counts of a detection, some of whose changes are not written. */
class Books {
  readonly #found: Detection
  readonly #left = { insert: 0, update: 0, delete: 0, keep: 0 }
  readonly #how = { skipped: 0, conflicted: 0 }

  constructor(found: Detection) {
    this.#found = found
  }

  leave({ op }: StagedChange, how: 'skipped' | 'conflicted'): void {
    this.#left[op] += 1
    this.#how[how] += 1
  }

  get leaves(): boolean {
    return this.#how.skipped + this.#how.conflicted > 0
  }

  /** Each row that is left is still examined once, and stands in the target as it did (invariant 3). */
  get detection(): Detection {
    const { insert, update, delete: deleted } = this.#left
    const { inserts, updates, deletes, left, apart } = this.#found
    return {
      ...this.#found,
      inserts: inserts - insert,
      updates: updates - update,
      deletes: deletes - deleted,
      left: {
        ...left,
        skipped: left.skipped + this.#how.skipped,
        conflicted: left.conflicted + this.#how.conflicted,
        targetOnly: left.targetOnly + deleted,
      },
      apart: { source: apart.source + insert + update, target: apart.target + update + deleted },
    }
  }
}

function byKey(images: readonly KeptImage[]): ReadonlyMap<string, KeptImage> {
  return new Map(images.map((image) => [JSON.stringify(image.key), image]))
}
