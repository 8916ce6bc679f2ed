import { systemClock } from '#lib/clock.ts'
import { toPolicies, toTableChoice, type ConfigPolicies } from '#model/config-document.ts'
import type { Datasource } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { sameTable, tableName, type TableRef } from '#model/table.ts'
import { formatTableName, parsePattern } from '#model/table-pattern.ts'
import type { WriteRules } from '#model/write-protection.ts'
import { chooseTables } from '#sync/choose-tables.ts'
import { previewMapping, type MappingPreview } from '#sync/preview-mapping.ts'
import { openDatasource, type OpeningTools } from './open-datasource.ts'

export interface PreviewTools extends OpeningTools {
  readonly rules: WriteRules
  readonly maskKey: Uint8Array | null
}

export interface MappingQuestion {
  readonly source: Datasource
  readonly target: Datasource
  /** Tables and policies, saved or still being written. */
  readonly policies: ConfigPolicies
  /** The table as it is called in the source; null: the first one. */
  readonly table: TableRef | null
  readonly limit: number
}

/** What the mapping of one table makes of some of its rows, over read-only sessions. @throws AppError as a run does */
export async function previewTableMapping(
  tools: PreviewTools,
  { source: from, target: to, policies, table, limit }: MappingQuestion,
  signal: AbortSignal,
): Promise<MappingPreview> {
  const options = { write: null, rules: tools.rules, signal }
  await using source = await openDatasource(tools, from, options)
  await using target = await openDatasource(tools, to, options)
  const { onReject: _, ...stated } = { ...toPolicies(policies), create: false }
  const choice = toTableChoice(policies)
  const all = choice.include.length === 0 && table !== null
  const include = all ? [{ source: parsePattern(formatTableName(table)), target: null, query: null }] : choice.include
  const chosen = await chooseTables({ ...choice, include }, { source, target }, { create: false, note: () => {} })
  const wanted = chosen?.find((mapping) => table === null || sameTable(mapping.source, table))
  if (wanted === undefined) {
    const what = table === null ? 'no table by its name' : `no table ${tableName(table)}`
    throw new AppError('table_not_found', `The sync config names ${what}.`, {
      hint: 'Name a table as it is called in the source, from among those that the sync config picks.',
    })
  }
  const request = { source, target, config: { ...stated, tables: [wanted] }, limit }
  return await previewMapping(request, { clock: systemClock, maskKey: tools.maskKey, signal })
}
