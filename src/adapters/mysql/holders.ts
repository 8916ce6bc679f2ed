import type { Holder, Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Row } from '#model/value.ts'
import { hashLargeRow } from './cells.ts'
import type { Connection } from './connection.ts'
import { asBytes, quote } from './sql.ts'
import { keyParameter, type TableSql } from './table-sql.ts'

/** Rows that are asked about in one statement. */
const ROWS_PER_QUERY = 500

/** A part of a unique index: a column, or the beginning of one. */
interface IndexPart {
  readonly column: string
  readonly prefix: number | null
}

/**
 * See `Snapshot.holders`. Values are held against each other as the index does it: by the column's own comparison. An index
 * over expressions is left out.
 */
export async function readHolders(
  connection: Connection,
  sql: TableSql,
  { index, rows }: { index: Parameters<Snapshot['holders']>[1]; rows: readonly Row[] },
): Promise<Holder[]> {
  const indexes = await uniqueIndexes(connection, sql)
  const holders: Holder[] = []
  for (const [name, parts] of indexes) {
    if (index === null || index.name === name)
      holders.push(...(await holdersBy(connection, sql, { name, parts, rows })))
  }
  return holders
}

async function uniqueIndexes(connection: Connection, { table }: TableSql): Promise<ReadonlyMap<string, IndexPart[]>> {
  const found = await connection.query(
    `SELECT s.index_name, s.column_name, CAST(s.sub_part AS CHAR) FROM information_schema.statistics s
     WHERE s.table_schema = ? AND s.table_name = ? AND s.non_unique = 0 ORDER BY s.index_name, s.seq_in_index`,
    [table.schema.ref.schema, table.schema.ref.name],
  )
  const indexes = new Map<string, IndexPart[]>()
  for (const [name, rows] of Map.groupBy(found, ([index]) => index ?? '')) {
    const parts = rows.flatMap(([, column, prefix]): IndexPart[] =>
      column === null || column === undefined ? [] : [{ column, prefix: prefix ? Number(prefix) : null }],
    )
    if (parts.length === rows.length) indexes.set(name, parts)
  }
  return indexes
}

async function holdersBy(
  connection: Connection,
  sql: TableSql,
  { name, parts, rows }: { name: string; parts: readonly IndexPart[]; rows: readonly Row[] },
): Promise<Holder[]> {
  const { scan, table } = sql
  const places = parts.map(({ column }) => scan.columns.findIndex((each) => each.name === column))
  if (places.includes(-1)) return []
  const keyPlaces = Array.from({ length: scan.keyLength }, (_, i) => i)
  const given = [...keyPlaces, ...places]
  const columns = given.map((_, i) => `c${i} LONGTEXT CHARACTER SET utf8mb4 PATH '$[${i}]'`)
  const same = parts.map((part, i) => sameValue(sql, part, `w.c${keyPlaces.length + i}`))
  const statement = `
    SELECT CAST(w.n AS CHAR), CAST(${sql.fingerprint} AS CHAR), CAST(${sql.bytes} AS CHAR), ${sql.keyExpressions.join(', ')}
    FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY, ${columns.join(', ')})) w
    STRAIGHT_JOIN ${sql.from} t ON ${same.join(' AND ')} AND NOT (${sql.keyEquals('w.c')}) ORDER BY w.n`
  const holders: Holder[] = []
  for (let start = 0; start < rows.length; start += ROWS_PER_QUERY) {
    const some = rows.slice(start, start + ROWS_PER_QUERY).map((row) => given.map((place) => row[place] ?? null))
    for (const [place, hash, bytes, ...key] of await connection.query(statement, [keyParameter(some)])) {
      const fingerprint = hash ?? (await hashLargeRow(connection, sql, key)).readBigInt64BE(0).toString()
      holders.push({
        place: start + Number(place) - 1,
        index: { schema: table.schema.ref.schema, name },
        columns: parts.map(({ column }) => column),
        row: { bucket: 0, key, fingerprint, bytes: Number(bytes) },
      })
    }
  }
  return holders
}

function sameValue(sql: TableSql, { column, prefix }: IndexPart, text: string): string {
  const place = sql.scan.columns.findIndex(({ name }) => name === column)
  const { form } = must(sql.scan.columns[place], 'a column of the scan')
  const native = sql.native(column, form, text)
  const own = `t.${quote(column)}`
  if (native === null) return `${asBytes(must(sql.expressions[place], 'a column'))} = ${asBytes(text)}`
  if (prefix === null) return `${own} = ${native}`
  const begins = (value: string): string => `LEFT(${value}, ${prefix})`
  return `${begins(own)} = ${begins(native)}`
}
