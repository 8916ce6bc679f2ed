import { getDatasource } from '#control/datasources.ts'
import type { Job } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'
import { must } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import type { TableRef } from '#model/table.ts'
import { formatTableName } from '#model/table-pattern.ts'
import { validateSchema, type TableValidation } from '#sync/validate-schema.ts'
import { toConfig } from './job-work.ts'
import type { OpenDatasource } from './opener.ts'

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
