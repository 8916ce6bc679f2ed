/**
 * A place in a source's history. Opaque to the engine: only the adapter that made it reads it, and only positions of one
 * source are compared. `order` is a string whose plain order is the order of the positions (fixed width), so that a log
 * position fits where a snapshot does.
 */
export interface Position {
  readonly order: string
  /** For the receipt: e.g. a snapshot's transaction horizon and log position, as the server writes them. */
  readonly label: string
}
