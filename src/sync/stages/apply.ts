import {
  RowsRefused,
  type Adapter,
  type BatchKind,
  type BatchResult,
  type BatchRow,
  type Claim,
  type KeyFingerprint,
  type Snapshot,
} from '#adapters/adapter.ts'
import { assert, must } from '#lib/assert.ts'
import { backoffMs } from '#lib/backoff.ts'
import { delay } from '#lib/clock.ts'
import type { Key, Rejection } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { Row } from '#model/value.ts'
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
}

/** A row that waits for another one, and what the server said of it. */
export interface Waiting {
  readonly key: Key
  readonly op: StagedOperation
  readonly refusal: RowsRefused
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
  }
}

export interface ApplyContext {
  readonly plan: TablePlan
  readonly claim: Claim
  readonly source: Snapshot
  readonly target: Adapter
  readonly staging: Staging
  readonly bounds: BatchBounds
  readonly maxRejections: number
  readonly signal: AbortSignal
  readonly outcome: Outcome
  readonly onRows: (rows: number, bytes: number) => void
}

/** A row that moved is decided on again this often; after that somebody else owns it. */
const MAX_REOPENINGS = 3
const BATCH_ATTEMPTS = 6
const BACKOFF = { firstMs: 100, ceilingMs: 5_000 }

/** Applies the staged changes of some kinds, batch by batch; the values of the next are read while one is written. */
export async function applyStaged(context: ApplyContext, ops: readonly StagedOperation[]): Promise<void> {
  const batches = context.staging.read(context.plan.mappingId, ops, context.bounds)[Symbol.iterator]()
  let next = readAhead(context, batches)
  try {
    while (next !== null) {
      const { changes, reading } = next
      const rows = await reading
      next = readAhead(context, batches)
      await applyChanges(context, changes, 'apply', rows)
      context.onRows(
        changes.length,
        changes.reduce((sum, change) => sum + change.bytes, 0),
      )
    }
  } finally {
    await Promise.allSettled([next?.reading])
  }
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
    const { changes, inStep } = await decideAgain(
      context,
      waiting.map(({ key }) => key),
    )
    outcome.unchanged += inStep
    await applyChanges(context, await changePlaces(context, changes, waiting), 'apply')
  }
}

/** What waits still when nothing gets on any more is a rejection: no order of the rows would help. */
export function giveUp(context: ApplyContext): void {
  for (const { op, key, refusal } of context.outcome.later.splice(0)) reject(context, { op, key }, refusal)
}

/** Deletes that wait for one another in a ring: their circular foreign keys are made NULL, so that they can go. */
export async function untie(context: ApplyContext): Promise<void> {
  const { plan, outcome, target, claim, signal, bounds } = context
  const keys = outcome.later.filter(({ op }) => op === 'delete').map(({ key }) => key)
  if (plan.patch.length === 0) return
  for (let start = 0; start < keys.length; start += bounds.rows) {
    const some = keys.slice(start, start + bounds.rows)
    await using now = await target.snapshot(1, signal)
    const found = byKey(await now.fingerprints(plan.write.scan, some))
    const rows = (await now.rows(plan.write.scan, some)).map((row): BatchRow => {
      const key = row.slice(0, plan.write.scan.keyLength)
      const expect = found.get(JSON.stringify(key))?.fingerprint ?? null
      return { op: 'update', key, expect, row: withoutPatchColumns(plan, row) }
    })
    await must(target.writer, 'a writer').apply(claim, plan.write, { rows, kind: 'patch' })
  }
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
    if (opening >= MAX_REOPENINGS) {
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
async function toBatchRows(
  { plan, source, outcome }: ApplyContext,
  changes: readonly StagedChange[],
  kind: 'apply' | 'patch',
): Promise<BatchRow[]> {
  const wanted = changes.filter((change) => change.op === 'insert' || change.op === 'update')
  const rows = new Map<string, Row>()
  for (const row of wanted.length === 0
    ? []
    : await source.rows(
        plan.sourceScan,
        wanted.map(({ key }) => key),
      )) {
    rows.set(JSON.stringify(row.slice(0, plan.sourceScan.keyLength)), row)
  }
  return changes.flatMap((change): BatchRow[] => {
    const { op, key, expect } = change
    if (op === 'keep') return []
    if (op === 'delete') return [{ op, key, expect, row: null }]
    const row = must(rows.get(JSON.stringify(key)), `the source's row of a change of ${tableName(plan.source.ref)}`)
    const patched = op === 'insert' && kind === 'apply' ? withoutPatchColumns(plan, row) : row
    if (patched !== row) outcome.toPatch.push(key)
    return [{ op, key, expect, row: patched }]
  })
}

function withoutPatchColumns(plan: TablePlan, row: Row): Row {
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

async function applyOnce(
  { plan, claim, target, outcome, signal }: ApplyContext,
  rows: readonly BatchRow[],
  kind: BatchKind,
): Promise<Pick<BatchResult, 'moved' | 'blocked'>> {
  const writer = must(target.writer, 'a writer')
  for (let attempt = 1; ; attempt++) {
    signal.throwIfAborted()
    try {
      const { committed, moved, blocked } = await writer.apply(claim, plan.write, { rows, kind })
      outcome.inserted += committed.inserted
      outcome.updated += committed.updated
      outcome.deleted += committed.deleted
      outcome.batches += committed.batches
      return { moved, blocked }
    } catch (error) {
      if (!(error instanceof AppError) || error.retry !== 'later' || attempt >= BATCH_ATTEMPTS) throw error
      await delay(backoffMs(BACKOFF, attempt, Math.random()), signal)
    }
  }
}

/** A single row that the server refuses: later, if another row may make way; else it is set aside. */
function refuse(
  context: ApplyContext,
  row: BatchRow,
  { refusal, kind }: { refusal: RowsRefused; kind: 'apply' | 'patch' },
): void {
  if (kind === 'patch') {
    context.outcome.incomplete.push({ op: row.op, key: row.key, code: refusal.code, reason: refusal.message })
    return
  }
  const patched = context.outcome.toPatch.lastIndexOf(row.key)
  if (patched >= 0) context.outcome.toPatch.splice(patched, 1)
  if (refusal.orderMatters) context.outcome.later.push({ op: row.op, key: row.key, refusal })
  else reject(context, row, refusal)
}

function reject(
  { outcome, maxRejections, plan }: ApplyContext,
  change: Pick<StagedChange, 'op' | 'key'>,
  refusal: RowsRefused,
): void {
  assert(change.op !== 'keep', 'a kept row is not applied')
  outcome.rejections.push({ op: change.op, key: change.key, code: refusal.code, reason: refusal.message })
  if (outcome.rejections.length > maxRejections) {
    throw new AppError(
      'too_many_rejections',
      `The target refused more than ${maxRejections} rows of ${tableName(plan.target.ref)}; the last: ${refusal.message}`,
    )
  }
}

/**
 * Looks at rows again, as they are in the target now (invariant 9). The source's side stands still in its snapshot, so
 * the answer is what its row and the target's row of this moment make of each other; under source wins, the source.
 */
async function decideAgain(
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

function byKey(rows: readonly KeyFingerprint[]): Map<string, KeyFingerprint> {
  return new Map(rows.map((row) => [JSON.stringify(row.key), row]))
}
