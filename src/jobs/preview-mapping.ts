import { systemClock } from '#lib/clock.ts'
import type { ConfigPolicies } from '#model/config-document.ts'
import type { Datasource } from '#model/datasource.ts'
import type { TableRef } from '#model/table.ts'
import type { WriteRules } from '#model/write-protection.ts'
import { previewMapping, type MappingPreview } from '#sync/preview-mapping.ts'
import { chooseOneTable } from './choose-one-table.ts'
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
  const request = { source, target, config: await chooseOneTable(policies, table, { source, target }), limit }
  return await previewMapping(request, { clock: systemClock, maskKey: tools.maskKey, signal })
}
