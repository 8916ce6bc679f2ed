import { withField, type Document, type Table } from '#features/sync-configs/document.ts'
import { covers, refOf, type TableRef } from '#features/sync-configs/table-names.ts'
import { formatTableName } from '#lib/table-name.ts'

/** Which tables of the source a document picks, and edits of what it says of them. */

/** Every table of every schema. */
const EVERY = '*.*'

/** Why a table takes part: it is named, a pattern finds it, or nothing was chosen and all do. Null: it takes no part. */
export type Picked = { readonly by: 'name' | 'all' } | { readonly by: 'pattern'; readonly pattern: string } | null

export function pickedBy({ tables, exclude_tables: excluded = [] }: Document, ref: TableRef): Picked {
  if (excluded.some((pattern) => covers(pattern, ref))) return null
  if (tables === undefined) return { by: 'all' }
  if (tables.some(({ source }) => isTable(source, ref))) return { by: 'name' }
  const found = tables.find(({ source }) => refOf(source) === null && covers(source, ref))
  return found === undefined ? null : { by: 'pattern', pattern: found.source }
}

function isTable(text: string, { schema, name }: TableRef): boolean {
  const ref = refOf(text)
  return ref !== null && ref.schema === schema && ref.name === name
}

/** Where what a document says of one table stands; -1 where it says nothing. */
export function indexOfTable({ tables = [] }: Document, source: string): number {
  const ref = refOf(source)
  return tables.findIndex((table) => table.source === source || (ref !== null && isTable(table.source, ref)))
}

/** What a document says of one table: no more than its name, where it says nothing. */
export function tableOf(document: Document, source: string): Table {
  return document.tables?.[indexOfTable(document, source)] ?? { source }
}

/** Changes what is said of one table. Where all tables take part they still do: one of them is now spoken of beside them. */
export function changeTable(document: Document, source: string, edit: (table: Table) => Table): Document {
  const at = indexOfTable(document, source)
  // A pattern that is added where all tables take part is a choice among them.
  const tables = document.tables ?? (refOf(source) === null ? [] : [{ source: EVERY }])
  const next = edit(tableOf(document, source))
  return { ...document, tables: at < 0 ? [...tables, next] : tables.map((table, i) => (i === at ? next : table)) }
}

/** Sets a field of one table, or takes it away. */
export function setTableField<K extends keyof Table>(
  document: Document,
  source: string,
  name: K,
  value: Table[K] | undefined,
): Document {
  return changeTable(document, source, (table) => withField(table, name, value))
}

/** Takes tables in by name, or out: what a pattern finds is left out by name. */
export function pickTables(document: Document, refs: readonly TableRef[], isPicked: boolean): Document {
  return refs.reduce((so, ref) => (isPicked ? takeIn(so, ref) : leaveOut(so, ref)), document)
}

function takeIn(document: Document, ref: TableRef): Document {
  const { exclude_tables: excluded = [] } = document
  const kept = excluded.filter((pattern) => !isTable(pattern, ref))
  const within = withField(document, 'exclude_tables', kept.length === 0 ? undefined : kept)
  if (pickedBy(within, ref) !== null) return within
  return { ...within, tables: [...(within.tables ?? []), { source: formatTableName(ref) }] }
}

function leaveOut(document: Document, ref: TableRef): Document {
  const named = document.tables?.filter(({ source }) => !isTable(source, ref))
  const left = document.tables === undefined ? document : withField(document, 'tables', named)
  if (pickedBy(left, ref) === null) return left
  return { ...left, exclude_tables: [...(left.exclude_tables ?? []), formatTableName(ref)] }
}

/** Takes away what a document says of a pattern, or of a query. */
export function withoutTable(document: Document, source: string): Document {
  const left = (document.tables ?? []).filter((table) => table.source !== source)
  return withField(document, 'tables', left.length === 0 ? undefined : left)
}

/** All tables again, with what is said of some of them. */
export function pickAll(document: Document): Document {
  const spoken = (document.tables ?? []).filter(
    (table) => refOf(table.source) !== null && Object.keys(table).length > 1,
  )
  const within = withField(document, 'exclude_tables', undefined)
  return withField(within, 'tables', spoken.length === 0 ? undefined : [{ source: EVERY }, ...spoken])
}

/** In words: which tables a config is about. */
export function tablesInWords({ tables, exclude_tables: excluded = [] }: Document): string {
  const but = excluded.length === 0 ? '' : `, but ${excluded.length === 1 ? excluded[0] : `${excluded.length} of them`}`
  if (tables === undefined || tables.some(({ source }) => source === EVERY)) return `all tables${but}`
  if (tables.length === 1) return `${tables[0]?.source ?? ''}${but}`
  const wild = tables.filter(({ source }) => refOf(source) === null).length
  return wild === 0 ? `${tables.length} tables${but}` : `${tables.length} names and patterns${but}`
}
