import type { KeyFingerprint } from '#adapters/adapter.ts'
import type { AgreedRow, Agreement } from '#adapters/baseline.ts'
import { must } from '#lib/assert.ts'
import type { Key, Rejection } from '#model/change.ts'
import type { FieldBase } from '#model/conflict.ts'
import { fingerprint } from '#model/fingerprint.ts'
import type { Policies } from '#model/sync-config.ts'
import { LARGE_ROW_BYTES, sizeOfRow, type Row } from '#model/value.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { KeptImage, StagedChange, Staging } from '#sync/staging.ts'
import { COUNTERS, decideTargetOnly, type DetectContext, type Detection } from './detect.ts'
import type { HoldingRow } from './in-the-way.ts'
import { addRemark, newRemark } from './remark.ts'
import {
  agreedList,
  agreementImage,
  agreements,
  bothList,
  keptImages,
  ownList,
  returnedList,
  rowImages,
} from './three-way-lists.ts'
import type { Contested, Judged, MergedRow } from './three-way.ts'
import type { Returning, Turned, Turner } from './turn-back.ts'

/** What is staged at once. */
const FLUSH_ROWS = 2_000

/** Rows of the target that are turned round at once. */
const TURNED_BYTES = 4 * 1024 * 1024

type FlushContext = DetectContext & { readonly turner: Turner | null }

/**
 * What becomes of rows that were judged: each is staged for whoever writes it, or left, and counted once, so that the
 * account of the table closes (invariant 3).
 */
export class Ledger {
  readonly #plan: TablePlan
  readonly #staging: Staging
  readonly #policies: Policies
  readonly #counts = { unchanged: 0, inserts: 0, updates: 0, deletes: 0, kept: 0 }
  readonly #left = { skipped: 0, conflicted: 0, targetOnly: 0, elsewhere: 0 }
  readonly #apart = { source: 0, target: 0 }
  readonly #changes: StagedChange[] = []
  readonly #agreed: StagedChange[] = []
  readonly #kept: StagedChange[] = []
  readonly #agreements: KeptImage[] = []
  readonly #keptRows: KeptImage[] = []
  readonly #returning: Returning[] = []
  /** Rows of the target that cannot become rows of the source. */
  readonly refusedBack: Rejection[] = []
  /** What somebody should know of rows that do not go to the source as they are. */
  readonly remarks = { reset: newRemark(), outside: newRemark() }

  constructor(plan: TablePlan, { staging, policies }: Pick<DetectContext, 'staging' | 'policies'>) {
    this.#plan = plan
    this.#staging = staging
    this.#policies = policies
    staging.clear(plan.mappingId)
    for (const list of [agreedList, ownList, bothList, returnedList]) staging.clear(list(plan))
    for (const images of [rowImages, keptImages, agreements]) staging.images(images(plan)).clear()
    if (plan.back === null) return
    staging.clear(plan.back.mappingId)
    for (const images of [rowImages, agreements]) staging.images(images(plan.back)).clear()
  }

  get counted(): Pick<Detection, 'unchanged' | 'inserts' | 'updates' | 'deletes' | 'kept' | 'left' | 'apart'> {
    return { ...this.#counts, left: this.#left, apart: this.#apart }
  }

  /** Rows that were not judged: of them those are left on which the sides agreed to differ. */
  quiet(rows: number, { both, sourceOnly, targetOnly } = { both: 0, sourceOnly: 0, targetOnly: 0 }): void {
    this.#counts.unchanged += rows - both - sourceOnly
    this.#left.skipped += both + sourceOnly + targetOnly
    this.#left.targetOnly += targetOnly
    this.setApart(both + sourceOnly, both + targetOnly)
  }

  /** A row of a quiet bucket that was decided on has been counted with it. */
  notQuiet({ source, target }: Judged): void {
    if (source !== undefined && source.fingerprint === target?.fingerprint) {
      this.#counts.unchanged -= 1
      return
    }
    if (source === undefined && target === undefined) return
    this.#left.skipped -= 1
    if (source === undefined) this.#left.targetOnly -= 1
    this.setApart(source === undefined ? 0 : -1, target === undefined ? 0 : -1)
  }

  /** Rows of each side that somebody else accounts for. */
  setApart(source: number, target: number): void {
    this.#apart.source += source
    this.#apart.target += target
  }

  /** Hands on what has come together, where that is enough to be worth it, or where nothing more comes. */
  async flush(context: FlushContext, { all }: { all: boolean }): Promise<void> {
    const least = all ? 1 : FLUSH_ROWS
    const plan = this.#plan
    while (this.#returning.length >= least) await this.#turnSome(must(context.turner, 'a way to turn rows round'))
    if (this.#changes.length >= least) {
      const changes = await decideTargetOnly(this.#changes.splice(0), plan, context)
      for (const { op, key } of changes) {
        if (op === 'delete' || op === 'keep') this.#counts[COUNTERS[op]] += 1
        if (op === 'keep') this.#out(key)
      }
      this.#staging.append(plan.mappingId, changes)
    }
    if (this.#agreements.length >= least) {
      this.#staging.images(agreements(plan)).put(this.#agreements.splice(0))
      this.#staging.append(agreedList(plan), this.#agreed.splice(0))
    }
    if (this.#keptRows.length >= least) {
      this.#staging.images(keptImages(plan)).put(this.#keptRows.splice(0))
      this.#staging.append(plan.mappingId, this.#kept.splice(0))
    }
  }

  /** A proof of the whole table leaves it out by a list of its own. */
  #out(key: Key): void {
    this.#keptRows.push({ key, fingerprint: '', row: null, bytes: 0 })
  }

  adopt({ key, source, target, agreed }: Judged): void {
    if (source !== undefined) this.#counts.unchanged += 1
    const known = agreed !== undefined && isSame(agreed.source, source) && isSame(agreed.target, target)
    if (!known || (source !== undefined && this.#lacksDetails(agreed, source))) this.#remember(key, source, target)
  }

  #lacksDetails({ hasFields, hasImage }: AgreedRow, { bytes }: KeyFingerprint): boolean {
    const { baselineDetails: kept } = this.#plan.write
    return (kept.includes('fields') && !hasFields) || (kept.includes('image') && !hasImage && bytes < LARGE_ROW_BYTES)
  }

  #remember(key: Judged['key'], source: KeyFingerprint | undefined, target: KeyFingerprint | undefined): void {
    this.#agree(key, {
      source: source?.fingerprint ?? null,
      target: target?.fingerprint ?? null,
      asWritten: false,
      base: null,
    })
    this.#agreed.push({ op: 'keep', key, expect: null, bytes: 0 })
  }

  #agree(key: Judged['key'], agreement: Agreement): void {
    this.#agreements.push(agreementImage(key, agreement))
  }

  settle(row: Judged): void {
    this.#remember(row.key, row.source, row.target)
    this.leave(row, 'skipped')
  }

  /**
   * The target gets what merged, and the source keeps what it has. What the sides agree on is the source's row: what is the
   * target's own in the merged one stays its own for every later merge.
   */
  merge(row: Contested, { row: merged, source: had, target: other }: MergedRow): void {
    if (this.#plan.back !== null) {
      return merged === null ? this.toSource(row, 'found') : this.#writeBoth(row, merged, other)
    }
    const source = row.source?.fingerprint ?? null
    this.#agree(row.key, { source, target: source, asWritten: false, base: this.#baseOf(had) })
    if (merged !== null) return this.#write(row, merged)
    this.#agreed.push({ op: 'keep', key: row.key, expect: null, bytes: 0 })
    this.leave(row, 'skipped')
  }

  /** As much of a row as the baseline keeps. */
  #baseOf(row: Row): FieldBase | null {
    const { baselineDetails: kept } = this.#plan.write
    if (kept.includes('image')) return { row }
    return kept.includes('fields') ? { fingerprints: row.map((cell) => fingerprint([cell])) } : null
  }

  leave(row: Judged, how: 'skipped' | 'conflicted'): void {
    this.#keep(row)
    this.#left[how] += 1
    if (row.source === undefined) this.#left.targetOnly += 1
  }

  /** Left as it is in the target. */
  #keep({ key, source, target }: Judged): void {
    this.#kept.push({ op: 'keep', key, expect: target?.fingerprint ?? null, bytes: 0 })
    this.#out(key)
    if (source !== undefined) this.#apart.source += 1
    if (target !== undefined) this.#apart.target += 1
  }

  /** `decided`: somebody wants the row gone, whatever the policy for deletes is. */
  toTarget({ key, source, target }: Judged, why: 'found' | 'decided'): void {
    const expect = target?.fingerprint ?? null
    if (source !== undefined) {
      const op = target === undefined ? 'insert' : 'update'
      this.#counts[COUNTERS[op]] += 1
      this.#changes.push({ op, key, expect, bytes: source.bytes })
    } else if (why === 'decided') {
      this.#counts.deletes += 1
      this.#staging.append(this.#plan.mappingId, [{ op: 'delete', key, expect, bytes: target?.bytes ?? 0 }])
    } else this.#changes.push({ op: 'delete', key, expect, bytes: target?.bytes ?? 0 })
  }

  /**
   * A row gives a value up for another one. That is a change of this side alone, as if somebody had made it: what was agreed
   * on of the row stays.
   */
  giveWay(row: HoldingRow, side: 'source' | 'target', without: Row): void {
    const { key, source, target, agreed } = row
    if (side === 'target') {
      const { source: here = null, target: there = null, fields = null } = agreed ?? {}
      this.#agree(key, { source: here, target: there, asWritten: false, base: fields && { fingerprints: fields } })
      return this.#write(row, without)
    }
    const bytes = sizeOfRow(without)
    this.#staging
      .images(rowImages(must(this.#plan.back, 'a way back')))
      .put([{ key, fingerprint: '', row: without, bytes }])
    this.#goesBack({ op: 'update', key, expect: source?.fingerprint ?? null, bytes }, target, null)
    this.#keep(row)
    this.#left.elsewhere += 1
  }

  takeTarget(row: Judged): void {
    if (this.#plan.back === null) this.settle(row)
    else this.toSource(row, 'found')
  }

  /** The source gets what the target has. Both agree on that once it is there. */
  toSource(row: Judged, why: 'found' | 'decided'): void {
    const { key, source, target } = row
    const expect = source?.fingerprint ?? null
    if (target === undefined && why === 'found' && this.#policies.deletePolicy !== 'delete') {
      return this.leave(row, 'skipped')
    }
    if (this.#plan.turning !== null) {
      this.#returning.push({ of: row, to: target === undefined ? 'none' : 'the target' })
      return
    }
    const op = target === undefined ? 'delete' : source === undefined ? 'insert' : 'update'
    this.#goesBack({ op, key, expect, bytes: target?.bytes ?? source?.bytes ?? 0 }, target, 'as written')
    const now = target?.fingerprint ?? null
    this.#agree(key, { source: now, target: now, asWritten: false, base: null })
    this.#staging.append(returnedList(this.#plan), [{ op: 'keep', key, expect: null, bytes: 0 }])
    this.#keep(row)
    if (source !== undefined) this.#left.elsewhere += 1
  }

  /** `target`, and its values in `base`: what the target has meanwhile, which is told with it. */
  #goesBack(change: StagedChange, target: KeyFingerprint | undefined, base: Agreement['base']): void {
    const back = must(this.#plan.back, 'a way back')
    const source = target?.fingerprint ?? null
    const sent = { source, target: null, asWritten: change.op !== 'delete', base }
    this.#staging.images(agreements(back)).put([agreementImage(change.key, sent)])
    this.#staging.append(back.mappingId, [change])
  }

  /**
   * A row that neither side has goes to both: to the source first, and to the target once it is there. Whatever happens in
   * between, the next run finds a row of which one side alone was changed. `has`: the target's row, where it is known.
   */
  #writeBoth(judged: Judged, row: Row | null, has: Row | null): void {
    const { key, source, target } = judged
    if (this.#plan.turning !== null) {
      this.#returning.push({ of: judged, to: row ?? 'none' })
      return
    }
    const back = must(this.#plan.back, 'a way back')
    const staging = this.#staging
    const bytes = row === null ? 0 : sizeOfRow(row)
    const change = (there: KeyFingerprint | undefined): StagedChange => ({
      op: row === null ? 'delete' : there === undefined ? 'insert' : 'update',
      key,
      expect: there?.fingerprint ?? null,
      bytes,
    })
    if (row !== null) {
      const image = { key, fingerprint: '', row, bytes }
      this.#staging.images(rowImages(this.#plan)).put([image])
      staging.images(rowImages(back)).put([image])
    }
    if (source !== undefined || row !== null) this.#goesBack(change(source), target, has && { row: has })
    if (target !== undefined || row !== null) staging.append(bothList(this.#plan), [change(target)])
    staging.append(ownList(this.#plan), [{ op: 'keep', key, expect: null, bytes: 0 }])
    this.#out(key)
    this.#countBoth(judged, row)
  }

  /** As many rows as are held in memory at once. */
  async #turnSome(turner: Turner): Promise<void> {
    let bytes = 0
    const fits = this.#returning.findIndex(
      ({ of }, i) => i >= FLUSH_ROWS || (bytes += of.target?.bytes ?? 0) > TURNED_BYTES,
    )
    const some = this.#returning.splice(0, fits < 0 ? Infinity : Math.max(1, fits))
    const turned = await turner.turn(some)
    for (const [i, row] of some.entries()) this.#takeTurned(row, must(turned[i], 'a row that was turned round'))
  }

  #takeTurned({ of, to }: Returning, turned: Turned): void {
    const { key, source, target } = of
    switch (turned.kind) {
      case 'there':
        // What differs is the source's to say.
        if (to === 'the target') addRemark(this.remarks.reset, key)
        return this.toTarget(of, 'found')
      case 'outside':
        addRemark(this.remarks.outside, key)
        return this.leave(of, 'skipped')
      case 'refused':
        this.refusedBack.push({ op: source === undefined ? 'insert' : 'update', key, ...turned.fault, keyIn: 'target' })
        this.#keep(of)
        if (source !== undefined) this.#left.elsewhere += 1
        return
      case 'sent':
        if (turned.hadOwn) addRemark(this.remarks.reset, key)
        this.#sendTurned(of, turned)
        // What neither side is to have, or the target no more, goes from the target once the source is written.
        if (target !== undefined && (turned.row === null || (turned.leaves && this.#plan.exit === 'delete'))) {
          this.#staging.append(bothList(this.#plan), [{ op: 'delete', key, expect: target.fingerprint, bytes: 0 }])
          this.#staging.append(ownList(this.#plan), [{ op: 'keep', key, expect: null, bytes: 0 }])
          this.#out(key)
          return this.#countBoth(of, null)
        }
        return this.#comesBack(of, turned)
    }
  }

  #sendTurned({ key, target, agreed }: Judged, { row, expect, had }: Extract<Turned, { kind: 'sent' }>): void {
    const back = must(this.#plan.back, 'a way back')
    const bytes = row === null ? 0 : sizeOfRow(row)
    if (row !== null) this.#staging.images(rowImages(back)).put([{ key, fingerprint: '', row, bytes }])
    const op = row === null ? 'delete' : expect === null ? 'insert' : 'update'
    // By what the baseline had, a run that finds the note knows whether the baseline has been told since.
    const base = had && this.#baseOf(had)
    const sent = { source: target?.fingerprint ?? null, target: agreed?.source ?? null, asWritten: false, base }
    this.#staging.images(agreements(back)).put([agreementImage(key, sent)])
    this.#staging.append(back.mappingId, [{ op, key, expect, bytes }])
  }

  /** What the mapping makes of the row in the source is looked at when it is there (see `ThreeWayTable.takeBack`). */
  #comesBack(of: Judged, { row, leaves }: Extract<Turned, { kind: 'sent' }>): void {
    const { key, source, target } = of
    const now = target?.fingerprint ?? null
    this.#agree(key, { source: row === null || leaves ? null : now, target: now, asWritten: false, base: null })
    const op = row === null || leaves ? 'keep' : source === undefined ? 'insert' : 'update'
    this.#staging.append(returnedList(this.#plan), [{ op, key, expect: now, bytes: target?.bytes ?? 0 }])
    this.#keep(of)
    if (source !== undefined) this.#left.elsewhere += 1
  }

  /** A row of the source that does not meet the filter does not exist for the sync, whatever the target has. */
  beyondFilter(row: Judged): void {
    const { agreed, target } = row
    if (this.#plan.exit === 'delete') {
      const unchanged = agreed !== undefined && isSame(agreed.target, target)
      return unchanged ? this.toTarget(row, 'found') : this.leave(row, 'skipped')
    }
    // When it meets the filter again, the source alone has changed it.
    if (agreed === undefined || agreed.source === null) this.leave(row, 'skipped')
    else this.settle(row)
  }

  /** Counted as if it went to the target: `both` takes that back where it cannot. */
  #countBoth({ source, target }: Judged, row: Row | null): void {
    if (row !== null) {
      this.#counts[target === undefined ? 'inserts' : 'updates'] += 1
      if (source !== undefined) return
      this.#left.targetOnly += 1
      this.#apart.target += 1
      return
    }
    if (target !== undefined) this.#counts.deletes += 1
    if (source === undefined) return
    this.#apart.source += 1
    this.#left.elsewhere += 1
  }

  /** A row that somebody built; null: there is to be none. The source keeps what it has, and the sides agree on that. */
  writeBuilt(judged: Judged, row: Row | null): void {
    const { key, source, target } = judged
    const has = source?.fingerprint ?? null
    if (this.#plan.back !== null) return this.#writeBoth(judged, row, null)
    if (row !== null) {
      this.#agree(key, { source: has, target: null, asWritten: true, base: null })
      return this.#write(judged, row)
    }
    if (target === undefined) return this.settle(judged)
    this.#counts.deletes += 1
    this.#staging.append(this.#plan.mappingId, [{ op: 'delete', key, expect: target.fingerprint, bytes: target.bytes }])
    if (source === undefined) return
    this.#remember(key, source, undefined)
    // It goes from the target alone: the source's side of it is counted with that.
    this.#apart.source += 1
    this.#left.targetOnly -= 1
  }

  #write({ key, source, target }: Judged, row: Row): void {
    const op = target === undefined ? ('insert' as const) : ('update' as const)
    const bytes = sizeOfRow(row)
    this.#staging.images(rowImages(this.#plan)).put([{ key, fingerprint: '', row, bytes }])
    this.#out(key)
    this.#staging.append(ownList(this.#plan), [{ op: 'keep', key, expect: null, bytes: 0 }])
    this.#counts[COUNTERS[op]] += 1
    this.#staging.append(this.#plan.mappingId, [{ op, key, expect: target?.fingerprint ?? null, bytes }])
    if (source !== undefined) return
    this.#left.targetOnly += 1
    this.#apart.target += 1
  }
}

function isSame(last: string | null, now: KeyFingerprint | undefined): boolean {
  return last === (now?.fingerprint ?? null)
}
