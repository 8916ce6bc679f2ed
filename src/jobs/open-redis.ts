import { redisSetting, type RedisUrl } from '#control/redis-settings.ts'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'
import { parseRedisUrl, type RedisPlace } from '#model/redis.ts'
import type { OpeningTools } from './open-datasource.ts'
import { lookUpPassword } from './references.ts'

export interface RedisOpening extends Required<OpeningTools> {
  /** What the environment says, which comes before what somebody has set up. */
  readonly fromEnvironment: Secret | null
}

/** Where the Redis is that change sets are kept in. @throws AppError `redis_unavailable`, `secret_unreadable`, `invalid_url` */
export async function redisPlace(tools: RedisOpening): Promise<RedisPlace> {
  const url = tools.fromEnvironment ?? (await redisSetting.open(tools))?.secret ?? null
  if (url !== null) return placeOf(tools, url)
  throw new AppError('redis_unavailable', 'No Redis is set up.', {
    hint: 'Set REDIS_URL, or set it up with PUT /api/settings/redis; or use staging: embedded.',
    retry: 'after-fix',
  })
}

/** @throws AppError `secret_unreadable`, `invalid_url` */
export async function placeOf({ references }: Pick<RedisOpening, 'references'>, url: RedisUrl): Promise<RedisPlace> {
  if (url instanceof Secret) return parseRedisUrl(url.reveal())
  const found = await lookUpPassword(url.reference, 'stored', references)
  return parseRedisUrl(found?.reveal() ?? '')
}
