import { aiSetting, type AiEndpoint, type AiKey } from '#control/ai-settings.ts'
import { Secret } from '#lib/secret.ts'
import type { ModelEndpoint } from './ask-model.ts'
import type { OpeningTools } from './open-datasource.ts'
import { lookUpPassword } from './references.ts'

export interface ModelOpening extends Required<OpeningTools> {
  /** What the environment says, which comes before what somebody has set up. */
  readonly fromEnvironment: ModelEndpoint | null
}

/** The model that is asked; null: there is none. @throws AppError `secret_unreadable` */
export async function openModel(tools: ModelOpening): Promise<ModelEndpoint | null> {
  const { fromEnvironment, resolve } = tools
  if (fromEnvironment !== null) return { ...fromEnvironment, resolve }
  const stored = await aiSetting.open(tools)
  return stored === null ? null : endpointOf(tools, stored.value, stored.secret)
}

/** An endpoint with its key looked up. @throws AppError `secret_unreadable` */
export async function endpointOf(
  { references, resolve }: Pick<ModelOpening, 'references' | 'resolve'>,
  { url, model, sendSamples }: AiEndpoint,
  key: AiKey,
): Promise<ModelEndpoint> {
  const found = key === null || key instanceof Secret ? key : await lookUpPassword(key.reference, 'stored', references)
  return { url, model, sendSamples, key: found, resolve }
}
