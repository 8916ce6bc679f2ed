import { must } from '#lib/assert.ts'
import { tableId, tableName, type TableRef, type TableSchema } from '#model/table.ts'
import { Connection } from './connection.ts'
import { offersSchema, type Endpoint } from './endpoint.ts'
import { sqlStateOf, toAppError } from './errors.ts'
import { readDefinitions } from './definition.ts'
import { describeQuery, introspect, type PgTable } from './introspect.ts'
import { AppError } from '#model/errors.ts'

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
      const named = tables.filter(({ schema }) => (this.#tables.get(tableId(schema.ref))?.query ?? null) === null)
      for (const table of named) this.#tables.set(tableId(table.schema.ref), table)
      const schemas = [...named.map((table) => table.schema), ...(await this.#describeQueriesAgain(wanted))]
      return wanted === 'all' ? schemas.filter(({ ref }) => offersSchema(this.#endpoint, ref.schema)) : schemas
    } catch (error) {
      throw toAppError(error, 'reading the catalogue')
    }
  }

  async #describeQueriesAgain(wanted: readonly TableRef[] | 'all'): Promise<TableSchema[]> {
    const schemas: TableSchema[] = []
    for (const ref of wanted === 'all' ? [] : wanted) {
      const query = this.#tables.get(tableId(ref))?.query ?? null
      if (query !== null) schemas.push(await this.describeQuery(ref, query))
    }
    return schemas
  }

  /** Takes a SELECT for a table from now on. */
  async describeQuery(ref: TableRef, query: string): Promise<TableSchema> {
    await using connection = await Connection.open(this.#endpoint, this.#signal)
    try {
      const table = await connection.transaction('read', () => describeQuery(connection, ref, query))
      this.#tables.set(tableId(ref), table)
      return table.schema
    } catch (error) {
      const failure = toAppError(error, `reading what the query ${tableName(ref)} gives`)
      // What the server says of a statement, its values or what a read-only session may do; not of privileges.
      const ofTheQuery = /^(?:42|22|0A|25006)/.test(sqlStateOf(error) ?? '') && failure.code !== 'missing_privilege'
      throw ofTheQuery ? new AppError('invalid_query', failure.message, { cause: error }) : failure
    }
  }

  /** Definitions as they are now, of tables that were described. */
  async definitions(tables: readonly TableRef[]): Promise<readonly (string | null)[]> {
    await using connection = await Connection.open(this.#endpoint, this.#signal)
    const known = tables.map((ref) => this.get(ref))
    const relations = known.filter(({ query }) => query === null)
    const read = async (): Promise<(string | null)[]> => {
      const wanted = relations.map(({ schema: { ref }, enums }) => ({ ref, enums }))
      const found = new Map((await readDefinitions(connection, wanted)).map((text, i) => [relations[i], text]))
      const texts: (string | null)[] = []
      for (const table of known) {
        const { query, schema } = table
        const now = query === null ? null : await describeQuery(connection, schema.ref, query)
        texts.push(now === null ? (found.get(table) ?? null) : now.schema.definition)
      }
      return texts
    }
    try {
      return await connection.transaction('read', read)
    } catch (error) {
      throw toAppError(error, 'reading the catalogue')
    }
  }

  /** Asks the catalogue something else, in a transaction that only reads. */
  async ask<T>(question: (connection: Connection) => Promise<T>): Promise<T> {
    await using connection = await Connection.open(this.#endpoint, this.#signal)
    try {
      return await connection.transaction('read', () => question(connection))
    } catch (error) {
      throw toAppError(error, 'reading the catalogue')
    }
  }

  get(ref: TableRef): PgTable {
    return must(this.#tables.get(tableId(ref)), `${tableName(ref)} was not described`)
  }
}
