import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { wallMs } from '#lib/clock.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import type { Conduct } from '#model/config-document.ts'
import { makeId } from '#model/id.ts'
import { historyOf } from '#jobs/history.ts'
import { must } from '#lib/assert.ts'
import type { WrittenBatch, WrittenChange } from '#sync/history.ts'
import { createStore, STORE_KINDS } from '#test/harness/store.ts'
import { findBrokenAudit } from './audit.ts'
import { listAudit } from './audit-list.ts'
import { resealPasswords } from './datasources.ts'
import { keyHash, partOf } from './history-codec.ts'
import {
  batchesOf,
  changesOf,
  countWrites,
  historyOfKey,
  loadsOf,
  type KeptBatch,
  type KeptChange,
} from './history-list.ts'
import type { HistoryTools } from './history.ts'
import { applyJobEvent, insertJob, type Job } from './jobs.ts'
import { claimNextJob, releaseExpired } from './leases.ts'
import { purgeHistory } from './retention.ts'
import type { Store } from './store.ts'
import { writtenJob } from './written-job.ts'

const TABLE = { schema: 'public', name: 't' }
const OTHER = { schema: 'public', name: 'u' }
const SECRET = 'what nobody may read'
type AuditLevel = Conduct['auditLevel']

const FIRST_PAGE = { newestFirst: false, after: null, limit: 1_000 }

/** A job that a process has just claimed. */
async function claimed(
  store: Store,
  { config = 'cfg_1', source = 'ds_1', target = 'ds_2', level = 'standard' as AuditLevel } = {},
) {
  const request = {
    policies: { audit_level: level },
    dryRun: false,
    tables: null,
    mode: 'incremental',
    allowProtectedWrite: false,
    targetNamed: false,
    approvedDeletes: null,
    approvedOverwrites: null,
  } as const
  const id = makeId('job', wallMs(), randomBytes(10))
  await insertJob(store, {
    id,
    kind: 'sync',
    configId: config,
    configVersion: 1,
    sourceDatasourceId: source,
    targetDatasourceId: target,
    lane: id,
    request,
    requestedBy: 'key_1',
  })
  return must(await claimNextJob(store, { owner: 'a', leaseMs: 60_000 }), 'a job')
}

function telling(job: Job, level: AuditLevel, tools: HistoryTools) {
  return must(historyOf(job, level, tools), 'a history')
}

function batch(number: number, changes: readonly WrittenChange[], given: Partial<WrittenBatch> = {}): WrittenBatch {
  return {
    mappingId: 'm',
    mappingHash: 'h',
    target: TABLE,
    key: ['id'],
    columns: ['id', 'v'],
    batch: number,
    kind: 'apply',
    changes,
    ...given,
  }
}

function update(id: string, from: string, to: string): WrittenChange {
  const baseline = { source: 'f1', target: 'f2' }
  return { op: 'update', key: [id], image: { before: [id, from], after: [id, to], baseline, large: false } }
}

function insert(id: string, v: string): WrittenChange {
  return { op: 'insert', key: [id], image: { before: null, after: [id, v], baseline: null, large: false } }
}

async function told(tools: HistoryTools, jobId: string): Promise<KeptBatch[]> {
  const all: KeptBatch[] = []
  for await (const each of batchesOf(tools, jobId)) all.push(each)
  return all
}

function wordsOf({ batch: { target, kind, rows }, change }: KeptChange): string {
  return `${target.name} ${kind === 'load' ? `load of ${rows}` : `${change?.op} ${String(change?.key[0])}`}`
}

const keysOf = (kept: readonly KeptBatch[]) => kept.map((each) => each.changes?.map(({ key }) => key[0]))

describe.each(STORE_KINDS)('the history in %s', (kind) => {
  async function open() {
    const held = await createStore(kind)
    const tools: HistoryTools = { store: held.store, box: new SecretBox([randomBytes(32)]) }
    return { tools, store: held.store, [Symbol.asyncDispose]: () => held[Symbol.asyncDispose]() }
  }

  test('a level keeps what it says: nothing, keys, or whole rows', async () => {
    await using held = await open()
    const job = await claimed(held.store)
    for (const level of ['none', 'summary'] as const) expect(historyOf(job, level, held.tools)).toBeNull()
    const dry = { ...job, request: { ...job.request, dryRun: true } }
    expect(historyOf(dry, 'detailed', held.tools)).toBeNull()
    await telling(job, 'standard', held.tools).keep(batch(1, [update('1', 'a', 'b')]))
    await telling(job, 'detailed', held.tools).keep(batch(2, [update('1', 'b', 'c')]))
    const kept = await told(held.tools, job.id)
    expect(kept.map(({ columns, key }) => [key, columns])).toEqual([
      [['id'], []],
      [['id'], ['id', 'v']],
    ])
    expect(kept[0]?.changes).toEqual([{ op: 'update', key: ['1'], image: null }])
    expect(kept[1]?.changes).toEqual([update('1', 'b', 'c')])
  })

  test('values arrive as they were: bytes, NULL, empty, hostile, and half a character', async () => {
    await using held = await open()
    const job = await claimed(held.store)
    const values = [
      null,
      '',
      '\0',
      '\uD800',
      'é',
      '{"base64":"eA=="}',
      new Uint8Array([0, 255, 10]),
      new Uint8Array(),
      'x'.repeat(300_000),
    ]
    const columns = values.map((_, i) => `c${i}`)
    const change: WrittenChange = {
      op: 'update',
      key: values,
      image: { before: values, after: values.toReversed(), baseline: null, large: true },
    }
    const history = telling(job, 'detailed', held.tools)
    await history.keep(batch(1, [change], { columns, key: columns }))
    const [kept] = await told(held.tools, job.id)
    const plain = (row: unknown) => (row as readonly unknown[]).map((v) => (v instanceof Uint8Array ? [...v] : v))
    const [read] = kept?.changes ?? []
    expect(plain(read?.key)).toEqual(plain(values))
    expect(plain(read?.image?.before)).toEqual(plain(values))
    expect(plain(read?.image?.after)).toEqual(plain(values.toReversed()))
    const scope = { configId: 'cfg_1' }
    const found = await historyOfKey(
      held.tools,
      { scope, target: TABLE, key: values, datasources: null },
      { after: null, limit: 5 },
    )
    expect(found).toHaveLength(1)
  })

  test('what was told and never committed is forgotten when the job goes on; what is told again is there once', async () => {
    await using held = await open()
    const job = await claimed(held.store)
    const history = telling(job, 'detailed', held.tools)
    await history.begin('m', 0)
    await history.keep(batch(1, [insert('1', 'a')]))
    await history.keep(batch(2, [insert('2', 'a')]))
    await history.keep(batch(2, [insert('3', 'a')]))
    await history.keep(batch(1, [insert('9', 'a')], { mappingId: 'n', target: OTHER }))
    await history.loaded({ mappingId: 'l', target: { schema: 's', name: 'loaded' }, rows: 7, digest: 'abc' })
    await history.loaded({ mappingId: 'l', target: { schema: 's', name: 'loaded' }, rows: 8, digest: 'abd' })
    expect(keysOf(await told(held.tools, job.id))).toEqual([['1'], ['3'], ['9'], []])
    await history.begin('m', 1)
    await history.begin('l', 0)
    expect(keysOf(await told(held.tools, job.id))).toEqual([['1'], ['9'], []])
    await history.keep(batch(2, [insert('4', 'a')]))
    const kept = await told(held.tools, job.id)
    expect(keysOf(kept)).toEqual([['1'], ['9'], [], ['4']])
    expect(kept[2]).toMatchObject({ kind: 'load', rows: 8, digest: 'abd', batch: 0 })
    const { count } = await held.store.db
      .selectFrom('history_key')
      .select((select) => select.fn.countAll().as('count'))
      .executeTakeFirstOrThrow()
    expect(Number(count), 'keys of forgotten batches are gone').toBe(3)
    expect(await countWrites(held.store, {})).toMatchObject([
      { target: TABLE, inserted: 2, batches: 2, loaded: 0 },
      { target: OTHER, inserted: 1 },
      { target: { name: 'loaded' }, inserted: 8, loaded: 8, batches: 1 },
    ])
    const newest: KeptBatch[] = []
    for await (const each of batchesOf(held.tools, job.id, { newestFirst: true })) newest.push(each)
    expect(keysOf(newest)).toEqual([['4'], [], ['9'], ['1']])
  })

  test('a process that has lost the job tells nothing any more, and forgets nothing', async () => {
    await using held = await open()
    const job = await claimed(held.store)
    const late = telling(job, 'standard', held.tools)
    await late.keep(batch(1, [insert('1', 'a')]))
    await held.store.db.updateTable('job').set({ lease_expires_at: '2000-01-01T00:00:00.000Z' }).execute()
    await releaseExpired(held.store)
    const again = must(await claimNextJob(held.store, { owner: 'b', leaseMs: 60_000 }), 'the job again')
    const history = telling(again, 'standard', held.tools)
    await history.begin('m', 1)
    await history.keep(batch(2, [insert('2', 'b')]))
    for (const deed of [
      () => late.keep(batch(2, [insert('8', 'x')])),
      () => late.begin('m', 0),
      () => late.loaded({ mappingId: 'm', target: TABLE, rows: 1, digest: '' }),
    ]) {
      await expect(deed()).rejects.toMatchObject({ code: 'lease_lost' })
    }
    expect(keysOf(await told(held.tools, job.id))).toEqual([['1'], ['2']])
  })

  test('the changes of one key are found across jobs, the newest first, page by page, within config, datasource and scope', async () => {
    await using held = await open()
    const jobs: Job[] = []
    for (let i = 0; i < 5; i++) {
      const job = await claimed(held.store, i === 4 ? { config: 'cfg_2', source: 'ds_9' } : {})
      jobs.push(job)
      const history = telling(job, 'detailed', held.tools)
      await history.keep(batch(1, [update('0', 'x', 'y'), update('1', `v${i}`, `v${i + 1}`)]))
      await history.keep(batch(1, [update('1', 'p', 'q')], { mappingId: 'n', target: OTHER }))
    }
    // Another key that has the same hash by chance.
    const [one] = await held.store.db
      .selectFrom('history_batch')
      .select('id')
      .where('job_id', '=', jobs[0]?.id ?? '')
      .orderBy('id')
      .execute()
    const hash = keyHash(TABLE, ['1'])
    const { id } = must(one, 'a batch')
    await held.store.db
      .insertInto('history_key')
      .values({ part: partOf(id), hash, batch_id: id, place: 0 })
      .execute()
    const of = { target: TABLE, key: ['1'] }
    const ask = async (
      scope: Parameters<typeof historyOfKey>[1]['scope'],
      datasources: readonly string[] | null = null,
    ) => {
      const found = await historyOfKey(held.tools, { scope, ...of, datasources }, { after: null, limit: 10 })
      return found.map(({ change, batch: { jobId } }) => [
        jobs.findIndex(({ id }) => id === jobId),
        change?.image?.after?.[1],
      ])
    }
    const mine = [
      [3, 'v4'],
      [2, 'v3'],
      [1, 'v2'],
      [0, 'v1'],
    ]
    expect(await ask({ configId: 'cfg_1' })).toEqual(mine)
    expect(await ask({ targetDatasourceId: 'ds_2' })).toEqual([[4, 'v5'], ...mine])
    expect(await ask({ targetDatasourceId: 'ds_2' }, ['ds_1', 'ds_2'])).toEqual(mine)
    expect(await ask({ targetDatasourceId: 'ds_2' }, ['ds_2'])).toEqual([])
    expect(await ask({ targetDatasourceId: 'ds_2' }, [])).toEqual([])
    const scope = { configId: 'cfg_1' }
    const pages: unknown[] = []
    for (let after = null as Parameters<typeof historyOfKey>[2]['after']; ;) {
      const page = await historyOfKey(held.tools, { scope, ...of, datasources: null }, { after, limit: 2 })
      if (page.length === 0) break
      pages.push(page.map(({ change }) => change?.image?.after?.[1]))
      after = page.at(-1)?.mark ?? null
    }
    expect(pages).toEqual([
      ['v4', 'v3'],
      ['v2', 'v1'],
    ])
  })

  test('changes of a job by table, operation and key, both ways and page by page', async () => {
    await using held = await open()
    const job = await claimed(held.store)
    const history = telling(job, 'standard', held.tools)
    const remove: WrittenChange = { op: 'delete', key: ['5'], image: null }
    await history.keep(batch(1, [insert('1', 'a'), insert('2', 'a')]))
    await history.keep(batch(1, [insert('1', 'a'), remove], { mappingId: 'n', target: OTHER }))
    await history.loaded({ mappingId: 'l', target: OTHER, rows: 3, digest: '' })
    await history.keep(batch(2, [update('1', 'a', 'b'), update('3', 'a', 'b')]))
    const ask = async (filter: object, wish = FIRST_PAGE) => {
      return (await changesOf(held.tools, { jobId: job.id, ...filter }, wish)).map(wordsOf)
    }
    const all = ['t insert 1', 't insert 2', 'u insert 1', 'u delete 5', 'u load of 3', 't update 1', 't update 3']
    expect(await ask({})).toEqual(all)
    expect(await ask({}, { ...FIRST_PAGE, newestFirst: true })).toEqual(all.toReversed())
    expect(await ask({ target: TABLE, ops: ['update', 'delete'] })).toEqual(['t update 1', 't update 3'])
    expect(await ask({ key: ['1'] })).toEqual(['t insert 1', 'u insert 1', 't update 1'])
    expect(await ask({ key: ['1'], target: OTHER })).toEqual(['u insert 1'])
    expect(await ask({ key: ['7'] })).toEqual([])
    for (const newestFirst of [false, true]) {
      const seen: string[] = []
      for (let after = null as Parameters<typeof changesOf>[2]['after']; ;) {
        const page = await changesOf(held.tools, { jobId: job.id }, { newestFirst, after, limit: 1 })
        if (page.length === 0) break
        seen.push(...page.map(wordsOf))
        after = page.at(-1)?.mark ?? null
      }
      expect(seen).toEqual(newestFirst ? all.toReversed() : all)
    }
    const loads = await loadsOf(held.tools, { scope: { configId: 'cfg_1' }, target: OTHER, datasources: null }, 5)
    expect(loads.map(({ rows }) => rows)).toEqual([3])
  })

  test('what a job wrote is read back for undoing it, the newest first, and it is told where some of it is lacking', async () => {
    await using held = await open()
    const { store, tools } = held
    const job = await claimed(store)
    const history = telling(job, 'detailed', tools)
    const huge: WrittenChange = {
      op: 'delete',
      key: ['9'],
      image: { before: null, after: null, baseline: null, large: true },
    }
    await history.keep(batch(1, [insert('1', 'a'), update('2', 'a', 'b')]))
    await history.keep(batch(1, [insert('7', 'a')], { mappingId: 'n', target: OTHER }))
    await history.keep(batch(2, [huge, update('1', 'a', 'b')]))
    const read = async () => {
      const written = await writtenJob(tools, job.id)
      const changes: WrittenChange[][] = []
      for (const table of written.tables) {
        const all: WrittenChange[] = []
        for await (const some of written.changes(table)) all.push(...some)
        changes.push(all)
      }
      return { tables: written.tables, changes }
    }
    const t = { mappingId: 'm', mappingHash: 'h', target: TABLE, key: ['id'], columns: ['id', 'v'], complete: true }
    const u = { ...t, mappingId: 'n', target: OTHER }
    expect(await read()).toEqual({
      tables: [t, u],
      changes: [[update('1', 'a', 'b'), huge, update('2', 'a', 'b'), insert('1', 'a')], [insert('7', 'a')]],
    })
    const complete = async () => (await writtenJob(tools, job.id)).tables.map((table) => table.complete)
    await history.loaded({ mappingId: 'n', target: OTHER, rows: 5, digest: '' })
    expect(await complete(), 'a load').toEqual([true, false])
    await history.keep(batch(4, [insert('4', 'a')]))
    expect(await complete(), 'a batch is missing').toEqual([false, false])
    await history.keep(batch(3, [insert('3', 'a')]))
    expect(await complete()).toEqual([true, false])
    await telling(job, 'standard', tools).keep(batch(4, [insert('4', 'a')]))
    expect(await complete(), 'keys alone').toEqual([false, false])
    await history.keep(batch(4, [insert('4', 'a')], { columns: ['id', 'v', 'w'] }))
    expect(await complete(), 'other columns').toEqual([false, false])
    await store.db.updateTable('history_batch').set({ mapping_hash: 'x' }).where('mapping_id', '=', 'm').execute()
    await expect(read()).rejects.toMatchObject({ code: 'not_revertible' })
  })

  test('S43: rows are sealed with all that stands beside them, and are read with the new key once they are sealed anew', async () => {
    await using held = await open()
    const { store } = held
    const [old, next] = [randomBytes(32), randomBytes(32)]
    const before = { store, box: new SecretBox([old]) }
    const job = await claimed(store)
    const history = telling(job, 'detailed', before)
    for (let i = 1; i <= 3; i++) await history.keep(batch(i, [update(SECRET, SECRET, `${SECRET} ${i}`)]))
    const dump = await store.db.selectFrom('history_batch').selectAll().execute()
    for (const { body } of dump) expect(Buffer.from(body).toString('latin1')).not.toContain(SECRET)
    const keys = await store.db.selectFrom('history_key').selectAll().execute()
    const audit = await store.db.selectFrom('audit_event').selectAll().execute()
    expect(JSON.stringify([dump, keys, audit])).not.toContain(SECRET)
    await resealPasswords({ store, box: new SecretBox([next, old]) }, SYSTEM)
    const after = { store, box: new SecretBox([next]) }
    expect(keysOf(await told(after, job.id))).toEqual([[SECRET], [SECRET], [SECRET]])
    expect(keysOf(await told(before, job.id))).toEqual([undefined, undefined, undefined])
    const unreadable = await changesOf(before, { jobId: job.id }, FIRST_PAGE)
    expect(unreadable.map(({ place, change }) => [place, change])).toEqual([
      [null, null],
      [null, null],
      [null, null],
    ])
    const [a, b, c] = dump.map(({ id }) => id)
    const bodyOf = async (id: number) =>
      (await store.db.selectFrom('history_batch').select('body').where('id', '=', id).executeTakeFirstOrThrow()).body
    const tamper = (id: number, set: object) =>
      store.db.updateTable('history_batch').set(set).where('id', '=', id).execute()
    await tamper(a ?? 0, { body: await bodyOf(b ?? 0) })
    await tamper(c ?? 0, { inserted: 1 })
    expect(keysOf(await told(after, job.id))).toEqual([undefined, [SECRET], undefined])
    expect(await findBrokenAudit(store)).toBeNull()
  })

  test('how a job ended is in the audit log with its counts and the size of its history, unless its level is none', async () => {
    await using held = await open()
    const { store } = held
    const ends: unknown[] = []
    for (const level of ['none', 'summary', 'standard'] as const) {
      const job = await claimed(store, { level })
      await historyOf(job, level, held.tools)?.keep(batch(1, [insert('1', 'a'), insert('2', 'a')]))
      const hold = { jobId: job.id, owner: 'a', epoch: job.epoch }
      const counts = {
        read: 2,
        inserted: 2,
        updated: 0,
        deleted: 0,
        unchanged: 0,
        skipped: 0,
        conflicted: 0,
        rejected: 0,
      }
      await applyJobEvent(store, { id: job.id, event: 'succeed', hold }, { counts })
      const [end] = await listAudit(
        store,
        { subject: job.id, action: 'job' },
        { oldestFirst: false, after: null, limit: 5 },
      )
      ends.push(end === undefined ? null : [end.action, JSON.parse(end.data)])
    }
    const data = {
      status: 'succeeded',
      kind: 'sync',
      counts: expect.objectContaining({ inserted: 2 }) as unknown,
      error: null,
    }
    expect(ends).toEqual([
      null,
      ['job.end', { ...data, history: { batches: 0, rows: 0 } }],
      ['job.end', { ...data, history: { batches: 1, rows: 2 } }],
    ])
    expect(await findBrokenAudit(store)).toBeNull()
  })

  test('what is older than the retention goes with its keys, and the log says so', async () => {
    await using held = await open()
    const { store, tools } = held
    const job = await claimed(store)
    const history = telling(job, 'standard', tools)
    for (let i = 1; i <= 250; i++) await history.keep(batch(i, [insert(String(i), 'a')]))
    await store.db
      .updateTable('history_batch')
      .set({ at: '2020-01-01T00:00:00.000Z' })
      .where('batch', '<=', 240)
      .execute()
    expect(await purgeHistory(store, '2019-01-01T00:00:00.000Z')).toBe(0)
    expect(await purgeHistory(store, '2021-01-01T00:00:00.000Z')).toBe(240)
    expect(keysOf(await told(tools, job.id))).toEqual(Array.from({ length: 10 }, (_, i) => [String(241 + i)]))
    expect(await store.db.selectFrom('history_key').selectAll().execute()).toHaveLength(10)
    const [event] = await listAudit(store, { action: 'history.cut' }, { oldestFirst: false, after: null, limit: 5 })
    expect(JSON.parse(event?.data ?? '{}')).toEqual({ before: '2021-01-01T00:00:00.000Z', batches: 240, rows: 240 })
  })
})
