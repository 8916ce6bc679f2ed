/** A project that is reached over REST, by the commands and the service as somebody uses them. */
import { readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

import { expect, test } from 'vitest'

import { createDatabase, expectSameTable } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { startRestApi, tokenOf } from '#test/harness/postgrest.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

test('a project is registered, tested and synced, and its key is nowhere to be found', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const columns = 'id int PRIMARY KEY, name text NOT NULL, price numeric(10,2), at timestamptz DEFAULT now()'
  for (const db of [source, target]) await db.sql(`CREATE TABLE product (${columns})`)
  await source.sql(`INSERT INTO product SELECT n, 'p' || n, n / 7.0 FROM generate_series(1, 2500) n`)
  await using api = await startRestApi(source, { maxRows: 1_000 })
  const key = tokenOf('service_role')
  await using service = await new ServeUnderTest({ APP_KEY: key }).start()

  const exposed = await service.cli(['datasources', 'add', 'app', api.url, '--service-role-key', key])
  expect(exposed.code).toBe(2)
  const added = await service.cli(['datasources', 'add', 'app', api.url, '--service-role-key', 'env:APP_KEY'])
  expect(added.code, added.stderr).toBe(0)
  const tested = await service.cli(['datasources', 'test', 'app'])
  expect(tested.code, tested.stdout).toBe(0)
  expect(tested.stdout).toContain('service_role')
  await service.ask('POST', '/api/v1/datasources', { name: 'copy', url: target.url, writable: true })
  const config = { name: 'down', source_datasource_id: 'app', target_datasource_id: 'copy' }
  await service.ask('POST', '/api/v1/sync-configs', config)
  const job = String((await service.ask('POST', '/api/v1/sync/down', {}))['job_id'])
  expect(await service.succeeded(job)).toMatchObject({ counts: { inserted: 2_500 } })
  await expectSameTable(source, target, 'product')
  const receipt = await service.ask('GET', `/api/v1/jobs/${job}/receipt`)
  expect(receipt).toMatchObject({
    receipt: { completeness: 'bounded', source: { product: expect.stringContaining('PostgREST') } },
  })

  // The other way round it is previewed; a run that would write says what is missing, and how somebody adds it.
  await service.ask('POST', '/api/v1/sync-configs', {
    name: 'up',
    source_datasource_id: 'copy',
    target_datasource_id: 'app',
  })
  const dry = String((await service.ask('POST', '/api/v1/sync/up', { dry_run: true }))['job_id'])
  await service.succeeded(dry)
  const app = await service.ask('GET', '/api/v1/datasources/app')
  const writable = { name: 'app', project_url: api.url, writable: true }
  await service.ask('PUT', `/api/v1/datasources/${String(app['id'])}`, writable)
  const up = String((await service.ask('POST', '/api/v1/sync/up', {}))['job_id'])
  expect(await service.until(up, ['failed', 'succeeded'])).toMatchObject({
    status: 'failed',
    error: { code: 'rest_not_prepared', hint: expect.stringContaining('syncline datasources prepare') },
  })
  const script = await service.cli(['datasources', 'prepare'])
  expect(script.code, script.stderr).toBe(0)
  await source.sql(script.stdout)
  const prepared = await service.cli(['datasources', 'test', 'app'])
  expect(prepared.stdout).toContain('prepared, and 1 tables may be written')
  await target.sql(
    `UPDATE product SET name = 'p ' || id WHERE id <= 100; INSERT INTO product VALUES (9000, 'new', 1.5)`,
  )
  const written = String((await service.ask('POST', '/api/v1/sync/up', {}))['job_id'])
  expect(await service.succeeded(written)).toMatchObject({ counts: { inserted: 1, updated: 100 } })
  await expectSameTable(source, target, 'product')
  const told = await service.ask('GET', `/api/v1/jobs/${written}/receipt`)
  expect(told).toMatchObject({
    receipt: { completeness: 'bounded', notes: expect.arrayContaining([expect.stringContaining('takes effect once')]) },
  })

  // What is exported is applied again without a change.
  const exported = await service.cli(['export-config'])
  expect(exported.stdout).toContain(`project_url: ${api.url}`)
  const file = join(service.folder, 'config.yaml')
  writeFileSync(file, exported.stdout)
  const applied = await service.cli(['apply', '-f', file])
  expect(applied.stdout).toContain('changed 0 of')

  const texts = [exposed, added, tested, exported, applied].flatMap(({ stdout, stderr }) => [stdout, stderr])
  for (const entry of readdirSync(service.folder, { recursive: true, withFileTypes: true }))
    if (entry.isFile()) texts.push(readFileSync(join(entry.parentPath, entry.name), 'latin1'))
  for (const text of [...texts, ...api.seen.map(({ url }) => url)]) expect(text).not.toContain(key)
})
