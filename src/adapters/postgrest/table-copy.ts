import type { Key } from '#model/change.ts'
import type { Condition } from '#model/condition.ts'
import { AppError } from '#model/errors.ts'
import { tableId, tableName } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import type { RestTable } from './description.ts'
import type { RestClient } from './http.ts'
import { readPages, type OwnRow } from './pages.ts'
import { Spool, TwiceTheKey, type Sorted, type SpooledTable } from './spool.ts'

/** The tables of one snapshot, each read once. */
export class TableCopies implements Disposable {
  readonly #client: RestClient
  readonly #spool = new Spool()
  readonly #copies = new Map<string, Promise<TableCopy>>()

  constructor(client: RestClient) {
    this.#client = client
  }

  has(table: RestTable): boolean {
    return this.#copies.has(tableId(table.schema.ref))
  }

  /** The copy of a table, in the order of its primary key; `key` orders it where the API tells of none. */
  of(table: RestTable, key: readonly string[]): Promise<TableCopy> {
    const id = tableId(table.schema.ref)
    const known = this.#copies.get(id)
    if (known !== undefined) return known
    const copy = this.#read(table, table.schema.primaryKey?.columns ?? key)
    this.#copies.set(id, copy)
    return copy
  }

  async #read(table: RestTable, key: readonly string[]): Promise<TableCopy> {
    const copy = new TableCopy(table, key, this.#spool.table())
    for await (const rows of readPages(this.#client, table, key)) copy.add(rows)
    return copy
  }

  [Symbol.dispose](): void {
    this.#spool[Symbol.dispose]()
  }
}

/** All rows of a table, as they were read. */
export class TableCopy {
  readonly #table: RestTable
  readonly #key: readonly string[]
  readonly #rows: SpooledTable
  readonly #keyOf: (row: OwnRow) => OwnRow
  readonly #indexes = new Map<string, Promise<string>>()
  #bytes = 0

  constructor(table: RestTable, key: readonly string[], rows: SpooledTable) {
    this.#table = table
    this.#key = key
    this.#rows = rows
    this.#keyOf = pick(table, key)
  }

  get rows(): number {
    return this.#rows.rows
  }

  /** About how many there are in all values. */
  get bytes(): number {
    return this.#bytes
  }

  /** @throws AppError `key_not_unique`, `incomplete_read` where a key comes twice */
  add(rows: readonly OwnRow[]): void {
    try {
      this.#rows.add(rows, this.#keyOf)
    } catch (error) {
      if (!(error instanceof TwiceTheKey)) throw error
      const { schema } = this.#table
      const isPrimary = schema.primaryKey?.columns === this.#key
      throw new AppError(
        isPrimary ? 'incomplete_read' : 'key_not_unique',
        `${tableName(schema.ref)}: two rows came with the key (${error.key.join(', ')}) of (${this.#key.join(', ')}).`,
      )
    }
    for (const row of rows) for (const value of row) this.#bytes += value?.length ?? 0
  }

  all(): AsyncGenerator<OwnRow> {
    return this.#rows.all()
  }

  sorted(items: AsyncIterable<Sorted>): AsyncGenerator<Sorted> {
    return this.#rows.sorted(items)
  }

  /** The rows that have these keys of a scan, in the form that it gives them. */
  async under(way: KeyWay, keys: readonly Key[]): Promise<readonly OwnRow[]> {
    const texts = keys.map((key) => JSON.stringify(key))
    return [...this.#rows.under(await this.#index(way), texts)]
  }

  /** Keys that more than one row has. */
  async repeated(way: KeyWay): Promise<{ duplicates: number; sample: Key | null }> {
    const index = await this.#index(way)
    return index === null ? { duplicates: 0, sample: null } : this.#rows.repeated(index)
  }

  /** The index that finds rows by such a key; null for the table's own, by which no two rows are the same. */
  async #index({ columns, isOwn, toKey, filter, isIn }: KeyWay): Promise<string | null> {
    if (isOwn && columns.length === this.#key.length && columns.every((name, i) => name === this.#key[i])) return null
    const id = JSON.stringify([columns, isOwn, filter])
    const known = this.#indexes.get(id)
    if (known !== undefined) return known
    const made = this.#rows.index(toKey, isIn)
    this.#indexes.set(id, made)
    return made
  }
}

/** How a scan names its rows. */
export interface KeyWay {
  readonly columns: readonly string[]
  /** Every column of the key in its own form. */
  readonly isOwn: boolean
  readonly toKey: (row: OwnRow) => Row
  readonly filter: Condition | null
  /** Whether a row meets the filter. */
  readonly isIn: (row: OwnRow) => boolean
}

function pick({ schema }: RestTable, names: readonly string[]): (row: OwnRow) => OwnRow {
  const places = names.map((name) => schema.columns.findIndex((column) => column.name === name))
  return (row) => places.map((place) => row[place] ?? null)
}
