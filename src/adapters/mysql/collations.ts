import type { MyColumn } from './introspect.ts'

/** How an index compares texts, as the names of collations tell it (hazard C12). */

/** Labels are told apart by the type itself, whatever their collation is. */
export const LABELS: ReadonlySet<string> = new Set(['enum', 'set'])

/** The collation of a column, where it takes texts for one that differ in their bytes; else null. */
export function mergingCollation({ collation, dataType }: Pick<MyColumn, 'collation' | 'dataType'>): string | null {
  if (collation === null || LABELS.has(dataType)) return null
  return /^binary$|_nopad_bin$|_0900_bin$/.test(collation) ? null : collation
}

/** Whether spaces at the end of a text are no part of it. Those of MySQL that know Unicode 9 do not pad. */
export function pads(collation: string): boolean {
  return !/_nopad_|_0900_|^binary$/.test(collation)
}
