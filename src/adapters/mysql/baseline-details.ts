import type { BaselineDetail, FieldBase } from '#model/conflict.ts'
import { fingerprint } from '#model/fingerprint.ts'
import { LARGE_ROW_BYTES, sizeOfRow, type Row } from '#model/value.ts'

/**
 * The columns of a baseline that say more of a row than its fingerprints. Each is NULL where it is not known, and in every
 * row where the mapping does not keep it: a value that nobody keeps up would be taken for the last common one later.
 * `fields` are fingerprints with commas between, `image` is the JSON of an array of texts.
 */
export const DETAIL_COLUMNS = [
  'fields LONGTEXT CHARACTER SET ascii COLLATE ascii_bin NULL',
  'image LONGTEXT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin NULL',
]

/** What a column has for a row; null where that is not known. */
export function detailText(name: BaselineDetail, base: FieldBase | null): string | null {
  if (base === null) return null
  if (name === 'fields') {
    return ('row' in base ? base.row.map((cell) => fingerprint([cell])) : base.fingerprints).join(',')
  }
  return 'row' in base ? imageText(base.row) : null
}

/** Null where the row is large, or holds bytes that are no text. */
export function imageText(row: Row): string | null {
  if (sizeOfRow(row) >= LARGE_ROW_BYTES) return null
  return row.every((cell) => cell === null || typeof cell === 'string') ? JSON.stringify(row) : null
}

export function readFields(text: string | null | undefined): readonly string[] | null {
  return text === null || text === undefined ? null : text.split(',')
}

export function readImage(text: string): Row {
  const cells: unknown = JSON.parse(text)
  return Array.isArray(cells) ? cells.map((cell: unknown) => (typeof cell === 'string' ? cell : null)) : []
}
