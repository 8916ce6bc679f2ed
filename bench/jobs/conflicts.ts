import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { makeWide, wideCount } from '#bench/data.ts'
import { child, lastLine, numberAt } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'

/** In a table of ten times as many rows. */
const CONFLICTS = 5_000
const STORES = ['SQLite', 'PostgreSQL'] as const

/** Job 19: conflicts that one call decides, on each kind of control store, and the run that carries them out. */
export async function conflicts({ servers, scale, rounds }: Bench): Promise<Result> {
  const count = Math.max(10, Math.round(CONFLICTS * scale))
  const [source, target] = [servers.source.url('conflicts'), servers.target.url('conflicts')]
  const contestant = (store: (typeof STORES)[number]): Contestant => ({
    name: `${count} conflicts, ${store}`,
    prepare: async () => {
      for (const server of [servers.source, servers.target]) {
        await using client = await connect(await freshDatabase(server, 'conflicts'))
        await makeWide(client, { name: 'wide', rows: wideCount(scale / 20), primaryKey: true })
      }
      await freshDatabase(servers.target, 'control')
    },
    commands: () => {
      const place = store === 'SQLite' ? [] : [servers.target.url('control')]
      return [{ argv: [process.execPath, child('conflicts-child.ts'), source, target, String(count), ...place] }]
    },
    check: async () => assertEqual(await checksum(source), target),
    seconds: (stdout) => numberAt(lastLine(stdout), 'decide'),
    figures: (stdout) => {
      const steps = lastLine(stdout)
      return Promise.resolve({ 'find s': numberAt(steps, 'find'), 'carry out s': numberAt(steps, 'carry out') })
    },
  })
  return contest(STORES.map(contestant), [], { rounds, servers })
}
