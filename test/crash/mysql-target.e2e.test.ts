/** The program is killed at each boundary operation while it writes to MariaDB (RELIABILITY F1, B1, B2). */
import { afterAll, beforeAll, expect, test } from 'vitest'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'

import { finishSync, startSync } from './runs.ts'

expectNoProgramSurvives()

const TABLES = [
  'CREATE TABLE parent (id int PRIMARY KEY, name varchar(40) NOT NULL, boss int, FOREIGN KEY (boss) REFERENCES parent (id))',
  'CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL, price decimal(10,2), FOREIGN KEY (parent) REFERENCES parent (id))',
]
const OPERATIONS = ['INSERT', 'UPDATE', 'DELETE'] as const

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

/** A target whose ledger counts what is done to each row, in the transaction that does it. */
async function openTarget(): Promise<MysqlSide> {
  const side = await MysqlSide.make(server)
  await side.sql(...TABLES, 'CREATE TABLE ledger (tab varchar(20) NOT NULL, op varchar(10) NOT NULL) ENGINE = InnoDB')
  for (const table of ['parent', 'child']) {
    for (const op of OPERATIONS) {
      await side.sql(
        `CREATE TRIGGER ${table}_${op} AFTER ${op} ON ${table} FOR EACH ROW INSERT INTO ledger VALUES ('${table}', '${op}')`,
      )
    }
  }
  return side
}

async function openSource(): Promise<Database> {
  const source = await createDatabase(sharedServers().source)
  for (const table of TABLES) await source.sql(table)
  await source.sql(`INSERT INTO parent SELECT i, 'parent ' || i, nullif(i - 1, 0) FROM generate_series(1, 120) i;
    INSERT INTO child SELECT i, 1 + i % 120, i / 4.0 FROM generate_series(1, 300) i`)
  return source
}

async function expectWhole(source: Database, side: MysqlSide): Promise<void> {
  for (const table of ['parent', 'child']) {
    const there = await source.sql(`SELECT t::text FROM (SELECT * FROM ${table}) t ORDER BY id`)
    const here = await side.sql(`SELECT * FROM ${table} ORDER BY id`)
    expect(
      here.map((row) => `(${row.map((cell) => (cell?.includes(' ') ? `"${cell}"` : (cell ?? ''))).join(',')})`),
    ).toEqual(there.flat())
  }
  // Nothing was lost and nothing was done twice: every row came once, and went once.
  const [[rows] = []] = await side.sql(
    'SELECT CAST((SELECT COUNT(*) FROM parent) + (SELECT COUNT(*) FROM child) AS CHAR)',
  )
  const counted = await side.sql(`SELECT CAST(SUM(op = 'INSERT') - SUM(op = 'DELETE') AS CHAR) FROM ledger`)
  expect(counted).toEqual([[rows ?? '0']])
}

const NAMES = [
  'phase.entered',
  'load.copied',
  'batch.record',
  'batch.told',
  'batch.commit',
  'batch.committed',
  'run.finish',
]
const LATER = ['batch.staged', 'batch.written']

test('B1, B2: killed during a first load', async () => {
  await using source = await openSource()
  for (const name of NAMES) {
    // One table is loaded; the other one refers to itself.
    for (const pass of name === 'batch.commit' ? [1, 2] : [1]) {
      const side = await openTarget()
      const target = server.url(side.name)
      await using program = startSync(source.url, target, { env: { FAILPOINT: `${name}:${pass}:kill` } })
      expect((await program.exit).signal, `${name}:${pass}`).toBe('SIGKILL')
      await finishSync(source.url, target)
      await expectWhole(source, side)
      const again = await finishSync(source.url, target)
      expect(again.stdout).toMatch(/"inserted": ?0/)
    }
  }
})

test('B1, B2: killed while changes and deletes are applied', async () => {
  await using source = await openSource()
  const side = await openTarget()
  const target = server.url(side.name)
  await finishSync(source.url, target)
  await side.sql("DELETE FROM ledger WHERE op = 'UPDATE'")
  let updates = 0
  for (const [round, name] of [...NAMES.filter((each) => each !== 'load.copied'), ...LATER].entries()) {
    await source.sql(`UPDATE parent SET name = name || '${round}' WHERE id % 3 = 0; DELETE FROM child WHERE id <= ${(round + 1) * 10};
      INSERT INTO child SELECT ${1_000 * (round + 1)} + i, i, 1 FROM generate_series(1, 15) i`)
    updates += 40
    await using program = startSync(source.url, target, { env: { FAILPOINT: `${name}:1:kill` } })
    expect((await program.exit).signal, name).toBe('SIGKILL')
    await finishSync(source.url, target)
    await expectWhole(source, side)
  }
  expect(await side.sql(`SELECT CAST(SUM(op = 'UPDATE') AS CHAR) FROM ledger WHERE tab = 'parent'`)).toEqual([
    [String(updates)],
  ])
})
