/** A worker: takes jobs out of the store, asks webhooks, sees to schedules and has dumps tried, without an API. */
import type { SupervisorEvent } from '#jobs/supervisor.ts'
import { openBase } from './base.ts'
import { createDriller, type DrillEvent } from './drills.ts'
import { createSupervisor } from './jobs.ts'
import { createScheduler, type ScheduleEvent } from './schedules.ts'
import { createWebhookAsker, type WebhookEvent } from './webhooks.ts'

/** What happens to the jobs, webhooks, schedules and dumps of a worker, for a log. */
export type WorkerEvent = SupervisorEvent | WebhookEvent | ScheduleEvent | DrillEvent

/** Does all of that until the signal is aborted. @throws AppError where the store cannot be opened */
export async function runWorker(onEvent: (event: WorkerEvent) => void, signal: AbortSignal): Promise<void> {
  await using base = await openBase({ migrate: true })
  const supervisor = createSupervisor(base, { onEvent })
  const asker = createWebhookAsker(base, { onEvent, onJob: () => supervisor.wake() })
  const scheduler = createScheduler(base, { onEvent, onJob: () => supervisor.wake() })
  const driller = createDriller(base, { onEvent, onJob: () => supervisor.wake() })
  await Promise.all([supervisor.run(signal), asker.run(signal), scheduler.run(signal), driller.run(signal)])
}
