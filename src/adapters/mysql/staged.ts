import type { BatchRow, Scan, WritePlan } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Connection } from './connection.ts'
import { fromForm } from './forms.ts'
import type { MyTable } from './introspect.ts'
import { quote, quoteTable } from './sql.ts'
import type { TableSql } from './table-sql.ts'

/** A batch in the stage of its session. */
export interface Staged {
  readonly connection: Connection
  readonly plan: WritePlan
  readonly table: MyTable
  readonly sql: TableSql
  readonly rows: readonly BatchRow[]
  /** The stage, for FROM. */
  readonly stage: string
}

export function insertSql({ plan: { scan, written }, table, stage }: Staged, where = "s.op = 'i'"): string {
  const columns = scan.columns.flatMap((column, i) =>
    written.includes(column.name) ? [{ name: quote(column.name), value: stagedValue(table, scan, i) }] : [],
  )
  return `INSERT INTO ${quoteTable(scan.table)} (${columns.map(({ name }) => name).join(', ')})
    SELECT ${columns.map(({ value }) => value).join(', ')} FROM ${stage} s WHERE ${where} ORDER BY s.seq`
}

/** What UPDATE sets from the stage: all that is written, but for the key. */
export function assignments({ scan, written }: WritePlan, table: MyTable): string[] {
  const sets = scan.columns.flatMap(({ name }, i) =>
    i >= scan.keyLength && written.includes(name) ? [`t.${quote(name)} = ${stagedValue(table, scan, i)}`] : [],
  )
  if (sets.length === 0) return []
  // The server would set a time of its own into a part of the key (ON UPDATE) that nobody sets.
  const kept = scan.columns.slice(0, scan.keyLength).flatMap(({ name }) => {
    const isSet = table.columns.get(name)?.extra.includes('on update') ?? false
    return isSet ? [`t.${quote(name)} = t.${quote(name)}`] : []
  })
  return [...sets, ...kept]
}

/** The value of a staged column, for the column of the table. */
export function stagedValue(table: MyTable, scan: Scan, place: number): string {
  const { name, form } = must(scan.columns[place], 'a column of the scan')
  const column = must(
    table.schema.columns.find((each) => each.name === name),
    `no column ${name}`,
  )
  return fromForm(`s.c${place}`, column.type, form)
}
