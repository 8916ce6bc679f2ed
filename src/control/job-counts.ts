import type { Store } from './store.ts'
import { JOB_STATUSES, type JobStatus } from '#model/job.ts'

/** How many jobs there are in each status; of those between these datasources, or (null) of all. */
export async function countJobs(
  store: Store,
  datasources: readonly string[] | null,
): Promise<Record<JobStatus, number>> {
  const rows = await store.db
    .selectFrom('job')
    .select(['status', (count) => count.fn.countAll<number>().as('jobs')])
    .$if(datasources !== null, (query) =>
      query
        .where('source_datasource_id', 'in', [...(datasources ?? [])])
        .where('target_datasource_id', 'in', [...(datasources ?? [])]),
    )
    .groupBy('status')
    .execute()
  const counts = new Map(rows.map(({ status, jobs }) => [status, Number(jobs)]))
  return Object.fromEntries(JOB_STATUSES.map((status) => [status, counts.get(status) ?? 0])) as Record<
    JobStatus,
    number
  >
}
