import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { must } from '#lib/assert.ts'
import { wallMs } from '#lib/clock.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import type { ConflictTable, FoundConflict, ResolvedOutcome } from '#model/conflict.ts'
import { makeId } from '#model/id.ts'
import { createStore, STORE_KINDS } from '#test/harness/store.ts'
import { findBrokenAudit } from './audit.ts'
import { getConflict, groupConflicts, listConflicts, type ConflictFilter } from './conflict-list.ts'
import {
  closeConflicts,
  parkConflicts,
  purgeConflicts,
  resolvedConflicts,
  settleConflicts,
  type ConflictJob,
  type ConflictTools,
  type ReadDecision,
} from './conflicts.ts'
import { previewConflicts, resolveConflict, resolveConflicts } from './decide-conflicts.ts'
import { resealPasswords } from './datasources.ts'
import { insertJob, purgeJobs } from './jobs.ts'
import type { Store } from './store.ts'

const SCOPE = 'cfg_1'
const REF = { schema: 'public', name: 't' }
const TEXT = { kind: 'text', maxLength: null } as const
const TABLE: ConflictTable = {
  source: REF,
  target: REF,
  mappingId: 'mapping',
  mappingHash: 'hash',
  key: ['id'],
  columns: [
    { name: 'id', type: TEXT, nullable: false },
    { name: 'v', type: TEXT, nullable: true },
  ],
}
const SECRET = 'what nobody may read'
const BYTES = Uint8Array.of(0xff, 0x00)

const job = (id: string): ConflictJob => ({ id, configId: SCOPE, scope: SCOPE })

function conflict(key: string, changes: Partial<FoundConflict> = {}): FoundConflict & { readonly id: string } {
  return {
    id: makeId('conflict', wallMs(), randomBytes(10)),
    key: [key],
    kind: 'update_update',
    sourceFingerprint: 'source 1',
    targetFingerprint: 'target 1',
    agreed: { source: 'agreed', target: 'agreed' },
    fields: ['v'],
    source: [key, SECRET],
    target: [key, 'theirs'],
    base: [key, BYTES],
    merged: null,
    holder: null,
    large: false,
    strategy: 'manual',
    reason: null,
    ...changes,
  }
}

async function decisionsOf(tools: ConflictTools): Promise<readonly ReadDecision[]> {
  const all: ReadDecision[] = []
  for await (const page of resolvedConflicts(tools, { scope: SCOPE, target: REF })) all.push(...page)
  return all
}

async function withStore(kind: (typeof STORE_KINDS)[number]) {
  const held = await createStore(kind)
  const tools: ConflictTools = { store: held.store, box: new SecretBox([randomBytes(32)]) }
  const list = (filter: ConflictFilter = {}) =>
    listConflicts(held.store, { scope: SCOPE, ...filter }, { after: null, limit: 1000 })
  const decisions = () => decisionsOf(tools)
  return {
    tools,
    store: held.store,
    list,
    decisions,
    keys: async (filter: ConflictFilter = {}) => (await list(filter)).map(({ key }) => key[0]),
    states: async () => (await list()).map(({ key, status, reopened }) => [key[0], status, reopened]),
    take: (id: string, resolution: 'source' | 'target' | 'skip') =>
      resolveConflict(tools, { id, version: null, actor: SYSTEM }, { resolution }),
    /** Carries out all decisions, as a run does. */
    carryOut: async (of: ConflictJob, outcome: Omit<ResolvedOutcome, 'id'>) => {
      const outcomes = (await decisions()).map(({ id, version }) => ({ id, version, ...outcome }))
      await settleConflicts(tools, of, { target: REF, outcomes })
    },
    [Symbol.asyncDispose]: () => held[Symbol.asyncDispose](),
  }
}

const applied = (source: string | null, target: string | null) =>
  ({ outcome: 'applied', sourceFingerprint: source, targetFingerprint: target }) as const

describe.each(STORE_KINDS)('conflicts in %s', (kind) => {
  test('told again after a crash a conflict is there once, in its place; what is not told of has gone', async () => {
    await using it = await withStore(kind)
    const { tools, store } = it
    await parkConflicts(tools, job('job_1'), TABLE, [conflict('a'), conflict('b')])
    await Promise.all(
      [1, 2, 3].map(() => parkConflicts(tools, job('job_1'), TABLE, [conflict('b'), conflict('c'), conflict('c')])),
    )
    await closeConflicts(store, job('job_1'), REF)
    expect((await it.list()).map(({ key, seq, status, version }) => [key, seq, status, version])).toEqual([
      [['a'], 1, 'open', 1],
      [['b'], 2, 'open', 1],
      [['c'], 3, 'open', 1],
    ])
    const [, b] = await it.list()
    await it.take(must(b, 'b').id, 'target')
    await parkConflicts(tools, job('job_2'), TABLE, [conflict('c')])
    await closeConflicts(store, job('job_2'), REF)
    expect(await it.states()).toEqual([
      ['a', 'closed', 0],
      ['b', 'closed', 0],
      ['c', 'open', 0],
    ])
    expect(await it.decisions()).toEqual([])
    await parkConflicts(tools, job('job_3'), TABLE, [conflict('a')])
    expect(await it.keys({ status: ['open'] })).toEqual(['a', 'c'])
    // Another scope knows nothing of it.
    const other = { id: 'job_9', configId: null, scope: 'job_9' }
    await parkConflicts(tools, other, TABLE, [conflict('a')])
    await closeConflicts(store, job('job_4'), REF)
    expect(await it.keys({ scope: 'job_9', status: ['open'] })).toEqual(['a'])
    expect(await it.keys({ status: ['open'] })).toEqual([])
  })

  test('D15: a decision holds while both sides are what they were; otherwise it is open again, and says so', async () => {
    await using it = await withStore(kind)
    const { tools } = it
    const found = ['a', 'b', 'c', 'd'].map((key) => conflict(key))
    await parkConflicts(tools, job('job_1'), TABLE, found)
    for (const { id } of found) await it.take(id, 'source')
    const retold = [
      conflict('a'),
      conflict('b', { sourceFingerprint: 'source 2', source: ['b', 'newer'] }),
      conflict('c', { targetFingerprint: null, target: null, kind: 'update_delete', fields: [] }),
    ]
    await parkConflicts(tools, job('job_2'), TABLE, retold)
    const otherMapping = { ...TABLE, mappingHash: 'other' }
    await parkConflicts(tools, job('job_2'), otherMapping, [conflict('d')])
    expect(await it.states()).toEqual([
      ['a', 'resolved', 0],
      ['b', 'open', 1],
      ['c', 'open', 1],
      ['d', 'open', 1],
    ])
    const [a, b, c] = await Promise.all(found.map(({ id }) => getConflict(tools, id)))
    expect(a).toMatchObject({ resolution: 'source', version: 2, resolvedBy: { id: 'system', name: 'system' } })
    expect(b).toMatchObject({ resolution: null, resolvedBy: null, image: { source: ['b', 'newer'] } })
    expect(c).toMatchObject({ kind: 'update_delete', image: { target: null } })
    // Whoever looked at the rows of then does not decide on those of now.
    const act = { id: found[1]?.id ?? '', version: 2, actor: SYSTEM }
    await expect(resolveConflict(tools, act, { resolution: 'target' })).rejects.toMatchObject({
      code: 'version_conflict',
    })
    expect(await it.decisions()).toMatchObject([
      { key: ['a'], sourceFingerprint: 'source 1', targetFingerprint: 'target 1', resolution: 'source', row: null },
    ])
    // The run finds that a side has moved, though nobody told of the conflict again.
    await it.carryOut(job('job_3'), { outcome: 'moved', sourceFingerprint: null, targetFingerprint: null })
    expect((await it.states())[0]).toEqual(['a', 'open', 1])
    await closeConflicts(it.store, job('job_3'), REF)
    expect(await it.keys({ status: ['closed'] })).toEqual(['a', 'b', 'c', 'd'])
  })

  test('what was carried out keeps both versions, and can be turned round', async () => {
    await using it = await withStore(kind)
    const { tools } = it
    const [a, gone, large] = [
      conflict('a'),
      conflict('gone', { kind: 'update_delete', target: null, targetFingerprint: null }),
      conflict('large', { source: null, target: null, base: null, large: true }),
    ]
    await parkConflicts(tools, job('job_1'), TABLE, [a, gone, large])
    for (const { id } of [a, gone, large]) await it.take(id, 'source')
    await it.carryOut(job('job_2'), applied('source 1', 'source 1'))
    await closeConflicts(it.store, job('job_2'), REF)
    expect(await it.states()).toEqual(['a', 'gone', 'large'].map((key) => [key, 'applied', 0]))
    expect(await it.decisions()).toEqual([])

    // The target's row is not in the target any more: the one that was kept is to be written.
    await it.take(a.id, 'target')
    await it.take(gone.id, 'target')
    await expect(it.take(large.id, 'target')).rejects.toMatchObject({ code: 'wrong_state' })
    await it.take(large.id, 'source')
    expect(await it.decisions()).toMatchObject([
      { key: ['a'], resolution: 'row', row: ['a', 'theirs'], targetFingerprint: 'source 1' },
      { key: ['gone'], resolution: 'row', row: null, targetFingerprint: 'source 1' },
      { key: ['large'], resolution: 'source', row: null },
    ])
    await it.carryOut(job('job_3'), applied('source 1', 'target 1'))
    await it.take(a.id, 'skip')
    expect(await it.decisions()).toMatchObject([{ key: ['a'], resolution: 'skip', targetFingerprint: 'target 1' }])

    // Found again with the rows that a decision left, it is carried out again; with others it is a new conflict.
    await it.carryOut(job('job_4'), applied('source 1', 'target 1'))
    await parkConflicts(tools, job('job_5'), TABLE, [
      conflict('a'),
      conflict('gone', { sourceFingerprint: 'source 3' }),
    ])
    expect(await it.states()).toEqual([
      ['a', 'resolved', 0],
      ['gone', 'open', 0],
      ['large', 'applied', 0],
    ])
  })

  test('B6: somebody who decides anew while a run carries out the former decision has the last word', async () => {
    await using it = await withStore(kind)
    const { tools } = it
    const a = conflict('a')
    await parkConflicts(tools, job('job_1'), TABLE, [a])
    await it.take(a.id, 'source')
    const [read] = await it.decisions()
    await it.take(a.id, 'target')
    const outcomes = [{ id: a.id, version: must(read, 'a decision').version, ...applied('source 1', 'source 1') }]
    await settleConflicts(tools, job('job_2'), { target: REF, outcomes })
    expect(await it.decisions()).toMatchObject([
      { resolution: 'row', row: ['a', 'theirs'], sourceFingerprint: 'source 1', targetFingerprint: 'source 1' },
    ])
    // Told of twice, it is done once.
    await it.carryOut(job('job_3'), applied('source 1', 'target 1'))
    await settleConflicts(tools, job('job_3'), { target: REF, outcomes })
    expect(await it.states()).toEqual([['a', 'applied', 0]])
  })

  test('S43: values are sealed, each box to its conflict, and are read with the new key once they are sealed anew', async () => {
    await using it = await withStore(kind)
    const { store } = it
    const [old, next] = [randomBytes(32), randomBytes(32)]
    const before: ConflictTools = { store, box: new SecretBox([old]) }
    const [a, b] = [conflict('a'), conflict('b')]
    await parkConflicts(before, job('job_1'), TABLE, [a, b])
    await resolveConflict(
      before,
      { id: a.id, version: 1, actor: SYSTEM },
      { resolution: 'row', row: ['a', `${SECRET}, built`] },
    )
    const dump = await store.db.selectFrom('conflict').selectAll().execute()
    const audit = await store.db.selectFrom('audit_event').selectAll().execute()
    expect(JSON.stringify([dump, audit])).not.toContain(SECRET)
    expect(JSON.stringify(dump)).not.toContain('source 1')
    await resealPasswords({ store, box: new SecretBox([next, old]) }, SYSTEM)
    const after = { store, box: new SecretBox([next]) }
    const opened = await getConflict(after, a.id)
    expect(opened).toMatchObject({ image: { source: ['a', SECRET] }, built: { row: ['a', `${SECRET}, built`] } })
    expect(opened.image?.base?.[1]).toEqual(Buffer.from(BYTES))
    expect(await decisionsOf(after)).toMatchObject([{ resolution: 'row', row: ['a', `${SECRET}, built`] }])
    // A decision whose boxes nobody can open stays, and is not carried out.
    expect(await getConflict(before, a.id)).toMatchObject({ image: null, marks: null, built: null, status: 'resolved' })
    expect(await decisionsOf(before)).toEqual([])
    const { image_sealed: box } = must(
      dump.find(({ id }) => id === b.id),
      'b',
    )
    await store.db.updateTable('conflict').set({ image_sealed: box }).where('id', '=', a.id).execute()
    expect((await getConflict(before, a.id)).image).toBeNull()
    expect(await findBrokenAudit(store)).toBeNull()
  })

  test('filters, pages and groups by cause', async () => {
    await using it = await withStore(kind)
    const { tools, store } = it
    const other: ConflictTable = { ...TABLE, target: { schema: 'public', name: 'other' } }
    await parkConflicts(tools, job('job_1'), TABLE, [
      conflict('a'),
      conflict('b', { fields: ['v', `we"ird`] }),
      conflict('c', { kind: 'delete_update', fields: [], strategy: 'newer_wins' }),
    ])
    await parkConflicts(tools, job('job_2'), other, [conflict('a')])
    const [a] = await it.list()
    await it.take(must(a, 'a').id, 'skip')
    const count = async (filter: ConflictFilter) => (await it.list(filter)).length
    expect(await count({ status: ['open'] })).toBe(3)
    expect(await count({ kind: ['delete_update', 'first_contact'] })).toBe(1)
    expect(await count({ strategy: ['newer_wins'] })).toBe(1)
    expect(await count({ field: 'v' })).toBe(3)
    expect(await it.keys({ field: `we"ird` })).toEqual(['b'])
    expect(await count({ field: 'we' })).toBe(0)
    expect(await count({ key: '["a"]' })).toBe(2)
    expect(await count({ target: other.target })).toBe(1)
    expect(await count({ jobId: 'job_2' })).toBe(1)
    expect(await count({ configId: 'cfg_2' })).toBe(0)
    expect(await count({ ids: [must(a, 'a').id] })).toBe(1)
    expect(await count({ datasources: ['ds_1'] })).toBe(0)
    const page = await listConflicts(store, { scope: SCOPE }, { after: 3, limit: 2, descending: true })
    expect(page.map(({ seq }) => seq)).toEqual([2, 1])
    expect(await groupConflicts(store, { scope: SCOPE, target: REF })).toEqual([
      { configId: 'cfg_1', lastJobId: 'job_1', target: REF, kind: 'delete_update', fields: [], conflicts: 1, open: 1 },
      {
        configId: 'cfg_1',
        lastJobId: 'job_1',
        target: REF,
        kind: 'update_update',
        fields: ['v', `we"ird`],
        conflicts: 1,
        open: 1,
      },
      {
        configId: 'cfg_1',
        lastJobId: 'job_1',
        target: REF,
        kind: 'update_update',
        fields: ['v'],
        conflicts: 1,
        open: 0,
      },
    ])
  })

  test('5,000 conflicts are decided in one action, as they were looked at, or not at all', async () => {
    await using it = await withStore(kind)
    const { tools, store } = it
    const many = Array.from({ length: 5_000 }, (_, i) =>
      conflict(String(i), i % 5 === 0 ? { kind: 'update_delete', target: null, fields: [] } : {}),
    )
    const started = performance.now()
    await parkConflicts(tools, job('job_1'), TABLE, many)
    const parked = performance.now()
    await parkConflicts(tools, job('job_2'), TABLE, many)
    const told = performance.now()
    const wish = { filter: { scope: SCOPE }, resolution: 'source', actor: SYSTEM, subject: SCOPE } as const
    const preview = await previewConflicts(store, wish)
    expect(preview).toMatchObject({
      conflicts: 5_000,
      kinds: [
        { kind: 'update_update', conflicts: 4_000 },
        { kind: 'update_delete', conflicts: 1_000 },
      ],
      tables: [{ target: REF, conflicts: 5_000 }],
    })
    await expect(resolveConflicts(tools, { ...wish, expect: 4_999, digest: null })).rejects.toMatchObject({
      code: 'version_conflict',
    })
    await parkConflicts(tools, job('job_2'), TABLE, [conflict('7', { sourceFingerprint: 'source 2' })])
    await expect(resolveConflicts(tools, { ...wish, expect: 5_000, digest: preview.digest })).rejects.toMatchObject({
      code: 'version_conflict',
    })
    expect(await it.decisions()).toEqual([])
    const { digest } = await previewConflicts(store, wish)
    const before = performance.now()
    const done = await resolveConflicts(tools, { ...wish, expect: 5_000, digest })
    const decided = performance.now()
    expect(done.conflicts).toBe(5_000)
    const decisions = await it.decisions()
    const read = performance.now()
    expect(decisions).toHaveLength(5_000)
    await settleConflicts(tools, job('job_3'), {
      target: REF,
      outcomes: decisions.map(({ id, version }) => ({ id, version, ...applied('source 1', 'source 1') })),
    })
    const settled = performance.now()
    const ms = (from: number, to: number): string => `${Math.round(to - from)} ms`
    process.stdout.write(
      `5,000 conflicts on ${kind}: parked ${ms(started, parked)}, told again ${ms(parked, told)}, decided ${ms(before, decided)}, read ${ms(decided, read)}, settled ${ms(read, settled)}\n`,
    )
    expect(await previewConflicts(store, wish)).toMatchObject({ conflicts: 0, kinds: [], tables: [] })
    // Nothing is left to decide, and the log is told once of what was.
    await resolveConflicts(tools, { ...wish, expect: 0, digest: null })
    const events = await store.db.selectFrom('audit_event').select(['action', 'subject', 'data']).execute()
    expect(events.map(({ action, subject }) => [action, subject])).toEqual([['conflict.resolve_many', SCOPE]])
    expect(JSON.parse(events[0]?.data ?? '')).toMatchObject({ resolution: 'source', conflicts: 5_000 })
    // What went away by itself is not decided, whatever a filter says.
    await closeConflicts(store, job('job_4'), REF)
    expect(await previewConflicts(store, { filter: { scope: SCOPE, status: ['closed'] } })).toMatchObject({
      conflicts: 0,
    })
  }, 120_000)

  test('conflicts go with their last job once they are dealt with, and the others with their sync config', async () => {
    await using it = await withStore(kind)
    const { tools, store } = it
    await insertRun(store, 'job_1')
    await addConfig(store)
    const [open, done, alone] = [conflict('a'), conflict('b'), conflict('c')]
    await parkConflicts(tools, job('job_1'), TABLE, [open, done])
    await parkConflicts(tools, { id: 'job_1', configId: null, scope: 'job_1' }, TABLE, [alone])
    await it.take(done.id, 'target')
    await it.carryOut(job('job_1'), applied('source 1', 'target 1'))
    const left = async () => {
      await purgeConflicts(store)
      return (await listConflicts(store, {}, { after: null, limit: 10 })).map(({ id }) => id)
    }
    expect(await left()).toEqual([open.id, done.id, alone.id])
    await store.db.updateTable('job').set({ status: 'succeeded', finished_at: '2020-01-01T00:00:00.000Z' }).execute()
    expect(await purgeJobs(store, '2021-01-01T00:00:00.000Z')).toBe(1)
    expect(await left()).toEqual([open.id])
    await store.db.deleteFrom('sync_config').execute()
    expect(await left()).toEqual([])
    expect(await store.db.selectFrom('conflict_table').selectAll().execute()).toEqual([])
  })
})

async function insertRun(store: Store, id: string): Promise<void> {
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
  await insertJob(store, { id, kind: 'sync', configId: null, configVersion: null, request, ...ends })
}

async function addConfig(store: Store): Promise<void> {
  const at = '2020-01-01T00:00:00.000Z'
  const datasource = {
    id: 'ds_1',
    name: 'ds',
    kind: 'postgres',
    connection: '{}',
    password_reference: null,
    password_sealed: null,
    schemas: null,
    pool_size: 1,
    connect_timeout_ms: 1,
    environment: null,
    writable: 0,
    origin: 'api',
    pin: null,
    last_test: null,
    created_at: at,
    updated_at: at,
    version: 1,
  }
  await store.db.insertInto('datasource').values(datasource).execute()
  const ends = { source_datasource_id: 'ds_1', target_datasource_id: 'ds_1' }
  await store.db
    .insertInto('sync_config')
    .values({ id: SCOPE, name: 'config', ...ends, document: '{}', version: 1, created_at: at, updated_at: at })
    .execute()
}
