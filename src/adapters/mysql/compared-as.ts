import { must } from '#lib/assert.ts'
import type { Row } from '#model/value.ts'
import { LABELS, pads } from './collations.ts'
import type { Connection } from './connection.ts'
import { chunks } from './read.ts'
import { asBytes } from './sql.ts'
import { keyParameter, type TableSql } from './table-sql.ts'

/** Rows that are asked about in one statement. */
const ROWS_PER_QUERY = 1_000

/** See `Snapshot.comparedAs`: by the weights that the server itself compares by, of all columns of a row together. */
export async function readComparedAs(
  connection: Connection,
  sql: TableSql,
  rows: readonly Row[],
): Promise<(string | null)[]> {
  const { columns } = sql.scan
  const texts = columns.map((_, i) => `c${i} LONGTEXT CHARACTER SET utf8mb4 PATH '$[${i}]'`)
  const parts = columns.map(({ name }, i) => weight(sql, name, `w.c${i}`))
  const statement = `
    SELECT MD5(CONCAT(${parts.map((part) => `MD5(${part})`).join(', ')}))
    FROM JSON_TABLE(?, '$[*]' COLUMNS (n FOR ORDINALITY, ${texts.join(', ')})) w ORDER BY w.n`
  const compared: (string | null)[] = []
  for (const some of chunks(rows, ROWS_PER_QUERY)) {
    for (const [text = null] of await connection.query(statement, [keyParameter(some)])) compared.push(text)
  }
  return compared
}

/** What a value is compared by, as bytes; NULL where the column has no such text: nothing is like it there. */
function weight(sql: TableSql, name: string, text: string): string {
  const type = sql.typeOf(name)
  const { charset, collation, dataType } = must(sql.table.columns.get(name), `no facts of the column ${name}`)
  if (charset === null || collation === null || LABELS.has(dataType)) return text
  const native = `CONVERT(${text} USING ${charset})`
  const length = type.kind === 'text' ? type.maxLength : type.kind === 'padded text' ? type.length : null
  const filled = pads(collation) && length !== null ? ` AS CHAR(${length})` : ''
  const isThere = `${asBytes(`CONVERT(${native} USING utf8mb4)`)} = ${asBytes(text)}`
  return `IF(${isThere}, WEIGHT_STRING(${native} COLLATE ${collation}${filled}), NULL)`
}
