import type { z } from 'zod'
import { isConfigName, NOT_OWN_NAME } from '#api/contract/fields.ts'
import { ConfigDocument, ConfigPolicies } from '#model/config-document.ts'
import { refuseTwoSchedules } from '#model/schedule-document.ts'
import { checkDocument } from '#sync/check-document.ts'

/** Documents of sync configs as they come in: their transforms are looked up too. */
export const ConfigInput = ConfigDocument.superRefine((document, context) => {
  if (!isConfigName(document.name)) context.addIssue({ code: 'custom', path: ['name'], message: NOT_OWN_NAME })
  refuseTwoSchedules(document, context)
  addProblems(document, context)
}).meta({
  id: 'CheckedSyncConfig',
  description: 'What flows from one source to one target, under which policies.',
})

export const PoliciesInput = ConfigPolicies.superRefine((document, context) => {
  addProblems(document, context)
  refuseWebhook(document, context)
}).meta({ id: 'CheckedSyncPolicies' })

/** Its secret belongs to a sync config, and so does whoever would be asked once the run has ended. */
function refuseWebhook({ conflict_strategy: strategy, tables = [] }: ConfigPolicies, context: z.RefinementCtx): void {
  const at = tables.findIndex((table) => table.conflict_strategy === 'webhook')
  if (strategy !== 'webhook' && at < 0) return
  const path = strategy === 'webhook' ? ['conflict_strategy'] : ['tables', at, 'conflict_strategy']
  const message = 'A run without a sync config cannot ask a webhook: save a sync config and run that, or use manual.'
  context.addIssue({ code: 'custom', path, message })
}

function addProblems(document: ConfigPolicies, context: z.RefinementCtx): void {
  for (const { path, message } of checkDocument(document)) {
    context.addIssue({ code: 'custom', path: [...path], message })
  }
}
