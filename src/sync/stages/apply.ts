import type {
  BaselineRow,
  BatchKind,
  BatchResult,
  BatchRow,
  BatchTarget,
  Claim,
  KeyFingerprint,
  RowSource,
  Scan,
  Telling,
} from '#adapters/adapter.ts'
import type { Agreement } from '#adapters/baseline.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import { assert, must } from '#lib/assert.ts'
import { backoffMs } from '#lib/backoff.ts'
import { delay } from '#lib/clock.ts'
import { allEnded } from '#lib/slots.ts'
import type { Key, Rejection, RowFault } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import type { Fingerprint } from '#model/fingerprint.ts'
import { publicReason } from '#model/rejection.ts'
import { tableName } from '#model/table.ts'
import { LARGE_ROW_BYTES, type SentRow } from '#model/value.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { BatchBounds, StagedChange, StagedOperation, Staging } from '#sync/staging.ts'

/** What applying a table's changes has come to, so far. Mutable on purpose: it is filled batch by batch. */
export interface Outcome {
  inserted: number
  updated: number
  deleted: number
  /** Rows that had come into step by themselves when they were looked at again. */
  unchanged: number
  batches: number
  readonly rejections: Rejection[]
  /** Rows that were inserted, but whose circular foreign keys the target then refused. They are not counted twice. */
  readonly incomplete: Rejection[]
  /** Rows that somebody kept changing under us. */
  readonly conflicts: Key[]
  /** Inserted with their circular foreign keys NULL, to be filled in. */
  readonly toPatch: Key[]
  /** Refused because another row was in the way or missing: tried again when all else is done. */
  readonly later: Waiting[]
  /** Rows that were to go, as they were before their circular foreign keys were made NULL; by the JSON of their keys. */
  readonly untied: Map<string, SentRow>
}

/** A row that waits for another one, and what the server said of it. */
export interface Waiting {
  readonly key: Key
  readonly op: StagedOperation
  readonly refusal: RowsRefused
  /** The row of the target that it was decided on; undefined where that has been changed by ourselves since. */
  expect?: Fingerprint | null
}

export function newOutcome(): Outcome {
  return {
    inserted: 0,
    updated: 0,
    deleted: 0,
    unchanged: 0,
    batches: 0,
    rejections: [],
    incomplete: [],
    conflicts: [],
    toPatch: [],
    later: [],
    untied: new Map(),
  }
}

/** By the JSON of the keys; null: nothing. */
export type BaselinesOf = (keys: readonly Key[]) => ReadonlyMap<string, BaselineRow | null>

/** By the JSON of the keys. */
export type AgreementsOf = (keys: readonly Key[]) => ReadonlyMap<string, Agreement>

export interface ApplyContext {
  readonly plan: TablePlan
  readonly claim: Claim
  readonly source: RowSource
  readonly target: BatchTarget
  /** Who is told of what is written, before it is committed. */
  readonly telling: ((kind: BatchKind) => Telling) | null
  /** What the baseline has for rows once they are written, where that is not the rows themselves. */
  readonly baselinesOf: BaselinesOf | null
  /** What the sides agree on once a row is written, where that is not the row; null: they always agree on the row. */
  readonly agreementsOf: AgreementsOf | null
  readonly staging: Staging
  readonly bounds: BatchBounds
  readonly maxRejections: number
  /** Somebody looked at the rows before: they come in their order, and one that moved since then is left as it is. */
  readonly replaying: boolean
  readonly signal: AbortSignal
  readonly outcome: Outcome
  readonly onRows: (rows: number, bytes: number) => void
  /** Rows of a batch that was committed may have been left out. */
  readonly onRejected: () => Promise<void>
  /** The target's table was altered: returns with `plan` made to fit, or throws where the run must not go on with it. */
  readonly onDrift: () => Promise<void>
}

/** A row that moved is decided on again this often; after that somebody else owns it. */
const MAX_REOPENINGS = 3
const BATCH_ATTEMPTS = 6
const BACKOFF = { firstMs: 100, ceilingMs: 5_000 }

/** Batches of one table under way at once: while one is read from the source or committed, the other is written. */
const LANES = 2

/** Applies the staged changes of some kinds, batch by batch. */
export async function applyStaged(context: ApplyContext, ops: readonly StagedOperation[]): Promise<void> {
  const batches = context.staging.read(context.plan.mappingId, ops, context.bounds)[Symbol.iterator]()
  if (context.replaying || isOrdered(context.plan)) return applyInOrder(context, batches)
  let failed = false
  const lane = async (): Promise<void> => {
    try {
      for (let next = batches.next(); !failed && next.done !== true; next = batches.next()) {
        await applyBatch(context, next.value)
      }
    } catch (error) {
      failed = true
      throw error
    }
  }
  await allEnded(Array.from({ length: LANES }, lane))
}

/**
 * Whether a batch should see what the one before it did: rows point to rows of their own table, a trigger may write where
 * another one writes, or the whole table is locked anyway. Else batches touch different rows, and their order is free.
 */
function isOrdered({ cyclic, target, write }: TablePlan): boolean {
  return cyclic || !write.keyIsUnique || (target.triggers.length > 0 && !write.silenceTriggers)
}

/** One batch after the other; the values of the next are read while one is written. */
async function applyInOrder(context: ApplyContext, batches: Iterator<readonly StagedChange[]>): Promise<void> {
  let next = readAhead(context, batches)
  try {
    while (next !== null) {
      const { changes, reading } = next
      const rows = await reading
      next = readAhead(context, batches)
      await applyBatch(context, changes, rows)
    }
  } finally {
    await Promise.allSettled([next?.reading])
  }
}

async function applyBatch(
  context: ApplyContext,
  changes: readonly StagedChange[],
  read?: readonly BatchRow[],
): Promise<void> {
  await applyChanges(context, changes, 'apply', read)
  await context.onRejected()
  context.onRows(
    changes.length,
    changes.reduce((sum, change) => sum + change.bytes, 0),
  )
}

/** Begins to read the values of the next batch: they come from a snapshot, so that it does not matter when. */
function readAhead(
  context: ApplyContext,
  batches: Iterator<readonly StagedChange[]>,
): { readonly changes: readonly StagedChange[]; readonly reading: Promise<readonly BatchRow[]> } | null {
  const { value, done } = batches.next()
  if (done === true) return null
  const reading = toBatchRows(context, value, 'apply')
  // Whoever awaits it hears of a failure; until then it is not an unhandled one.
  reading.catch(() => {})
  return { changes: value, reading }
}

/**
 * Tries again what was refused because of another row, as long as that brings anything in: all of it at once, so that
 * rows can change places (hazard D4), then row by row.
 */
export async function applyLater(context: ApplyContext): Promise<void> {
  const { outcome } = context
  for (let before = Infinity; outcome.later.length > 0 && outcome.later.length < before;) {
    before = outcome.later.length
    const waiting = outcome.later.splice(0)
    const { changes, inStep } = await decideWaiting(context, waiting)
    outcome.unchanged += inStep
    await applyChanges(context, await changePlaces(context, changes, waiting), 'apply')
  }
}

/**
 * Looks again at rows that waited. Where somebody had looked at them before the run, one that moved while it waited is
 * left as it is.
 */
export async function decideWaiting(
  context: ApplyContext,
  waiting: readonly Waiting[],
): Promise<{ readonly changes: readonly StagedChange[]; readonly inStep: number }> {
  const again = await decideAgain(
    context,
    waiting.map(({ key }) => key),
  )
  if (!context.replaying) return again
  const expected = new Map(waiting.map(({ key, expect }) => [JSON.stringify(key), expect]))
  const stands = ({ key, expect }: StagedChange): boolean => {
    const before = expected.get(JSON.stringify(key))
    return before === undefined || before === expect
  }
  context.outcome.conflicts.push(...again.changes.filter((change) => !stands(change)).map(({ key }) => key))
  return { ...again, changes: again.changes.filter(stands) }
}

/** What waits still when nothing gets on any more is a rejection: no order of the rows would help. */
export function giveUp(context: ApplyContext): void {
  for (const { op, key, refusal } of context.outcome.later.splice(0)) reject(context, { op, key }, refusal)
}

/** Rows that may change places in one batch: a ring of more cannot be turned. */
const TOGETHER_ROWS = 10_000

/**
 * Carries out rows in one another's way at once, those that wait for a unique value apart from those that wait for a
 * foreign key if need be. Gives back what it could not, to be tried row by row.
 */
async function changePlaces(
  context: ApplyContext,
  changes: readonly StagedChange[],
  waiting: readonly Waiting[],
): Promise<readonly StagedChange[]> {
  if (changes.length < 2 || changes.length > TOGETHER_ROWS) return changes
  if (changes.reduce((sum, change) => sum + change.bytes, 0) > context.bounds.bytes) return changes
  const forValue = new Set(
    waiting.filter(({ refusal }) => refusal.code !== '23503').map(({ key }) => JSON.stringify(key)),
  )
  const isForValue = ({ key }: StagedChange): boolean => forValue.has(JSON.stringify(key))
  const left = await tryTogether(context, changes, waiting)
  if (left !== null) return left
  const values = changes.filter(isForValue)
  const rest = changes.filter((change) => !isForValue(change))
  if (values.length < 2 || rest.length === 0) return changes
  return [...rest, ...((await tryTogether(context, values, waiting)) ?? values)]
}

/** Returns what moved meanwhile and is to be looked at again; null where the server refuses the batch. */
async function tryTogether(
  context: ApplyContext,
  changes: readonly StagedChange[],
  waiting: readonly Waiting[],
): Promise<readonly StagedChange[] | null> {
  const { outcome } = context
  const patched = outcome.toPatch.length
  try {
    const { moved, blocked } = await applyOnce(context, await toBatchRows(context, changes, 'apply'), 'together')
    const ids = new Set(blocked.map(({ key }) => JSON.stringify(key)))
    outcome.later.push(...waiting.filter(({ key }) => ids.has(JSON.stringify(key))))
    if (context.replaying) {
      outcome.conflicts.push(...moved.map(({ key }) => key))
      return []
    }
    const again = await decideAgain(
      context,
      moved.map(({ key }) => key),
    )
    outcome.unchanged += again.inStep
    return again.changes
  } catch (error) {
    if (!(error instanceof RowsRefused)) throw error
    outcome.toPatch.length = patched
    return null
  }
}

/** Fills in the foreign keys that were left out while their rows were not there yet. */
export async function applyPatches(context: ApplyContext): Promise<void> {
  const { outcome, bounds } = context
  while (outcome.toPatch.length > 0) {
    const { changes } = await decideAgain(context, outcome.toPatch.splice(0, bounds.rows))
    await applyChanges(context, changes, 'patch')
  }
}

async function applyChanges(
  context: ApplyContext,
  changes: readonly StagedChange[],
  kind: 'apply' | 'patch',
  read?: readonly BatchRow[],
): Promise<void> {
  let pending = changes
  for (let opening = 0; pending.length > 0; opening++) {
    const rows = opening === 0 && read !== undefined ? read : await toBatchRows(context, pending, kind)
    const moved = await applyHalving(context, rows, kind)
    if (moved.length === 0) return
    if (opening >= MAX_REOPENINGS || context.replaying) {
      if (kind === 'apply') context.outcome.conflicts.push(...moved.map((row) => row.key))
      return
    }
    const again = await decideAgain(
      context,
      moved.map((row) => row.key),
    )
    if (kind === 'apply') context.outcome.unchanged += again.inStep
    pending = again.changes
  }
}

/** Gives the changes their values, from the snapshot that they were decided on. */
export async function toBatchRows(
  { plan, source, outcome, baselinesOf, agreementsOf }: ApplyContext,
  changes: readonly StagedChange[],
  kind: 'apply' | 'patch',
): Promise<BatchRow[]> {
  const wanted = changes.filter((change) => change.op === 'insert' || change.op === 'update')
  const rows = await readSent(source, plan.sourceScan, wanted)
  const agreements = agreementsOf?.(wanted.map(({ key }) => key))
  const baselines = plan.write.baseline ? baselinesOf?.(changes.map(({ key }) => key)) : undefined
  return changes.flatMap((change): BatchRow[] => {
    const { op, key, expect } = change
    const told = baselines?.get(JSON.stringify(key))
    const baseline = told === undefined ? {} : { baseline: told }
    if (op === 'keep') return []
    if (op === 'delete') return [{ op, key, expect, row: null, ...baseline }]
    const row = must(rows.get(JSON.stringify(key)), `the source's row of a change of ${tableName(plan.source.ref)}`)
    const patched = op === 'insert' && kind === 'apply' ? withoutPatchColumns(plan, row) : row
    if (patched !== row) outcome.toPatch.push(key)
    const agreed = agreements?.get(JSON.stringify(key))
    return [{ op, key, expect, row: patched, ...baseline, ...(agreed === undefined ? {} : { agreed }) }]
  })
}

/** Rows to be sent, by the JSON of their keys. Of large ones the large values come when they are sent. */
export async function readSent(
  source: RowSource,
  scan: Scan,
  wanted: readonly Pick<StagedChange, 'key' | 'bytes'>[],
): Promise<ReadonlyMap<string, SentRow>> {
  const large = wanted.filter(({ bytes }) => bytes >= LARGE_ROW_BYTES).map(({ key }) => key)
  const others = wanted.filter(({ bytes }) => bytes < LARGE_ROW_BYTES).map(({ key }) => key)
  const rows = [
    ...(others.length === 0 ? [] : await source.rows(scan, others)),
    ...(large.length === 0 ? [] : await source.largeRows(scan, large)),
  ]
  return new Map(rows.map((row) => [JSON.stringify(row.slice(0, scan.keyLength)), row]))
}

export function withoutPatchColumns(plan: TablePlan, row: SentRow): SentRow {
  if (!plan.patch.some((position) => row[position] !== null)) return row
  return row.map((value, position) => (plan.patch.includes(position) ? null : value))
}

/** Applies a batch; where the server refuses rows for what they hold, halves it to the row (hazard B4). */
async function applyHalving(
  context: ApplyContext,
  rows: readonly BatchRow[],
  kind: 'apply' | 'patch',
): Promise<readonly BatchRow[]> {
  if (rows.length === 0) return []
  try {
    return (await applyOnce(context, rows, kind)).moved
  } catch (error) {
    if (!(error instanceof RowsRefused)) throw error
    const [only] = rows
    if (rows.length > 1) {
      const middle = rows.length >> 1
      const first = await applyHalving(context, rows.slice(0, middle), kind)
      return [...first, ...(await applyHalving(context, rows.slice(middle), kind))]
    }
    if (only !== undefined) refuse(context, only, { refusal: error, kind })
    return []
  }
}

export async function applyOnce(
  context: ApplyContext,
  rows: readonly BatchRow[],
  kind: BatchKind,
): Promise<Pick<BatchResult, 'moved' | 'blocked'>> {
  const writer = must(context.target.writer, 'a writer')
  const telling = context.telling?.(kind) ?? null
  const result = await persist([context], () =>
    writer.apply(context.claim, context.plan.write, { rows, kind, telling }),
  )
  book(context, result)
  return result
}

export function book({ outcome }: ApplyContext, { committed }: BatchResult): void {
  outcome.inserted += committed.inserted
  outcome.updated += committed.updated
  outcome.deleted += committed.deleted
  outcome.batches += committed.batches
}

/** Tries a batch again where that may help; tables that were altered are looked at first. */
export async function persist<T>(contexts: readonly ApplyContext[], write: () => Promise<T>): Promise<T> {
  const { signal } = must(contexts[0], 'a table of a batch')
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      return await write()
    } catch (error) {
      if (!(error instanceof AppError) || attempt >= BATCH_ATTEMPTS) throw error
      if (error.code === 'schema_changed') for (const context of contexts) await context.onDrift()
      else if (error.retry !== 'later') throw error
      else await delay(backoffMs(BACKOFF, attempt, Math.random()), signal)
    }
  }
}

/** What a server refuses, as far as it says. It names a column, and never the value. */
function asFault({ code, message, column }: RowsRefused): RowFault {
  return { code, reason: message, column, value: null, keyIn: 'target' }
}

/** A single row that the server refuses: later, if another row may make way; else it is set aside. */
function refuse(
  context: ApplyContext,
  row: BatchRow,
  { refusal, kind }: { refusal: RowsRefused; kind: 'apply' | 'patch' },
): void {
  if (kind === 'patch') {
    context.outcome.incomplete.push({ op: row.op, key: row.key, ...asFault(refusal) })
    return
  }
  const patched = context.outcome.toPatch.lastIndexOf(row.key)
  if (patched >= 0) context.outcome.toPatch.splice(patched, 1)
  const { op, key, expect } = row
  if (refusal.orderMatters) context.outcome.later.push({ op, key, refusal, expect })
  else reject(context, row, refusal)
}

function reject(
  { outcome, maxRejections, plan }: ApplyContext,
  change: Pick<StagedChange, 'op' | 'key'>,
  refusal: RowsRefused,
): void {
  assert(change.op !== 'keep', 'a kept row is not applied')
  outcome.rejections.push({ op: change.op, key: change.key, ...asFault(refusal) })
  refuseTooMany(outcome.rejections, { maxRejections, plan })
}

/** @throws AppError `too_many_rejections` */
export function refuseTooMany(
  rejections: readonly Rejection[],
  { maxRejections, plan }: { maxRejections: number; plan: TablePlan },
): void {
  if (rejections.length <= maxRejections) return
  throw new AppError(
    'too_many_rejections',
    `More than ${maxRejections} rows of ${tableName(plan.target.ref)} cannot be carried; the last: ${publicReason(rejections.at(-1))}`,
  )
}

/**
 * Looks at rows again, as they are in the target now (invariant 9). The source's side stands still in its snapshot, so
 * the answer is what its row and the target's row of this moment make of each other; under source wins, the source.
 */
export async function decideAgain(
  context: ApplyContext,
  keys: readonly Key[],
): Promise<{ readonly changes: readonly StagedChange[]; readonly inStep: number }> {
  const { plan, source, target, signal } = context
  await using now = await target.snapshot(1, signal)
  const [sources, targets] = [
    byKey(await source.fingerprints(plan.sourceScan, keys)),
    byKey(await now.fingerprints(plan.write.scan, keys)),
  ]
  const changes = keys.flatMap((key): StagedChange[] => {
    const from = sources.get(JSON.stringify(key))
    const to = targets.get(JSON.stringify(key))
    if (from === undefined) return to === undefined ? [] : [{ op: 'delete', key, expect: to.fingerprint, bytes: 0 }]
    if (to === undefined) return [{ op: 'insert', key, expect: null, bytes: from.bytes }]
    return to.fingerprint === from.fingerprint ? [] : [{ op: 'update', key, expect: to.fingerprint, bytes: from.bytes }]
  })
  return { changes, inStep: keys.length - changes.length }
}

export function byKey(rows: readonly KeyFingerprint[]): Map<string, KeyFingerprint> {
  return new Map(rows.map((row) => [JSON.stringify(row.key), row]))
}
