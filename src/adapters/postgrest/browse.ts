import { MOST_PREVIEW_ROWS, SHOWN_CHARACTERS, type RowsPreview, type TableDescription } from '#adapters/catalogue.ts'
import type { DescribedDatabase } from '#adapters/place.ts'
import { AppError } from '#model/errors.ts'
import { tableName, type TableRef } from '#model/table.ts'
import { askDescription } from './adapter.ts'
import { readDescription, type RestTable } from './description.ts'
import { inForm } from './forms.ts'
import { RestClient } from './http.ts'
import { firstRows } from './pages.ts'
import { refuseBlindKey, toRestPlace } from './place.ts'

/** All tables and views that the API describes, as far as it does. @throws AppError */
export async function readApiCatalogue(
  described: DescribedDatabase,
  signal: AbortSignal,
): Promise<readonly TableDescription[]> {
  const place = toRestPlace(described)
  await using client = new RestClient(place, signal)
  const found: TableDescription[] = []
  for (const schema of place.schemas) {
    found.push(...readDescription(await askDescription(client, schema), schema).tables.map(toDescription))
  }
  return found
}

function toDescription({ schema: { ref, kind, columns, primaryKey, foreignKeys } }: RestTable): TableDescription {
  return {
    table: ref,
    kind: kind === 'view' ? 'view' : 'table',
    columns: columns.map(({ name, nativeType, nullable }) => ({
      name,
      type: nativeType,
      nullable,
      default: null,
      generated: false,
    })),
    primaryKey: primaryKey?.columns ?? [],
    uniqueKeys: [],
    foreignKeys: foreignKeys.map((key) => ({
      columns: key.columns,
      references: key.parent,
      referencedColumns: key.parentColumns,
    })),
    estimatedRows: null,
    hidesRows: false,
  }
}

/** The first rows of a table or view, in no order. @throws AppError `table_not_found`, `row_level_security` */
export async function readApiPreview(
  described: DescribedDatabase,
  { table: ref, limit }: { table: TableRef; limit: number },
  signal: AbortSignal,
): Promise<RowsPreview> {
  const place = toRestPlace(described)
  refuseBlindKey(place)
  await using client = new RestClient(place, signal)
  const { tables } = readDescription(await askDescription(client, ref.schema), ref.schema)
  const table = tables.find(({ schema }) => schema.ref.name === ref.name)
  if (table === undefined) throw new AppError('table_not_found', `There is no table ${tableName(ref)}.`)
  const { columns } = table.schema
  const found = await firstRows(client, table, Math.min(Math.max(1, limit), MOST_PREVIEW_ROWS))
  const whole = found.map((row) =>
    row.map((value, i) => (value === null ? null : inForm(value, columns[i]?.type ?? { kind: 'uuid' }, 'text'))),
  )
  const cuts = whole.flatMap((row, at) =>
    row.flatMap((value, i) => {
      const characters = value === null ? 0 : Array.from(value).length
      return characters > SHOWN_CHARACTERS ? [{ row: at, column: columns[i]?.name ?? '', characters }] : []
    }),
  )
  return {
    columns: columns.map(({ name, nativeType }) => ({ name, type: nativeType })),
    rows: whole.map((row) => row.map((value) => value && Array.from(value).slice(0, SHOWN_CHARACTERS).join(''))),
    cut: cuts.length > 0,
    cuts,
  }
}
