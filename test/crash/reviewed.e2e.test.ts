/**
 * Each boundary operation of jobs whose changes are kept before they are applied, met by a kill: whatever it is, the job
 * goes on by itself, the target is what was decided, and the counters are those of the target's own triggers (RELIABILITY
 * F1, B1, B2, B13; invariants 1, 2, 3).
 */
import { describe, expect, test } from 'vitest'

import { createDatabase, expectSameTable, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { MIRROR_POLICIES, processState, TestService } from '#test/harness/service.ts'

import { listConflicts } from '#control/conflict-list.ts'
import { resolveConflicts } from '#control/decide-conflicts.ts'
import type { Job } from '#control/jobs.ts'
import { releaseJob } from '#control/leases.ts'
import { goOnWithDecisions } from '#jobs/review-job.ts'
import { SYSTEM } from '#model/access.ts'

import { isOfService, namedFailpoints } from './named-failpoints.ts'
import { changeShop, combine, openShops, readLedger, SHOP_TABLES } from './shop.ts'

/** What a job passes that computes its changes, applies them in one transaction, and keeps what it wrote. */
const COMPUTING = ['change_set.begun', 'change_set.chunk', 'change_set.flush', 'change_set.seal', 'change_set.sealed']
const APPLYING = [
  'change_set.read',
  'batch.staged',
  'batch.written',
  'batch.record',
  'batch.told',
  'transaction.commit',
  'transaction.committed',
  'run.finish',
]
const STREAMING = ['batch.record', 'batch.told', 'batch.commit', 'batch.committed']

const POLICIES = { ...MIRROR_POLICIES, audit_level: 'detailed' } as const

describe('a kill at each failpoint', () => {
  test('of a staged job', async () => {
    await using service = await TestService.create('sqlite')
    await using shops = await openShops(120)
    const { source, target } = shops
    const config = await service.addConfig(
      { source: source.url, target: target.url },
      { ...POLICIES, commit_mode: 'staged' },
    )
    await service.start(config)
    await finish(service)
    for (const [round, name] of [...COMPUTING, ...APPLYING].entries()) {
      await changeShop(source, round)
      const before = await readLedger(target)
      await service.start(config)
      await meet(service, name)
      const job = await finish(service)
      await expectWritten(job, target, before, name)
      for (const table of SHOP_TABLES) await expectSameTable(source, target, table)
    }
    await expectNothingStaged(service)
  })

  test('D15: between the COMMIT and the telling: decisions on conflicts count as carried out', async () => {
    await using service = await TestService.create('sqlite')
    await using source = await createDatabase(sharedServers().source)
    await using target = await createDatabase(sharedServers().target)
    await source.sql('CREATE TABLE item (id int PRIMARY KEY, v text); INSERT INTO item VALUES (1, $$a$$), (2, $$a$$)')
    await target.sql('CREATE TABLE item (id int PRIMARY KEY, v text)')
    const config = await service.addConfig(
      { source: source.url, target: target.url },
      { ...POLICIES, commit_mode: 'staged', conflict_strategy: 'manual' },
    )
    await service.start(config)
    await finish(service)
    await source.sql('UPDATE item SET v = $$s$$')
    await target.sql('UPDATE item SET v = $$t$$ WHERE id = 1')
    await service.start(config)
    expect((await service.work()).job.status).toBe('awaiting_resolution')
    const all = { filter: { scope: config }, actor: SYSTEM, subject: config, expect: null, digest: null }
    await resolveConflicts(service, { ...all, resolution: 'source' })
    await goOnWithDecisions(service.changeSets, SYSTEM)
    await meet(service, 'transaction.committed')
    expect((await finish(service)).counts).toMatchObject({ updated: 2, conflicted: 0 })
    expect(await target.sql('SELECT v FROM item')).toEqual([['s'], ['s']])
    const carriedOut = await listConflicts(service.store, { scope: config }, { after: null, limit: 10 })
    expect(carriedOut.map(({ status }) => status)).toEqual(['applied'])
  })

  test('of a job that is undone, and of its undoing', async () => {
    await using service = await TestService.create('sqlite')
    await using shops = await openShops(120)
    const { source, target } = shops
    const config = await service.addConfig({ source: source.url, target: target.url }, POLICIES)
    await service.start(config)
    await finish(service)
    const [streaming, undoing] = [STREAMING.values(), [...COMPUTING, ...APPLYING].values()]
    for (let round = 1; ; round++) {
      const name = undoing.next().value
      if (name === undefined) break
      const dump = await dumpOf(target)
      await changeShop(source, round)
      const { id } = await service.start(config)
      const during = streaming.next().value
      if (during !== undefined) await meet(service, during)
      await finish(service)

      const before = await readLedger(target)
      const revert = { jobId: id, tables: null, keys: null }
      const undo = await service.start(config, { kind: 'revert', revert })
      if (COMPUTING.includes(name)) await meet(service, name)
      expect((await service.work()).job.status).toBe('awaiting_approval')
      await service.approve(undo.id)
      if (APPLYING.includes(name)) await meet(service, name)
      await expectWritten(await finish(service), target, before, name)
      expect(await dumpOf(target), `the target after ${name}`).toEqual(dump)
    }
    await expectNothingStaged(service)
  })
})

test('no failpoint of such jobs was left out', async () => {
  const own = (await namedFailpoints()).filter(isOfService)
  expect(own.filter((name) => !COMPUTING.includes(name) && !APPLYING.includes(name))).toEqual([])
})

test.each(['batch.told', 'transaction.commit'])(
  'B7: a process that is paused at %s, and wakes when another has taken the job over, writes nothing any more',
  async (name) => {
    await using service = await TestService.create('sqlite')
    await using shops = await openShops(120)
    const { source, target } = shops
    const config = await service.addConfig(
      { source: source.url, target: target.url },
      { ...POLICIES, commit_mode: 'staged' },
    )
    const { id } = await service.start(config)
    const { child, hold, ended } = await service.fork({ FAILPOINT: `${name}:1:stop` })
    await expect.poll(() => processState(child.pid ?? 0), { timeout: 60_000 }).toBe('T')
    await releaseJob(service.store, hold, { death: 'It fell silent.' })
    await finish(service)
    const after = await readLedger(target)
    child.kill('SIGCONT')
    await ended
    expect(await readLedger(target)).toEqual(after)
    expect((await service.job(id)).counts).toMatchObject(after)
    for (const table of SHOP_TABLES) await expectSameTable(source, target, table)
  },
)

/** Lets the job that waits run into an armed failpoint, which its process must not survive. */
async function meet(service: TestService, name: string): Promise<void> {
  const { job, signal } = await service.work({ FAILPOINT: `${name}:1:kill` })
  expect({ signal, status: job.status }, `${name} is met: ${JSON.stringify(job.error)}`).toEqual({
    signal: 'SIGKILL',
    status: 'queued',
  })
}

async function finish(service: TestService): Promise<Job> {
  const { job } = await service.work()
  expect(job.status, JSON.stringify(job.error)).toBe('succeeded')
  return job
}

async function expectWritten(
  { counts }: Job,
  target: Database,
  before: Awaited<ReturnType<typeof readLedger>>,
  name: string,
): Promise<void> {
  const written = combine(await readLedger(target), before, -1)
  expect(counts, `the counters after ${name}, against the triggers of the target`).toMatchObject(written)
  expect(written.inserted + written.updated + written.deleted).toBeGreaterThan(0)
}

async function dumpOf(target: Database): Promise<string[][]> {
  const dump: string[][] = []
  for (const table of SHOP_TABLES) {
    dump.push((await target.sql(`SELECT t::text FROM ${table} t ORDER BY 1`)).map(([row]) => row ?? ''))
  }
  return dump
}

/** No change set outlives what it was for. */
async function expectNothingStaged({ store }: TestService): Promise<void> {
  const left = await store.db.selectFrom('change_set').select(['job_id', 'state', 'held_bytes']).execute()
  expect(left.filter(({ state, held_bytes: bytes }) => state !== 'applied' || Number(bytes) > 0)).toEqual([])
}
