/** What is much and what is little, which strategy goes before which, and the words for what the server counts. */
import type { TableFacts } from '#adapters/adapter.ts'
import { formatBytes, formatCount, plural } from '#lib/amounts.ts'

/** From here on, a look at all rows costs enough to be worth an index and a trigger. */
const LARGE_ROWS = 1_000_000
const LARGE_BYTES = 1_000_000_000
/** A sample of fewer rows shows no pattern. */
export const TELLING_ROWS = 50

/**
 * Strategies in the order in which they are proposed. `fitting` and `trusted` are cursors that see every insert and
 * update, `inserts` are those of tables in which nothing is updated, `written` rest on whoever writes the rows.
 */
export const RANKS = {
  fitting: 0,
  hash: 1,
  trusted: 2,
  inserts: 3,
  keys: 4,
  written: 5,
  blindKeys: 6,
  full: 7,
  content: 8,
} as const

export function isLarge({ rows, bytes }: TableFacts): boolean {
  return (rows ?? 0) >= LARGE_ROWS || (bytes ?? 0) >= LARGE_BYTES
}

export function allRows(facts: TableFacts): string {
  return `all rows${sizeOf(facts)}`
}

export function sizeOf({ rows, bytes }: TableFacts): string {
  const words = [
    ...(rows === null ? [] : [`about ${formatCount(rows)}`]),
    ...(bytes === null || bytes === 0 ? [] : [formatBytes(bytes)]),
  ]
  return words.length === 0 ? '' : ` (${words.join(', ')})`
}

export function writesInWords({ writes }: TableFacts): string {
  if (writes === null) return 'what is written is not counted'
  const { inserted, updated, deleted, since } = writes
  const when = since === null ? 'the server' : `since ${since} the server`
  return `${when} has counted ${plural(inserted, 'insert')}, ${plural(updated, 'update')} and ${plural(deleted, 'delete')}`
}

export function percent(part: number, of: number): string {
  const share = of === 0 ? 0 : (100 * part) / of
  return share < 1 ? 'less than 1 %' : `${Math.round(share)} %`
}

/** What shares of a sample are shares of. */
export function sampledRows({ rows, whole }: NonNullable<TableFacts['sample']>): string {
  return plural(rows, whole ? 'row' : 'sampled row')
}
