import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'
import { tableId, tableName, type TableRef, type TableSchema } from '#model/table.ts'
import type { Connection } from './connection.ts'
import { isServerError, toAppError } from './errors.ts'
import { introspect, type MyTable } from './introspect.ts'
import { describeQuery } from './query-table.ts'
import type { ReadingSessions } from './reading-sessions.ts'

/** What has been read of the catalogue, by table. */
export class KnownTables {
  readonly #sessions: ReadingSessions
  readonly #tables = new Map<string, MyTable>()

  constructor(sessions: ReadingSessions) {
    this.#sessions = sessions
  }

  async describe(wanted: readonly TableRef[] | 'all'): Promise<readonly TableSchema[]> {
    const tables = await this.ask((connection) => introspect(connection, wanted))
    const named = tables.filter(({ schema }) => (this.#tables.get(tableId(schema.ref))?.query ?? null) === null)
    for (const table of named) this.#tables.set(tableId(table.schema.ref), table)
    return [...named.map((table) => table.schema), ...(await this.#describeQueriesAgain(wanted))]
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
      const table = await this.#sessions.use((connection) => describeQuery(connection, ref, query))
      this.#tables.set(tableId(ref), table)
      return table.schema
    } catch (error) {
      const failure = toAppError(error, `reading what the query ${tableName(ref)} gives`)
      const isOfQuery =
        isServerError(error) && OF_THE_QUERY.test(error.sqlState) && failure.code !== 'missing_privilege'
      throw isOfQuery ? new AppError('invalid_query', failure.message, { cause: error }) : failure
    }
  }

  /** Definitions as they are now, of tables that were described. */
  async definitions(tables: readonly TableRef[]): Promise<readonly (string | null)[]> {
    return await this.ask((connection) => this.#definitionsIn(connection, tables))
  }

  async #definitionsIn(connection: Connection, tables: readonly TableRef[]): Promise<readonly (string | null)[]> {
    const known = tables.map((ref) => this.get(ref))
    const relations = known.filter(({ query }) => query === null).map(({ schema }) => schema.ref)
    const found = new Map<string, string>()
    for (const { schema } of relations.length === 0 ? [] : await introspect(connection, relations)) {
      found.set(tableId(schema.ref), schema.definition)
    }
    const texts: (string | null)[] = []
    for (const { query, schema } of known) {
      const now = query === null ? null : await describeQuery(connection, schema.ref, query)
      texts.push(now === null ? (found.get(tableId(schema.ref)) ?? null) : now.schema.definition)
    }
    return texts
  }

  /** Asks the catalogue something else. */
  async ask<T>(question: (connection: Connection) => Promise<T>): Promise<T> {
    try {
      return await this.#sessions.use(question)
    } catch (error) {
      throw toAppError(error, 'reading the catalogue')
    }
  }

  get(ref: TableRef): MyTable {
    return must(this.#tables.get(tableId(ref)), `${tableName(ref)} was not described`)
  }
}

/** What the server says of a statement, of its values, or of what a session that only reads may do. */
const OF_THE_QUERY = /^(?:42|22|21|0A|25006|HY000)/
