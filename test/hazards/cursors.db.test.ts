/** Changes that are found by a cursor, by keys, or by values: what each sees, and what it says that it does not see. */
import { describe, expect, test } from 'vitest'

import { Connection as MysqlConnection } from '#adapters/mysql/connection.ts'
import { AppError } from '#model/errors.ts'
import { NO_OWN_DETECTION, plainMapping, type SyncConfig } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { expectSameTable, type Database } from '#test/harness/database.ts'
import { startMariadb } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const BY_TIME = { detectionStrategy: 'timestamp', cursorColumn: 'at' } as const
const BY_VERSION = { detectionStrategy: 'rowversion', cursorColumn: 'v' } as const
const DELETING = { deletePolicy: 'delete', deleteScope: 'mirror', maxDeletePercent: 100 } as const

const TIMED = `CREATE TABLE t (id int PRIMARY KEY, a text, at timestamptz NOT NULL DEFAULT now());
  CREATE INDEX ON t (at)`
const VERSIONED = 'CREATE TABLE t (id int PRIMARY KEY, a text, v bigserial)'

/** What the state keeps for the next run. */
async function stateOf(pair: Pair): Promise<{ position: string | null; reached: [string, string][]; keysAt: string }> {
  const [row] = await pair.target.sql('SELECT detection FROM syncline.state')
  return JSON.parse(row?.[0] ?? 'null')
}

/** As if everything that the state speaks of had been longer ago. */
async function age(pair: Pair, seconds: number): Promise<void> {
  const state = await stateOf(pair)
  const older = (micros: string): string => String(BigInt(micros) - BigInt(seconds) * 1_000_000n)
  const reached = state.reached.map(([value, at]) => [value, older(at)])
  await pair.target.sql('UPDATE syncline.state SET detection = $1', [
    JSON.stringify({ ...state, reached, keysAt: older(state.keysAt) }),
  ])
}

async function inStep(table: string, rows: string, config: Partial<SyncConfig>): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.both(table)
  await pair.source.sql(rows)
  await pair.run(config)
  return pair
}

async function failure(work: Promise<unknown>): Promise<AppError> {
  const error = await work.then(
    () => null,
    (reason: unknown) => reason,
  )
  if (error instanceof AppError) return error
  throw new Error('It did not fail as it should.', { cause: error })
}

const old = (n: string): string => `'2020-01-01'::timestamptz + ${n} * interval '1 s'`

describe('timestamp', () => {
  test('a run looks at what was written since, and at nothing else', async () => {
    await using pair = await inStep(
      TIMED,
      `INSERT INTO t SELECT n, 'a', ${old('n')} FROM generate_series(1, 500) n`,
      BY_TIME,
    )
    expect((await stateOf(pair)).position).toBe('2020-01-01 00:08:20+00')
    await pair.source.sql(`INSERT INTO t VALUES (501, 'new'); UPDATE t SET a = 'b', at = now() WHERE id = 7`)
    // What the target alone changed is nothing that a cursor sees.
    await pair.target.sql(`UPDATE t SET a = 'mine' WHERE id = 8`)
    const receipt = await pair.run(BY_TIME)
    expect(receipt.counts).toMatchObject({ read: 3, inserted: 1, updated: 1, unchanged: 1 })
    expect(receipt.completeness).toBe('exact')
    await pair.target.sql(`UPDATE t SET a = 'a' WHERE id = 8`)
    await expectSameTable(pair.source, pair.target, 't')
  })

  test('A1: 1,000 rows share one time, and the position may stand at it', async () => {
    await using pair = await inStep(
      TIMED,
      `INSERT INTO t SELECT n, 'a', '2020-01-01' FROM generate_series(1, 300) n`,
      BY_TIME,
    )
    for (const last of [301, 1_000]) {
      await pair.source.sql(`INSERT INTO t SELECT n, 'a', '2020-01-01' FROM
        generate_series((SELECT max(id) + 1 FROM t), ${last}) n`)
      const receipt = await pair.run(BY_TIME)
      expect(receipt.counts).toMatchObject({ read: last, unchanged: last - receipt.counts.inserted })
      await expectSameTable(pair.source, pair.target, 't')
    }
  })

  test('A2: a transaction that was open when a run looked commits behind the largest time, and loses no row', async () => {
    await using pair = await inStep(TIMED, `INSERT INTO t VALUES (1, 'a', '2020-01-01')`, BY_TIME)
    await using long = await pair.source.connect()
    await long.query('BEGIN')
    const started = await long.query<{ now: string }>('SELECT now()::text AS now')
    await pair.source.sql(`INSERT INTO t SELECT n, 'later', clock_timestamp() FROM generate_series(2, 50) n`)
    expect((await pair.run(BY_TIME)).counts.inserted).toBe(49)
    const { position } = await stateOf(pair)
    expect(await pair.source.sql(`SELECT $1::timestamptz <= $2`, [position, started.rows[0]?.now ?? ''])).toEqual([
      ['t'],
    ])
    await pair.run(BY_TIME)
    // Its time is older than all that two runs have seen; it has no number of a transaction before it writes.
    await long.query(`INSERT INTO t VALUES (100, 'late'); UPDATE t SET a = 'late', at = now() WHERE id = 2; COMMIT`)
    const receipt = await pair.run(BY_TIME)
    expect(receipt).toMatchObject({ completeness: 'exact', counts: { inserted: 1, updated: 1 } })
    await expectSameTable(pair.source, pair.target, 't')
  })

  test('A2: several writers commit out of order while runs follow one another, and no row is lost', async () => {
    await using pair = await inStep(TIMED, `INSERT INTO t VALUES (0, 'a', '2020-01-01')`, BY_TIME)
    await using stack = new AsyncDisposableStack()
    const writers = []
    for (let i = 0; i < 3; i++) writers.push(stack.use(await pair.source.connect()))
    let id = 1
    for (let round = 0; round < 2; round++) {
      for (const writer of writers) await writer.query('BEGIN; SELECT now()')
      for (const writer of writers.toReversed()) {
        await writer.query('INSERT INTO t VALUES ($1, $2)', [id++, `round ${round}`])
        await pair.run(BY_TIME)
        await writer.query('COMMIT')
      }
      expect((await pair.run(BY_TIME)).completeness).toBe('exact')
      await expectSameTable(pair.source, pair.target, 't')
    }
  })

  test('A2: without the right to see others, a window is read again, and the run says that it is bounded', async () => {
    await using pair = await createPair(source, target)
    await pair.both(TIMED)
    await pair.source.sql(`INSERT INTO t VALUES (1, 'a', now() - interval '1 hour'), (2, 'a', now() - interval '90 s')`)
    const { href: sourceUrl } = await reader(pair.source)
    const config = { ...BY_TIME, cursorWindowSeconds: 600 }
    await pair.run(config, { sourceUrl })
    // Another's session, of which nothing but its being there is shown.
    await using other = await pair.source.connect()
    await other.query(`BEGIN; INSERT INTO t VALUES (3, 'late', now() - interval '80 s')`)
    await pair.source.sql(`INSERT INTO t VALUES (4, 'b')`)
    expect((await pair.run(config, { sourceUrl })).counts).toMatchObject({ inserted: 1 })
    await other.query('COMMIT')
    const receipt = await pair.run(config, { sourceUrl })
    expect(receipt).toMatchObject({ completeness: 'bounded', counts: { inserted: 1 } })
    expect(receipt.notes.join('\n')).toContain(
      `read again for 600 s because this login does not see the sessions of other roles (GRANT pg_read_all_stats TO "${pair.source.name}_reader")`,
    )
    await pair.source.sql(`DROP OWNED BY ${pair.source.name}_reader; DROP ROLE ${pair.source.name}_reader`)
  })

  test('A4: the bound is of the snapshot that the rows are of', async () => {
    await using pair = await inStep(TIMED, `INSERT INTO t VALUES (1, 'a', '2020-01-01')`, BY_TIME)
    const late = `INSERT INTO t VALUES (3, 'after the snapshot', '2021-01-01')`
    await pair.source.sql(`INSERT INTO t VALUES (2, 'a', '2020-06-01')`)
    await pair.run(BY_TIME, { beforeHold: async () => void (await pair.source.sql(late)) })
    expect((await stateOf(pair)).position).toBe('2020-06-01 00:00:00+00')
    expect((await pair.run(BY_TIME)).counts.inserted).toBe(1)
    await expectSameTable(pair.source, pair.target, 't')
  })

  test('A5: neighbours of a microsecond on both sides of a position', async () => {
    const at = (micros: string): string => `'2020-01-01 00:00:00.${micros}+00'`
    await using pair = await inStep(TIMED, `INSERT INTO t VALUES (1, 'a', ${at('123456')})`, BY_TIME)
    expect((await stateOf(pair)).position).toBe('2020-01-01 00:00:00.123456+00')
    await pair.source.sql(`INSERT INTO t VALUES (2, 'b', ${at('123457')}), (3, 'b', ${at('123456')})`)
    expect((await pair.run(BY_TIME)).counts).toMatchObject({ inserted: 2, unchanged: 1 })
    expect((await stateOf(pair)).position).toBe('2020-01-01 00:00:00.123457+00')
  })

  test('A6: no cursor is ordered as text, and a type that has no order is refused', async () => {
    await using pair = await createPair(source, target)
    await pair.both('CREATE TABLE t (id int PRIMARY KEY, at text, b bool, x xid, z timestamp)')
    expect((await failure(pair.run(BY_TIME))).message).toContain('9 comes after 10')
    expect((await failure(pair.run({ ...BY_TIME, cursorColumn: 'b' }))).message).toContain('no order')
    const { message } = await failure(pair.run({ ...BY_VERSION, cursorColumn: 'z' }))
    expect(message).toContain('there is the strategy timestamp')
    expect((await failure(pair.run({ ...BY_TIME, cursorColumn: null }))).message).toContain('needs a cursor_column')
  })

  test('A7: transaction ids of 32 bits are no cursor', async () => {
    await using pair = await createPair(source, target)
    await pair.both('CREATE TABLE t (id int PRIMARY KEY, x xid)')
    for (const cursorColumn of ['x', 'xmin']) {
      expect((await failure(pair.run({ ...BY_VERSION, cursorColumn }))).message).toContain('xid8')
    }
  })

  test('a table without the column that the policies name is compared by digests; one that names it itself is refused', async () => {
    await using pair = await createPair(source, target)
    await pair.both('CREATE TABLE t (id int PRIMARY KEY)')
    await pair.source.sql('INSERT INTO t VALUES (1)')
    const receipt = await pair.run(BY_TIME)
    expect(receipt.notes).toEqual(['public.t has no column "at"; its changes are found by digests.'])
    const ref = { schema: 'public', name: 't' }
    const own = { ...plainMapping(ref, ref), detection: { ...NO_OWN_DETECTION, strategy: 'timestamp' as const } }
    expect((await failure(pair.run({ ...BY_TIME, tables: [own] }))).code).toBe('column_not_found')
  })

  test('rows without a time are looked at by every run', async () => {
    await using pair = await inStep(
      'CREATE TABLE t (id int PRIMARY KEY, a text, at timestamptz)',
      `INSERT INTO t VALUES (1, 'a', NULL), (2, 'a', '2020-01-01'), (3, 'a', '2019-01-01')`,
      BY_TIME,
    )
    await pair.source.sql(`UPDATE t SET a = 'b' WHERE id = 1`)
    const receipt = await pair.run(BY_TIME)
    expect(receipt.counts).toMatchObject({ read: 2, updated: 1 })
    expect(receipt.notes.join()).toContain('rows without a value of "at" are looked at by every run')
  })

  test('a row that leaves the filter is found, though it is not among the rows any more', async () => {
    const tables = [mapping('t', { filter: `a != 'gone'`, filterExit: 'delete' })]
    const config = { ...BY_TIME, tables, deleteScope: 'mirror' } as const
    await using pair = await inStep(
      TIMED,
      `INSERT INTO t VALUES (1, 'a', '2020-01-01'), (2, 'a', '2020-01-01')`,
      config,
    )
    await pair.source.sql(`UPDATE t SET a = 'gone', at = now() WHERE id = 2`)
    expect((await pair.run(config)).counts).toMatchObject({ deleted: 1 })
    expect(await pair.target.sql('SELECT id FROM t')).toEqual([['1']])
  })

  test('a run that sets rows aside moves no position past them', async () => {
    await using pair = await inStep(TIMED, `INSERT INTO t VALUES (1, 'a', '2020-01-01')`, BY_TIME)
    await pair.target.sql(`ALTER TABLE t ADD CHECK (a <> 'bad')`)
    await pair.source.sql(`INSERT INTO t VALUES (2, 'bad', '2020-02-01'), (3, 'c', '2020-03-01')`)
    expect((await pair.run(BY_TIME)).counts).toMatchObject({ inserted: 1, rejected: 1 })
    expect(await pair.target.sql('SELECT detection FROM syncline.state')).toEqual([[null]])
    await pair.target.sql('ALTER TABLE t DROP CONSTRAINT t_a_check')
    expect((await pair.run(BY_TIME)).counts).toMatchObject({ inserted: 1, rejected: 0 })
    expect((await stateOf(pair)).position).toBe('2020-03-01 00:00:00+00')
  })

  test('what both sides changed is decided as ever, among the rows that the cursor gives', async () => {
    const config = { ...BY_TIME, conflictStrategy: 'manual' } as const
    await using pair = await inStep(
      TIMED,
      `INSERT INTO t SELECT n, 'a', '2020-01-01' FROM generate_series(1, 9) n`,
      config,
    )
    const conflicts = new MemoryConflicts()
    await pair.source.sql(`UPDATE t SET a = 's', at = '2020-02-01' WHERE id IN (1, 2)`)
    await pair.target.sql(`UPDATE t SET a = 't' WHERE id IN (2, 3)`)
    const receipt = await pair.run(config, { conflicts })
    expect(receipt.counts).toMatchObject({ updated: 1, conflicted: 1 })
    conflicts.resolve('source')
    expect((await pair.run(config, { conflicts })).counts).toMatchObject({ updated: 1, conflicted: 0 })
    expect(await pair.target.sql('SELECT a FROM t ORDER BY id LIMIT 3')).toEqual([['s'], ['s'], ['t']])
    expect(conflicts.open).toEqual([])
    // Chosen otherwise after all: a row that somebody decided on is not looked at twice.
    conflicts.resolve('target')
    expect((await pair.run(config, { conflicts })).counts).toMatchObject({ read: 2, skipped: 0, unchanged: 2 })
  })
})

/** A login that reads the tables and sees the sessions of nobody else. */
async function reader(db: Database): Promise<URL> {
  const url = new URL(db.url)
  const role = `${db.name}_reader`
  await db.sql(`CREATE ROLE ${role} LOGIN PASSWORD 'reader'; GRANT SELECT ON ALL TABLES IN SCHEMA public TO ${role}`)
  url.username = role
  url.password = 'reader'
  return url
}

describe('rowversion', () => {
  test('A3: numbers of a sequence that were given out before others commit after them, and no row is lost', async () => {
    await using pair = await inStep(
      VERSIONED,
      `INSERT INTO t (id, a) SELECT n, 'a' FROM generate_series(1, 100) n`,
      BY_VERSION,
    )
    await age(pair, 60)
    await using long = await pair.source.connect()
    await long.query(`BEGIN; INSERT INTO t (id, a) VALUES (200, 'late')`)
    await pair.source.sql(`INSERT INTO t (id, a) SELECT n, 'b' FROM generate_series(101, 150) n`)
    // The first run saw 100, and nothing that was open then is open now.
    await pair.run(BY_VERSION)
    expect((await stateOf(pair)).position).toBe('100')
    // What this run saw stays in waiting for as long as the transaction is open, however long ago that was.
    const { counts } = await pair.run(BY_VERSION)
    expect(counts).toMatchObject({ read: 51, unchanged: 51 })
    expect((await stateOf(pair)).position).toBe('100')
    await long.query('COMMIT')
    expect((await pair.run(BY_VERSION)).counts.inserted).toBe(1)
    await age(pair, 60)
    await pair.run(BY_VERSION)
    expect((await stateOf(pair)).position).toBe('151')
    await expectSameTable(pair.source, pair.target, 't')
  })

  test('A3: a sequence that gives out several numbers at once proves nothing, and the run says so', async () => {
    await using pair = await inStep(
      `${VERSIONED}; ALTER SEQUENCE t_v_seq CACHE 20`,
      `INSERT INTO t (id, a) VALUES (1, 'a')`,
      BY_VERSION,
    )
    await age(pair, 60)
    await pair.run(BY_VERSION)
    const receipt = await pair.run(BY_VERSION)
    expect(receipt.completeness).toBe('best effort')
    expect(receipt.notes.join()).toContain('several values at once')
  })

  test.for([
    ['numeric', ['9', '10', '99', '100', '9.5']],
    ['bytea', [String.raw`'\xff'`, String.raw`'\x0100'`, String.raw`'\x0101'`, String.raw`'\xfe'`]],
    ['xid8', [`'9'`, `'10'`, `'18446744073709551614'`]],
  ] as const)('A6: %s is compared by its type, past 9 to 10 and 0xff to 0x0100', async ([type, values]) => {
    await using pair = await inStep(
      `CREATE TABLE t (id int PRIMARY KEY, v ${type})`,
      `INSERT INTO t VALUES (0, ${values[0]})`,
      BY_VERSION,
    )
    for (const [i, value] of values.slice(1).entries()) {
      await age(pair, 60)
      await pair.run(BY_VERSION)
      await pair.source.sql(`INSERT INTO t VALUES (${i + 1}, ${value})`)
      const { counts } = await pair.run(BY_VERSION)
      // A value that does not grow lies behind the position, unless it cannot be compared with it.
      expect(counts.inserted).toBe(value === '9.5' || value.includes('fe') ? 0 : 1)
    }
  })
})

describe('deletes', () => {
  const config = { ...BY_TIME, ...DELETING }
  const ROWS = `INSERT INTO t SELECT n, 'a', ${old('n')} FROM generate_series(1, 1000) n`

  test('A8: a cursor says that it does not see them', async () => {
    await using pair = await inStep(TIMED, ROWS, BY_TIME)
    await pair.source.sql('DELETE FROM t WHERE id = 5')
    const receipt = await pair.run(BY_TIME)
    expect(receipt.notes.join()).toContain('deletes are not seen')
    expect(receipt.tables[0]?.sight).toMatchObject({ completeness: 'exact' })
    expect(receipt.counts.deleted).toBe(0)
  })

  test('A8: where they are to be deleted, all keys are compared when that is due', async () => {
    await using pair = await inStep(TIMED, ROWS, config)
    await pair.source.sql('DELETE FROM t WHERE id IN (5, 500)')
    const early = await pair.run(config)
    expect(early).toMatchObject({ completeness: 'bounded', counts: { deleted: 0 } })
    expect(early.notes.join()).toMatch(/deletes were last looked for at 20\d\d-/)
    await age(pair, 25 * 3_600)
    const due = await pair.run(config)
    expect(due).toMatchObject({ completeness: 'exact', counts: { deleted: 2, unchanged: 1 } })
    expect(due.notes.join()).toContain('deletes by a comparison of all keys')
    await expectSameTable(pair.source, pair.target, 't')
    await pair.source.sql('DELETE FROM t WHERE id = 6')
    expect((await pair.run({ ...config, deleteCheckHours: 0 })).counts.deleted).toBe(1)
  })

  test('A8: an insert and a delete of one run are counted once each', async () => {
    await using pair = await inStep(TIMED, ROWS, config)
    await pair.source.sql(`DELETE FROM t WHERE id = 9; INSERT INTO t VALUES (2000, 'new')`)
    const { counts } = await pair.run({ ...config, deleteCheckHours: 0 })
    expect(counts).toMatchObject({ inserted: 1, deleted: 1 })
  })

  test('A12: a run that ended early decides on no deletes by what it had seen', async () => {
    await using pair = await inStep(TIMED, ROWS, config)
    await pair.source.sql(`UPDATE t SET a = 'b', at = now() WHERE id > 500; DELETE FROM t WHERE id = 1`)
    const stopping = pair.run(
      { ...config, deleteCheckHours: 0, batchSize: 100 },
      {
        beforeBatch: (batch) =>
          batch === 4 ? Promise.reject(new AppError('internal', 'stop here')) : Promise.resolve(),
      },
    )
    expect((await failure(stopping)).message).toBe('stop here')
    const { position } = await stateOf(pair)
    expect(position).toBe('2020-01-01 00:16:40+00')
    await pair.run(config)
    await pair.run({ ...config, deleteCheckHours: 0 })
    await expectSameTable(pair.source, pair.target, 't')
  })

  test('A13: the brake compares with the rows of the table, not with those that were looked at', async () => {
    await using pair = await inStep(TIMED, ROWS, config)
    await pair.source.sql('DELETE FROM t WHERE id <= 101')
    const careful = { ...config, deleteCheckHours: 0, maxDeletePercent: 10 }
    const { code, message } = await failure(pair.run(careful))
    expect([code, message]).toEqual(['delete_brake', expect.stringContaining('101 of 1000 rows')])
    await pair.source.sql(`INSERT INTO t VALUES (101, 'back')`)
    expect((await pair.run(careful)).counts).toMatchObject({ deleted: 100, updated: 1 })
  })
})

test('primary_key: rows of one side alone, and never an update', async () => {
  const config = { ...DELETING, detectionStrategy: 'primary_key' } as const
  await using pair = await inStep(
    'CREATE TABLE t (id text PRIMARY KEY, a text)',
    `INSERT INTO t SELECT n, 'a' FROM generate_series(1, 2000) n`,
    config,
  )
  await pair.source.sql(
    `DELETE FROM t WHERE id = '3'; INSERT INTO t VALUES ('new', 'a'); UPDATE t SET a = 'b' WHERE id = '4'`,
  )
  const receipt = await pair.run(config)
  expect(receipt).toMatchObject({
    completeness: 'best effort',
    counts: { inserted: 1, deleted: 1, updated: 0, read: 2 },
  })
  expect(receipt.notes.join()).toContain('inserts and deletes only')
  expect(await pair.target.sql(`SELECT a FROM t WHERE id = '4'`)).toEqual([['a']])
})

test('content: values are compared by themselves', async () => {
  const config = { ...DELETING, detectionStrategy: 'content' } as const
  await using pair = await inStep(
    'CREATE TABLE t (id int PRIMARY KEY, a text, b numeric)',
    `INSERT INTO t SELECT n, 'a', n / 3.0 FROM generate_series(1, 600) n`,
    config,
  )
  await pair.source.sql(
    `UPDATE t SET b = b + 1 WHERE id = 7; DELETE FROM t WHERE id = 8; INSERT INTO t VALUES (0, NULL, 1)`,
  )
  const receipt = await pair.run(config)
  expect(receipt).toMatchObject({
    completeness: 'exact',
    counts: { inserted: 1, updated: 1, deleted: 1, unchanged: 598 },
  })
  await expectSameTable(pair.source, pair.target, 't')
})

test('A3: a row of MariaDB whose statement waited for its table is found, however late its transaction ends', async () => {
  await using server = await startMariadb()
  const side = await MysqlSide.make(server)
  await using pair = await createPair(source, target)
  await side.sql(
    'CREATE TABLE t (id INT PRIMARY KEY, a VARCHAR(9), at TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), KEY (at))',
    "INSERT INTO t (id, a, at) SELECT seq, 'a', '2020-01-01' + INTERVAL seq SECOND FROM seq_1_to_100",
  )
  await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY, a text, at timestamptz(6) NOT NULL)')
  const run = () => pair.run({ ...BY_TIME, tables: [side.mapping('t')] }, side.asSource)
  await run()
  await age(pair, 600)
  await run()
  expect(await stateOf(pair)).toMatchObject({ position: '2020-01-01 00:01:40+00' })
  await using altering = await MysqlConnection.open(side.endpoint, { readOnly: false })
  await using late = await MysqlConnection.open(side.endpoint, { readOnly: false })
  await altering.execute('LOCK TABLES t WRITE')
  await late.begin('write')
  const writing = late.execute("INSERT INTO t (id, a) VALUES (1000, 'late')")
  // Longer than a session takes to be seen.
  await altering.query('SELECT SLEEP(7)')
  await altering.execute("INSERT INTO t (id, a) VALUES (1001, 'soon')")
  await altering.execute('UNLOCK TABLES')
  await writing
  expect((await run()).counts.inserted).toBe(1)
  expect((await run()).counts.inserted).toBe(0)
  await late.commit()
  expect((await run()).counts.inserted).toBe(1)
})

/** A zone whose clock goes back by an hour so many minutes from now. */
function goesBackIn(minutes: number): string {
  const end = new Date(Date.now() + (minutes + 60) * 60_000)
  const day = Math.floor((end.getTime() - Date.UTC(end.getUTCFullYear(), 0, 1)) / 86_400_000)
  return `STD0DST-1,${(day + 180) % 365}/0,${day}/${end.toISOString().slice(11, 19)}`
}

test.each([
  { where: 'ahead of UTC', zone: 'Asia/Tokyo', early: 0 },
  { where: 'behind UTC', zone: 'America/New_York', early: 0 },
  { where: 'about to go back', zone: goesBackIn(30), early: 3600 },
  { where: 'in an hour for the second time', zone: goesBackIn(-30), early: 3600 },
])('A2: an open transaction of MariaDB is no younger than it is where the machine is $where', async (each) => {
  await using server = await startMariadb({ zone: each.zone })
  const side = await MysqlSide.make(server)
  await side.sql('CREATE TABLE t (id INT PRIMARY KEY)')
  await using late = await MysqlConnection.open(side.endpoint, { readOnly: false })
  await late.begin('write')
  await late.execute('INSERT INTO t VALUES (1)')
  const [clock] = await late.query('SELECT CAST(FLOOR(UNIX_TIMESTAMP(SYSDATE(6))) AS CHAR)')
  const written = BigInt(clock?.[0] ?? '') * 1_000_000n
  await using adapter = await side.open()
  const { oldest, complete } = await adapter.horizon()
  expect(complete).toBe(true)
  expect(oldest).toBeLessThanOrEqual(written)
  expect(oldest).toBeGreaterThanOrEqual(written - BigInt(each.early + 2) * 1_000_000n)
})
