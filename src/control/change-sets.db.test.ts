import { randomBytes } from 'node:crypto'
import { readdirSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { DatabaseSync } from 'node:sqlite'
import { describe, expect, test } from 'vitest'
import { armFailpoint } from '#lib/failpoint.ts'
import { SYSTEM, type Actor } from '#model/access.ts'
import {
  addJob,
  createChangeSets,
  factsOf,
  insert,
  readAll,
  ref,
  remove,
  sealed,
  update,
} from '#test/harness/change-sets.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { approveChangeSet, endChangeSet, takeChangeSet } from './approve-changes.ts'
import { findBrokenAudit } from './audit.ts'
import { listAudit } from './audit-list.ts'
import { countMarks, openDecisions } from './change-marks.ts'
import { ALL_CHANGES, pageChanges } from './change-pages.ts'
import { getChangeSet, placesOf, type ChangeSetTools } from './change-set-tools.ts'
import { checkChangeSet, openChangeSet } from './change-sets.ts'
import { decideChanges } from './decide-changes.ts'
import { changeStatus, purgeJobs } from './jobs.ts'
import { sweepChangeSets } from './sweep-change-sets.ts'

const ANNA: Actor = { ...SYSTEM, id: 'key_anna', name: 'Anna' }
const FIRST = { after: null, limit: 1_000 }
const DAY_MS = 86_400_000
const STATED = [
  [insert('1', 'a'), update('2', 'b', 'B')],
  [remove('3', 'c'), update('4', 'd', 'D'), update('5', 'e', 'E')],
]

/** Steps between which a process may be killed, in their order. */
const STEPS = ['begun', 'chunk', 'flush', 'seal', 'sealed']

describe.each(STORE_KINDS)('change sets in %s', (kind) => {
  test('what was appended comes back by table and in order, numbered through', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId } = held
    await using set = openChangeSet(tools, { jobId, staging: 'embedded' })
    expect(await set.summary()).toBeNull()
    await set.begin()
    await expect(readAll(set, 0)).rejects.toMatchObject({ code: 'change_set_lost' })
    // Tables may be computed side by side.
    await Promise.all([
      set.append(1, STATED[1]?.slice(0, 1) ?? []),
      set.append(0, STATED[0] ?? []),
      set.append(1, STATED[1]?.slice(1) ?? []),
    ])
    const summary = await set.seal({ ...factsOf(['t0', 't1']), notes: ['a note'] })
    expect(summary).toMatchObject({ changes: 5, staging: 'embedded', notes: ['a note'], position: 'here' })
    expect(summary.digest).toMatch(/^[0-9a-f]{64}$/)
    expect(await set.summary()).toEqual(summary)
    const numbered = STATED.map((changes, table) => changes.map((change) => ({ ...change, table })))
    expect(await readAll(set, 0)).toEqual(numbered[0]?.map((change, i) => ({ ...change, seq: i + 1 })))
    expect(await readAll(set, 1)).toEqual(numbered[1]?.map((change, i) => ({ ...change, seq: i + 3 })))
    expect(await readAll(set, 2)).toEqual([])
    expect(await getChangeSet(tools, jobId)).toMatchObject({ state: 'ready', summary, approval: null, dropped: 0 })
    await checkChangeSet(tools, jobId)
  })

  test('B13: whatever is cut short between two steps leaves a sealed set or one that counts as nothing', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId } = held
    for (const step of STEPS) {
      armFailpoint(`change_set.${step}:1:throw`)
      await expect(sealed(tools, { jobId }, STATED)).rejects.toThrow('failpoint')
      armFailpoint('none:1:throw')
      const set = openChangeSet(tools, { jobId, staging: 'embedded' })
      const counts = (await set.summary()) === null ? 0 : (await readAll(set, 1)).length
      expect(counts, step).toBe(step === 'sealed' ? 3 : 0)
    }
    await using again = await sealed(tools, { jobId }, STATED)
    expect(await readAll(again, 0)).toHaveLength(2)
    await sweepChangeSets(tools, { maxAgeMs: DAY_MS })
    expect(await readAll(again, 0)).toHaveLength(2)
  })

  test('a process that was overtaken seals nothing', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId } = held
    await using slow = openChangeSet(tools, { jobId, staging: 'embedded' })
    await slow.begin()
    await slow.append(0, STATED[0] ?? [])
    await using quick = await sealed(tools, { jobId }, [[], STATED[1] ?? []])
    await expect(slow.seal(factsOf(['t0']))).rejects.toMatchObject({ code: 'lease_lost' })
    expect(await readAll(quick, 1)).toHaveLength(3)
  })

  test('filters find what they name, and pages follow one another', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId } = held
    const many = Array.from({ length: 1_200 }, (_, i) => update(`k${i}`, 'x', i % 3 === 0 ? 'x' : 'y'))
    await using set = await sealed(tools, { jobId }, [many, STATED[1] ?? []])
    const find = async (filter: Partial<typeof ALL_CHANGES>) =>
      (await pageChanges(tools, jobId, { ...ALL_CHANGES, ...filter }, { after: null, limit: 2_000 })).changes
    expect(await find({ target: ref('t1') })).toHaveLength(3)
    expect(await find({ ops: ['delete'] })).toMatchObject([{ seq: 1_201, key: ['3'], mark: null }])
    expect(await find({ column: 'v', target: ref('t0') })).toHaveLength(800)
    expect(await find({ column: 'id' })).toEqual([])
    expect(await find({ column: 'none' })).toEqual([])
    expect(await find({ key: ['k777'] })).toMatchObject([{ seq: 778, after: ['k777', 'x'] }])
    expect(await find({ seqs: [5, 1_203, 9_999] })).toMatchObject([{ seq: 5 }, { seq: 1_203 }])
    expect(await find({ marks: [] })).toEqual([])
    const seen: number[] = []
    for (let after: number | null = null; ;) {
      const { changes, next } = await pageChanges(tools, jobId, ALL_CHANGES, { after, limit: 333 })
      seen.push(...changes.map(({ seq }) => seq))
      if (next === null) break
      after = next
    }
    expect(seen).toEqual(Array.from({ length: 1_203 }, (_, i) => i + 1))
    await set.settle([1_201, 700].map((seq) => ({ seq, mark: 'refused', reason: 'too long', now: null })))
    expect(await find({ marks: ['refused'] })).toMatchObject([{ seq: 700, reason: 'too long' }, { seq: 1_201 }])
    expect(await find({ marks: ['none'] })).toHaveLength(1_201)
  })

  test('decisions: left ones are not applied, moved ones are decided anew, and all of it is audited', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId, store } = held
    await using set = await sealed(tools, { jobId }, STATED)
    const decide = (verdict: 'leave' | 'apply', parts: object) =>
      decideChanges(tools, jobId, { filter: null, seqs: null, verdict, actor: ANNA, ...parts })
    expect(await decide('leave', { filter: { ...ALL_CHANGES, target: ref('t1') } })).toBe(3)
    expect(await decide('leave', { seqs: [3] })).toBe(0)
    expect(await decide('apply', { seqs: [4, 5] })).toBe(2)
    expect((await readAll(set, 1)).map(({ seq }) => seq)).toEqual([4, 5])
    const now = { expect: 'expect now', row: ['5', new Uint8Array([0, 255])] }
    await set.settle([
      { seq: 1, mark: 'moved', reason: null, now: { expect: '77', row: ['1', null] } },
      { seq: 2, mark: 'in_step', reason: null, now: null },
      { seq: 3, mark: 'moved', reason: null, now: null },
      { seq: 4, mark: 'moved', reason: null, now: { expect: null, row: null } },
      { seq: 5, mark: 'moved', reason: 'it moved', now },
    ])
    expect(await openDecisions(tools, jobId)).toBe(3)
    expect((await readAll(set, 0)).concat(await readAll(set, 1))).toEqual([])
    const { changes } = await pageChanges(tools, jobId, { ...ALL_CHANGES, marks: ['moved'] }, FIRST)
    expect(changes.at(-1)).toMatchObject({ seq: 5, mark: 'moved', reason: 'it moved', now, decided: null })
    expect(await decide('apply', { seqs: [1, 4, 5] })).toBe(3)
    expect(await readAll(set, 0)).toMatchObject([
      { op: 'update', expect: '77', before: ['1', null], after: ['1', 'a'] },
    ])
    expect(await readAll(set, 1)).toMatchObject([
      { op: 'insert', expect: null, before: null },
      { op: 'update', expect: 'expect now', before: now.row },
    ])
    expect(await decide('leave', { seqs: [5] })).toBe(1)
    expect((await readAll(set, 1)).map(({ seq }) => seq)).toEqual([4])
    expect(await countMarks(tools, jobId)).toEqual([
      { target: ref('t0'), mark: 'again', changes: 1 },
      { target: ref('t0'), mark: 'in_step', changes: 1 },
      { target: ref('t1'), mark: 'again', changes: 1 },
      { target: ref('t1'), mark: 'left', changes: 2 },
    ])
    const wish = { oldestFirst: true, after: null, limit: 10 }
    const events = await listAudit(store, { subject: jobId, actor: ANNA.id }, wish)
    expect(events.map(({ action, data }) => [action, (JSON.parse(data) as { changes: number }).changes])).toEqual([
      ['change_set.leave', 3],
      ['change_set.apply', 2],
      ['change_set.apply', 3],
      ['change_set.leave', 1],
    ])
    expect(await findBrokenAudit(store)).toBeNull()
  })

  test('computed again, what is the same stays left, what is another change is told, and an approval is withdrawn', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId, store } = held
    await using first = await sealed(tools, { jobId }, STATED)
    await decideChanges(tools, jobId, { filter: null, seqs: [1, 4, 5], verdict: 'leave', actor: ANNA })
    const { digest } = (await first.summary()) ?? { digest: '' }
    await store.write((tx) => approveChangeSet(store, tx, { jobId, digest, actor: ANNA, expiry: DAY_MS }))
    expect(await getChangeSet(tools, jobId)).toMatchObject({ approval: { by: ANNA.id, name: 'Anna', digest } })
    // Cut short once: decisions are still those of the generation that was sealed.
    await first.begin()
    expect(await getChangeSet(tools, jobId)).toMatchObject({ state: 'building', approval: null, summary: null })
    await using again = await sealed(tools, { jobId }, [
      [update('9', 'n', 'N'), ...(STATED[0] ?? [])],
      [update('5', 'e', 'E'), update('4', 'd now', 'D')],
    ])
    expect(await again.summary()).toMatchObject({ notes: [expect.stringContaining('One decision')] })
    expect(await getChangeSet(tools, jobId)).toMatchObject({ dropped: 1, approval: null })
    expect((await readAll(again, 0)).map(({ key }) => key)).toEqual([['9'], ['2']])
    expect((await readAll(again, 1)).map(({ key }) => key)).toEqual([['4']])
    await expect(
      store.write((tx) => approveChangeSet(store, tx, { jobId, digest, actor: ANNA, expiry: null })),
    ).rejects.toMatchObject({ code: 'change_set_moved' })
    const withdrawn = await store.db.selectFrom('audit_event').select('action').where('actor', '=', 'system').execute()
    expect(withdrawn).toEqual([{ action: 'change_set.withdraw' }])
  })

  test('what is approved stays as it was approved, but for what moved; one that is too old is not approved', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId, store } = held
    await using set = await sealed(tools, { jobId }, STATED)
    const approve = (expiry: number | null) =>
      store.write((tx) => approveChangeSet(store, tx, { jobId, digest: null, actor: ANNA, expiry }))
    await expect(approve(-1)).rejects.toMatchObject({ code: 'change_set_expired' })
    await decideChanges(tools, jobId, { filter: null, seqs: [1], verdict: 'leave', actor: ANNA })
    await approve(null)
    await set.settle([{ seq: 4, mark: 'moved', reason: null, now: { expect: '1', row: ['4', 'x'] } }])
    for (const [verdict, seqs] of [
      ['apply', [1]],
      ['leave', [2]],
    ] as const) {
      await expect(decideChanges(tools, jobId, { filter: null, seqs, verdict, actor: ANNA })).rejects.toMatchObject({
        code: 'wrong_state',
      })
    }
    expect(await decideChanges(tools, jobId, { filter: null, seqs: [2, 4], verdict: 'leave', actor: ANNA })).toBe(1)
    expect(await decideChanges(tools, jobId, { filter: null, seqs: [4], verdict: 'apply', actor: ANNA })).toBe(1)
    await store.write((tx) => takeChangeSet(store, tx, { jobId, by: 'job_1' }))
    await expect(store.write((tx) => takeChangeSet(store, tx, { jobId, by: 'job_2' }))).rejects.toMatchObject({
      code: 'wrong_state',
    })
    await endChangeSet(tools, jobId, 'applied')
    expect(await getChangeSet(tools, jobId)).toMatchObject({ state: 'applied', takenBy: 'job_1' })
    await expect(pageChanges(tools, jobId, ALL_CHANGES, FIRST)).rejects.toMatchObject({ code: 'wrong_state' })
    await expect(approve(null)).rejects.toMatchObject({ code: 'wrong_state' })
    expect(await keptGenerations(tools)).toBe(0)
  })

  test('a set that would not fit is refused before harm, and gives its space back', async () => {
    await using held = await createChangeSets(kind, { limits: { embedded: 150_000, redis: 1 } })
    const { tools, jobId, store } = held
    const noise = (n: number) => Array.from({ length: n }, (_, i) => insert(`${i}`, randomText(1_000)))
    await using small = await sealed(tools, { jobId }, [noise(100)])
    const other = await addJob(store)
    const refusal = await sealed(tools, { jobId: other }, [noise(400)]).catch((error: unknown) => error)
    expect(refusal).toMatchObject({
      code: 'staging_full',
      message: expect.stringContaining('STAGING_MAX_BYTES') as string,
    })
    expect(await keptGenerations(tools)).toBe(1)
    expect(await readAll(small, 0)).toHaveLength(100)
    await using fits = await sealed(tools, { jobId: other }, [noise(100)])
    expect(await readAll(fits, 0)).toHaveLength(100)
  })

  test('leftovers of jobs and generations that are gone are swept, and what is needed stays', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId, store } = held
    await using kept = await sealed(tools, { jobId }, STATED)
    const [gone, cancelled, old] = [await addJob(store), await addJob(store), await addJob(store)]
    for (const id of [gone, cancelled, old]) await (await sealed(tools, { jobId: id }, STATED))[Symbol.asyncDispose]()
    await store.write((tx) => changeStatus(store, tx, { id: cancelled, event: 'cancel' }, {}))
    await store.db.updateTable('change_set').set({ sealed_at: '2020' }).where('job_id', '=', old).execute()
    await store.db.updateTable('job').set({ status: 'failed', finished_at: '2020' }).where('id', '=', gone).execute()
    expect(await purgeJobs(store, '2021')).toBe(1)
    await sweepChangeSets(tools, { maxAgeMs: DAY_MS })
    expect(await keptGenerations(tools)).toBe(1)
    expect(await readAll(kept, 1)).toHaveLength(3)
    await expect(getChangeSet(tools, gone)).rejects.toMatchObject({ code: 'not_found' })
    for (const id of [cancelled, old]) {
      await expect(checkChangeSet(tools, id)).rejects.toMatchObject({ code: 'change_set_expired' })
    }
    const { bytes } = (await kept.summary()) ?? { bytes: 0 }
    const held_bytes = await store.db.selectFrom('change_set').select('held_bytes').execute()
    expect(held_bytes.map((row) => row.held_bytes).toSorted((a, b) => a - b)).toEqual([0, 0, bytes])
  })

  test('a chunk that is gone, altered or of another place is noticed, and the decisions survive', async () => {
    await using held = await createChangeSets(kind)
    const { tools, jobId } = held
    const many = Array.from({ length: 1_000 }, (_, i) => update(`${i}`, 'x', 'y'))
    const harms = ['DELETE', 'FLIP', 'SWAP'] as const
    for (const harm of harms) {
      await using set = await sealed(tools, { jobId }, [many])
      await decideChanges(tools, jobId, { filter: null, seqs: [7], verdict: 'leave', actor: ANNA })
      await damage(tools, harm)
      await expect(readAll(set, 0)).rejects.toMatchObject({ code: 'change_set_lost' })
      expect(await getChangeSet(tools, jobId)).toMatchObject({ state: 'lost' })
      await expect(pageChanges(tools, jobId, ALL_CHANGES, FIRST)).rejects.toMatchObject({ code: 'change_set_lost' })
    }
    await using again = await sealed(tools, { jobId }, [many])
    expect(await readAll(again, 0)).toHaveLength(999)
  })
})

test('the file of a change set is for its user alone, and one that is none counts as lost', async () => {
  await using held = await createChangeSets('sqlite')
  const { tools, jobId } = held
  await using set = await sealed(tools, { jobId }, STATED)
  const [name = ''] = readdirSync(tools.folder)
  expect(statSync(tools.folder).mode & 0o777).toBe(0o700)
  expect(statSync(join(tools.folder, name)).mode & 0o777).toBe(0o600)
  writeFileSync(join(tools.folder, name), 'no database')
  await expect(readAll(set, 0)).rejects.toMatchObject({ code: 'change_set_lost' })
})

function randomText(length: number): string {
  return randomBytes(length / 2).toString('hex')
}

async function keptGenerations(tools: ChangeSetTools): Promise<number> {
  let kept = 0
  for await (const some of placesOf(tools, 'embedded').list()) kept += some.length
  return kept
}

type Bodies = Map<number, Uint8Array>

/** Alters what is kept of the only change set, behind the back of the program. */
async function damage({ store, folder }: ChangeSetTools, harm: 'DELETE' | 'FLIP' | 'SWAP'): Promise<void> {
  const alter = (bodies: Bodies): Bodies => {
    const [a, b] = [Buffer.from(bodies.get(0) ?? []), Buffer.from(bodies.get(1) ?? [])]
    if (harm === 'DELETE') return new Map([[0, a]])
    if (harm === 'SWAP') return new Map([b, a].entries())
    b[b.length - 20] = (b[b.length - 20] ?? 0) ^ 1
    return new Map([a, b].entries())
  }
  if (store.isPostgres) {
    const rows = await store.db.selectFrom('staged_chunk').selectAll().execute()
    const bytes = (text: string): Buffer => Buffer.from(text.slice(2), 'hex')
    const altered = alter(new Map(rows.map(({ n, body }) => [n, bytes(String(body))])))
    await store.db.deleteFrom('staged_chunk').execute()
    for (const [n, body] of altered) {
      const { job_id, generation } = rows[0] ?? { job_id: '', generation: '' }
      await store.db.insertInto('staged_chunk').values({ job_id, generation, n, body }).execute()
    }
    return
  }
  using db = new DatabaseSync(join(folder, readdirSync(folder)[0] ?? ''))
  const rows = db.prepare('SELECT n, body FROM chunk').all()
  const altered = alter(new Map(rows.map(({ n, body }) => [Number(n), body as Uint8Array])))
  db.exec('DELETE FROM chunk')
  for (const [n, body] of altered) db.prepare('INSERT INTO chunk VALUES (?, ?)').run(n, body)
}
