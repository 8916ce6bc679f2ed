/** The rows of all tables of a database that is dumped, in the order in which they are to be written. */
import type { DumpPiece, DumpRows, DumpSource, DumpTable, RowCondition } from '#adapters/dump-source.ts'
import { AppError } from '#model/errors.ts'
import { formatTableName } from '#model/table-pattern.ts'
import { readAhead } from './read-ahead.ts'

/** A piece is read while others are written, so that it is as large as what is fetched ahead. */
const PIECE_BYTES = 8 * 1024 * 1024
/** What all readers together fetch ahead. */
const AHEAD_BYTES = 64 * 1024 * 1024
const AHEAD_ALONE_BYTES = 1024 * 1024

interface Part {
  readonly piece: DumpPiece
  readonly isFirst: boolean
  readonly isLast: boolean
}

/** A piece of a table's rows that is being read. Whoever takes it disposes of its rows. */
export interface OpenedPiece extends Part {
  readonly rows: DumpRows
}

/**
 * Opens the pieces of all tables, so many at once, and gives them in order.
 * @param where which rows of a table are read; null: all
 */
export async function* openPieces(
  source: DumpSource,
  parallel: number,
  where: (table: DumpTable) => RowCondition | null = () => null,
): AsyncGenerator<OpenedPiece> {
  const ahead = Math.min(2 * PIECE_BYTES, Math.floor(AHEAD_BYTES / parallel))
  const aheadBytes = parallel > 1 ? ahead : AHEAD_ALONE_BYTES
  yield* readAhead(partsOf(source, parallel), parallel, async (part) => ({
    ...part,
    rows: await source.rows(part.piece, { aheadBytes, where: where(part.piece.table) }),
  }))
}

function* partsOf(source: DumpSource, parallel: number): Generator<Part> {
  for (const table of source.tables) {
    const pieces = source.pieces(table, parallel > 1 ? PIECE_BYTES : Infinity)
    for (const [i, piece] of pieces.entries()) yield { piece, isFirst: i === 0, isLast: i === pieces.length - 1 }
  }
}

/** Refuses a stream that ended before the server said so (hazard A15). @throws AppError `connection_lost` */
export function assertWhole(rows: DumpRows, { ref }: DumpTable): void {
  if (rows.rows() === rows.seen()) return
  const name = formatTableName(ref)
  throw new AppError('connection_lost', `The server sent ${rows.seen()} rows of ${name}, and says ${rows.rows()}.`)
}
