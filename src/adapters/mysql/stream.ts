import { Readable } from 'node:stream'
import { TEXT_ROWS, type Piece, type RowStream } from '#adapters/adapter.ts'
import { assert } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { copyPieces } from '#model/row-text.ts'
import { LARGE_ROW_BYTES } from '#model/value.ts'
import type { Connection } from './connection.ts'
import { readLargeRows } from './large-rows.ts'
import { RowLines } from './row-packets.ts'
import type { Sessions } from './snapshot.ts'
import type { TableSql } from './table-sql.ts'
import { cutRanges, type Range } from './walk.ts'

/** Cuts a table into ranges of its key of about `bytes` bytes each. */
export async function cutPieces(connection: Connection, sql: TableSql, bytes: number): Promise<Piece[]> {
  const { schema } = sql.table
  const pieces = Math.max(1, Math.ceil(schema.bytes / bytes))
  const ranges = await cutRanges(connection, sql, pieces)
  return ranges.map((handle) => ({
    table: schema.ref,
    label: handle.label,
    bytes: schema.bytes / ranges.length,
    handle,
  }))
}

/** Starts to send a piece. The connection is the stream's until it is disposed of. */
export async function openCopyOut(
  snapshot: Sessions,
  sql: TableSql,
  { piece, format }: { piece: Piece; format: string },
): Promise<RowStream> {
  assert(format === TEXT_ROWS, `rows are not sent as ${format}`)
  const { where } = rangeOf(piece)
  const connection = await snapshot.acquire()
  let rows = 0
  const lines = sendRows(connection, sql, { where, sent: (count) => void (rows = count) })
  const stream = Readable.from(lines, { objectMode: false })
  return {
    stream,
    connection,
    rows: () => rows,
    async [Symbol.asyncDispose]() {
      // A result that was left in the middle cannot be ended politely: its session is given up with it.
      if (!stream.readableEnded && !connection.broken) {
        stream.destroy()
        connection.destroy(new AppError('connection_lost', 'Rows under way were given up.'))
      }
      snapshot.release(connection)
    },
  }
}

/** The rows as lines. Those that are large come last, one by one: while a result is under way its session does nothing else. */
async function* sendRows(
  connection: Connection,
  sql: TableSql,
  { where, sent }: { where: readonly string[]; sent: (rows: number) => void },
): AsyncGenerator<Buffer> {
  const mayBeLarge = sql.mostBytes > LARGE_ROW_BYTES
  const select = mayBeLarge ? largeApart(sql) : sql.expressions
  const lines = new RowLines(mayBeLarge ? { keyLength: sql.scan.keyLength } : null)
  const statement = `SELECT ${select.join(', ')} FROM ${sql.from} t ${sql.where(...where)}`
  for await (const chunk of connection.lines(statement, lines)) {
    sent(lines.rows)
    yield chunk
  }
  sent(lines.rows)
  const lend = { acquire: () => Promise.resolve(connection), release: () => {} }
  for (const [i, key] of lines.large.entries()) {
    for (const row of await readLargeRows(connection, sql, { keys: [key], lend })) {
      for (const part of copyPieces(row)) {
        if (typeof part === 'string') yield Buffer.from(part)
        else for await (const piece of part.read()) yield Buffer.from(piece)
      }
    }
    sent(lines.rows + i + 1)
  }
}

/** Of a row that is large so many times `LARGE_ROW_BYTES` may come all the same. */
const LARGE_PART = 4

/**
 * The cells of a row, after a mark of its being large: then cells that are large themselves are left out. Each size is asked
 * for twice and no more: the whole of a row, asked for at each of its cells, costs more than the row.
 */
function largeApart(sql: TableSql): string[] {
  const unbounded = sql.scan.columns.map((_, place) => sql.mostBytesOf(place) > LARGE_ROW_BYTES)
  const share = Math.floor((LARGE_PART * LARGE_ROW_BYTES) / Math.max(1, unbounded.filter(Boolean).length))
  const most = Math.min(LARGE_ROW_BYTES, share)
  const cells = sql.expressions.map((cell, place) =>
    place >= sql.scan.keyLength && unbounded[place] ? `IF(${sql.bytesOf(place)} > ${most}, NULL, ${cell})` : cell,
  )
  return [`CAST((${sql.bytes}) > ${most} AS CHAR)`, ...cells]
}

function rangeOf(piece: Piece): Range {
  const { handle } = piece
  assert(isRange(handle), `the piece ${piece.label} is not ours`)
  return handle
}

function isRange(handle: unknown): handle is Range {
  return typeof handle === 'object' && handle !== null && 'where' in handle && 'label' in handle
}
