import type { Adapter } from '#adapters/adapter.ts'
import { toPolicies, toTableChoice, type ConfigPolicies } from '#model/config-document.ts'
import { AppError } from '#model/errors.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { atHome, sameTable, tableName, type TableRef } from '#model/table.ts'
import { formatTableName, parsePattern } from '#model/table-pattern.ts'
import { chooseTables } from '#sync/choose-tables.ts'

/** What the engine is told of one table of a document, as it is called in the source (null: the first one). */
export async function chooseOneTable(
  policies: ConfigPolicies,
  given: TableRef | null,
  ends: { readonly source: Adapter; readonly target: Adapter },
): Promise<SyncConfig> {
  const table = given === null ? null : atHome(given, ends.source.server)
  const { onReject: _, ...stated } = { ...toPolicies(policies), create: false }
  const choice = toTableChoice(policies)
  const all = choice.include.length === 0 && table !== null
  const include = all ? [{ source: parsePattern(formatTableName(table)), target: null, query: null }] : choice.include
  const chosen = await chooseTables({ ...choice, include }, ends, { create: false, note: () => {} })
  const wanted = chosen?.find((mapping) => table === null || sameTable(mapping.source, table))
  if (wanted !== undefined) return { ...stated, tables: [wanted] }
  const what = table === null ? 'no table by its name' : `no table ${tableName(table)}`
  throw new AppError('table_not_found', `The sync config names ${what}.`, {
    hint: 'Name a table as it is called in the source, from among those that the sync config picks.',
  })
}
