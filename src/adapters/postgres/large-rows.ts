import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import { LARGE_ROW_BYTES, type LargeValue, type SentRow } from '#model/value.ts'
import { watch } from '#adapters/watchdog.ts'
import { toAppError } from './errors.ts'
import type { Sessions } from './snapshot.ts'
import { keyParameters, type TableSql } from './table-sql.ts'

/**
 * Rows that are too large for memory (invariant 6). The driver gathers a message whole, in a buffer that it doubles, and
 * makes a string of it; a COPY comes as it arrives. So large values stay behind, and each is a COPY of its own when it is
 * sent: already in the text that the target's COPY takes, never decoded, read in one pass whatever its size.
 */

/** The rows that these keys have. What their cells hold in memory is at most `LARGE_ROW_BYTES` for a row, besides the key. */
export async function readLargeRows(snapshot: Sessions, sql: TableSql, keys: readonly Key[]): Promise<SentRow[]> {
  const { columns, keyLength } = sql.scan
  const limit = Math.floor(LARGE_ROW_BYTES / columns.length)
  const lengths = sql.expressions.map((cell) => `pg_catalog.octet_length(pg_catalog.concat(${cell}))`)
  const cells = sql.expressions.map((cell, i) =>
    i < keyLength ? cell : `CASE WHEN ${lengths[i]} <= ${limit} THEN ${cell} END`,
  )
  const found = await snapshot.use((connection) =>
    connection.query(
      `SELECT ARRAY[${lengths.join(', ')}], ${cells.join(', ')}
       FROM ${sql.keysFrom(1)} JOIN ${sql.from} t ON ${sql.keyEquals('k.k')}`,
      keyParameters(keys, keyLength),
    ),
  )
  return found.map(([bytes, ...row]) => {
    const key = row.slice(0, keyLength)
    const sizes = must(bytes, 'the lengths of cells').slice(1, -1).split(',').map(Number)
    return row.map((cell, place): string | null | LargeValue => {
      const size = must(sizes[place], 'the length of a cell')
      if (place < keyLength || size <= limit) return cell
      return { bytes: size, read: () => readCell(snapshot, sql, { key, place }) }
    })
  })
}

const NEWLINE = 0x0a

async function* readCell(
  snapshot: Sessions,
  sql: TableSql,
  { key, place }: { key: Key; place: number },
): AsyncGenerator<Buffer> {
  const cell = must(sql.expressions[place], 'a column')
  const from = `${sql.keyConstants(key)} JOIN ${sql.from} t ON ${sql.keyEquals('k.k')}`
  const connection = await snapshot.acquire()
  try {
    const { stream } = connection.copyOut(`COPY (SELECT ${cell} FROM ${from}) TO STDOUT (FORMAT text)`)
    const chunks: AsyncIterator<Buffer> = stream[Symbol.asyncIterator]()
    const next = (): Promise<IteratorResult<Buffer>> => watch([connection], chunks.next())
    let lines = 0
    let last: IteratorResult<Buffer> | null = null
    try {
      for (last = await next(); last.done !== true; last = await next()) {
        // In a cell every newline is escaped: one that stands for itself ends the line.
        const end = last.value.indexOf(NEWLINE)
        if (end >= 0) lines += end === last.value.length - 1 ? 1 : 2
        yield end < 0 ? last.value : last.value.subarray(0, end)
      }
    } finally {
      // Whoever stops in the middle leaves the rest to come: the snapshot's other readers need the session.
      while (last !== null && last.done !== true && !connection.broken) last = await next()
    }
    if (lines !== 1) throw new AppError('internal', `A key of ${tableName(sql.scan.table)} does not name one row.`)
  } catch (error) {
    throw toAppError(error, `reading a large value of ${tableName(sql.scan.table)}`)
  } finally {
    snapshot.release(connection)
  }
}
