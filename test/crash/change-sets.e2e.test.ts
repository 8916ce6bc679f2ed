import { randomBytes } from 'node:crypto'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { placesOf, type ChangeSetTools } from '#control/change-set-tools.ts'
import { openChangeSet } from '#control/change-sets.ts'
import { RedisChunkPlaces } from '#control/redis-chunks.ts'
import { RedisLink } from '#control/redis-link.ts'
import { Store } from '#control/store.ts'
import { sweepChangeSets } from '#control/sweep-change-sets.ts'
import { systemClock } from '#lib/clock.ts'
import { resolveHost } from '#lib/network-address.ts'
import { SecretBox } from '#lib/secret-box.ts'
import type { StagingKind } from '#model/change-set.ts'
import { parseRedisUrl } from '#model/redis.ts'

import { addJob, readAll } from '#test/harness/change-sets.ts'
import { startNode, type Exit } from '#test/harness/process.ts'
import { startRedis } from '#test/harness/redis.ts'
import type { StagingRun } from '#test/harness/staging-run.ts'
import { createStorePlace } from '#test/harness/store.ts'

const CHANGES = 1_200
const DAY_MS = 86_400_000

/** Where a process is killed, and whether a sealed change set is to be there then. */
const KILLS = [
  ['begun:1', false],
  ['chunk:1', false],
  ['chunk:3', false],
  ['flush:1', false],
  ['seal:1', false],
  ['sealed:1', true],
] as const

test.each(['sqlite', 'postgres', 'redis'] as const)(
  'B13: a kill -9 at any step leaves a change set in %s that is sealed, or that counts as nothing',
  async (kind) => {
    await using stack = new AsyncDisposableStack()
    const { location } = stack.use(await createStorePlace(kind === 'postgres' ? 'postgres' : 'sqlite'))
    const store = stack.use(await Store.open(location, { clock: systemClock, migrate: true }))
    const redisUrl = kind === 'redis' ? stack.use(await startRedis()).url : null
    const link = redisUrl === null ? null : stack.use(linkTo(redisUrl))
    const key = randomBytes(32)
    const folder = 'file' in location ? join(location.file, '..', 'change-sets') : '/nonexistent'
    const staging: StagingKind = kind === 'redis' ? 'redis' : 'embedded'
    const tools: ChangeSetTools = {
      store,
      box: new SecretBox([key]),
      folder,
      limits: { embedded: 2 ** 30, redis: 2 ** 30 },
      redis: link && new RedisChunkPlaces(link, store),
    }
    const jobId = await addJob(store)
    const run = async (failpoint: string | null): Promise<Exit> => {
      const wish: StagingRun = {
        location,
        folder,
        jobId,
        staging,
        redisUrl,
        key: key.toString('hex'),
        changes: CHANGES,
        failpoint,
        measure: false,
      }
      await using program = startNode(['test/harness/staging-run.ts', JSON.stringify(wish)])
      return await program.exit
    }
    await using set = openChangeSet(tools, { jobId, staging })
    for (const [step, isSealed] of KILLS) {
      expect(await run(`change_set.${step}:kill`), step).toMatchObject({ signal: 'SIGKILL' })
      const rows = (await set.summary()) === null ? 0 : (await readAll(set, 0)).length
      expect(rows, step).toBe(isSealed ? CHANGES : 0)
    }
    const whole = await run(null)
    expect(whole, whole.stderr).toMatchObject({ code: 0 })
    expect(await readAll(set, 0)).toHaveLength(CHANGES)
    await sweepChangeSets(tools, { maxAgeMs: DAY_MS })
    const kept: unknown[] = []
    for await (const some of placesOf(tools, staging).list()) kept.push(...some)
    expect(kept).toMatchObject([{ jobId }])
    expect(await readAll(set, 0)).toHaveLength(CHANGES)
  },
)

function linkTo(url: string): RedisLink {
  return new RedisLink({ place: async () => parseRedisUrl(url), resolve: resolveHost })
}
