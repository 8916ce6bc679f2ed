/** What may go wrong between a decision and its commit (invariants 2, 3 and 9, promise P7). */
import { expect, test } from 'vitest'

import { openChangeSet } from '#control/change-sets.ts'
import { refuseBraked } from '#jobs/review-job.ts'
import { countMarks } from '#control/change-marks.ts'
import { ALL_CHANGES } from '#control/change-pages.ts'
import { getChangeSet } from '#control/change-set-tools.ts'
import { decideChanges } from '#control/decide-changes.ts'
import { SYSTEM } from '#model/access.ts'
import type { ChangeSetSummary } from '#model/change-set.ts'
import type { ChangeSet } from '#sync/change-set.ts'

import { createChangeSets } from '#test/harness/change-sets.ts'
import { expectSameTable } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, MIRROR, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()
const POLICIES = { ...MIRROR, maxDeletePercent: 100, maxOverwritePercent: 100 }

async function plan(pair: Pair, set: ChangeSet, policies = POLICIES): Promise<ChangeSetSummary> {
  return (await pair.preview(policies, { changeSet: set })).changeSet as ChangeSetSummary
}

test('D7: the proof of a transaction sees that a trigger of the target made other rows of what was decided', async () => {
  await using pair = await createPair(source, target)
  await using kept = await createChangeSets('sqlite')
  await pair.both(`CREATE TABLE parent (id int PRIMARY KEY); INSERT INTO parent VALUES (1);
    CREATE TABLE child (id int PRIMARY KEY, parent int REFERENCES parent, title text)`)
  await pair.target.sql(`CREATE FUNCTION loud() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN NEW.title := upper(NEW.title); RETURN NEW; END $$;
    CREATE TRIGGER loud BEFORE INSERT OR UPDATE ON child FOR EACH ROW EXECUTE FUNCTION loud()`)
  await pair.source.sql(`INSERT INTO child SELECT n, 1, 'title' FROM generate_series(1, 5) n`)
  await using set = openChangeSet(kept.tools, { jobId: kept.jobId, staging: 'embedded' })
  const summary = await plan(pair, set)
  const applying = { set, summary, onMoved: 'apply the others' as const, reverting: false, ownPlan: true }
  await expect(pair.run(POLICIES, { applying })).rejects.toMatchObject({ code: 'verification_failed' })
})

test('invariant 2: what a job has written is left alone while others are decided on', async () => {
  await using pair = await createPair(source, target)
  await using kept = await createChangeSets('sqlite')
  await pair.both(`CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item VALUES (7, 10), (9, 1)`)
  await pair.source.sql('UPDATE item SET n = n + 1; INSERT INTO item VALUES (5, 0)')
  await using set = openChangeSet(kept.tools, { jobId: kept.jobId, staging: 'embedded' })
  const summary = await plan(pair, set)
  const applying = { set, summary, onMoved: 'apply the others' as const, reverting: false, ownPlan: true }
  await pair.target.sql('UPDATE item SET n = 100 WHERE id = 9')
  const first = await pair.run(POLICIES, { applying })
  expect(first.counts).toMatchObject({ inserted: 1, updated: 1, conflicted: 1 })

  await pair.target.sql('DELETE FROM item WHERE id = 5; UPDATE item SET n = 10 WHERE id = 7')
  const decision = { filter: null, seqs: [1, 2, 3], verdict: 'apply' as const, actor: SYSTEM }
  expect(await decideChanges(kept.tools, kept.jobId, decision)).toBe(1)
  const second = await pair.run(POLICIES, { applying })
  expect(second.counts).toMatchObject({ inserted: 0, updated: 1, conflicted: 0 })
  expect(await pair.target.sql('SELECT * FROM item ORDER BY id')).toEqual([
    ['7', '10'],
    ['9', '2'],
  ])
})

test('invariant 9: where all or nothing is to be written, one row that moved keeps all of them out, and is told', async () => {
  await using pair = await createPair(source, target)
  await using kept = await createChangeSets('sqlite')
  await pair.both(
    `CREATE TABLE item (id int PRIMARY KEY, n int); INSERT INTO item SELECT n, 1 FROM generate_series(1, 5) n`,
  )
  await pair.source.sql('UPDATE item SET n = 2; INSERT INTO item VALUES (6, 2)')
  await using set = openChangeSet(kept.tools, { jobId: kept.jobId, staging: 'embedded' })
  const summary = await plan(pair, set)
  const applying = { set, summary, onMoved: 'apply nothing' as const, reverting: false, ownPlan: true }
  await pair.target.sql('UPDATE item SET n = 100 WHERE id = 3')
  await expect(pair.run(POLICIES, { applying })).rejects.toMatchObject({ code: 'changes_moved' })
  expect(await pair.target.sql('SELECT n, count(*) FROM item GROUP BY n ORDER BY n')).toEqual([
    ['1', '4'],
    ['100', '1'],
  ])
  expect(await countMarks(kept.tools, kept.jobId)).toMatchObject([{ mark: 'moved', changes: 1 }])

  const filter = { ...ALL_CHANGES, marks: ['moved' as const] }
  await decideChanges(kept.tools, kept.jobId, { filter, seqs: null, verdict: 'apply', actor: SYSTEM })
  const receipt = await pair.run(POLICIES, { applying })
  expect(receipt.counts).toMatchObject({ inserted: 1, updated: 5, conflicted: 0 })
  await expectSameTable(pair.source, pair.target, 'item')
})

test('P7: each of two brakes wants its own number', async () => {
  await using pair = await createPair(source, target)
  await using kept = await createChangeSets('sqlite')
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, n int)')
  await pair.source.sql('INSERT INTO item SELECT n, 1 FROM generate_series(1, 300) n')
  await pair.target.sql('INSERT INTO item SELECT n, 2 FROM generate_series(101, 500) n')
  await using set = openChangeSet(kept.tools, { jobId: kept.jobId, staging: 'embedded' })
  await plan(pair, set, { ...POLICIES, maxDeletePercent: 10, maxOverwritePercent: 10 })
  const stored = await getChangeSet(kept.tools, kept.jobId)
  const approve = (deletes: number | null, overwrites: number | null) => () =>
    refuseBraked(stored, { actor: SYSTEM, digest: null, deletes, overwrites })
  expect(approve(null, null)).toThrow(expect.objectContaining({ code: 'delete_brake' }))
  expect(approve(200, null)).toThrow(expect.objectContaining({ code: 'overwrite_brake' }))
  expect(approve(200, 199)).toThrow(expect.objectContaining({ code: 'overwrite_brake' }))
  expect(approve(200, 200)).not.toThrow()
})
