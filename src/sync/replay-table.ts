import type { RowSource, Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key, Rejection } from '#model/change.ts'
import { fingerprint } from '#model/fingerprint.ts'
import type { Verification } from '#model/receipt.ts'
import type { ReplayedRow, ReplayRow } from '#model/rejection.ts'
import { tableName } from '#model/table.ts'
import type { Row, Value } from '#model/value.ts'
import type { TablePlan } from './plan.ts'
import type { Replay } from './quarantine.ts'
import { refuseOwn, sentRows } from './stages/explain.ts'
import { mapperOf } from './stages/mapped-source.ts'
import type { Mapper } from './stages/map.ts'
import { makeRow, readEdits, ReplaySource, sameRow } from './stages/replay-source.ts'
import { rawScan, rowsByKey, sourceFingerprint, type SourceKeyOf } from './stages/set-aside.ts'
import { Tally } from './stages/tally.ts'
import type { StagedChange } from './staging.ts'
import type { Attempt } from './attempt.ts'
import { TableSync } from './sync-table.ts'
import { verifyKeys, type VerifyRequest } from './verify/verify-table.ts'

/** Rows that are looked at at once. */
const BATCH_ROWS = 100

/** Keys that a note names. */
const NAMED = 5

/** What is known of a batch of rows before each is judged. */
interface Seen {
  readonly raws: ReadonlyMap<string, Row>
  readonly mapper: Mapper | null
  readonly target: Snapshot
}

/**
 * The way of the rows of a replay: in place of a comparison, rows that were set aside are looked at one by one, in the
 * order in which that was. From there on it is the way of every row. A row that moved since then, in the target or (with
 * values that somebody gave for it) in the source, is left as it is, and is open again.
 */
export class TableReplay extends TableSync {
  readonly #attempt: Attempt
  readonly #replay: Replay
  readonly #sourceKeys = new Map<string, Key | null>()
  readonly #moved: Rejection[] = []
  readonly #gone: string[] = []
  readonly #tried: (ReplayedRow & { readonly rejectedAs: string })[] = []
  #rows: ReplaySource | null = null
  #source: RowSource | null = null

  constructor(plan: TablePlan, attempt: Attempt, replay: Replay) {
    super(plan, attempt)
    this.#attempt = attempt
    this.#replay = replay
  }

  override get source(): RowSource {
    this.#source ??= this.#rows === null ? null : this.#rows.over(super.source)
    return this.#source ?? super.source
  }

  override async detect(target: Snapshot): Promise<void> {
    const { source: snapshot, signal, staging, maskKey } = this.#attempt
    const mapper = await mapperOf(this.plan, { snapshot, maskKey })
    this.#attempt.resources.use(mapper)
    this.#rows = new ReplaySource(this.plan, { snapshot, target: this.#attempt.target, signal, mapper })
    staging.clear(this.plan.mappingId)
    const rows = await this.#replay.rows(this.plan.target.ref)
    const detection = new Tally()
    for (let start = 0; start < rows.length; start += BATCH_ROWS) {
      signal.throwIfAborted()
      const some = rows.slice(start, start + BATCH_ROWS).map((row) => this.#withSourceKey(row))
      const keys = some.flatMap(({ sourceKey }) => (sourceKey === null ? [] : [sourceKey]))
      const raws = await rowsByKey(snapshot, rawScan(this.plan), keys)
      const changes: StagedChange[] = []
      for (const row of some) this.#sourceKeys.set(idOf(row), row.sourceKey)
      for (const row of some) changes.push(...(await this.#judge(row, { raws, mapper, target }, detection)))
      staging.append(this.plan.mappingId, changes)
    }
    this.detection = detection.done()
    this.outcome.rejections.push(...this.detection.rejections)
    this.#say()
  }

  /** A row that the source did not have then may be there now. */
  #withSourceKey(row: ReplayRow): ReplayRow {
    const { mapped } = this.plan
    const known = row.keyIn === 'source' || mapped === null || mapped.keyIsDirect
    return row.sourceKey === null && known ? { ...row, sourceKey: row.key } : row
  }

  async #judge(row: ReplayRow, { raws, mapper, target }: Seen, tally: Tally): Promise<StagedChange[]> {
    const raw = row.sourceKey === null ? undefined : raws.get(JSON.stringify(row.sourceKey))
    if (raw === undefined) return this.#judgeLost(row, target, tally)
    tally.sourceRows += 1
    const given = readEdits(this.plan, row)
    const made =
      'code' in given ? { kind: 'fault' as const, fault: given } : await makeRow(this.plan, { mapper, raw, given })
    if (made.kind === 'filtered') {
      tally.skip()
      this.#gone.push(row.id)
      return []
    }
    if (made.kind === 'fault') {
      const there = row.keyIn === 'target' && row.targetFingerprint !== null
      tally.reject({ op: there ? 'update' : 'insert', key: row.key, ...made.fault, keyIn: row.keyIn })
      return []
    }
    const key = made.row.slice(0, this.plan.write.scan.keyLength)
    const there = await this.#rowIn(target, key)
    const isOurs = must(this.#rows, 'the rows of a replay').add(key, {
      row,
      given: given as ReadonlyMap<string, Value>,
    })
    const hash = sourceFingerprint(this.plan, raw)
    const sourceMoved = row.edits !== null && hash !== row.sourceFingerprint
    const targetMoved = (there === undefined ? null : fingerprint(there)) !== row.targetFingerprint
    const inStep = there !== undefined && sameRow(there, made.row)
    if (!isOurs || sourceMoved || (targetMoved && !inStep)) {
      tally.leave(there !== undefined)
      this.#leave(row, { key, side: sourceMoved ? 'source' : 'target' })
      return []
    }
    this.#tried.push({ id: row.id, targetKey: key, sourceFingerprint: hash, rejectedAs: idOf(row) })
    if (inStep) {
      tally.unchanged += 1
      return []
    }
    const bytes = made.row.reduce((sum, value) => sum + (value?.length ?? 0), 0)
    return [
      tally.change({
        op: there === undefined ? 'insert' : 'update',
        key,
        expect: await this.#hashIn(target, key),
        bytes,
      }),
    ]
  }

  /** The source has no row any more, or never had one. */
  async #judgeLost(row: ReplayRow, target: Snapshot, tally: Tally): Promise<StagedChange[]> {
    const there = row.keyIn === 'target' ? await this.#rowIn(target, row.key) : undefined
    const { key } = row
    if (there === undefined || row.op !== 'delete') {
      this.#gone.push(row.id)
      return there === undefined ? [] : [tally.change({ op: 'keep', key, expect: null, bytes: 0 })]
    }
    if (fingerprint(there) !== row.targetFingerprint) {
      this.#leave(row, { key, side: 'target' })
      tally.sourceRows += 1
      tally.leave(true)
      return []
    }
    this.#tried.push({ id: row.id, targetKey: key, sourceFingerprint: null, rejectedAs: idOf(row) })
    return [tally.change({ op: 'delete', key, expect: await this.#hashIn(target, key), bytes: 0 })]
  }

  async #rowIn(target: Snapshot, key: Key): Promise<Row | undefined> {
    return (await target.rows(this.plan.write.scan, [key], 'the other side'))[0]
  }

  async #hashIn(target: Snapshot, key: Key): Promise<string | null> {
    return (await target.fingerprints(this.plan.write.scan, [key]))[0]?.fingerprint ?? null
  }

  #leave(row: ReplayRow, { key, side }: { key: Key; side: 'source' | 'target' }): void {
    this.outcome.conflicts.push(key)
    this.#reopen(row, side)
  }

  #reopen({ op, key, keyIn }: ReplayRow, side: 'source' | 'target'): void {
    const reason = `The row of the ${side} has changed since it was set aside: it was left as it is.`
    this.#moved.push({ op, key, keyIn, code: 'row_moved', reason, column: null, value: null })
  }

  #say(): void {
    if (this.#moved.length === 0) return
    const keys = this.#moved.slice(0, NAMED).map(({ key }) => `(${key.join(', ')})`)
    const more = this.#moved.length > keys.length ? ` and ${this.#moved.length - keys.length} more` : ''
    const text = `${tableName(this.plan.target.ref)}: rows that moved since they were set aside are left as they are: ${keys.join(', ')}${more}.`
    this.notes.push(text)
    this.#attempt.journal.record({ type: 'note', text })
  }

  /** The quarantine knows a row by the key that it was set aside under. */
  protected override toldOf(rejections: readonly Rejection[]): readonly Rejection[] {
    const known = rejections.map((rejection) => {
      const row = rejection.keyIn === 'target' ? this.#rows?.origin(rejection.key) : undefined
      return row === undefined ? rejection : { ...rejection, key: row.key, keyIn: row.keyIn }
    })
    return [...known, ...this.#moved]
  }

  protected override readonly sourceKeyOf: SourceKeyOf = (rejection) => this.#sourceKeys.get(idOf(rejection))

  override async settle(): Promise<void> {
    // Those that moved while the replay was under way.
    const known = new Set(this.#moved.map(idOf))
    const before = this.#moved.length
    for (const key of this.outcome.conflicts) {
      const row = this.#rows?.origin(key)
      if (row !== undefined && !known.has(idOf(row))) this.#reopen(row, 'target')
    }
    if (this.#moved.length > before) this.#say()
    await super.settle()
  }

  override async close(): Promise<void> {
    const left = new Set(this.toldOf([...this.outcome.rejections, ...this.outcome.incomplete]).map(idOf))
    const through = this.#tried.filter(({ rejectedAs }) => !left.has(rejectedAs))
    await this.#replay.done(
      through.map(({ id, targetKey, sourceFingerprint: hash }) => ({ id, targetKey, sourceFingerprint: hash })),
      this.#gone,
    )
  }

  override verifyRequest(moment: Snapshot): VerifyRequest {
    const { scan } = this.plan.write
    return { source: { rows: this.source, scan }, target: { rows: moment, scan }, except: () => [] }
  }

  override async verify(moment: Snapshot): Promise<Verification> {
    const apart = new Set([...this.keysApart()].flat().map((key) => JSON.stringify(key)))
    const keys = this.#tried.flatMap(({ targetKey }) =>
      targetKey === null || apart.has(JSON.stringify(targetKey)) ? [] : [targetKey],
    )
    const proved = keys.filter((key) => this.#rows?.isProvable(key) ?? true)
    const verified = await verifyKeys(this.verifyRequest(moment), batches(proved))
    const changedSince = verified.equal ? 0 : await this.#explainKeys(moment, proved)
    const { source, target } = verified
    return {
      mode: 'changed',
      rows: source.rows,
      sourceDigest: source.digest,
      targetDigest: target.digest,
      changedSince,
    }
  }

  /** Rows that differ and that this replay wrote last are its fault; all others somebody has changed since. */
  async #explainKeys(moment: Snapshot, keys: readonly Key[]): Promise<number> {
    const { scan } = this.plan.write
    let differing = 0
    for (const some of batches(keys)) {
      const own = await rowsByKey(this.source, scan, some)
      const theirs = await rowsByKey(moment, scan, some)
      const different = some.filter((key) => {
        const [a, b] = [own.get(JSON.stringify(key)), theirs.get(JSON.stringify(key))]
        return a === undefined || b === undefined ? a !== b : !sameRow(a, b)
      })
      const fault = 'rows that were replayed are other ones in the target'
      const sent = sentRows(different, () => Promise.resolve(own))
      await refuseOwn(moment, { claim: this.claim, plan: this.plan.write, sent }, { fault })
      differing += different.length
    }
    return differing
  }
}

function* batches(keys: readonly Key[]): Generator<readonly Key[]> {
  for (let start = 0; start < keys.length; start += BATCH_ROWS) yield keys.slice(start, start + BATCH_ROWS)
}

function idOf({ key, keyIn }: Pick<Rejection, 'key' | 'keyIn'>): string {
  return JSON.stringify([keyIn, key])
}
