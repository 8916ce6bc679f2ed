import type { CommittedCounts } from '#adapters/adapter.ts'
import { AppError } from '#model/errors.ts'
import { assertClosed, type Counts } from '#model/counts.ts'
import { tableName } from '#model/table.ts'
import type { Outcome } from './stages/apply.ts'
import type { Detection } from './stages/detect.ts'
import type { TablePlan } from './plan.ts'

/** What the counts of a table are made of. */
export interface Account {
  readonly plan: TablePlan
  /** Null where the table was loaded whole. */
  readonly detection: Detection | null
  readonly loaded: number
  readonly outcome: Outcome
  /** Counters of the job in the target when this attempt began: what earlier attempts had committed. */
  readonly before: CommittedCounts
  /** Counters of the job in the target at the end. */
  readonly committed: CommittedCounts
}

/**
 * Closes the books of a table (invariant 3, hazard B12). What this attempt saw must be what it wrote and left, and what
 * it says it wrote must be what the target's own counters say. Rows that an earlier attempt of the job wrote are looked
 * at again by this one as unchanged: they count once, as written.
 * @throws AppError `internal` where the arithmetic fails
 */
export function closeAccount(account: Account): Counts {
  const { plan, detection, outcome, committed } = account
  // Rows that were loaded before the table had to be compared after all were compared too, as unchanged.
  const loadedBefore = detection === null ? 0 : account.loaded
  const before = { ...account.before, inserted: account.before.inserted + loadedBefore }
  const name = tableName(plan.target.ref)
  const mine = {
    inserted: committed.inserted - before.inserted,
    updated: committed.updated - before.updated,
    deleted: committed.deleted - before.deleted,
  }
  const said = {
    inserted: outcome.inserted + account.loaded - loadedBefore,
    updated: outcome.updated,
    deleted: outcome.deleted,
  }
  for (const op of ['inserted', 'updated', 'deleted'] as const) {
    if (mine[op] !== said[op]) {
      throw new AppError(
        'internal',
        `${name}: the run says it ${op} ${said[op]} rows, the target's counters say ${mine[op]}.`,
      )
    }
  }
  const rejected = outcome.rejections.length
  const seen = detection === null ? account.loaded + rejected : examined(detection)
  const unchangedNow = (detection?.unchanged ?? 0) + outcome.unchanged
  const now: Counts = {
    read: seen,
    ...mine,
    unchanged: unchangedNow,
    skipped: (detection?.kept ?? 0) + (detection?.settled ?? 0) + (detection?.left.skipped ?? 0),
    conflicted: outcome.conflicts.length + (detection?.left.conflicted ?? 0),
    rejected,
  }
  assertClosed(now, name)
  if (detection !== null) assertTargetRows(detection, name)
  return addEarlier(now, before)
}

/** Each key once, but for those that the other way accounts for. */
function examined(detection: Detection): number {
  const { sourceRows, left } = detection
  return sourceRows + aloneInTarget(detection) + left.targetOnly - left.elsewhere
}

function aloneInTarget(detection: Detection): number {
  return detection.deletes + detection.kept
}

/** The target's rows by count(*) inside the digests are those that had a partner and those that had none. */
function assertTargetRows(detection: Detection, name: string): void {
  const { targetRows, sourceRows, inserts, rejections, rejectedInBoth, apart } = detection
  const paired = sourceRows - inserts - (rejections.length - rejectedInBoth) - (apart.source - apart.target)
  if (targetRows !== paired + aloneInTarget(detection)) {
    throw new AppError('internal', `${name}: ${targetRows} rows in the target do not match what was compared.`)
  }
}

function addEarlier(now: Counts, before: CommittedCounts): Counts {
  const again = Math.min(now.unchanged, before.inserted + before.updated)
  const counts: Counts = {
    ...now,
    inserted: now.inserted + before.inserted,
    updated: now.updated + before.updated,
    deleted: now.deleted + before.deleted,
    unchanged: now.unchanged - again,
    read: now.read + before.inserted + before.updated + before.deleted - again,
  }
  assertClosed(counts, 'the job')
  return counts
}
