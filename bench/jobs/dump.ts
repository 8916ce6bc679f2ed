import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { makeShop } from '#bench/data.ts'
import type { Command } from '#bench/measure.ts'
import { program } from '#bench/ours.ts'
import { assertEqual, checksum, connect, freshDatabase } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'

/** Job 12: a whole database into a file; each file is restored, and what it holds is compared. */
export async function dump({ servers, scale, rounds }: Bench): Promise<Result> {
  const source = await freshDatabase(servers.source, 'shop')
  {
    await using client = await connect(source)
    await makeShop(client, scale)
  }
  const target = servers.target.url('shop')
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const expected = await checksum(source)
  const contestant = (
    name: string,
    file: string,
    ways: { command: Command; restore: readonly string[] },
  ): Contestant => {
    const path = join(folder, file)
    return {
      name,
      prepare: async () => {
        for (const each of [path, `${path}.sha256`]) rmSync(each, { force: true })
        await freshDatabase(servers.target, 'shop')
      },
      commands: () => [ways.command],
      check: async () => {
        const [command = '', ...args] = ways.restore
        execFileSync(command, args, { stdio: 'pipe' })
        await assertEqual(expected, target)
      },
      figures: async () => ({ 'file, MiB': statSync(path).size / 2 ** 20 }),
    }
  }
  const ours = (name: string, file: string, ...options: readonly string[]): Contestant => {
    const path = join(folder, file)
    const restore = 'zstd -dcq "$1" | psql -qX -v ON_ERROR_STOP=1 -d "$2"'
    return contestant(name, file, {
      command: { argv: program('export', source, '--output', path, '--json', ...options) },
      restore: ['bash', '-o', 'pipefail', '-c', restore, 'restore', path, target],
    })
  }
  const theirs = join(folder, 'shop.dump')
  return contest(
    [
      ours('syncline export', 'one.sql.zst'),
      ours('syncline export, two readers', 'two.sql.zst', '--parallel', '2'),
      contestant('pg_dump -Fc', 'shop.dump', {
        command: { argv: ['pg_dump', '-Fc', '-f', theirs, source] },
        restore: ['pg_restore', '-d', target, theirs],
      }),
    ],
    [
      { job: '12', title: 'a database into a file', ours: 'syncline export', peer: 'pg_dump -Fc', atMost: 0.35 },
      {
        job: '12',
        title: 'the same, two readers',
        ours: 'syncline export, two readers',
        peer: 'pg_dump -Fc',
        atMost: 0.35,
      },
    ],
    { rounds, servers },
  )
}

/**
 * Job 20: a file of our own into an empty database. Ours checks the whole file before it writes anything; psql and pg_restore
 * believe what they read.
 */
export async function restore({ servers, scale, rounds }: Bench): Promise<Result> {
  const source = await freshDatabase(servers.source, 'shop')
  {
    await using client = await connect(source)
    await makeShop(client, scale)
  }
  const target = servers.target.url('shop')
  const folder = mkdtempSync(join(tmpdir(), 'bench-'))
  process.once('exit', () => rmSync(folder, { recursive: true, force: true }))
  const expected = await checksum(source)
  const [ours, theirs] = [join(folder, 'shop.sql.zst'), join(folder, 'shop')]
  runAll(program('export', source, '--output', ours), ['pg_dump', '-Fd', '-j2', '-f', theirs, source])
  const common = {
    prepare: async () => void (await freshDatabase(servers.target, 'shop')),
    check: () => assertEqual(expected, target),
  }
  const psql = 'zstd -dcq "$1" | psql -qX -v ON_ERROR_STOP=1 --single-transaction -d "$2"'
  return contest(
    [
      {
        ...common,
        name: 'syncline import',
        commands: () => [{ argv: program('import', target, ours, '--yes', '--trust-file', '--json') }],
      },
      {
        ...common,
        name: 'zstd into psql, one transaction',
        commands: () => [{ argv: ['bash', '-o', 'pipefail', '-c', psql, 'psql', ours, target] }],
      },
      { ...common, name: 'pg_restore -j2', commands: () => [{ argv: ['pg_restore', '-j2', '-d', target, theirs] }] },
    ],
    [],
    { rounds, servers },
  )
}

function runAll(...commands: readonly (readonly string[])[]): void {
  for (const [command = '', ...args] of commands) execFileSync(command, args, { stdio: 'pipe' })
}
