import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import { copyCell } from '#model/row-text.ts'
import { LARGE_ROW_BYTES, type LargeValue, type SentRow } from '#model/value.ts'
import { readCellPieces } from './cells.ts'
import type { Connection, TextRow } from './connection.ts'
import { byKeys, keyChunks } from './read.ts'
import type { Sessions } from './snapshot.ts'
import { keyParameter, type TableSql } from './table-sql.ts'

/** Who lends a session that sees the moment: a large value is read when it is sent. */
export type Lend = Pick<Sessions, 'acquire' | 'release'>

/**
 * Rows that are too large for memory (invariant 6). The driver gathers a row whole. So large values stay behind, and each
 * is read in pieces when it is sent. What the cells of a row hold in memory is at most `LARGE_ROW_BYTES`, besides the key.
 */
export async function readLargeRows(
  connection: Connection,
  sql: TableSql,
  { keys, lend }: { keys: readonly Key[]; lend: Lend },
): Promise<SentRow[]> {
  const { columns, keyLength } = sql.scan
  const limit = Math.floor(LARGE_ROW_BYTES / columns.length)
  const sizes = columns.map((_, place) => `CAST(${sql.bytesOf(place)} AS CHAR)`)
  const cells = sql.expressions.map((cell, place) =>
    place < keyLength ? cell : `IF(${sql.bytesOf(place)} <= ${limit}, ${cell}, NULL)`,
  )
  const found: TextRow[] = []
  for (const part of keyChunks(keys)) {
    const rows = await connection.query(`SELECT ${[...sizes, ...cells].join(', ')} ${byKeys(sql)}`, [
      keyParameter(part),
    ])
    for (const row of rows) found.push(row)
  }
  return found.map((cellsOfRow) => {
    const row = cellsOfRow.slice(columns.length)
    const key = row.slice(0, keyLength)
    return row.map((cell, place): string | null | LargeValue => {
      const bytes = Number(must(cellsOfRow[place], 'the size of a cell'))
      if (place < keyLength || bytes <= limit) return cell
      return { bytes, read: () => readEscaped(lend, sql, { key, place }) }
    })
  })
}

/** The text of a cell as it stands in a line. */
async function* readEscaped(
  { acquire, release }: Lend,
  sql: TableSql,
  cell: { key: Key; place: number },
): AsyncGenerator<Uint8Array> {
  const connection = await acquire()
  try {
    for await (const piece of readCellPieces(connection, sql, cell)) yield Buffer.from(copyCell(piece), 'latin1')
  } finally {
    release(connection)
  }
}
