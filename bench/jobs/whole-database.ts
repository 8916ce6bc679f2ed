import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { makeShop } from '#bench/data.ts'
import { BARE, program, PROVED, sync } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase } from '#bench/servers.ts'
import type { Command } from '#bench/measure.ts'
import type { Bench } from '#bench/run.ts'

/** Jobs 1, 2 and 14: a whole database with its indexes into an empty one; jobs 1 and 2 also in one transaction, by `copy`. */
export async function wholeDatabase({ servers, scale, rounds, only }: Bench): Promise<Result> {
  const source = await freshDatabase(servers.source, 'shop')
  {
    await using client = await connect(source)
    await makeShop(client, scale)
    const { rows } = await client.query<{ size: string }>(
      'SELECT pg_size_pretty(pg_database_size(current_database())) AS size',
    )
    console.error(`whole database: ${rows[0]?.size}`)
  }
  const target = servers.target.url('shop')
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const expected = await checksum(source)
  const common = {
    prepare: async () => void (await freshDatabase(servers.target, 'shop')),
    check: () => assertEqual(expected, target),
  }
  const ours = (name: string, ...options: readonly string[]): Contestant => ({
    ...common,
    name,
    commands: () => [sync(source, target, '--create', ...options)],
  })
  const contestants: Contestant[] = [
    ours('syncline, no verification', ...BARE),
    ...(only('1') || only('2')
      ? [
          {
            ...common,
            name: 'syncline copy',
            commands: () => [
              { argv: program('copy', source, target, '--yes', '--trust-source', '--parallel', '2', '--json') },
            ],
          },
        ]
      : []),
    ...(only('14') ? [ours('syncline, fingerprints and proof', ...PROVED)] : []),
    ...(only('1')
      ? [{ ...common, name: 'pg_dump + pg_restore', commands: () => dumpAndRestore(source, target, folder) }]
      : []),
    ...(only('2') ? [{ ...common, name: 'pgcopydb', commands: () => pgcopydb(source, target, folder) }] : []),
  ]
  const title = 'whole database with indexes'
  const copied = 'the same in one transaction, by copy'
  return contest(
    contestants,
    [
      { job: '1', title, ours: 'syncline, no verification', peer: 'pg_dump + pg_restore', atMost: 0.7 },
      { job: '1', title: copied, ours: 'syncline copy', peer: 'pg_dump + pg_restore', atMost: 0.7 },
      { job: '2', title, ours: 'syncline, no verification', peer: 'pgcopydb', atMost: 0.95 },
      { job: '2', title: copied, ours: 'syncline copy', peer: 'pgcopydb', atMost: 0.95 },
      {
        job: '14',
        title: 'fingerprints and proof on job 1',
        ours: 'syncline, fingerprints and proof',
        peer: 'syncline, no verification',
        atMost: 2,
      },
    ].filter(({ job }) => only(job)),
    { rounds, servers },
  )
}

function dumpAndRestore(source: string, target: string, folder: string): Command[] {
  const dump = join(folder, 'dump')
  return [
    { argv: ['pg_dump', '-Fd', '-j2', '-f', dump, source] },
    { argv: ['pg_restore', '-j2', '-d', target, dump] },
    { argv: ['rm', '-r', dump] },
  ]
}

function pgcopydb(source: string, target: string, folder: string): Command[] {
  const to = ['--source', source, '--target', target, '--dir', join(folder, 'pgcopydb'), '--restart']
  return [{ argv: ['pgcopydb', 'clone', ...to, '--table-jobs', '2', '--index-jobs', '2'] }]
}
