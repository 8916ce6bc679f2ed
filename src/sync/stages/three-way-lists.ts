import type { Agreement } from '#adapters/baseline.ts'
import type { Key } from '#model/change.ts'
import type { KeptAgreement } from '#model/conflict.ts'
import type { Row, Value } from '#model/value.ts'
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

/** What the sides agree on from now on, by key: what each of them has, then the row that both are taken to have. */
export function agreements({ mappingId }: Pick<TablePlan, 'mappingId'>): string {
  return `${mappingId} agreements`
}

export function agreementOf({ row }: Pick<KeptImage, 'row'>): Agreement {
  const [source, target, written, known, ...cells] = row ?? []
  return { source: textOf(source), target: textOf(target), asWritten: written === 't', base: baseOf(known, cells) }
}

/** See `agreementOf`. */
export function agreementImage(key: Key, { source, target, asWritten, base }: Agreement): KeptImage {
  const known: Row =
    base === null || base === 'as written'
      ? [base]
      : 'row' in base
        ? ['row', ...base.row]
        : ['fingerprints', ...base.fingerprints]
  return { key, fingerprint: '', row: [source, target, asWritten ? 't' : 'f', ...known], bytes: 0 }
}

function baseOf(known: Value | undefined, cells: Row): Agreement['base'] {
  switch (known) {
    case 'as written':
      return known
    case 'row':
      return { row: cells }
    case 'fingerprints':
      return { fingerprints: cells.filter((cell) => typeof cell === 'string') }
    default:
      return null
  }
}

/** What a baseline had of a row, as an image keeps it. */
export function keptAgreementRow({ source, target, image }: KeptAgreement): Row {
  return [source, target, image ?? null]
}

/** See `keptAgreementRow`. */
export function keptAgreementOf([source, target, image]: Row): KeptAgreement {
  const kept = textOf(image)
  return { source: textOf(source), target: textOf(target), ...(kept === null ? {} : { image: kept }) }
}

function textOf(cell: Value | undefined): string | null {
  return typeof cell === 'string' ? cell : null
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
