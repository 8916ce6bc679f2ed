/** Conflicts in one way: what both sides changed since they last agreed, by each strategy, on real servers. */
import { describe, expect, test } from 'vitest'

import { openChangeSet } from '#control/change-sets.ts'
import { StoredHistory } from '#control/history.ts'
import { writtenJob } from '#control/written-job.ts'
import { written } from '#model/counts.ts'
import { DEFAULT_POLICIES, NO_OWN_CONFLICT, plainMapping, type SyncConfig } from '#model/sync-config.ts'
import { addJob, createChangeSets } from '#test/harness/change-sets.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const DELETING = { deletePolicy: 'delete', maxDeletePercent: 100, maxOverwritePercent: 100 } as const

/**
 * Every state that a row can be in on two sides that agreed once: 1 quiet, 2 changed in the source, 3 in the target, 4 in
 * both alike, 5 in both otherwise, 6 deleted in the source, 7 in the target, 8 in both, 9 deleted in the source and changed
 * in the target, 10 the other way round, 11 new in the source, 12 in the target, 13 in both alike, 14 in both otherwise.
 */
async function everyState(config: Partial<SyncConfig>): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, b text)')
  await pair.source.sql(`INSERT INTO item SELECT n, 'a', 'b' FROM generate_series(1, 10) n`)
  await pair.run(config)
  await pair.source.sql(`UPDATE item SET a = 's' WHERE id IN (2, 5, 10); UPDATE item SET a = 'x' WHERE id = 4;
    DELETE FROM item WHERE id IN (6, 8, 9); INSERT INTO item VALUES (11, 's', 'n'), (13, 'x', 'n'), (14, 's', 'n')`)
  await pair.target.sql(`UPDATE item SET a = 't' WHERE id IN (3, 5, 9); UPDATE item SET a = 'x' WHERE id = 4;
    DELETE FROM item WHERE id IN (7, 8, 10); INSERT INTO item VALUES (12, 't', 'n'), (13, 'x', 'n'), (14, 't', 'n')`)
  return pair
}

async function stateOf(pair: Pair, side: 'source' | 'target'): Promise<string> {
  const rows = await pair[side].sql('SELECT id, a, b FROM item ORDER BY id')
  return rows.map(([id, a, b]) => `${id}${a}${b}`).join(' ')
}

async function expectQuiet(pair: Pair, config: Partial<SyncConfig>, conflicts: MemoryConflicts): Promise<void> {
  const before = await stateOf(pair, 'target')
  const again = await pair.run(config, { conflicts })
  expect(written(again.counts)).toBe(0)
  expect(await stateOf(pair, 'target')).toBe(before)
  const proved = await pair.run({ ...config, verifyAfter: 'full' }, { conflicts })
  expect(written(proved.counts)).toBe(0)
  expect(proved.tables[0]?.verification).toMatchObject({ mode: 'full', changedSince: 0 })
}

describe('what becomes of every state', () => {
  test('target_wins: what the target changed stays, and what the source alone changed arrives', async () => {
    const config = { ...DELETING, conflictStrategy: 'target_wins' } as const
    await using pair = await everyState(config)
    const conflicts = new MemoryConflicts()
    const receipt = await pair.run(config, { conflicts })
    expect(await stateOf(pair, 'target')).toBe('1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn')
    expect(receipt.counts).toMatchObject({ inserted: 1, updated: 1, deleted: 1, conflicted: 0 })
    expect(conflicts.open).toEqual([])
    await expectQuiet(pair, config, conflicts)
    // What was settled is settled for these rows: a later change of the source alone is one-sided.
    await pair.source.sql(`UPDATE item SET b = 'later' WHERE id IN (5, 14)`)
    await pair.run(config, { conflicts })
    expect(await stateOf(pair, 'target')).toBe('1ab 2sb 3tb 4xb 5slater 9tb 11sn 12tn 13xn 14slater')
  })

  test('manual: conflicts wait, and hold up nobody', async () => {
    const config = { ...DELETING, conflictStrategy: 'manual' } as const
    await using pair = await everyState(config)
    const conflicts = new MemoryConflicts()
    const receipt = await pair.run(config, { conflicts })
    expect(await stateOf(pair, 'target')).toBe('1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn')
    expect(receipt.counts).toMatchObject({ inserted: 1, updated: 1, deleted: 1, conflicted: 4 })
    const open = conflicts.open.map(({ key, kind, fields }) => `${key.join()} ${kind} ${fields.join()}`)
    expect(open.toSorted()).toEqual([
      '10 update_delete ',
      '14 insert_insert a',
      '5 update_update a',
      '9 delete_update ',
    ])
    const five = conflicts.open.find(({ key }) => key[0] === '5')
    expect(five).toMatchObject({ source: ['5', 's', 'b'], target: ['5', 't', 'b'] })
    await expectQuiet(pair, config, conflicts)
    expect(conflicts.open).toHaveLength(4)
  })

  test.each([
    ['source', '1ab 2sb 3tb 4xb 5sb 10sb 11sn 12tn 13xn 14sn'],
    ['target', '1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn'],
    ['skip', '1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn'],
  ] as const)('manual: decided for %s', async (resolution, after) => {
    const config = { ...DELETING, conflictStrategy: 'manual' } as const
    await using pair = await everyState(config)
    const conflicts = new MemoryConflicts()
    await pair.run(config, { conflicts })
    conflicts.resolve(resolution)
    await pair.run(config, { conflicts })
    expect(await stateOf(pair, 'target')).toBe(after)
    expect([...conflicts.all.values()].map(({ status }) => status)).toEqual(Array(4).fill('applied'))
    await expectQuiet(pair, config, conflicts)
    expect(conflicts.open).toEqual([])
  })

  test.each([
    ['source', '1ab 2sb 3tb 4xb 5sb 10sb 11sn 12tn 13xn 14sn'],
    ['target', '1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn'],
    ['skip', '1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn'],
  ] as const)(
    'manual: decided once for all for %s, the run that finds them carries it out',
    async (resolution, after) => {
      const config = { ...DELETING, conflictStrategy: 'manual', verifyAfter: 'full' } as const
      await using pair = await everyState(config)
      const conflicts = new MemoryConflicts()
      conflicts.rule = () => resolution
      const receipt = await pair.run(config, { conflicts })
      expect(receipt.counts).toMatchObject({ conflicted: 0 })
      expect(await stateOf(pair, 'target')).toBe(after)
      expect([...conflicts.all.values()].map(({ status }) => status)).toEqual(Array(4).fill('applied'))
      await expectQuiet(pair, config, conflicts)
      // Of another sort are those for which there is no rule.
      conflicts.rule = ({ kind }) => (kind === 'update_delete' ? resolution : null)
      await pair.source.sql(`UPDATE item SET b = 'again' WHERE id = 2`)
      await pair.target.sql(`UPDATE item SET b = 'otherwise' WHERE id = 2`)
      expect((await pair.run(config, { conflicts })).counts).toMatchObject({ conflicted: 1, updated: 0 })
      expect(conflicts.open.map(({ key }) => key)).toEqual([['2']])
    },
  )

  test('manual: rows that somebody built, and a flip of what was decided', async () => {
    const config = { ...DELETING, conflictStrategy: 'manual' } as const
    await using pair = await everyState(config)
    const conflicts = new MemoryConflicts()
    await pair.run(config, { conflicts })
    const isOf = (id: string) => ({ which: ({ key }: { key: readonly unknown[] }) => key[0] === id })
    conflicts.resolve('row', { row: ['5', 'm', 'm'], ...isOf('5') })
    conflicts.resolve('row', { row: ['9', 'm', 'm'], ...isOf('9') })
    conflicts.resolve('row', { row: ['10', 'm', 'm'], ...isOf('10') })
    conflicts.resolve('row', { row: null, ...isOf('14') })
    await pair.run(config, { conflicts })
    expect(await stateOf(pair, 'target')).toBe('1ab 2sb 3tb 4xb 5mm 9mm 10mm 11sn 12tn 13xn')
    await expectQuiet(pair, config, conflicts)
    conflicts.resolve('row', { row: ['5', 't', 'b'], ...isOf('5') })
    conflicts.resolve('source', isOf('14'))
    await pair.run(config, { conflicts })
    expect(await stateOf(pair, 'target')).toBe('1ab 2sb 3tb 4xb 5tb 9mm 10mm 11sn 12tn 13xn 14sn')
    await expectQuiet(pair, config, conflicts)
  })

  test('D15: a decision on a row that moved does not apply, and the conflict is open again', async () => {
    const config = { ...DELETING, conflictStrategy: 'manual' } as const
    await using pair = await everyState(config)
    const conflicts = new MemoryConflicts()
    await pair.run(config, { conflicts })
    conflicts.resolve('source')
    await pair.source.sql(`UPDATE item SET b = 'moved' WHERE id = 5`)
    await pair.target.sql(`UPDATE item SET b = 'moved' WHERE id = 14`)
    await pair.run(config, { conflicts })
    expect(await stateOf(pair, 'target')).toBe('1ab 2sb 3tb 4xb 5tb 10sb 11sn 12tn 13xn 14tmoved')
    expect(conflicts.open.map(({ key }) => key[0])).toEqual(['5', '14'])
    expect(conflicts.open[0]?.source).toEqual(['5', 's', 'moved'])
  })

  test('merge: fields that one side changed merge, and only what both changed waits', async () => {
    const config = { ...DELETING, conflictStrategy: 'merge' } as const
    await using pair = await createPair(source, target)
    await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, b text)')
    await pair.source.sql(`INSERT INTO item SELECT n, 'a', 'b' FROM generate_series(1, 4) n`)
    await pair.run(config)
    await pair.source.sql(`UPDATE item SET a = 's' WHERE id IN (1, 2)`)
    await pair.target.sql(`UPDATE item SET b = 't' WHERE id IN (1, 3); UPDATE item SET a = 't' WHERE id = 2`)
    const conflicts = new MemoryConflicts()
    const receipt = await pair.run(config, { conflicts })
    expect(receipt.counts).toMatchObject({ updated: 1, conflicted: 1 })
    expect(await stateOf(pair, 'target')).toBe('1st 2tb 3at 4ab')
    expect(conflicts.open.map(({ key, fields }) => [key[0], ...fields])).toEqual([['2', 'a']])
    await expectQuiet(pair, config, conflicts)
    // What the target has of its own stays its own, whatever the source does next.
    await pair.source.sql(`UPDATE item SET a = 's2' WHERE id IN (1, 3, 4)`)
    await pair.run(config, { conflicts })
    expect(await stateOf(pair, 'target')).toBe('1s2t 2tb 3s2t 4s2b')
    await pair.source.sql(`UPDATE item SET b = 's3' WHERE id = 1`)
    await pair.run(config, { conflicts })
    expect(conflicts.open.map(({ key, fields }) => [key[0], ...fields])).toEqual([
      ['2', 'a'],
      ['1', 'b'],
    ])
  })

  test('merge: a field by a strategy of its own', async () => {
    const tables = [
      {
        ...plainMapping({ schema: 'public', name: 'stock' }, { schema: 'public', name: 'stock' }),
        conflict: { ...NO_OWN_CONFLICT, fields: new Map([['n', 'max']] as const) },
      },
    ]
    const config = { ...DELETING, conflictStrategy: 'merge', tables } as const
    await using pair = await createPair(source, target)
    await pair.both('CREATE TABLE stock (id int PRIMARY KEY, n numeric)')
    await pair.source.sql('INSERT INTO stock VALUES (1, 10), (2, 10)')
    await pair.run(config)
    await pair.source.sql('UPDATE stock SET n = CASE id WHEN 1 THEN 9 ELSE 100 END')
    await pair.target.sql('UPDATE stock SET n = CASE id WHEN 1 THEN 12 ELSE 20 END')
    await pair.run(config)
    expect(await pair.target.sql('SELECT * FROM stock ORDER BY id')).toEqual([
      ['1', '12'],
      ['2', '100'],
    ])
    expect(written((await pair.run(config)).counts)).toBe(0)
  })

  test('D8: newer_wins compares to the microsecond, and leaves what has no time to somebody', async () => {
    const config = { ...DELETING, conflictStrategy: 'newer_wins', newerBy: 'at' } as const
    await using pair = await createPair(source, target)
    await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, at timestamptz)')
    await pair.source.sql(`INSERT INTO item SELECT n, 'a', '2026-01-01' FROM generate_series(1, 4) n`)
    await pair.run(config)
    await pair.source.sql(`UPDATE item SET a = 's', at = '2026-02-01 00:00:00.000002+00' WHERE id < 4;
      UPDATE item SET a = 's', at = NULL WHERE id = 4`)
    await pair.target.sql(`UPDATE item SET a = 't', at = '2026-02-01 00:00:00.000001+00' WHERE id = 1;
      UPDATE item SET a = 't', at = '2026-02-01 00:00:00.000003+00' WHERE id = 2;
      UPDATE item SET a = 't', at = '2026-02-01 00:00:00.000002+00' WHERE id = 3; UPDATE item SET a = 't' WHERE id = 4`)
    const conflicts = new MemoryConflicts()
    const receipt = await pair.run(config, { conflicts })
    expect(await pair.target.sql('SELECT id, a FROM item ORDER BY id')).toEqual([
      ['1', 's'],
      ['2', 't'],
      ['3', 's'],
      ['4', 't'],
    ])
    expect(receipt.counts).toMatchObject({ updated: 2, conflicted: 1 })
    expect(conflicts.open.map(({ reason }) => reason)).toEqual(['The row of the source has no time.'])
    expect(written((await pair.run(config, { conflicts })).counts)).toBe(0)
  })
})

test('first contact: rows that were never known to agree wait, and equal ones are adopted', async () => {
  const config = { ...DELETING, conflictStrategy: 'manual' } as const
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, b text)')
  await pair.source.sql(`INSERT INTO item SELECT n, 'a', 'b' FROM generate_series(1, 1000) n`)
  await pair.target
    .sql(`INSERT INTO item SELECT n, CASE WHEN n <= 3 THEN 't' ELSE 'a' END, 'b' FROM generate_series(1, 999) n;
    INSERT INTO item VALUES (2000, 't', 't')`)
  const conflicts = new MemoryConflicts()
  const receipt = await pair.run(config, { conflicts })
  expect(receipt.counts).toMatchObject({ inserted: 1, conflicted: 3, unchanged: 996, skipped: 1 })
  expect(new Set(conflicts.open.map(({ kind }) => kind))).toEqual(new Set(['first_contact']))
  expect(receipt.tables[0]?.verification.mode).toBe('full')
  await pair.source.sql(`UPDATE item SET a = 's' WHERE id = 500`)
  await pair.target.sql(`UPDATE item SET a = 't' WHERE id = 500`)
  await pair.run(config, { conflicts })
  expect(conflicts.open.map(({ key, kind }) => `${key.join()} ${kind}`)).toContain('500 update_update')
})

test('a target that somebody emptied is no empty one: its rows were deleted', async () => {
  const config = { ...DEFAULT_POLICIES, conflictStrategy: 'target_wins' } as const
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, b text)')
  await pair.source.sql(`INSERT INTO item SELECT n, 'a', 'b' FROM generate_series(1, 10) n`)
  await pair.run(config)
  await pair.target.sql('TRUNCATE item')
  const receipt = await pair.run(config)
  expect(receipt.counts).toMatchObject({ inserted: 0, skipped: 10 })
})

test('D16: undoing a job gives back what was agreed on a row that one side did not have', async () => {
  const config = { ...DELETING, conflictStrategy: 'target_wins' } as const
  await using pair = await createPair(source, target)
  await using kept = await createChangeSets('sqlite')
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, b text)')
  await pair.source.sql(`INSERT INTO item VALUES (1, 'a', 'b'), (2, 'a', 'b')`)
  await pair.run(config)
  await pair.source.sql(`UPDATE item SET a = 's' WHERE id = 1`)
  await pair.target.sql('DELETE FROM item WHERE id = 1')
  await pair.run(config)
  const baselineOf = async (): Promise<unknown> => {
    const [[name = ''] = []] = await pair.target.sql(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'syncline' AND tablename LIKE 'baseline%'`,
    )
    return pair.target.sql(`SELECT b::text FROM syncline.${name} b ORDER BY 1`)
  }
  const before = await baselineOf()
  await pair.source.sql(`UPDATE item SET a = 's2' WHERE id = 1`)
  const tellingOf = (id: string) => {
    const job = { id, configId: null, sourceDatasourceId: 'ds_1', targetDatasourceId: 'ds_2', epoch: 0 }
    return {
      history: new StoredHistory(kept.tools, job, 'images'),
      job: { id, lease: 1, confirm: () => Promise.resolve() },
    }
  }
  const jobId = await addJob(kept.store)
  const receipt = await pair.run(config, tellingOf(jobId))
  expect(receipt.counts).toMatchObject({ inserted: 1 })
  const own = await addJob(kept.store)
  await using set = openChangeSet(kept.tools, { jobId: own, staging: 'embedded' })
  const job = await writtenJob(kept.tools, jobId)
  const summary = await pair.planRevert({ job, set, choice: { tables: null, keys: null } })
  await pair.revert(set, summary, tellingOf(own))
  expect(await stateOf(pair, 'target')).toBe('2ab')
  expect(await baselineOf()).toEqual(before)
})

test('rows on which the sides agreed to differ are counted as that beside rows that change', async () => {
  const config = { ...DELETING, conflictStrategy: 'target_wins', verifyAfter: 'full' } as const
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, b text)')
  await pair.source.sql(`INSERT INTO item SELECT n, 'a', 'b' FROM generate_series(1, 5000) n; ANALYZE item`)
  await pair.run(config)
  await pair.both(`UPDATE item SET b = current_database() WHERE id IN (2000, 2500)`)
  expect((await pair.run(config)).counts).toMatchObject({ skipped: 2, unchanged: 4_998 })
  // In the bucket of the one, and in another part of it.
  await pair.source.sql(`UPDATE item SET a = 's' WHERE id = 2030`)
  const { counts } = await pair.run(config)
  expect(counts).toMatchObject({ read: 5_000, skipped: 2, updated: 1, unchanged: 4_997 })
})

test('B3: rows that stand apart do so still where the answer is lost to the COMMIT by which a baseline is filled', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text)')
  await pair.source.sql(`INSERT INTO item SELECT n, 'a' FROM generate_series(1, 5) n`)
  await pair.target.sql(`INSERT INTO item VALUES (1, 'a'), (4, 'other'), (9, 'own')`)
  await using proxy = await startFaultProxyFor(pair.target.url)
  const config = { ...DELETING, deleteScope: 'owned', conflictStrategy: 'manual', verifyAfter: 'full' } as const
  const conflicts = new MemoryConflicts()
  const receipt = await pair.run(config, {
    conflicts,
    targetUrl: proxy.url(pair.target.url),
    beforeWrite: async (what) => {
      if (what === 'baseline') await proxy.dropNextCommitReply()
    },
  })
  expect(receipt.counts).toMatchObject({ inserted: 3, conflicted: 1 })
  expect(proxy.counts.commitRepliesDropped).toBeGreaterThan(0)
  const again = await pair.run(config, { conflicts })
  expect(again.counts).toMatchObject({ inserted: 0, updated: 0, deleted: 0, conflicted: 1 })
  expect(conflicts.open).toMatchObject([{ key: ['4'], kind: 'first_contact' }])
  expect(await pair.target.sql('SELECT * FROM item WHERE id IN (4, 9) ORDER BY id')).toEqual([
    ['4', 'other'],
    ['9', 'own'],
  ])
})

test('B3: a baseline whose rows are all in step is filled where the answer to that COMMIT is lost', async () => {
  await using pair = await createPair(source, target)
  await pair.both(`CREATE TABLE item (id int PRIMARY KEY, a text);
    INSERT INTO item SELECT n, 'a' FROM generate_series(1, 5) n`)
  await using proxy = await startFaultProxyFor(pair.target.url)
  const config = { ...DELETING, conflictStrategy: 'manual', verifyAfter: 'full' } as const
  const receipt = await pair.run(config, {
    targetUrl: proxy.url(pair.target.url),
    beforeWrite: async (what) => {
      if (what === 'baseline') await proxy.dropNextCommitReply()
    },
  })
  expect(receipt.counts).toMatchObject({ unchanged: 5 })
  expect(proxy.counts.commitRepliesDropped).toBeGreaterThan(0)
  await pair.target.sql(`UPDATE item SET a = 't' WHERE id = 1`)
  await pair.source.sql(`UPDATE item SET a = 's' WHERE id = 2`)
  expect((await pair.run(config)).counts).toMatchObject({ updated: 1, conflicted: 0 })
})
