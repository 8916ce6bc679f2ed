/**
 * A cell as it travels: the server's own text, raw bytes where the text is not valid UTF-8, or NULL.
 * Nothing on the data path turns it into a number, a date or parsed JSON.
 */
export type Value = string | Uint8Array | null

/** A cell that a change stream did not send because it did not change (TOAST): neither a value nor NULL. */
export const NOT_SENT: unique symbol = Symbol('not sent')

export type Cell = Value | typeof NOT_SENT

/** The cells of one row, in the order of the columns that were asked for. Never an object: names may repeat or be hostile. */
export type Row = readonly Value[]

/** A row of about this many bytes of text is large: what is large in it stays where it is until it is sent. */
export const LARGE_ROW_BYTES = 1024 * 1024

/** A value that is too large to stand in memory: it is read from its database each time that it is sent. */
export interface LargeValue {
  /** Bytes of its text, in UTF-8. */
  readonly bytes: number
  /**
   * Its text as a cell of a line (`row-text.ts`), in pieces that may end inside of a character or of an escape.
   * @throws AppError where the database fails, and then not one of the database that it is sent to
   */
  read(): AsyncIterable<Uint8Array>
}

/** A row on its way from one database into another, where nobody looks at what is large. */
export type SentRow = readonly (Value | LargeValue)[]

export function isLarge(cell: Value | LargeValue): cell is LargeValue {
  return typeof cell === 'object' && cell !== null && !(cell instanceof Uint8Array)
}

/** About how many bytes the text of a row has. */
export function sizeOfRow(row: SentRow): number {
  return row.reduce((sum, cell) => sum + (cell === null ? 0 : isLarge(cell) ? cell.bytes : Buffer.byteLength(cell)), 0)
}

/**
 * A value that cannot be carried as it was asked for. The message says why, in words that follow the name of the field,
 * and never holds the value (invariant 7).
 */
export class ValueRefused extends Error {
  override readonly name = 'ValueRefused'
}
