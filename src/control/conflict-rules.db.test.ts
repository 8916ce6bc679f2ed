import { randomBytes } from 'node:crypto'
import { describe, expect, test } from 'vitest'
import { wallMs } from '#lib/clock.ts'
import { SYSTEM, type Actor } from '#model/access.ts'
import type { ConflictTable, FoundConflict } from '#model/conflict.ts'
import { makeId, type IdKind } from '#model/id.ts'
import { createRegistry } from '#test/harness/datasources.ts'
import { STORE_KINDS, type StoreKind } from '#test/harness/store.ts'
import { findBrokenAudit } from './audit.ts'
import { getConflict } from './conflict-list.ts'
import { listRules, removeRule } from './conflict-rules.ts'
import { closeConflicts, parkConflicts, settleConflicts } from './conflicts.ts'
import { resolveConflict, resolveConflicts } from './decide-conflicts.ts'
import { createConfig, deleteConfig } from './sync-configs.ts'
import { queueDeliveries } from './webhook-deliveries.ts'

const REF = { schema: 'public', name: 't' }
const TEXT = { kind: 'text', maxLength: null } as const
const TABLE: ConflictTable = {
  source: REF,
  target: REF,
  mappingId: 'mapping',
  mappingHash: 'hash',
  key: ['id'],
  columns: ['id', 'v', 'w'].map((name) => ({ name, type: TEXT, nullable: true })),
}
const ANN: Actor = { id: 'key_ann', name: 'Ann', role: 'operator', datasources: null, address: null }

const newId = (kind: IdKind): string => makeId(kind, wallMs(), randomBytes(10))

function conflict(key: string, changes: Partial<FoundConflict> = {}): FoundConflict & { readonly id: string } {
  return {
    id: newId('conflict'),
    key: [key],
    kind: 'update_update',
    sourceFingerprint: 'source 1',
    targetFingerprint: 'target 1',
    agreed: { source: 'agreed', target: 'agreed' },
    fields: ['v'],
    source: [key, 'ours', 'ours'],
    target: [key, 'theirs', 'theirs'],
    base: null,
    merged: null,
    holder: null,
    large: false,
    strategy: 'manual',
    reason: null,
    ...changes,
  }
}

async function open(kind: StoreKind) {
  const registry = await createRegistry(kind)
  const { store, box } = registry.tools
  const tools = { store, box }
  const ends = [await registry.add('postgres://app@127.0.0.1:1/a'), await registry.add('postgres://app@127.0.0.1:1/b')]
  const config = newId('sync config')
  await createConfig(
    store,
    { name: 'shop', source_datasource_id: ends[0]?.id ?? '', target_datasource_id: ends[1]?.id ?? '' },
    { id: config, actor: SYSTEM },
  )
  const job = (id: string, configId: string | null = config) => ({ id, configId, scope: configId ?? id })
  return {
    store,
    tools,
    config,
    job,
    park: async (of: string, ...found: ReturnType<typeof conflict>[]) =>
      (await parkConflicts(tools, job(of), TABLE, found)).map(
        ({ key, resolution }) => `${String(key[0])} ${resolution}`,
      ),
    take: (id: string, resolution: 'source' | 'target' | 'skip', anyFields: boolean | null) =>
      resolveConflict(
        tools,
        { id, version: null, actor: ANN },
        { resolution },
        { remember: anyFields === null ? null : { configId: config, anyFields } },
      ),
    rules: async () =>
      (await listRules(store, config)).map(({ kind: of, fields, resolution, createdBy }) => [
        of,
        fields,
        resolution,
        createdBy.name,
      ]),
    events: async (action: string) =>
      (await store.db.selectFrom('audit_event').select('data').where('action', '=', action).execute()).map(
        ({ data }) => JSON.parse(data) as Readonly<Record<string, unknown>>,
      ),
    [Symbol.asyncDispose]: () => registry[Symbol.asyncDispose](),
  }
}

describe.each(STORE_KINDS)('on %s', (kind) => {
  test('what is remembered decides later conflicts of the same sort, as the run finds them, and says by which rule', async () => {
    await using it = await open(kind)
    const first = conflict('1', { fields: ['w', 'v'] })
    expect(await it.park('job_1', first)).toEqual([])
    await it.take(first.id, 'source', false)
    expect(await it.rules()).toEqual([['update_update', ['v', 'w'], 'source', 'Ann']])
    const others = [
      conflict('2', { fields: ['v', 'w'] }),
      conflict('3'),
      conflict('4', { kind: 'insert_insert', fields: ['v', 'w'] }),
    ]
    const [like] = others
    expect(await it.park('job_2', ...others)).toEqual(['2 source'])
    const decided = await getConflict(it.tools, like?.id ?? '')
    const [rule] = await listRules(it.store, it.config)
    expect(decided).toMatchObject({
      status: 'resolved',
      resolution: 'source',
      resolvedBy: { id: rule?.id, name: 'rule of Ann' },
      version: 2,
    })
    expect(await it.events('conflict.resolve_by_rule')).toEqual([
      { rule: rule?.id, job: 'job_2', table: 'public.t', kind: 'update_update', resolution: 'source', conflicts: 1 },
    ])
    // The same run tells what became of it, as of every decision.
    const outcome = { outcome: 'applied', sourceFingerprint: 'source 1', targetFingerprint: 'source 1' } as const
    const outcomes = [{ id: decided.id, version: 2, ...outcome }]
    await settleConflicts(it.tools, it.job('job_2'), { target: REF, outcomes })
    await closeConflicts(it.store, it.job('job_2'), REF)
    expect((await getConflict(it.tools, decided.id)).status).toBe('applied')
    // Another table, another sync and a run without one know nothing of it.
    const elsewhere = { ...TABLE, target: { schema: 'public', name: 'u' } }
    expect(await parkConflicts(it.tools, it.job('job_3'), elsewhere, [conflict('5', { fields: ['v', 'w'] })])).toEqual(
      [],
    )
    expect(
      await parkConflicts(it.tools, it.job('job_9', null), TABLE, [conflict('6', { fields: ['v', 'w'] })]),
    ).toEqual([])
    expect(await findBrokenAudit(it.store)).toBeNull()
  })

  test('a rule for these very fields comes before one for any; what waited is decided when it is found again', async () => {
    await using it = await open(kind)
    const [waits, one, person] = [conflict('1'), conflict('2', { fields: ['w'] }), conflict('3')]
    await it.park('job_1', waits, one, person)
    await it.take(person.id, 'skip', null)
    await it.take(one.id, 'target', true)
    await resolveConflicts(it.tools, {
      filter: { scope: it.config, ids: [one.id], status: ['resolved'] },
      resolution: 'skip',
      actor: ANN,
      subject: it.config,
      expect: 1,
      digest: null,
      remember: { configId: it.config, anyFields: false },
    })
    expect(await it.rules()).toEqual([
      ['update_update', null, 'target', 'Ann'],
      ['update_update', ['w'], 'skip', 'Ann'],
    ])
    // What a person has decided stays as it was decided.
    expect(await it.park('job_2', waits, person, conflict('4', { fields: ['w'] }))).toEqual(['1 target', '4 skip'])
    expect(await getConflict(it.tools, person.id)).toMatchObject({ resolution: 'skip', resolvedBy: { id: ANN.id } })
    // A side has moved since: it is decided anew, on the rows of now.
    expect(await it.park('job_3', conflict('1', { sourceFingerprint: 'source 2' }))).toEqual(['1 target'])
    // A rule about the same sort takes the place of the one before.
    await it.take(waits.id, 'source', true)
    expect((await it.rules()).map(([, , resolution]) => resolution)).toEqual(['skip', 'source'])
    for (const { id } of await listRules(it.store, it.config)) {
      await removeRule(it.store, { configId: it.config, id, actor: ANN })
      await expect(removeRule(it.store, { configId: it.config, id, actor: ANN })).rejects.toMatchObject({
        code: 'not_found',
      })
    }
    expect(await it.park('job_4', conflict('7'))).toEqual([])
    expect((await it.events('conflict_rule.create')).map(({ fields, resolution }) => [fields, resolution])).toEqual([
      [null, 'target'],
      [['w'], 'skip'],
      [null, 'source'],
    ])
    expect(await it.events('conflict_rule.delete')).toHaveLength(2)
  })

  test('a webhook is not asked about what a rule decides; rules are few, and go with their sync config', async () => {
    await using it = await open(kind)
    const one = conflict('1', { strategy: 'webhook' })
    await it.park('job_1', one)
    await it.take(one.id, 'source', false)
    await it.park('job_2', conflict('2', { strategy: 'webhook' }))
    expect(await queueDeliveries(it.store)).toBe(0)
    const many = Array.from({ length: 101 }, (_, i) => conflict(`m${i}`, { fields: [`column ${i}`] }))
    await it.park('job_3', ...many)
    const all = { filter: { scope: it.config }, actor: ANN, subject: it.config, expect: null, digest: null } as const
    const remember = { configId: it.config, anyFields: false }
    await expect(resolveConflicts(it.tools, { ...all, resolution: 'skip', remember })).rejects.toMatchObject({
      code: 'invalid_request',
    })
    expect((await getConflict(it.tools, many[0]?.id ?? '')).status).toBe('open')
    await resolveConflicts(it.tools, { ...all, resolution: 'skip', remember: { ...remember, anyFields: true } })
    expect(await it.rules()).toHaveLength(2)
    await deleteConfig(it.store, { id: it.config, version: null, actor: SYSTEM })
    expect(await it.rules()).toEqual([])
  })
})
