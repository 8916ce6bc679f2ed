import type { Redis } from 'ioredis'
import { AppError } from '#model/errors.ts'

/** What decides whether change sets can be kept in a Redis; null where it does not say. */
export interface RedisFacts {
  readonly version: string
  readonly policy: string | null
  /** Bytes; 0: no limit. */
  readonly maxMemory: number | null
  readonly usedMemory: number | null
  readonly cluster: boolean
  readonly replica: boolean
}

/** By INFO alone, because services that run a Redis for others refuse CONFIG; CONFIG where INFO does not say. */
export async function readFacts(redis: Redis): Promise<RedisFacts> {
  const info = new Map(
    (await redis.info())
      .split('\r\n')
      .filter((line) => line.includes(':'))
      .map((line) => [line.slice(0, line.indexOf(':')), line.slice(line.indexOf(':') + 1)]),
  )
  const configured = async (name: string): Promise<string | null> => {
    const answer = await redis.config('GET', name).catch(() => null)
    return Array.isArray(answer) && typeof answer[1] === 'string' ? answer[1] : null
  }
  const number = (text: string | null | undefined): number | null => (text ? Number(text) : null)
  return {
    version: info.get('redis_version') ?? '0',
    policy: info.get('maxmemory_policy') ?? (await configured('maxmemory-policy')),
    maxMemory: number(info.get('maxmemory') ?? (await configured('maxmemory'))),
    usedMemory: number(info.get('used_memory')),
    cluster: info.get('cluster_enabled') === '1',
    replica: info.get('role') === 'slave',
  }
}

/** One thing that was looked at. An error keeps change sets from being kept there; a note does not. */
export interface RedisVerdict {
  readonly step: 'version' | 'role' | 'eviction' | 'memory'
  readonly found: string
  readonly error: AppError | null
  readonly note: string | null
}

const NEEDED = [6, 2] as const
const WISHED = 7

export function judgeRedis(facts: RedisFacts): readonly RedisVerdict[] {
  return [judgeVersion(facts), judgeRole(facts), judgeEviction(facts), judgeMemory(facts)]
}

function judgeVersion({ version }: RedisFacts): RedisVerdict {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const tooOld = major < NEEDED[0] || (major === NEEDED[0] && minor < NEEDED[1])
  return {
    step: 'version',
    found: `Redis ${version}`,
    error: tooOld
      ? new AppError('redis_unsuitable', `The Redis has version ${version}; change sets need 6.2 or later.`, {
          hint: 'Use Redis 7 or Valkey.',
        })
      : null,
    note: !tooOld && major < WISHED ? 'It will do; Redis 7 or later is what is tested.' : null,
  }
}

function judgeRole({ cluster, replica }: RedisFacts): RedisVerdict {
  const why = cluster ? 'is part of a cluster' : replica ? 'is a replica, which cannot be written' : null
  return {
    step: 'role',
    found: why === null ? 'a primary of its own' : `it ${why}`,
    error:
      why === null
        ? null
        : new AppError('redis_unsuitable', `The Redis ${why}.`, {
            hint: cluster ? 'Give a Redis that is not part of a cluster.' : 'Give the address of the primary.',
          }),
    note: null,
  }
}

/** Whatever may be evicted may be gone while somebody looks at it. */
function judgeEviction({ policy }: RedisFacts): RedisVerdict {
  const hint =
    'Set maxmemory-policy noeviction (CONFIG SET maxmemory-policy noeviction, and in redis.conf); where other programs need eviction, use a Redis of its own for Syncline, or staging: embedded.'
  const fault =
    policy === null
      ? 'The Redis does not say whether it evicts keys.'
      : `The Redis may evict change sets when its memory is full: its maxmemory-policy is ${policy}.`
  return {
    step: 'eviction',
    found: policy ?? 'it does not say',
    error: policy === 'noeviction' ? null : new AppError('redis_unsuitable', fault, { hint }),
    note: null,
  }
}

function judgeMemory({ maxMemory, usedMemory }: RedisFacts): RedisVerdict {
  const limited = maxMemory !== null && maxMemory > 0
  const full = limited && usedMemory !== null && usedMemory >= maxMemory
  return {
    step: 'memory',
    found: limited
      ? `${inMb(usedMemory ?? 0)} of ${inMb(maxMemory)} are in use`
      : `${inMb(usedMemory ?? 0)} are in use`,
    error: full
      ? new AppError(
          'staging_full',
          `The Redis has no memory left: ${inMb(usedMemory)} are in use, and maxmemory is ${inMb(maxMemory)}.`,
          {
            hint: 'Raise maxmemory of the Redis, discard change sets that nobody needs any more, or use staging: embedded.',
          },
        )
      : null,
    note: limited ? null : 'It has no maxmemory: REDIS_STAGING_MAX_BYTES alone bounds what is kept.',
  }
}

function inMb(bytes: number): string {
  return `${(bytes / 1024 / 1024).toFixed(1)} MiB`
}
