/** Moments of MariaDB, beside what the acceptance suite asks of every adapter: rights, locks, and the walls of a session. */
import { afterAll, beforeAll, expect, test } from 'vitest'

import { TEXT_ROWS, type Scan, type Snapshot } from '#adapters/adapter.ts'
import { Secret } from '#lib/secret.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { Connection } from './connection.ts'

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
})

afterAll(() => server[Symbol.asyncDispose]())

/** Moves amounts between two tables until it is told to stop; no transaction of it changes the sum of both. */
async function moveAmounts(side: MysqlSide, stop: AbortSignal): Promise<number> {
  await using connection = await Connection.open(side.endpoint, { readOnly: false })
  let moves = 0
  while (!stop.aborted) {
    await connection.transaction('write', async () => {
      await connection.execute('UPDATE a SET amount = amount - 1 WHERE id = ?', [String(1 + (moves % 50))])
      await connection.execute('INSERT INTO b (amount) VALUES (1)')
    })
    moves += 1
  }
  return moves
}

async function makeAmounts(side: MysqlSide): Promise<void> {
  await side.sql(
    'CREATE TABLE a (id INT PRIMARY KEY, amount INT NOT NULL)',
    'CREATE TABLE b (id INT PRIMARY KEY AUTO_INCREMENT, amount INT NOT NULL)',
    'INSERT INTO a SELECT seq, 100000 FROM seq_1_to_50',
  )
}

async function amounts(moment: Snapshot, scan: Scan): Promise<number> {
  let sum = 0
  for (const piece of await moment.pieces(scan, 1e9)) {
    await using rows = await moment.copyOut(scan, piece, TEXT_ROWS)
    let text = ''
    for await (const chunk of rows.stream) text += String(chunk)
    for (const line of text.split('\n').filter(Boolean)) sum += Number(line.split('\t')[1])
  }
  return sum
}

test('P1 a login that may not lock the server reads with one session alone, at one moment', async () => {
  const side = await MysqlSide.make(server)
  await makeAmounts(side)
  await side.sql(
    `CREATE OR REPLACE USER reader@'%' IDENTIFIED BY 'reader'`,
    `GRANT SELECT ON \`${side.name}\`.* TO reader@'%'`,
  )
  const reader = new MysqlSide({ ...side.endpoint, user: 'reader', password: new Secret('reader') })
  const stop = new AbortController()
  const writer = moveAmounts(side, stop.signal)
  try {
    await reader.moment(async (moment, adapter) => {
      const { schema, scan: a } = await reader.scan(adapter, 'a')
      const { scan: b } = await reader.scan(adapter, 'b')
      expect(schema.rights).toMatchObject({ select: true, insert: false, update: false, delete: false })
      const [inA, inB] = await Promise.all([amounts(moment, a), amounts(moment, b)])
      expect(inA + inB).toBe(50 * 100_000)
      expect(await adapter.horizon()).toMatchObject({ complete: false })
    }, 4)
  } finally {
    stop.abort()
  }
  expect(await writer).toBeGreaterThan(0)
})

test('P1 where somebody holds a table for long, the lock is given up and one session reads', async () => {
  const side = await MysqlSide.make(server)
  await makeAmounts(side)
  await using holder = await Connection.open(side.endpoint, { readOnly: false })
  await using adapter = await side.open()
  const { scan } = await side.scan(adapter, 'a')
  await holder.execute('LOCK TABLES b WRITE')
  await using moment = await adapter.snapshot(3, new AbortController().signal)
  expect(await amounts(moment, scan)).toBe(50 * 100_000)
  // Nobody waits behind us any more.
  await holder.execute('INSERT INTO b (amount) VALUES (1)')
})

test('D10 a table that is held is not altered until the snapshot is closed, and one that was altered before is told', async () => {
  const side = await MysqlSide.make(server)
  await makeAmounts(side)
  await using adapter = await side.open()
  const { scan } = await side.scan(adapter, 'a')
  const { signal } = new AbortController()
  const [defined] = await adapter.definitions([scan.table])
  let altered = false
  let altering: Promise<unknown> = Promise.resolve()
  {
    await using held = await adapter.snapshot(2, signal)
    await held.hold([scan.table])
    altering = side.sql('ALTER TABLE a ADD COLUMN more INT').then(() => void (altered = true))
    await expect
      .poll(() => side.sql(`SELECT COUNT(*) FROM information_schema.processlist WHERE state LIKE '%metadata lock%'`))
      .toEqual([['1']])
    expect(await held.count(scan)).toBe(50)
    expect(altered).toBe(false)
  }
  await altering
  expect(await adapter.definitions([scan.table])).not.toEqual([defined])
  await using late = await adapter.snapshot(1, signal)
  await side.sql('TRUNCATE TABLE a')
  await expect(late.hold([scan.table])).rejects.toMatchObject({ code: 'schema_changed', retry: 'later' })
})

test('a session that only reads is refused every write by the server itself', async () => {
  const side = await MysqlSide.make(server)
  await makeAmounts(side)
  await using adapter = await side.open()
  expect(adapter.writer).toBeNull()
  await using connection = await Connection.open(side.endpoint, { readOnly: true })
  for (const statement of ['DELETE FROM a', 'INSERT INTO b VALUES (1, 1)', 'CREATE TABLE c (id INT)', 'DROP TABLE a']) {
    await expect(connection.execute(statement)).rejects.toMatchObject({ errno: 1792 })
  }
  await expect(adapter.describeQuery(side.ref('q'), 'DELETE FROM a')).rejects.toMatchObject({ code: 'invalid_query' })
  await expect(adapter.describeQuery(side.ref('q'), 'SELECT 1) t; DROP TABLE a; -- ')).rejects.toMatchObject({
    code: 'invalid_query',
  })
  expect(await side.sql('SELECT COUNT(*) FROM a')).toEqual([['50']])
})
