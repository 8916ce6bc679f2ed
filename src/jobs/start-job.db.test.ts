import { describe, expect, test } from 'vitest'
import { listJobs } from '#control/jobs.ts'
import { claimNextJob } from '#control/leases.ts'
import { TestService } from '#test/harness/service.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { shareOf } from './connections.ts'

/** Never connected to. */
const SOURCE = 'postgres://nobody@127.0.0.1:1/source'
const TARGET = 'postgres://nobody@127.0.0.1:1/target'

describe.each(STORE_KINDS)('with the store in %s', (kind) => {
  test('B6: 50 starts of one config at once make one job', async () => {
    await using service = await TestService.create(kind)
    const config = await service.addConfig({ source: SOURCE, target: TARGET })
    const starts = await Promise.allSettled(Array.from({ length: 50 }, () => service.start(config)))
    const [job, ...more] = starts.flatMap((start) => (start.status === 'fulfilled' ? [start.value] : []))
    expect(more).toEqual([])
    for (const start of starts.filter(({ status }) => status === 'rejected')) {
      expect(start).toMatchObject({ reason: { code: 'already_running', cause: { jobId: job?.id } } })
    }
    expect(await listJobs(service.store, { limit: 100 })).toHaveLength(1)
  })

  test('jobs are claimed while their connections fit into the pools of both their datasources', async () => {
    await using service = await TestService.create(kind)
    const source = await service.addDatasource(SOURCE, { poolSize: 12 })
    const configs: string[] = []
    for (const _ of [1, 2, 3])
      configs.push(await service.connect({ source, target: await service.addDatasource(TARGET) }))
    for (const config of configs) await service.start(config)
    const claim = (): Promise<string | null> =>
      claimNextJob(service.store, { owner: 'a', leaseMs: 60_000, share: shareOf }).then((job) => job?.configId ?? null)
    const claims = await Promise.all([claim(), claim(), claim()])
    expect(claims.filter((config) => config !== null).toSorted()).toEqual(configs.slice(0, 2).toSorted())
  })
})
