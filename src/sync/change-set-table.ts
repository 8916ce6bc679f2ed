import type { KeyFingerprint, RowSource, Snapshot } from '#adapters/adapter.ts'
import { assert, must } from '#lib/assert.ts'
import type { ChangeOutcome, SetChange } from '#model/change-set.ts'
import type { Key, Rejection } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import type { Verification } from '#model/receipt.ts'
import { publicReason } from '#model/rejection.ts'
import { tableName } from '#model/table.ts'
import { LARGE_ROW_BYTES } from '#model/value.ts'
import type { Attempt, ChangeSetInHand } from './attempt.ts'
import type { TablePlan } from './plan.ts'
import { readSent, type BaselinesOf } from './stages/apply.ts'
import { rowChunks } from './stages/detectors/content.ts'
import { refuseOwn, sentRows } from './stages/explain.ts'
import { imagesSource } from './stages/images-source.ts'
import { rowsByKey } from './stages/set-aside.ts'
import { keptAgreementOf, keptAgreementRow } from './stages/three-way-lists.ts'
import { Tally } from './stages/tally.ts'
import type { Images, StagedChange } from './staging.ts'
import { TableSync } from './sync-table.ts'
import { verifyKeys } from './verify/verify-table.ts'

const BATCH_ROWS = 500

/**
 * The way of changes that were decided before: in place of a comparison, each change of the change set is held against the
 * target's row as it is now. From there on it is the way of every row. A row that is another one than it was when the
 * change was decided is left as it is (invariant 9), and somebody decides anew; one that is as it should be counts as
 * unchanged, which is how a job that was killed after its COMMIT finds its own work.
 */
export class TableFromChangeSet extends TableSync {
  readonly #attempt: Attempt
  readonly #hand: ChangeSetInHand
  readonly #place: number
  #source: RowSource | null = null

  constructor(plan: TablePlan, attempt: Attempt, hand: ChangeSetInHand) {
    super(plan, attempt)
    this.#attempt = attempt
    this.#hand = hand
    this.#place = placeOf(plan, hand)
  }

  override get source(): TableSync['source'] {
    this.#source ??= imagesSource(super.source, this.#attempt.staging.images(this.plan.mappingId))
    return this.#source
  }

  override async detect(target: Snapshot, targetExists: boolean): Promise<void> {
    const { staging, signal } = this.#attempt
    const { mappingId } = this.plan
    const images = staging.images(mappingId)
    staging.clear(mappingId)
    staging.clear(this.#inStep)
    images.clear()
    const baselines = staging.images(`${mappingId} baseline`)
    baselines.clear()
    this.#places.clear()
    const tally = new Tally()
    for await (const changes of this.#hand.set.read(this.#place)) {
      signal.throwIfAborted()
      this.#places.put(changes.map(({ key, seq }) => ({ key, fingerprint: '', row: null, bytes: seq })))
      images.put(
        changes.flatMap(({ key, source, after, bytes }) =>
          source === null ? [] : [{ key, fingerprint: source, row: after, bytes }],
        ),
      )
      baselines.put(
        changes.flatMap(({ key, baseline }) =>
          baseline === undefined
            ? []
            : [{ key, fingerprint: '', row: baseline && keptAgreementRow(baseline), bytes: 0 }],
        ),
      )
      staging.append(mappingId, await this.#judge(changes, targetExists ? target : null, tally))
    }
    this.detection = tally.done()
  }

  /** What stood there under another mapping than the baseline's own means nothing: such rows have none then. */
  protected override readonly baselinesOf: BaselinesOf = (keys) => {
    const holds = this.#hand.summary.tables[this.#place]?.baselineHash === this.claim.mappingHash
    const found = this.#attempt.staging.images(`${this.plan.mappingId} baseline`).find(keys)
    return new Map(
      found.map(({ key, row }) => [JSON.stringify(key), holds && row !== null ? keptAgreementOf(row) : null]),
    )
  }

  async #judge(changes: readonly SetChange[], target: Snapshot | null, tally: Tally): Promise<StagedChange[]> {
    const keys = changes.map(({ key }) => key)
    const now = target === null ? [] : await target.fingerprints(this.plan.write.scan, keys)
    const there = new Map(now.map((row) => [JSON.stringify(row.key), row]))
    const changed = await this.#changedInSource(changes)
    const inStep: StagedChange[] = []
    const open = changes.flatMap((change) => {
      const { op, key, expect, bytes } = change
      const id = JSON.stringify(key)
      const found = there.get(id)
      if (isInStep(change, found)) {
        inStep.push({ op, key, expect, bytes })
        // A row that is gone already is not there to be counted.
        if (op !== 'delete') {
          tally.sourceRows += 1
          tally.unchanged += 1
        }
        return []
      }
      if ((found?.fingerprint ?? null) !== expect || changed.has(id)) {
        this.#leave(change, tally, found !== undefined)
        return []
      }
      if (op !== 'delete') tally.sourceRows += 1
      return [tally.change({ op, key, expect, bytes })]
    })
    // Proved with the others: it may be what an earlier round of the job has written.
    this.#attempt.staging.append(this.#inStep, inStep)
    return open
  }

  /** Where each change stands in the change set, kept where the size of an image is. */
  get #places(): Images {
    return this.#attempt.staging.images(`${this.plan.mappingId} places`)
  }

  get #inStep(): string {
    return `${this.plan.mappingId} in step`
  }

  #leave({ key }: SetChange, tally: Tally, inTarget: boolean): void {
    tally.sourceRows += 1
    tally.leave(inTarget)
    this.outcome.conflicts.push(key)
  }

  /** Rows that were too large to be kept are read again, and must be the ones that were decided on. */
  async #changedInSource(changes: readonly SetChange[]): Promise<ReadonlySet<string>> {
    const large = changes.filter((change) => change.large && change.op !== 'delete')
    if (large.length === 0) return new Set()
    const keys = large.map(({ key }) => key)
    const found = await super.source.fingerprints(this.plan.sourceScan, keys)
    const now = new Map(found.map(({ key, fingerprint }) => [JSON.stringify(key), fingerprint]))
    return new Set(
      large.filter(({ key, source }) => now.get(JSON.stringify(key)) !== source).map(({ key }) => JSON.stringify(key)),
    )
  }

  /**
   * What became of the changes, for whoever decides on them: those that moved, with the target's rows as they are in
   * `moment`; where the transaction was committed, also those that are as they should be and those that were refused; and
   * with `written` those that this job wrote, so that a later round leaves them alone (invariant 2).
   */
  async *outcomes({
    moment,
    committed,
    written,
  }: {
    moment: Snapshot
    committed: boolean
    written: boolean
  }): AsyncGenerator<readonly ChangeOutcome[]> {
    const { conflicts, rejections, incomplete } = this.outcome
    for (let start = 0; start < conflicts.length; start += BATCH_ROWS) {
      yield await this.#moved(conflicts.slice(start, start + BATCH_ROWS), moment)
    }
    if (!committed) return
    const refused = [...rejections, ...incomplete]
    yield refused.flatMap((rejection) => this.#refused(rejection))
    const apart = new Set([...conflicts, ...refused.map(({ key }) => key)].map((key) => JSON.stringify(key)))
    const ours = written ? [{ name: this.plan.mappingId, mark: 'written' as const }] : []
    for (const { name, mark } of [{ name: this.#inStep, mark: 'in_step' as const }, ...ours]) {
      for (const batch of this.#attempt.staging.read(name, ['insert', 'update', 'delete'], BATCH)) {
        const keys = batch.map(({ key }) => key).filter((key) => !apart.has(JSON.stringify(key)))
        yield this.#seqsOf(keys).map((seq) => ({ seq, mark, reason: null, now: null }))
      }
    }
  }

  async #moved(keys: readonly Key[], moment: Snapshot): Promise<readonly ChangeOutcome[]> {
    const { scan } = this.plan.write
    const hashes = new Map((await moment.fingerprints(scan, keys)).map((row) => [JSON.stringify(row.key), row]))
    // What is too large to be kept is not shown either.
    const small = keys.filter((key) => (hashes.get(JSON.stringify(key))?.bytes ?? 0) < LARGE_ROW_BYTES)
    const rows = await rowsByKey(moment, scan, small)
    const seqs = this.#seqsOf(keys)
    return keys.map((key, i): ChangeOutcome => {
      const id = JSON.stringify(key)
      const hash = hashes.get(id)
      const reason =
        hash === undefined
          ? 'The target has no such row any more.'
          : "The target's row has changed since the change was computed."
      const now = { expect: hash?.fingerprint ?? null, row: rows.get(id) ?? null }
      return { seq: must(seqs[i], 'the place of a change'), mark: 'moved', reason, now }
    })
  }

  #refused(rejection: Rejection): ChangeOutcome[] {
    const [seq] = this.#placesOf([rejection.key])
    return seq === undefined ? [] : [{ seq, mark: 'refused', reason: publicReason(rejection), now: null }]
  }

  #seqsOf(keys: readonly Key[]): number[] {
    const seqs = this.#placesOf(keys)
    assert(seqs.length === keys.length, 'every change of the table has its place')
    return seqs
  }

  /** The places of changes in the change set, in the order of the keys; what is not of it is left out. */
  #placesOf(keys: readonly Key[]): number[] {
    return this.#places.find(keys).map(({ bytes }) => bytes)
  }

  /**
   * What was set aside when the changes were computed was told then, by this very job, unless it carries out a plan of
   * another one, or undoes one: then nothing is known of rows that are set aside no more.
   */
  override async close(): Promise<void> {
    if (this.#hand.ownPlan) await super.close()
  }

  override async verify(moment: Snapshot): Promise<Verification> {
    const { scan } = this.plan.write
    const apart = new Set([...this.keysApart()].flat().map((key) => JSON.stringify(key)))
    const applied = function* (table: TableFromChangeSet): Generator<readonly Key[]> {
      for (const name of [table.plan.mappingId, table.#inStep]) {
        for (const batch of table.#attempt.staging.read(name, ['insert', 'update', 'delete'], BATCH)) {
          yield batch.map(({ key }) => key).filter((key) => !apart.has(JSON.stringify(key)))
        }
      }
    }
    const sides = { source: { rows: this.source, scan: this.plan.sourceScan }, target: { rows: moment, scan } }
    const verified = await verifyKeys({ ...sides, except: () => [] }, applied(this))
    const changedSince = verified.equal ? 0 : await this.#explain(moment, [...applied(this)])
    const { source, target } = verified
    return {
      mode: 'changed',
      rows: source.rows,
      sourceDigest: source.digest,
      targetDigest: target.digest,
      changedSince,
    }
  }

  /** Rows that differ and that this job wrote last are its fault; all others somebody has changed since. */
  async #explain(moment: Snapshot, batches: readonly (readonly Key[])[]): Promise<number> {
    const { scan } = this.plan.write
    let differing = 0
    for (const keys of batches) {
      const [own, theirs] = [
        await this.source.fingerprints(this.plan.sourceScan, keys),
        await moment.fingerprints(scan, keys),
      ]
      const hashOf = (rows: readonly KeyFingerprint[]): Map<string, string> =>
        new Map(rows.map(({ key, fingerprint }) => [JSON.stringify(key), fingerprint]))
      const [a, b] = [hashOf(own), hashOf(theirs)]
      const bytesOf = new Map(own.map(({ key, bytes }) => [JSON.stringify(key), bytes]))
      const different = keys
        .filter((key) => a.get(JSON.stringify(key)) !== b.get(JSON.stringify(key)))
        .map((key) => ({ key, bytes: bytesOf.get(JSON.stringify(key)) ?? 0 }))
      const fault = 'rows are other ones in the target than was decided'
      for (const some of rowChunks(different)) {
        const wanted = some.filter(({ key }) => a.has(JSON.stringify(key)))
        const rows = () => readSent(this.source, this.plan.sourceScan, wanted)
        const sent = sentRows(
          some.map(({ key }) => key),
          rows,
        )
        await refuseOwn(moment, { claim: this.claim, plan: this.plan.write, sent }, { fault })
      }
      differing += different.length
    }
    return differing
  }
}

/** Where a table stands in a change set. @throws AppError `change_set_outdated` where it is another one by now */
export function placeOf({ mappingId, mappingHash, target }: TablePlan, { summary }: ChangeSetInHand): number {
  const place = summary.tables.findIndex((table) => table.mappingId === mappingId)
  if (place >= 0 && summary.tables[place]?.mappingHash === mappingHash) return place
  throw new AppError(
    'change_set_outdated',
    `${tableName(target.ref)} is mapped or defined otherwise than when its changes were computed.`,
  )
}

const BATCH = { rows: BATCH_ROWS, bytes: Infinity }

/** The target's row is already what the change makes of it. */
function isInStep({ op, source }: SetChange, found: KeyFingerprint | undefined): boolean {
  return op === 'delete' ? found === undefined : found !== undefined && found.fingerprint === source
}
