import { expect, test } from 'vitest'

import { createDatabase, expectSameTable } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, startNode } from '#test/harness/process.ts'

expectNoProgramSurvives()

test('the compiled program runs by itself, with the worker that reads definitions of tables', async () => {
  const build = startNode(['scripts/build.ts'])
  expect(await build.exit).toMatchObject({ code: 0, stderr: '' })
  expect(await startNode(['dist/main.js', '--help']).exit).toMatchObject({ code: 0, stderr: '' })
  const servers = sharedServers()
  await using source = await createDatabase(servers.source)
  await using target = await createDatabase(servers.target)
  await source.sql(
    'CREATE TABLE t (id int PRIMARY KEY, x text); INSERT INTO t SELECT n, n FROM generate_series(1, 10) n',
  )
  const env = { SOURCE: source.url, TARGET: target.url }
  const line = ['dist/main.js', 'sync', 'env:SOURCE', 'env:TARGET', '--create', '--yes']
  expect(await startNode(line, { env }).exit).toMatchObject({ code: 0 })
  await expectSameTable(source, target, 't')
})
