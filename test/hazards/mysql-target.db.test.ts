/** Hazards B3, B4, B7, B9, C12, C14 and D1 where the target is MariaDB. */
import { execFileSync } from 'node:child_process'
import { setTimeout as pause } from 'node:timers/promises'

import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'
import type { Receipt } from '#model/receipt.ts'
import type { RunEvent } from '#sync/journal.ts'

import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { startFaultProxyFor, type FaultProxy } from '#test/harness/fault-proxy.ts'
import { IntoMysql } from '#test/harness/into-mysql.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { wroteNothing } from '#test/harness/sync.ts'

const { source } = sharedServers()
let server: MariadbServer

beforeAll(async () => {
  // What a server may look like by default: nothing strict about it.
  server = await startMariadb({ settings: { 'sql-mode': '' } })
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const ITEM = 'CREATE TABLE item (id int PRIMARY KEY, note varchar(20))'

async function items(rows = 300, table = ITEM): Promise<IntoMysql> {
  const into = await IntoMysql.make(source, server)
  await into.pair.source.sql(ITEM)
  await into.pair.source.sql(`INSERT INTO item SELECT i, 'row ' || i FROM generate_series(1, ${rows}) i`)
  await into.side.sql(table)
  return into
}

async function expectSame(into: IntoMysql): Promise<void> {
  const { source: there, target } = await into.rows('item')
  expect(target).toEqual(there)
}

test('B3: lost answers to COMMIT apply nothing twice, and the counters tell what was done', async () => {
  await using into = await items(40)
  await using proxy = await startFaultProxyFor(into.url)
  await into.run(['item'])
  for (let nth = 1; nth <= 14; nth++) {
    await into.pair.source.sql(
      `UPDATE item SET note = 'round ${nth}' WHERE id % 2 = 0 AND id <= 40; INSERT INTO item VALUES (${100 + nth}, 'new')`,
    )
    await proxy.faults.set({ dropCommitReply: nth })
    const attempt = into.run(['item'], { batchSize: 7 }, { targetUrl: proxy.url(into.url) })
    const [ended] = await Promise.allSettled([attempt, onceDropped(proxy, attempt)])
    await proxy.faults.clear()
    const done = ended.status === 'fulfilled' ? ended.value : null
    expect(ended).toMatchObject(done === null ? { reason: { code: 'connection_lost' } } : {})
    const receipt = done ?? (await into.run(['item'], { batchSize: 7 }))
    expect(receipt.counts, `the COMMIT of number ${nth}`).toMatchObject({ updated: 20, inserted: 1 })
    await expectSame(into)
  }
  expect(proxy.counts.commitRepliesDropped).toBeGreaterThan(3)
})

test('B3: rows that stand apart do so still where the answer is lost to the COMMIT by which a baseline is filled', async () => {
  await using into = await items(5)
  await into.side.sql("INSERT INTO item VALUES (1, 'row 1'), (4, 'other'), (9, 'own')")
  await using proxy = await startFaultProxyFor(into.url)
  const config = { conflictStrategy: 'manual', deleteScope: 'owned' } as const
  const conflicts = new MemoryConflicts()
  const attempt = into.run(['item'], config, {
    conflicts,
    targetUrl: proxy.url(into.url),
    beforeWrite: async (what) => {
      if (what === 'baseline') await proxy.dropNextCommitReply()
    },
  })
  expect((await attempt).counts).toMatchObject({ inserted: 3, conflicted: 1 })
  expect(proxy.counts.commitRepliesDropped).toBeGreaterThan(0)
  const again = await into.run(['item'], config, { conflicts })
  expect(again.counts).toMatchObject({ inserted: 0, updated: 0, deleted: 0, conflicted: 1 })
  expect(conflicts.open).toMatchObject([{ key: ['4'], kind: 'first_contact' }])
  expect(await into.side.sql('SELECT * FROM item WHERE id IN (4, 9) ORDER BY id')).toEqual([
    ['4', 'other'],
    ['9', 'own'],
  ])
})

/** One connection meets the fault; those that are opened after it do not. */
async function onceDropped(proxy: FaultProxy, attempt: Promise<unknown>): Promise<void> {
  const { commitRepliesDropped } = proxy.counts
  let over = false
  void attempt.catch(() => undefined).then(() => (over = true))
  while (!over && proxy.counts.commitRepliesDropped === commitRepliesDropped) await pause(5)
  await proxy.faults.set({})
}

test('B4: one bad row keeps out nothing but itself', async () => {
  await using into = await items(0)
  await into.side.sql('ALTER TABLE item ADD CHECK (id <> 77)')
  await into.pair.source.sql(`INSERT INTO item SELECT i, 'x' FROM generate_series(1, 200) i`)
  const receipt = await into.run(['item'])
  expect(receipt.counts).toMatchObject({ inserted: 199, rejected: 1 })
  expect(receipt.tables[0]?.rejections).toMatchObject([{ key: ['77'], code: '4025' }])
})

describe('B7', () => {
  const lease = (id: string, number: number) => ({ id, lease: number, confirm: () => Promise.resolve() })

  test('a second run of the same sync is kept out while the first one lives', async () => {
    await using into = await items()
    let second: Promise<unknown> = Promise.resolve()
    let refused: unknown = null
    await into.side.sql("INSERT INTO item SELECT seq, 'old' FROM seq_1_to_300")
    await into.run(
      ['item'],
      { batchSize: 100 },
      {
        beforeBatch: async (batch) => {
          if (batch !== 2) return
          second = into.run(['item']).catch((error: unknown) => (refused = error))
          await second
        },
      },
    )
    expect(refused).toBeInstanceOf(AppError)
    expect(refused).toMatchObject({ code: 'already_running' })
    await expectSame(into)
  })

  test('a job under a newer lease ends the sessions of the older one, which can commit nothing more', async () => {
    await using into = await items()
    await into.side.sql("INSERT INTO item SELECT seq, 'old' FROM seq_1_to_300")
    let newer: Receipt | null = null
    const older = into.run(
      ['item'],
      { batchSize: 100 },
      {
        job: lease('job_a', 1),
        beforeBatch: async (batch) => {
          if (batch === 2) newer = await into.run(['item'], { batchSize: 100 }, { job: lease('job_a', 2) })
        },
      },
    )
    await expect(older).rejects.toMatchObject({ name: 'AppError' })
    expect(newer).toMatchObject({ jobId: 'job_a', counts: { updated: 300 } })
    await expectSame(into)
    const [state] = await into.side.sql('SELECT updated, batches FROM syncline_state')
    expect(state).toEqual(['300', '3'])
  })
})

describe('B9: a table of MyISAM', () => {
  const TABLE = `${ITEM} ENGINE = MyISAM`

  test('gets its rows one by one, and a run after it has nothing to do', async () => {
    await using into = await items(50, TABLE)
    const first = await into.run(['item'])
    expect(first).toMatchObject({ completeness: 'bounded', counts: { inserted: 50 } })
    expect(first.notes.join()).toContain('at least once')
    await into.pair.source.sql("UPDATE item SET note = 'new' WHERE id < 10; DELETE FROM item WHERE id = 50")
    expect(await into.run(['item'], {}, { approve: true })).toMatchObject({ counts: { updated: 9, deleted: 1 } })
    await expectSame(into)
    expect(wroteNothing(await into.run(['item']))).toBe(true)
  })

  test('keeps no value that was cut, and no neighbour of a bad row out', async () => {
    await using into = await items(
      20,
      "CREATE TABLE item (id int PRIMARY KEY, note varchar(20) CHECK (note <> 'row 13')) ENGINE = MyISAM",
    )
    const receipt = await into.run(['item'])
    expect(receipt.counts).toMatchObject({ rejected: 1 })
    expect(await into.side.sql('SELECT COUNT(*) FROM item')).toEqual([['19']])
    expect(await into.side.sql('SELECT COUNT(*) FROM item WHERE id = 13')).toEqual([['0']])
  })

  test('comes in step where a batch was broken off in its middle', async () => {
    await using into = await items(30, TABLE)
    await into.side.sql(
      "CREATE TRIGGER stop BEFORE INSERT ON item FOR EACH ROW IF NEW.id = 17 THEN SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = 'not yet'; END IF",
    )
    expect(await into.run(['item'])).toMatchObject({ counts: { rejected: 1 } })
    await into.side.sql('DROP TRIGGER stop')
    await into.run(['item'])
    await expectSame(into)
  })
})

test('C14: what does not fit is refused, whatever the server does by default', async () => {
  await using into = await items(3, 'CREATE TABLE item (id int PRIMARY KEY, note varchar(5))')
  await into.pair.source.sql("INSERT INTO item VALUES (10, 'short')")
  await into.pair.source.sql('ALTER TABLE item ALTER COLUMN note TYPE varchar(5) USING left(note, 5)')
  await into.side.sql("INSERT INTO item VALUES (11, 'x')")
  await into.run(['item'], {}, { approve: true })
  await expectSame(into)
  await into.side.sql('ALTER TABLE item MODIFY note varchar(5) CHARACTER SET utf8mb3')
  await into.pair.source.sql("UPDATE item SET note = '😀' WHERE id = 10")
  const receipt = await into.run(['item'])
  expect(receipt.counts).toMatchObject({ rejected: 1 })
  expect(await into.side.sql('SELECT note FROM item WHERE id = 10')).toEqual([['short']])
})

test('D1: no number is given out twice', async () => {
  await using into = await IntoMysql.make(source, server)
  await into.pair.source.sql('CREATE TABLE t (id serial PRIMARY KEY, v varchar(10))')
  await into.side.sql('CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v varchar(10))')
  await into.pair.source.sql("INSERT INTO t (v) SELECT 'v' FROM generate_series(1, 10); DELETE FROM t WHERE id = 10")
  await into.run(['t'])
  await into.side.sql("INSERT INTO t (v) VALUES ('mine')")
  expect(await into.side.sql('SELECT MAX(id) FROM t')).toEqual([['11']])
  await into.side.sql("DELETE FROM t WHERE v = 'mine'")
  await into.pair.source.sql("INSERT INTO t (v) VALUES ('new')")
  await into.run(['t'])
  await into.side.sql("INSERT INTO t (v) VALUES ('mine')")
  expect(await into.side.sql('SELECT MAX(id) FROM t')).toEqual([['12']])
  await into.side.sql("DELETE FROM t WHERE v = 'mine'")
  expect(wroteNothing(await into.run(['t']))).toBe(true)
})

test('D1: a login that may not set the next number of a table is told, and its rows are written', async () => {
  await using into = await IntoMysql.make(source, server)
  await into.pair.source.sql('CREATE TABLE t (id serial PRIMARY KEY, v varchar(10))')
  await into.side.sql(
    'CREATE TABLE t (id int AUTO_INCREMENT PRIMARY KEY, v varchar(10))',
    `CREATE OR REPLACE USER plain@'%' IDENTIFIED BY 'plain'`,
    `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON \`${into.side.name}\`.* TO plain@'%'`,
  )
  await into.pair.source.sql("INSERT INTO t (v) SELECT 'v' FROM generate_series(1, 10); DELETE FROM t WHERE id = 10")
  const targetUrl = into.url.replace(/\/\/[^@]*@/, '//plain:plain@')
  const { counts, stopped, notes } = await into.run(['t'], {}, { targetUrl })
  expect({ inserted: counts.inserted, stopped }).toEqual({ inserted: 9, stopped: [] })
  expect(notes.join('\n')).toContain(`GRANT ALTER ON \`${into.side.name}\`.\`t\` TO 'plain'@'%';`)
})

test('D1: numbers that have come to their end are left there', async () => {
  await using into = await IntoMysql.make(source, server)
  await into.pair.source
    .sql(`CREATE TABLE whole (id numeric(20,0) PRIMARY KEY); INSERT INTO whole VALUES (18446744073709551615);
    CREATE TABLE small (id smallint PRIMARY KEY); INSERT INTO small VALUES (127)`)
  await into.side.sql('CREATE TABLE whole (id bigint unsigned AUTO_INCREMENT PRIMARY KEY)')
  await into.side.sql('CREATE TABLE small (id tinyint AUTO_INCREMENT PRIMARY KEY)')
  for (const inserted of [2, 0]) {
    const { counts, sequencesAdvanced, notes } = await into.run(['whole', 'small'])
    expect([counts.inserted, sequencesAdvanced, notes.join()]).toEqual([
      inserted,
      0,
      expect.not.stringMatching(/rewritten/),
    ])
  }
})

test('C12: keys that are one in the target and two in the source never overwrite each other', async () => {
  await using into = await IntoMysql.make(source, server)
  await into.pair.source.sql('CREATE TABLE t (k varchar(20) PRIMARY KEY, v varchar(10))')
  await into.side.sql('CREATE TABLE t (k varchar(20) COLLATE utf8mb4_general_ci PRIMARY KEY, v varchar(10))')
  await into.pair.source.sql("INSERT INTO t VALUES ('abc', 'lower'), ('ABC', 'upper'), ('other', 'x')")
  const [ended] = await Promise.allSettled([into.run(['t'])])
  const counts = ended.status === 'fulfilled' ? ended.value.counts : null
  expect([null, 1]).toContain(counts && counts.rejected)
  const kept = await into.side.sql("SELECT k, v FROM t WHERE k = 'abc'")
  expect([[], [['abc', 'lower']], [['ABC', 'upper']]]).toContainEqual(kept)
})

test('a server that takes files is sent rows as one, in a first load and in batches', async () => {
  await using into = await IntoMysql.make(source, server)
  await into.both('CREATE TABLE t (id int PRIMARY KEY, v varchar(200))')
  await into.pair.source.sql("INSERT INTO t SELECT i, 'row ' || i FROM generate_series(1, 500) i")
  const loads = async (): Promise<number> => {
    const [row] = await into.side.sql(
      "SELECT variable_value + 0 FROM information_schema.global_status WHERE variable_name = 'Com_load'",
    )
    return Number(row?.[0])
  }
  const before = await loads()
  await into.run(['t'])
  const after = await loads()
  expect(after).toBeGreaterThan(before)
  await into.pair.source.sql("UPDATE t SET v = 'new' WHERE id % 7 = 0")
  expect(await into.run(['t'])).toMatchObject({ counts: { updated: 71 } })
  expect(await loads()).toBeGreaterThan(after)
})

test('a server that takes no files is written all the same', async () => {
  await using other = await startMariadb({ settings: { 'local-infile': '0' } })
  await using into = await IntoMysql.make(source, other)
  await into.both('CREATE TABLE t (id int PRIMARY KEY, v varchar(200), n decimal(10,2))')
  await into.pair.source
    .sql(`INSERT INTO t SELECT i, CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN '' WHEN 2 THEN E'\\t\\\\N\\n' ELSE '☯' || i END, i / 4.0
    FROM generate_series(1, 3000) i`)
  const config = { baseline: 'fingerprints' } as const
  expect(await into.run(['t'], config)).toMatchObject({ counts: { inserted: 3_000 } })
  await into.pair.source.sql("UPDATE t SET v = 'new' WHERE id % 7 = 0; DELETE FROM t WHERE id = 3")
  await into.run(['t'], config)
  const { source: there, target } = await into.rows('t')
  expect(target).toEqual(there)
  expect(wroteNothing(await into.run(['t'], config))).toBe(true)
})

test('D10: columns that the source has got are added, each once, and filled', async () => {
  await using into = await items(20)
  await into.run(['item'])
  await into.pair.source
    .sql(`ALTER TABLE item ADD COLUMN code varchar(10), ADD COLUMN price numeric(10,2), ADD COLUMN at timestamptz;
    UPDATE item SET code = CASE WHEN id % 2 = 0 THEN 'a' ELSE 'A' END, price = id / 4.0, at = '2024-02-29 12:00+00'`)
  expect(await into.run(['item'], { newColumns: 'add' })).toMatchObject({ counts: { updated: 20 } })
  const [row] = await into.side.sql("SELECT code, price, CAST(at AS CHAR) FROM item WHERE id = 2 AND code = 'a'")
  expect(row).toEqual(['a', '0.50', '2024-02-29 12:00:00.000000'])
  expect(wroteNothing(await into.run(['item'], { newColumns: 'add' }))).toBe(true)
})

test('D7: rows that a trigger of the target made others of are no success of a run one way', async () => {
  for (const first of [true, false]) {
    await using into = await items(first ? 30 : 0)
    if (!first) await into.run(['item'])
    await into.side.sql(
      'CREATE TRIGGER loud BEFORE INSERT ON item FOR EACH ROW SET NEW.note = UPPER(NEW.note)',
      'CREATE TRIGGER louder BEFORE UPDATE ON item FOR EACH ROW SET NEW.note = UPPER(NEW.note)',
    )
    if (!first) await into.pair.source.sql("INSERT INTO item VALUES (1, 'quiet'), (2, 'LOUD')")
    await expect(into.run(['item'])).rejects.toMatchObject({ code: 'verification_failed' })
  }
})

test('D7: a row that somebody else has written between the run and its proof is told as that, and nothing is tried again', async () => {
  await using into = await items(20)
  const edit = (): void => {
    const { hostname, port, username, password, pathname } = new URL(into.url)
    const login = ['-h', hostname, '-P', port, '-u', username, `-p${password}`, pathname.slice(1)]
    execFileSync('mariadb', [...login, '-e', "UPDATE item SET note = 'another' WHERE id = 7"])
  }
  const runEditedAfter = async (phase: 'load' | 'write'): Promise<void> => {
    const retries: string[] = []
    let edited = false
    const onEvent = (event: RunEvent): void => {
      if (event.type === 'retry') retries.push(event.reason)
      if (event.type !== 'phase done' || event.phase !== phase || edited) return
      edited = true
      edit()
    }
    const receipt = await into.run(['item'], {}, { onEvent })
    expect(retries).toEqual([])
    expect(receipt.tables.map(({ verification }) => verification.changedSince)).toEqual([1])
    expect(await into.side.sql('SELECT note FROM item WHERE id = 7')).toEqual([['another']])
    // The next run finds it, and all is in step.
    expect((await into.run(['item'])).tables.map(({ verification }) => verification.changedSince)).toEqual([0])
    await expectSame(into)
  }
  await runEditedAfter('load')
  await into.pair.source.sql("UPDATE item SET note = 'new' WHERE id = 7")
  await runEditedAfter('write')
})

test('D7: what another table’s trigger makes of a row that the run wrote is no success', async () => {
  await using into = await items(3)
  await into.pair.source.sql('CREATE TABLE sale (id int PRIMARY KEY); INSERT INTO sale VALUES (1)')
  await into.side.sql(
    'CREATE TABLE sale (id int PRIMARY KEY)',
    "CREATE TRIGGER sold AFTER INSERT ON sale FOR EACH ROW UPDATE item SET note = 'sold' WHERE id = NEW.id",
  )
  const retries: string[] = []
  const onEvent = (event: RunEvent): void => {
    if (event.type === 'retry') retries.push(event.reason)
  }
  // The second attempt writes the row again, and the sale, which is there already, no more.
  const receipt = await into.run(['item', 'sale'], { parallel: 1 }, { onEvent })
  expect(retries).toEqual([expect.stringContaining('differ from the source, such as (1)')])
  expect(receipt.tables.map(({ verification }) => verification.changedSince)).toEqual([0, 0])
  await expectSame(into)
})
