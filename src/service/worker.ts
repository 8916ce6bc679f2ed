/** A worker: takes jobs out of the store and asks webhooks, without an API. */
import type { SupervisorEvent } from '#jobs/supervisor.ts'
import { openBase } from './base.ts'
import { createSupervisor } from './jobs.ts'
import { createWebhookAsker, type WebhookEvent } from './webhooks.ts'

/** What happens to the jobs and webhooks of a worker, for a log. */
export type WorkerEvent = SupervisorEvent | WebhookEvent

/** Runs jobs, and asks webhooks, until the signal is aborted. @throws AppError where the store cannot be opened */
export async function runWorker(onEvent: (event: WorkerEvent) => void, signal: AbortSignal): Promise<void> {
  await using base = await openBase({ migrate: true })
  const supervisor = createSupervisor(base, { onEvent })
  const asker = createWebhookAsker(base, { onEvent, onJob: () => supervisor.wake() })
  await Promise.all([supervisor.run(signal), asker.run(signal)])
}
