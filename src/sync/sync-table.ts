import type { BatchTarget, Claim, Piece, RowSource, Snapshot } from '#adapters/adapter.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import { allEnded, Slots } from '#lib/slots.ts'
import { assert, must } from '#lib/assert.ts'
import { failpoint } from '#lib/failpoint.ts'
import type { Key, Rejection } from '#model/change.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import type { Verification } from '#model/receipt.ts'
import { sameTable, tableName, type TableSchema } from '#model/table.ts'
import { judgeDrift, type Side } from './drift.ts'
import type { Attempt } from './attempt.ts'
import type { Phase } from './journal.ts'
import type { TablePlan } from './plan.ts'
import {
  applyLater,
  applyPatches,
  applyStaged,
  giveUp,
  newOutcome,
  refuseTooMany,
  type AgreementsOf,
  type ApplyContext,
  type BaselinesOf,
  type Outcome,
} from './stages/apply.ts'
import { checkKey, checkSource } from './stages/check-key.ts'
import { detect, listRows, type DetectContext, type Detection } from './stages/detect.ts'
import { detectAmong } from './stages/detectors/candidates.ts'
import { Look } from './stages/detectors/look.ts'
import { explainDifference } from './stages/explain.ts'
import { SetAside, type SourceKeyOf } from './stages/set-aside.ts'
import { lookAtSettled, NOTHING_SETTLED, type Settled } from './stages/settled.ts'
import { tellHistory } from './stages/tell-history.ts'
import { loadPiece, PIECE_BYTES, takesLoads, type LoadContext } from './stages/load.ts'
import { beyondFilter, sourceOf } from './stages/mapped-source.ts'
import { restoreUntied, untie } from './stages/untie.ts'
import type { BatchBounds, StagedOperation } from './staging.ts'
import { verificationMode } from './verify/verification-mode.ts'
import { verifyFull, verifyKeys, type Verified, type VerifyRequest } from './verify/verify-table.ts'

/** In memory at once, beside what the streams hold. */
const BATCH_BYTES = 4 * 1024 * 1024
const KEYS: BatchBounds = { rows: 2_000, bytes: Infinity }

/** What concerns one table alone: the others may go on. */
const OF_ONE_TABLE: readonly ErrorCode[] = ['schema_changed', 'missing_privilege', 'row_level_security']

/**
 * The one way of a table's rows, in the order in which a run calls it: check the key → detect (or load whole) → delete →
 * write → try again what was in the way → fill in circular keys → verify. Each step is one call into `stages/`.
 */
export class TableSync {
  readonly outcome: Outcome = newOutcome()
  /** Null before detection, and for a table that is loaded whole. */
  detection: Detection | null = null
  /** The target was empty: its rows come by COPY. */
  bulk = false
  loaded = 0
  /** Statements of our own alter the table: what they add is no news. */
  ownDdl = false
  /** Why nothing more is written into the table by this run, or null. */
  stopped: AppError | null = null
  readonly notes: string[] = []
  readonly look: Look
  readonly #attempt: Attempt
  #plan: TablePlan
  #claim: Claim | null = null
  #source: ReturnType<typeof sourceOf> | null = null
  readonly #warnings = new Map<string, number>()
  #rewritten = false
  #following: Promise<void> | null = null
  #settled: Settled = NOTHING_SETTLED
  #through: BatchTarget | null = null
  readonly #setAside: SetAside | null

  constructor(plan: TablePlan, attempt: Attempt) {
    this.#plan = plan
    this.#attempt = attempt
    this.look = new Look({ ...attempt, policies: attempt.config })
    this.#setAside = attempt.quarantine && new SetAside(attempt.quarantine, attempt)
  }

  get plan(): TablePlan {
    return this.#plan
  }

  /** The source's rows, as they are stored or as the mapping makes them. */
  get source(): ReturnType<typeof sourceOf> {
    this.#source ??= sourceOf(this.#plan, this.#attempt)
    return this.#source
  }

  get claim(): Claim {
    return must(this.#claim, 'a claim')
  }

  get #sourceSide(): { source: RowSource; beyondFilter: ReturnType<typeof beyondFilter> } {
    return { source: this.source, beyondFilter: beyondFilter(this.#plan, this.#attempt) }
  }

  /** Cells, as far as statistics tell. The heaviest table goes first, or it would end alone when all others are done. */
  get weight(): number {
    const { rowEstimate, columns } = this.plan.source
    return (rowEstimate ?? 0) * columns.length
  }

  set claim(claim: Claim) {
    this.#claim = claim
  }

  /** What batches are written through: a transaction, or (null) the database itself. */
  set through(transaction: BatchTarget | null) {
    this.#through = transaction
  }

  /** Where it writes: all that is to be undone together goes through this. */
  protected get batchTarget(): BatchTarget {
    return this.#through ?? this.#attempt.target
  }

  /** The table has got the columns that it was planned with. */
  replan(plan: TablePlan): void {
    assert(plan.mappingId === this.#plan.mappingId && plan.grownFrom === null, 'the table is what it was to become')
    const { silenceTriggers } = this.#plan.write
    this.#plan = { ...plan, write: { ...plan.write, silenceTriggers } }
  }

  /** Runs a step, unless the table was stopped. What concerns this table alone stops it, and not the run. */
  async step(work: () => Promise<void>): Promise<void> {
    if (this.stopped !== null) return
    try {
      await work()
    } catch (error) {
      const alone = error instanceof AppError && OF_ONE_TABLE.includes(error.code) && error.retry !== 'later'
      if (!alone || this.#attempt.signal.aborted) throw error
      this.stop(error)
    }
  }

  stop(error: AppError): void {
    if (this.stopped !== null) return
    this.stopped = error
    this.#attempt.journal.record({ type: 'note', text: `${tableName(this.plan.target.ref)} stopped: ${error.message}` })
  }

  /**
   * Takes in what has become of the table: the plan is made to fit where that makes no difference.
   * @throws AppError `schema_changed` where it does
   */
  follow(side: Side, now: TableSchema | undefined, writing: boolean): void {
    const drift = judgeDrift(this.#plan, { side, now, writing })
    if ('stop' in drift || now === undefined) {
      throw new AppError('schema_changed', 'stop' in drift ? drift.stop : 'The table is gone.')
    }
    const rewritten = `${tableName(now.ref)} was emptied or rewritten by others while the run was under way.`
    this.#rewritten ||= drift.rewritten
    if (!this.ownDdl) for (const text of [...drift.notes, ...(drift.rewritten ? [rewritten] : [])]) this.note(text)
    const { write } = this.#plan
    this.#plan = {
      ...this.#plan,
      [side]: now,
      write: side === 'target' ? { ...write, definition: now.definition } : write,
    }
  }

  /** Several batches may meet the same change at once: it is looked at once. */
  async #followTarget(): Promise<void> {
    this.#following ??= this.#attempt.target
      .describe([this.#plan.target.ref])
      .then((found) =>
        this.follow(
          'target',
          found.find(({ ref }) => sameTable(ref, this.#plan.target.ref)),
          true,
        ),
      )
      .finally(() => {
        this.#following = null
      })
    await this.#following
  }

  note(text: string): void {
    this.notes.push(text)
    this.#attempt.journal.record({ type: 'note', text })
  }

  /** Whether rows are still to be brought in. */
  get brings(): boolean {
    return this.bulk || (this.detection?.updates ?? 0) + (this.detection?.inserts ?? 0) > 0
  }

  /** Step 1: what is there to do? The target's side is seen in `target`, one moment for all tables. */
  async detect(target: Snapshot, targetExists: boolean): Promise<void> {
    await checkSource(this.plan, { ...this.#attempt, source: this.source, target: targetExists ? target : null })
    const { quarantine, source } = this.#attempt
    const settled = (await quarantine?.settled(this.plan.target.ref)) ?? []
    this.#settled = await lookAtSettled(this.plan, settled, source)
    // Rows that point at one another in a ring cannot be loaded in any order while the target watches the ring.
    const free = !this.plan.cyclic && this.#settled.heeded.length === 0 && !this.#attempt.listing
    if (!targetExists && this.#attempt.listing) {
      this.detection = await this.#compare(null)
      return
    }
    if (!targetExists || (free && (await this.mayLoadWhole(target)))) {
      this.bulk = true
      return
    }
    await checkKey(this.plan, 'target', target)
    this.detection = await this.#compare(target)
  }

  /** The target has nothing that a load could run into, and takes one. */
  protected async mayLoadWhole(target: Snapshot): Promise<boolean> {
    return takesLoads(this.#attempt.target, this.plan) && (await target.isEmpty(this.plan.target.ref))
  }

  /** How changes are found in a table that is there. */
  protected async find(context: Omit<DetectContext, 'target'>, target: Snapshot): Promise<Detection> {
    // What a load has begun is looked at whole.
    const some = this.bulk ? null : await this.look.candidates(this.plan, target)
    const sides = { ...context, target }
    return some === null ? await detect(this.plan, sides) : await detectAmong(this.plan, some, sides)
  }

  /** Every row is new where there is no table yet (null). */
  async #compare(target: Snapshot | null): Promise<Detection> {
    const { staging, config, signal } = this.#attempt
    this.#enter('compare', (this.plan.source.rowEstimate ?? 0) + (this.plan.target.rowEstimate ?? 0), true)
    const onRows = (rows: number): void => this.#progress('compare', rows, 0)
    const context = { ...this.#sourceSide, settled: this.#settled, staging, policies: config, signal, onRows }
    const detection = target === null ? await listRows(this.plan, context) : await this.find(context, target)
    // A table that was loaded in part is looked at whole.
    this.outcome.rejections.splice(0, Infinity, ...detection.rejections)
    this.#warnings.clear()
    this.#warn(this.source.warnings?.())
    this.#leave('compare')
    return detection
  }

  /** Step 2a: the bulk path, piece by piece, several at once. A row that the target refuses sends the table the other way. */
  async load(): Promise<void> {
    if (!this.bulk) return
    const { target, config, slots, signal } = this.#attempt
    const { claim, source } = this
    const pieceSlots = new Slots(config.parallelPieces ?? config.parallel)
    // In a slot, as all else: a connection each for a thousand tables at once would be refused.
    const empty = await slots.use(async () => {
      // Rows whose images are kept go by batches.
      if (this.#attempt.history?.level === 'images' || !(await this.#isStillEmpty())) return false
      await must(target.writer, 'a writer').startPhase(claim, 'loading')
      return true
    }, Infinity)
    if (!empty) return this.#compareAfterAll()
    failpoint('table.loading')
    this.#enter('load', this.plan.source.rowEstimate, true)
    const pieces = await source.pieces(this.plan.sourceScan, PIECE_BYTES)
    const planNow = (): TablePlan => this.#plan
    const onDrift = (): Promise<void> => this.#followTarget()
    const context: LoadContext = {
      get plan() {
        return planNow()
      },
      claim,
      source,
      target,
      signal,
      onDrift,
      onLoaded: async (rows) => {
        this.outcome.rejections.push(...(rows.rejected?.() ?? []))
        this.#warn(rows.warnings?.())
        await this.tell()
        refuseTooMany(this.outcome.rejections, { maxRejections: config.maxRejections, plan: this.plan })
      },
    }
    const load = async (piece: Piece): Promise<void> => {
      const { inserted } = await loadPiece(context, piece)
      this.loaded += inserted
      this.outcome.batches += 1
      this.#progress('load', inserted, piece.bytes)
    }
    try {
      await allEnded(pieces.map((piece) => pieceSlots.use(() => slots.use(() => load(piece), this.weight))))
    } catch (error) {
      if (!(error instanceof RowsRefused)) throw error
      await this.#compareAfterAll()
    }
    this.#leave('load')
  }

  #warn(warnings: ReadonlyMap<string, number> | undefined): void {
    for (const [what, rows] of warnings ?? []) this.#warnings.set(what, (this.#warnings.get(what) ?? 0) + rows)
  }

  /** Rows that break a rule and were carried all the same, for people. */
  get warnings(): readonly string[] {
    return [...this.#warnings].map(
      ([what, rows]) => `${tableName(this.#plan.target.ref)}: ${what} in ${rows} rows, which are carried all the same.`,
    )
  }

  protected readonly baselinesOf: BaselinesOf | null = null
  protected readonly agreementsOf: AgreementsOf | null = null
  protected readonly sourceKeyOf: SourceKeyOf = () => undefined

  /** Tells the quarantine of the rows that are left out by now. */
  async tell(): Promise<void> {
    const rejections = this.toldOf([...this.outcome.rejections, ...this.outcome.incomplete])
    await this.#setAside?.tell(this.plan, rejections, this.sourceKeyOf)
  }

  /** As whom the quarantine knows them. */
  protected toldOf(rejections: readonly Rejection[]): readonly Rejection[] {
    return rejections
  }

  /** The table has come to its end: what the quarantine was not told of has gone. */
  async close(): Promise<void> {
    const { heeded, stale } = this.#settled
    await this.#attempt.quarantine?.close(this.plan.target.ref, { heeded, stale })
  }

  /** Somebody may have filled it since it was looked at; since the claim, nobody who holds an older epoch can. */
  async #isStillEmpty(): Promise<boolean> {
    await using moment = await this.#attempt.target.snapshot(1, this.#attempt.signal)
    return await moment.isEmpty(this.plan.target.ref)
  }

  /** A row that the target refuses cannot be told in a COPY: what did not arrive goes row by row. */
  async #compareAfterAll(): Promise<void> {
    await using moment = await this.#attempt.target.snapshot(1, this.#attempt.signal)
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
    await must(this.batchTarget.writer, 'a writer').startPhase(this.claim, 'applying')
    await applyStaged(this.#applyContext(phase), ops)
    await this.tell()
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

  /** For rows of a ring of tables that are written at once. */
  get ringContext(): ApplyContext {
    return this.#applyContext('write')
  }

  /** Step 4d: what cannot be helped, and circular foreign keys. */
  async settle(): Promise<void> {
    await restoreUntied(this.#applyContext('write'))
    giveUp(this.#applyContext('write'))
    await applyPatches(this.#applyContext('write'))
    await this.tell()
  }

  /** Somebody, or something, decided on each row: one that has moved since is left as it is. */
  protected get leavesMoved(): boolean {
    return this.#attempt.replay !== null || this.#attempt.changeSet !== null
  }

  #applyContext(phase: Phase): ApplyContext {
    const { staging, config, signal, history } = this.#attempt
    const planNow = (): TablePlan => this.#plan
    return {
      get plan() {
        return planNow()
      },
      claim: this.claim,
      source: this.source,
      target: this.batchTarget,
      telling: history === null ? null : tellHistory(history, { plan: this.#plan, claim: this.claim }),
      baselinesOf: this.baselinesOf,
      agreementsOf: this.agreementsOf,
      staging,
      signal,
      bounds: { rows: config.batchSize, bytes: BATCH_BYTES },
      maxRejections: config.maxRejections,
      replaying: this.leavesMoved,
      outcome: this.outcome,
      onRows: (rows, bytes) => this.#progress(phase, rows, bytes),
      onRejected: () => this.tell(),
      onDrift: () => this.#followTarget(),
    }
  }

  /** Step 5: the proof, against the target as it is in `moment`. */
  async verify(moment: Snapshot): Promise<Verification> {
    const mode = this.verificationMode
    if (mode === 'off') return { mode, rows: 0, sourceDigest: '', targetDigest: '', changedSince: 0 }
    const { inserted, updated, deleted } = this.outcome
    const total = mode === 'full' ? this.plan.source.rowEstimate : inserted + updated + deleted
    this.#enter('verify', total, mode === 'full')
    const request = this.verifyRequest(moment)
    const whole = { ...request, source: { ...request.source, rows: this.wholeSource } }
    const verified = mode === 'full' ? await verifyFull(whole) : await verifyKeys(request, this.keysTouched())
    const changedSince = verified.equal ? 0 : await this.explain(moment, verified)
    this.#leave('verify')
    const { source, target } = verified
    return { mode, rows: source.rows, sourceDigest: source.digest, targetDigest: target.digest, changedSince }
  }

  /** Who made the sides differ after the run. */
  protected explain(moment: Snapshot, verified: Verified): Promise<number> {
    const { staging, config, signal } = this.#attempt
    const apart = new Set([...this.keysApart()].flat().map((key) => JSON.stringify(key)))
    const touched = this.loaded > 0 ? null : () => this.keysTouched()
    const known = { settled: this.#settled, answered: this.answered, claim: this.claim, apart, touched, verified }
    return explainDifference(this.plan, { ...this.#sourceSide, ...known, target: moment, staging, config, signal })
  }

  /** Who is told of rows that triggers made others of while they were written; null: they are refused. */
  protected readonly answered: ((keys: readonly Key[]) => void) | null = null

  verifyRequest(moment: Snapshot): VerifyRequest {
    return {
      source: { rows: this.source, scan: this.plan.proofScans.source },
      target: { rows: moment, scan: this.plan.proofScans.target },
      except: () => this.keysApart(),
    }
  }

  /** The source's rows as the source has them, also where others are written. */
  protected get wholeSource(): TableSync['source'] {
    return this.source
  }

  protected get verificationMode(): Verification['mode'] {
    const { plan, claim, bulk, look } = this
    const of = { plan, claim, bulk, partial: look.partial, rewritten: this.#rewritten }
    return verificationMode(this.#attempt.config.verifyAfter, of)
  }

  /** Keys of rows that the run left apart: kept, set aside or contested. */
  *keysApart(): Iterable<readonly Key[]> {
    yield* this.#keys(['keep'])
    if (this.#settled.targetKeys.length > 0) yield this.#settled.targetKeys
    if (this.refused.length > 0) yield this.refused
  }

  /** Keys of rows that are not in the target as they were to be. */
  get refused(): readonly Key[] {
    const rejected = this.outcome.rejections.filter(({ keyIn }) => keyIn === 'target')
    return [...[...rejected, ...this.outcome.incomplete].map(({ key }) => key), ...this.outcome.conflicts]
  }

  /** Keys of the rows that the run brought in step: what it set out to do, without what it had to leave apart. */
  protected *keysTouched(): Iterable<readonly Key[]> {
    const apart = new Set(this.refused.map((key) => JSON.stringify(key)))
    for (const keys of this.#keys(['insert', 'update', 'delete'])) {
      yield keys.filter((key) => !apart.has(JSON.stringify(key)))
    }
  }

  *#keys(ops: readonly StagedOperation[]): Iterable<readonly Key[]> {
    const batches = this.#attempt.staging.read(this.plan.mappingId, ops, KEYS)
    for (const changes of batches) yield changes.map((change) => change.key)
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
