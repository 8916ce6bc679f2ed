import { Readable } from 'node:stream'
import { afterAll, beforeAll, expect, test } from 'vitest'
import { Secret } from '#lib/secret.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { Connection } from './connection.ts'

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

async function open(database: string): Promise<Connection> {
  return Connection.open(server.endpoint(database), { readOnly: false })
}

test('A15 a result whose connection is cut in its middle is an error, never an end', async () => {
  await using connection = await open('mysql')
  await using killer = await open('mysql')
  const rows = connection.stream('SELECT seq, REPEAT(CAST(seq AS CHAR), 200) FROM seq_1_to_5000000')
  let seen = 0
  const read = async (): Promise<void> => {
    for await (const _ of rows) {
      seen += 1
      if (seen === 1_000) await killer.query(`KILL ${connection.id}`)
    }
  }
  await expect(read()).rejects.toMatchObject({ name: 'AppError' })
  expect(seen).toBeLessThan(5_000_000)
})

test('C14 a warning of a writing statement is an error', async () => {
  const database = await server.createDatabase()
  await using connection = await open(database)
  await connection.query('CREATE TABLE t (a VARCHAR(3))')
  await expect(connection.execute('INSERT INTO t VALUES (?)', ['abcd'])).rejects.toMatchObject({ errno: 1406 })
  expect(await connection.query('SELECT count(*) FROM t')).toEqual([['0']])
})

const LOAD = `LOAD DATA LOCAL INFILE 'rows' INTO TABLE t CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n'`

test('C14 a value that LOAD DATA cuts is an error behind any number of notes', async () => {
  const database = await server.createDatabase()
  await using connection = await open(database)
  await connection.query('CREATE TABLE t (n DECIMAL(5,1), a VARCHAR(3))')
  // That a decimal is rounded is a note to the server.
  const lines = `${'1.25\tx\n'.repeat(100)}1.5\tabcd\n`
  const loading = connection.load(LOAD, Readable.from([Buffer.from(lines)]))
  await expect(loading).rejects.toMatchObject({ errno: 1265 })
})

test('C14 a value that LOAD DATA cuts is an error though the server is set up to show no warnings', async () => {
  const database = await server.createDatabase()
  await using admin = await open(database)
  await admin.query('SET GLOBAL max_error_count = 0')
  try {
    await using connection = await open(database)
    await connection.query('CREATE TABLE t (a VARCHAR(3))')
    const loading = connection.load(LOAD, Readable.from([Buffer.from('abcd\n')]))
    await expect(loading).rejects.toMatchObject({ errno: 1265 })
  } finally {
    await admin.query('SET GLOBAL max_error_count = DEFAULT')
  }
})

test('LOAD DATA takes a stream of ours and nothing else', async () => {
  const database = await server.createDatabase()
  await using connection = await open(database)
  await connection.query('CREATE TABLE t (a INT, b LONGTEXT)')
  const sql = `LOAD DATA LOCAL INFILE 'rows' INTO TABLE t CHARACTER SET utf8mb4 FIELDS TERMINATED BY '\\t' ESCAPED BY '\\\\' LINES TERMINATED BY '\\n'`
  expect(
    await connection.load(sql, Readable.from(['1\ta\\tb\n2\t\\N\n', '3\t☯\n'].map((text) => Buffer.from(text)))),
  ).toBe(3)
  expect(await connection.query('SELECT a, b FROM t ORDER BY a')).toEqual([
    ['1', 'a\tb'],
    ['2', null],
    ['3', '☯'],
  ])
  await expect(connection.query(`LOAD DATA LOCAL INFILE '/etc/hostname' INTO TABLE t`)).rejects.toThrow(/LOCAL/i)
})

test('S30 a session for reading is read-only in the server itself', async () => {
  const database = await server.createDatabase()
  await using connection = await Connection.open(server.endpoint(database), { readOnly: true })
  await expect(connection.query('CREATE TABLE t (a INT)')).rejects.toMatchObject({ errno: 1792 })
})

test('A15 a session counts as working where the server, or its account, may have no other one to be asked over', async () => {
  await using admin = await open('mysql')
  await admin.query(`CREATE OR REPLACE USER plain@'%' IDENTIFIED BY 'plain'`)
  await admin.query(`CREATE OR REPLACE USER alone@'%' IDENTIFIED BY 'alone' WITH MAX_USER_CONNECTIONS 1`)
  const openAs = (user: string): Promise<Connection> =>
    Connection.open({ ...server.endpoint('information_schema'), user, password: new Secret(user) }, { readOnly: true })
  {
    await using alone = await openAs('alone')
    await expect(openAs('alone')).rejects.toMatchObject({ cause: { errno: 1226 } })
    expect(await alone.probe()).toBe('working')
  }
  await using sessions = new AsyncDisposableStack()
  const plain = sessions.use(await openAs('plain'))
  expect(await plain.probe()).toBe('waiting')
  await admin.query('SET GLOBAL max_connections = 10')
  try {
    for (let left = 10; left > 2; left--) sessions.use(await openAs('plain'))
    await expect(openAs('plain')).rejects.toMatchObject({ cause: { errno: 1040 } })
    expect(await plain.probe()).toBe('working')
  } finally {
    await admin.query('SET GLOBAL max_connections = DEFAULT')
  }
})
