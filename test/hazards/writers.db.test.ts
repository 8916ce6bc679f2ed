/**
 * Writers that commit in any order, some late and some in two phases, while runs by cursors follow one another: no row is
 * lost (hazards A2, A3; RELIABILITY M1). SYNCLINE_TEST_WRITES sets how many steps the writers take at least.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'
import { expectSameTable, type Database } from '#test/harness/database.ts'
import { sharedServers, startPrivateServer } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, type Pair } from '#test/harness/sync.ts'

const WRITES = Number(process.env['SYNCLINE_TEST_WRITES'] ?? 200)
const WRITERS = 8
/** Positions move as time goes by; so often they must have moved, or the test has shown nothing. */
const MOVES = 3

const { target } = sharedServers()

/** Keys of several columns, of which the first is in no order that bytes have; times to the microsecond. */
const TABLES = `CREATE TABLE timed (writer text COLLATE "und-x-icu", n int8, a int8, at timestamptz(6) NOT NULL, PRIMARY KEY (writer, n));
  CREATE TABLE versioned (writer text COLLATE "und-x-icu", n int8, a int8, v int8 NOT NULL, PRIMARY KEY (writer, n));
  CREATE INDEX ON timed (at); CREATE INDEX ON versioned (v)`

const NAMES = ['a', 'B', 'Ä', 'z', 'ß', 'Z', 'é', '_'] as const

const CONFIG: Partial<SyncConfig> = {
  tables: [mapping('timed', 'timestamp', 'at'), mapping('versioned', 'rowversion', 'v')],
}

function mapping(name: string, strategy: 'timestamp' | 'rowversion', cursorColumn: string): TableMapping {
  const ref = { schema: 'public', name }
  return { ...plainMapping(ref, ref), detection: { strategy, cursorColumn } }
}

/** One who writes: in transactions that stay open for as many of its turns as it happens. */
class Writer {
  readonly #name: string
  readonly #client: Awaited<ReturnType<Database['connect']>>
  #open = false
  #rows = 0
  #written = 0
  #prepared: string | null = null

  constructor(name: string, client: Awaited<ReturnType<Database['connect']>>) {
    this.#name = name
    this.#client = client
  }

  /** `chance`: between 0 and 1. Returns whether it wrote. */
  async turn(chance: number): Promise<boolean> {
    if (this.#prepared !== null) {
      if (chance > 0.5) return false
      await this.#client.query(`COMMIT PREPARED '${this.#prepared}'`)
      this.#prepared = null
    } else if (!this.#open) {
      // The time of the transaction is taken here; its first value of the sequence when it first writes.
      await this.#client.query('BEGIN; SELECT now()')
      this.#open = true
    } else if (chance < 0.55) await this.#write(chance)
    else if (chance < 0.56) await this.#prepare()
    else if (chance < 0.75) await this.end()
    return chance < 0.55
  }

  async #write(chance: number): Promise<void> {
    const old = chance < 0.2 && this.#rows > 0
    const n = old ? Math.floor(chance * 5 * this.#rows) : this.#rows++
    const values = [this.#name, n, (this.#written += 1)]
    const [timed, versioned] = old
      ? [
          'UPDATE timed SET a = $3, at = now() WHERE writer = $1 AND n = $2',
          `UPDATE versioned SET a = $3, v = nextval('version') WHERE writer = $1 AND n = $2`,
        ]
      : [
          'INSERT INTO timed VALUES ($1, $2, $3, now())',
          `INSERT INTO versioned VALUES ($1, $2, $3, nextval('version'))`,
        ]
    await this.#client.query(timed, values)
    await this.#client.query(versioned, values)
  }

  async #prepare(): Promise<void> {
    this.#prepared = `writer ${NAMES.indexOf(this.#name as (typeof NAMES)[number])} ${this.#written}`
    await this.#client.query(`PREPARE TRANSACTION '${this.#prepared}'`)
    this.#open = false
  }

  async end(): Promise<void> {
    if (this.#prepared !== null) await this.#client.query(`COMMIT PREPARED '${this.#prepared}'`)
    if (this.#open) await this.#client.query('COMMIT')
    this.#prepared = null
    this.#open = false
  }
}

type Rows = ReadonlyMap<string, number>

/** What each row has, which only grows, by table and key. */
async function rowsOf(db: Database): Promise<Rows> {
  const rows = await db.sql(
    `SELECT 'timed', writer, n, a FROM timed UNION ALL SELECT 'versioned', writer, n, a FROM versioned`,
  )
  return new Map(rows.map(([table, writer, n, a]) => [`${table} ${writer} ${n}`, Number(a)]))
}

async function positionsOf(pair: Pair): Promise<string> {
  const rows = await pair.target.sql('SELECT detection FROM syncline.state ORDER BY mapping_id')
  return rows.map(([state]) => (JSON.parse(state ?? '{}') as { position?: string }).position).join()
}

test('A2, A3, M1: eight writers commit out of order, some in two phases, and no row is lost', async () => {
  await using server = await startPrivateServer({ settings: { max_prepared_transactions: '16' } })
  await using pair = await createPair({ url: server.url(), major: server.major }, target)
  await pair.both(TABLES)
  await pair.source.sql('CREATE SEQUENCE version')
  await using stack = new AsyncDisposableStack()
  const writers: Writer[] = []
  for (const name of NAMES) {
    const writer = new Writer(name, stack.use(await pair.source.connect()))
    stack.defer(() => writer.end())
    writers.push(writer)
  }
  expect(writers).toHaveLength(WRITERS)
  await pair.run(CONFIG)
  const chances = fc.sample(
    fc.noBias(fc.record({ who: fc.nat(WRITERS - 1), chance: fc.nat(999).map((n) => n / 1_000) })),
    {
      seed: printedSeed(),
      numRuns: 20_000,
    },
  )
  const moved = new Set<string>()
  let wrote = 0
  for (let step = 0; wrote < WRITES || moved.size <= MOVES;) {
    const take = async (turns: number): Promise<void> => {
      for (let i = 0; i < turns; i++) {
        const { who, chance } = chances[step++ % chances.length] ?? { who: 0, chance: 0 }
        if (await writers[who]?.turn(chance)) wrote += 1
      }
    }
    await take(10)
    const there = await rowsOf(pair.source)
    // Writers go on while the run looks and writes.
    const [receipt] = await Promise.all([pair.run(CONFIG), take(10)])
    expect(receipt.completeness).toBe('exact')
    const arrived = await rowsOf(pair.target)
    expect([...there].filter(([row, a]) => (arrived.get(row) ?? -1) < a)).toEqual([])
    moved.add(await positionsOf(pair))
  }
  for (const writer of writers) await writer.end()
  expect((await pair.run(CONFIG)).completeness).toBe('exact')
  for (const table of ['timed', 'versioned']) await expectSameTable(pair.source, pair.target, table)
}, 600_000)

test('A2, A3: a prepared transaction commits long after cursors have seen what came later, and no row is lost', async () => {
  await using server = await startPrivateServer({ settings: { max_prepared_transactions: '1' } })
  await using pair = await createPair({ url: server.url(), major: server.major }, target)
  await pair.both(TABLES)
  await pair.source.sql(`CREATE SEQUENCE version; INSERT INTO timed VALUES ('a', 0, 1, now());
    INSERT INTO versioned VALUES ('a', 0, 1, nextval('version'))`)
  await pair.run(CONFIG)
  await using late = await pair.source.connect()
  await late.query(`BEGIN; INSERT INTO timed VALUES ('late', 1, 1, now()), ('late', 2, 1, now());
    UPDATE timed SET a = 2, at = now() WHERE writer = 'a'; INSERT INTO versioned VALUES ('late', 1, 1, nextval('version'));
    PREPARE TRANSACTION 'late'`)
  await using stack = new AsyncDisposableStack()
  const commit = async (): Promise<void> => void (await late.query(`COMMIT PREPARED 'late'`))
  stack.defer(async () => {
    if ((await pair.source.sql('SELECT FROM pg_prepared_xacts')).length > 0) await commit()
  })
  await pair.source.sql(
    `INSERT INTO timed VALUES ('b', 1, 1, now()); INSERT INTO versioned VALUES ('b', 1, 1, nextval('version'))`,
  )
  await pair.run(CONFIG)
  const [row] = await pair.source.sql('SELECT clock_timestamp()')
  // By then nothing but the prepared transaction keeps the positions back.
  const isLater = async (): Promise<boolean> => {
    const [later] = await pair.source.sql(`SELECT clock_timestamp() > $1::timestamptz + interval '6 s'`, [
      row?.[0] ?? '',
    ])
    return later?.[0] === 't'
  }
  await expect.poll(isLater).toBe(true)
  for (let n = 2; n < 5; n++) {
    await pair.source.sql(
      `INSERT INTO timed VALUES ('b', ${n}, 1, now()); INSERT INTO versioned VALUES ('b', ${n}, 1, nextval('version'))`,
    )
    expect((await pair.run(CONFIG)).completeness).toBe('exact')
  }
  await commit()
  expect((await pair.run(CONFIG)).counts).toMatchObject({ inserted: 3, updated: 1 })
  for (const table of ['timed', 'versioned']) await expectSameTable(pair.source, pair.target, table)
})
