import { contest, type Result } from '#bench/contest.ts'
import { makeWide, wideCount } from '#bench/data.ts'
import { BARE, sync } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase, run } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'

/** Job 3: one table of mixed columns into an empty one without indexes. */
export async function oneTable({ servers, scale, rounds }: Bench): Promise<Result> {
  const source = await freshDatabase(servers.source, 'wide')
  const target = await freshDatabase(servers.target, 'wide')
  {
    await using from = await connect(source)
    await makeWide(from, { name: 'wide', rows: wideCount(scale), primaryKey: true })
    await using to = await connect(target)
    await makeWide(to, { name: 'wide', rows: 0, primaryKey: false })
  }
  const expected = await checksum(source)
  const assertContents = async (): Promise<void> => {
    // The target has no index on purpose: make it alike for the comparison, then take it away.
    await run(target, 'ALTER TABLE wide ADD PRIMARY KEY (id)')
    await assertEqual(expected, target)
    await run(target, 'ALTER TABLE wide DROP CONSTRAINT wide_pkey, ALTER COLUMN id SET NOT NULL')
  }
  const common = {
    prepare: () => run(target, 'DROP SCHEMA IF EXISTS syncline CASCADE', 'TRUNCATE wide', 'CHECKPOINT'),
    check: assertContents,
  }
  const pipe = `psql -qX "$1" -c 'COPY wide TO STDOUT (FORMAT binary)' | psql -qX "$2" -c 'COPY wide FROM STDIN (FORMAT binary)'`
  return contest(
    [
      {
        ...common,
        name: 'syncline, one table',
        commands: () => [sync(source, target, ...BARE)],
      },
      {
        ...common,
        name: 'psql COPY binary pipe',
        commands: () => [{ argv: ['bash', '-o', 'pipefail', '-c', pipe, 'pipe', source, target] }],
      },
    ],
    [
      {
        job: '3',
        title: 'one table, no transform',
        ours: 'syncline, one table',
        peer: 'psql COPY binary pipe',
        atMost: 1.1,
      },
    ],
    { rounds, servers },
  )
}
