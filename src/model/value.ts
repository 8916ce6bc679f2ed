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
