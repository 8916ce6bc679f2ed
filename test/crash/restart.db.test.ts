/** Servers that restart while two sides are only looked at (RELIABILITY F3): a comparison waits for them, as a run does. */
import { expect, test } from 'vitest'

import { sharedServers, startPrivateServer } from '#test/harness/postgres.ts'
import { createPair, type RunHooks } from '#test/harness/sync.ts'

test('a comparison and a preview wait for a source that restarts under them', async () => {
  await using server = await startPrivateServer()
  await using pair = await createPair({ url: server.url(), major: server.major }, sharedServers().target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY)')
  await pair.source.sql('INSERT INTO t SELECT generate_series(1, 100)')
  const retries: string[] = []
  const hooks: RunHooks = {
    beforeHold: async (attempt) => {
      if (attempt === 1) await server.restart('immediate')
    },
    onEvent: (event) => {
      if (event.type === 'retry') retries.push(event.reason)
    },
  }
  const preview = await pair.preview({}, hooks)
  expect(preview.tables).toMatchObject([{ inserts: 100 }])
  await pair.run()
  for (const by of ['rows', 'proof'] as const) expect((await pair.compare(by, {}, hooks)).equal).toBe(true)
  expect(retries).toHaveLength(3)
})
