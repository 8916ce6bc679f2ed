import type pg from 'pg'

/**
 * Statements that are sent at once by the extended protocol, which takes one statement each time, whatever a text holds. The
 * server stops at the first that fails; `affected` has a number for each that it has done before: how many rows it wrote.
 */
export class StatementBatch implements pg.Submittable {
  readonly #statements: readonly string[]
  readonly #settled = Promise.withResolvers<void>()
  readonly affected: number[] = []

  constructor(statements: readonly string[]) {
    this.#statements = statements
  }

  get settled(): Promise<void> {
    return this.#settled.promise
  }

  submit(wire: pg.Connection): void {
    wire.stream.cork()
    for (const text of this.#statements) {
      wire.parse({ name: '', text, types: [] }, true)
      wire.bind({ portal: '', statement: '', values: [] }, true)
      wire.execute({ portal: '', rows: '0' }, true)
    }
    wire.sync()
    wire.stream.uncork()
  }

  /** `INSERT 0 5`; of what writes no rows the words alone. */
  handleCommandComplete({ text }: { readonly text: string }): void {
    this.affected.push(Number(/\d+$/.exec(text)?.[0] ?? 0))
  }

  handleEmptyQuery(): void {
    this.affected.push(0)
  }

  handleRowDescription(): void {}

  handleDataRow(): void {}

  handleError(error: Error): void {
    this.#settled.reject(error)
  }

  handleReadyForQuery(): void {
    this.#settled.resolve()
  }
}
