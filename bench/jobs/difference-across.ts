import { Connection } from '#adapters/mysql/connection.ts'
import {
  assertSame,
  COLUMNS,
  MARIADB_TABLE,
  mariadbRows,
  mariadbSum,
  POSTGRES_TABLE,
  postgresSum,
} from '#bench/across.ts'
import { contest, type Contestant, type Result } from '#bench/contest.ts'
import { wideCount } from '#bench/data.ts'
import { measure, type Command, type Measured } from '#bench/measure.ts'
import { BARE, child, sync } from '#bench/ours.ts'
import type { Bench } from '#bench/run.ts'
import { freshDatabase, run } from '#bench/servers.ts'
import { tapWire } from '#bench/wire.ts'
import { startMariadb } from '#test/harness/mariadb.ts'

const [UPDATES, INSERTS, DELETES] = [60, 20, 20]
const OPTIONS = ['--delete', '--delete-scope', 'mirror', '--verify', 'changed']

/** One end of the job: how it is reached, changed, and summed up. */
interface End {
  readonly name: string
  readonly url: string
  run(statement: string): Promise<unknown>
  sum(): Promise<string>
}

/** Job 8 between two engines, in both directions. */
export async function differenceAcross({ servers, scale, rounds }: Bench): Promise<Result> {
  const rows = wideCount(scale)
  const settings = { 'innodb-buffer-pool-size': '1G', 'local-infile': '1', 'default-time-zone': '+00:00' }
  await using mariadb = await startMariadb({ settings })
  const name = await mariadb.createDatabase('bench')
  await using connection = await Connection.open(mariadb.endpoint(name), { readOnly: false })
  await connection.query(MARIADB_TABLE)
  await connection.query(mariadbRows(rows))
  await connection.query('ANALYZE TABLE wide')
  const [[bytes] = []] = await connection.query(
    `SELECT CAST(data_length AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = 'wide'`,
  )
  const postgres = await freshDatabase(servers.target, 'across')
  await run(postgres, POSTGRES_TABLE)
  const here: End = {
    name: 'MariaDB',
    url: mariadb.url(name),
    run: (statement) => connection.query(statement),
    sum: () => mariadbSum(connection),
  }
  const there: End = {
    name: 'PostgreSQL',
    url: postgres,
    run: (statement) => run(postgres, statement),
    sum: () => postgresSum(postgres),
  }
  const measured = { source: mariadb, target: servers.target }
  await measure([sync(here.url, there.url, '--table', 'wide', ...BARE)], measured)
  await run(postgres, 'VACUUM (ANALYZE) wide')
  const results: Result[] = []
  for (const [from, to] of [
    [here, there],
    [there, here],
  ] as const) {
    results.push(await between({ from, to, rows, bytes: Number(bytes) }, { rounds, servers: measured }))
  }
  return { runs: Object.assign({}, ...results.map(({ runs }) => runs)), goals: results.flatMap(({ goals }) => goals) }
}

interface Way {
  readonly from: End
  readonly to: End
  readonly rows: number
  /** Of the table. */
  readonly bytes: number
}

async function between(
  { from, to, rows, bytes }: Way,
  { rounds, servers }: { readonly rounds: number; readonly servers: Measured },
): Promise<Result> {
  let turn = 0
  const change = async (): Promise<void> => {
    turn += 1
    for (const statement of changesOf(turn, rows)) await from.run(statement)
  }
  const check = async (): Promise<void> => assertSame(await from.sum(), await to.sum())
  const ours = (source: string, target: string): Command => sync(source, target, '--table', 'wide', ...OPTIONS)
  const bisect = (source: string, target: string): Command => ({
    argv: [process.execPath, child('bisect-child.ts'), source, target, 'wide', JSON.stringify(COLUMNS)],
  })
  // First contact is behind us, as it is in each run but one.
  await change()
  await measure([ours(from.url, to.url)], servers)
  await check()

  const wires = new Map<typeof ours, number>()
  /** Percent of the table's bytes that pass the wire. A run of its own, once: counting would cost time in a measured one. */
  const wireOf = async (command: typeof ours): Promise<number> => {
    const known = wires.get(command)
    if (known !== undefined) return known
    await change()
    await using source = await tapWire(from.url)
    await using target = await tapWire(to.url)
    await measure([command(source.url, target.url)], servers)
    await check()
    const percent = (100 * (source.bytes + target.bytes)) / bytes
    wires.set(command, percent)
    return percent
  }
  const ways = `${from.name} to ${to.name}`
  const contestant = (name: string, command: typeof ours): Contestant => ({
    name: `${name}, ${ways}`,
    prepare: change,
    commands: () => [command(from.url, to.url)],
    check,
    figures: async () => ({ 'wire %': await wireOf(command) }),
  })
  const [own, peer] = [contestant('syncline, 100 changes', ours), contestant('bisection 32/16384 MD5', bisect)]
  const title = `${UPDATES + INSERTS + DELETES} changes in ${rows} rows, ${ways}`
  const goal = { job: '8', title, ours: own.name, peer: peer.name, atMost: 0.4 }
  return contest([own, peer], [goal], { rounds, servers })
}

/** Changes that are spread over the table, in words of both engines; inserts go to the end. */
function changesOf(turn: number, rows: number): string[] {
  const spread = (count: number, shift: number): string =>
    Array.from({ length: count }, (_, i) => 1 + (((i + 1) * Math.floor(rows / count) + turn * shift) % rows)).join(', ')
  const rest = COLUMNS.slice(1)
    .map(({ name }) => name)
    .join(', ')
  return [
    `UPDATE wide SET note = 'changed in turn ${turn}', total = total + 1 WHERE id IN (${spread(UPDATES, 7907)})`,
    `DELETE FROM wide WHERE id IN (${spread(DELETES, 104_729)})`,
    `INSERT INTO wide SELECT (SELECT max(id) FROM wide) + row_number() OVER (ORDER BY id), ${rest} FROM wide ORDER BY id LIMIT ${INSERTS}`,
  ]
}
