/**
 * Promise P5, hazards C1 to C17, between MariaDB and PostgreSQL and between two databases of MariaDB: what is said to be
 * lossless arrives with every value, but for what is said to be refused; what is checked arrives where it fits and is
 * refused where it does not; and what is impossible is refused before a row is read. Two more runs find nothing to write.
 */
import { afterAll, beforeAll, expect, test } from 'vitest'

import type { Adapter } from '#adapters/adapter.ts'
import { openDatabase } from '#adapters/registry.ts'
import { must } from '#lib/assert.ts'
import { judgePair } from '#model/column-type.ts'
import { written } from '#model/counts.ts'
import type { FieldMapping } from '#model/field-mapping.ts'
import type { Receipt } from '#model/receipt.ts'
import { DEFAULT_POLICIES, plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'
import type { Column, TableRef, TableSchema } from '#model/table.ts'
import { ValueRefused } from '#model/value.ts'
import { fitValue } from '#sync/fit-value.ts'
import { judgeTypes, type Judgement } from '#sync/judge-types.ts'
import { planTable } from '#sync/plan.ts'

import type { Database } from '#test/harness/database.ts'
import { startMariadb, type MariadbServer } from '#test/harness/mariadb.ts'
import { MysqlSide } from '#test/harness/mysql-tables.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, type Pair } from '#test/harness/sync.ts'
import { EVERYWHERE, makeTypes, matrixTypes, valueColumn, zonesOf } from './matrix.ts'
import { MYSQL_TYPES, plainSql, saySame } from './mysql-matrix.ts'
import { mysqlTypesPage } from './mysql-page.ts'

const { source: postgres } = sharedServers()
/** Tables in one run. */
const TABLES = 100
const POLICIES: Partial<SyncConfig> = {
  maxOverwritePercent: 100,
  maxRejections: 1_000_000,
  verifyAfter: 'full',
  parallel: 4,
}
const ZONES = ['UTC', 'America/New_York', 'Asia/Kolkata', 'Australia/Lord_Howe']
/** Of what the servers say, and what runs are to be in, none follows these. */
const OFFSETS: Readonly<Record<string, string>> = {
  UTC: '+00:00',
  'America/New_York': '-05:00',
  'Asia/Kolkata': '+05:30',
  'Australia/Lord_Howe': '+10:30',
}

let server: MariadbServer

beforeAll(async () => {
  server = await startMariadb({ settings: { 'sql-mode': '' } })
}, 120_000)

afterAll(() => server[Symbol.asyncDispose]())

/** One side of the pairs: a database with a table for each type of its engine. */
interface Side {
  readonly engine: 'mysql' | 'postgres'
  readonly url: string
  ref(table: string): TableRef
  sql(statement: string): Promise<(string | null)[][]>
  /** A table `s0`, `s1`, … for each type, with a row per value where they are wanted. */
  make(filled: boolean): Promise<void>
  readonly types: readonly string[]
}

function mysqlSide(side: MysqlSide): Side {
  return {
    engine: 'mysql',
    url: server.url(side.name),
    ref: (table) => side.ref(table),
    sql: (statement) => side.sql(statement),
    types: MYSQL_TYPES.map(({ sql }) => sql),
    make: async (filled) => {
      const statements = MYSQL_TYPES.flatMap(({ sql, values }, i) => {
        const rows = ['NULL', ...values].map((value, id) => `(${id}, ${value})`)
        const table = `CREATE TABLE s${i} (id INT PRIMARY KEY, v ${sql}) CHARACTER SET utf8mb4`
        return filled ? [table, `INSERT INTO s${i} VALUES ${rows.join(', ')}`] : [table]
      })
      await side.sql(`SET SESSION sql_mode = 'NO_ENGINE_SUBSTITUTION'`, ...statements)
    },
  }
}

function postgresSide(db: Database): Side {
  const types = matrixTypes(postgres.major)
  return {
    engine: 'postgres',
    url: db.url,
    ref: (name) => ({ schema: 'public', name }),
    sql: (statement) => db.sql(statement),
    types: types.map(({ sql }) => sql),
    make: (filled) => makeTypes(db, types, filled),
  }
}

interface Typed {
  readonly sql: string
  readonly place: number
  readonly table: TableSchema
  readonly column: Column
}

async function describe(side: Side): Promise<Typed[]> {
  await using adapter = await open(side)
  const refs = side.types.map((_, i) => side.ref(`s${i}`))
  const found = new Map((await adapter.describe(refs)).map((table) => [table.ref.name, table]))
  return side.types.map((sql, place) => {
    const table = must(found.get(`s${place}`), sql)
    return { sql, place, table, column: valueColumn(table) }
  })
}

function open({ url }: Side): Promise<Adapter> {
  return openDatabase(url, { write: null, signal: new AbortController().signal })
}

const as = (name: string): FieldMapping => ({
  target: name,
  from: { kind: 'columns', columns: [name] },
  transforms: [],
  rules: [],
})

interface TypePair {
  readonly from: Typed
  readonly to: Typed
  readonly judgement: Judgement
  readonly table: string
}

/** The pairs that a value gets across; the plan refuses all others. */
async function pairsOf(source: Side, target: Side): Promise<TypePair[]> {
  const [here, there] = [await describe(source), await describe(target)]
  await using from = await open(source)
  await using to = await open(target)
  const context = {
    sides: { source: from.server, target: to.server },
    policies: DEFAULT_POLICIES,
    cyclic: new Set<string>(),
  }
  return here.flatMap((a) =>
    there.flatMap((b): TypePair[] => {
      const judgement = judgeTypes(a.column.type, b.column.type)
      const mapping = { ...plainMapping(a.table.ref, b.table.ref), fields: [as('id'), as('v')] }
      const planned = planTable(mapping, { source: a.table, target: b.table }, context)
      const says = [a.sql, b.sql, judgement.verdict]
      expect([...says, 'plan' in planned]).toEqual([...says, judgement.verdict !== 'impossible'])
      return judgement.verdict === 'impossible' ? [] : [{ from: a, to: b, judgement, table: `p${a.place}_${b.place}` }]
    }),
  )
}

interface Ways {
  readonly pair: Pair
  readonly source: Side
  readonly target: Side
}

async function runAll({ pair, source, target }: Ways, pairs: readonly TypePair[]): Promise<Receipt[]> {
  const receipts: Receipt[] = []
  for (let first = 0; first < pairs.length; first += TABLES) {
    const tables = pairs.slice(first, first + TABLES).map(({ from, table }): TableMapping => ({
      ...plainMapping(source.ref(`s${from.place}`), target.ref(table)),
      fields: [as('id'), as('v')],
    }))
    const urls = { sourceUrl: source.url, targetUrl: target.url }
    receipts.push(await pair.run({ ...POLICIES, tables }, { approve: true, ...urls }))
  }
  return receipts
}

function refusedKeys(receipts: readonly Receipt[]): Map<string, Set<string>> {
  const tables = receipts.flatMap((receipt) => receipt.tables)
  return new Map(
    tables.map(({ target: { name }, rejections }) => [name, new Set(rejections.map(({ key }) => String(key[0])))]),
  )
}

/** The values of a table as its server says them plainly, and in the words that the engine reads, by key. */
async function valuesOf(side: Side, table: string, { column }: Typed): Promise<Map<string, string | null>> {
  const rows = await side.sql(`SELECT id, ${plainSql('v', column.type, side.engine)} FROM ${table}`)
  return new Map(rows.map(([id, value]) => [String(id), value ?? null]))
}

/** Types whose values the engine reads as their server says them plainly. */
const PLAIN: ReadonlySet<string> = new Set(['integer', 'text', 'bytes', 'enum', 'json', 'uuid'])

/** Whether the checks of the engine let a value of the source through; null where they do not look, or are not alone. */
function passes({ from, to, judgement }: TypePair, plain: string | null): boolean | null {
  const fit = fitValue(from.column.type, to.column.type)
  const byServer = GUARDED.has(to.sql) || 'charset' in to.column.type
  if ('reason' in fit || judgement.verdict !== 'checked' || byServer) return null
  if (plain === null || !PLAIN.has(from.column.type.kind)) return null
  try {
    fit.convert(plain)
    return true
  } catch (error) {
    if (error instanceof ValueRefused) return false
    throw error
  }
}

async function expectArrived(ways: Ways, each: TypePair, refused: ReadonlySet<string>): Promise<number> {
  const given = await valuesOf(ways.source, `s${each.from.place}`, each.from)
  const arrived = await valuesOf(ways.target, each.table, each.to)
  const carriage = judgePair(each.from.column.type, each.to.column.type)
  const mayRefuse =
    each.judgement.verdict === 'checked' || (carriage.ok && carriage.refuses !== undefined) || GUARDED.has(each.to.sql)
  for (const [id, plain] of given) {
    const what = [each.from.sql, each.to.sql, plain]
    expect([...what, refused.has(id) !== arrived.has(id)]).toEqual([...what, true])
    const passed = passes(each, plain)
    if (passed !== null) expect([...what, 'refused', refused.has(id)]).toEqual([...what, 'refused', !passed])
    if (refused.has(id)) {
      expect([...what, 'may be refused', mayRefuse && plain !== null]).toEqual([...what, 'may be refused', true])
      continue
    }
    const made = arrived.get(id) ?? null
    const same =
      plain === null || made === null
        ? plain === made
        : saySame(each.from.column.type, each.to.column.type, [plain, made])
    expect([...what, made, same]).toEqual([...what, made, true])
  }
  expect(arrived.size).toBe(given.size - refused.size)
  return arrived.size
}

/** Domains whose own CHECK refuses what their type could hold. */
const GUARDED = new Set(['"short; text"', '"Price"'])

/** A session's zone makes a difference to nothing but times, and what holds or is made of them. */
function hasTimes({ from, to }: TypePair): boolean {
  return [from, to].some(({ sql }) => /\b(date|time|interval|timestamp|year|ts(tz)?(multi)?range)/.test(sql))
}

async function tryAll(ways: Ways, zone: string): Promise<void> {
  await ways.source.make(true)
  await ways.target.make(false)
  const isFirst = zone === ZONES[0] || EVERYWHERE
  const pairs = (await pairsOf(ways.source, ways.target)).filter((each) => isFirst || hasTimes(each))
  for (const { to, table } of pairs) {
    const set = ways.target.engine === 'mysql' ? ' CHARACTER SET utf8mb4' : ''
    await ways.target.sql(`CREATE TABLE ${table} (id int PRIMARY KEY, v ${to.sql})${set}`)
  }
  const refused = refusedKeys(await runAll(ways, pairs))
  let carried = 0
  for (const each of pairs) carried += await expectArrived(ways, each, refused.get(each.table) ?? new Set())
  expect(carried).toBeGreaterThan(isFirst ? 2_000 : 200)
  const again = await runAll(ways, pairs)
  for (const receipt of again) expect(written(receipt.counts)).toBe(0)
  expect(refusedKeys(again)).toEqual(refused)
}

/** The zone of this process, of the sessions of both servers, and of a column that a run reads. */
async function inZone(zone: string, body: () => Promise<void>): Promise<void> {
  const before = process.env['TZ']
  process.env['TZ'] = zone
  await using admin = new MysqlSideSession(server)
  await admin.set(OFFSETS[zone] ?? 'SYSTEM')
  try {
    await body()
  } finally {
    if (before === undefined) delete process.env['TZ']
    else process.env['TZ'] = before
  }
}

class MysqlSideSession implements AsyncDisposable {
  readonly #side: MysqlSide

  constructor(of: MariadbServer) {
    this.#side = new MysqlSide(of.endpoint('mysql'))
  }

  async set(zone: string): Promise<void> {
    await this.#side.sql(`SET GLOBAL time_zone = '${zone}'`)
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.set('SYSTEM')
  }
}

test('the page of types says how each pair is judged', { timeout: 300_000 }, async () => {
  await using pair = await createPair(postgres, postgres)
  const [mysql, other] = [mysqlSide(await MysqlSide.make(server)), postgresSide(pair.source)]
  for (const side of [mysql, other]) await side.make(false)
  const [mine, theirs] = [await describe(mysql), await describe(other)]
  const everywhere = theirs.filter((_, i) => matrixTypes(postgres.major)[i]?.since === 0)
  const page = mysqlTypesPage([
    { heading: 'From MySQL and MariaDB into PostgreSQL', from: mine, to: everywhere },
    { heading: 'From PostgreSQL into MySQL and MariaDB', from: everywhere, to: mine },
    { heading: 'Within MySQL and MariaDB', from: mine, to: mine },
  ])
  await expect(page).toMatchFileSnapshot('../../docs/types-mysql.md')
})

test.each(zonesOf(ZONES))(
  'values of MariaDB arrive in PostgreSQL, or are set aside (%s)',
  { timeout: 900_000 },
  (zone) =>
    inZone(zone, async () => {
      await using pair = await createPair(postgres, postgres)
      await pair.target.sql(`ALTER DATABASE ${pair.target.name} SET timezone = '${zone}'`)
      await tryAll({ pair, source: mysqlSide(await MysqlSide.make(server)), target: postgresSide(pair.target) }, zone)
    }),
)

test.each(zonesOf(ZONES))(
  'values of PostgreSQL arrive in MariaDB, or are set aside (%s)',
  { timeout: 900_000 },
  (zone) =>
    inZone(zone, async () => {
      await using pair = await createPair(postgres, postgres)
      await pair.source.sql(`ALTER DATABASE ${pair.source.name} SET timezone = '${zone}'`)
      await tryAll({ pair, source: postgresSide(pair.source), target: mysqlSide(await MysqlSide.make(server)) }, zone)
    }),
)

test.each(zonesOf(ZONES))('values of MariaDB arrive in MariaDB, or are set aside (%s)', { timeout: 900_000 }, (zone) =>
  inZone(zone, async () => {
    await using pair = await createPair(postgres, postgres)
    const [source, target] = [await MysqlSide.make(server), await MysqlSide.make(server)]
    await tryAll({ pair, source: mysqlSide(source), target: mysqlSide(target) }, zone)
  }),
)
