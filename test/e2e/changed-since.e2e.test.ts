/** From the command line: statements before they run, tables that have changed, and a job again with the config of then. */
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, runProgram } from '#test/harness/process.ts'
import { ServeUnderTest } from '#test/harness/serve.ts'

expectNoProgramSurvives()

const SHOP = `
  CREATE TABLE goods (id int PRIMARY KEY, name text DEFAULT E'tab\\there', price numeric(10,2) CHECK (price > 0));
  CREATE TABLE sold (id int PRIMARY KEY, goods int REFERENCES goods);
  INSERT INTO goods VALUES (1, 'one', 1); INSERT INTO sold VALUES (1, 1)`

const SHAPE = `
  SELECT attrelid::regclass::text, attname::text, format_type(atttypid, atttypmod) FROM pg_attribute
  WHERE attnum > 0 AND attrelid::regclass::text IN ('goods', 'sold', 'goods_pkey', 'sold_pkey')
  UNION ALL SELECT conrelid::regclass::text, conname, pg_get_constraintdef(oid) FROM pg_constraint
  WHERE conrelid::regclass::text IN ('goods', 'sold') ORDER BY 1, 2, 3`

test('UX 15: --dry-run prints the statements as a script that makes what a run makes', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  await using by = await createDatabase(sharedServers().target)
  await source.sql(SHOP)
  const ends = ['env:SOURCE', 'env:TARGET', '--create']
  const env = { SOURCE: source.url, TARGET: target.url }
  const planned = await runProgram(['sync', ...ends, '--dry-run'], { env })
  expect(planned.code, planned.stderr).toBe(0)
  const [script = ''] = planned.stdout.split('\n\ntable ')
  expect(script).toMatch(/^-- \d+ statements make or alter tables of the target:\nCREATE TABLE "public"\."goods"/)
  await by.sql(script)
  expect(await target.sql(`SELECT to_regclass('goods')`)).toEqual([[null]])
  const ran = await runProgram(['sync', ...ends, '--yes'], { env })
  expect(ran.code, ran.stderr).toBe(0)
  expect(await target.sql(SHAPE)).toEqual(await by.sql(SHAPE))
  const again = await runProgram(['sync', ...ends, '--dry-run'], { env })
  expect(again.stdout).toMatch(/^table /)
  await source.sql('ALTER TABLE goods ADD COLUMN weight int')
  const json = await runProgram(['plan', ...ends, '--add-columns', '--json'], { env })
  expect((JSON.parse(json.stdout) as { result: unknown }).result).toMatchObject({
    ddl: [{ kind: 'COLUMN', risk: 'locks', sql: 'ALTER TABLE "public"."goods" ADD COLUMN "weight" integer' }],
  })
})

test('UX 22, 33: configs schema-drift shows and accepts what has changed, and jobs retry takes the config of then', async () => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const database of [source, target]) await database.sql(SHOP)
  await using service = await new ServeUnderTest().start()
  await service.register({ source: source.url, target: target.url })
  expect(await service.cli(['configs', 'schema-drift', 'shop copy'])).toMatchObject({
    code: 0,
    stdout: 'nothing has changed since the mapping was looked over\n',
  })
  await target.sql('ALTER TABLE goods ADD COLUMN weight int')
  const found = await service.cli(['configs', 'schema-drift', 'shop copy'])
  expect(found).toMatchObject({ code: 3 })
  expect(found.stdout).toContain('public.goods of the target has a new column "weight": integer\n')
  const [, digest = ''] = /--accept ([0-9a-f]{64})/.exec(found.stdout) ?? []
  expect(await service.cli(['configs', 'schema-drift', 'shop copy', '--accept', '0'.repeat(64)])).toMatchObject({
    code: 5,
  })
  expect(await service.cli(['configs', 'schema-drift', 'shop copy', '--accept', digest])).toMatchObject({ code: 0 })
  expect(await service.cli(['configs', 'schema-drift', 'shop copy'])).toMatchObject({ code: 0 })

  const first = await service.run({ dry_run: true })
  await service.succeeded(first)
  const config = await service.ask('GET', '/api/v1/sync-configs/shop%20copy')
  const { id, version: _version, created_at: _created, updated_at: _updated, ...document } = config
  await service.ask('PUT', `/api/v1/sync-configs/${String(id)}`, { ...document, batch_size: 7 })
  for (const [flags, version] of [
    [['--config', 'original'], 1],
    [[], 2],
  ] as const) {
    const again = await service.cli(['jobs', 'retry', first, ...flags])
    expect(again.code, again.stderr).toBe(0)
    const [, job = ''] = /^(job_\w+) is queued\n$/.exec(again.stdout) ?? []
    expect(await service.succeeded(job)).toMatchObject({ config_version: version })
  }
  expect(await service.cli(['jobs', 'retry', first, '--config', 'other'])).toMatchObject({ code: 2 })
})
