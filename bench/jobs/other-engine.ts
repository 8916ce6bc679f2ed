import { mkdtemp, rm, writeFile } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { Connection } from '#adapters/mysql/connection.ts'
import { assertSame, MARIADB_TABLE, mariadbRows, mariadbSum, POSTGRES_TABLE, postgresSum } from '#bench/across.ts'
import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { wideCount } from '#bench/data.ts'
import { measure, type Command } from '#bench/measure.ts'
import { BARE, sync } from '#bench/ours.ts'
import { freshDatabase, run } from '#bench/servers.ts'
import type { Bench } from '#bench/run.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'

/** Jobs 5, 6 and 7: one table from MariaDB to PostgreSQL and back, byte by byte the same. */
export async function otherEngine({ servers, scale, rounds, only }: Bench): Promise<Result> {
  const buffer = { 'innodb-buffer-pool-size': '1G', 'local-infile': '1', 'default-time-zone': '+00:00' }
  await using mariadb = await startMariadb({ settings: buffer })
  const name = await mariadb.createDatabase('bench')
  await using there = await Connection.open(mariadb.endpoint(name), { readOnly: false })
  await there.query(MARIADB_TABLE)
  await there.query(mariadbRows(wideCount(scale)))
  const postgres = await freshDatabase(servers.target, 'other')
  await run(postgres, POSTGRES_TABLE)
  const world: World = { mariadb, name, there, postgres, expected: await mariadbSum(there) }
  const results: Result[] = []
  if (only('5') || only('6')) results.push(await intoPostgres(world, { servers, rounds }))
  if (only('7')) {
    results.push(await intoMariadb(world, { servers, rounds }))
  }
  return { runs: Object.assign({}, ...results.map(({ runs }) => runs)), goals: results.flatMap(({ goals }) => goals) }
}

interface World {
  readonly mariadb: MariadbServer
  readonly name: string
  readonly there: Connection
  readonly postgres: string
  readonly expected: string
}

type Rounds = Pick<Bench, 'servers' | 'rounds'>

async function intoPostgres(world: World, { servers, rounds }: Rounds): Promise<Result> {
  const { mariadb, name, postgres, expected } = world
  const folder = await mkdtemp(join(tmpdir(), 'syncline-bench-'))
  const load = join(folder, 'wide.load')
  await writeFile(load, pgloaderCommand(mariadb.url(name), postgres))
  const common = {
    prepare: () => run(postgres, 'DROP SCHEMA IF EXISTS syncline CASCADE', 'TRUNCATE wide', 'CHECKPOINT'),
    check: async () => assertSame(expected, await postgresSum(postgres)),
  }
  const client = mariadbClient(mariadb, name)
  // `--batch` escapes as COPY does, and writes NULL for a NULL.
  const select = `SELECT id, ref, kind, quantity, total, ratio, active, seen_at, made_at, due, code, name, note, body, attributes, CONCAT('\\\\x', HEX(digest)) FROM wide`
  const pipe = `${client} --batch --skip-column-names --quick --init-command="SET time_zone = '+00:00'" -e "$1" | psql -qX "$2" -c "SET timezone = 'UTC'" -c "COPY wide FROM STDIN (NULL 'NULL')"`
  const contestants: Contestant[] = [
    {
      ...common,
      name: 'syncline, MariaDB to PostgreSQL',
      commands: () => [sync(mariadb.url(name), postgres, '--table', 'wide', ...BARE)],
    },
    { ...common, name: 'pgloader', commands: () => [{ argv: ['pgloader', '--quiet', load] }] },
    {
      ...common,
      name: 'mariadb --batch into psql',
      commands: () => [shell(pipe, select, postgres)],
    },
  ]
  try {
    const measured = { source: mariadb, target: servers.target }
    return await contest(
      contestants,
      [
        {
          job: '5',
          title: 'MariaDB to PostgreSQL',
          ours: 'syncline, MariaDB to PostgreSQL',
          peer: 'pgloader',
          atMost: 0.45,
        },
        {
          job: '6',
          title: 'MariaDB to PostgreSQL',
          ours: 'syncline, MariaDB to PostgreSQL',
          peer: 'mariadb --batch into psql',
          atMost: 1.1,
        },
      ],
      { rounds, servers: measured },
    )
  } finally {
    await rm(folder, { recursive: true, force: true })
  }
}

async function intoMariadb(world: World, { servers, rounds }: Rounds): Promise<Result> {
  const { mariadb, there, postgres, expected } = world
  const copy = await mariadb.createDatabase('bench')
  await using target = await Connection.open(mariadb.endpoint(copy), { readOnly: false })
  await target.query(MARIADB_TABLE)
  await run(postgres, 'DROP SCHEMA IF EXISTS syncline CASCADE', 'TRUNCATE wide')
  await fill(world)
  const common = {
    prepare: async () => {
      await target.query('TRUNCATE wide')
      const state = await there.query(`SHOW DATABASES LIKE 'syncline'`)
      if (state.length > 0) await there.query('DROP DATABASE syncline')
    },
    check: async () => assertSame(expected, await mariadbSum(target)),
  }
  const out = `SET timezone = 'UTC'; COPY (SELECT id, ref, kind, quantity, total, ratio, active::int, seen_at AT TIME ZONE 'UTC', made_at, due, code, name, note, body, attributes, encode(digest, 'hex') FROM wide) TO STDOUT`
  const take = `SET time_zone = '+00:00'; LOAD DATA LOCAL INFILE '/dev/stdin' INTO TABLE wide CHARACTER SET utf8mb4 (id, ref, kind, quantity, total, ratio, active, seen_at, made_at, due, code, name, note, body, attributes, @digest) SET digest = UNHEX(@digest)`
  const pipe = `psql -qX "$1" -c "$2" | ${mariadbClient(mariadb, copy)} --local-infile=1 -e "$3"`
  return await contest(
    [
      {
        ...common,
        name: 'syncline, PostgreSQL to MariaDB',
        commands: () => [sync(postgres, mariadb.url(copy), '--table', 'wide', ...BARE)],
      },
      {
        ...common,
        name: 'psql COPY into LOAD DATA',
        commands: () => [shell(pipe, postgres, out, take)],
      },
    ],
    [
      {
        job: '7',
        title: 'PostgreSQL to MariaDB',
        ours: 'syncline, PostgreSQL to MariaDB',
        peer: 'psql COPY into LOAD DATA',
        atMost: 1.1,
      },
    ],
    { rounds, servers: { source: servers.target, target: mariadb } },
  )
}

/** The table in PostgreSQL, by the first way that gets it there whole. */
async function fill({ mariadb, name, postgres, expected }: World): Promise<void> {
  const none = { source: { pid: undefined }, target: { pid: undefined } }
  await measure([sync(mariadb.url(name), postgres, '--table', 'wide', ...BARE)], none)
  assertSame(expected, await postgresSum(postgres))
}

function shell(text: string, ...words: readonly string[]): Command {
  return { argv: ['bash', '-o', 'pipefail', '-c', text, 'pipe', ...words] }
}

function mariadbClient({ port }: MariadbServer, name: string): string {
  return `mariadb --no-defaults -h127.0.0.1 -P${port} -uadmin -psyncline ${name}`
}

function pgloaderCommand(from: string, to: string): string {
  return `LOAD DATABASE FROM ${from} INTO ${to}
  WITH data only, batch rows = 10000, prefetch rows = 10000, workers = 2, concurrency = 1
  SET PostgreSQL PARAMETERS timezone TO 'UTC'
  INCLUDING ONLY TABLE NAMES MATCHING 'wide'
  ALTER SCHEMA '${new URL(from).pathname.slice(1)}' RENAME TO 'public';
`
}
