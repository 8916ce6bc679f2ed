import { Secret } from '#lib/secret.ts'
import type { Actor } from '#model/access.ts'
import { parseRedisUrl, type RedisAddress } from '#model/redis.ts'
import { SealedSetting, type SettingSecret } from './sealed-setting.ts'

/** The Redis that somebody has set up; its whole URL is the secret. */

/** A URL to be kept, or where it is found. */
export type RedisUrl = SettingSecret

interface RedisShown {
  /** Null where the URL is a reference. */
  readonly address: RedisAddress | null
  readonly hasPassword: boolean
}

export const redisSetting = new SealedSetting<RedisShown>({
  key: 'redis',
  secret: 'The URL of the Redis',
  mend: 'Set it up again with PUT /api/settings/redis.',
})

/** @throws AppError `invalid_url` */
export async function keepRedis(
  tools: Parameters<typeof redisSetting.keep>[0],
  url: RedisUrl,
  actor: Actor,
): Promise<void> {
  const value = url instanceof Secret ? shownOf(url) : { address: null, hasPassword: false }
  const told = ({ reference }: { reference: string | null }) => ({
    ...value.address,
    reference,
    password: value.hasPassword,
  })
  await redisSetting.keep(tools, { value, secret: url, told }, actor)
}

function shownOf(url: Secret): RedisShown {
  const { password, ...address } = parseRedisUrl(url.reveal())
  return { address, hasPassword: password !== null }
}
