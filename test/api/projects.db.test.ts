import { describe, expect, test } from 'vitest'

import { STORE_KINDS } from '#test/harness/store.ts'
import { createWorld } from './world.ts'

const KEY = 'canary-service-role-key'
const PROJECT = { name: 'app', project_url: 'https://abcdefghijklmnop.supabase.co', service_role_key: KEY }

describe.each(STORE_KINDS)('projects on %s', (kind) => {
  test('S10: a project is registered by its URL and its key, which no answer, line or table shows', async () => {
    await using world = await createWorld(kind)
    const { api, admin } = world
    const made = await api.send(admin, 'POST', '/api/datasources', { body: PROJECT })
    expect(made.statusCode, made.body).toBe(201)
    const shown = made.json<Record<string, unknown>>()
    expect(shown).toMatchObject({
      kind: 'supabase',
      project_url: PROJECT.project_url,
      host: 'abcdefghijklmnop.supabase.co',
      port: 443,
      user: 'service_role',
      has_password: true,
      writable: false,
      effective_environment: 'production',
    })
    const url = `/api/datasources/${String(shown['id'])}`
    // A key that is left out stays; one that is referred to takes its place.
    const { service_role_key: _, ...without } = PROJECT
    const kept = await api.send(admin, 'PUT', url, { body: { ...without, environment: 'staging' } })
    expect(kept.json()).toMatchObject({ has_password: true, service_role_key_reference: null, environment: 'staging' })
    const body = { ...without, service_role_key_reference: 'env:APP_KEY' }
    const referred = await api.send(admin, 'PUT', url, { body })
    expect(referred.json()).toMatchObject({ service_role_key_reference: 'env:APP_KEY', password_reference: null })
    const { name: _name, ...connection } = PROJECT
    const tested = await api.send(admin, 'POST', '/api/databases/test', { body: connection })
    expect(tested.statusCode, tested.body).toBe(200)

    const list = await api.send(admin, 'GET', '/api/datasources')
    const rows = await api.store.db.selectFrom('datasource').selectAll().execute()
    const audit = await api.store.db.selectFrom('audit_event').selectAll().execute()
    for (const text of [
      made.body,
      kept.body,
      tested.body,
      list.body,
      JSON.stringify(rows),
      JSON.stringify(audit),
      ...api.log,
    ]) {
      expect(text).not.toContain(KEY)
    }
  })

  test.each([
    ['url', { ...PROJECT, url: 'postgres://localhost/x' }],
    ['host', { ...PROJECT, host: 'localhost' }],
    ['password', { ...PROJECT, password: 'x' }],
    ['kind', { ...PROJECT, kind: 'neon' }],
    ['service_role_key_reference', { ...PROJECT, service_role_key_reference: 'env:X' }],
    ['service_role_key', { name: 'app', url: 'postgres://localhost/x', service_role_key: KEY }],
  ])('a mixture of project and database is refused at its place: %s', async (place, body) => {
    await using world = await createWorld(kind)
    const answer = await world.api.send(world.admin, 'POST', '/api/datasources', { body })
    expect(answer.statusCode).toBe(400)
    expect(answer.body).toContain(`body#/${place}`)
    expect(answer.body).not.toContain(KEY)
  })

  test.each(['http://abc.supabase.co', 'https://u:canary@abc.supabase.co'])(
    'the project URL %s is refused',
    async (url) => {
      await using world = await createWorld(kind)
      const answer = await world.api.send(world.admin, 'POST', '/api/datasources', {
        body: { ...PROJECT, project_url: url },
      })
      expect(answer.json()).toMatchObject({ code: 'invalid_url' })
      expect(answer.body).not.toContain('canary')
    },
  )
})
