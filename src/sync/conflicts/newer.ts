import { describeType, type ColumnType } from '#model/column-type.ts'
import { ValueRefused, type Row } from '#model/value.ts'
import type { Side } from '#sync/drift.ts'
import { orderOf } from './compare.ts'

/** Beyond this the clocks of two servers do not say which of two edits came later (hazard D8). */
export const MAX_CLOCK_SKEW_MS = 1_000

/** The column that says when a row was changed: a moment, or a number that only grows. */
export interface TimeColumn {
  /** Its place in the rows. */
  readonly at: number
  readonly type: ColumnType
}

export interface NewerRules {
  /** How far the clock of the one server was measured to be ahead of the other's, or behind it. */
  readonly skewMs: number
  /** Somebody said that the skew does not matter. */
  readonly forced: boolean
  /** Who wins where both were changed at the same time; the source, where nobody says. */
  readonly tieBreak?: Side
}

/**
 * Which row is newer; `tie`: neither, and the tie-break was asked. Null: nothing says so, and somebody has to decide.
 * `refused`: no two rows may be compared by these clocks. Reasons hold no values.
 */
export type Newer =
  | { readonly newer: Side; readonly tie: boolean }
  | { readonly newer: null; readonly reason: string }
  | { readonly refused: string }

/** Compares the times of two rows, to the last digit that they have; a row is null where its side has none. */
export function newerSide(
  { source, target }: { readonly source: Row | null; readonly target: Row | null },
  column: TimeColumn,
  { skewMs, forced, tieBreak = 'source' }: NewerRules,
): Newer {
  // Said this way round, a skew that could not be measured is refused as well.
  if (!forced && !(Math.abs(skewMs) <= MAX_CLOCK_SKEW_MS)) {
    return {
      refused: `The clocks of the two servers differ by more than ${MAX_CLOCK_SKEW_MS} ms, or were not measured.`,
    }
  }
  const order = isTime(column.type) ? orderOf(column.type) : null
  if (order === null) return unknown(`Values of ${describeType(column.type)} do not say what is newer.`)
  if (source === null || target === null) return unknown(`The ${missing(source)} has no row to compare.`)
  const [left = null, right = null] = [source[column.at], target[column.at]]
  if (left === null || right === null) return unknown(`The row of the ${missing(left)} has no time.`)
  if (left === 'NaN' || right === 'NaN') return unknown('The time of a row is no number.')
  try {
    const compared = order(left, right)
    if (compared === 0) return { newer: tieBreak, tie: true }
    return { newer: compared > 0 ? 'source' : 'target', tie: false }
  } catch (error) {
    if (error instanceof ValueRefused) return unknown('The time of a row cannot be read.')
    throw error
  }
}

function isTime({ kind }: ColumnType): boolean {
  return kind === 'timestamp' || kind === 'date' || kind === 'integer' || kind === 'decimal'
}

function unknown(reason: string): Newer {
  return { newer: null, reason }
}

/** The side that lacks something, where one does. */
function missing(source: unknown): Side {
  return source === null ? 'source' : 'target'
}
