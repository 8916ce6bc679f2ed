/** Change sets over the API: jobs that wait for an approval or for decisions, rows that move, and what is refused. */
import { describe, expect, test } from 'vitest'

import { changeStatus, getJob } from '#control/jobs.ts'
import { sweepChangeSets } from '#control/sweep-change-sets.ts'
import { expireWaiting } from '#jobs/review-job.ts'
import { addMs } from '#lib/clock.ts'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createLab, type Fields } from '#test/harness/quarantine.ts'
import { STORE_KINDS } from '#test/harness/store.ts'

import { approve, cellsOf, changesOf, SMALL, small } from './change-calls.ts'

const CANARY = 'canary-row-value'
const HOUR_MS = 3_600_000

test('commit_mode approval: a job waits, is approved once, and row by row leaves what moved until somebody decides', async () => {
  await using lab = await createLab('sqlite', small, { ...SMALL, commit_mode: 'approval' })
  const job = await lab.run({}, 'awaiting_approval')
  expect(await lab.target.sql(`SELECT count(*) FROM t WHERE v = 'old'`)).toEqual([['20']])
  expect(await lab.ask('GET', `/api/jobs/${job.id}`)).toMatchObject({
    status: 'awaiting_approval',
    commit_mode: 'approval',
    links: { changes: `/api/v1/jobs/${job.id}/changes` },
  })
  // What a job waits with is not swept, however old it is.
  await sweepChangeSets(lab.api.changeSets, { maxAgeMs: -HOUR_MS })
  const { summary } = await changesOf(lab, job.id)
  await lab.target.sql(`UPDATE t SET v = 'theirs' WHERE id IN (3, 4, 5)`)
  const both = await Promise.all([approve(lab, job.id, { digest: summary['digest'] }), approve(lab, job.id)])
  expect(both.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([202, 409])
  expect((await approve(lab, job.id)).json()).toMatchObject({ code: 'nothing_to_approve' })
  const resting = await lab.work('awaiting_resolution')
  expect(resting.counts).toMatchObject({ updated: 17, conflicted: 3 })
  const moved = await changesOf(lab, job.id, 'mark=moved')
  expect(moved.summary).toMatchObject({ open: 3, tables: [{ marks: { planned: 0, written: 17, moved: 3 } }] })
  expect(moved.items.map(({ key, now }) => [key, cellsOf(now)])).toEqual([
    [['3'], { id: '3', v: 'theirs' }],
    [['4'], { id: '4', v: 'theirs' }],
    [['5'], { id: '5', v: 'theirs' }],
  ])
  const early = (await approve(lab, job.id)).json<Fields>()
  expect(early).toMatchObject({ status: 409, code: 'nothing_to_approve' })
  expect(early['detail']).toContain('3 decisions')
  const decide = (body: object) => lab.ask('POST', `/api/jobs/${job.id}/changes/decide`, body)
  expect(await decide({ verdict: 'leave', filter: { key: '3' } })).toMatchObject({
    changed: 1,
    open: 2,
    status: 'awaiting_resolution',
  })
  // Of those that somebody decides on, one moves again: it is decided on anew, and the other is written.
  expect(await decide({ verdict: 'apply', filter: {} })).toMatchObject({ open: 0, status: 'queued' })
  await lab.target.sql(`UPDATE t SET v = 'theirs again' WHERE id = 5`)
  await lab.work('awaiting_resolution')
  expect((await changesOf(lab, job.id, 'mark=moved')).items.map(({ key, now }) => [key, cellsOf(now)])).toEqual([
    [['5'], { id: '5', v: 'theirs again' }],
  ])
  expect(await decide({ verdict: 'apply', filter: { mark: 'moved' } })).toMatchObject({ open: 0, status: 'queued' })
  const done = await lab.work()
  expect(done.status).toBe('succeeded')
  expect(await lab.target.sql(`SELECT id, v FROM t WHERE v <> 'new'`)).toEqual([])
})

test('a job that is in step asks nobody, whatever its commit_mode; a column that it would add is asked for', async () => {
  await using lab = await createLab(
    'sqlite',
    { source: small.target, target: small.target },
    { commit_mode: 'approval' },
  )
  const quiet = await lab.run()
  expect(quiet.counts).toMatchObject({ read: 20, unchanged: 20, updated: 0 })
  expect((await changesOf(lab, quiet.id)).summary).toMatchObject({ state: 'applied', changes: 0 })
  await lab.source.sql('ALTER TABLE t ADD COLUMN extra text')
  const waiting = await lab.run({}, 'awaiting_approval')
  const { summary } = await changesOf(lab, waiting.id)
  expect(summary).toMatchObject({ changes: 0, tables: [{ added: ['extra'] }] })
  expect((await approve(lab, waiting.id)).statusCode).toBe(202)
  await lab.work()
  expect(await lab.target.sql('SELECT count(*) FROM t WHERE extra IS NULL')).toEqual([['20']])
})

test('a staged job writes all of it at once, and asks nobody', async () => {
  await using lab = await createLab('sqlite', small, { ...SMALL, commit_mode: 'staged' })
  const job = await lab.run()
  expect(job.counts).toMatchObject({ updated: 20, conflicted: 0 })
  expect(await lab.target.sql(`SELECT count(*) FROM t WHERE v = 'new'`)).toEqual([['20']])
  expect((await changesOf(lab, job.id)).summary).toMatchObject({ state: 'applied', approval: null })
  expect((await approve(lab, job.id)).json()).toMatchObject({ code: 'nothing_to_approve' })
})

test('a row of a dry run that moved is left by the job that applies it, and decided on under either of their ids', async () => {
  await using lab = await createLab('sqlite', small, SMALL)
  const plan = await lab.run({ dry_run: true })
  await lab.target.sql(`DELETE FROM t WHERE id = 7`)
  const { job_id: id } = (await approve(lab, plan.id)).json<{ job_id: string }>()
  await lab.work('awaiting_resolution')
  const answer = await lab.ask('POST', `/api/jobs/${plan.id}/changes/decide`, { verdict: 'apply', filter: {} })
  expect(answer).toMatchObject({ changed: 1, open: 0, job_id: id, status: 'queued' })
  expect((await lab.work()).id).toBe(id)
  expect(await lab.target.sql(`SELECT count(*) FROM t WHERE v = 'new'`)).toEqual([['20']])
})

test('P7: a brake wants its very number, with the typed name of the target', async () => {
  const many = { source: small.source.replace('20', '200'), target: small.target.replace('20', '200') }
  await using lab = await createLab('sqlite', many, { max_overwrite_percent: 10 })
  const plan = await lab.run({ dry_run: true })
  const { summary } = await changesOf(lab, plan.id)
  expect(summary['stop']).toMatchObject({ code: 'overwrite_brake' })
  const refused = (await approve(lab, plan.id)).json<Fields>()
  expect(refused).toMatchObject({ status: 409, code: 'overwrite_brake' })
  expect(refused['hint']).toContain('approve_overwrites 200')
  expect((await approve(lab, plan.id, { approve_overwrites: 200 })).json()).toMatchObject({
    code: 'confirmation_needed',
  })
  const off = await approve(lab, plan.id, { approve_overwrites: 199, confirm: 'target' })
  expect(off.json()).toMatchObject({ code: 'overwrite_brake' })
  expect((await approve(lab, plan.id, { approve_overwrites: 200, confirm: 'target' })).statusCode).toBe(202)
  expect((await lab.work()).counts).toMatchObject({ updated: 200 })
})

test('P6: a target that has become protected is written after a second yes alone, which a job that waits remembers', async () => {
  await using lab = await createLab('sqlite', small, { ...SMALL, commit_mode: 'approval' })
  const plan = await lab.run({ dry_run: true })
  const waiting = await lab.run({}, 'awaiting_approval')
  const admin = (await lab.api.key('admin')).secret
  const body = { name: 'target', url: lab.target.url, writable: true, environment: 'production' }
  expect((await lab.api.send(admin, 'PUT', '/api/datasources/target', { body })).statusCode).toBe(200)
  for (const id of [waiting.id, plan.id]) {
    expect((await approve(lab, id)).json()).toMatchObject({ status: 409, code: 'target_protected' })
    const half = await approve(lab, id, { allow_protected_write: true })
    expect(half.json()).toMatchObject({ status: 403, code: 'confirmation_needed' })
    expect((await approve(lab, id, { allow_protected_write: true, confirm: 'target' })).statusCode).toBe(202)
    const [queued] = (await lab.ask('GET', '/api/jobs?status=queued'))['items'] as Fields[]
    const by = String(queued?.['id'])
    expect((await getJob(lab.api.store, by)).request.allowProtectedWrite).toBe(true)
    await lab.api.store.write((tx) => changeStatus(lab.api.store, tx, { id: by, event: 'cancel' }, {}))
  }
})

describe.each(STORE_KINDS)('at the same moment, on %s', (kind) => {
  test('B6: of many approvals of one dry run one starts a job', async () => {
    await using lab = await createLab(kind, small, SMALL)
    const plan = await lab.run({ dry_run: true })
    const answers = await Promise.all(Array.from({ length: 10 }, () => approve(lab, plan.id)))
    expect(answers.map(({ statusCode }) => statusCode).toSorted((a, b) => a - b)).toEqual([202, ...Array(9).fill(409)])
    expect((await lab.work()).counts).toMatchObject({ updated: 20 })
  })
})

test('where a process ended between an approval and its answer, the approval is found and not given again', async () => {
  await using lab = await createLab('sqlite', small, { ...SMALL, commit_mode: 'approval' })
  const { store } = lab.api
  const [plan, waiting] = [await lab.run({ dry_run: true }), await lab.run({}, 'awaiting_approval')]
  for (const { id } of [waiting, plan]) {
    const headers = { 'idempotency-key': id }
    const first = await approve(lab, id, {}, headers)
    expect(first.statusCode, first.body).toBe(202)
    const { job_id: by } = first.json<{ job_id: string }>()
    const created = addMs(store.clock.now(), -61_000)
    // As it is while the first request is at work: with the id that it was given.
    const pending = { status: null, body: by, created_at: created }
    await store.db.updateTable('idempotency').set(pending).where('key', '=', id).execute()
    const again = await approve(lab, id, {}, headers)
    expect([again.statusCode, again.json()], again.body).toEqual([202, first.json()])
    await store.write((tx) => changeStatus(store, tx, { id: by, event: 'cancel' }, {}))
  }
  expect((await lab.ask('GET', '/api/jobs'))['items']).toHaveLength(3)
})

test('what is too late, in step, lost, or no dry run is refused in clear words', async () => {
  await using lab = await createLab('sqlite', small, { ...SMALL, approval_hours: 1, commit_mode: 'approval' })
  const { store } = lab.api
  const plan = await lab.run({ dry_run: true })
  const late = addMs(store.clock.now(), -2 * HOUR_MS)
  await store.db.updateTable('change_set').set({ sealed_at: late }).where('job_id', '=', plan.id).execute()
  expect((await approve(lab, plan.id)).json()).toMatchObject({ status: 410, code: 'change_set_expired' })
  expect((await lab.ask('GET', '/api/jobs'))['items']).toHaveLength(1)

  const waiting = await lab.run({}, 'awaiting_approval')
  await store.db.updateTable('job').set({ updated_at: late }).where('id', '=', waiting.id).execute()
  expect(await expireWaiting(lab.api.changeSets)).toBe(1)
  expect(await getJob(store, waiting.id)).toMatchObject({ status: 'failed', error: { code: 'change_set_expired' } })
  expect((await approve(lab, waiting.id)).json()).toMatchObject({ code: 'nothing_to_approve' })
  expect((await changesOf(lab, waiting.id)).summary).toMatchObject({ state: 'expired' })

  // What was lost is computed again when somebody wants it.
  const lost = await lab.run({}, 'awaiting_approval')
  await store.db.updateTable('change_set').set({ state: 'lost' }).where('job_id', '=', lost.id).execute()
  expect((await approve(lab, lost.id)).json()).toMatchObject({ status: 410, code: 'change_set_lost' })
  await lab.work('awaiting_approval')
  expect((await approve(lab, lost.id)).statusCode).toBe(202)
  await lab.work()

  const quiet = await lab.run({ dry_run: true })
  const nothing = (await approve(lab, quiet.id)).json<Fields>()
  expect(nothing).toMatchObject({ status: 409, code: 'nothing_to_approve' })
  expect(nothing['detail']).toContain('found nothing to change')
  const verified = await lab.run({ kind: 'verify' })
  expect((await approve(lab, verified.id)).json()).toMatchObject({ code: 'nothing_to_approve' })
  for (const path of ['changes', 'changes/download']) {
    const answer = await lab.api.send(lab.operator, 'GET', `/api/jobs/${verified.id}/${path}`)
    expect(answer.json()).toMatchObject({ status: 404, code: 'not_found' })
  }
})

test('the changes of a dry run are applied where they were computed for, whatever its config says by now', async () => {
  await using lab = await createLab('sqlite', small, SMALL)
  await using other = await createDatabase(sharedServers().target)
  await other.sql(small.target)
  const admin = (await lab.api.key('admin')).secret
  const send = (method: string, path: string, body: unknown) => lab.api.send(admin, method, path, { body })
  await send('POST', '/api/datasources', { name: 'other', url: other.url, writable: true })
  const plan = await lab.run({ dry_run: true })
  const document = { name: 'config', source_datasource_id: 'source', target_datasource_id: 'other' }
  expect((await send('PUT', `/api/sync-configs/${lab.config}`, document)).statusCode).toBe(200)
  expect((await approve(lab, plan.id)).statusCode).toBe(202)
  await lab.work()
  expect(await other.sql(`SELECT count(*) FROM t WHERE v = 'old'`)).toEqual([['20']])
  expect(await lab.target.sql(`SELECT count(*) FROM t WHERE v = 'new'`)).toEqual([['20']])
})

test('the undoing of a job is asked for with what it needs, and refused where nothing was kept', async () => {
  await using lab = await createLab('sqlite', small, SMALL)
  const revert = (job: string, body: object = {}, headers: Record<string, string> = {}) =>
    lab.api.send(lab.operator, 'POST', `/api/v1/jobs/${job}/revert`, { body, headers })
  const plan = await lab.run({ dry_run: true })
  expect((await revert(plan.id)).json()).toMatchObject({ status: 409, code: 'not_revertible' })
  const standard = await lab.run()
  const refused = (await revert(standard.id)).json<Fields>()
  expect(refused).toMatchObject({ status: 409, code: 'not_revertible' })
  expect(refused['detail']).toContain('audit_level standard')

  const admin = (await lab.api.key('admin')).secret
  await lab.api.send(admin, 'PUT', `/api/sync-configs/${lab.config}`, {
    body: { name: 'config', source_datasource_id: 'source', target_datasource_id: 'target', audit_level: 'detailed' },
  })
  const quiet = await lab.run()
  expect((await revert(quiet.id)).json<Fields>()['detail']).toContain('wrote nothing')
  await lab.source.sql(`UPDATE t SET v = 'newer' WHERE id = 1`)
  const detailed = await lab.run()
  expect((await revert(detailed.id, { keys: [['1']] })).statusCode).toBe(400)
  const body = { tables: ['t'], keys: [[CANARY]] }
  const started = await revert(detailed.id, body, { 'idempotency-key': 'undo' })
  expect(started.statusCode, started.body).toBe(202)
  expect((await revert(detailed.id, body, { 'idempotency-key': 'undo' })).body).toBe(started.body)
  expect((await revert(detailed.id)).json()).toMatchObject({ code: 'already_running' })
  const { job_id: id } = started.json<{ job_id: string }>()
  expect(await getJob(lab.api.store, id)).toMatchObject({
    kind: 'revert',
    configId: lab.config,
    request: {
      dryRun: false,
      tables: null,
      policies: { audit_level: 'detailed' },
      revert: { jobId: detailed.id, ...body },
    },
  })
  expect(await lab.ask('GET', `/api/jobs/${id}`)).toMatchObject({
    kind: 'revert',
    reverts: detailed.id,
    approves: null,
  })
  // There is no such row: nothing has to be approved.
  expect((await lab.work()).counts).toMatchObject({ inserted: 0, updated: 0, deleted: 0 })
  const undone = await revert(detailed.id)
  const undoing = String(undone.json<Fields>()['job_id'])
  await lab.work('awaiting_approval')
  const { items, summary } = await changesOf(lab, undoing)
  expect(items).toMatchObject([{ op: 'update', key: ['1'], changed: ['v'], mark: 'planned' }])
  expect((await approve(lab, undoing, { digest: summary['digest'] })).statusCode).toBe(202)
  expect((await lab.work()).counts).toMatchObject({ updated: 1 })
  expect(await lab.target.sql(`SELECT v FROM t WHERE id = 1`)).toEqual([['new']])
  // Keys are rows, which the audit log does not hold.
  const log = await lab.api.store.db.selectFrom('audit_event').selectAll().execute()
  expect(JSON.stringify(log)).not.toContain(CANARY)
})

test('a job that applies the changes of another is not asked for anew, and a lane is held while it waits', async () => {
  await using lab = await createLab('sqlite', small, SMALL)
  const plan = await lab.run({ dry_run: true })
  const { job_id: id } = (await approve(lab, plan.id)).json<{ job_id: string }>()
  expect((await lab.api.send(lab.operator, 'POST', `/api/sync/${lab.config}`, { body: {} })).json()).toMatchObject({
    code: 'already_running',
    job_id: id,
  })
  await lab.api.store.write((tx) => changeStatus(lab.api.store, tx, { id, event: 'cancel' }, {}))
  const retried = await lab.api.send(lab.operator, 'POST', `/api/jobs/${id}/retry`, { body: {} })
  expect(retried.json()).toMatchObject({ status: 409, code: 'wrong_state' })
  await sweepChangeSets(lab.api.changeSets, { maxAgeMs: HOUR_MS })
  expect((await changesOf(lab, plan.id)).summary).toMatchObject({ state: 'expired', taken_by: id })
})
