/** Who has written a row, on a server that does not tell (hazards D7, B9): what a job left is told from what others did since. */
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { Adapter, BatchRow, Claim, WritePlan } from '#adapters/adapter.ts'
import { openDatabase } from '#adapters/registry.ts'
import { assert, must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { Row } from '#model/value.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { permitWrite } from '#test/harness/permit.ts'
import { scanOf } from '#test/harness/scan.ts'

const { signal } = new AbortController()
let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb()
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

type Claims = ReadonlyMap<string, { readonly claim: Claim; readonly plan: WritePlan }>

/** A job that writes rows into tables, and what it may ask of them afterwards. */
class Job implements AsyncDisposable {
  readonly side: MysqlSide
  readonly #adapter: Adapter
  readonly #claims: Claims
  /** By table, then by the JSON of the key. */
  readonly #sent = new Map<string, Map<string, Row>>()
  /** What was said last of rows that may be somebody else's. */
  doubt: string | null = null

  private constructor(side: MysqlSide, adapter: Adapter, claims: Claims) {
    this.side = side
    this.#adapter = adapter
    this.#claims = claims
  }

  static async begin(side: MysqlSide, tables: readonly string[], url = side.url): Promise<Job> {
    const adapter = await openDatabase(url, { write: permitWrite(url), signal })
    const claims = new Map<string, { claim: Claim; plan: WritePlan }>()
    for (const table of tables) {
      const { schema, scan } = await scanOf(adapter, side.ref(table))
      const plan: WritePlan = {
        scan,
        definition: schema.definition,
        written: schema.columns.filter(({ generated }) => generated === null).map(({ name }) => name),
        keyIsUnique: true,
        silenceTriggers: false,
        keepsZeroDates: true,
        baseline: false,
        baselineDetails: [],
      }
      const mapping = {
        mappingId: `m ${table}`,
        source: 'a source',
        target: scan.table,
        mappingHash: 'h',
        key: schema.primaryKey?.columns ?? [],
        carried: [],
        baseline: false,
        baselineDetails: [],
        columns: null,
        asItIs: false,
      }
      const [claim] = await must(adapter.writer, 'a writer').claim([mapping], { id: 'j1', lease: null })
      claims.set(table, { claim: must(claim, 'a claim'), plan })
    }
    return new Job(side, adapter, claims)
  }

  #of(table: string): { readonly claim: Claim; readonly plan: WritePlan } {
    return must(this.#claims.get(table), `a claim of ${table}`)
  }

  async insert(table: string, rows: readonly Row[]): Promise<void> {
    const { claim, plan } = this.#of(table)
    const writer = must(this.#adapter.writer, 'a writer')
    const batch = rows.map((row): BatchRow => ({ op: 'insert', key: row.slice(0, 1), expect: null, row }))
    const { committed } = await writer.apply(claim, plan, { rows: batch, kind: 'apply', telling: null })
    assert(committed.inserted === rows.length, 'all rows were inserted')
    const sent = this.#sentTo(table)
    for (const row of rows) sent.set(JSON.stringify(row.slice(0, 1)), row)
  }

  #sentTo(table: string): Map<string, Row> {
    const sent = this.#sent.get(table) ?? new Map<string, Row>()
    this.#sent.set(table, sent)
    return sent
  }

  /** Which rows of a table are the job's. */
  async own(table: string, keys: readonly Key[] = [...this.#sentTo(table).values()].map((row) => row.slice(0, 1))) {
    const { claim, plan } = this.#of(table)
    await using moment = await this.#adapter.snapshot(1, signal)
    const { keys: ours, doubt } = await moment.writtenBy(claim, plan, {
      keys,
      rows: () => Promise.resolve(this.#sentTo(table)),
      touched: () => keys,
    })
    this.doubt = doubt
    return ours.map(([id]) => id ?? '').toSorted((a, b) => Number(a) - Number(b))
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#adapter[Symbol.asyncDispose]()
    await this.side[Symbol.asyncDispose]()
  }
}

/** Of each sort that a copy of the table might make another one of. */
const MANY_TYPES = `CREATE TABLE t (
  id INT PRIMARY KEY, u BIGINT UNSIGNED, y YEAR, n DECIMAL(20,6), f FLOAT, d DOUBLE, b BIT(5),
  v VARCHAR(20) CHARACTER SET latin1, c CHAR(5), x LONGTEXT, e ENUM('a','B'), s SET('x','y'),
  bin VARBINARY(9), pad BINARY(4), j JSON, at DATETIME(3), st TIMESTAMP(6) NULL, ti TIME(2),
  zero DATE NOT NULL DEFAULT '0000-00-00', changed DATETIME DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP,
  twice DECIMAL(21,6) AS (n * 2) STORED, UNIQUE KEY (u), FULLTEXT KEY (x), CHECK (u <> 13))`

const VALUES: Row = [
  '2024|1.500000|0.1|0.1|10101|é|ab|☯ text|B|x,y|\\x00ff|\\x00ff0000|{"a": 1.10}',
  '2024-02-29 23:59:59.123|2024-02-29 12:00:00.000001+00|-12:00:00.50|0000-00-00|2020-01-01 00:00:00|3.000000',
].flatMap((values) => values.split('|'))

const rowOf = (id: number): Row => [String(id), `1844674407370955${id}`, ...VALUES]

test('D7: what a job wrote is its own, of every type, until somebody else writes it', async () => {
  const side = await MysqlSide.make(server)
  await side.sql("SET SESSION sql_mode = ''", MANY_TYPES)
  await using job = await Job.begin(side, ['t'])
  await job.insert('t', [1, 2, 3, 4, 5, 6].map(rowOf))
  expect(await job.own('t')).toEqual(['1', '2', '3', '4', '5', '6'])
  await side.sql(
    "SET SESSION sql_mode = ''",
    'UPDATE t SET n = n + 0.000001 WHERE id = 1',
    "UPDATE t SET v = 'É' WHERE id = 2",
    'DELETE FROM t WHERE id = 3',
    "UPDATE t SET changed = '2020-01-01 00:00:00', zero = '0000-00-01' WHERE id = 4",
  )
  expect(await job.own('t')).toEqual(['5', '6'])
})

test('a table of partitions, and one without transactions, are known alike', async () => {
  for (const options of ['PARTITION BY HASH (id) PARTITIONS 3', 'ENGINE = MyISAM', 'ENGINE = Aria']) {
    const side = await MysqlSide.make(server)
    await side.sql(`CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20)) ${options}`)
    await using job = await Job.begin(side, ['t'])
    await job.insert('t', [
      ['1', 'a'],
      ['2', 'a'],
    ])
    await side.sql("UPDATE t SET v = 'b' WHERE id = 1")
    expect(await job.own('t'), options).toEqual(['2'])
  }
})

test('C17: a value that the server rounds without a word is what the job wrote', async () => {
  const side = await MysqlSide.make(server)
  await side.sql('CREATE TABLE t (id INT PRIMARY KEY, n DECIMAL(5,2), at DATETIME)')
  await using job = await Job.begin(side, ['t'])
  await job.insert('t', [
    ['1', '1.239', '2024-01-01 12:00:00.6'],
    ['2', '1.239', '2024-01-01 12:00:00.6'],
  ])
  expect(await side.sql("SELECT id FROM t WHERE n = 1.24 AND at <= '2024-01-01 12:00:01' ORDER BY id")).toHaveLength(2)
  await side.sql('UPDATE t SET n = 1.23 WHERE id = 2')
  expect(await job.own('t')).toEqual(['1'])
})

test('D7: what a trigger made of a row is what the job wrote, until somebody else writes it', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))',
    'CREATE TRIGGER louder BEFORE INSERT ON t FOR EACH ROW SET NEW.v = UPPER(NEW.v)',
  )
  await using job = await Job.begin(side, ['t'])
  await job.insert('t', [
    ['1', 'quiet'],
    ['2', 'quiet'],
    ['3', 'LOUD'],
  ])
  await side.sql("UPDATE t SET v = 'other' WHERE id = 2")
  expect(await job.own('t')).toEqual(['1', '3'])
})

test('D7: a row to which a trigger gives another key is refused', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))',
    'CREATE TRIGGER renumber BEFORE INSERT ON t FOR EACH ROW SET NEW.id = NEW.id + 100',
  )
  await using job = await Job.begin(side, ['t'])
  await expect(job.insert('t', [['1', 'a']])).rejects.toMatchObject({
    name: 'RowsRefused',
    message: expect.stringContaining('another key (renumber)') as string,
  })
  expect(await side.sql('SELECT * FROM t')).toEqual([])
})

test('D7: where triggers elsewhere may have changed a row in the name of the job, no row that it touched is said to be another one’s', async () => {
  const side = await MysqlSide.make(server)
  await side.sql(
    'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))',
    'CREATE TABLE other (id INT PRIMARY KEY)',
    "CREATE TRIGGER reach AFTER INSERT ON other FOR EACH ROW UPDATE t SET v = 'reached' WHERE id = NEW.id",
  )
  await using job = await Job.begin(side, ['t', 'other'])
  await job.insert('t', [
    ['1', 'a'],
    ['2', 'a'],
  ])
  await job.insert('other', [['1']])
  expect(await job.own('t', [['1']])).toEqual(['1'])
  expect(job.doubt).toContain('Triggers of')
})

test('a login that cannot see triggers excludes nothing', async () => {
  const side = await MysqlSide.make(server)
  const account = `${side.name}_writer`
  await side.sql(
    'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(20))',
    `CREATE USER '${account}' IDENTIFIED BY 'w'`,
    `GRANT SELECT, INSERT, UPDATE, DELETE, CREATE, CREATE TEMPORARY TABLES ON ${side.quote(side.name)}.* TO '${account}'`,
  )
  const url = new URL(side.url)
  Object.assign(url, { username: account, password: 'w' })
  await using job = await Job.begin(side, ['t'], url.href)
  await job.insert('t', [['1', 'a']])
  await side.sql("UPDATE t SET v = 'b'")
  expect(await job.own('t')).toEqual(['1'])
  expect(job.doubt).toContain(`GRANT TRIGGER ON ${side.quote(side.name)}.* TO '${account}'@'%'`)
  await side.sql(`GRANT TRIGGER ON ${side.quote(side.name)}.* TO '${account}'`)
  expect(await job.own('t')).toEqual([])
  expect(job.doubt).toBeNull()
  await side.sql(`DROP USER '${account}'`)
})
