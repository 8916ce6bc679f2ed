import type {
  ColumnFacts,
  ColumnSample,
  DetectionFacts,
  FactsQuestion,
  Sample,
  SessionFacts,
  TableFacts,
  Upkeep,
} from '#adapters/detection-facts.ts'
import type { Column } from '#model/table.ts'
import type { Connection, TextRow } from './connection.ts'
import { readHorizon } from './cursor-read.ts'
import { toAppError } from './errors.ts'
import type { MyColumn, MyTable } from './introspect.ts'
import { queryInFrom, quote, quoteTable } from './sql.ts'

const SAMPLED_ROWS = 2_000

interface Question {
  readonly table: MyTable
  readonly columns: FactsQuestion['columns']
}

export async function readDetectionFacts(connection: Connection, wanted: readonly Question[]): Promise<DetectionFacts> {
  const sessions = await readSessions(connection)
  const tables: TableFacts[] = []
  for (const { table, columns } of wanted) tables.push(await readTable(connection, table, columns))
  return { sessions, tables }
}

async function readSessions(connection: Connection): Promise<SessionFacts> {
  const { complete, why, remedy } = await readHorizon(connection)
  return { complete, why, remedy }
}

async function readTable(connection: Connection, table: MyTable, names: readonly string[]): Promise<TableFacts> {
  const columns = table.schema.columns.filter(({ name }) => names.includes(name))
  const indexes = await readIndexes(connection, table)
  const triggers = await readTriggers(connection, table)
  const sampled = await readSample(connection, table, columns)
  const sample = 'failed' in sampled ? null : sampled
  return {
    rows: table.schema.rowEstimate,
    bytes: table.schema.bytes,
    writes: null,
    replicated: null,
    columns: columns.map((column, i) =>
      factsOf(table, column, { indexes, triggers, sample: sample?.columns[i] ?? null }),
    ),
    sample: sample?.of ?? null,
    unknown: [
      'The server counts no writes of a table.',
      ...('failed' in sampled ? [`No rows were looked at: ${sampled.failed}`] : []),
    ],
  }
}

interface Trigger {
  readonly name: string
  readonly event: 'INSERT' | 'UPDATE'
  readonly body: string
}

function factsOf(
  { schema, columns }: MyTable,
  column: Column,
  known: {
    readonly indexes: ReadonlyMap<string, string>
    readonly triggers: readonly Trigger[]
    readonly sample: ColumnSample | null
  },
): ColumnFacts {
  const { name, type } = column
  const own = columns.get(name)
  const index = known.indexes.get(name) ?? null
  const by = (event: Trigger['event']): Upkeep | null =>
    known.triggers
      .filter((trigger) => trigger.event === event)
      .map((one) => setBy(one, column))
      .find((set) => set !== null) ?? null
  const table = quoteTable(schema.ref)
  const clock = type.kind === 'timestamp' ? `${type.zoned ? 'NOW' : 'UTC_TIMESTAMP'}(${type.digits})` : null
  const setting = (event: string): string =>
    `CREATE TRIGGER ${quote(`${schema.ref.name}_${name}_${event}`.slice(0, 64))} BEFORE ${event.toUpperCase()} ON ${table} FOR EACH ROW SET NEW.${quote(name)} = ${clock};`
  return {
    column: name,
    onInsert: by('INSERT') ?? (own === undefined ? null : filledByInsert(column, own)),
    onUpdate: by('UPDATE') ?? (own === undefined ? null : filledByUpdate(column, own)),
    index,
    sample: known.sample,
    remedies: {
      index: index === null ? `CREATE INDEX ${quote(`by_${name}`.slice(0, 64))} ON ${table} (${quote(name)});` : null,
      trigger: clock === null ? null : `${setting('insert')} ${setting('update')}`,
    },
  }
}

const NOT_REPLICATED = { inReplication: false, cached: false } as const

function clockOf({ type }: Column): Upkeep['value'] {
  // A TIMESTAMP is a moment; a DATETIME is what the clock of the session says.
  return type.kind === 'timestamp' && type.zoned ? 'clock' : 'local clock'
}

function filledByInsert(column: Column, { autoIncrement, default: text }: MyColumn): Upkeep | null {
  if (autoIncrement) return { value: 'sequence', when: 'omitted', by: 'AUTO_INCREMENT', ...NOT_REPLICATED }
  if (text === null || !/^(?:current_timestamp|now|localtimestamp)\b/i.test(text)) return null
  return { value: clockOf(column), when: 'omitted', by: `default ${text}`, ...NOT_REPLICATED }
}

function filledByUpdate(column: Column, { extra }: MyColumn): Upkeep | null {
  const [found] = /on update current_timestamp(?:\(\d*\))?/.exec(extra) ?? []
  return found === undefined
    ? null
    : { value: clockOf(column), when: 'omitted', by: found.toUpperCase(), ...NOT_REPLICATED }
}

/** What a trigger does to a column. One that does more than to set it may do so under conditions. */
function setBy({ name, body }: Trigger, column: Column): Upkeep | null {
  const target = `NEW\\s*\\.\\s*(?:\`${escaped(column.name.replaceAll('`', '``'))}\`|${escaped(column.name)})`
  if (!new RegExp(`\\bSET\\b[^;]*${target}\\s*:?=`, 'is').test(body)) return null
  const by = `trigger "${name}"`
  const [, made = ''] = new RegExp(`^\\s*SET\\s+${target}\\s*:?=\\s*([^;,]+?);?\\s*$`, 'is').exec(body) ?? []
  if (/^utc_timestamp\b/i.test(made)) return { value: 'clock', when: 'always', by, ...NOT_REPLICATED }
  if (/^(?:now|current_timestamp|sysdate|localtimestamp)\b/i.test(made))
    return { value: clockOf(column), when: 'always', by, ...NOT_REPLICATED }
  return { value: 'other', when: made === '' ? 'perhaps' : 'always', by, ...NOT_REPLICATED }
}

function escaped(text: string): string {
  return text.replaceAll(/[.*+?^${}()|[\]\\]/g, String.raw`\$&`)
}

/** By the column that each begins with. */
async function readIndexes(connection: Connection, { schema: { ref } }: MyTable): Promise<ReadonlyMap<string, string>> {
  const rows = await connection.query(
    `SELECT s.column_name, s.index_name FROM information_schema.statistics s
     WHERE s.table_schema = ? AND s.table_name = ? AND s.seq_in_index = 1 AND s.index_type = 'BTREE' AND s.column_name IS NOT NULL`,
    [ref.schema, ref.name],
  )
  return new Map(rows.map(([column, index]) => [column ?? '', index ?? '']))
}

async function readTriggers(connection: Connection, { schema }: MyTable): Promise<Trigger[]> {
  if (schema.triggers.length === 0) return []
  const rows = await connection.query(
    `SELECT g.trigger_name, g.event_manipulation, g.action_statement FROM information_schema.triggers g
     WHERE g.event_object_schema = ? AND g.event_object_table = ? AND g.action_timing = 'BEFORE'
       AND g.event_manipulation IN ('INSERT', 'UPDATE') ORDER BY g.action_order`,
    [schema.ref.schema, schema.ref.name],
  )
  return rows.map(([name, event, body]) => ({
    name: name ?? '',
    event: event === 'INSERT' ? 'INSERT' : 'UPDATE',
    body: body ?? '',
  }))
}

/** The first rows in the order of the table's key, as far as it has one. What cannot be read is told, and no failure. */
async function readSample(
  connection: Connection,
  table: MyTable,
  columns: readonly Column[],
): Promise<{ readonly of: Sample; readonly columns: readonly ColumnSample[] } | { readonly failed: string }> {
  const { schema, walk, query } = table
  if (columns.length === 0) return { of: { rows: 0, whole: false }, columns: [] }
  const key = walk?.columns.map((name) => `t.${quote(name)}`) ?? []
  const order = key.length === 0 ? '' : `ORDER BY ${key.join(', ')}`
  const place = key.length === 0 ? '0' : `ROW_NUMBER() OVER (${order})`
  const from = query === null ? quoteTable(schema.ref) : queryInFrom(query)
  const values = columns.map(({ name }, i) => `t.${quote(name)} AS c${i}`)
  const some = `(SELECT ${place} AS place, ${values.join(', ')} FROM (SELECT * FROM ${from} t ${order} LIMIT ${SAMPLED_ROWS}) t)`
  try {
    const sampled: ColumnSample[] = []
    let rows = 0
    for (const [i, column] of columns.entries()) {
      const future = isTime(column) ? `SUM(s.v > UTC_TIMESTAMP() + INTERVAL 1 DAY)` : 'NULL'
      const [found] = await connection.query(
        `SELECT CAST(COUNT(*) AS CHAR), CAST(SUM(s.v IS NULL) AS CHAR), CAST(${future} AS CHAR), CAST(COUNT(DISTINCT s.v) AS CHAR),
           CAST(SUM(s.v < s.before) AS CHAR), CAST(MAX(s.alike) AS CHAR)
         FROM (SELECT x.c${i} AS v, LAG(x.c${i}) OVER (ORDER BY x.place) AS \`before\`,
                      IF(x.c${i} IS NULL, 0, COUNT(*) OVER (PARTITION BY x.c${i})) AS alike FROM ${some} x) s`,
      )
      const [count, nulls, later, distinct, disorder, alike] = numbersOf(found)
      rows = count ?? 0
      sampled.push({
        nulls: nulls ?? 0,
        future: isTime(column) ? (later ?? 0) : null,
        distinct: distinct ?? 0,
        mostOfOne: alike ?? 0,
        disorder: key.length === 0 ? null : (disorder ?? 0),
      })
    }
    return { of: { rows, whole: rows < SAMPLED_ROWS }, columns: sampled }
  } catch (error) {
    return { failed: toAppError(error, 'looking at some rows').message }
  }
}

function isTime({ type }: Column): boolean {
  return type.kind === 'timestamp' || type.kind === 'date'
}

function numbersOf(row: TextRow | undefined): (number | null)[] {
  return (row ?? []).map((cell) => (cell === null ? null : Number(cell)))
}
