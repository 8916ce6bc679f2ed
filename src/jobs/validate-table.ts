import { getDatasource } from '#control/datasources.ts'
import type { Job } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { must } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import type { TableRef } from '#model/table.ts'
import { formatTableName } from '#model/table-pattern.ts'
import { validateSchema, type TableValidation } from '#sync/validate-schema.ts'
import { toConfig } from './job-work.ts'
import { chooseOneTable } from './choose-one-table.ts'
import { openDatasource } from './open-datasource.ts'
import type { OpenDatasource } from './opener.ts'
import type { MappingQuestion, PreviewTools } from './preview-mapping.ts'

export type { TableValidation }

/** Time for the counts while somebody waits for the answer. */
const COUNT_MS = 10_000

/**
 * Judges one table of a job as it would be carried now, and counts what does not fit. Both ends are opened to read.
 * @throws AppError `table_not_found` where the job has no such table, and whatever keeps a database from being opened
 */
export async function validateTable(
  tools: { readonly store: Store; readonly openDatasource: OpenDatasource; readonly maskKey: Uint8Array | null },
  { job, table }: { job: Job; table: TableRef },
  signal: AbortSignal,
): Promise<TableValidation> {
  const [from, to] = await Promise.all([
    getDatasource(tools.store, job.sourceDatasourceId),
    getDatasource(tools.store, job.targetDatasourceId),
  ])
  const consent = { allowProtectedWrite: false, targetNamed: false }
  await using source = await tools.openDatasource(from, { write: false, consent, signal })
  await using target = await tools.openDatasource(to, { write: false, consent, signal })
  const request = { ...job.request, tables: [formatTableName(table)] }
  const poolSizes = [from.poolSize, to.poolSize]
  const config = await toConfig(request, { source, target }, { note: () => {}, poolSizes })
  const how = { clock: systemClock, maskKey: tools.maskKey, signal, limitMs: COUNT_MS, count: true }
  const { tables } = await validateSchema({ source, target, config }, how)
  return must(tables[0], 'the table that was asked for')
}

/** A table of a document that is still being written; `count` false: its pairs of columns are judged, and no row is read. */
export interface DraftQuestion extends Omit<MappingQuestion, 'limit'> {
  readonly count: boolean
}

/** Judges one table of a document that is not kept. @throws AppError as `validateTable` */
export async function validateDraftTable(
  tools: PreviewTools,
  { source: from, target: to, policies, table, count }: DraftQuestion,
  signal: AbortSignal,
): Promise<TableValidation> {
  const options = { write: null, rules: tools.rules, signal }
  await using source = await openDatasource(tools, from, options)
  await using target = await openDatasource(tools, to, options)
  const config = await chooseOneTable(policies, table, { source, target })
  const how = { clock: systemClock, maskKey: tools.maskKey, signal, limitMs: COUNT_MS, count }
  const { tables } = await validateSchema({ source, target, config }, how)
  return must(tables[0], 'the table that was asked for')
}
