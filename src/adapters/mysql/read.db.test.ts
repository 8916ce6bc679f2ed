/** MariaDB as the source of runs into PostgreSQL, and what its snapshots read. */
import { afterAll, beforeAll, expect, test } from 'vitest'

import { TEXT_ROWS, type Scan } from '#adapters/adapter.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, MIRROR, wroteNothing } from '#test/harness/sync.ts'

const { source: first, target: second } = sharedServers()
const POLICIES: Partial<SyncConfig> = { ...MIRROR, maxOverwritePercent: 100, verifyAfter: 'full' }

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
})

afterAll(() => server[Symbol.asyncDispose]())

test('D9 names of tables and columns are taken as they are, whatever stands in them', async () => {
  const side = await MysqlSide.make(server)
  await using pair = await createPair(first, second)
  const names = ['a"b', 'a`b', 'select', 'A', 'a', 'x\ny', '😀', `it's`, '\\', 'ü'.repeat(20), '?', '__proto__', 'n.m']
  const mine = (name: string): string => `\`${name.replaceAll('`', '``')}\``
  const theirs = (name: string): string => `"${name.replaceAll('"', '""')}"`
  // The server takes no character beyond the first 65,536 for a name.
  const taken = names.filter((name) => name !== '😀')
  for (const [i, name] of taken.entries()) {
    await side.sql(
      `CREATE TABLE ${mine(name)} (${mine('key')} INT PRIMARY KEY, ${mine(name === 'A' ? 'a2' : name)} VARCHAR(20))`,
      `INSERT INTO ${mine(name)} VALUES (${i}, 'of ${i}')`,
    )
    await pair.target.sql(
      `CREATE TABLE ${theirs(name)} (key int PRIMARY KEY, ${theirs(name === 'A' ? 'a2' : name)} varchar(20))`,
    )
  }
  const receipt = await pair.run({ ...POLICIES, tables: taken.map((name) => side.mapping(name)) }, side.asSource)
  expect(receipt.counts).toMatchObject({ read: taken.length, inserted: taken.length })
  for (const [i, name] of taken.entries()) {
    expect(await pair.target.sql(`SELECT * FROM ${theirs(name)}`)).toEqual([[String(i), `of ${i}`]])
  }
})

test('C19 a query may call its columns what it likes', async () => {
  const side = await MysqlSide.make(server)
  await side.moment(async (moment, adapter) => {
    const names = ['__proto__', 'constructor', 'toString', '__defineGetter__', 'hasOwnProperty', 'length']
    const query = `SELECT ${names.map((name, i) => `${i} AS \`${name}\``).join(', ')}`
    const ref = side.ref('named')
    const { columns } = await adapter.describeQuery(ref, query)
    expect(columns.map(({ name }) => name)).toEqual(names)
    const scan: Scan = {
      table: ref,
      columns: names.map((name) => ({ name, form: 'own', hash: 'text' })),
      keyLength: 1,
      algorithm: 'md5',
      filter: null,
    }
    expect(await moment.rows(scan, [['0']])).toEqual([names.map((_, i) => String(i))])
    expect(await moment.sample(scan, 1)).toEqual([names.map((_, i) => String(i))])
  })
})

test('D2 generated columns are read, and AUTO_INCREMENT is known by its next number', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    `CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, a INT NOT NULL, s INT GENERATED ALWAYS AS (a * 2) STORED,
       v VARCHAR(20) GENERATED ALWAYS AS (CONCAT('v', a)) VIRTUAL, d INT NOT NULL DEFAULT 7)`,
    'INSERT INTO t (a) VALUES (1), (2), (3)',
    'DELETE FROM t WHERE id = 3',
  )
  await side.moment(async (moment, adapter) => {
    const { schema, scan } = await side.scan(adapter, 't')
    expect(schema.columns).toMatchObject([
      { name: 'id', generated: null, identity: 'by default', hasDefault: true, nullable: false },
      { name: 'a', generated: null, identity: null, hasDefault: false, nullable: false },
      { name: 's', generated: 'stored', expression: '`a` * 2' },
      { name: 'v', generated: 'virtual' },
      { name: 'd', generated: null, hasDefault: true },
    ])
    expect(await moment.rows(scan, [['2'], ['3'], ['x'], ['99999999999999999999']])).toEqual([
      ['2', '2', '4', 'v2', '7'],
    ])
    expect(await moment.sequences(schema.ref)).toEqual([{ column: 'id', lastValue: 3n, called: true }])
  })
})

test('C12 keys that a collation holds equal are told apart by their bytes', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE t (id VARCHAR(20) CHARACTER SET utf8mb4 COLLATE utf8mb4_general_ci PRIMARY KEY, v INT)',
    `INSERT INTO t VALUES ('abc', 1), ('É', 2), ('x', 3)`,
    'CREATE TABLE l (id VARCHAR(20) CHARACTER SET latin1, n BINARY(4), v INT, PRIMARY KEY (id, n))',
    `INSERT INTO l VALUES ('é', X'00FF', 1), ('e', X'0000', 2)`,
  )
  await side.moment(async (moment, adapter) => {
    const { scan } = await side.scan(adapter, 't')
    const asked = [['ABC'], ['abc'], ['É'], ['é'], ['E'], ['x '], ['😀'], ['\0']]
    expect(await moment.rows(scan, asked)).toEqual([
      ['abc', '1'],
      ['É', '2'],
    ])
    const { scan: latin } = await side.scan(adapter, 'l')
    const pairs = [
      ['é', String.raw`\x00ff0000`],
      ['é', String.raw`\x00ff`],
      ['e', String.raw`\x00000000`],
      ['É', String.raw`\x00ff0000`],
    ]
    const found = await moment.fingerprints(latin, pairs)
    expect(new Set(found.map(({ key }) => key[0]))).toEqual(new Set(['e', 'é']))
  })
})

test('Views and queries are read as tables are, and a statement that is none is refused', async () => {
  const side = await MysqlSide.make(server)
  await using pair = await createPair(first, second)
  await side.sql(
    'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20), n BIGINT UNSIGNED, at TIMESTAMP(3) NULL)',
    `INSERT INTO t SELECT seq, CONCAT('v', seq), seq * 18446744073709, '2024-03-10 02:30:00.123' FROM seq_1_to_3000`,
    'CREATE VIEW w AS SELECT id, v FROM t WHERE id <= 100',
  )
  await pair.target.sql(`CREATE TABLE w (id int PRIMARY KEY, v varchar(20));
    CREATE TABLE q (id int PRIMARY KEY, twice decimal(31,0), n numeric(20,0), at timestamptz(3))`)
  const query = 'SELECT id, n * 2 AS twice, n, at FROM t WHERE id % 3 = 0 -- every third'
  const config: Partial<SyncConfig> = {
    ...POLICIES,
    tables: [
      { ...side.mapping('w'), key: ['id'] },
      { ...side.mapping('q'), key: ['id'], query },
    ],
  }
  expect(await pair.run(config, side.asSource)).toMatchObject({ completeness: 'exact', counts: { inserted: 1_100 } })
  expect(wroteNothing(await pair.run(config, side.asSource))).toBe(true)
  expect(await pair.target.sql('SELECT n::text, at::text FROM q WHERE id = 3000')).toEqual([
    ['55340232221127000', '2024-03-10 02:30:00.123+00'],
  ])
  await using adapter = await side.open()
  for (const wrong of ['SELECT nothing FROM t', 'SELECT 1 AS a, 2 AS a', 'DELETE FROM t', 'SELECT']) {
    await expect(adapter.describeQuery(side.ref('x'), wrong)).rejects.toMatchObject({ code: 'invalid_query' })
  }
})

test('B9 a table without transactions is read all the same, and the receipt is not called exact', async () => {
  const side = await MysqlSide.make(server)
  await using pair = await createPair(first, second)
  await side.sql(
    'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20)) ENGINE = MyISAM',
    `INSERT INTO t SELECT seq, 'v' FROM seq_1_to_500`,
  )
  await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY, v varchar(20))')
  const receipt = await pair.run({ ...POLICIES, tables: [side.mapping('t')] }, side.asSource)
  expect(receipt).toMatchObject({ completeness: 'bounded', counts: { inserted: 500 } })
  expect(receipt.notes.join('\n')).toContain('MyISAM has no transactions')
})

test('Keys of every shape are walked in parts, and found again', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE i (id BIGINT PRIMARY KEY, v INT)',
    'INSERT INTO i SELECT seq, 1 FROM seq_1_to_30000',
    'INSERT INTO i VALUES (9223372036854775807, 1), (-9223372036854775808, 1), (4000000000000000000, 1)',
    'CREATE TABLE s (id VARCHAR(40) COLLATE utf8mb4_unicode_ci, n DECIMAL(8,2), v INT, PRIMARY KEY (id, n))',
    `INSERT INTO s SELECT CONCAT(CHAR(97 + seq % 26), 'é', seq % 500), seq / 4, 1 FROM seq_1_to_30000`,
    'CREATE TABLE d (at DATETIME(6), u BIGINT UNSIGNED, v INT, PRIMARY KEY (at, u))',
    `INSERT INTO d SELECT '2024-01-01' + INTERVAL seq % 7 HOUR_MICROSECOND, 18446744073709551615 - seq, 1 FROM seq_1_to_30000`,
    'CREATE TABLE b (id BINARY(16) PRIMARY KEY, v INT)',
    'INSERT INTO b SELECT UNHEX(MD5(seq)), 1 FROM seq_1_to_30000',
    `CREATE TABLE e (id ENUM('z', 'a'), n INT, v INT, PRIMARY KEY (id, n))`,
    'INSERT INTO e SELECT 1 + seq % 2, seq, 1 FROM seq_1_to_30000',
    'ANALYZE TABLE i, s, d, b, e',
  )
  await using adapter = await side.open()
  for (const table of ['i', 's', 'd', 'b', 'e']) {
    const { scan } = await side.scan(adapter, table)
    await using moment = await adapter.snapshot(1, new AbortController().signal)
    const rows = await moment.count(scan)
    let digested = 0
    for await (const slice of moment.digests(scan, { by: 'key hash', count: 16 })) {
      digested += slice.reduce((sum, { digest }) => sum + digest.count, 0)
    }
    const keys: (readonly unknown[])[] = []
    let xor = 0n
    const pieces = await moment.pieces(scan, 200_000)
    let sent = 0
    for (const piece of pieces) {
      await using out = await moment.copyOut(scan, piece, TEXT_ROWS)
      for await (const _ of out.stream);
      sent += out.rows()
    }
    const found: string[] = []
    for await (const { key, fingerprint } of moment.keys(scan, { by: 'key hash', count: 16 }, 'all')) {
      keys.push(key)
      xor ^= BigInt(fingerprint)
      if (keys.length % 3_000 === 0) found.push(fingerprint)
    }
    const some = keys.filter((_, i) => (i + 1) % 3_000 === 0).map((key) => key.map(String))
    const again = (await moment.fingerprints(scan, some)).map(({ fingerprint }) => fingerprint)
    expect([table, digested, sent, keys.length]).toEqual([table, rows, rows, rows])
    expect(table === 'e' || pieces.length > 3).toBe(true)
    expect(again.toSorted()).toEqual(found.toSorted())
  }
})
