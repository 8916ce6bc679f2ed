import { must } from '#lib/assert.ts'
import { tableId, tableName, type TableRef, type TableSchema } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { offersSchema } from './endpoint.ts'
import { sqlStateOf, toAppError } from './errors.ts'
import { readDefinitions } from './definition.ts'
import { describeQuery, introspect, type PgTable } from './introspect.ts'
import type { ReadingSessions } from './reading-sessions.ts'
import { AppError } from '#model/errors.ts'

/** What has been read of the catalogue, by table. */
export class KnownTables {
  readonly #sessions: ReadingSessions
  readonly #tables = new Map<string, PgTable>()

  constructor(sessions: ReadingSessions) {
    this.#sessions = sessions
  }

  async describe(wanted: readonly TableRef[] | 'all'): Promise<readonly TableSchema[]> {
    try {
      const tables = await this.#read((connection) => introspect(connection, wanted))
      const named = tables.filter(({ schema }) => (this.#tables.get(tableId(schema.ref))?.query ?? null) === null)
      for (const table of named) this.#tables.set(tableId(table.schema.ref), table)
      const schemas = [...named.map((table) => table.schema), ...(await this.#describeQueriesAgain(wanted))]
      return wanted === 'all' ? schemas.filter(({ ref }) => offersSchema(this.#sessions.endpoint, ref.schema)) : schemas
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
    try {
      const table = await this.#read((connection) => describeQuery(connection, ref, query))
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
    const known = tables.map((ref) => this.get(ref))
    const relations = known.filter(({ query }) => query === null)
    const read = async (connection: Connection): Promise<(string | null)[]> => {
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
      return await this.#read(read)
    } catch (error) {
      throw toAppError(error, 'reading the catalogue')
    }
  }

  /** Asks the catalogue something else, in a transaction that only reads. */
  async ask<T>(question: (connection: Connection) => Promise<T>): Promise<T> {
    try {
      return await this.#read(question)
    } catch (error) {
      throw toAppError(error, 'reading the catalogue')
    }
  }

  #read<T>(question: (connection: Connection) => Promise<T>): Promise<T> {
    return this.#sessions.use((connection) => connection.transaction('read', () => question(connection)))
  }

  get(ref: TableRef): PgTable {
    return must(this.#tables.get(tableId(ref)), `${tableName(ref)} was not described`)
  }
}
