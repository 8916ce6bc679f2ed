import { sql, type RawBuilder } from 'kysely'
import type { Store } from './store.ts'

/** Statements over many rows at once, as one parameter. */

type Kind = 'text' | 'bigint'

/** Rows of ours as a table that a statement can select from. Names of columns are ours, and go into SQL as they are. */
export function rowsTable<Columns extends Readonly<Record<string, Kind>>>(
  { isPostgres }: Pick<Store, 'isPostgres'>,
  columns: Columns,
  rows: readonly { readonly [K in keyof Columns]: string | number | null }[],
): RawBuilder<{ [K in keyof Columns]: Columns[K] extends 'bigint' ? number : string }> {
  const json = JSON.stringify(rows)
  const names = Object.keys(columns)
  if (isPostgres) {
    const typed = sql.raw(names.map((name) => `${name} ${columns[name] ?? 'text'}`).join(', '))
    return sql`(SELECT * FROM pg_catalog.json_to_recordset(${json}::json) AS r (${typed}))`
  }
  const picked = sql.raw(names.map((name) => `value ->> '$.${name}' AS ${name}`).join(', '))
  return sql`(SELECT ${picked} FROM json_each(${json}))`
}

/** Whether a column holds one of these numbers. */
export function isOneOf(
  { isPostgres }: Pick<Store, 'isPostgres'>,
  column: string,
  numbers: readonly number[],
): RawBuilder<boolean> {
  return isPostgres
    ? sql<boolean>`${sql.ref(column)} = ANY (${[...numbers]}::bigint[])`
    : sql<boolean>`${sql.ref(column)} IN (SELECT value FROM json_each(${JSON.stringify(numbers)}))`
}
