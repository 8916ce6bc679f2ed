import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { makeWide, wideCount } from '#bench/data.ts'
import { BARE, sync } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'

const TABLES = 10

/** Job 13: ten tables at once against the same one at a time. */
export async function parallel({ servers, scale, rounds }: Bench): Promise<Result> {
  const source = await freshDatabase(servers.source, 'ten')
  const target = servers.target.url('ten')
  {
    await using client = await connect(source)
    for (let i = 0; i < TABLES; i++) {
      await makeWide(client, { name: `wide_${i}`, rows: wideCount(scale / TABLES), primaryKey: true })
    }
  }
  const expected = await checksum(source)
  const contestant = (name: string, at: number): Contestant => ({
    name,
    prepare: async () => void (await freshDatabase(servers.target, 'ten')),
    commands: () => [sync(source, target, '--create', '--parallel', String(at), ...BARE)],
    check: () => assertEqual(expected, target),
  })
  return contest(
    [contestant('ten tables at once', TABLES), contestant('ten tables in turn', 1)],
    [
      {
        job: '13',
        title: 'ten tables at once',
        ours: 'ten tables at once',
        peer: 'ten tables in turn',
        atMost: 1.15,
      },
    ],
    { rounds, servers },
  )
}
