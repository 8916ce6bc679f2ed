/** Ctrl-C is heard wherever a run waits for a server, also before it has begun to read or write (RELIABILITY F2). */
import { expect, test } from 'vitest'

import { createDatabase } from '#test/harness/database.ts'
import { sharedServers, startPrivateServer } from '#test/harness/postgres.ts'
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
  // Autovacuum waits for these locks too, and a session that still connects does not tell whose it is: here there is none.
  await using server = await startPrivateServer({ settings: { autovacuum: 'off' } })
  const servers = { ...sharedServers(), [side]: { url: server.url(), major: server.major } }
  await using source = await createDatabase(servers.source)
  await using target = await createDatabase(servers.target)
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
  await expect.poll(waiting, { timeout: 60_000 }).toBe(1)

  const interrupted = performance.now()
  program.signal('SIGINT')
  const exit = await program.exit
  expect(exit, exit.stderr).toMatchObject({ code: 130 })
  // The promise (P11), and far below the patience after which the program ends in disorder.
  expect(performance.now() - interrupted).toBeLessThan(5_000)
  await holder.query('ROLLBACK')
})
