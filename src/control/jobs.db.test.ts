import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { wallMs } from '#lib/clock.ts'
import { makeId } from '#model/id.ts'
import { createStore, STORE_KINDS } from '#test/harness/store.ts'
import { applyJobEvent, getJob, insertJob, readJobEvents, type NewJob } from './jobs.ts'
import { claimNextJob, recordJob, releaseExpired, renewLease } from './leases.ts'

const LEASE_MS = 15_000

function newJob(lane = 'config cfg_1'): NewJob {
  return {
    id: makeId('job', wallMs(), randomBytes(10)),
    kind: 'sync',
    configId: null,
    configVersion: null,
    sourceDatasourceId: 'ds_1',
    targetDatasourceId: 'ds_2',
    lane,
    request: {
      policies: {},
      dryRun: false,
      tables: null,
      mode: 'incremental',
      allowProtectedWrite: false,
      targetNamed: false,
      approvedDeletes: null,
      approvedOverwrites: null,
    },
    requestedBy: 'system',
  }
}

describe.each(STORE_KINDS)('jobs in %s', (kind) => {
  test('B6: of 50 jobs that are put into one lane at once, one is there', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const results = await Promise.allSettled(Array.from({ length: 50 }, () => insertJob(store, newJob())))
    expect(results.filter(({ status }) => status === 'fulfilled')).toHaveLength(1)
    const refusals = results.flatMap((result) => (result.status === 'rejected' ? [result.reason as unknown] : []))
    for (const refusal of refusals) expect(refusal).toMatchObject({ code: 'already_running' })
    expect(await insertJob(store, newJob('config cfg_2'))).toMatchObject({ status: 'queued' })
  })

  test('one caller gets a job, and a job that was claimed again is lost to whoever held it', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const { id } = await insertJob(store, newJob())
    const claims = await Promise.all(['a', 'b', 'c'].map((owner) => claimNextJob(store, { owner, leaseMs: LEASE_MS })))
    const [job, ...more] = claims.filter((claim) => claim !== null)
    expect(more).toEqual([])
    expect(job).toMatchObject({ id, status: 'running', epoch: 1, attempt: 1 })
    const owner = ['a', 'b', 'c'][claims.indexOf(job ?? null)] ?? ''
    const hold = { jobId: id, owner, epoch: 1 }
    expect(await renewLease(store, hold, -1)).toEqual({ intent: null })
    expect(await releaseExpired(store)).toEqual([hold])
    expect(await claimNextJob(store, { owner: 'd', leaseMs: LEASE_MS })).toMatchObject({ epoch: 2, attempt: 2 })
    await expect(renewLease(store, hold, LEASE_MS)).rejects.toMatchObject({ code: 'lease_lost' })
    await expect(recordJob(store, hold, { events: [], progress: null })).rejects.toMatchObject({ code: 'lease_lost' })
    await expect(applyJobEvent(store, { id, event: 'succeed', hold })).rejects.toMatchObject({ code: 'lease_lost' })
    expect(await getJob(store, id)).toMatchObject({ status: 'running' })
  })

  test('events are numbered without gaps, whoever writes them', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const { id } = await insertJob(store, newJob())
    await claimNextJob(store, { owner: 'a', leaseMs: LEASE_MS })
    const hold = { jobId: id, owner: 'a', epoch: 1 }
    const log = (text: string) => ({ type: 'log', data: { text } }) as const
    await Promise.all(
      Array.from({ length: 20 }, (_, i) =>
        recordJob(store, hold, { events: [log(`${i}a`), log(`${i}b`)], progress: null }),
      ),
    )
    await applyJobEvent(store, { id, event: 'succeed', hold }, { counts: null, result: { big: 2n ** 60n } })
    const events = await readJobEvents(store, id, { after: 0, limit: 100 })
    expect(events.map(({ seq }) => seq)).toEqual(Array.from({ length: 43 }, (_, i) => i + 1))
    expect(events.at(-1)).toMatchObject({ type: 'status', data: { status: 'succeeded' } })
    expect(await getJob(store, id)).toMatchObject({
      status: 'succeeded',
      lastEvent: 43,
      result: { big: String(2n ** 60n) },
    })
  })

  test('a stopped job cannot go on while another is in its lane', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const { id } = await insertJob(store, newJob())
    expect(await applyJobEvent(store, { id, event: 'stop' })).toMatchObject({ status: 'stopped' })
    const other = await insertJob(store, newJob())
    await expect(applyJobEvent(store, { id, event: 'resume' })).rejects.toMatchObject({ code: 'already_running' })
    await applyJobEvent(store, { id: other.id, event: 'cancel' })
    expect(await applyJobEvent(store, { id, event: 'resume' })).toMatchObject({ status: 'queued', finishedAt: null })
    await expect(applyJobEvent(store, { id: other.id, event: 'resume' })).rejects.toMatchObject({ code: 'wrong_state' })
  })

  test('D16: a stopped job does not go on once its sync has run without it, but for looking', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const { id } = await insertJob(store, newJob())
    await applyJobEvent(store, { id, event: 'stop' })
    const run = async (dryRun: boolean): Promise<void> => {
      const job = newJob()
      await insertJob(store, { ...job, request: { ...job.request, dryRun } })
      await claimNextJob(store, { owner: 'a', leaseMs: LEASE_MS })
      await applyJobEvent(store, { id: job.id, event: 'succeed' })
    }
    await run(true)
    await applyJobEvent(store, { id, event: 'resume' })
    await applyJobEvent(store, { id, event: 'stop' })
    await run(false)
    await expect(applyJobEvent(store, { id, event: 'resume' })).rejects.toMatchObject({
      code: 'wrong_state',
      message: expect.stringContaining('of the same sync has run since') as string,
    })
  })
})
