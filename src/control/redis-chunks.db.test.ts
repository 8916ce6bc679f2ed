import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { readFile } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { inspect } from 'node:util'
import { describe, expect, test } from 'vitest'
import { systemClock } from '#lib/clock.ts'
import { resolveHost } from '#lib/network-address.ts'
import { SYSTEM } from '#model/access.ts'
import { AppError } from '#model/errors.ts'
import { parseRedisUrl } from '#model/redis.ts'
import {
  addJob,
  createChangeSets,
  factsOf,
  insert,
  readAll,
  sealed,
  update,
  type KeptChangeSets,
} from '#test/harness/change-sets.ts'
import { freePort, startRedis, type RedisServer } from '#test/harness/redis.ts'
import { STORE_KINDS, type StoreKind } from '#test/harness/store.ts'
import { getChangeSet, placesOf } from './change-set-tools.ts'
import { checkChangeSet, openChangeSet } from './change-sets.ts'
import { endChangeSet } from './approve-changes.ts'
import { decideChanges } from './decide-changes.ts'
import { RedisChunkPlaces } from './redis-chunks.ts'
import { RedisLink } from './redis-link.ts'
import { sweepChangeSets } from './sweep-change-sets.ts'

const CANARY = 'cAnArY-value'
const PASSWORD = 'cAnArY-p@ss:w/rd#'
const STAGING = { staging: 'redis' } as const
const MANY = Array.from({ length: 1_600 }, (_, i) => update(`${CANARY} ${i}`, `${CANARY} before`, `${CANARY} after`))
const DAY_MS = 86_400_000

interface Held extends KeptChangeSets {
  readonly link: RedisLink
}

async function createHeld(
  kind: StoreKind,
  url: string,
  { deadlineMs = 1_000, limit = 2 ** 28 }: { deadlineMs?: number; limit?: number } = {},
): Promise<Held> {
  await using stack = new AsyncDisposableStack()
  const link = stack.use(new RedisLink({ place: async () => parseRedisUrl(url), resolve: resolveHost, deadlineMs }))
  const held = stack.use(await createChangeSets(kind))
  const tools = {
    ...held.tools,
    limits: { embedded: 0, redis: limit },
    redis: new RedisChunkPlaces(link, held.store),
  }
  const all = stack.move()
  return { ...held, tools, link, [Symbol.asyncDispose]: () => all.disposeAsync() }
}

/** Whatever can be told of an error, down to what the driver hangs on it. */
function told(error: unknown): string {
  return inspect(error, { depth: null, showHidden: true, maxStringLength: null, maxArrayLength: null })
}

const fault = (work: Promise<unknown>): Promise<unknown> =>
  work.then(
    () => null,
    (error: unknown) => error,
  )

/** What may befall a Redis between sealing and reading, and what reading says then. */
const LOSSES: Readonly<Record<string, (redis: RedisServer) => Promise<unknown>>> = {
  'kill -9 and restart': async (redis) => {
    await redis.kill()
    await redis.start()
  },
  FLUSHALL: (redis) => redis.command('FLUSHALL'),
  'one chunk gone': async (redis) => redis.command('HDEL', await onlyKey(redis), '1'),
  'chunks swapped': async (redis) => {
    const key = await onlyKey(redis)
    await redis.command('EVAL', SWAP, 1, key)
  },
  'eviction of what is kept': async (redis) => {
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'allkeys-lru')
    await redis.command('CONFIG', 'SET', 'maxmemory', '1mb')
    // Nothing that is larger than the memory fits beside other keys.
    for (let i = 0; Number(await redis.command('DBSIZE')) > 0 && i < 500; i++) {
      await fault(redis.command('SET', `other ${i}`, 'x'.repeat(20_000)))
      await fault(redis.command('DEL', `other ${i}`))
    }
  },
}

const SWAP = `local a, b = redis.call('HGET', KEYS[1], '0'), redis.call('HGET', KEYS[1], '1')
redis.call('HSET', KEYS[1], '0', b, '1', a)`

async function onlyKey(redis: RedisServer): Promise<string> {
  const keys = (await redis.command('KEYS', '*')) as string[]
  expect(keys).toHaveLength(1)
  return keys[0] ?? ''
}

describe.each(STORE_KINDS)('change sets in Redis beside %s', (kind) => {
  test.each(Object.keys(LOSSES))('B8, P12: %s is noticed as a loss, and decisions hold', async (name) => {
    await using redis = await startRedis()
    await using held = await createHeld(kind, redis.url)
    const { tools, jobId } = held
    await using set = await sealed(tools, { jobId, ...STAGING }, [MANY])
    expect(await readAll(set, 0)).toEqual(MANY.map((change, i) => ({ ...change, seq: i + 1, table: 0 })))
    await decideChanges(tools, jobId, { filter: null, seqs: [1_000], verdict: 'leave', actor: SYSTEM })
    await LOSSES[name]?.(redis)
    expect(await fault(readAll(set, 0))).toMatchObject({ code: 'change_set_lost', retry: 'later' })
    expect(await getChangeSet(tools, jobId)).toMatchObject({ state: 'lost' })
    await redis.command('CONFIG', 'SET', 'maxmemory', '0')
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
    await using again = await sealed(tools, { jobId, ...STAGING }, [[insert('0', 'new'), ...MANY]])
    expect((await readAll(again, 0)).filter(({ seq }) => seq === 1_001)).toEqual([])
    expect(await readAll(again, 0)).toHaveLength(MANY.length)
  })

  test('what is lost while a set is computed keeps it from being sealed', async () => {
    await using redis = await startRedis()
    await using held = await createHeld(kind, redis.url)
    const { tools, jobId } = held
    await using set = openChangeSet(tools, { jobId, ...STAGING })
    await set.begin()
    await set.append(0, MANY)
    await redis.command('FLUSHALL')
    await set.append(0, MANY)
    expect(await fault(set.seal(factsOf(['t0'])))).toMatchObject({ code: 'change_set_lost' })
    expect(await set.summary()).toBeNull()
  })

  test('P15: neither values nor the password can be read in Redis, nor in what is told of a failure', async () => {
    await using redis = await startRedis({ password: PASSWORD })
    await using held = await createHeld(kind, redis.url)
    await using _set = await sealed(held.tools, { jobId: held.jobId, ...STAGING }, [MANY])
    const dump = await redis.dump()
    expect(dump.length).toBeGreaterThan(10_000)
    expect(dump.includes(CANARY)).toBe(false)
    expect(JSON.stringify(await redis.command('KEYS', '*'))).not.toContain('cAnArY')
    const wrong = new URL(redis.url)
    wrong.password = encodeURIComponent(`wrong ${PASSWORD}`)
    await using refused = await createHeld(kind, wrong.href)
    const errors = [await fault(openChangeSet(refused.tools, { jobId: refused.jobId, ...STAGING }).begin())]
    expect(errors[0]).toMatchObject({
      code: 'redis_unavailable',
      message: expect.stringContaining('WRONGPASS') as string,
    })
    await redis.kill()
    errors.push(await fault(checkChangeSet(held.tools, held.jobId)))
    errors.push(await fault(held.link.ask((client) => client.call('AUTH', PASSWORD, CANARY))))
    for (const error of errors) expect(told(error)).not.toContain('cAnArY')
  })
})

test('a Redis that may evict, has no memory left or is no primary is refused before anything is kept', async () => {
  await using redis = await startRedis({ args: ['--maxmemory', '1mb', '--maxmemory-policy', 'allkeys-lru'] })
  await using held = await createHeld('sqlite', redis.url)
  const begin = () => fault(openChangeSet(held.tools, { jobId: held.jobId, ...STAGING }).begin())
  for (const policy of ['allkeys-lru', 'volatile-lru', 'volatile-ttl', 'allkeys-random']) {
    await redis.command('CONFIG', 'SET', 'maxmemory-policy', policy)
    const error = await begin()
    expect(error).toMatchObject({ code: 'redis_unsuitable', hint: expect.stringContaining('noeviction') as string })
    expect(String(error)).toContain(policy)
  }
  await redis.command('CONFIG', 'SET', 'maxmemory-policy', 'noeviction')
  await redis.command('CONFIG', 'SET', 'maxmemory', '500kb')
  expect(await begin()).toMatchObject({ code: 'staging_full' })
  await redis.command('CONFIG', 'SET', 'maxmemory', '0')
  await redis.command('REPLICAOF', '127.0.0.1', await freePort())
  expect(await begin()).toMatchObject({ code: 'redis_unsuitable' })
  await redis.command('REPLICAOF', 'NO', 'ONE')
  expect(await begin()).toBeNull()
})

test('a Redis that forbids CONFIG is judged by what INFO says', async () => {
  await using redis = await startRedis({ args: ['--rename-command', 'CONFIG', ''] })
  await using held = await createHeld('sqlite', redis.url)
  await using set = await sealed(held.tools, { jobId: held.jobId, ...STAGING }, [MANY])
  expect(await readAll(set, 0)).toHaveLength(MANY.length)
})

test('a user with the rights that the page of the docs names can do all of it, and no more', async () => {
  const page = await readFile(new URL('../../docs/staging.md', import.meta.url), 'utf8')
  const rights = /`(~syncline:[^`]+)`/.exec(page)?.[1]?.split(' ') ?? []
  expect(rights).toContain('+hset')
  await using redis = await startRedis()
  await redis.command('ACL', 'SETUSER', 'syncline', 'reset', 'on', '>a password', ...rights)
  await using held = await createHeld('sqlite', `redis://syncline:a%20password@127.0.0.1:${redis.port}/1`)
  await using set = await sealed(held.tools, { jobId: held.jobId, ...STAGING }, [MANY])
  expect(await readAll(set, 0)).toHaveLength(MANY.length)
  expect(await sweepChangeSets(held.tools, { maxAgeMs: DAY_MS })).toBe(0)
  await endChangeSet(held.tools, held.jobId, 'applied')
  expect(await fault(held.link.ask((client) => client.flushall()))).toMatchObject({
    code: 'redis_unavailable',
    message: expect.stringContaining('NOPERM') as string,
  })
})

test('what does not fit is refused by either limit, and gives its memory back', async () => {
  await using redis = await startRedis({ args: ['--maxmemory', '3mb', '--maxmemory-policy', 'noeviction'] })
  const noise = Array.from({ length: 2_000 }, (_, i) => insert(`${i}`, randomBytes(2_000).toString('base64')))
  await using bounded = await createHeld('sqlite', redis.url, { limit: 1_000_000 })
  expect(await fault(sealed(bounded.tools, { jobId: bounded.jobId, ...STAGING }, [noise]))).toMatchObject({
    code: 'staging_full',
    message: expect.stringContaining('REDIS_STAGING_MAX_BYTES') as string,
  })
  await using held = await createHeld('sqlite', redis.url)
  expect(await fault(sealed(held.tools, { jobId: held.jobId, ...STAGING }, [noise]))).toMatchObject({
    code: 'staging_full',
    message: expect.stringContaining('maxmemory') as string,
  })
  expect(await redis.command('DBSIZE')).toBe(0)
})

test('CLIENT KILL and a restart with its data are outlived', async () => {
  await using redis = await startRedis({ args: ['--appendonly', 'yes', '--appendfsync', 'always'] })
  await using held = await createHeld('sqlite', redis.url, { deadlineMs: 10_000 })
  const { tools, jobId } = held
  await using set = openChangeSet(tools, { jobId, ...STAGING })
  await set.begin()
  for (const change of MANY.keys()) {
    if (change % 400 === 0) {
      await redis.command('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes')
      await set.append(0, MANY.slice(change, change + 400))
    }
  }
  await set.seal(factsOf(['t0']))
  await redis.kill()
  // It is waited for while it is away.
  const reading = readAll(set, 0)
  await redis.start()
  expect(await reading).toHaveLength(MANY.length)
})

test('P11: one that falls silent, is absent or answers nonsense holds nobody up', async () => {
  await using redis = await startRedis({ args: ['--enable-debug-command', 'yes'] })
  await using held = await createHeld('sqlite', redis.url, { deadlineMs: 700 })
  const { tools, jobId } = held
  await using set = await sealed(tools, { jobId, ...STAGING }, [MANY])
  const asleep = redis.command('DEBUG', 'SLEEP', '2')
  const before = systemClock.elapsed()
  expect(await fault(readAll(set, 0))).toMatchObject({ code: 'redis_unavailable', retry: 'later' })
  expect(systemClock.elapsed() - before).toBeLessThan(2_000)
  await asleep
  expect(await readAll(set, 0)).toHaveLength(MANY.length)
  await using absent = await createHeld('sqlite', `redis://127.0.0.1:${await freePort()}`)
  await using mute = createServer((socket) => socket.resume()).listen(0, '127.0.0.1')
  await once(mute, 'listening')
  const { port } = mute.address() as AddressInfo
  await using silent = await createHeld('sqlite', `redis://:x@127.0.0.1:${port}`, { deadlineMs: 300 })
  await using tls = await createHeld('sqlite', `rediss://127.0.0.1:${redis.port}`)
  for (const one of [absent, silent, tls]) {
    const other = await addJob(one.store)
    expect(await fault(openChangeSet(one.tools, { jobId: other, ...STAGING }).begin())).toMatchObject({
      code: 'redis_unavailable',
    })
    expect(await sweepChangeSets(one.tools, { maxAgeMs: DAY_MS })).toBe(0)
  }
})

test('leftovers are swept, those of other installations and programs are not', async () => {
  await using redis = await startRedis()
  await using mine = await createHeld('sqlite', redis.url)
  await using other = await createHeld('sqlite', redis.url)
  await using _kept = await sealed(other.tools, { jobId: other.jobId, ...STAGING }, [MANY])
  await using set = await sealed(mine.tools, { jobId: mine.jobId, ...STAGING }, [MANY])
  const gone = await addJob(mine.store)
  await using _gone = await sealed(mine.tools, { jobId: gone, ...STAGING }, [MANY])
  await mine.store.db.deleteFrom('job').where('id', '=', gone).execute()
  await redis.command('SET', 'syncline:of another program', '1')
  await redis.command('SET', 'app', '1')
  expect(await sweepChangeSets(mine.tools, { maxAgeMs: DAY_MS })).toBe(1)
  expect(await redis.command('DBSIZE')).toBe(4)
  expect(await readAll(set, 0)).toHaveLength(MANY.length)
  await endChangeSet(mine.tools, mine.jobId, 'applied')
  expect(await redis.command('DBSIZE')).toBe(3)
})

test('without a Redis the error says how one is set up', async () => {
  await using held = await createChangeSets('sqlite')
  expect(() => placesOf(held.tools, 'redis')).toThrow(AppError)
  const error = await fault(openChangeSet(held.tools, { jobId: held.jobId, ...STAGING }).begin())
  expect(error).toMatchObject({ code: 'redis_unavailable', hint: expect.stringContaining('REDIS_URL') as string })
})
