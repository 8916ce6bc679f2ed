/**
 * Writers of MariaDB in time zones of their own that commit in any order, some late, while runs by cursors follow one
 * another: no row is lost (hazards A2, A3, C4; RELIABILITY M1). SYNCLINE_TEST_WRITES sets how many steps the writers take at
 * least.
 */
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, test } from 'vitest'

import { Connection } from '#adapters/mysql/connection.ts'
import type { SyncConfig } from '#model/sync-config.ts'

import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, type Pair } from '#test/harness/sync.ts'

const WRITES = Number(process.env['SYNCLINE_TEST_WRITES'] ?? 100)
/** Positions move as time goes by; so often they must have moved, or the test has shown nothing. */
const MOVES = 2
/** The clock that is furthest behind, the one that is furthest ahead, and others. */
const ZONES = ['-12:59', '+13:00', '+00:00', '-03:30', '+05:45', '-08:00'] as const
const WALL_CLOCKS = ['wall', 'day'] as const
const TABLES = [...WALL_CLOCKS, 'moment'] as const

const { source, target } = sharedServers()
let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

const TYPES = { wall: 'DATETIME(6)', day: 'DATE', moment: 'TIMESTAMP(6)' } as const

async function open(): Promise<{ side: MysqlSide; pair: Pair; run: () => ReturnType<Pair['run']> }> {
  const side = await MysqlSide.make(server)
  const pair = await createPair(source, target)
  for (const table of TABLES) {
    await side.sql(
      `CREATE TABLE ${table} (writer VARCHAR(9), n INT, a INT, at ${TYPES[table]} NOT NULL, PRIMARY KEY (writer, n), KEY (at))`,
    )
    const type = table === 'wall' ? 'timestamp' : table === 'day' ? 'date' : 'timestamptz'
    await pair.target.sql(
      `CREATE TABLE ${table} (writer varchar(9), n int, a int, at ${type}, PRIMARY KEY (writer, n))`,
    )
  }
  const config: Partial<SyncConfig> = {
    detectionStrategy: 'timestamp',
    cursorColumn: 'at',
    tables: TABLES.map((table) => side.mapping(table)),
  }
  return { side, pair, run: () => pair.run(config, side.asSource) }
}

/** One who writes in transactions that stay open for as many of its turns as it happens. */
class Writer {
  readonly #zone: string
  readonly #session: Connection
  #open = false
  #rows = 0
  #written = 0

  constructor(zone: string, session: Connection) {
    this.#zone = zone
    this.#session = session
  }

  /** `chance`: between 0 and 1. Returns whether it wrote. */
  async turn(chance: number): Promise<boolean> {
    if (!this.#open) {
      await this.#session.execute(`SET SESSION time_zone = '${this.#zone}'`)
      await this.#session.begin('write')
      this.#open = true
      return false
    }
    if (chance >= 0.75) await this.end()
    if (chance >= 0.6) return false
    const old = chance < 0.2 && this.#rows > 0
    const n = old ? Math.floor(chance * 5 * this.#rows) : this.#rows++
    this.#written += 1
    for (const table of TABLES) {
      await this.#session.execute(
        old
          ? `UPDATE ${table} SET a = ${this.#written}, at = NOW(6) WHERE writer = '${this.#zone}' AND n = ${n}`
          : `INSERT INTO ${table} VALUES ('${this.#zone}', ${n}, ${this.#written}, NOW(6))`,
      )
    }
    return true
  }

  async end(): Promise<void> {
    if (this.#open) await this.#session.commit()
    this.#open = false
  }
}

type Rows = ReadonlyMap<string, number>

/** What each row has, which only grows, by table and key. */
function rowsOf(rows: readonly (readonly (string | null)[])[]): Rows {
  return new Map(rows.map(([table, writer, n, a]) => [`${table} ${writer} ${n}`, Number(a)]))
}

const ALL = TABLES.map((table) => `SELECT '${table}', writer, n, a FROM ${table}`).join(' UNION ALL ')

async function positionsOf(pair: Pair): Promise<string> {
  const rows = await pair.target.sql('SELECT detection FROM syncline.state ORDER BY mapping_id')
  return rows.map(([state]) => (JSON.parse(state ?? '{}') as { position?: string }).position).join()
}

describe('A2, C4, M1', () => {
  test('writers of six time zones commit out of order, and no row is lost', { timeout: 600_000 }, async () => {
    const { side, pair, run } = await open()
    await using stack = new AsyncDisposableStack()
    stack.use(pair)
    const writers: Writer[] = []
    for (const zone of ZONES) {
      const writer = new Writer(zone, stack.use(await Connection.open(side.endpoint, { readOnly: false })))
      stack.defer(() => writer.end())
      writers.push(writer)
    }
    await run()
    const chances = fc.sample(
      fc.noBias(fc.record({ who: fc.nat(ZONES.length - 1), chance: fc.nat(999).map((n) => n / 1_000) })),
      { seed: printedSeed(), numRuns: 20_000 },
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
      const there = rowsOf(await side.sql(ALL))
      // Writers go on while the run looks and writes.
      const [receipt] = await Promise.all([run(), take(10)])
      expect(receipt.completeness).toBe('exact')
      const arrived = rowsOf(await pair.target.sql(ALL))
      expect([...there].filter(([row, a]) => (arrived.get(row) ?? -1) < a)).toEqual([])
      moved.add(await positionsOf(pair))
    }
    for (const writer of writers) await writer.end()
    await run()
    expect(rowsOf(await pair.target.sql(ALL))).toEqual(rowsOf(await side.sql(ALL)))
  })

  test('a time in the future holds no position beyond what others will write', async () => {
    const { side, pair, run } = await open()
    await using _ = pair
    for (const table of WALL_CLOCKS) await side.sql(`INSERT INTO ${table} VALUES ('x', 1, 1, '2999-01-01')`)
    // As if all that the runs before saw had been long ago: positions come to where they may.
    const age = () =>
      pair.target.sql(
        `UPDATE syncline.state SET detection = regexp_replace(detection, '"[0-9]{16}"', '"1"', 'g') WHERE detection IS NOT NULL`,
      )
    for (let n = 0; n < 2; n++) {
      await run()
      await age()
    }
    for (let n = 2; n < 5; n++) {
      await side.sql(
        "SET SESSION time_zone = '-12:59'",
        ...WALL_CLOCKS.map((table) => `INSERT INTO ${table} VALUES ('x', ${n}, 1, NOW(6))`),
      )
      const receipt = await run()
      expect(receipt).toMatchObject({ completeness: 'exact', counts: { inserted: 2 } })
      expect(receipt.notes.join('\n')).toContain('does not say of which time zone it is')
      await age()
    }
    // It has moved all the same: what is long past is not looked at any more.
    await side.sql("INSERT INTO wall VALUES ('past', 1, 1, '2020-01-01')")
    expect((await run()).counts).toMatchObject({ inserted: 0 })
  })
})
