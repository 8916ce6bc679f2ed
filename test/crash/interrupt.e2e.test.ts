/** Ctrl-C is heard wherever a run waits for a server, also before it has begun to read or write (RELIABILITY F2). */
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'

import { startSync } from './runs.ts'
import { createShop } from './shop.ts'

expectNoProgramSurvives()

test.each([
  { waits: 'reads the catalogue of the source', lock: 'pg_catalog.pg_attrdef', side: 'source' },
  { waits: 'reads the catalogue of the target', lock: 'pg_catalog.pg_attrdef', side: 'target' },
  // Whoever connects reads this one first.
  { waits: 'connects to the source', lock: 'pg_catalog.pg_class', side: 'source' },
  { waits: 'connects to the target', lock: 'pg_catalog.pg_class', side: 'target' },
] as const)('Ctrl-C while a run $waits, which is locked', async ({ lock, side }) => {
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  const locked = { source, target }[side]
  await createShop(source)
  await createShop(target)
  await using holder = await locked.connect()
  await holder.query(`BEGIN; LOCK TABLE ${lock} IN ACCESS EXCLUSIVE MODE`)
  await using program = startSync(source.url, target.url)
  const waiting = async (): Promise<number> => {
    const { rowCount } = await holder.query(
      `SELECT 1 FROM pg_locks WHERE NOT granted AND relation = '${lock}'::regclass LIMIT 1`,
    )
    return rowCount ?? 0
  }
  await expect.poll(waiting, { timeout: 30_000 }).toBe(1)

  const interrupted = performance.now()
  program.signal('SIGINT')
  const exit = await program.exit
  expect(exit, exit.stderr).toMatchObject({ code: 130 })
  expect(performance.now() - interrupted).toBeLessThan(1_500)
  await holder.query('ROLLBACK')
})
