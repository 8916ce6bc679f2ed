import { presentJob } from '#api/present.ts'
import { startersOf } from '#control/audit-list.ts'
import type { Job } from '#control/jobs.ts'
import type { Store } from '#control/store.ts'

/** Jobs as they are shown, with the names of those who asked for them. */
export async function presentJobs(store: Store, jobs: readonly Job[]) {
  const starters = await startersOf(
    store,
    jobs.map(({ id }) => id),
  )
  return jobs.map((job) => presentJob(job, starters.get(job.id)?.name ?? null))
}

export async function presentNamedJob(store: Store, job: Job) {
  const starter = (await startersOf(store, [job.id])).get(job.id)
  return presentJob(job, starter?.name ?? null)
}
