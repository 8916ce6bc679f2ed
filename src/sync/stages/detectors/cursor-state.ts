import type { CursorReached, Horizon } from '#adapters/adapter.ts'
import type { Cursor } from '#model/detection.ts'

/**
 * What a run writes down for the next one. A position says: of all rows whose cursor lies before it, the target has what
 * the source had, whatever transactions were open; the next run looks at the position itself and all that lies behind it
 * (hazard A1: rows with equal values are looked at again, and found equal).
 */
export interface CursorState {
  /** Column and type: positions of another one mean nothing. */
  readonly cursor: string
  /** As the server wrote it (hazard A5); null: the next run looks at everything. */
  readonly position: string | null
  /** How far earlier runs saw the cursor, oldest first, and a time at which they had seen it. */
  readonly reached: readonly { readonly value: string; readonly at: bigint }[]
  /** When a pass over all keys was begun last, by the source's clock. */
  readonly keysAt: bigint | null
}

/** A session takes the time at which its transaction begins a moment before others can see it. */
const MARGIN_US = 5_000_000n
const SECOND_US = 1_000_000n
/** No zone that a session of MySQL or MariaDB can have is further behind UTC. */
export const ZONES_BEHIND_HOURS = 14
const ZONES_BEHIND_US = BigInt(ZONES_BEHIND_HOURS) * 3_600_000_000n
/** Of more of them every other one goes: the position moves in larger steps then. */
const MOST_REACHED = 64

/** A position of a `wall clock` says so: one that was not cut may lie in the future. */
export function cursorName({ column, type, guard }: Cursor): string {
  return JSON.stringify([column, type, ...(guard === 'wall clock' ? [guard] : [])])
}

/** The time beyond which no position goes, in microseconds since 1970; null: wherever the cursor has come. */
export function ceilingOf({ guard }: Cursor, open: bigint | null): bigint | null {
  if (guard === 'order' || open === null) return null
  return guard === 'wall clock' ? open - ZONES_BEHIND_US : open
}

/** The time since which every transaction that is still open has begun; null where nobody knows. */
export function openSince(horizon: Horizon, windowSeconds: number): bigint | null {
  if (horizon.oldest === null) return null
  if (horizon.complete) return horizon.oldest - MARGIN_US
  const window = horizon.now - BigInt(windowSeconds) * SECOND_US
  return window < horizon.oldest ? window : horizon.oldest - MARGIN_US
}

/**
 * The watermark after a run that has looked at everything from `before.position` on, in a snapshot that was opened after
 * `open` was asked for (hazards A2, A3).
 *
 * What the snapshot could not see is written by transactions that were open then, all of which have begun at or after
 * `open`, or that began later. `clock`: a cursor is the time at which its transaction began, or later, so that whatever
 * comes still lies at or behind `open`; the snapshot's largest value was cut there (`CursorReached`).
 *
 * `order`: a value is given out after its transaction has begun, and none that is given out later is smaller. Let an
 * earlier run have seen `value` at a time `at` that is not after `open`. Whatever is smaller than `value` was given out
 * before it, so before `at`, by a transaction that had begun by then; it is not open any more, and what it committed was in
 * this run's snapshot. So all that comes still lies at or behind `value`. Equal values are looked at again, so that it may
 * be given out more than once.
 *
 * `waiting clock`: a cursor is the time of a statement, whose transaction begins when it has got its table. What an earlier run
 * had seen was cut at what was open then, statements that waited included: whoever has begun since then writes nothing before
 * that, and who had begun is not open any more, as above. `wall clock`: the same of a time that shows at most
 * `ZONES_BEHIND_HOURS` less than UTC, at whatever place and in whatever night the clock is read: all of it holds of what is
 * cut so much earlier.
 */
export function advance(
  before: CursorState | null,
  cursor: Cursor,
  { open, reached }: { open: bigint | null; reached: CursorReached },
): Pick<CursorState, 'position' | 'reached'> {
  const last = before?.position ?? null
  if (cursor.guard === 'clock') return { position: open === null ? last : (reached.value ?? last), reached: [] }
  const known = before?.reached ?? []
  const safe = open === null ? -1 : known.findLastIndex(({ at }) => at <= open)
  const isCut = cursor.guard === 'order' || open !== null
  const pending = [
    ...known.slice(Math.max(safe, 0)),
    ...(reached.value === null || !isCut ? [] : [{ value: reached.value, at: reached.at }]),
  ]
  return {
    position: known[safe]?.value ?? last,
    reached: pending.length > MOST_REACHED ? pending.filter((_, i) => i % 2 === 0) : pending,
  }
}

export function writeState({ cursor, position, reached, keysAt }: CursorState): string {
  return JSON.stringify({
    cursor,
    position,
    reached: reached.map(({ value, at }) => [value, String(at)]),
    keysAt: keysAt === null ? null : String(keysAt),
  })
}

/** Null where there is none for this cursor: then everything is looked at. */
export function readState(text: string | null, of: Cursor): CursorState | null {
  if (text === null) return null
  const { cursor, position, reached, keysAt }: Written = JSON.parse(text)
  if (cursor !== cursorName(of)) return null
  return {
    cursor,
    position,
    reached: reached.map(([value, at]) => ({ value, at: BigInt(at) })),
    keysAt: keysAt === null ? null : BigInt(keysAt),
  }
}

interface Written {
  readonly cursor: string
  readonly position: string | null
  readonly reached: readonly (readonly [string, string])[]
  readonly keysAt: string | null
}
