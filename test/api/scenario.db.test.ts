import { describe, expect, test } from 'vitest'

import { applyJobEvent } from '#control/jobs.ts'
import { claimNextJob } from '#control/leases.ts'
import { createSetupToken } from '#control/setup-tokens.ts'

import { createApi } from '#test/harness/api.ts'
import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { STORE_KINDS } from '#test/harness/store.ts'

describe.each(STORE_KINDS)('the API on %s', (kind) => {
  test('from the setup token to a receipt, with nothing but what /docs says', async () => {
    await using api = await createApi(kind)
    await using copy = await createDatabase(sharedServers().target)
    const place = new URL(copy.url)
    const { store } = api
    const setup = await createSetupToken(store)
    const first = await api.send(null, 'POST', '/api/setup', { body: { token: setup?.token.reveal() } })
    expect(first.statusCode, first.body).toBe(201)
    const { key } = first.json<{ key: string }>()
    const again = await api.send(null, 'POST', '/api/setup', { body: { token: setup?.token.reveal() } })
    expect(again.statusCode).toBe(401)
    expect(await createSetupToken(store)).toBeNull()

    const source = await api.send(key, 'POST', '/api/v1/datasources', {
      body: { name: 'shop', url: 'postgres://app:pa55word@localhost/shop' },
    })
    expect(source.statusCode, source.body).toBe(201)
    expect(source.json()).toMatchObject({ host: 'localhost', has_password: true, writable: false, version: 1 })
    const target = await api.send(key, 'POST', '/api/datasources', {
      body: {
        name: 'copy',
        host: 'localhost',
        port: Number(place.port),
        database: copy.name,
        user: place.username,
        writable: true,
      },
    })
    expect(target.statusCode, target.body).toBe(201)
    const tested = await api.send(key, 'POST', `/api/datasources/copy/test`)
    expect(tested.json(), tested.body).toMatchObject({ ok: true })

    const config = await api.send(key, 'POST', '/api/sync-configs', {
      body: { name: 'shop copy', master_datasource_id: 'shop', slave_datasource_id: 'copy' },
    })
    expect(config.statusCode, config.body).toBe(201)
    const started = await api.send(key, 'POST', `/api/sync/${config.json<{ id: string }>().id}`, { body: {} })
    expect(started.statusCode, started.body).toBe(202)
    const { job_id: jobId } = started.json<{ job_id: string }>()
    expect(started.headers['location']).toBe(`/api/v1/jobs/${jobId}`)

    const claimed = await claimNextJob(store, { owner: 'test', leaseMs: 15_000 })
    const hold = { jobId, owner: 'test', epoch: claimed?.epoch ?? 0 }
    await applyJobEvent(store, { id: jobId, event: 'succeed', hold }, { result: { jobId, bulkLoaded: true } })
    for (const path of [`/api/jobs/${jobId}`, `/api/v1/sync/${jobId}/status`, `/api/sync/status/${jobId}`]) {
      expect((await api.send(key, 'GET', path)).json()).toMatchObject({ id: jobId, status: 'succeeded' })
    }
    const receipt = await api.send(key, 'GET', `/api/jobs/${jobId}/receipt`)
    expect(receipt.json(), receipt.body).toMatchObject({ receipt: { job_id: jobId, bulk_loaded: true } })
    const events = await api.send(key, 'GET', `/api/jobs/${jobId}/events`)
    expect(events.body).toMatch(/id: 1\nevent: status[\s\S]*id: 3\nevent: status[\s\S]*event: end/)
    expect((await api.send(key, 'GET', `/api/jobs/${jobId}/events?after=3`)).statusCode).toBe(204)
  })
})
