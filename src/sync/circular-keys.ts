import type { Scan } from '#adapters/adapter.ts'
import { sameTable, type ForeignKey, type TableSchema } from '#model/table.ts'

/** Nullable columns of foreign keys that run in a cycle: rows can be there only before the rows that they point to. */
export function patchPositions(target: TableSchema, scan: Scan, cyclic: ReadonlySet<string>): number[] {
  const columns = new Set(cyclicKeys(target, cyclic).flatMap((key) => key.columns))
  return scan.columns.flatMap((column, i) => {
    const nullable = target.columns.some((candidate) => candidate.name === column.name && candidate.nullable)
    return nullable && i >= scan.keyLength && columns.has(column.name) ? [i] : []
  })
}

/** Foreign keys that point back at the table, directly or in a ring. */
export function cyclicKeys(target: TableSchema, cyclic: ReadonlySet<string>): readonly ForeignKey[] {
  return target.foreignKeys.filter((key) => sameTable(key.parent, target.ref) || cyclic.has(key.name))
}
