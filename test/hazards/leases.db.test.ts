/** Which job a run goes on with, and what a job under a lease does to what held it before (B7, invariant 8). */
import { expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'
import type { Receipt } from '#model/receipt.ts'
import type { RunIdentity } from '#sync/run-sync.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, type Pair, type RunHooks } from '#test/harness/sync.ts'

const ROWS = 300
const BATCHES = { batchSize: 50, maxOverwritePercent: 100 }

function underLease(id: string, lease: number, confirm = (): Promise<void> => Promise.resolve()): RunIdentity {
  return { id, lease, confirm }
}

/** A source whose rows all differ from the target's, so that they go by batches. */
async function openPair(): Promise<Pair> {
  const { source, target } = sharedServers()
  const pair = await createPair(source, target)
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, text text)')
  await pair.source.sql(`INSERT INTO item SELECT i, 'new' FROM generate_series(1, ${ROWS}) i`)
  await pair.target.sql(`INSERT INTO item SELECT i, 'old' FROM generate_series(1, ${ROWS}) i`)
  return pair
}

/** A run that ends after its second batch. */
async function breakOff(pair: Pair, hooks: RunHooks): Promise<void> {
  const stop = (batch: number): Promise<void> => {
    if (batch <= 2) return Promise.resolve()
    return Promise.reject(new AppError('internal', 'broken off'))
  }
  await expect(pair.run(BATCHES, { ...hooks, beforeBatch: stop })).rejects.toThrow('broken off')
}

const facts = ({ jobId, counts }: Receipt): unknown => ({ jobId, updated: counts.updated })

test('a job under a lease goes on with its own counters, after it was broken off and after it was closed', async () => {
  await using pair = await openPair()
  await breakOff(pair, { job: underLease('job_a', 1) })
  const ended = await pair.run(BATCHES, { job: underLease('job_a', 2) })
  expect(facts(ended)).toEqual({ jobId: 'job_a', updated: ROWS })
  // Its service was killed before it heard of that.
  await pair.source.sql(`UPDATE item SET text = 'newer' WHERE id <= 10`)
  const again = await pair.run(BATCHES, { job: underLease('job_a', 3) })
  expect(facts(again)).toEqual({ jobId: 'job_a', updated: ROWS + 10 })
})

test('another job under a lease begins with fresh counters; a run without one goes on with what is unfinished', async () => {
  await using pair = await openPair()
  await breakOff(pair, { job: underLease('job_a', 1) })
  await breakOff(pair, { job: underLease('job_b', 1) })
  expect(await pair.target.sql('SELECT job_id, updated FROM syncline.state')).toEqual([['job_b', '100']])
  const adopted = await pair.run(BATCHES)
  expect(facts(adopted)).toEqual({ jobId: 'job_b', updated: ROWS - 100 })
})

test('a run that finds after its claim that its lease is lost writes nothing (B7)', async () => {
  await using pair = await openPair()
  let asked = 0
  const confirm = (): Promise<void> =>
    (asked += 1) < 2 ? Promise.resolve() : Promise.reject(new AppError('lease_lost', 'taken'))
  await expect(pair.run(BATCHES, { job: underLease('job_a', 1, confirm) })).rejects.toMatchObject({
    code: 'lease_lost',
  })
  expect(asked).toBe(2)
  expect(await pair.target.sql(`SELECT count(*) FROM item WHERE text = 'new'`)).toEqual([['0']])
})

test('a later lease of the same job ends the sessions of an earlier one at once; an earlier one, none (B7)', async () => {
  await using pair = await openPair()
  const { promise: paused, resolve: onPause } = Promise.withResolvers<void>()
  const { promise: woken, resolve: wake } = Promise.withResolvers<void>()
  const job = { current: 1 }
  const confirm = (lease: number) => (): Promise<void> =>
    lease === job.current ? Promise.resolve() : Promise.reject(new AppError('lease_lost', 'taken'))
  const first = pair.run(BATCHES, {
    job: underLease('job_a', 1, confirm(1)),
    beforeBatch: async (batch) => {
      if (batch !== 2) return
      onPause()
      await woken
    },
  })
  const ended = first.catch((error: unknown) => error)
  await paused
  job.current = 2
  const second = await pair.run(BATCHES, { job: underLease('job_a', 2, confirm(2)) })
  expect(facts(second)).toEqual({ jobId: 'job_a', updated: ROWS })
  const state = await pair.target.sql('SELECT epoch, batches, updated, phase FROM syncline.state')
  wake()
  // By its sessions, its epoch or its lease, whichever it meets first.
  expect(await ended).toMatchObject({ code: expect.stringMatching(/^(stale_epoch|lease_lost)$/) })
  expect(await pair.target.sql('SELECT epoch, batches, updated, phase FROM syncline.state')).toEqual(state)
})
