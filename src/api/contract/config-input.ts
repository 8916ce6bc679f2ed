import type { z } from 'zod'
import { isConfigName, NOT_OWN_NAME } from '#api/contract/fields.ts'
import { ConfigDocument, ConfigPolicies } from '#model/config-document.ts'
import { checkDocument } from '#sync/check-document.ts'

/** Documents of sync configs as they come in: their transforms are looked up too. */
export const ConfigInput = ConfigDocument.superRefine((document, context) => {
  if (!isConfigName(document.name)) context.addIssue({ code: 'custom', path: ['name'], message: NOT_OWN_NAME })
  addProblems(document, context)
}).meta({
  id: 'CheckedSyncConfig',
  description: 'What flows from one source to one target, under which policies.',
})

export const PoliciesInput = ConfigPolicies.superRefine(addProblems).meta({ id: 'CheckedSyncPolicies' })

function addProblems(document: ConfigPolicies, context: z.RefinementCtx): void {
  for (const { path, message } of checkDocument(document)) {
    context.addIssue({ code: 'custom', path: [...path], message })
  }
}
