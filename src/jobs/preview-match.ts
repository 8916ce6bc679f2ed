import { toPolicies, toTableChoice, type ConfigPolicies } from '#model/config-document.ts'
import type { Datasource } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import type { MatchList, MatchPlace, MatchPreview } from '#model/match.ts'
import { atHome, sameTable, tableName, type TableRef } from '#model/table.ts'
import { formatTableName, parsePattern } from '#model/table-pattern.ts'
import { chooseTables } from '#sync/choose-tables.ts'
import { previewMatch } from '#sync/preview-match.ts'
import type { Staging } from '#sync/staging.ts'
import { openDatasource } from './open-datasource.ts'
import type { PreviewTools } from './preview-mapping.ts'

export interface MatchTools extends PreviewTools {
  readonly openStaging: () => Staging
}

export interface MatchQuestion {
  readonly source: Datasource
  readonly target: Datasource
  readonly policies: ConfigPolicies
  /** The table as it is called in the source; null: all of them. */
  readonly table: TableRef | null
  /** Columns of the source to match by in place of the key; null: by the key. */
  readonly by: readonly string[] | null
  readonly list: { readonly of: MatchList; readonly limit: number; readonly after: MatchPlace | null } | null
}

/** Which rows of both sides a first run would take for the same, over read-only sessions. @throws AppError as a run does */
export async function previewRowMatch(
  tools: MatchTools,
  { source: from, target: to, policies, table: given, by, list }: MatchQuestion,
  signal: AbortSignal,
): Promise<MatchPreview> {
  const options = { write: null, rules: tools.rules, signal }
  await using source = await openDatasource(tools, from, options)
  await using target = await openDatasource(tools, to, options)
  const table = given === null ? null : atHome(given, source.server)
  const { onReject: _, ...stated } = { ...toPolicies(policies), create: false }
  const choice = toTableChoice(policies)
  const all = choice.include.length === 0 && table !== null
  const include = all ? [{ source: parsePattern(formatTableName(table)), target: null, query: null }] : choice.include
  const chosen = await chooseTables({ ...choice, include }, { source, target }, { create: false, note: () => {} })
  const wanted = table === null ? chosen : (chosen ?? []).filter((mapping) => sameTable(mapping.source, table))
  if (table !== null && wanted?.length === 0) {
    throw new AppError('table_not_found', `The sync config names no table ${tableName(table)}.`, {
      hint: 'Name a table as it is called in the source, from among those that the sync config picks.',
    })
  }
  const tables = by === null ? wanted : (wanted?.map((mapping) => ({ ...mapping, key: by })) ?? null)
  using staging = tools.openStaging()
  const config = { ...stated, tables }
  return await previewMatch({ source, target, config, list }, { staging, maskKey: tools.maskKey, signal })
}
