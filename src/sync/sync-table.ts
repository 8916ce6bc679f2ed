import { RowsRefused, type Adapter, type Claim, type Piece, type Snapshot } from '#adapters/adapter.ts'
import { allEnded, type Slots } from '#lib/slots.ts'
import { must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import type { Verification } from '#model/receipt.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { tableName } from '#model/table.ts'
import type { Journal, Phase } from './journal.ts'
import type { TablePlan } from './plan.ts'
import {
  applyLater,
  applyPatches,
  applyStaged,
  giveUp,
  newOutcome,
  untie,
  type ApplyContext,
  type Outcome,
} from './stages/apply.ts'
import { checkKey } from './stages/check-key.ts'
import { detect, type Detection } from './stages/detect.ts'
import { loadPiece, PIECE_BYTES } from './stages/load.ts'
import type { BatchBounds, StagedOperation, Staging } from './staging.ts'
import { verifyFull, verifyKeys, type Verified, type VerifyRequest } from './verify/verify-table.ts'

/** What all tables of an attempt share. */
export interface Attempt {
  readonly source: Snapshot
  readonly target: Adapter
  readonly config: SyncConfig
  readonly staging: Staging
  readonly journal: Journal
  readonly slots: Slots
  /** Aborted when the run is stopped from outside, or when any part of the attempt has failed. */
  readonly signal: AbortSignal
  readonly stop: AbortController
}

/** Rows in memory at once, beside what the streams hold. */
const BATCH_BYTES = 4 * 1024 * 1024
const KEYS: BatchBounds = { rows: 2_000, bytes: Infinity }

/** A full proof is due when the last one is older than this. */
const FULL_PROOF_EVERY_S = 24 * 60 * 60

/**
 * The one way of a table's rows, in the order in which a run calls it: check the key → detect (or load whole) → delete →
 * write → try again what was in the way → fill in circular keys → verify. Each step is one call into `stages/`.
 */
export class TableSync {
  readonly plan: TablePlan
  readonly outcome: Outcome = newOutcome()
  /** Null before detection, and for a table that is loaded whole. */
  detection: Detection | null = null
  /** The target was empty: its rows come by COPY. */
  bulk = false
  loaded = 0
  readonly #attempt: Attempt
  #claim: Claim | null = null

  constructor(plan: TablePlan, attempt: Attempt) {
    this.plan = plan
    this.#attempt = attempt
  }

  get claim(): Claim {
    return must(this.#claim, 'a claim')
  }

  /** Cells, as far as statistics tell. The heaviest table goes first, or it would end alone when all others are done. */
  get weight(): number {
    const { rowEstimate, columns } = this.plan.source
    return (rowEstimate ?? 0) * columns.length
  }

  set claim(claim: Claim) {
    this.#claim = claim
  }

  /** Step 1: what is there to do? The target's side is seen in `target`, one moment for all tables. */
  async detect(target: Snapshot, targetExists: boolean): Promise<void> {
    const { source } = this.#attempt
    await checkKey(this.plan, 'source', source)
    // Rows that point at one another in a ring cannot be loaded in any order while the target watches the ring.
    const free = !targetExists || !this.plan.cyclic
    if (!targetExists || (free && (await target.isEmpty(this.plan.target.ref)))) {
      this.bulk = true
      return
    }
    await checkKey(this.plan, 'target', target)
    this.detection = await this.#compare(target)
  }

  async #compare(target: Snapshot): Promise<Detection> {
    const { source, staging, config, signal } = this.#attempt
    this.#enter('compare', (this.plan.source.rowEstimate ?? 0) + (this.plan.target.rowEstimate ?? 0), true)
    const onRows = (rows: number): void => this.#progress('compare', rows, 0)
    const detection = await detect(this.plan, { source, target, staging, policies: config, signal, onRows })
    this.#leave('compare')
    return detection
  }

  /** Step 2a: the bulk path, piece by piece, several at once. A row that the target refuses sends the table the other way. */
  async load(): Promise<void> {
    if (!this.bulk) return
    const { source, target, slots, signal } = this.#attempt
    const { plan, claim } = this
    // In a slot, as all else: a connection each for a thousand tables at once would be refused.
    const empty = await slots.use(async () => {
      if (!(await this.#isStillEmpty())) return false
      await must(target.writer, 'a writer').startPhase(claim, 'loading')
      return true
    }, Infinity)
    if (!empty) return this.#compareAfterAll()
    failpoint('table.loading')
    this.#enter('load', plan.source.rowEstimate, true)
    const pieces = await source.pieces(plan.source.ref, PIECE_BYTES)
    const load = async (piece: Piece): Promise<void> => {
      const { inserted } = await loadPiece({ plan, claim, source, target, signal }, piece)
      this.loaded += inserted
      this.outcome.batches += 1
      this.#progress('load', inserted, piece.bytes)
    }
    try {
      await allEnded(pieces.map((piece) => slots.use(() => load(piece), this.weight)))
    } catch (error) {
      if (!(error instanceof RowsRefused)) throw error
      await this.#compareAfterAll()
    }
    this.#leave('load')
  }

  /** Somebody may have filled it since it was looked at; since the claim, nobody who holds an older epoch can. */
  async #isStillEmpty(): Promise<boolean> {
    const { target, signal } = this.#attempt
    await using moment = await target.snapshot(1, signal)
    return await moment.isEmpty(this.plan.target.ref)
  }

  /** A row that the target refuses cannot be told in a COPY: what did not arrive goes row by row. */
  async #compareAfterAll(): Promise<void> {
    const { target, signal } = this.#attempt
    await using moment = await target.snapshot(1, signal)
    this.detection = await this.#compare(moment)
  }

  /** Step 2b: deletes come first, so that what they free can be taken; children before their parents. */
  async delete(): Promise<void> {
    await this.#apply('delete', ['delete'], this.detection?.deletes ?? 0)
  }

  /** Step 3: updates, then inserts; parents before their children. */
  async write(): Promise<void> {
    await this.#apply('write', ['update', 'insert'], (this.detection?.updates ?? 0) + (this.detection?.inserts ?? 0))
  }

  async #apply(phase: Phase, ops: readonly StagedOperation[], total: number): Promise<void> {
    if (total === 0) return
    this.#enter(phase, total, false)
    await must(this.#attempt.target.writer, 'a writer').startPhase(this.claim, 'applying')
    await applyStaged(this.#applyContext(phase), ops)
    this.#leave(phase)
  }

  /** How many rows wait for another row, of this table or of another one. */
  get waiting(): number {
    return this.outcome.later.length
  }

  /** Step 4a: rows that another row was in the way of. */
  async applyLater(): Promise<void> {
    await applyLater(this.#applyContext('write'))
  }

  /** Step 4b: rows that hold on to one another. */
  async untie(): Promise<void> {
    await untie(this.#applyContext('delete'))
  }

  /** Step 4c: what cannot be helped, and circular foreign keys. */
  async settle(): Promise<void> {
    giveUp(this.#applyContext('write'))
    await applyPatches(this.#applyContext('write'))
  }

  #applyContext(phase: Phase): ApplyContext {
    const { source, target, staging, config, signal } = this.#attempt
    return {
      plan: this.plan,
      claim: this.claim,
      source,
      target,
      staging,
      signal,
      bounds: { rows: config.batchSize, bytes: BATCH_BYTES },
      maxRejections: config.maxRejections,
      outcome: this.outcome,
      onRows: (rows, bytes) => this.#progress(phase, rows, bytes),
    }
  }

  /** Step 5: the proof, against the target as it is in `moment`. */
  async verify(moment: Snapshot): Promise<Verification> {
    const mode = this.#verificationMode()
    if (mode === 'off') return { mode, rows: 0, sourceDigest: '', targetDigest: '', changedSince: 0 }
    this.#enter('verify', mode === 'full' ? this.plan.source.rowEstimate : this.#touched, mode === 'full')
    const request = this.verifyRequest(moment)
    const verified = mode === 'full' ? await verifyFull(request) : await verifyKeys(request, this.#keysTouched())
    const changedSince = verified.equal ? 0 : await this.#explain(moment, verified)
    this.#leave('verify')
    return {
      mode,
      rows: verified.source.rows,
      sourceDigest: verified.source.digest,
      targetDigest: verified.target.digest,
      changedSince,
    }
  }

  verifyRequest(moment: Snapshot): VerifyRequest {
    return {
      source: { snapshot: this.#attempt.source, scan: this.plan.proofScans.source },
      target: { snapshot: moment, scan: this.plan.proofScans.target },
      except: () => this.keysApart(),
    }
  }

  get #touched(): number {
    const { inserted, updated, deleted } = this.outcome
    return inserted + updated + deleted
  }

  #verificationMode(): 'full' | 'changed' | 'off' {
    const { verifyAfter } = this.#attempt.config
    if (verifyAfter !== 'auto') return verifyAfter
    const age = this.claim.verifiedSecondsAgo
    if (this.plan.write.baseline && !this.claim.baselineComplete) return 'full'
    return this.bulk || age === null || age > FULL_PROOF_EVERY_S ? 'full' : 'changed'
  }

  /**
   * The sides differ after the run. Rows whose present version is ours, and wrong, are our fault; all others were
   * changed by somebody between our write and the proof, and are reported as that.
   */
  async #explain(moment: Snapshot, verified: Verified): Promise<number> {
    const { source, staging, config, signal } = this.#attempt
    const plan: TablePlan = { ...this.plan, mappingId: `${this.plan.mappingId} proof` }
    await detect(plan, {
      source,
      target: moment,
      staging,
      policies: { ...config, detectionStrategy: 'full', deletePolicy: 'delete', deleteScope: 'mirror' },
      signal,
      onRows: () => {},
    })
    const apart = new Set([...this.keysApart()].flat().map((key) => JSON.stringify(key)))
    let differing = 0
    for (const changes of staging.read(plan.mappingId, ['insert', 'update', 'delete'], KEYS)) {
      const keys = changes.map((change) => change.key).filter((key) => !apart.has(JSON.stringify(key)))
      differing += keys.length
      const ours = await moment.writtenBy(this.claim, this.plan.write.scan, keys)
      if (ours.length > 0) {
        throw new AppError(
          'verification_failed',
          `${tableName(plan.target.ref)}: ${ours.length} rows that this run wrote differ from the source, such as (${ours[0]?.join(', ')}).${this.#triggerHint()}`,
        )
      }
    }
    staging.clear(plan.mappingId)
    if (differing > 0) return differing
    throw new AppError(
      'verification_failed',
      `${tableName(plan.target.ref)}: the proofs differ (${verified.source.rows} and ${verified.target.rows} rows), but no row that is carried does. A column that the target generates by itself may be computed otherwise there.`,
    )
  }

  #triggerHint(): string {
    const { triggers } = this.plan.target
    return triggers.length === 0 ? '' : ` The target's own triggers may have changed them: ${triggers.join(', ')}.`
  }

  /** Keys of rows that the run left apart: kept, set aside or contested. */
  *keysApart(): Iterable<readonly Key[]> {
    yield* this.#keys(['keep'])
    if (this.#refused.length > 0) yield this.#refused
  }

  get #refused(): readonly Key[] {
    const { rejections, conflicts, incomplete } = this.outcome
    return [...rejections.map(({ key }) => key), ...incomplete.map(({ key }) => key), ...conflicts]
  }

  /** Keys of the rows that the run brought in step: what it set out to do, without what it had to leave apart. */
  *#keysTouched(): Iterable<readonly Key[]> {
    const apart = new Set(this.#refused.map((key) => JSON.stringify(key)))
    for (const keys of this.#keys(['insert', 'update', 'delete'])) {
      yield keys.filter((key) => !apart.has(JSON.stringify(key)))
    }
  }

  *#keys(ops: readonly StagedOperation[]): Iterable<readonly Key[]> {
    for (const changes of this.#attempt.staging.read(this.plan.mappingId, ops, KEYS)) {
      yield changes.map((change) => change.key)
    }
  }

  #enter(phase: Phase, total: number | null, estimated: boolean): void {
    this.#attempt.journal.record({ type: 'phase', table: this.plan.target.ref, phase, total, estimated })
  }

  #progress(phase: Phase, rows: number, bytes: number): void {
    this.#attempt.journal.record({ type: 'progress', table: this.plan.target.ref, phase, rows, bytes })
  }

  #leave(phase: Phase): void {
    this.#attempt.journal.record({ type: 'phase done', table: this.plan.target.ref, phase })
  }
}
