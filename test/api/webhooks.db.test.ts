/** Webhooks over the API: who is asked, the secret that is shown once, and how far the asking has come. */
import { describe, expect, test } from 'vitest'

import { getConfig } from '#control/sync-configs.ts'
import { queueDeliveries } from '#control/webhook-deliveries.ts'
import { STORE_KINDS } from '#test/harness/store.ts'
import { CANARY_VALUE, createWorld } from './world.ts'

type Fields = Readonly<Record<string, unknown>>

const WEBHOOK = { conflict_strategy: 'webhook', webhook_url: 'https://rules.example.com/conflicts' }

describe.each(STORE_KINDS)('on %s', (kind) => {
  test('a webhook needs a URL and a sync config', async () => {
    await using world = await createWorld(kind)
    const { api, admin, source, target, config } = world
    const ends = { source_datasource_id: source, target_datasource_id: target }
    const put = async (changes: object): Promise<readonly unknown[]> => {
      const answer = await api.send(admin, 'PUT', `/api/sync-configs/${config}`, {
        body: { name: 'config', ...ends, ...changes },
      })
      const { errors = [] } = answer.json<{ errors?: readonly { place: string; message: string }[] }>()
      return [answer.statusCode, ...errors.map(({ place }) => place)]
    }
    expect(await put({ conflict_strategy: 'webhook' })).toEqual([400, 'body#/conflict_strategy'])
    const ofTable = { tables: [{ source: 'a', conflict_strategy: 'webhook' }] }
    expect(await put(ofTable)).toEqual([400, 'body#/tables/0/conflict_strategy'])
    for (const url of [
      'rules.example.com',
      'ftp://example.com/',
      'https://me:secret@example.com/',
      'https://example.com/#x',
    ]) {
      expect(await put({ ...WEBHOOK, webhook_url: url }), url).toEqual([400, 'body#/webhook_url'])
    }
    expect(await put({ ...WEBHOOK, webhook_timeout_hours: 0 })).toEqual([400, 'body#/webhook_timeout_hours'])
    expect(await put({ ...ofTable, ...WEBHOOK, webhook_timeout_hours: 2 })).toEqual([200])
    for (const given of [WEBHOOK, { ...ofTable, webhook_url: WEBHOOK.webhook_url }]) {
      const body = { source_connection: source, target_connection: target, config: given }
      const answer = await api.send(admin, 'POST', '/api/sync/incremental', { body })
      expect(answer.statusCode, answer.body).toBe(400)
      expect(answer.body).toContain('save a sync config')
    }
  })

  test('S49: a secret is made by admins, shown once and noted; whoever does not see the config does not see it', async () => {
    await using world = await createWorld(kind)
    const { api, admin, source, target } = world
    const path = '/api/v1/sync-configs/config/webhook-secret'
    const viewer = (await api.key('viewer')).secret
    const missing = await api.send(viewer, 'GET', path)
    expect([missing.statusCode, missing.json<Fields>()['hint']]).toEqual([404, expect.stringContaining('POST')])
    const make = (body: object, key = admin) => api.send(key, 'POST', path, { body })
    const made = [await make({}), await make({}), await make({ keep_previous_hours: 0 })]
    expect(made.map(({ statusCode }) => statusCode)).toEqual([201, 201, 201])
    const secrets = made.map((answer) => String(answer.json<Fields>()['secret']))
    for (const secret of secrets) expect(secret).toMatch(/^whsec_[A-Za-z0-9+/]{43}=$/)
    expect(made.map((answer) => answer.json<Fields>()['previous_until'])).toEqual([null, expect.any(String), null])
    const shown = await api.send(viewer, 'GET', path)
    expect(shown.json()).toEqual({
      created_at: expect.any(String) as string,
      created_by: 'a admin',
      previous_until: null,
    })
    expect((await make({ keep_previous_hours: 169 })).statusCode).toBe(400)
    expect((await make({}, (await api.key('operator')).secret)).statusCode).toBe(403)
    expect((await make({}, (await api.key('admin', [source])).secret)).statusCode).toBe(404)
    expect((await make({}, (await api.key('admin', [source, target])).secret)).statusCode).toBe(201)
    const kept = await Promise.all(
      (['webhook_secret', 'audit_event', 'sync_config'] as const).map((table) =>
        api.store.db.selectFrom(table).selectAll().execute(),
      ),
    )
    for (const secret of secrets) {
      const text = secret.slice('whsec_'.length)
      expect(JSON.stringify(kept) + api.log.join('\n')).not.toContain(text)
    }
    const { items } = (await api.send(admin, 'GET', '/api/audit?action=webhook_secret')).json<{
      items: readonly Fields[]
    }>()
    expect(items.map((event) => String(event['action'])).toSorted()).toEqual([
      'webhook_secret.create',
      ...Array.from({ length: 3 }, () => 'webhook_secret.rotate'),
    ])
    // It goes with its sync config.
    const { id } = await getConfig(api.store, 'config')
    await api.send(admin, 'DELETE', `/api/sync-configs/${id}?confirm=config`)
    expect(await api.store.db.selectFrom('webhook_secret').selectAll().execute()).toEqual([])
  })

  test('a conflict tells how far its webhook has come, and why it is left to people', async () => {
    await using world = await createWorld(kind)
    const { api, conflict: id, config } = world
    const viewer = (await api.key('viewer')).secret
    const show = async () => (await api.send(viewer, 'GET', `/api/conflicts/${id}`)).json<Fields>()
    expect(await show()).toMatchObject({ webhook: null, reason: null })
    await api.store.db.updateTable('conflict').set({ strategy: 'webhook' }).where('id', '=', id).execute()
    expect(await queueDeliveries(api.store)).toBe(1)
    expect(await show()).toMatchObject({ webhook: { status: 'waiting', attempts: 0, last_error: null }, reason: null })
    const failed = { status: 'given_up', attempts: 3, last_error: 'The webhook answered 500.' }
    await api.store.db.updateTable('webhook_delivery').set(failed).execute()
    const reason = 'The webhook has not decided after 3 attempts. The webhook answered 500.'
    expect(await show()).toMatchObject({ status: 'open', webhook: { ...failed, next_at: null }, reason })
    const { items } = (await api.send(viewer, 'GET', `/api/sync/${config}/conflicts`)).json<{
      items: readonly Fields[]
    }>()
    expect(items).toMatchObject([{ reason, webhook: failed }, { webhook: null }])
    expect(JSON.stringify(items)).not.toContain(CANARY_VALUE)
    const operator = (await api.key('operator')).secret
    const body = { take: 'source', start: false }
    expect((await api.send(operator, 'POST', `/api/sync/${config}/resolve/${id}`, { body })).statusCode).toBe(200)
    expect(await show()).toMatchObject({ status: 'resolved', webhook: { status: 'ended' }, reason: null })
  })
})
