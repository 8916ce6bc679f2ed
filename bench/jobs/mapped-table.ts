import { contest, type Result } from '#bench/contest.ts'
import { makeWide, wideCount } from '#bench/data.ts'
import { timedSync } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase, run } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'
import type { FieldDocument } from '#model/field-document.ts'

const CARRIED = 'id ref kind quantity total ratio active seen_at made_at due note body attributes tags digest'.split(
  ' ',
)
const same: readonly FieldDocument[] = CARRIED.map((name) => ({ target: name, column: name }))

/** Two columns through named transforms, all others as they are. */
const NAMED: readonly FieldDocument[] = [
  ...same,
  { target: 'code', column: 'code', transforms: ['upper'] },
  { target: 'name', column: 'name', transforms: ['trim', { replace: { search: 'Name', with: 'Title' } }] },
]

/** The same two columns by expressions. */
const COMPUTED: readonly FieldDocument[] = [
  ...same,
  { target: 'code', expression: 'upper(code)' },
  { target: 'name', expression: `name.trim().replace('Name', 'Title')` },
]

/** Job 4: one table, two of its columns computed on the way, into an empty one without indexes. */
export async function mappedTable({ servers, scale, rounds }: Bench): Promise<Result> {
  const source = await freshDatabase(servers.source, 'mapped')
  const target = await freshDatabase(servers.target, 'mapped')
  const wanted = await freshDatabase(servers.target, 'mapped_wanted')
  {
    await using from = await connect(source)
    await makeWide(from, { name: 'wide', rows: wideCount(scale), primaryKey: true })
    await using to = await connect(target)
    await makeWide(to, { name: 'wide', rows: 0, primaryKey: false })
    await using right = await connect(wanted)
    await makeWide(right, { name: 'wide', rows: wideCount(scale), primaryKey: false })
    await right.query(`UPDATE wide SET code = upper(code), name = replace(btrim(name), 'Name', 'Title')`)
    await right.query('ALTER TABLE wide ADD PRIMARY KEY (id)')
  }
  const [plain, mapped] = [await checksum(source), await checksum(wanted)]
  const contents = async (expected: Awaited<ReturnType<typeof checksum>>): Promise<void> => {
    // The target has no index on purpose: make it alike for the comparison, then take it away.
    await run(target, 'ALTER TABLE wide ADD PRIMARY KEY (id)')
    await assertEqual(expected, target)
    await run(target, 'ALTER TABLE wide DROP CONSTRAINT wide_pkey, ALTER COLUMN id SET NOT NULL')
  }
  const prepare = (): Promise<void> =>
    run(target, 'DROP SCHEMA IF EXISTS syncline CASCADE', 'TRUNCATE wide', 'CHECKPOINT')
  const policies = { baseline: 'none', verifyAfter: 'off' } as const
  const pipe = `psql -qX "$1" -c 'COPY wide TO STDOUT' | psql -qX "$2" -c 'COPY wide FROM STDIN'`
  const ours = (name: string, fields: readonly FieldDocument[]) => ({
    prepare,
    check: () => contents(mapped),
    name,
    commands: () => [timedSync(source, target, policies, { table: 'wide', fields })],
  })
  return contest(
    [
      ours('syncline, two named transforms', NAMED),
      ours('syncline, two expressions', COMPUTED),
      {
        prepare,
        check: () => contents(plain),
        name: 'psql COPY text pipe',
        commands: () => [{ argv: ['bash', '-o', 'pipefail', '-c', pipe, 'pipe', source, target] }],
      },
    ],
    [
      {
        job: '4',
        title: 'one table, two columns through named transforms',
        ours: 'syncline, two named transforms',
        peer: 'psql COPY text pipe',
        atMost: 1.15,
      },
      {
        job: '4',
        title: 'the same two columns by CEL expressions',
        ours: 'syncline, two expressions',
        peer: 'psql COPY text pipe',
        atMost: 4,
      },
    ],
    { rounds, servers },
  )
}
