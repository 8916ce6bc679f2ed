/** Change sets and the Redis for them, put together from the store, the key and the settings. */
import { join } from 'node:path'
import type { RedisTools } from '#api/tools.ts'
import { recordAudit } from '#control/audit.ts'
import type { ChangeSetTools } from '#control/change-set-tools.ts'
import { RedisChunkPlaces } from '#control/redis-chunks.ts'
import { RedisLink } from '#control/redis-link.ts'
import { keepRedis, redisSetting } from '#control/redis-settings.ts'
import { redisPlace, type RedisOpening } from '#jobs/open-redis.ts'
import { checkReference } from '#jobs/references.ts'
import { testRedis } from '#jobs/test-redis.ts'
import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'
import { describeRedis, parseRedisUrl } from '#model/redis.ts'
import type { Base } from './base.ts'
import type { Config } from './config.ts'
import { openingTools, type Parts } from './datasource-tools.ts'

type StagingConfig = Pick<Config, 'dataDirectory' | 'stagingMaxBytes' | 'redisStagingMaxBytes'>

export type StagingParts = Parts & { readonly config: Pick<Config, 'redisUrl'> }

function redisOpening(parts: StagingParts): RedisOpening {
  return { ...openingTools(parts), fromEnvironment: parts.config.redisUrl }
}

/** Ends with the connection to the Redis, where one was made. */
export interface HeldChangeSetTools extends ChangeSetTools, AsyncDisposable {}

export function changeSetTools(
  parts: StagingParts & Pick<Base, 'store' | 'box'> & { readonly config: StagingConfig },
): HeldChangeSetTools {
  const { store, box, config } = parts
  const opening = redisOpening(parts)
  const link = new RedisLink({ place: () => redisPlace(opening), resolve: opening.resolve })
  return {
    store,
    box,
    folder: join(config.dataDirectory, 'change-sets'),
    limits: { embedded: config.stagingMaxBytes, redis: config.redisStagingMaxBytes },
    redis: new RedisChunkPlaces(link, store),
    [Symbol.asyncDispose]: () => link[Symbol.asyncDispose](),
  }
}

export function redisTools(parts: StagingParts): RedisTools {
  const opening = redisOpening(parts)
  const { store, fromEnvironment } = opening
  const judge = async (url: Parameters<RedisTools['set']>[0]): Promise<void> => {
    if (!(url instanceof Secret)) return checkReference(url.reference, opening.references)
    // A name that does not resolve now may do so later; it is looked at again at each connection.
    await opening.resolve(parseRedisUrl(url.reveal()).host).catch((error: unknown) => {
      if (error instanceof AppError) throw error
    })
  }
  const show: RedisTools['show'] = async () => {
    const stored = await redisSetting.find(store)
    const kept = {
      updatedAt: stored?.updatedAt ?? null,
      updatedBy: stored?.updatedBy ?? null,
      lastTest: stored?.lastTest ?? null,
    }
    if (fromEnvironment !== null) {
      const place = parseRedisUrl(fromEnvironment.reveal())
      const shown = { url: describeRedis(place), hasPassword: place.password !== null, reference: null }
      return { source: 'environment', ...shown, overridden: stored !== null, ...kept }
    }
    return {
      source: stored === null ? null : 'store',
      url: stored?.value.address ? describeRedis(stored.value.address) : null,
      hasPassword: stored?.value.hasPassword ?? false,
      reference: stored?.reference ?? null,
      overridden: false,
      ...kept,
    }
  }
  return {
    show,
    set: async (url, actor) => {
      await judge(url)
      await keepRedis(opening, url, actor)
      return show()
    },
    clear: (actor) => redisSetting.forget(store, actor),
    test: async (url, actor, signal) => {
      if (url !== null) await judge(url)
      const test = await testRedis(opening, url, signal)
      if (url === null && fromEnvironment === null) await redisSetting.recordTest(store, test)
      await recordAudit(store, actor, { action: 'settings.redis.test', subject: null, data: { ok: test.ok } })
      return test
    },
  }
}
