import { TEXT_ROWS, type Piece, type RowStream, type Scan } from '#adapters/adapter.ts'
import { assert } from '#lib/assert.ts'
import { cellFormatName } from '#model/cell-rows.ts'
import { AppError } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import type { Connection } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { queryInFrom, quoteTable } from './sql.ts'
import type { TableSql } from './table-sql.ts'
import type { Sessions } from './snapshot.ts'

/** Blocks of one heap, `[first, end)`; no end where the piece reaches to the end of the heap. */
interface Blocks {
  readonly from: string
  readonly first: number
  readonly end: number | null
}

/** Formats in which these columns can be copied to or from a table, best first. */
export function formatsOf(scan: Scan, table: PgTable, major: number): string[] {
  const types = scan.columns.flatMap(({ name, form }) => (form === 'own' ? (table.binaryTypes.get(name) ?? []) : []))
  // Binary COPY is the same bytes only within one major version.
  const binary = cellFormatName({ version: `postgres-binary-${major}`, types })
  return types.length === scan.columns.length ? [binary, TEXT_ROWS] : [TEXT_ROWS]
}

/** Cuts a table into block ranges of about `bytes` bytes, its TOAST counted in. One piece a heap before 14. */
export function cutPieces(table: PgTable, major: number, bytes: number): Piece[] {
  const ref = table.schema.ref
  const totalPages = table.heaps.reduce((sum, heap) => sum + heap.pages, 0)
  const bytesPerPage = Math.max(8192, table.schema.bytes / Math.max(1, totalPages))
  if (table.heaps.length === 0) {
    const from = table.query === null ? quoteTable(ref) : queryInFrom(table.query)
    const handle: Blocks = { from, first: 0, end: null }
    return [{ table: ref, label: 'all rows', bytes: table.schema.bytes, handle }]
  }
  const pagesPerPiece = Math.max(1, Math.round(bytes / bytesPerPage))
  return table.heaps.flatMap((heap) => {
    const pieces: Piece[] = []
    const step = major >= 14 ? pagesPerPiece : Infinity
    for (let first = 0; first === 0 || first < heap.pages; first += step) {
      const end = first + step
      const last = end >= heap.pages
      const handle: Blocks = { from: `ONLY ${quoteTable(heap.ref)}`, first, end: last ? null : end }
      const pages = Math.min(step, heap.pages - first)
      pieces.push({ table: ref, label: pieceLabel(heap.ref, ref, handle), bytes: pages * bytesPerPage, handle })
    }
    return pieces
  })
}

function pieceLabel(heap: TableRef, table: TableRef, blocks: Blocks): string {
  const range = `blocks ${blocks.first}-${blocks.end === null ? '' : blocks.end - 1}`
  return heap.name === table.name && heap.schema === table.schema ? range : `${heap.schema}.${heap.name} ${range}`
}

/** Starts to send a piece. The connection is the stream's until it is disposed of. */
export async function openCopyOut(
  snapshot: Sessions,
  sql: TableSql,
  { piece, format }: { piece: Piece; format: string },
): Promise<RowStream & { connection: Connection }> {
  const blocks = blocksOf(piece)
  const bounds = [
    ...(blocks.first > 0 ? [`t.ctid >= '(${blocks.first},0)'::tid`] : []),
    ...(blocks.end === null ? [] : [`t.ctid < '(${blocks.end},0)'::tid`]),
  ]
  const where = bounds.length === 0 ? '' : `WHERE ${bounds.join(' AND ')}`
  const connection = await snapshot.acquire()
  const select = `SELECT ${sql.expressions.join(', ')} FROM ${sql.filtered(blocks.from)} t ${where}`
  const { stream, rows } = connection.copyOut(`COPY (${select}) TO STDOUT ${formatOption(format)}`)
  return {
    stream,
    rows,
    connection,
    async [Symbol.asyncDispose]() {
      // A COPY that was left in the middle cannot be ended politely: the snapshot is given up with it.
      if (!stream.readableEnded && !connection.broken) {
        stream.destroy()
        connection.destroy(new AppError('connection_lost', 'A COPY was given up.'))
      }
      snapshot.release(connection)
    },
  }
}

export function formatOption(format: string): string {
  return format === TEXT_ROWS ? '(FORMAT text)' : '(FORMAT binary)'
}

function blocksOf(piece: Piece): Blocks {
  const handle: unknown = piece.handle
  assert(isBlocks(handle), `the piece ${piece.label} is not ours`)
  return handle
}

function isBlocks(handle: unknown): handle is Blocks {
  return typeof handle === 'object' && handle !== null && 'from' in handle && 'first' in handle
}
