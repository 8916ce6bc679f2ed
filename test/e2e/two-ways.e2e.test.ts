/** A sync in two ways as people use it: the service, its source that has to be marked, conflicts decided by a command. */
import { expect, test } from 'vitest'

import { createDatabase, expectSameTable } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

test('both sides are edited, what is in conflict is decided, and both are the same, over a kill of the service', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await source.sql(`CREATE TABLE product (id int PRIMARY KEY, title text, price numeric(10,2));
    INSERT INTO product SELECT i, 'product ' || i, i FROM generate_series(1, 300) i`)
  await target.sql('CREATE TABLE product (id int PRIMARY KEY, title text, price numeric(10,2))')
  await using service = await new ServeUnderTest({ PROTECTED_ENVIRONMENTS: 'production' }).start()
  await service.register({ source: source.url, target: target.url })
  const shop = await service.ask('GET', '/api/v1/datasources/shop')
  const config = await service.ask('GET', '/api/v1/sync-configs/shop%20copy')
  const { id, version: _version, created_at: _created, updated_at: _updated, ...document } = config
  const put = (changes: object): Promise<unknown> =>
    service.ask('PUT', `/api/v1/sync-configs/${String(id)}`, { ...document, ...changes })
  await put({ direction: 'two_way', conflict_strategy: 'merge' })

  const unmarked = await service.call('POST', '/api/v1/sync/shop%20copy', {})
  expect([unmarked.status, unmarked.body['code']], unmarked.text).toEqual([409, 'target_not_writable'])
  expect(unmarked.text).toContain('the source is written too')
  const mark = (changes: object): Promise<unknown> =>
    service.ask('PUT', `/api/v1/datasources/${String(shop['id'])}`, {
      name: 'shop',
      url: source.url,
      writable: true,
      ...changes,
    })
  await mark({ environment: 'production' })
  const guarded = await service.call('POST', '/api/v1/sync/shop%20copy', {})
  expect(guarded.body['code'], guarded.text).toBe('target_protected')
  expect(guarded.text).toContain('allow_protected_source_write')
  const unnamed = await service.call('POST', '/api/v1/sync/shop%20copy', { allow_protected_source_write: true })
  expect(unnamed.body['code'], unnamed.text).toBe('confirmation_needed')
  const allowed = { allow_protected_source_write: true, confirm: 'copy' }
  await service.succeeded(await service.run(allowed))
  await mark({ environment: 'local' })

  await source.sql(`UPDATE product SET price = price + 1 WHERE id <= 100; UPDATE product SET title = 'ours' WHERE id = 7;
    DELETE FROM product WHERE id = 300; INSERT INTO product VALUES (301, 'new here', 1)`)
  await target.sql(`UPDATE product SET title = 'seen ' || title WHERE id BETWEEN 50 AND 150;
    UPDATE product SET title = 'theirs' WHERE id = 7; INSERT INTO product VALUES (302, 'new there', 1)`)
  const job = await service.run()
  await service.until(job, ['running', 'succeeded'])
  await service.program.kill()
  await service.start()
  const ended = await service.succeeded(job)
  expect(ended['counts']).toMatchObject({ conflicted: 1, rejected: 0 })
  const both = 'SELECT id, title, price FROM product WHERE id IN (1, 60, 120, 301, 302) ORDER BY id'
  const rows = [
    ['1', 'product 1', '2.00'],
    ['60', 'seen product 60', '61.00'],
    ['120', 'seen product 120', '120.00'],
    ['301', 'new here', '1.00'],
    ['302', 'new there', '1.00'],
  ]
  expect(await source.sql(both)).toEqual(rows)
  expect(await target.sql(both)).toEqual(rows)

  const listed = await service.cli(['conflicts', 'list', '--config', 'shop copy'])
  expect(listed, listed.stderr).toMatchObject({ code: 3 })
  const [conflict = ''] = /cfl_\w+/.exec(listed.stdout) ?? []
  expect((await service.cli(['conflicts', 'show', conflict])).stdout).toMatch(/\* title +'ours' +'theirs'/)
  const decided = await service.cli(['conflicts', 'resolve', conflict, '--set', 'title=both', '--rest', 'source'])
  expect(decided, decided.stderr).toMatchObject({ code: 0 })
  expect(await target.sql('SELECT title, price FROM product WHERE id = 7')).toEqual([['both', '8.00']])
  await expectSameTable(source, target, ['public', 'product'])
  const quiet = await service.succeeded(await service.run())
  expect(quiet['counts']).toMatchObject({ inserted: 0, updated: 0, deleted: 0, conflicted: 0 })
})
