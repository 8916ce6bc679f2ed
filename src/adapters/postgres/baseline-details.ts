import type { WritePlan } from '#adapters/adapter.ts'
import type { BaselineDetail, FieldBase } from '#model/conflict.ts'
import { fingerprint } from '#model/fingerprint.ts'
import { LARGE_ROW_BYTES, sizeOfRow } from '#model/value.ts'
import type { TableSql } from './table-sql.ts'

/**
 * The columns of a baseline that say more of a row than its fingerprints. Each is NULL where it is not known, and in every
 * row where the mapping does not keep it: a value that nobody keeps up would be taken for the last common one later.
 */
export const DETAIL_TYPES: Readonly<Record<BaselineDetail, string>> = { fields: 'int8[]', image: 'text[]' }

interface DetailColumn {
  readonly name: BaselineDetail
  readonly type: string
  /** Of the row `t` of the table. */
  readonly ofTable: string
  /** Of the staged row `s`. */
  readonly ofStage: string
}

/** The columns that a plan keeps. */
export function detailColumns({ baselineDetails }: Pick<WritePlan, 'baselineDetails'>, sql: TableSql): DetailColumn[] {
  const made: Readonly<Record<BaselineDetail, Pick<DetailColumn, 'ofTable' | 'ofStage'>>> = {
    fields: { ofTable: sql.fieldFingerprints, ofStage: sql.fieldFingerprintsOf('s.c') },
    image: { ofTable: sql.image, ofStage: sql.imageOf('s.c') },
  }
  return baselineDetails.map((name) => ({ name, type: DETAIL_TYPES[name], ...made[name] }))
}

/** What a column has for a row, as the text of an array; null where that is not known. */
export function detailText(name: BaselineDetail, base: FieldBase | null): string | null {
  if (base === null) return null
  if (name === 'fields') {
    const fields = 'row' in base ? base.row.map((cell) => fingerprint([cell])) : base.fingerprints
    return `{${fields.join(',')}}`
  }
  if (!('row' in base) || sizeOfRow(base.row) >= LARGE_ROW_BYTES) return null
  const cells: string[] = []
  for (const cell of base.row) {
    // Bytes that are no text cannot be sent as one.
    if (cell !== null && typeof cell !== 'string') return null
    cells.push(cell === null ? 'NULL' : `"${cell.replaceAll(/["\\]/g, '\\$&')}"`)
  }
  return `{${cells.join(',')}}`
}
