/** Webhooks that are asked about conflicts: real requests to receivers on this machine, over stores of both kinds. */
import { randomBytes } from 'node:crypto'
import { Webhook } from 'standardwebhooks'
import { describe, expect, test } from 'vitest'
import { writeQuestion } from '#api/present-conflict.ts'
import { getConflict, listConflicts, type OpenedConflict } from '#control/conflict-list.ts'
import { parkConflicts, type ConflictTools } from '#control/conflicts.ts'
import { resolveConflict } from '#control/decide-conflicts.ts'
import { resealPasswords } from '#control/datasources.ts'
import { applyJobEvent, listJobs } from '#control/jobs.ts'
import { createConfig, updateConfig } from '#control/sync-configs.ts'
import { claimDelivery, endAttempt, queueDeliveries } from '#control/webhook-deliveries.ts'
import { findWebhookSecret, readWebhookSecrets, rotateWebhookSecret } from '#control/webhook-secrets.ts'
import { must } from '#lib/assert.ts'
import { addMs, wallMs } from '#lib/clock.ts'
import { Networks, type Resolve } from '#lib/network-address.ts'
import { SecretBox } from '#lib/secret-box.ts'
import { SYSTEM } from '#model/access.ts'
import type { ConfigDocument } from '#model/config-document.ts'
import type { ConflictTable, FoundConflict } from '#model/conflict.ts'
import type { DatasourceDraft } from '#control/datasources.ts'
import { makeId, type IdKind } from '#model/id.ts'
import { createRegistry } from '#test/harness/datasources.ts'
import { STORE_KINDS, type StoreKind } from '#test/harness/store.ts'
import { decide, LOOPBACK, status, WebhookReceiver, type AnswerWith } from '#test/harness/webhook-receiver.ts'
import { startJob } from './start-job.ts'
import { WebhookAsker, type WebhookAskerOptions } from './webhook-asker.ts'

const REF = { schema: 'public', name: 't' }
const TABLE: ConflictTable = {
  source: REF,
  target: REF,
  mappingId: 'mapping',
  mappingHash: 'hash',
  key: ['id'],
  columns: [
    { name: 'id', type: { kind: 'integer', bits: 32 }, nullable: false },
    { name: 'name', type: { kind: 'text', maxLength: 10 }, nullable: true },
    { name: 'price', type: { kind: 'decimal', precision: 10, scale: 2 }, nullable: true },
  ],
}

/** In whatever a receiver answers: nothing that is kept may show it. */
const CANARY = 'canary-answer'

const newId = (kind: IdKind): string => makeId(kind, wallMs(), randomBytes(10))

function conflict(key: string, changes: Partial<FoundConflict> = {}): FoundConflict & { readonly id: string } {
  return {
    id: newId('conflict'),
    key: [key],
    kind: 'update_update',
    sourceFingerprint: 'source 1',
    targetFingerprint: 'target 1',
    agreed: { source: 'agreed', target: 'agreed' },
    fields: ['name'],
    source: [key, 'ours', '1.50'],
    target: [key, 'theirs', '1.00'],
    base: [key, 'before', '1.00'],
    merged: [key, 'theirs', '1.50'],
    holder: null,
    large: false,
    strategy: 'webhook',
    reason: null,
    ...changes,
  }
}

/** A store with a sync config whose webhook is a receiver of ours. */
async function open(kind: StoreKind, target: Partial<DatasourceDraft> = {}) {
  await using stack = new AsyncDisposableStack()
  const key = randomBytes(32)
  const registry = stack.use(await createRegistry(kind, { box: new SecretBox([key]) }))
  const receiver = stack.use(await WebhookReceiver.start())
  const { store, box } = registry.tools
  const tools: ConflictTools = { store, box }
  const [from, to] = [
    await registry.add('postgres://app@127.0.0.1:1/a'),
    await registry.add('postgres://app@127.0.0.1:1/b', { writable: true, ...target }),
  ]
  const config = newId('sync config')
  const document: ConfigDocument = {
    name: 'shop',
    source_datasource_id: from.id,
    target_datasource_id: to.id,
    conflict_strategy: 'webhook',
    webhook_url: receiver.url,
  }
  await createConfig(store, document, { id: config, actor: SYSTEM })
  const rotate = (keepPreviousHours: number) =>
    rotateWebhookSecret(tools, { id: newId('webhook secret'), configId: config, actor: SYSTEM, keepPreviousHours })
  const secret = (await rotate(0)).secret.reveal()
  const options = (changes: Partial<WebhookAskerOptions> = {}): WebhookAskerOptions => ({
    store,
    box,
    networks: LOOPBACK,
    goOn: () => Promise.resolve(null),
    write: writeQuestion,
    startJob: (wish, actor, also) =>
      startJob(
        { store, rules: { protectedEnvironments: ['production'] }, newJobId: () => newId('job'), also },
        wish,
        actor,
      ),
    pollMs: 10,
    timeoutMs: 5_000,
    backoff: { firstMs: 2, ceilingMs: 4 },
    ...changes,
  })
  const find = async (id: string): Promise<OpenedConflict> => getConflict(tools, id)
  const asking = async (id: string) => must((await find(id)).asking, 'a question')
  const held = stack.move()
  return {
    tools,
    store,
    key,
    receiver,
    config,
    document,
    secret,
    rotate,
    find,
    asking,
    park: (...found: ReturnType<typeof conflict>[]) =>
      parkConflicts(tools, { id: 'job_1', configId: config, scope: config }, TABLE, found),
    jobs: () => listJobs(store, { limit: 10 }),
    /** Asks until `met`, which is looked at again and again. */
    asks: async (met: () => Promise<unknown>, changes: Partial<WebhookAskerOptions> = {}) => {
      const stop = new AbortController()
      const running = new WebhookAsker(options(changes)).run(stop.signal)
      await expect.poll(met, { interval: 5 }).toBeTruthy()
      stop.abort()
      await running
    },
    /** As if its time were over. */
    overdue: () => store.db.updateTable('webhook_delivery').set({ deadline_at: '2000-01-01T00:00:00.000Z' }).execute(),
    events: async (action: string) =>
      store.db.selectFrom('audit_event').select(['actor', 'actor_name', 'data']).where('action', '=', action).execute(),
    [Symbol.asyncDispose]: () => held.disposeAsync(),
  }
}

describe.each(STORE_KINDS)('on %s', (kind) => {
  test('S49: both rows are posted, signed, decided about as it answers, and carried out by one run', async () => {
    await using it = await open(kind)
    const { receiver } = it
    const found = ['1', '2', '3', '4', '5'].map((key) => conflict(key))
    receiver.answer = (response, asked) =>
      decide({
        resolution: ['source', 'target', 'skip'][Number(asked.conflict.key[0]) % 3],
        conflict_id: asked.conflict.id,
      })(response, asked)
    await it.park(...found)
    await it.asks(async () => (await it.jobs()).length > 0)
    expect(receiver.asked).toHaveLength(5)
    const [asked] = receiver.asked
    const { headers, body } = must(asked, 'a question')
    const verified = new Webhook(it.secret).verify(body, headers as Record<string, string>)
    expect(verified).toMatchObject({
      type: 'conflict.open',
      data: {
        config: { id: it.config, name: 'shop' },
        fingerprints: { source: 'source 1', target: 'target 1' },
        conflict: {
          kind: 'update_update',
          fields: ['name'],
          source_row: [{}, { column: 'name', value: 'ours' }, { column: 'price', value: '1.50' }],
          target_row: [{}, { column: 'name', value: 'theirs' }, {}],
          base_row: [{}, { column: 'name', value: 'before' }, {}],
        },
      },
    })
    expect(() => new Webhook(it.secret).verify(`${body} `, headers as Record<string, string>)).toThrow(
      'No matching signature',
    )
    const decided = await Promise.all(found.map(({ id }) => it.find(id)))
    expect(decided.map(({ status: is, resolution, resolvedBy }) => [is, resolution, resolvedBy?.id])).toEqual(
      ['target', 'skip', 'source', 'target', 'skip'].map((take) => ['resolved', take, 'webhook']),
    )
    expect(decided.map(({ asking }) => [asking?.status, asking?.attempts])).toEqual(found.map(() => ['ended', 1]))
    expect(await it.jobs()).toMatchObject([
      { configId: it.config, kind: 'sync', request: { tables: ['t'] }, requestedBy: 'webhook' },
    ])
    expect(await it.events('conflict.resolve')).toMatchObject(
      found.map(() => ({ actor: 'webhook', actor_name: 'webhook of shop' })),
    )
  })

  test('S49: while a secret takes the place of another both sign, and afterwards the new one alone', async () => {
    await using it = await open(kind)
    const verify = (secret: string): boolean => {
      const { body, headers } = must(it.receiver.asked.at(-1), 'a question')
      try {
        new Webhook(secret).verify(body, headers as Record<string, string>)
        return true
      } catch {
        return false
      }
    }
    const next = (await it.rotate(24)).secret.reveal()
    expect(await findWebhookSecret(it.store, it.config)).toMatchObject({ previousUntil: expect.any(String) as string })
    await it.park(conflict('1'))
    await it.asks(async () => (await it.jobs()).length > 0)
    expect([it.secret, next].map(verify)).toEqual([true, true])
    // They go along when the key of the service is changed.
    const key = randomBytes(32)
    await resealPasswords({ store: it.store, box: new SecretBox([key, it.key]) }, SYSTEM)
    const resealed = await readWebhookSecrets({ store: it.store, box: new SecretBox([key]) }, it.config)
    expect(resealed.map((secret) => secret.reveal())).toEqual([next, it.secret])
    await expect(readWebhookSecrets(it.tools, it.config)).rejects.toMatchObject({ code: 'secret_unreadable' })
    const last = (await it.rotate(0)).secret.reveal()
    await it.park(conflict('2'))
    await it.asks(async () => it.receiver.asked.length === 2)
    expect([it.secret, next, last].map(verify)).toEqual([false, false, true])
    const kept = await it.store.db.selectFrom('webhook_secret').selectAll().execute()
    expect(kept).toHaveLength(1)
    expect(JSON.stringify(kept)).not.toContain(last.slice(6))
    const events = [...(await it.events('webhook_secret.create')), ...(await it.events('webhook_secret.rotate'))]
    expect(events).toHaveLength(3)
    for (const secret of [it.secret, next, last]) expect(JSON.stringify(events)).not.toContain(secret.slice(6))
  })

  test('P16, S31: what fails is asked again under the same id, by whoever is there, and a redirect is not followed', async () => {
    await using it = await open(kind)
    await using other = await WebhookReceiver.start()
    const { receiver } = it
    const one = conflict('1')
    await it.park(one)
    const faults: readonly (readonly [AnswerWith, string])[] = [
      [status(500), 'answered 500'],
      [status(302, { location: other.url }), 'leads elsewhere'],
      [(response) => response.destroy(), 'cannot be reached'],
      [(response) => response.writeHead(200, { 'content-type': 'text/html' }).end(`<b>${CANARY}</b>`), 'not in JSON'],
      [(response) => response.setHeader('content-encoding', 'gzip').end(CANARY), 'packed'],
      [decide(`"${'x'.repeat(1_000_001)}"`), 'more than 1000000 bytes'],
    ]
    for (const [n, [answer, words]] of faults.entries()) {
      receiver.answer = answer
      // Each by an asker of its own: what is known is in the store.
      await it.asks(async () => (await it.asking(one.id)).lastError?.includes(words))
      expect((await it.asking(one.id)).attempts).toBeGreaterThan(n)
    }
    expect(other.asked).toEqual([])
    expect(await it.find(one.id)).toMatchObject({ status: 'open', version: 1 })
    // One that dies in the middle is followed by another once its lease is over.
    await expect.poll(() => claimDelivery(it.store, { leaseMs: 20, without: [] })).toMatchObject({ conflictId: one.id })
    receiver.answer = decide({ resolution: 'target' })
    await it.asks(async () => (await it.jobs()).length > 0)
    expect(await it.find(one.id)).toMatchObject({ status: 'resolved', resolution: 'target' })
    expect(new Set(receiver.asked.map(({ headers }) => headers['webhook-id']))).toEqual(
      new Set([(await it.asking(one.id)).id]),
    )
    expect(JSON.stringify(await it.store.db.selectFrom('webhook_delivery').selectAll().execute())).not.toContain(CANARY)
  })

  test('S51: an answer that is none decides nothing, and a row is fitted to its columns', async () => {
    await using it = await open(kind)
    const { receiver } = it
    const wrong: readonly (readonly [unknown, RegExp])[] = [
      ['{', /did not answer/],
      [[], /did not answer/],
      [{ resolution: 'both' }, /did not answer/],
      [{ resolution: 'source', note: CANARY }, /did not answer/],
      [{ resolution: 'source', conflict_id: newId('conflict') }, /another conflict/],
      [{ resolution: 'source', row: { name: CANARY } }, /for row alone/],
      [{ resolution: 'row' }, /row without one/],
      [{ resolution: 'row', row: { name: 3 } }, /did not answer/],
      [{ resolution: 'row', row: { [CANARY]: 'x' } }, /1 of its columns are not in the table/],
      [{ resolution: 'row', row: { id: '777' } }, /id: The key of a row cannot be changed here/],
      [{ resolution: 'row', row: { name: CANARY } }, /name: It /],
      [{ resolution: 'row', row: { price: CANARY } }, /price: It /],
      [{ resolution: 'row', row: {} }, /row without one/],
      ['{"resolution":"row","row":{"__proto__":"x","name":"y"}}', /did not answer/],
    ]
    const found = wrong.map((_, i) => conflict(String(i)))
    await it.park(...found)
    receiver.answer = (response, asked) => decide(wrong[Number(asked.conflict.key[0])]?.[0])(response, asked)
    const errors = () => Promise.all(found.map(async ({ id }) => (await it.find(id)).asking?.lastError ?? ''))
    await it.asks(async () => (await errors()).every((error) => error !== ''), {
      backoff: { firstMs: 60_000, ceilingMs: 60_000 },
    })
    for (const [i, error] of (await errors()).entries())
      expect(error, JSON.stringify(wrong[i])).toMatch(wrong[i]?.[1] ?? /^$/)
    expect((await errors()).join()).not.toContain(CANARY)
    const open_ = await listConflicts(it.store, { status: ['open'] }, { after: null, limit: 100 })
    expect(open_.map(({ version }) => version)).toEqual(wrong.map(() => 1))
    expect(receiver.asked).toHaveLength(wrong.length)

    const good = [conflict('100'), conflict('101'), conflict('102')]
    receiver.answer = (response, asked) =>
      decide({
        resolution: 'row',
        row: { 100: { name: 'Both', price: '2' }, 101: { price: null }, 102: null }[asked.conflict.key[0] ?? ''],
      })(response, asked)
    await it.park(...good)
    const builds = () => Promise.all(good.map(async ({ id }) => (await it.find(id)).built))
    await it.asks(async () => !(await builds()).includes(null))
    const built = await builds()
    // What it leaves out is as it merges by itself.
    expect(built).toEqual([{ row: ['100', 'Both', '2.00'] }, { row: ['101', 'theirs', null] }, { row: null }])
  })

  test('S51, D15: what comes late, twice or about other rows changes nothing, and two workers ask once', async () => {
    await using it = await open(kind)
    const { receiver } = it
    const [decided, moved] = [conflict('1'), conflict('2')]
    await it.park(decided, moved)
    receiver.answer = async (response, asked) => {
      const times = receiver.asked.filter(({ conflict: { id } }) => id === asked.conflict.id).length
      // Before the answer is there, somebody decides on the one, and a side of the other is edited.
      if (asked.conflict.id === decided.id) {
        await resolveConflict(it.tools, { id: decided.id, version: null, actor: SYSTEM }, { resolution: 'skip' })
      } else if (times === 1) {
        await it.park(conflict('2', { sourceFingerprint: 'source 2', source: ['2', 'newer', '9.00'] }))
      }
      decide({ resolution: times === 1 ? 'source' : 'target' })(response, asked)
    }
    await Promise.all([1, 2].map(() => it.asks(async () => (await it.find(moved.id)).status === 'resolved')))
    expect(await it.find(decided.id)).toMatchObject({
      resolution: 'skip',
      resolvedBy: { id: 'system' },
      asking: { status: 'ended' },
    })
    expect(await it.find(moved.id)).toMatchObject({ resolution: 'target', version: 3, resolvedBy: { id: 'webhook' } })
    const ids = receiver.asked.map(({ headers }) => String(headers['webhook-id']))
    expect(receiver.asked).toHaveLength(3)
    expect(new Set(ids).size).toBe(3)
  })

  test('what is not answered in time is left to people, and asked again once its rows are others', async () => {
    await using it = await open(kind)
    const { receiver } = it
    const [silent, later, gone] = [conflict('1'), conflict('2'), conflict('3')]
    receiver.answer = (response, asked) =>
      status({ 1: 503, 2: 202, 3: 410 }[asked.conflict.key[0] ?? ''] ?? 500)(response, asked)
    await it.park(silent, later, gone)
    const slow = { backoff: { firstMs: 60_000, ceilingMs: 60_000 } }
    const states = async () =>
      Promise.all([silent, later, gone].map(async ({ id }) => (await it.find(id)).asking?.status))
    const errors = () =>
      Promise.all([silent, gone].map(async ({ id }) => (await it.find(id)).asking?.lastError ?? null))
    // An attempt that is let go of before its answer is written down would be made again: each is waited for.
    await it.asks(async () => (await states())[1] === 'accepted' && !(await errors()).includes(null), slow)
    expect(await states()).toEqual(['waiting', 'accepted', 'given_up'])
    const soon = addMs(await it.store.now(it.store.db), 23 * 3_600_000)
    expect((await it.asking(silent.id)).deadlineAt > soon).toBe(true)
    await it.overdue()
    await it.asks(async () => (await states()).every((state) => state === 'given_up'), slow)
    expect(await it.find(silent.id)).toMatchObject({
      status: 'open',
      version: 1,
      asking: { status: 'given_up', attempts: 1, lastError: 'The webhook answered 503.' },
    })
    expect((await it.asking(gone.id)).lastError).toContain('410')
    expect((await it.events('conflict.webhook_give_up')).map(({ actor }) => actor)).toEqual([
      'system',
      'system',
      'system',
    ])
    // Told again as it is, it stays with people; whoever was to answer later may still do so as one of them.
    await it.park(silent, later, gone)
    await resolveConflict(it.tools, { id: later.id, version: 1, actor: SYSTEM }, { resolution: 'source' })
    await it.park(conflict('1', { targetFingerprint: 'target 2' }))
    receiver.answer = decide({ resolution: 'skip' })
    await it.asks(async () => (await it.find(silent.id)).status === 'resolved')
    expect(receiver.asked).toHaveLength(4)
    expect(receiver.asked[3]?.headers['webhook-id']).not.toBe(receiver.asked[0]?.headers['webhook-id'])
  })

  test('S30: only public addresses are called, unless an administrator names the network; nothing goes out unsigned', async () => {
    await using it = await open(kind)
    const one = conflict('1')
    await it.park(one)
    const at =
      (...addresses: readonly string[]): Resolve =>
      () =>
        Promise.resolve(addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })))
    const refusals: readonly (readonly [RegExp, Partial<WebhookAskerOptions>])[] = [
      [/neither public nor in a network that is allowed/, { networks: new Networks([]) }],
      [/neither public/, { resolve: at('127.0.0.1', '10.0.0.1') }],
      [/neither public/, { resolve: at('::ffff:10.0.0.1') }],
      [/neither public/, { resolve: at('64:ff9b::a00:1') }],
      [/neither public/, { resolve: at('100.64.0.1') }],
      [/must not be called/, { resolve: at('169.254.169.254') }],
      [/must not be called/, { resolve: at() }],
      [/no TLS/, { resolve: at('93.184.216.34') }],
      [/no TLS/, { resolve: at('127.0.0.1', '93.184.216.34') }],
      [/cannot be reached/, { resolve: () => Promise.reject(new Error('ENOTFOUND')) }],
    ]
    for (const [words, changes] of refusals) {
      await it.asks(async () => words.test((await it.find(one.id)).asking?.lastError ?? ''), changes)
    }
    await it.store.db.deleteFrom('webhook_secret').execute()
    await it.asks(async () => (await it.asking(one.id)).lastError?.includes('no secret'))
    const { webhook_url: _, ...without } = it.document
    await updateConfig(
      it.store,
      { id: it.config, version: null, actor: SYSTEM },
      { ...without, conflict_strategy: 'manual' },
    )
    await it.asks(async () => (await it.asking(one.id)).lastError?.includes('no webhook_url'))
    expect(it.receiver.asked).toEqual([])
  })

  test('a run waits for the one under way; where none may be started, that is said and the decision stands', async () => {
    await using it = await open(kind)
    await it.park(conflict('1'))
    await it.asks(async () => (await it.jobs()).length > 0)
    const [first] = await it.jobs()
    const later = conflict('2')
    await it.park(later)
    // The run that was started has not begun, and may have read its decisions all the same.
    await it.asks(async () => (await it.find(later.id)).asking?.status === 'answered')
    await applyJobEvent(it.store, { id: must(first, 'a job').id, event: 'cancel' })
    await it.asks(async () => (await it.jobs()).length > 1)
    expect((await it.asking(later.id)).status).toBe('ended')

    await using guarded = await open(kind, { environment: 'production' })
    const one = conflict('1')
    await guarded.park(one)
    await guarded.asks(async () => (await guarded.find(one.id)).asking?.status === 'ended')
    expect(await guarded.find(one.id)).toMatchObject({
      status: 'resolved',
      asking: { lastError: expect.stringContaining('No run was started') as string },
    })
    expect(await guarded.jobs()).toEqual([])
  })

  test('what comes of an attempt after another one was made changes nothing', async () => {
    await using it = await open(kind)
    const one = conflict('1')
    await it.park(one)
    expect(await queueDeliveries(it.store)).toBe(1)
    expect(await queueDeliveries(it.store)).toBe(0)
    const stale = must(await claimDelivery(it.store, { leaseMs: 0, without: [] }), 'an attempt')
    expect(await claimDelivery(it.store, { leaseMs: 60_000, without: [it.config] })).toBeNull()
    const fresh = must(await claimDelivery(it.store, { leaseMs: 60_000, without: [] }), 'another one')
    expect([stale.attempts, fresh.attempts, fresh.id]).toEqual([1, 2, stale.id])
    await endAttempt(it.store, stale, { status: 'accepted' })
    expect((await it.asking(one.id)).status).toBe('waiting')
    await endAttempt(it.store, fresh, { status: 'accepted' })
    expect((await it.asking(one.id)).status).toBe('accepted')
  })
})
