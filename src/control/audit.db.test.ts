import { createHash } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import type { Actor } from '#model/access.ts'
import { createStore, STORE_KINDS } from '#test/harness/store.ts'
import { checkAudit, cutAudit, recordAudit } from './audit.ts'
import { countAudit, listAudit, startersOf, type AuditFilter } from './audit-list.ts'
import type { Store } from './store.ts'

const ANNA: Actor = { id: 'key_anna', name: 'Anna 100%', role: 'admin', datasources: null, address: '10.0.0.1' }
const BEN: Actor = { id: 'key_ben', name: 'Ben', role: 'operator', datasources: null, address: null }

async function tell(store: Store, count: number): Promise<void> {
  for (let i = 1; i <= count; i++) {
    await recordAudit(store, i % 2 === 0 ? BEN : ANNA, {
      action: i % 3 === 0 ? 'jobless.note' : 'job.start',
      subject: `job_${i}`,
      data: { i },
    })
  }
}

function day(n: number): string {
  return `2026-01-${String(n).padStart(2, '0')}T12:00:00.000Z`
}

/** Makes the events of a log as if one had happened on each day, with hashes that fit. */
async function spread({ db }: Store): Promise<void> {
  const events = await db.selectFrom('audit_event').selectAll().orderBy('seq').execute()
  let previous = '0'.repeat(64)
  for (const event of events) {
    const { seq, actor, actor_name: name, address, action, subject, data } = event
    const at = day(seq)
    const hash = createHash('sha256')
      .update(JSON.stringify([seq, at, actor, name, address, action, subject, data, previous]))
      .digest('hex')
    await db.updateTable('audit_event').set({ at, previous_hash: previous, hash }).where('seq', '=', seq).execute()
    previous = hash
  }
}

describe.each(STORE_KINDS)('the audit log in %s', (kind) => {
  async function logOf(count: number) {
    const held = await createStore(kind)
    await tell(held.store, count)
    await spread(held.store)
    return held
  }

  test('S61: whatever is done to an event, the check names it', async () => {
    await using held = await logOf(9)
    const { store } = held
    const { db } = store
    const head = (await checkAudit(store)).head
    expect(await checkAudit(store)).toMatchObject({ events: 9, cutThrough: null, damage: null, head: { seq: 9 } })
    const rows = await db.selectFrom('audit_event').selectAll().orderBy('seq').execute()
    const restore = async () => {
      await db.deleteFrom('audit_event').execute()
      await db.insertInto('audit_event').values(rows).execute()
    }
    const cases: [string, () => Promise<unknown>, object][] = []
    for (const [column, value] of Object.entries({
      at: day(20),
      actor: 'key_ben',
      actor_name: 'Somebody',
      address: null,
      action: 'job.stop',
      subject: null,
      data: '{}',
      hash: '1'.repeat(64),
    })) {
      const change = () =>
        db
          .updateTable('audit_event')
          .set({ [column]: value })
          .where('seq', '=', 5)
          .execute()
      cases.push([`another ${column}`, change, { seq: 5, kind: 'changed' }])
    }
    cases.push(
      [
        'the first is gone',
        () => db.deleteFrom('audit_event').where('seq', '=', 1).execute(),
        { seq: 1, kind: 'missing', message: 'Event 1 is missing.' },
      ],
      [
        'some are gone',
        () => db.deleteFrom('audit_event').where('seq', 'in', [4, 5]).execute(),
        { seq: 4, kind: 'missing', message: 'Events 4 to 5 are missing.' },
      ],
      [
        'all after one are gone',
        () => db.deleteFrom('audit_event').where('seq', '>', 6).execute(),
        { seq: 7, kind: 'noted' },
      ],
      [
        'one was written anew with its hash',
        async () => {
          const forged = rows.find(({ seq }) => seq === 5)
          if (forged === undefined) return
          const { seq, at, actor, actor_name: name, address, action, subject, previous_hash: previous } = forged
          const hash = createHash('sha256')
            .update(JSON.stringify([seq, at, actor, name, address, action, subject, '{"i":50}', previous]))
            .digest('hex')
          await db.updateTable('audit_event').set({ data: '{"i":50}', hash }).where('seq', '=', 5).execute()
        },
        { seq: 6, kind: 'unlinked' },
      ],
      [
        'all were written anew',
        async () => {
          await db.updateTable('audit_event').set({ actor: 'key_eve' }).where('seq', '=', 5).execute()
          await spread(store)
        },
        { seq: 9, kind: 'noted' },
      ],
    )
    for (const [what, damage, expected] of cases) {
      await damage()
      expect((await checkAudit(store, head)).damage, what).toMatchObject(expected)
      await restore()
      expect((await checkAudit(store, head)).damage, what).toBeNull()
    }
  })

  test('what is cut off by age leaves a chain that is checked as before, and a cut that nobody told of shows', async () => {
    await using held = await logOf(9)
    const { store } = held
    const noted = (await checkAudit(store)).head
    expect(await cutAudit(store, day(1))).toBe(0)
    expect(await cutAudit(store, day(4))).toBe(3)
    expect(await checkAudit(store, noted)).toMatchObject({ events: 7, cutThrough: 3, damage: null, head: { seq: 10 } })
    expect(await cutAudit(store, day(4)), 'nothing is left that is older').toBe(0)
    const [told] = await listAudit(store, { action: 'audit' }, { oldestFirst: false, after: null, limit: 5 })
    expect(JSON.parse(told?.data ?? '{}')).toMatchObject({ through: 3, events: 3, before: day(4) })
    expect(await cutAudit(store, day(6))).toBe(2)
    await recordAudit(store, ANNA, { action: 'job.start', subject: 'job_later', data: {} })
    expect(await checkAudit(store)).toMatchObject({ events: 7, cutThrough: 5, damage: null })
    // Old events are taken out by hand, and the mark is moved along.
    const row = await store.db.selectFrom('audit_event').selectAll().where('seq', '=', 7).executeTakeFirstOrThrow()
    await store.db.deleteFrom('audit_event').where('seq', '<=', 7).execute()
    expect((await checkAudit(store)).damage).toMatchObject({ seq: 6, kind: 'missing' })
    const value = JSON.stringify({ seq: 7, hash: row.hash })
    await store.db.updateTable('store_meta').set({ value }).where('key', '=', 'audit_anchor').execute()
    expect((await checkAudit(store)).damage).toMatchObject({ seq: 7, kind: 'cut' })
  })

  test('of a log that is older than all that is kept, the last event stays, and the chain goes on', async () => {
    await using held = await logOf(5)
    const { store } = held
    expect(await cutAudit(store, '2027-01-01T00:00:00.000Z')).toBe(4)
    await tell(store, 2)
    expect(await checkAudit(store)).toMatchObject({ events: 4, cutThrough: 4, damage: null, head: { seq: 8 } })
  })

  test('a log that is cut and written to while it is checked is whole', async () => {
    await using held = await logOf(9)
    const { store } = held
    const checks = await Promise.all([
      ...Array.from({ length: 5 }, () => checkAudit(store)),
      cutAudit(store, day(5)).then(() => checkAudit(store)),
      tell(store, 3).then(() => checkAudit(store)),
    ])
    for (const { damage } of checks) expect(damage).toBeNull()
  })

  test('events are found by time, actor, action, subject and text, and counted', async () => {
    await using held = await logOf(12)
    const { store } = held
    const find = async (filter: AuditFilter) =>
      (await listAudit(store, filter, { oldestFirst: true, after: null, limit: 100 })).map(({ seq }) => seq)
    expect(await find({ since: day(3), until: day(6) })).toEqual([3, 4, 5])
    expect(await find({ actor: 'key_ben', action: 'job' })).toEqual([2, 4, 8, 10])
    expect(await find({ actor: 'Anna 100%', action: 'jobless.note' })).toEqual([3, 9])
    expect(await find({ subject: 'job_7' })).toEqual([7])
    expect(await find({ search: '100%' })).toEqual([1, 3, 5, 7, 9, 11])
    expect(await find({ search: 'JOB_1' })).toEqual([1, 10, 11, 12])
    expect(await find({ search: 'NOTE' })).toEqual([3, 6, 9, 12])
    expect(await find({ search: '_' })).toHaveLength(12)
    expect(await find({ without: ['job'] })).toEqual([3, 6, 9, 12])
    expect(await find({ datasources: [] })).toEqual([])
    expect(await countAudit(store, { since: day(2), until: day(5) })).toEqual({
      events: 3,
      actions: [
        { action: 'job.start', events: 2 },
        { action: 'jobless.note', events: 1 },
      ],
      actors: [
        { actor: 'key_ben', name: 'Ben', events: 2 },
        { actor: 'key_anna', name: 'Anna 100%', events: 1 },
      ],
      days: [2, 3, 4].map((n) => ({ day: day(n).slice(0, 10), events: 1 })),
    })
    expect((await startersOf(store, ['job_1', 'job_3', 'job_1'])).get('job_1')).toMatchObject({ name: 'Anna 100%' })
  })
})
