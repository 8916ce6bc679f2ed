import { AppError } from './errors.ts'

/** What became of the rows that a run examined. Every row examined ends in exactly one of them (invariant 3). */
export interface Counts {
  /** Rows examined: each key once, whether it stands in the source, in the target or in both. */
  readonly read: number
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  readonly unchanged: number
  readonly skipped: number
  readonly conflicted: number
  readonly rejected: number
}

export const NO_COUNTS: Counts = {
  read: 0,
  inserted: 0,
  updated: 0,
  deleted: 0,
  unchanged: 0,
  skipped: 0,
  conflicted: 0,
  rejected: 0,
}

const OUTCOMES = ['inserted', 'updated', 'deleted', 'unchanged', 'skipped', 'conflicted', 'rejected'] as const

export function addCounts(a: Counts, b: Counts): Counts {
  const sum = { read: a.read + b.read } as Record<keyof Counts, number>
  for (const outcome of OUTCOMES) sum[outcome] = a[outcome] + b[outcome]
  return sum
}

/**
 * The counts of a job that has not come to a good end: what is known to be written, and of the rest nothing. They close
 * like any others; rows that were examined and left are not among them.
 */
export function countsOfWritten({
  inserted,
  updated,
  deleted,
}: Pick<Counts, 'inserted' | 'updated' | 'deleted'>): Counts {
  return { ...NO_COUNTS, read: inserted + updated + deleted, inserted, updated, deleted }
}

export function written(counts: Counts): number {
  return counts.inserted + counts.updated + counts.deleted
}

/** Refuses counts that do not close: a run whose arithmetic fails has not succeeded, whatever else it says. */
export function assertClosed(counts: Counts, of: string): void {
  const outcomes = OUTCOMES.reduce((sum, outcome) => sum + counts[outcome], 0)
  if (outcomes !== counts.read) {
    throw new AppError(
      'internal',
      `The counts of ${of} do not add up: ${counts.read} rows read, ${outcomes} accounted for.`,
    )
  }
}
