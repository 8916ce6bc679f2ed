/** How the changes of a table are found. */
export const DETECTION_STRATEGIES = ['hash', 'full', 'content', 'primary_key', 'timestamp', 'rowversion'] as const
export type DetectionStrategy = (typeof DETECTION_STRATEGIES)[number]

/** The column by whose value a row that was written since is told from one that was not. */
export interface Cursor {
  readonly column: string
  /** As the server spells it: a position is a value of this type. */
  readonly type: string
  /**
   * `clock`: a time of the server, which the start of a transaction can be held against. `waiting clock`: the same, but a
   * statement may have waited for its table between its time and the start of its transaction. `wall clock`: such a time as
   * the clock of whatever zone the writer's session has shows it. `order`: it only grows.
   */
  readonly guard: 'clock' | 'waiting clock' | 'wall clock' | 'order'
  /** Rows without a value are looked at by every run. */
  readonly nullable: boolean
  /** Values are texts of bytes: those of another length than the position's have no order that means anything. */
  readonly bytes: boolean
}

/** How one table is looked at. */
export interface Detecting {
  readonly strategy: DetectionStrategy
  /** Null where the strategy needs none. */
  readonly cursor: Cursor | null
}
