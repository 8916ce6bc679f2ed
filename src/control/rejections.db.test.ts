import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { wallMs } from '#lib/clock.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import { makeId } from '#model/id.ts'
import type { RejectedRow, RejectingTable } from '#model/rejection.ts'
import { createStore, STORE_KINDS } from '#test/harness/store.ts'
import { findBrokenAudit } from './audit.ts'
import { resealPasswords } from './datasources.ts'
import { insertJob, purgeJobs } from './jobs.ts'
import {
  dismissRejection,
  editRejection,
  getRejection,
  groupRejections,
  listRejections,
  purgeRejections,
} from './rejection-list.ts'
import {
  closeRejections,
  closeReplay,
  keepRejections,
  rejectionsToReplay,
  settledRejections,
  type RejectingJob,
  type RejectionTools,
} from './rejections.ts'

const SCOPE = 'cfg_1'
const REF = { schema: 'public', name: 't' }
const TABLE: RejectingTable = {
  source: REF,
  target: REF,
  columns: [{ name: 'v', type: { kind: 'text', maxLength: 5 }, nullable: true }],
}
const SECRET = 'what nobody may read'

const job = (id: string): RejectingJob => ({ id, configId: SCOPE, scope: SCOPE })

function row(key: string, changes: Partial<RejectedRow> = {}): RejectedRow & { readonly id: string } {
  return {
    id: makeId('rejection', wallMs(), randomBytes(10)),
    op: 'insert',
    key: [key],
    keyIn: 'target',
    code: '23505',
    reason: `duplicate key. Key (v)=(${SECRET}) already exists.`,
    column: 'v',
    value: SECRET,
    sourceKey: [key],
    sourceFingerprint: 'source 1',
    targetFingerprint: null,
    source: [['v', SECRET]],
    mapped: [['v', SECRET]],
    note: null,
    ...changes,
  }
}

describe.each(STORE_KINDS)('the quarantine in %s', (kind) => {
  test('told again after a crash a row is there once, in its place; what is not told of has gone', async () => {
    await using held = await createStore(kind)
    const tools: RejectionTools = { store: held.store, box: new SecretBox([randomBytes(32)]) }
    const { store } = tools
    const list = async () =>
      (await listRejections(store, { scope: SCOPE }, { after: null, limit: 10 })).map(
        ({ key, seq, status, lastJobId }) => [key[0], seq, status, lastJobId],
      )
    await keepRejections(tools, job('job_1'), TABLE, [row('a'), row('b')])
    await Promise.all([1, 2, 3].map(() => keepRejections(tools, job('job_1'), TABLE, [row('b'), row('c')])))
    await closeRejections(store, job('job_1'), { target: REF, heeded: [], stale: [] })
    expect(await list()).toEqual([
      ['a', 1, 'open', 'job_1'],
      ['b', 2, 'open', 'job_1'],
      ['c', 3, 'open', 'job_1'],
    ])
    await keepRejections(tools, job('job_2'), TABLE, [row('c')])
    await closeRejections(store, job('job_2'), { target: REF, heeded: [], stale: [] })
    await keepRejections(tools, job('job_3'), TABLE, [row('a')])
    expect(await list()).toEqual([
      ['a', 1, 'open', 'job_3'],
      ['b', 2, 'gone', 'job_1'],
      ['c', 3, 'open', 'job_2'],
    ])
    expect(await groupRejections(store, { scope: SCOPE, status: ['open'] })).toMatchObject([{ code: '23505', rows: 2 }])
    expect(await listRejections(store, { scope: SCOPE, key: '["b"]' }, { after: null, limit: 10 })).toHaveLength(1)
  })

  test('S43: values are sealed, each box to its row, and are read with the new key once they are sealed anew', async () => {
    await using held = await createStore(kind)
    const [old, next] = [randomBytes(32), randomBytes(32)]
    const before: RejectionTools = { store: held.store, box: new SecretBox([old]) }
    const [a, b] = [row('a'), row('b')]
    await keepRejections(before, job('job_1'), TABLE, [a, b])
    await editRejection(before, { id: a.id, version: 1, actor: SYSTEM }, [['v', SECRET]])
    const dump = await held.store.db.selectFrom('rejection').selectAll().execute()
    const audit = await held.store.db.selectFrom('audit_event').selectAll().execute()
    expect(JSON.stringify([dump, audit])).not.toContain(SECRET)
    expect(await getRejection(before, a.id)).toMatchObject({
      image: { value: SECRET },
      reason: expect.stringContaining('(…)') as string,
    })
    await resealPasswords({ store: held.store, box: new SecretBox([next, old]) }, SYSTEM)
    const after = { store: held.store, box: new SecretBox([next]) }
    expect(await getRejection(after, a.id)).toMatchObject({ image: { value: SECRET }, edits: [['v', SECRET]] })
    expect(await getRejection(before, a.id)).toMatchObject({ image: null, edits: null })
    const { image_sealed: box } = dump.find(({ id }) => id === b.id) ?? { image_sealed: '' }
    await held.store.db.updateTable('rejection').set({ image_sealed: box }).where('id', '=', a.id).execute()
    expect((await getRejection(before, a.id)).image).toBeNull()
    expect(await findBrokenAudit(held.store)).toBeNull()
  })

  test('D15: a decision holds while both sides are what they were, and no longer', async () => {
    await using held = await createStore(kind)
    const tools: RejectionTools = { store: held.store, box: new SecretBox([randomBytes(32)]) }
    const [a, b, c] = [row('a'), row('b'), row('c')]
    await keepRejections(tools, job('job_1'), TABLE, [a, b, c])
    for (const { id } of [a, b]) await editRejection(tools, { id, version: null, actor: SYSTEM }, [['v', 'x']])
    await dismissRejection(tools, { id: c.id, version: null, actor: SYSTEM })
    await expect(dismissRejection(tools, { id: a.id, version: 1, actor: SYSTEM })).rejects.toMatchObject({
      code: 'version_conflict',
    })
    await keepRejections(tools, job('job_2'), TABLE, [row('a'), row('b', { targetFingerprint: 'moved' }), row('c')])
    const status = async (id: string) => (await getRejection(tools, id)).status
    expect(await Promise.all([a, b, c].map(({ id }) => status(id)))).toEqual(['edited', 'open', 'dismissed'])
    const replay = await rejectionsToReplay(tools, { scope: SCOPE, target: REF, ids: null })
    expect(replay.map(({ key }) => key)).toEqual([['a'], ['b']])
    const [mended] = replay
    // Somebody edits it again while it is replayed: what they wrote is not taken for replayed.
    await editRejection(tools, { id: a.id, version: null, actor: SYSTEM }, [['v', 'y']])
    const through = [{ id: a.id, version: mended?.version ?? 0, targetKey: ['a'], sourceFingerprint: 'source 1' }]
    await closeReplay(tools, job('job_3'), { through, gone: [] })
    expect(await status(a.id)).toBe('edited')
    const now = await getRejection(tools, a.id)
    await closeReplay(tools, job('job_3'), {
      through: through.map((each) => ({ ...each, version: now.version })),
      gone: [],
    })
    const settled = await settledRejections(tools, { scope: SCOPE, target: REF })
    expect(settled.map(({ key, status: is }) => [key, is])).toEqual([
      [['a'], 'replayed'],
      [['c'], 'dismissed'],
    ])
    await expect(editRejection(tools, { id: a.id, version: null, actor: SYSTEM }, [])).rejects.toMatchObject({
      code: 'wrong_state',
    })
    await closeRejections(held.store, job('job_4'), { target: REF, heeded: [a.id], stale: [c.id] })
    expect(await Promise.all([a, c].map(({ id }) => status(id)))).toEqual(['replayed', 'gone'])
  })

  test('rows go with their last job, and what somebody settled with its sync config', async () => {
    await using held = await createStore(kind)
    const tools: RejectionTools = { store: held.store, box: new SecretBox([randomBytes(32)]) }
    const { store } = tools
    const request = {
      policies: {},
      dryRun: false,
      tables: null,
      mode: 'incremental',
      allowProtectedWrite: false,
      targetNamed: false,
      approvedDeletes: null,
      approvedOverwrites: null,
    } as const
    const ends = { sourceDatasourceId: 'ds_1', targetDatasourceId: 'ds_2', lane: 'l', requestedBy: 'system' }
    await insertJob(store, { id: 'job_1', kind: 'sync', configId: null, configVersion: null, request, ...ends })
    const kept = row('a')
    await keepRejections(tools, { id: 'job_1', configId: null, scope: 'job_1' }, TABLE, [kept])
    await purgeRejections(store)
    expect(await getRejection(tools, kept.id)).toMatchObject({ status: 'open' })
    await dismissRejection(tools, { id: kept.id, version: null, actor: SYSTEM })
    await store.db.updateTable('job').set({ status: 'succeeded', finished_at: '2020-01-01T00:00:00.000Z' }).execute()
    expect(await purgeJobs(store, '2021-01-01T00:00:00.000Z')).toBe(1)
    await purgeRejections(store)
    await expect(getRejection(tools, kept.id)).rejects.toMatchObject({ code: 'not_found' })
    expect(await store.db.selectFrom('rejecting_table').selectAll().execute()).toEqual([])
  })
})
