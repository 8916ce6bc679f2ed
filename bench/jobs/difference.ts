import type { Command } from '#bench/measure.ts'
import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { changesOf, makeWide, wideBytes, wideCount } from '#bench/data.ts'
import { measure } from '#bench/measure.ts'
import { child, sync } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase, run } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'
import { tapWire } from '#bench/wire.ts'

const CHANGES = 100

const OPTIONS = ['--delete', '--delete-scope', 'mirror', '--verify', 'changed']

/** Job 8: a hundred changes, spread over a table that is in step otherwise. */
export async function difference({ servers, scale, rounds }: Bench): Promise<Result> {
  const rows = wideCount(scale)
  const source = await freshDatabase(servers.source, 'diff')
  const target = await freshDatabase(servers.target, 'diff')
  for (const url of [source, target]) {
    await using client = await connect(url)
    await makeWide(client, { name: 'wide', rows, primaryKey: true })
  }
  const bytes = await wideBytes(source)
  const wires = new Map<Commander, number>()
  let turn = 0
  const change = async (): Promise<void> => {
    turn += 1
    await run(source, ...changesOf({ turn, rows, changes: CHANGES }))
  }
  // First contact is behind us, as it is in each run but one.
  await change()
  await measure([sync(source, target, ...OPTIONS)], servers)

  const contestant = (name: string, command: Commander): Contestant => ({
    name,
    prepare: change,
    commands: () => [command(source, target)],
    check: async () => assertEqual(await checksum(source), target),
    figures: async () => ({ 'wire %': await wireOf(command) }),
  })
  const bisect = (from: string, to: string): Command => ({
    argv: [process.execPath, child('bisect-child.ts'), from, to, 'wide'],
  })
  return contest(
    [
      contestant('syncline, 100 changes', (from, to) => sync(from, to, ...OPTIONS)),
      contestant('bisection 32/16384 MD5', bisect),
    ],
    [
      {
        job: '8',
        title: `${CHANGES} changes in ${rows} rows`,
        ours: 'syncline, 100 changes',
        peer: 'bisection 32/16384 MD5',
        atMost: 0.3,
      },
    ],
    { rounds, servers },
  )

  /** Percent of the table's bytes that pass the wire. A run of its own, once: counting would cost time in a measured one. */
  async function wireOf(command: Commander): Promise<number> {
    const known = wires.get(command)
    if (known !== undefined) return known
    await change()
    await using from = await tapWire(source)
    await using to = await tapWire(target)
    await measure([command(from.url, to.url)], servers)
    await assertEqual(await checksum(source), target)
    const percent = (100 * (from.bytes + to.bytes)) / bytes
    wires.set(command, percent)
    return percent
  }
}

type Commander = (source: string, target: string) => Command
