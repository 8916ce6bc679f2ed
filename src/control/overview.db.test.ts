import { describe, expect, test } from 'vitest'

import { addMs } from '#lib/clock.ts'
import { createStore, STORE_KINDS } from '#test/harness/store.ts'

import { countJobs } from './job-counts.ts'
import { readOverview } from './overview.ts'
import type { JobRow } from './schema.ts'

const DAY_MS = 24 * 3_600_000

const NO_JOB: Omit<JobRow, 'id' | 'lane' | 'created_at' | 'updated_at'> = {
  kind: 'sync',
  status: 'succeeded',
  config_id: 'cfg_a',
  config_version: 1,
  source_datasource_id: 'ds_1',
  target_datasource_id: 'ds_2',
  request: JSON.stringify({ dryRun: false }),
  requested_by: 'key_1',
  intent: null,
  epoch: 1,
  lease_owner: null,
  lease_expires_at: null,
  attempt: 0,
  not_before: null,
  started_at: null,
  finished_at: null,
  progress: null,
  counts: null,
  error: null,
  result: null,
  last_event: 1,
}

describe.each(STORE_KINDS)('the overview on %s', (kind) => {
  test('a sync config is as old as its last good sync that wrote; days count what was written, and dry runs nowhere', async () => {
    await using held = await createStore(kind)
    const { store } = held
    const now = await store.now(store.db)
    const ago = (days: number): string => addMs(now, -days * DAY_MS)
    const counts = (inserted: number, updated = 0): string => JSON.stringify({ inserted, updated, deleted: 0 })
    const jobs: (Partial<JobRow> & Pick<JobRow, 'id'>)[] = [
      { id: 'job_1', finished_at: ago(20), counts: counts(5_000) },
      { id: 'job_2', finished_at: ago(3), counts: counts(3_000_000_000, 4) },
      { id: 'job_3', finished_at: ago(3), counts: counts(1) },
      { id: 'job_4', finished_at: ago(2), status: 'failed', counts: counts(7) },
      { id: 'job_5', finished_at: ago(1), counts: counts(100), request: JSON.stringify({ dryRun: true }) },
      { id: 'job_6', finished_at: ago(1), kind: 'verify', counts: counts(9) },
      { id: 'job_7', finished_at: ago(1), config_id: 'cfg_b', source_datasource_id: 'ds_9', counts: counts(2) },
      { id: 'job_8', finished_at: null, status: 'running' },
    ]
    for (const job of jobs) {
      const row = { ...NO_JOB, lane: job.id, created_at: ago(1), updated_at: now, ...job }
      await store.db.insertInto('job').values(row).execute()
    }
    const whole = await readOverview(store, { configs: ['cfg_a', 'cfg_b', 'cfg_c'], datasources: null })
    expect(whole.configs).toEqual([
      {
        configId: 'cfg_a',
        lastJob: { id: 'job_8', status: 'running', createdAt: ago(1) },
        lastSucceededAt: ago(3),
        openConflicts: 0,
        openRejections: 0,
        schedule: null,
        schemaDrift: null,
      },
      {
        configId: 'cfg_b',
        lastJob: { id: 'job_7', status: 'succeeded', createdAt: ago(1) },
        lastSucceededAt: ago(1),
        openConflicts: 0,
        openRejections: 0,
        schedule: null,
        schemaDrift: null,
      },
      {
        configId: 'cfg_c',
        lastJob: null,
        lastSucceededAt: null,
        openConflicts: 0,
        openRejections: 0,
        schedule: null,
        schemaDrift: null,
      },
    ])
    expect(whole.days).toHaveLength(14)
    expect(whole.days.slice(-4)).toEqual([
      { day: ago(3).slice(0, 10), succeeded: 2, failed: 0, inserted: 3_000_000_001, updated: 4, deleted: 0 },
      { day: ago(2).slice(0, 10), succeeded: 0, failed: 1, inserted: 7, updated: 0, deleted: 0 },
      { day: ago(1).slice(0, 10), succeeded: 1, failed: 0, inserted: 2, updated: 0, deleted: 0 },
      { day: now.slice(0, 10), succeeded: 0, failed: 0, inserted: 0, updated: 0, deleted: 0 },
    ])
    const scoped = await readOverview(store, { configs: ['cfg_a'], datasources: ['ds_1', 'ds_2'] })
    expect(scoped.configs.map(({ configId }) => configId)).toEqual(['cfg_a'])
    expect(scoped.days.at(-2)).toMatchObject({ inserted: 0 })
    expect(await readOverview(store, { configs: [], datasources: [] })).toMatchObject({ configs: [] })
    expect(await countJobs(store, [])).toMatchObject({ succeeded: 0, running: 0 })
  })
})
