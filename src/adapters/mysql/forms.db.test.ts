import { afterAll, beforeAll, expect, test } from 'vitest'
import { must } from '#lib/assert.ts'
import { fingerprint } from '#model/fingerprint.ts'
import type { Value } from '#model/value.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { Connection } from './connection.ts'
import { fingerprintSql, keyHashBucketSql } from './fingerprint-sql.ts'
import { fromForm, inForm } from './forms.ts'
import { columnType } from './types.ts'

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

/** The column `v` of a table, as the catalogue tells it. */
async function typeOf(connection: Connection, table: string): Promise<ReturnType<typeof columnType>> {
  const [row] = await connection.query(
    `SELECT c.COLUMN_TYPE, c.CHARACTER_SET_NAME, EXISTS (SELECT 1 FROM information_schema.CHECK_CONSTRAINTS k
       WHERE k.CONSTRAINT_SCHEMA = c.TABLE_SCHEMA AND k.TABLE_NAME = c.TABLE_NAME AND k.CHECK_CLAUSE = CONCAT('json_valid(\`', c.COLUMN_NAME, '\`)'))
     FROM information_schema.COLUMNS c WHERE c.TABLE_SCHEMA = DATABASE() AND c.TABLE_NAME = ? AND c.COLUMN_NAME = 'v'`,
    [table],
  )
  const [spelled, charset, isJson] = must(row, table)
  return columnType({ spelled: spelled ?? '', charset: charset ?? null, isJson: isJson === '1' })
}

const SIMPLE: readonly (readonly [sql: string, values: readonly (readonly [input: string, text: Value])[]])[] = [
  [
    'int',
    [
      ['-2147483648', '-2147483648'],
      ['0', '0'],
    ],
  ],
  [
    'int(7) unsigned zerofill',
    [
      ['42', '42'],
      ['4294967295', '4294967295'],
    ],
  ],
  ['bigint unsigned', [['18446744073709551615', '18446744073709551615']]],
  [
    'tinyint(1)',
    [
      ['0', 'f'],
      ['1', 't'],
      ['-2', '-2'],
    ],
  ],
  [
    'decimal(10,2)',
    [
      ['1.50', '1.50'],
      ['-0.01', '-0.01'],
    ],
  ],
  [
    'double',
    [
      ['0.1', '0.1'],
      ['1e-5', '1e-05'],
      ['1.5e-7', '1.5e-07'],
      ['1e15', '1e+15'],
      ['1e23', '9.999999999999999e+22'],
    ],
  ],
  ['float', [['0.1', '0.10000000149011612']]],
  [
    'varchar(20)',
    [
      ['', ''],
      ['é😀 ', 'é😀 '],
      ["a'b\\\\", "a'b\\"],
    ],
  ],
  ['varchar(20) character set latin1', [['é€', 'é€']]],
  ['char(5)', [['ab ', 'ab']]],
  [
    'blob',
    [
      ['', '\\x'],
      ['A', '\\x41'],
    ],
  ],
  [
    'datetime(6)',
    [
      ['2024-01-01 00:00:00', '2024-01-01 00:00:00'],
      ['2024-01-01 00:00:00.5', '2024-01-01 00:00:00.5'],
    ],
  ],
  ['timestamp(3) null', [['2024-03-31 02:30:00.250', '2024-03-31 02:30:00.25+00']]],
  ['date', [['0044-03-15', '0044-03-15']]],
  [
    'time(2)',
    [
      ['-838:59:59', '-838:59:59'],
      ['24:00:00.1', '24:00:00.1'],
    ],
  ],
  ['json', [[' {"a":1} ', ' {"a":1} ']]],
  ['bit(10)', [['5', '0000110101']]],
  ["enum('a','it''s','b\\\\\\\\c')", [["it''s", "it's"]]],
]

test.each(SIMPLE)('%s: the fingerprint of the server is that of Node.js', async (sql, values) => {
  const database = await server.createDatabase()
  await using connection = await Connection.open(server.endpoint(database), { readOnly: false })
  await connection.query(`CREATE TABLE t (id INT PRIMARY KEY, v ${sql}) CHARACTER SET utf8mb4`)
  for (const [i, [input]] of values.entries()) {
    const text = input.replace(/(?<!')'(?!')/g, "''")
    await connection.execute(`INSERT INTO t VALUES (${i}, '${text}')`)
  }
  await connection.execute('INSERT INTO t VALUES (99, NULL)')
  const type = await typeOf(connection, 't')
  const expression = inForm('t.v', type, 'own')
  const hashed = { column: 't.v', text: expression }
  const rows = await connection.query(
    `SELECT ${expression}, ${fingerprintSql([hashed, hashed])}, ${keyHashBucketSql([hashed], 65_536)} FROM t ORDER BY id`,
  )
  const wanted: Value[] = [...values.map(([, text]) => text), null]
  expect(rows.map(([text]) => text)).toEqual(wanted)
  expect(rows.map(([, hash]) => hash)).toEqual(wanted.map((value) => fingerprint([value, value])))
})

test('a text that is no bytes is refused by both statements, and never becomes NULL', async () => {
  await using connection = await Connection.open(server.endpoint(await server.createDatabase()), { readOnly: false })
  await connection.execute('CREATE TABLE b (id INT PRIMARY KEY, v LONGBLOB NULL)')
  await connection.execute('CREATE TABLE s (id INT PRIMARY KEY, c LONGTEXT CHARACTER SET utf8mb4)')
  const value = fromForm('s.c', { kind: 'bytes' }, 'own')
  const write = async (text: Value): Promise<unknown> => {
    await connection.execute('DELETE FROM b')
    await connection.execute('REPLACE INTO s VALUES (1, ?)', [typeof text === 'string' ? text : null])
    await connection.execute(`INSERT INTO b SELECT s.id, ${value} FROM s`)
    await connection.execute(`UPDATE b JOIN s ON s.id = b.id SET b.v = ${value}`)
    return (await connection.query('SELECT HEX(v) FROM b'))[0]?.[0]
  }
  expect(await write('\\x00ff0A')).toBe('00FF0A')
  expect(await write('\\x')).toBe('')
  expect(await write(null)).toBeNull()
  for (const text of ['\\x0', '\\xzz', 'abcd', '', '\\y00', 'x']) {
    await expect(write(text), text).rejects.toMatchObject({ errno: 1292 })
  }
})
