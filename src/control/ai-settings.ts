import type { Actor } from '#model/access.ts'
import { SealedSetting, type SettingSecret } from './sealed-setting.ts'

/** The endpoint of a model that somebody has set up; its key is the secret. */

/** A key to be kept, where it is found, or (null) none. */
export type AiKey = SettingSecret | null

export interface AiEndpoint {
  readonly url: string
  readonly model: string
  readonly sendSamples: boolean
}

export const aiSetting = new SealedSetting<AiEndpoint>({
  key: 'ai',
  secret: 'The key of the AI endpoint',
  mend: 'Give it again with PUT /api/settings/ai.',
})

/** `key` undefined: the one that there is stays, where the endpoint is at the same place; elsewhere it is not sent. */
export async function keepAi(
  tools: Parameters<typeof aiSetting.keep>[0],
  endpoint: AiEndpoint,
  key: AiKey | undefined,
  actor: Actor,
): Promise<void> {
  const wish = {
    value: endpoint,
    secret: key,
    staysFor: (before: AiEndpoint) => isSamePlace(before, endpoint),
    told: ({ hasSecret, reference }: { hasSecret: boolean; reference: string | null }) => ({
      ...endpoint,
      has_key: hasSecret,
      reference,
    }),
  }
  await aiSetting.keep(tools, wish, actor)
}

/** Whether a key that was given for one of them may be sent to the other. */
export function isSamePlace(one: AiEndpoint, other: AiEndpoint): boolean {
  return new URL(one.url).origin === new URL(other.url).origin
}
