import type { Store } from './store.ts'
import { sql, type ExpressionBuilder, type Expression, type SqlBool } from 'kysely'
import { JOB_STATUSES, type JobStatus } from '#model/job.ts'
import type { Tables } from './schema.ts'

/** How many jobs there are in each status; of those between these datasources, or (null) of all. */
export async function countJobs(
  store: Store,
  datasources: readonly string[] | null,
): Promise<Record<JobStatus, number>> {
  const rows = await store.db
    .selectFrom('job')
    .select(['status', (count) => count.fn.countAll<number>().as('jobs')])
    .where(isBetween(datasources))
    .groupBy('status')
    .execute()
  const counts = new Map(rows.map(({ status, jobs }) => [status, Number(jobs)]))
  return Object.fromEntries(JOB_STATUSES.map((status) => [status, counts.get(status) ?? 0])) as Record<
    JobStatus,
    number
  >
}

/** Whether both ends of a job are among these datasources; null: all are. A list may be empty, which SQL has no `IN ()` for. */
export function isBetween(datasources: readonly string[] | null) {
  return (where: ExpressionBuilder<Tables, 'job'>): Expression<SqlBool> => {
    if (datasources === null) return sql<SqlBool>`1 = 1`
    if (datasources.length === 0) return sql<SqlBool>`1 = 0`
    const ids = [...datasources]
    return where.and([where('source_datasource_id', 'in', ids), where('target_datasource_id', 'in', ids)])
  }
}
