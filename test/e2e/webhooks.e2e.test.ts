/** A webhook as people use it: the service asks a program about a conflict, over a kill, and a run carries its answer out. */
import { Webhook } from 'standardwebhooks'
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'
import { decide, status, WebhookReceiver } from '#test/harness/webhook-receiver.ts'

expectNoProgramSurvives()

test('P16: what was asked before a kill is asked after it, signed and under one id, and the answer reaches the target', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await using receiver = await WebhookReceiver.start()
  await source.sql(`CREATE TABLE product (id int PRIMARY KEY, title text, price numeric(10,2));
    INSERT INTO product SELECT i, 'product ' || i, i FROM generate_series(1, 20) i`)
  await target.sql('CREATE TABLE product (id int PRIMARY KEY, title text, price numeric(10,2))')
  await using service = await new ServeUnderTest({ SYNCLINE_WEBHOOK_NETWORKS: '127.0.0.0/8' }).start()
  await service.ask('POST', '/api/v1/datasources', { name: 'shop', url: source.url })
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  await service.ask('POST', '/api/v1/sync-configs', {
    name: 'shop copy',
    source_datasource_id: 'shop',
    target_datasource_id: 'copy',
    conflict_strategy: 'webhook',
    webhook_url: receiver.url,
  })
  const made = await service.cli(['configs', 'webhook-secret', 'shop copy', '--json'])
  const { secret } = (JSON.parse(made.stdout) as { result: { secret: string } }).result
  await service.succeeded(await service.run())

  receiver.answer = status(500)
  await source.sql(`UPDATE product SET title = 'ours', price = 7.5 WHERE id = 7`)
  await target.sql(`UPDATE product SET title = 'theirs' WHERE id = 7`)
  expect((await service.succeeded(await service.run()))['counts']).toMatchObject({ conflicted: 1, rejected: 0 })
  await expect.poll(() => receiver.asked.length).toBeGreaterThan(0)
  const { id } = receiver.asked[0]?.conflict ?? {}
  const lastError = async () => {
    const { webhook } = await service.ask('GET', `/api/v1/conflicts/${id}`)
    return (webhook as { last_error: string | null } | null)?.last_error
  }
  await expect.poll(lastError).toBe('The webhook answered 500.')
  const shown = await service.cli(['conflicts', 'show', String(id)])
  expect(shown.stdout, shown.stderr).toMatch(/The webhook is asked \(again\) at .+; \d+ attempts?, the last at /)
  await service.program.kill()
  const asked = receiver.asked.length

  receiver.answer = decide({ resolution: 'row', row: { title: 'both', price: '7.5' } })
  await service.start()
  const title = async () => (await target.sql('SELECT title, price FROM product WHERE id = 7'))[0]
  await expect.poll(title).toEqual(['both', '7.50'])
  expect(receiver.asked.length).toBeGreaterThan(asked)
  expect(new Set(receiver.asked.map(({ headers }) => headers['webhook-id'])).size).toBe(1)
  for (const { body, headers } of receiver.asked) new Webhook(secret).verify(body, headers as Record<string, string>)
  const state = async () => (await service.ask('GET', `/api/v1/conflicts/${id}`))['status']
  await expect.poll(state).toBe('applied')
  const { items } = (await service.ask('GET', '/api/v1/jobs')) as { items: readonly { requested_by: string }[] }
  expect(items.map((job) => job.requested_by).filter((by) => by === 'webhook')).toHaveLength(1)
})
