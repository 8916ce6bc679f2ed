import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { addMs, systemClock, wallMs, type Clock } from '#lib/clock.ts'
import { makeId } from '#model/id.ts'
import { createStore, createStorePlace, STORE_KINDS } from '#test/harness/store.ts'
import { listOpenBreakers, recordConnectionFailure, recordConnectionSuccess } from './breakers.ts'
import { insertJob } from './jobs.ts'
import { claimNextJob } from './leases.ts'
import { Store } from './store.ts'

const REQUEST = {
  policies: {},
  dryRun: false,
  tables: null,
  mode: 'incremental',
  allowProtectedWrite: false,
  targetNamed: false,
  approvedDeletes: null,
  approvedOverwrites: null,
} as const

let lanes = 0

async function addJob(store: Store, source = 'ds_1', target = 'ds_2'): Promise<string> {
  const id = makeId('job', wallMs(), randomBytes(10))
  await insertJob(store, {
    id,
    kind: 'sync',
    configId: null,
    configVersion: null,
    sourceDatasourceId: source,
    targetDatasourceId: target,
    lane: String((lanes += 1)),
    request: REQUEST,
    requestedBy: 'system',
  })
  return id
}

const claim = (store: Store): Promise<string | undefined> =>
  claimNextJob(store, { owner: 'a', leaseMs: 15_000 }).then((job) => job?.id)

describe.each(STORE_KINDS)('breakers in %s', (kind) => {
  test('five failures in a row leave a datasource alone, and its jobs wait; others go on', async () => {
    await using held = await createStore(kind)
    const { store } = held
    for (let failure = 1; failure < 5; failure++)
      expect(await recordConnectionFailure(store, 'ds_2', 'refused')).toBeNull()
    await recordConnectionSuccess(store, 'ds_2')
    for (let failure = 1; failure < 5; failure++)
      expect(await recordConnectionFailure(store, 'ds_2', 'refused')).toBeNull()
    expect(await listOpenBreakers(store)).toEqual([])
    const until = await recordConnectionFailure(store, 'ds_2', 'refused')
    expect(await listOpenBreakers(store)).toEqual([{ datasourceId: 'ds_2', until, reason: 'refused' }])

    await addJob(store)
    const other = await addJob(store, 'ds_3', 'ds_4')
    expect(await claim(store)).toBe(other)
    expect(await claim(store)).toBeUndefined()
    await recordConnectionSuccess(store, 'ds_2')
    expect(await claim(store)).toBeDefined()
  })
})

test('when the time is over one job may try; it grows from half a minute to five', async () => {
  await using place = await createStorePlace('sqlite')
  let now = '2026-01-01T00:00:00.000Z'
  const clock: Clock = { ...systemClock, now: () => now }
  await using store = await Store.open(place.location, { clock, migrate: true })
  for (let failure = 1; failure < 5; failure++) await recordConnectionFailure(store, 'ds_1', 'refused')
  const waits: string[] = []
  for (let failure = 5; failure < 11; failure++) {
    const until = await recordConnectionFailure(store, 'ds_1', 'refused')
    const seconds = [30, 60, 120, 240, 300].find((wait) => addMs(now, wait * 1000) === until)
    waits.push(`${seconds} s`)
    await Promise.all([addJob(store), addJob(store)])
    now = addMs(until ?? '', -1)
    expect(await claim(store)).toBeUndefined()
    now = until ?? ''
    expect(await claim(store), 'the one that tries').toBeDefined()
    expect(await claim(store), 'the next').toBeUndefined()
  }
  expect(waits).toEqual(['30 s', '60 s', '120 s', '240 s', '300 s', '300 s'])
  await recordConnectionSuccess(store, 'ds_1')
  expect(await claim(store)).toBeDefined()
})
