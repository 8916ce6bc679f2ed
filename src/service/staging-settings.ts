import { Secret } from '#lib/secret.ts'
import { AppError } from '#model/errors.ts'
import { describeRedis, parseRedisUrl } from '#model/redis.ts'
import { BadSetting, define, whole } from './setting.ts'

const MIB = 1_048_576

function redisUrl(value: string): Secret | null {
  if (value === '') return null
  try {
    parseRedisUrl(value)
    return new Secret(value)
  } catch (error) {
    if (error instanceof AppError) throw new BadSetting('a URL such as rediss://user:password@host:6379/0')
    throw error
  }
}

/** Where change sets are kept, and how much of them. */
export const STAGING_SETTINGS = {
  stagingMaxBytes: define({
    name: 'STAGING_MAX_BYTES',
    group: 'change sets',
    default: String(2_048 * MIB),
    help: 'Bytes that all change sets together may take up that are kept beside the control store, or in it on PostgreSQL.',
    read: whole(MIB, Number.MAX_SAFE_INTEGER),
  }),
  redisUrl: define({
    name: 'REDIS_URL',
    group: 'change sets',
    default: '',
    help: 'The Redis that keeps change sets of sync configs with staging: redis, as redis:// or (TLS) rediss://user:password@host:6379/0. It comes before what is set up by the API.',
    secret: true,
    show: (text) => describeRedis(parseRedisUrl(text)),
    read: redisUrl,
  }),
  redisStagingMaxBytes: define({
    name: 'REDIS_STAGING_MAX_BYTES',
    group: 'change sets',
    default: String(256 * MIB),
    help: 'Bytes that all change sets together may take up in that Redis.',
    read: whole(MIB, Number.MAX_SAFE_INTEGER),
  }),
  changeSetRetentionDays: define({
    name: 'CHANGE_SET_RETENTION_DAYS',
    group: 'change sets',
    default: '7',
    help: 'How long a change set that nobody has approved is kept, and may be approved.',
    read: whole(1, 3_650),
  }),
} as const
