/** Change sets of a target in MariaDB: shown, approved, written in one transaction, undone (invariant 9, hazard D16). */
import { execFileSync } from 'node:child_process'

import { afterAll, beforeAll, expect, test } from 'vitest'

import { mysqlChangeScript } from '#adapters/mysql/change-script.ts'
import { Connection } from '#adapters/mysql/connection.ts'
import { inForm } from '#adapters/mysql/forms.ts'
import { openChangeSet } from '#control/change-sets.ts'
import { StoredHistory } from '#control/history.ts'
import { writtenJob } from '#control/written-job.ts'
import type { ChangeSetSummary, SetChange } from '#model/change-set.ts'
import type { Row } from '#model/value.ts'
import type { ChangeSet } from '#sync/change-set.ts'

import { addJob, createChangeSets } from '#test/harness/change-sets.ts'
import { IntoMysql } from '#test/harness/into-mysql.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { MIRROR } from '#test/harness/sync.ts'

const { source } = sharedServers()
const POLICIES = { ...MIRROR, maxDeletePercent: 100, maxOverwritePercent: 100 }

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const ITEM = ['CREATE TABLE item (id int PRIMARY KEY, n int, u int UNIQUE, note varchar(40))']

async function items(): Promise<IntoMysql> {
  const into = await IntoMysql.make(source, server)
  await into.both(...ITEM)
  // The target alone has a column that the mapping does not carry.
  await into.side.sql("ALTER TABLE item ADD COLUMN own varchar(20) NOT NULL DEFAULT 'own'")
  await into.pair.source.sql("INSERT INTO item SELECT i, 1, i, 'x' FROM generate_series(1, 5) i")
  await into.run(['item'], POLICIES)
  return into
}

async function plan(into: IntoMysql, set: ChangeSet): Promise<ChangeSetSummary> {
  const config = { ...POLICIES, tables: into.tables('item') }
  const { changeSet } = await into.pair.preview(config, { changeSet: set, targetUrl: into.url })
  if (changeSet === null || changeSet === undefined) throw new Error('no change set')
  return changeSet
}

test('invariant 9: where all or nothing is to be written, one row that moved keeps all of them out', async () => {
  await using into = await items()
  await using kept = await createChangeSets('sqlite')
  await into.pair.source.sql("UPDATE item SET n = 2; INSERT INTO item VALUES (6, 2, 6, 'new')")
  await using set = openChangeSet(kept.tools, { jobId: kept.jobId, staging: 'embedded' })
  const applying = {
    set,
    summary: await plan(into, set),
    onMoved: 'apply nothing' as const,
    reverting: false,
    ownPlan: true,
  }
  await into.side.sql('UPDATE item SET n = 100 WHERE id = 3')
  await expect(into.run(['item'], POLICIES, { applying })).rejects.toMatchObject({ code: 'changes_moved' })
  expect(await into.side.sql('SELECT CAST(n AS CHAR), CAST(COUNT(*) AS CHAR) FROM item GROUP BY n ORDER BY n')).toEqual(
    [
      ['1', '4'],
      ['100', '1'],
    ],
  )
  await into.side.sql('UPDATE item SET n = 1 WHERE id = 3')
  await using again = openChangeSet(kept.tools, { jobId: await addJob(kept.store), staging: 'embedded' })
  const summary = await plan(into, again)
  const receipt = await into.run(['item'], POLICIES, { applying: { ...applying, set: again, summary } })
  expect(receipt.counts).toMatchObject({ inserted: 1, updated: 5, conflicted: 0 })
  expect(await into.side.sql('SELECT id, n, own FROM item WHERE id > 4 ORDER BY id')).toEqual([
    ['5', '2', 'own'],
    ['6', '2', 'own'],
  ])
})

test('B7: a deadlock in the transaction of all changes takes back all of them, and the run begins anew', async () => {
  await using into = await items()
  await using kept = await createChangeSets('sqlite')
  await into.pair.source.sql("INSERT INTO item SELECT i, 1, i, 'x' FROM generate_series(6, 12) i")
  await into.run(['item'], POLICIES)
  await into.pair.source.sql('UPDATE item SET n = 2')
  await using set = openChangeSet(kept.tools, { jobId: kept.jobId, staging: 'embedded' })
  const applying = {
    set,
    summary: await plan(into, set),
    onMoved: 'apply nothing' as const,
    reverting: false,
    ownPlan: true,
  }
  await using rival = await Connection.open(into.side.endpoint, { readOnly: false })
  await rival.query('CREATE TABLE weight (id INT PRIMARY KEY)')
  await rival.begin('write')
  // The server gives up the transaction that has changed less.
  await rival.query('INSERT INTO weight SELECT seq FROM seq_1_to_5000')
  await rival.query('UPDATE item SET own = own WHERE id = 4')
  await rival.query('SELECT 1 FROM item WHERE id = 4 FOR UPDATE')
  const run = into.run(['item'], { ...POLICIES, batchSize: 2 }, { applying })
  const seen = new Set<string>()
  const look = async (): Promise<string> => {
    const [row] = await into.side.sql(`SELECT SUM(n = 2),
      (SELECT COUNT(*) FROM information_schema.innodb_trx WHERE trx_state = 'LOCK WAIT') FROM item`)
    seen.add(row?.[0] ?? '')
    return row?.[1] ?? ''
  }
  // The server answers from what it gathered before, until nobody has asked for 100 ms: who asks
  // more often is never told of a lock.
  await expect.poll(look, { timeout: 20_000, interval: 150 }).toBe('1')
  // The first batch of the run holds it.
  await rival.query('SELECT 1 FROM item WHERE id = 1 FOR UPDATE')
  await look()
  await rival.query('ROLLBACK')
  const receipt = await run
  await look()
  expect(receipt.counts).toMatchObject({ updated: 12, conflicted: 0 })
  expect([...seen].toSorted()).toEqual(['0', '12'])
})

test.each(['fingerprints', 'images'] as const)(
  'D16: undoing a run gives back what was there, but for what was edited since (baseline: %s)',
  async (baseline) => {
    await using into = await items()
    await using kept = await createChangeSets('sqlite')
    const policies = { ...POLICIES, baseline }
    await into.run(['item'], policies)
    await into.side.sql("UPDATE item SET own = CONCAT('o', id)")
    const all = 'SELECT id, n, u, note, own FROM item ORDER BY id'
    const before = await into.side.sql(all)
    await into.pair.source.sql(`UPDATE item SET u = -u WHERE id < 3; UPDATE item SET u = 3 + u WHERE id < 3;
      UPDATE item SET note = NULL WHERE id = 3; DELETE FROM item WHERE id = 4; INSERT INTO item VALUES (9, 9, 9, 'nine')`)
    const id = await addJob(kept.store)
    const job = { id, configId: null, sourceDatasourceId: 'ds_1', targetDatasourceId: 'ds_2', epoch: 0 }
    const receipt = await into.run(['item'], policies, {
      history: new StoredHistory(kept.tools, job, 'images'),
      job: { id, lease: 1, confirm: () => Promise.resolve() },
    })
    expect(receipt.counts).toMatchObject({ inserted: 1, updated: 3, deleted: 1 })
    await into.side.sql("UPDATE item SET note = 'edited' WHERE id = 3")
    await using set = openChangeSet(kept.tools, { jobId: await addJob(kept.store), staging: 'embedded' })
    const choice = { tables: null, keys: null }
    const target = { sourceUrl: into.url, targetUrl: into.url }
    const summary = await into.pair.planRevert({ job: await writtenJob(kept.tools, id), set, choice }, target)
    await into.pair.revert(set, summary, target)
    const wanted = before.map((row) => (row[0] === '3' ? ['3', '1', '3', 'edited', 'o3'] : row))
    expect(await into.side.sql(all)).toEqual(wanted)
  },
)

test('invariant 9: a script writes every value as it is, finds the row by it, and leaves a row that is another one', async () => {
  const side = await MysqlSide.make(server)
  const columns = `(id bigint PRIMARY KEY, note text, code varchar(20) COLLATE utf8mb4_general_ci, y year, n decimal(40,3), big bigint,
    bits bit(9), d date, at datetime(6), f tinyint(1), p point, j json, e enum('a''b', 'c\\d'))`
  await side.sql(
    "SET SESSION sql_mode = ''",
    `CREATE TABLE was ${columns}`,
    `CREATE TABLE made ${columns}`,
    `INSERT INTO was VALUES (1, 'a\r\nb\\\r\\n''\\0\\Z;\n-- \t', 'É', 0, 1234567890123456789012345678901234567.891, 9007199254740993, b'101', '0000-00-00', '2024-00-01 00:00:00', 1, POINT(1, -2.5), '{"a": "\\\\r"}', 'a''b')`,
    `INSERT INTO was VALUES (2, '', 'e', 2024, -0.001, -9223372036854775808, 0, '2024-02-29', '0000-00-00 00:00:00', 2, NULL, NULL, 'c\\d')`,
    `INSERT INTO was VALUES (3, NULL, NULL, 1901, 0, 0, NULL, NULL, NULL, 0, ST_GeomFromText('POINT(3 4)', 4326), '[1]', NULL)`,
  )
  await using adapter = await side.open()
  const [described] = await adapter.describe([side.ref('was')])
  const types = described?.columns ?? []
  const rowsOf = (table: string): Promise<Row[]> =>
    side.sql(`SELECT ${types.map(({ name, type }) => inForm(name, type, 'own')).join(', ')} FROM ${table} ORDER BY id`)
  const target = { target: side.ref('made'), key: ['id'], columns: types }
  const change = (op: SetChange['op'], before: Row | null, after: Row | null): SetChange => ({
    op,
    seq: 1,
    table: 0,
    key: [(before ?? after)?.[0] ?? ''],
    expect: null,
    source: null,
    bytes: 0,
    before,
    after,
    large: false,
  })
  const run = (...changes: readonly SetChange[]): void => {
    const statements = changes.map((each) => mysqlChangeScript.statement(target, each))
    const { hostname, port, username, password } = new URL(side.url)
    const login = ['-h', hostname, '-P', port, '-u', username, `-p${password}`, side.name]
    const input = [mysqlChangeScript.begin([]), ...statements, mysqlChangeScript.end()].join('')
    execFileSync('mariadb', login, { input })
  }
  const was = await rowsOf('was')
  run(...was.map((row) => change('insert', null, row)))
  expect(await rowsOf('made')).toEqual(was)
  const moved = was.map((row, i) => [row[0] ?? null, ...(was[(i + 1) % was.length] ?? []).slice(1)])
  run(...was.map((row, i) => change('update', row, moved[i] ?? null)))
  expect(await rowsOf('made')).toEqual(moved)
  const others = moved.flatMap((row) =>
    row.flatMap((cell, i) => (i === 0 || cell === was[0]?.[i] ? [] : [row.with(i, was[0]?.[i] ?? null)])),
  )
  run(...others.map((row) => change('delete', row, null)))
  expect(await rowsOf('made')).toEqual(moved)
  run(...moved.map((row) => change('delete', row, null)))
  expect(await rowsOf('made')).toEqual([])
})
