/** Conflicts in jobs that write all at once: nothing is written before each of them is decided, and then exactly that. */
import { afterEach, describe, expect, test } from 'vitest'

import { resolveConflicts } from '#control/decide-conflicts.ts'
import { expireWaiting, goOnWithDecisions } from '#jobs/review-job.ts'
import { must } from '#lib/assert.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { SYSTEM } from '#model/access.ts'
import { written } from '#model/counts.ts'
import type { Job } from '#control/jobs.ts'
import { approve, changesOf } from '#test/api/change-calls.ts'
import { createLab, type Fields, type Lab } from '#test/harness/quarantine.ts'

const TABLE = 'CREATE TABLE item (id int PRIMARY KEY, a text, b text, at int)'
const DELETING = { delete_policy: 'delete', max_delete_percent: 100, max_overwrite_percent: 100 } as const
const MODES = ['staged', 'approval'] as const

type Mode = (typeof MODES)[number]

afterEach(() => armFailpoint('none:1:throw'))

/**
 * The fourteen states of `everyState` in conflicts.db.test.ts, and 15: a field that the source changed, and another one that
 * the target did. The source's change is the newer one.
 */
async function everyState(mode: Mode, policies: object): Promise<Lab> {
  const lab = await createLab(
    'sqlite',
    {
      source: `${TABLE}; INSERT INTO item SELECT n, 'a', 'b', 0 FROM generate_series(1, 10) n; INSERT INTO item VALUES (15, 'a', 'b', 0)`,
      target: TABLE,
    },
    { ...DELETING, commit_mode: mode, ...policies },
  )
  await pass(lab, mode)
  await lab.source.sql(`UPDATE item SET a = 's' WHERE id IN (2, 5, 10, 15); UPDATE item SET a = 'x' WHERE id = 4;
    DELETE FROM item WHERE id IN (6, 8, 9); INSERT INTO item VALUES (11, 's', 'n'), (13, 'x', 'n'), (14, 's', 'n')`)
  await lab.target.sql(`UPDATE item SET a = 't' WHERE id IN (3, 5, 9); UPDATE item SET a = 'x' WHERE id = 4;
    UPDATE item SET b = 't' WHERE id = 15; DELETE FROM item WHERE id IN (7, 8, 10);
    INSERT INTO item VALUES (12, 't', 'n'), (13, 'x', 'n'), (14, 't', 'n')`)
  if ('newer_by' in policies) {
    await lab.source.sql('UPDATE item SET at = 2 WHERE id IN (5, 14, 15)')
    await lab.target.sql('UPDATE item SET at = 1 WHERE id IN (5, 14, 15)')
  }
  return lab
}

/** A run in which nobody has anything to decide. */
async function pass(lab: Lab, mode: Mode): Promise<Job> {
  if (mode === 'staged') return lab.run()
  const asked = await lab.run({}, 'awaiting_approval')
  return yes(lab, asked)
}

async function yes(lab: Lab, { id }: Pick<Job, 'id'>, until: Job['status'] = 'succeeded'): Promise<Job> {
  expect((await approve(lab, id)).statusCode).toBe(202)
  return lab.work(until)
}

/** Goes on with decisions that were taken: alone, or with a person's yes. */
async function goOn(lab: Lab, mode: Mode): Promise<Job> {
  if (mode === 'staged') return lab.work()
  return yes(lab, await lab.work('awaiting_approval'))
}

async function stateOf(lab: Lab): Promise<string> {
  const rows = await lab.target.sql('SELECT id, a, b FROM item ORDER BY id')
  return rows.map(([id, a, b]) => `${id}${a}${b}`).join(' ')
}

/** The rows of the target, and all that it remembers of them. */
async function everything(lab: Lab): Promise<unknown> {
  const [[name = ''] = []] = await lab.target.sql(
    `SELECT tablename FROM pg_tables WHERE schemaname = 'syncline' AND tablename LIKE 'baseline%'`,
  )
  const baseline = await lab.target.sql(`SELECT b::text FROM syncline.${name} b ORDER BY 1`)
  return [await stateOf(lab), baseline, await lab.target.sql('SELECT epoch FROM syncline.state')]
}

async function conflictsOf(lab: Lab, status = 'open'): Promise<readonly Fields[]> {
  const { items } = await lab.ask('GET', `/api/sync/${lab.config}/conflicts?status=${status}&limit=100`)
  return items as readonly Fields[]
}

const keysOf = (conflicts: readonly Fields[]): string[] =>
  conflicts.map(({ key }) => (key as string[]).join()).toSorted((a, b) => Number(a) - Number(b))

async function decideOne(lab: Lab, key: string, body: object): Promise<Fields> {
  const [found] = (await conflictsOf(lab, 'open,resolved,applied')).filter((one) => String(one['key']) === key)
  return lab.ask('POST', `/api/sync/${lab.config}/resolve/${String(found?.['id'])}`, body)
}

const decideAll = (lab: Lab, take: string): Promise<Fields> =>
  lab.ask('POST', `/api/sync/${lab.config}/resolve`, { take, filter: {} })

/** A further run writes nothing, and proves all of it. */
async function expectQuiet(lab: Lab): Promise<void> {
  const before = await stateOf(lab)
  const again = await lab.run()
  expect(written(must(again.counts, 'counts'))).toBe(0)
  expect(await stateOf(lab)).toBe(before)
  expect(await conflictsOf(lab)).toEqual([])
}

describe.each(MODES)('commit_mode %s', (mode) => {
  test('target_wins: nobody is asked about conflicts, and what was settled is remembered', async () => {
    await using lab = await everyState(mode, { conflict_strategy: 'target_wins' })
    const job = await pass(lab, mode)
    expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn 15at')
    expect(job.counts).toMatchObject({ inserted: 1, updated: 1, deleted: 1, conflicted: 0 })
    await lab.source.sql(`UPDATE item SET b = 'later' WHERE id IN (5, 14)`)
    await pass(lab, mode)
    expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5slater 9tb 11sn 12tn 13xn 14slater 15at')
  })

  test.each([
    ['manual', {}, ['5', '9', '10', '14', '15'], '15sb'],
    ['newer_wins', { newer_by: 'at' }, ['9', '10'], '15sb'],
    ['merge', {}, ['5', '9', '10', '14'], '15st'],
  ] as const)(
    '%s: nothing is written before the last conflict is decided, then all in one transaction',
    async (strategy, more, waiting, fifteen) => {
      await using lab = await everyState(mode, { conflict_strategy: strategy, ...more })
      const before = await everything(lab)
      const { id } = await lab.run({}, 'awaiting_resolution')
      expect(keysOf(await conflictsOf(lab))).toEqual(waiting)
      expect(await everything(lab)).toEqual(before)
      const [first, ...rest] = waiting
      const one = await decideOne(lab, String(first), { take: 'source' })
      expect(one).toMatchObject({ job_id: null, active_job_id: id })
      expect(one['note']).toContain(`${rest.length} still open`)
      expect((await approve(lab, id)).json()).toMatchObject({ code: 'nothing_to_approve' })
      expect(await decideAll(lab, 'source')).toMatchObject({ conflicts: rest.length, job_id: id })
      expect(await everything(lab)).toEqual(before)
      await lab.target.sql(`CREATE TABLE seen (tx text);
        CREATE FUNCTION see() RETURNS trigger LANGUAGE plpgsql AS
          $$ BEGIN INSERT INTO public.seen VALUES (pg_current_xact_id()::text); RETURN NULL; END $$;
        CREATE TRIGGER see AFTER INSERT OR UPDATE OR DELETE ON item FOR EACH ROW EXECUTE FUNCTION see();
        ALTER TABLE item ENABLE ALWAYS TRIGGER see`)
      const done = await goOn(lab, mode)
      expect(done.id).toBe(id)
      expect(await stateOf(lab)).toBe(`1ab 2sb 3tb 4xb 5sb 10sb 11sn 12tn 13xn 14sn ${fifteen}`)
      expect(await lab.target.sql('SELECT count(DISTINCT tx) FROM seen')).toEqual([['1']])
      expect(done.counts).toMatchObject({ inserted: 2, updated: 4, deleted: 2, conflicted: 0, rejected: 0 })
      expect(keysOf(await conflictsOf(lab, 'applied'))).toEqual(waiting)
      if (mode === 'staged') await expectQuiet(lab)
    },
  )

  test('P3: a job that is cut off after its COMMIT finds its decisions carried out, and writes nothing twice', async () => {
    await using lab = await everyState(mode, { conflict_strategy: 'manual' })
    const { id } = await lab.run({}, 'awaiting_resolution')
    await decideOne(lab, '5', { take: 'row', values: { a: 'm', b: 'm' } })
    await decideOne(lab, '9', { take: 'row', values: null })
    await decideOne(lab, '14', { take: 'skip' })
    await decideAll(lab, 'source')
    if (mode === 'approval') {
      await lab.work('awaiting_approval')
      await approve(lab, id)
    }
    armFailpoint('transaction.committed:1:throw')
    await lab.work('failed')
    armFailpoint('none:1:throw')
    const after = '1ab 2sb 3tb 4xb 5mm 10sb 11sn 12tn 13xn 14tn 15sb'
    expect(await stateOf(lab)).toBe(after)
    expect(keysOf(await conflictsOf(lab, 'resolved'))).toHaveLength(5)
    await lab.ask('POST', `/api/jobs/${id}/resume`, {})
    const done = await lab.work()
    expect(done.counts).toMatchObject({ inserted: 2, updated: 3, deleted: 2, conflicted: 0 })
    expect(await stateOf(lab)).toBe(after)
    expect(keysOf(await conflictsOf(lab, 'applied'))).toEqual(['5', '9', '10', '14', '15'])
  })
})

test('manual: rows of the target, rows that stay apart and rows that somebody built', async () => {
  await using lab = await everyState('approval', { conflict_strategy: 'manual' })
  await lab.run({}, 'awaiting_resolution')
  await decideOne(lab, '5', { take: 'row', values: { a: 'm', b: 'm' } })
  await decideOne(lab, '9', { take: 'target' })
  await decideOne(lab, '10', { take: 'row', values: { a: 'm', b: 'm', at: null } })
  await decideOne(lab, '14', { take: 'row', values: null })
  await decideOne(lab, '15', { take: 'skip' })
  await goOn(lab, 'approval')
  expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5mm 9tb 10mm 11sn 12tn 13xn 15at')
  expect(keysOf(await conflictsOf(lab, 'applied'))).toEqual(['5', '9', '10', '14', '15'])
  await expectQuiet(lab)
  // What lost is kept, and can be taken after all.
  await decideOne(lab, '14', { take: 'source' })
  await goOn(lab, 'approval')
  expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5mm 9tb 10mm 11sn 12tn 13xn 14sn 15at')
  await expectQuiet(lab)
})

test('I7: what the target has of its own in a merged row stays its own for every later merge', async () => {
  await using lab = await everyState('staged', { conflict_strategy: 'merge' })
  await lab.run({}, 'awaiting_resolution')
  await decideAll(lab, 'target')
  await goOn(lab, 'staged')
  await lab.source.sql(`UPDATE item SET a = 's2' WHERE id IN (3, 15)`)
  const job = await lab.run({}, 'awaiting_resolution')
  expect(keysOf(await conflictsOf(lab))).toEqual(['3'])
  await decideAll(lab, 'skip')
  expect((await goOn(lab, 'staged')).id).toBe(job.id)
  expect(await stateOf(lab)).toContain('3tb')
  expect(await stateOf(lab)).toContain('15s2t')
})

test('D15: a decision on a row that has changed before it is carried out does not apply, and nothing is written', async () => {
  await using lab = await everyState('staged', { conflict_strategy: 'manual' })
  const { id } = await lab.run({}, 'awaiting_resolution')
  await decideAll(lab, 'source')
  await lab.source.sql(`UPDATE item SET b = 'moved' WHERE id = 5`)
  await lab.target.sql(`UPDATE item SET b = 'moved' WHERE id = 14`)
  const before = await everything(lab)
  await lab.work('awaiting_resolution')
  expect(await everything(lab)).toEqual(before)
  expect(keysOf(await conflictsOf(lab))).toEqual(['5', '14'])
  expect(await decideAll(lab, 'source')).toMatchObject({ job_id: id })
  await goOn(lab, 'staged')
  expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5smoved 10sb 11sn 12tn 13xn 14sn 15sb')
})

test('B3: what is to be done before the COMMIT is done again', async () => {
  await using lab = await everyState('staged', { conflict_strategy: 'manual' })
  const { id } = await lab.run({}, 'awaiting_resolution')
  await decideAll(lab, 'skip')
  armFailpoint('transaction.commit:1:throw')
  await lab.work('failed')
  armFailpoint('none:1:throw')
  expect(await stateOf(lab)).toContain('2ab')
  await lab.ask('POST', `/api/jobs/${id}/resume`, {})
  await lab.work()
  expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn 15at')
  expect(keysOf(await conflictsOf(lab, 'applied'))).toEqual(['5', '9', '10', '14', '15'])
})

test('a job that is cancelled, or waits too long, leaves target and conflicts as they are', async () => {
  await using lab = await everyState('approval', { conflict_strategy: 'manual', approval_hours: 1 })
  const before = await everything(lab)
  const { id } = await lab.run({}, 'awaiting_resolution')
  await lab.ask('POST', `/api/jobs/${id}/cancel`, {})
  expect(await everything(lab)).toEqual(before)
  expect(await conflictsOf(lab)).toHaveLength(5)
  const next = await lab.run({}, 'awaiting_resolution')
  expect(await conflictsOf(lab)).toHaveLength(5)
  await lab.api.store.db
    .updateTable('job')
    .set({ updated_at: '2026-01-01T00:00:00.000Z' })
    .where('id', '=', next.id)
    .execute()
  expect(await expireWaiting(lab.api.changeSets)).toBe(1)
  expect(await everything(lab)).toEqual(before)
  expect(await conflictsOf(lab)).toHaveLength(5)
  // Decided while no job waits for them, they are carried out by the next one.
  expect(
    await lab.ask('POST', `/api/sync/${lab.config}/resolve`, { take: 'target', filter: {}, start: false }),
  ).toMatchObject({
    job_id: null,
  })
  await pass(lab, 'approval')
  expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn 15at')
})

test('a conflict that has gone by itself is waited for no more', async () => {
  await using lab = await everyState('staged', { conflict_strategy: 'manual' })
  const { id } = await lab.run({}, 'awaiting_resolution')
  await lab.source.sql('DELETE FROM item WHERE id IN (14, 15)')
  await lab.target.sql('DELETE FROM item WHERE id IN (14, 15)')
  for (const key of ['5', '9', '10']) await decideOne(lab, key, { take: 'target' })
  await decideOne(lab, '14', { take: 'source' })
  expect(await decideOne(lab, '15', { take: 'skip' })).toMatchObject({ job_id: id })
  await goOn(lab, 'staged')
  expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn')
  expect(await conflictsOf(lab, 'open,resolved')).toEqual([])
})

test('D15: what changes between decision and yes is left, everything else is applied, and it is asked about again', async () => {
  await using lab = await everyState('approval', { conflict_strategy: 'manual' })
  const { id } = await lab.run({}, 'awaiting_resolution')
  await decideAll(lab, 'source')
  await lab.work('awaiting_approval')
  const { summary } = await changesOf(lab, id)
  expect(summary).toMatchObject({ changes: 8, tables: [{ inserts: 2, updates: 4, deletes: 2, conflicts: 0 }] })
  await lab.target.sql(`UPDATE item SET b = 'moved' WHERE id = 14; UPDATE item SET b = 'moved' WHERE id = 2`)
  await lab.source.sql(`UPDATE item SET b = 'moved' WHERE id = 5; INSERT INTO item VALUES (20, 'new', 'new')`)
  // Somebody decides anew: what the yes is for is another change by then.
  await decideOne(lab, '15', { take: 'row', values: { a: 'z', b: 'z' } })
  const resting = await yes(lab, { id }, 'awaiting_resolution')
  expect(await stateOf(lab)).toBe('1ab 2amoved 3tb 4xb 5tb 10sb 11sn 12tn 13xn 14tmoved 15at')
  expect(resting.counts).toMatchObject({ inserted: 2, updated: 0, deleted: 2, conflicted: 4 })
  expect(keysOf(await conflictsOf(lab))).toEqual(['2', '5', '14'])
  await decideAll(lab, 'target')
  // What has come since is asked about with the rest.
  const again = await lab.work('awaiting_approval')
  expect((await changesOf(lab, id)).summary).toMatchObject({ changes: 2, tables: [{ inserts: 1, updates: 1 }] })
  const done = await yes(lab, again)
  expect(done.counts).toMatchObject({ inserted: 3, updated: 1, deleted: 2, conflicted: 0 })
  expect(await stateOf(lab)).toBe('1ab 2amoved 3tb 4xb 5tb 10sb 11sn 12tn 13xn 14tmoved 15zz 20newnew')
  await expectQuiet(lab)
})

test('a yes is for what was looked at: rows that the source has changed since are written as they were then', async () => {
  await using lab = await everyState('approval', { conflict_strategy: 'target_wins' })
  const job = await lab.run({}, 'awaiting_approval')
  const leave = { verdict: 'leave', filter: { key: '11' } }
  expect(await lab.ask('POST', `/api/jobs/${job.id}/changes/decide`, leave)).toMatchObject({ changed: 1 })
  await lab.source.sql(`UPDATE item SET b = 'newer' WHERE id = 2; UPDATE item SET b = 'other' WHERE id = 1;
    INSERT INTO item VALUES (16, 'n', 'n')`)
  const done = await yes(lab, job)
  expect(await stateOf(lab)).toBe('1ab 2sb 3tb 4xb 5tb 9tb 12tn 13xn 14tn 15at')
  expect(done.counts).toMatchObject({ inserted: 0, updated: 1, deleted: 1, conflicted: 0 })
  await pass(lab, 'approval')
  expect(await stateOf(lab)).toBe('1aother 2snewer 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn 15at 16nn')
  await expectQuiet(lab)
})

test('a dry run of a sync that merges is applied as it was approved, and what the target has of its own stays', async () => {
  await using lab = await everyState('staged', { conflict_strategy: 'merge' })
  const plan = await lab.run({ dry_run: true })
  await lab.target.sql(`UPDATE item SET b = 'moved' WHERE id = 2`)
  expect((await approve(lab, plan.id)).statusCode).toBe(202)
  const done = await lab.work()
  expect(await stateOf(lab)).toBe('1ab 2amoved 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn 15st')
  expect(done.counts).toMatchObject({ inserted: 1, updated: 1, deleted: 1, conflicted: 5 })
  await lab.source.sql(`UPDATE item SET a = 's2' WHERE id = 15`)
  await lab.run({}, 'awaiting_resolution')
  await decideAll(lab, 'target')
  await lab.work()
  expect(await stateOf(lab)).toContain('15s2t')
})

test('B13: a job whose last decision found nobody to wake it goes on all the same', async () => {
  await using lab = await everyState('staged', { conflict_strategy: 'manual' })
  const { id } = await lab.run({}, 'awaiting_resolution')
  expect(await goOnWithDecisions(lab.api.changeSets, SYSTEM)).toEqual([])
  await resolveConflicts(lab.api, {
    filter: { scope: lab.config },
    resolution: 'target',
    actor: SYSTEM,
    subject: lab.config,
    expect: null,
    digest: null,
  })
  expect((await goOnWithDecisions(lab.api.changeSets, SYSTEM)).map((job) => job.id)).toEqual([id])
  await lab.work()
  expect(await conflictsOf(lab, 'open,resolved')).toEqual([])
})

test('rows of several tables wait for one conflict, children with their parents', async () => {
  const tables = `CREATE TABLE parent (id int PRIMARY KEY, v text);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, v text)`
  await using lab = await createLab(
    'sqlite',
    {
      source: `${tables}; INSERT INTO parent VALUES (1, 'a'), (2, 'a'); INSERT INTO child VALUES (1, 1, 'a')`,
      target: tables,
    },
    {
      ...DELETING,
      commit_mode: 'staged',
      tables: [{ source: 'parent', conflict_strategy: 'manual' }, { source: 'child' }],
    },
  )
  await lab.run()
  await lab.source.sql(`UPDATE parent SET v = 's' WHERE id = 1; DELETE FROM parent WHERE id = 2;
    INSERT INTO parent VALUES (3, 'n'); INSERT INTO child VALUES (2, 3, 'n'); UPDATE child SET v = 's' WHERE id = 1`)
  await lab.target.sql(`UPDATE parent SET v = 't' WHERE id = 1`)
  await lab.run({}, 'awaiting_resolution')
  expect(await lab.target.sql('SELECT v FROM child ORDER BY id')).toEqual([['a']])
  await decideAll(lab, 'source')
  const done = await lab.work()
  expect(done.counts).toMatchObject({ inserted: 2, updated: 2, deleted: 1, conflicted: 0, rejected: 0 })
  expect(await lab.target.sql('SELECT id, v FROM parent ORDER BY id')).toEqual([
    ['1', 's'],
    ['3', 'n'],
  ])
  expect(await lab.target.sql('SELECT id, parent, v FROM child ORDER BY id')).toEqual([
    ['1', '1', 's'],
    ['2', '3', 'n'],
  ])
})

test('I6: rows that are equal at the first contact have agreed when the first job has ended, though it writes nothing', async () => {
  const same = `${TABLE}; INSERT INTO item SELECT n, 'a', 'b', 0 FROM generate_series(1, 5) n`
  await using lab = await createLab(
    'sqlite',
    { source: same, target: same },
    { ...DELETING, commit_mode: 'approval', conflict_strategy: 'manual' },
  )
  expect((await lab.run()).counts).toMatchObject({ read: 5, unchanged: 5 })
  await lab.source.sql(`UPDATE item SET a = 's' WHERE id = 1; DELETE FROM item WHERE id = 2`)
  await lab.target.sql(`UPDATE item SET a = 't' WHERE id = 3`)
  const done = await pass(lab, 'approval')
  expect(done.counts).toMatchObject({ updated: 1, deleted: 1, conflicted: 0 })
  expect(await stateOf(lab)).toBe('1sb 3tb 4ab 5ab')
})
