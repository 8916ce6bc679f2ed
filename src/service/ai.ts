/** The model that refines suggestions: by the environment, or as somebody has set it up. */
import type { AiSettings, AiTools } from '#api/tools.ts'
import { recordAudit } from '#control/audit.ts'
import { aiSetting, isSamePlace, keepAi, type AiEndpoint, type AiKey } from '#control/ai-settings.ts'
import { endpointOf, openModel, type ModelOpening } from '#jobs/open-model.ts'
import type { ModelEndpoint } from '#jobs/ask-model.ts'
import { checkReference } from '#jobs/references.ts'
import { testModel } from '#jobs/test-model.ts'
import { Secret } from '#lib/secret.ts'
import type { Config } from './config.ts'
import { openingTools, type Parts } from './datasource-tools.ts'

export type ModelParts = Parts & { readonly config: Pick<Config, 'aiUrl' | 'aiModel' | 'aiKey' | 'aiSendSamples'> }

export function modelOpening(parts: ModelParts): ModelOpening {
  return { ...openingTools(parts), fromEnvironment: fromEnvironment(parts.config) }
}

function fromEnvironment({ aiUrl, aiModel, aiKey, aiSendSamples }: ModelParts['config']): ModelEndpoint | null {
  return aiUrl === null || aiModel === null
    ? null
    : { url: aiUrl, model: aiModel, key: aiKey, sendSamples: aiSendSamples }
}

export function aiTools(parts: ModelParts): AiTools {
  const opening = modelOpening(parts)
  const { store, references } = opening
  const judge = (key: AiKey | undefined): void => {
    if (key !== undefined && key !== null && !(key instanceof Secret)) checkReference(key.reference, references)
  }
  const show = async (): Promise<AiSettings> => {
    const stored = await aiSetting.find(store)
    const given = opening.fromEnvironment
    const shown =
      given === null
        ? stored === null
          ? { ...NOTHING, source: null, overridden: false }
          : {
              ...stored.value,
              hasKey: stored.hasSecret,
              reference: stored.reference,
              source: 'store' as const,
              overridden: false,
            }
        : {
            ...given,
            hasKey: given.key !== null,
            reference: null,
            source: 'environment' as const,
            overridden: stored !== null,
          }
    return {
      source: shown.source,
      url: shown.url,
      model: shown.model,
      sendSamples: shown.sendSamples,
      hasKey: shown.hasKey,
      reference: shown.reference,
      overridden: shown.overridden,
      updatedAt: stored?.updatedAt ?? null,
      updatedBy: stored?.updatedBy ?? null,
      lastTest: stored?.lastTest ?? null,
    }
  }
  return {
    show,
    set: async (endpoint, key, actor) => {
      judge(key)
      await keepAi(opening, endpoint, key, actor)
      return show()
    },
    clear: (actor) => aiSetting.forget(store, actor),
    test: async (draft, actor, signal) => {
      if (draft !== null) judge(draft.key)
      const open = () => (draft === null ? openModel(opening) : openDraft(opening, draft))
      const test = await testModel(open, store.clock.now(), signal)
      if (draft === null && opening.fromEnvironment === null) await aiSetting.recordTest(store, test)
      await recordAudit(store, actor, { action: 'settings.ai.test', subject: null, data: { ok: test.ok } })
      return test
    },
  }
}

const NOTHING = { url: null, model: null, sendSamples: false, hasKey: false, reference: null }

/** A key that is not given is the one that is kept, for the same place alone. */
async function openDraft(
  opening: ModelOpening,
  { endpoint, key }: { readonly endpoint: AiEndpoint; readonly key: AiKey | undefined },
): Promise<ModelEndpoint> {
  if (key !== undefined) return endpointOf(opening, endpoint, key)
  const stored = await aiSetting.open(opening)
  return endpointOf(opening, endpoint, stored !== null && isSamePlace(stored.value, endpoint) ? stored.secret : null)
}
