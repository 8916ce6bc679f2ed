import type { Agreement } from '#adapters/baseline.ts'
import type { Key } from '#model/change.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { KeptImage } from '#sync/staging.ts'

/** What the staging keeps of a table in which both sides may change, beside its changes: lists, and images by key. */

/** Rows that nobody writes, and on which the sides agree from now on. */
export function agreedList({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} agreed`
}

/** Rows that are written though no side has them. */
export function rowImages({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} rows`
}

/** What the sides agree on from now on, by key: what each of them has, then the columns. */
export function agreements({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} agreements`
}

export function agreementOf({ row }: Pick<KeptImage, 'row'>): Agreement {
  const [source, target, written, ...fields] = (row ?? []).map((cell) => (typeof cell === 'string' ? cell : null))
  const known = fields.filter((field) => field !== null)
  return {
    source: source ?? null,
    target: target ?? null,
    asWritten: written === 't',
    fields: known.length === 0 ? null : known,
  }
}

/** See `agreementOf`. */
export function agreementImage(key: Key, { source, target, asWritten, fields }: Agreement): KeptImage {
  return { key, fingerprint: '', row: [source, target, asWritten ? 't' : 'f', ...(fields ?? [])], bytes: 0 }
}

/** Rows that are written to both sides: to the target once the source has them. */
export function bothList({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} both`
}

/** Rows that go back to the source, and on which both sides agree once they are there. */
export function returnedList({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} returned`
}

/** Keys of rows that are written and that no side has: a proof of the whole table leaves them out. */
export function ownList({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} own`
}

/** Keys of rows that a proof of the whole table leaves out by another list than that of what was agreed. */
export function keptImages({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} kept`
}
