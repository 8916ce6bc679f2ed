import type { RowStream, WritePlan } from '#adapters/adapter.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import { failpoint } from '#lib/failpoint.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import { hasAnswers } from './answers.ts'
import { writeLines, type BulkTarget } from './bulk.ts'
import type { Connection } from './connection.ts'
import { fromForm } from './forms.ts'
import type { MyTable } from './introspect.ts'
import { quote, quoteTable } from './sql.ts'

/** Sends rows straight into the table, in an open transaction. Returns how many were taken. */
export async function loadRows(
  connection: Connection,
  { plan, table }: { plan: WritePlan; table: MyTable },
  rows: RowStream,
): Promise<number> {
  // What came of a load that fails would stay, values that were cut with it (hazard B9).
  if (!table.transactional) throw inBatches(table, 'it has no transactions')
  // Of the rows of a load nobody knows afterwards which of them a trigger has changed (hazard D7).
  if (await hasAnswers(connection, table))
    throw inBatches(table, 'its triggers, or labels that it finds by their collation, change what is written')
  const source = { lines: rows.stream, others: [rows.connection] }
  const inserted = await writeLines(connection, loadTarget(plan, table), source)
  failpoint('load.copied')
  if (inserted !== rows.rows()) {
    const name = tableName(plan.scan.table)
    throw new AppError('internal', `The source sent ${rows.rows()} rows of ${name}, the target took ${inserted}.`)
  }
  return inserted
}

function loadTarget({ scan, written }: WritePlan, table: MyTable): BulkTarget {
  const columns = written.map((name) => {
    const { form } = must(
      scan.columns.find((column) => column.name === name),
      `${name} in the scan`,
    )
    const { type } = must(
      table.schema.columns.find((column) => column.name === name),
      `no column ${name}`,
    )
    return { type, form }
  })
  return {
    table: quoteTable(scan.table),
    names: written.map(quote),
    toValue: (place, text) => {
      const { type, form } = must(columns[place], 'a column')
      return fromForm(text, type, form)
    },
  }
}

function inBatches({ schema }: MyTable, why: string): RowsRefused {
  const reason = `${tableName(schema.ref)} takes rows in batches alone: ${why}`
  return new RowsRefused('1196', reason, { orderMatters: false, column: null, cause: undefined })
}
