import type { Policies } from '#model/sync-config.ts'
import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { makeWide, wideCount } from '#bench/data.ts'
import { measure } from '#bench/measure.ts'
import { child, lastLine, numberAt, timedSync } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase, run } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'

const UPDATES_SHARE = 0.05
const INSERTS_SHARE = 0.01

/** Job 9, and job 14 on it: 50,000 rows changed and 10,000 new ones, in a table of a million. */
export async function apply({ servers, scale, rounds, only }: Bench): Promise<Result> {
  const rows = wideCount(scale)
  const source = await freshDatabase(servers.source, 'apply')
  const target = await freshDatabase(servers.target, 'apply')
  const inserts = Math.round(rows * INSERTS_SHARE)
  {
    await using from = await connect(source)
    await makeWide(from, { name: 'wide', rows: rows + inserts, primaryKey: true })
    const step = Math.round(1 / UPDATES_SHARE)
    await from.query(`UPDATE wide SET note = 'changed', total = total + 1 WHERE id % ${step} = 0 AND id <= ${rows}`)
    await from.query(`CREATE SCHEMA feed`)
    await from.query(
      `CREATE TABLE feed.changed AS SELECT id FROM wide WHERE (id % ${step} = 0 AND id <= ${rows}) OR id > ${rows}`,
    )
    await from.query(`VACUUM ANALYZE`)
  }
  // A copy of the state before: made once, and copied by the server for every run.
  {
    await using to = await connect(target)
    await makeWide(to, { name: 'wide', rows, primaryKey: true })
  }
  const prepare = async (): Promise<void> => {
    await run(
      servers.target.url(),
      'DROP DATABASE IF EXISTS apply_run WITH (FORCE)',
      'CREATE DATABASE apply_run TEMPLATE apply STRATEGY file_copy',
      'CHECKPOINT',
    )
  }
  const expected = await checksum(source)
  const assertSame = (url: string): Promise<void> => assertEqual(expected, url, (name) => name === 'wide')
  const runUrl = servers.target.url('apply_run')
  const changedRows = Math.round(rows * UPDATES_SHARE) + inserts
  const ours = (name: string, policies: Partial<Policies>): Contestant => ({
    name,
    prepare,
    commands: () => [timedSync(source, runUrl, { ...policies, maxOverwritePercent: 100 })],
    check: () => assertSame(runUrl),
    seconds: (stdout) => numberAt(lastLine(stdout), 'phases', 'write'),
    figures: async (stdout) => ({
      ...(await churn(runUrl)),
      ...rate(changedRows, numberAt(lastLine(stdout), 'phases', 'write')),
    }),
  })
  const contestants: Contestant[] = [
    ours('syncline, compare-and-set', { baseline: 'none', verifyAfter: 'off' }),
    {
      name: '1,000-row upserts',
      prepare,
      commands: () => [{ argv: [process.execPath, child('upsert-child.ts'), source, runUrl, 'wide', 'feed.changed'] }],
      check: () => assertSame(runUrl),
      seconds: (stdout) => numberAt(lastLine(stdout), 'seconds'),
      figures: async (stdout) => ({
        ...(await churn(runUrl)),
        ...rate(changedRows, numberAt(lastLine(stdout), 'seconds')),
      }),
    },
    ...(only('14')
      ? [ours('syncline, fingerprints and proof', { baseline: 'fingerprints', verifyAfter: 'full' })]
      : []),
  ]
  const result = await contest(
    contestants,
    [
      {
        job: '9',
        title: `apply ${changedRows} changes with compare-and-set`,
        ours: 'syncline, compare-and-set',
        peer: '1,000-row upserts',
        atMost: 1 / 1.3,
      },
      {
        job: '14',
        title: 'fingerprints and proof on job 9',
        ours: 'syncline, fingerprints and proof',
        peer: 'syncline, compare-and-set',
        atMost: 2,
        whole: true,
      },
    ].filter(({ job }) => only(job)),
    { rounds, servers },
  )
  await unchangedRows({ source, runUrl, servers })
  return result
}

/** The same again on a target that is in step: what is written then is written for nothing. */
async function unchangedRows({
  source,
  runUrl,
  servers,
}: {
  source: string
  runUrl: string
  servers: Bench['servers']
}): Promise<void> {
  const commands = {
    syncline: timedSync(source, runUrl, { baseline: 'none', verifyAfter: 'off' }),
    upserts: { argv: [process.execPath, child('upsert-child.ts'), source, runUrl, 'wide', 'feed.changed'] },
  }
  for (const [name, command] of Object.entries(commands)) {
    const before = await churn(runUrl)
    await measure([command], servers)
    const after = await churn(runUrl)
    console.error(`unchanged rows rewritten by ${name}: ${(after['dead rows'] ?? 0) - (before['dead rows'] ?? 0)}`)
  }
}

function rate(rows: number, seconds: number): Record<string, number> {
  return { 'rows/s': Math.round(rows / seconds) }
}

/** Row versions that were made dead in the target's table. */
async function churn(url: string): Promise<Record<string, number>> {
  await using client = await connect(url)
  await client.query('SELECT pg_stat_force_next_flush()')
  const { rows } = await client.query<{ dead: string }>(
    `SELECT n_tup_upd + n_tup_del AS dead FROM pg_stat_user_tables WHERE schemaname = 'public' AND relname = 'wide'`,
  )
  return { 'dead rows': Number(rows[0]?.dead) }
}
