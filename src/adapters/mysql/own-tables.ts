import type { TableRef } from '#model/table.ts'
import { quoteTable } from './sql.ts'

/**
 * What a sync keeps of itself beside the rows: tables of its own in the database that it is connected to. A database of
 * their own would outlive the rows that they speak of where that one is dropped or restored from a backup.
 */
export type OwnTable = 'meta' | 'state' | 'batch' | 'session' | 'answer' | 'pending_ddl'

const PREFIX = 'syncline_'
const BASELINE = `${PREFIX}baseline_`

export function ownTable(database: string, name: OwnTable): string {
  return quoteTable({ schema: database, name: `${PREFIX}${name}` })
}

/** The name of a mapping's baseline in the catalogue. */
export function baselineName(mappingId: string): string {
  return `${BASELINE}${mappingId}`
}

export function baselineTable(database: string, mappingId: string): string {
  return quoteTable({ schema: database, name: baselineName(mappingId) })
}

const OURS: ReadonlySet<string> = new Set(
  ['meta', 'state', 'batch', 'session', 'answer', 'pending_ddl'].map((name) => PREFIX + name),
)

/** Tables of our own, which are never shown as the user's. */
export function isOurs({ name }: TableRef): boolean {
  return OURS.has(name) || name.startsWith(BASELINE)
}
