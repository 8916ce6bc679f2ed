/** The part of the service that starts the jobs of schedules. */
import { Scheduler, type ScheduleEvent } from '#jobs/schedule.ts'
import { startJob } from '#jobs/start-job.ts'
import { newId } from './api-tools.ts'
import type { Base } from './base.ts'

export type { ScheduleEvent } from '#jobs/schedule.ts'

/** `onJob`: a job has been put into the store. */
export function createScheduler(
  { store, rules }: Pick<Base, 'store' | 'rules'>,
  { onEvent, onJob = () => undefined }: { onEvent: (event: ScheduleEvent) => void; onJob?: () => void },
): Scheduler {
  return new Scheduler({
    store,
    newJobId: () => newId('job'),
    startJob: async (wish, actor, jobId, also) => {
      const job = await startJob({ store, rules, newJobId: () => jobId, also }, wish, actor)
      onJob()
      return job
    },
    onEvent,
  })
}
