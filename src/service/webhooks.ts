/** The part of the service that asks webhooks about conflicts. */
import { writeQuestion } from '#api/present-conflict.ts'
import { conflictScopeOf } from '#jobs/conflicts.ts'
import { goOnWithDecisions } from '#jobs/review-job.ts'
import { startJob } from '#jobs/start-job.ts'
import { WebhookAsker, type WebhookEvent } from '#jobs/webhook-asker.ts'
import { newId } from './api-tools.ts'
import type { Base } from './base.ts'
import { changeSetTools } from './staging.ts'

export type { WebhookEvent } from '#jobs/webhook-asker.ts'

/** `onJob`: a job has been put into the store. */
export function createWebhookAsker(
  base: Base,
  { onEvent, onJob = () => undefined }: { onEvent: (event: WebhookEvent) => void; onJob?: () => void },
): WebhookAsker {
  const { store, box, rules, config } = base
  return new WebhookAsker({
    store,
    box,
    networks: config.webhookNetworks,
    write: writeQuestion,
    startJob: async (wish, actor, also) => {
      const job = await startJob({ store, rules, newJobId: () => newId('job'), also }, wish, actor)
      onJob()
      return job
    },
    goOn: async (configId, actor) => {
      await using changeSets = changeSetTools(base)
      const [going] = await goOnWithDecisions(changeSets, actor, (job) => conflictScopeOf(job) === configId)
      if (going !== undefined) onJob()
      return going ?? null
    },
    onEvent,
  })
}
