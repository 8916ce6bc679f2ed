import type {
  ColumnFacts,
  ColumnSample,
  DetectionFacts,
  FactsQuestion,
  Sample,
  SessionFacts,
  TableFacts,
  Upkeep,
  WriteCounts,
} from '#adapters/detection-facts.ts'
import { must } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import type { Column } from '#model/table.ts'
import type { Connection, TextRow } from './connection.ts'
import { readHorizon } from './cursor-read.ts'
import { sqlStateOf, toAppError } from './errors.ts'
import type { PgTable } from './introspect.ts'
import { literal, only, queryInFrom, quote, quoteTable } from './sql.ts'
import { upkeepOf, type KeptBy, type KeptColumn, type RowTrigger } from './upkeep.ts'

/** Of each statement, and of the locks that it waits for. */
const BOUNDS = "SET LOCAL statement_timeout = '3s'; SET LOCAL lock_timeout = '1s'"
/** Of all samples of one question. */
const SAMPLES_MS = 40_000

const SAMPLED_ROWS = 2_000
/** A heap of so few pages is looked at whole, as far as `SAMPLED_ROWS` reach. */
const WHOLE_PAGES = 64
/** Pages that are read of a larger one: enough for the rows, and from many places. */
const LEAST_PAGES = 10
const MOST_PAGES = 200
/** Bytes of a binary value that are looked at. */
const SAMPLED_BYTES = 64

interface Question {
  readonly table: PgTable
  readonly columns: FactsQuestion['columns']
}

/** Each kind of fact is read in a transaction of its own, so that one that cannot be read takes no other with it. */
export async function readDetectionFacts(connection: Connection, wanted: readonly Question[]): Promise<DetectionFacts> {
  const tables = wanted.map(({ table, columns }): AskedTable => ({
    table,
    columns: table.schema.columns.filter(({ name }) => columns.includes(name)),
    isTable: table.schema.kind === 'table' || table.schema.kind === 'partitioned',
  }))
  const sessions = await attempt(connection, () => readSessions(connection))
  const catalogues = await readOfEach(connection, tables, (some) => readCatalogue(connection, some))
  const counters = await readOfEach(connection, tables, (some) => readCounters(connection, some))
  const replicated = await attempt(connection, () => readReplicated(connection, tables))
  const started = systemClock.elapsed()
  const found: TableFacts[] = []
  for (const [t, asked] of tables.entries()) {
    const [catalogue, counter] = [catalogues[t] ?? UNREAD, counters[t] ?? UNREAD]
    const counted = 'found' in counter ? (counter.found.get(asked.table.oid) ?? null) : null
    const hurried = systemClock.elapsed() - started > SAMPLES_MS
    const sampled = hurried
      ? { failed: 'other tables took all the time for it' }
      : await attempt(connection, () => readSample(connection, asked, counted?.rows ?? null))
    const sample = 'found' in sampled ? sampled.found : null
    const known = 'found' in catalogue ? catalogue.found : null
    found.push({
      rows: counted?.rows ?? null,
      bytes: counted?.bytes ?? null,
      writes: counted?.writes ?? null,
      replicated: 'found' in replicated ? replicated.found.has(asked.table.oid) : null,
      columns: known === null ? [] : asked.columns.map((column, i) => factsOf(asked, column, { known, sample, i })),
      sample: sample?.of ?? null,
      unknown: unknownOf(asked, { catalogue, counter, counted, sampled, replicated }),
    })
  }
  return {
    sessions: 'found' in sessions ? sessions.found : { complete: false, remedy: null, why: sessions.failed },
    tables: found,
  }
}

interface AskedTable {
  readonly table: PgTable
  readonly columns: readonly Column[]
  /** It holds rows, and statements write them. */
  readonly isTable: boolean
}

type Attempt<T> = { readonly found: T } | { readonly failed: string }

const UNREAD = { failed: 'it was not asked for' } as const

/** @throws AppError where the connection is lost by it */
async function attempt<T>(connection: Connection, read: () => Promise<T>): Promise<Attempt<T>> {
  try {
    return { found: await connection.transaction('read', read, BOUNDS) }
  } catch (error) {
    const failure = toAppError(error, 'reading what tells how changes can be found')
    const state = sqlStateOf(error)
    if (connection.broken || state === null) throw failure
    // The server's own words may hold values of rows.
    if (state === '57014') return { failed: 'it took too long' }
    if (state === '55P03') return { failed: 'somebody holds a lock on it' }
    if (failure.code === 'row_level_security') return { failed: 'row-level security would hide rows from this login' }
    return { failed: state === '42501' ? 'this login may not' : `the server refused it (SQLSTATE ${state})` }
  }
}

/** Of all tables at once; of each by itself where one of them stands in the way. */
async function readOfEach<T>(
  connection: Connection,
  tables: readonly AskedTable[],
  read: (some: readonly AskedTable[]) => Promise<T>,
): Promise<readonly Attempt<T>[]> {
  const all = await attempt(connection, () => read(tables))
  if ('found' in all || tables.length === 1) return tables.map(() => all)
  const each: Attempt<T>[] = []
  for (const table of tables) each.push(await attempt(connection, () => read([table])))
  return each
}

function unknownOf(
  { table, isTable }: AskedTable,
  of: {
    readonly catalogue: Attempt<unknown>
    readonly counter: Attempt<unknown>
    readonly counted: Counted | null
    readonly sampled: Attempt<Sampled | null>
    readonly replicated: Attempt<unknown>
  },
): string[] {
  const { catalogue, counter, counted, sampled, replicated } = of
  const isBlind = isTable && 'found' in counter && (counted?.writes ?? null) === null
  return [
    ...('failed' in catalogue ? [`Indexes, defaults and triggers could not be read: ${catalogue.failed}.`] : []),
    ...('failed' in counter ? [`The statistics of the server could not be read: ${counter.failed}.`] : []),
    ...(isBlind ? ['What is written is not counted here: the server is a standby, or track_counts is off.'] : []),
    ...('failed' in replicated
      ? [`Whether a subscription writes into it could not be read: ${replicated.failed}.`]
      : []),
    ...(isTable ? [] : [`Of a ${table.schema.kind} no writes are counted.`]),
    ...('failed' in sampled ? [`No rows were sampled: ${sampled.failed}.`] : []),
    ...('found' in sampled && sampled.found === null ? ['No rows were sampled: none were found.'] : []),
  ]
}

async function readSessions(connection: Connection): Promise<SessionFacts> {
  const { complete, why, remedy } = await readHorizon(connection)
  return { complete, why, remedy }
}

interface Counted {
  readonly rows: number | null
  readonly bytes: number | null
  readonly writes: WriteCounts | null
}

/** The leaves of a table, itself where it has no partitions. No relation is locked by it. */
const LEAVES = `
  WITH RECURSIVE members(oid, relid) AS (
    SELECT w.oid, w.oid FROM unnest($1::oid[]) w(oid)
    UNION SELECT m.oid, i.inhrelid FROM members m JOIN pg_catalog.pg_inherits i ON i.inhparent = m.relid
      JOIN pg_catalog.pg_class p ON p.oid = m.relid AND p.relkind = 'p')`

const COUNTERS = `${LEAVES}
  SELECT w.oid, greatest(sum(c.reltuples) FILTER (WHERE c.reltuples > 0), sum(pg_catalog.pg_stat_get_live_tuples(c.oid)), 0)::int8,
         bool_or(c.reltuples > 0 OR pg_catalog.pg_stat_get_live_tuples(c.oid) > 0),
         sum(pg_catalog.pg_stat_get_tuples_inserted(c.oid)), sum(pg_catalog.pg_stat_get_tuples_updated(c.oid)),
         sum(pg_catalog.pg_stat_get_tuples_deleted(c.oid)),
         pg_catalog.pg_is_in_recovery() OR current_setting('track_counts') <> 'on',
         (SELECT pg_catalog.pg_stat_get_db_stat_reset_time(d.oid) FROM pg_catalog.pg_database d WHERE d.datname = current_database()),
         current_setting('block_size')
  FROM members w JOIN pg_catalog.pg_class c ON c.oid = w.relid AND c.relkind IN ('r', 'm')
  GROUP BY w.oid`

async function readCounters(
  connection: Connection,
  tables: readonly AskedTable[],
): Promise<ReadonlyMap<number, Counted>> {
  const rows = await connection.query(COUNTERS, [oidsOf(tables)])
  const counted = new Map<number, Counted>()
  for (const { table, isTable } of tables) {
    const row = rows.find(([oid]) => Number(oid) === table.oid)
    if (row === undefined) continue
    const [, estimate, isKnown, inserted, updated, deleted, isBlind, since, block] = row
    const heaps = table.heaps.reduce((sum, { pages }) => sum + pages, 0)
    counted.set(table.oid, {
      rows: isKnown === 't' ? Number(estimate) : null,
      bytes: Math.max(table.schema.bytes, heaps * Number(block)),
      writes:
        isBlind === 't' || !isTable
          ? null
          : { inserted: Number(inserted), updated: Number(updated), deleted: Number(deleted), since: since ?? null },
    })
  }
  return counted
}

interface Catalogue {
  /** By `placeOf`. */
  readonly defaults: ReadonlyMap<string, string>
  readonly indexes: ReadonlyMap<string, string>
  readonly triggers: ReadonlyMap<number, readonly RowTrigger[]>
  /** Whether a sequence gives a session several numbers at once. */
  readonly cached: ReadonlyMap<string, boolean>
}

function placeOf(oid: number | string | null | undefined, column: string | null | undefined): string {
  return JSON.stringify([Number(oid), column])
}

const DEFAULTS = `
  SELECT a.attrelid, a.attname, pg_catalog.pg_get_expr(d.adbin, d.adrelid)
  FROM pg_catalog.pg_attrdef d JOIN pg_catalog.pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
  WHERE d.adrelid = ANY($1::oid[]) AND a.attgenerated = ''`

/** Those by which a range of values is found, and their largest one: the first column alone matters. */
const INDEXES = `
  SELECT i.indrelid, a.attname, x.relname
  FROM pg_catalog.pg_index i JOIN pg_catalog.pg_class x ON x.oid = i.indexrelid
  JOIN pg_catalog.pg_am m ON m.oid = x.relam
  JOIN pg_catalog.pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
  WHERE i.indrelid = ANY($1::oid[]) AND i.indisvalid AND i.indpred IS NULL AND m.amname = 'btree'
  ORDER BY x.relname COLLATE "C" DESC`

/** Before each row (bits 1 and 2), by an INSERT (4) or an UPDATE (16). */
const TRIGGERS = `
  SELECT t.tgrelid, t.tgname, t.tgtype & 4 <> 0, t.tgtype & 16 <> 0, t.tgattr::text <> '', t.tgenabled = 'A', l.lanname,
         p.prosrc, t.tgargs, pg_catalog.pg_get_triggerdef(t.oid)
  FROM pg_catalog.pg_trigger t JOIN pg_catalog.pg_proc p ON p.oid = t.tgfoid
  JOIN pg_catalog.pg_language l ON l.oid = p.prolang
  WHERE t.tgrelid = ANY($1::oid[]) AND NOT t.tgisinternal AND t.tgenabled IN ('O', 'A') AND t.tgtype & 3 = 3`

/** Partitioned tables of which a partition has a trigger of its own, or one of the table's switched off. */
const UNEVEN = `${LEAVES}
  SELECT DISTINCT m.oid FROM members m JOIN pg_catalog.pg_trigger t ON t.tgrelid = m.relid
  WHERE m.relid <> m.oid AND t.tgtype & 3 = 3
    AND CASE WHEN t.tgparentid = 0 THEN NOT t.tgisinternal ELSE t.tgenabled NOT IN ('O', 'A') END`

const REPLICATED = `${LEAVES}
  SELECT w.oid FROM members w JOIN pg_catalog.pg_subscription_rel s ON s.srrelid = w.relid`

async function readReplicated(connection: Connection, tables: readonly AskedTable[]): Promise<ReadonlySet<number>> {
  return new Set((await connection.query(REPLICATED, [oidsOf(tables)])).map(([oid]) => Number(oid)))
}

const CACHED = `
  SELECT n, s.seqcache > 1 FROM unnest($1::text[]) n
  JOIN pg_catalog.pg_sequence s ON s.seqrelid = pg_catalog.to_regclass(n)`

async function readCatalogue(connection: Connection, tables: readonly AskedTable[]): Promise<Catalogue> {
  const oids = [oidsOf(tables)]
  const byPlace = (rows: readonly TextRow[]): Map<string, string> =>
    new Map(rows.map(([oid, column, text]) => [placeOf(oid, column), text ?? '']))
  const defaults = byPlace(await connection.query(DEFAULTS, oids))
  const indexes = byPlace(await connection.query(INDEXES, oids))
  const triggers = Map.groupBy(await connection.query(TRIGGERS, oids), ([oid]) => Number(oid))
  const uneven = new Set((await connection.query(UNEVEN, oids)).map(([oid]) => Number(oid)))
  const known = {
    defaults,
    indexes,
    triggers: new Map([...triggers].map(([oid, rows]) => [oid, rows.map((row) => toTrigger(row, uneven.has(oid)))])),
  }
  const kept = tables.flatMap(({ table, columns }) =>
    columns.flatMap((column) => Object.values(keep(table, column, known))),
  )
  const sequences = kept.flatMap((each) => each?.sequence ?? []).filter((name) => QUALIFIED.test(name))
  const cached = await connection.query(CACHED, [[...new Set(sequences)]])
  return { ...known, cached: new Map(cached.map(([name, several]) => [name ?? '', several === 't'])) }
}

/** A name without a schema means another sequence in every session, and one of three parts is none. */
const QUALIFIED = /^(?:"(?:[^"]|"")+"|[\w$]+)\.(?:"(?:[^"]|"")+"|[\w$]+)$/

function oidsOf(tables: readonly AskedTable[]): number[] {
  return tables.map(({ table }) => table.oid).filter((oid) => oid !== 0)
}

function toTrigger(row: TextRow, isUneven: boolean): RowTrigger {
  const [, name, insert, update, ofColumns, always, language, body, args, definition] = row
  const words = Buffer.from((args ?? '').slice(2), 'hex')
    .toString('utf8')
    .split('\0')
  return {
    name: name ?? '',
    insert: insert === 't',
    update: update === 't',
    // As if it had a condition that nobody can tell.
    when: isUneven
      ? 'of some partitions'
      : (/ WHEN \((.*)\) EXECUTE (?:FUNCTION|PROCEDURE) /s.exec(definition ?? '')?.[1] ?? null),
    ofColumns: ofColumns === 't',
    inReplication: always === 't',
    language: language ?? '',
    body: body ?? '',
    args: words.filter((word) => word !== ''),
  }
}

type Keeping = Pick<Catalogue, 'defaults' | 'triggers'>

function keep(table: PgTable, column: Column, { defaults, triggers }: Keeping): ReturnType<typeof upkeepOf> {
  const { name, type, identity, sequence } = column
  const isTime = type.kind === 'timestamp' || type.kind === 'date'
  const kept: KeptColumn = {
    name,
    zoned: isTime ? type.kind === 'timestamp' && type.zoned : null,
    default: defaults.get(placeOf(table.oid, name)) ?? null,
    identity: identity === null ? null : sequence,
  }
  return upkeepOf(kept, triggers.get(table.oid) ?? [])
}

function factsOf(
  asked: AskedTable,
  column: Column,
  { known, sample, i }: { known: Catalogue; sample: Sampled | null; i: number },
): ColumnFacts {
  const { table } = asked
  const kept = keep(table, column, known)
  const upkeep = (by: KeptBy | null): Upkeep | null => {
    if (by === null) return null
    const { sequence, ...rest } = by
    return { ...rest, cached: sequence === null ? false : (known.cached.get(sequence) ?? null) }
  }
  return {
    column: column.name,
    onInsert: upkeep(kept.onInsert),
    onUpdate: upkeep(kept.onUpdate),
    index: known.indexes.get(placeOf(table.oid, column.name)) ?? null,
    sample: sample?.columns[i] ?? null,
    remedies: { index: indexSql(table, column), trigger: asked.isTable ? triggerSql(table, column, kept) : null },
  }
}

/** A partitioned table takes no index beside its writers. */
function indexSql({ schema: { ref, kind } }: PgTable, { name }: Column): string | null {
  if (kind !== 'table' && kind !== 'materialized view' && kind !== 'partitioned') return null
  return `CREATE INDEX ${kind === 'partitioned' ? '' : 'CONCURRENTLY '}ON ${quoteTable(ref)} (${quote(name)});`
}

/** It is fired after those that are there, by its name, and gives no column another meaning than it has. */
function triggerSql({ schema }: PgTable, column: Column, kept: ReturnType<typeof upkeepOf>): string | null {
  const { name, type, nativeType, sequence, generated } = column
  const isKey = [schema.primaryKey, ...schema.uniqueKeys].some((key) => key?.columns.includes(name))
  if (isKey || generated !== null) return null
  const isUtc = kept.onInsert?.value === 'clock' || kept.onUpdate?.value === 'clock'
  const value =
    type.kind === 'timestamp' && type.zoned
      ? 'pg_catalog.now()'
      : type.kind === 'timestamp' && isUtc
        ? `pg_catalog.now() AT TIME ZONE 'UTC'`
        : type.kind === 'integer' && type.bits === 64 && sequence !== null
          ? `pg_catalog.nextval(${literal(sequence)})`
          : nativeType === 'xid8'
            ? 'pg_catalog.pg_current_xact_id()'
            : null
  if (value === null) return null
  const { schema: owner, name: table } = schema.ref
  const touch = `${quote(owner)}.${quote(`${table}_${name}_touch`)}`
  const body = literal(`BEGIN NEW.${quote(name)} := ${value}; RETURN NEW; END`)
  return [
    `CREATE FUNCTION ${touch}() RETURNS trigger LANGUAGE plpgsql AS ${body};`,
    `CREATE TRIGGER ${quote(`zz_touch_${name}`)} BEFORE INSERT OR UPDATE ON ${quoteTable(schema.ref)} FOR EACH ROW EXECUTE FUNCTION ${touch}();`,
  ].join(' ')
}

interface Sampled {
  readonly of: Sample
  readonly columns: readonly ColumnSample[]
}

/** In the figures of one column, in this order. */
const FIGURES = 5

/** Null where there are no rows. */
async function readSample(
  connection: Connection,
  { table, columns }: AskedTable,
  rows: number | null,
): Promise<Sampled | null> {
  const { kind, primaryKey, uniqueKeys } = table.schema
  const keys = [primaryKey, ...uniqueKeys].flatMap((key) =>
    key?.notNull && key.columns.length === 1 ? key.columns : [],
  )
  const key = keys.find((name) =>
    table.schema.columns.some((each) => each.name === name && each.type.kind === 'integer'),
  )
  const { from, isPart } = sampledRows(table, rows)
  const values = columns.map(({ name, type }, i) => {
    const value = `t.${quote(name)}`
    return `${type.kind === 'bytes' ? `pg_catalog.substring(${value}, 1, ${SAMPLED_BYTES})` : value} AS c${i}`
  })
  const place = key === undefined ? 'NULL::pg_catalog.int8' : `t.${quote(key)}`
  const figures = columns.flatMap(({ type }, i) => [
    `(SELECT count(*) FROM s WHERE c${i} IS NULL)`,
    later(type, `c${i}`),
    `(SELECT count(DISTINCT c${i}) FROM s)`,
    `(SELECT coalesce(max(n), 0) FROM (SELECT count(*) AS n FROM s WHERE c${i} IS NOT NULL GROUP BY c${i}) g)`,
    key === undefined
      ? 'NULL'
      : `(SELECT count(*) FROM (SELECT c${i} < lag(c${i}) OVER (ORDER BY k) AS falls FROM s WHERE c${i} IS NOT NULL) w WHERE falls)`,
  ])
  const [found] = await connection.query(
    `WITH s AS MATERIALIZED (SELECT ${[`${place} AS k`, ...values].join(', ')} FROM ${from} LIMIT ${SAMPLED_ROWS + 1})
     SELECT ${['(SELECT count(*) FROM s)', ...figures].join(', ')}`,
  )
  const count = Number(must(found?.[0], 'how many rows were sampled'))
  if (count === 0) return null
  const number = (cell: string | null | undefined): number | null =>
    cell === null || cell === undefined ? null : Number(cell)
  return {
    of: { rows: count, whole: !isPart && count <= SAMPLED_ROWS && kind !== 'foreign table' },
    columns: columns.map((_, i) => {
      const [nulls, future, distinct, mostOfOne, disorder] = (found ?? []).slice(1 + FIGURES * i, 1 + FIGURES * (i + 1))
      return {
        nulls: Number(nulls),
        future: number(future),
        distinct: Number(distinct),
        mostOfOne: Number(mostOfOne),
        disorder: number(disorder),
      }
    }),
  }
}

/** Pages from all over a heap, the same ones each time; the first rows of what has no pages of its own. */
function sampledRows(table: PgTable, rows: number | null): { from: string; isPart: boolean } {
  const { ref, kind } = table.schema
  const pages = table.heaps.reduce((sum, heap) => sum + heap.pages, 0)
  const relation = table.query === null ? only(ref, kind !== 'table') : queryInFrom(table.query)
  if (pages <= WHOLE_PAGES) return { from: `${relation} t`, isPart: false }
  const perPage = rows === null || rows === 0 ? 1 : rows / pages
  const wanted = Math.min(MOST_PAGES, Math.max(LEAST_PAGES, Math.ceil(SAMPLED_ROWS / perPage)))
  const percent = Math.min(100, (100 * wanted) / pages)
  return { from: `${relation} t TABLESAMPLE SYSTEM (${percent.toFixed(6)}) REPEATABLE (1)`, isPart: true }
}

/** How many values are later than now; of a time without a zone, than it is anywhere. */
function later(type: Column['type'], value: string): string {
  const now = 'pg_catalog.clock_timestamp()'
  const anywhere = `(${now} AT TIME ZONE 'UTC' + '14 hours'::pg_catalog.interval)`
  const count = (limit: string): string =>
    `(SELECT count(*) FROM s WHERE pg_catalog.isfinite(${value}) AND ${value} > ${limit})`
  if (type.kind === 'date') return count(`${anywhere}::pg_catalog.date`)
  if (type.kind !== 'timestamp') return 'NULL'
  return count(type.zoned ? now : anywhere)
}
