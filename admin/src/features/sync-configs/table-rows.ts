import type { Document, Table } from '#features/sync-configs/document.ts'
import type { TableDescription } from '#features/sync-configs/queries.ts'
import { indexOfTable, pickedBy, tableOf, type Picked } from '#features/sync-configs/tables.ts'
import { refOf, type TableRef } from '#features/sync-configs/table-names.ts'
import { formatTableName } from '#lib/table-name.ts'

/** A line of the list of tables: a table of the source, or what the document names that is none. */
export interface TableRow {
  readonly name: string
  /** Null for a pattern and for a query. */
  readonly ref: TableRef | null
  readonly described: TableDescription | null
  readonly picked: Picked
  readonly spoken: Table
  readonly target: string
  /** Null until the catalogue of the target is known. */
  readonly isInTarget: boolean | null
}

export function tableRowsOf(
  document: Document,
  source: readonly TableDescription[],
  target: readonly TableDescription[] | undefined,
): readonly TableRow[] {
  const there = target && new Set(target.map(({ table }) => formatTableName(table)))
  const rowOf = (name: string, ref: TableRef | null, described: TableDescription | null): TableRow => {
    const spoken = tableOf(document, name)
    const to = spoken.target ?? name
    return {
      name,
      ref,
      described,
      picked: ref === null ? { by: 'name' } : pickedBy(document, ref),
      spoken,
      target: to,
      isInTarget: ref === null && spoken.target === undefined ? true : (there?.has(to) ?? null),
    }
  }
  const known = new Set(source.map(({ table }) => formatTableName(table)))
  const others = (document.tables ?? []).filter(({ source: name }) => {
    const ref = refOf(name)
    return ref === null || !known.has(formatTableName(ref))
  })
  return [
    ...others.map((table) => rowOf(table.source, table.query === undefined ? refOf(table.source) : null, null)),
    ...source.map((described) => rowOf(formatTableName(described.table), described.table, described)),
  ]
}

/** The tables that take part, each by its name: those whose mapping can be edited. */
export function mappedNames(rows: readonly TableRow[]): readonly string[] {
  return rows
    .filter(({ picked, ref, spoken }) => picked !== null && (ref !== null || spoken.query !== undefined))
    .map(({ name }) => name)
}

/** What a document says of a table beside its name, in a few words. */
export function settingsInWords(document: Document, name: string): string {
  const at = indexOfTable(document, name)
  const table = document.tables?.[at]
  if (table === undefined) return ''
  return [
    table.query === undefined ? '' : 'a query',
    table.field_mappings === undefined ? '' : `${table.field_mappings.length} fields mapped`,
    table.columns === undefined && table.exclude === undefined ? '' : 'some columns',
    table.rename === undefined ? '' : `${Object.keys(table.rename).length} renamed`,
    table.key === undefined ? '' : `key ${table.key.join(', ')}`,
    table.filter === undefined ? '' : 'filtered',
    table.detection_strategy ?? '',
    table.conflict_strategy ?? '',
  ]
    .filter((word) => word !== '')
    .join(' · ')
}
