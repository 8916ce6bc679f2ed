import type { TableRef } from '#model/table.ts'

/**
 * A row or a few that the server refuses for what they hold: type, constraint, a trigger's exception. The batch is
 * innocent: halve it to find the row (hazard B4).
 */
export class RowsRefused extends Error {
  override readonly name = 'RowsRefused'
  /** The server's code, e.g. a SQLSTATE. */
  readonly code: string
  /** The column that the server names, if it names one. */
  readonly column: string | null
  /** The unique index that says so, where it is one. */
  readonly index: TableRef | null
  /** Another row may be in the way that is still to come or to go (unique, foreign key): worth a later try. */
  readonly orderMatters: boolean

  constructor(
    code: string,
    message: string,
    options: { orderMatters: boolean; column: string | null; index?: TableRef | null; cause: unknown },
  ) {
    super(message, { cause: options.cause })
    this.code = code
    this.column = options.column
    this.index = options.index ?? null
    this.orderMatters = options.orderMatters
  }
}
