/** Two runs of one sync at once: one of them works, and nothing is there twice (RELIABILITY B6, B7). */
import { expect, test } from 'vitest'

import { createDatabase, expectSameTables } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, runProgram } from '#test/harness/process.ts'

expectNoProgramSurvives()

/** Nothing in these tables forbids a row to be there twice. */
const TABLES = ['one', 'two', 'three']

test('two first loads that are started together load each row once (B6, B7)', async () => {
  await using source = await createDatabase(sharedServers().source)
  for (let round = 0; round < 4; round++) {
    await using target = await createDatabase(sharedServers().target)
    for (const table of TABLES) {
      if (round === 0)
        await source.sql(
          `CREATE TABLE ${table} AS SELECT i AS id, repeat('x', 300) AS text FROM generate_series(1, 8000) i`,
        )
      await target.sql(`CREATE TABLE ${table} (id int, text text)`)
    }
    const keys = TABLES.flatMap((table) => ['--key', `${table}=id`])
    const ends = await Promise.all(
      [0, 1].map(() => runProgram(['sync', source.url, target.url, '--yes', '--json', ...keys])),
    )
    for (const end of ends) expect([0, 5], end.stderr).toContain(end.code)
    expect(ends.some((end) => end.code === 0)).toBe(true)
    await expectSameTables(source, target, TABLES)
  }
})
