import { must } from '#lib/assert.ts'
import { tableId, tableName, type TableRef, type TableSchema } from '#model/table.ts'
import { Connection } from './connection.ts'
import type { Endpoint } from './endpoint.ts'
import { toAppError } from './errors.ts'
import { introspect, type PgTable } from './introspect.ts'

/** What has been read of the catalogue, by table. */
export class KnownTables {
  readonly #endpoint: Endpoint
  readonly #signal: AbortSignal
  readonly #tables = new Map<string, PgTable>()

  constructor(endpoint: Endpoint, signal: AbortSignal) {
    this.#endpoint = endpoint
    this.#signal = signal
  }

  async describe(wanted: readonly TableRef[] | 'all'): Promise<readonly TableSchema[]> {
    await using connection = await Connection.open(this.#endpoint, this.#signal)
    try {
      const tables = await connection.transaction('read', () => introspect(connection, wanted))
      for (const table of tables) this.#tables.set(tableId(table.schema.ref), table)
      return tables.map((table) => table.schema)
    } catch (error) {
      throw toAppError(error, 'reading the catalogue')
    }
  }

  get(ref: TableRef): PgTable {
    return must(this.#tables.get(tableId(ref)), `${tableName(ref)} was not described`)
  }
}
