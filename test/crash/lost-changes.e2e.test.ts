/**
 * Redis is disposable (promise P12, hazard B8): changes that it lost are computed again, an approval of them is withdrawn,
 * decisions on changes that are the same hold, and nothing reaches the target that was not approved as it is.
 */
import { describe, expect, test } from 'vitest'

import { pageChanges, ALL_CHANGES } from '#control/change-pages.ts'
import { getChangeSet } from '#control/change-set-tools.ts'
import { decideChanges } from '#control/decide-changes.ts'
import { noticeLost } from '#jobs/review-job.ts'
import { SYSTEM } from '#model/access.ts'

import { createDatabase, expectSameTable, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { startRedis, type RedisServer } from '#test/harness/redis.ts'
import { MIRROR_POLICIES, TestService } from '#test/harness/service.ts'
import { someStores } from '#test/harness/store.ts'

const POLICIES = { ...MIRROR_POLICIES, commit_mode: 'approval', staging: 'redis' } as const

interface World extends AsyncDisposable {
  readonly service: TestService
  readonly redis: RedisServer
  readonly source: Database
  readonly target: Database
  readonly config: string
}

describe.each(someStores())('with the store in %s', (kind) => {
  const open = async (): Promise<World> => {
    await using stack = new AsyncDisposableStack()
    const redis = stack.use(await startRedis({ password: 'CANARY-redis' }))
    const service = stack.use(await TestService.create(kind, { env: { REDIS_URL: redis.url } }))
    const source = stack.use(await createDatabase(sharedServers().source))
    const target = stack.use(await createDatabase(sharedServers().target))
    for (const db of [source, target]) await db.sql('CREATE TABLE item (id int PRIMARY KEY, name text)')
    await source.sql(`INSERT INTO item SELECT n, 'item ' || n FROM generate_series(1, 300) n`)
    const config = await service.addConfig({ source: source.url, target: target.url }, POLICIES)
    const held = stack.move()
    return { service, redis, source, target, config, [Symbol.asyncDispose]: () => held.disposeAsync() }
  }
  const workTo = async ({ service }: World, status: string): Promise<void> => {
    const { job } = await service.work()
    expect(job.status, `${JSON.stringify(job.error)}\n${await service.log(job.id)}`).toBe(status)
  }

  test('B8: lost while they wait: the approval is refused, they are computed again, and approved as they are then', async () => {
    await using world = await open()
    const { service, redis, source, target, config } = world
    const { id } = await service.start(config)
    await workTo(world, 'awaiting_approval')
    await redis.command('FLUSHALL')
    await expect(service.approve(id)).rejects.toMatchObject({ code: 'change_set_lost' })
    await source.sql(`UPDATE item SET name = 'changed meanwhile' WHERE id = 7`)
    await workTo(world, 'awaiting_approval')
    expect(await target.sql('SELECT count(*) FROM item')).toEqual([['0']])
    await service.approve(id)
    await workTo(world, 'succeeded')
    await expectSameTable(source, target, 'item')
  })

  test('B8: lost after they were approved: the approval is withdrawn, and nothing is written', async () => {
    await using world = await open()
    const { service, redis, source, target, config } = world
    const { id } = await service.start(config)
    await workTo(world, 'awaiting_approval')
    await service.approve(id)
    await redis.command('FLUSHALL')
    await workTo(world, 'awaiting_approval')
    expect((await getChangeSet(service.changeSets, id)).approval).toBeNull()
    expect(await target.sql('SELECT count(*) FROM item')).toEqual([['0']])
    await service.approve(id)
    await workTo(world, 'succeeded')
    await expectSameTable(source, target, 'item')
  })

  test('B8: it is noticed without anybody asking, and what somebody left out stays out', async () => {
    await using world = await open()
    const { service, redis, target, config } = world
    const { id } = await service.start(config)
    await workTo(world, 'awaiting_approval')
    const first = { after: null, limit: 3 }
    const { changes } = await pageChanges(service.changeSets, id, ALL_CHANGES, first)
    const seqs = changes.map(({ seq }) => seq)
    expect(await decideChanges(service.changeSets, id, { filter: null, seqs, verdict: 'leave', actor: SYSTEM })).toBe(3)
    expect(await noticeLost(service.changeSets)).toBe(0)
    // Nothing is kept on its disk, so that it comes back empty.
    await redis.kill()
    expect(await noticeLost(service.changeSets), 'a place that does not answer has lost nothing yet').toBe(0)
    await redis.start()
    expect(await noticeLost(service.changeSets)).toBe(1)
    await workTo(world, 'awaiting_approval')
    await service.approve(id)
    await workTo(world, 'succeeded')
    const left = changes.map(({ key }) => String(key[0]))
    expect(
      await target.sql('SELECT count(*), count(*) FILTER (WHERE id = ANY($1)) FROM item', [`{${left.join(',')}}`]),
    ).toEqual([['297', '0']])
  })
})
