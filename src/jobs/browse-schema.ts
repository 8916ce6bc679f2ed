import {
  listTables,
  offersSchema,
  previewRows,
  type DescribedDatabase,
  type RowsPreview,
  type TableDescription,
} from '#adapters/registry.ts'
import { systemClock } from '#lib/clock.ts'
import { homeSchemaOf, type Datasource } from '#model/datasource.ts'
import { atHome, type TableRef } from '#model/table.ts'
import { describeDatasource, type OpeningTools } from './open-datasource.ts'

export interface BrowseQuestion {
  /** Only tables whose schema or name contains this text, in whatever case. */
  readonly search: string | null
  /** Schemas to look into, those of the provider included; null: those that the datasource offers. */
  readonly schemas?: readonly string[] | null
  /** Where the last page ended, or null for the first one. */
  readonly after: TableRef | null
  readonly limit: number
  /** Look anew, whatever was remembered. */
  readonly fresh: boolean
}

export interface SchemaPage {
  readonly tables: readonly TableDescription[]
  readonly more: boolean
  /** How many tables there are on all pages together. */
  readonly total: number
  /** When the catalogue was read. */
  readonly at: string
}

interface Catalogue {
  /** Of the datasource as it was. */
  readonly version: number
  readonly readAt: number
  readonly tables: Promise<{ readonly list: readonly TableDescription[]; readonly at: string }>
  readonly place: DescribedDatabase
}

/** A catalogue is read again after so long. */
const FRESH_MS = 5 * 60_000
/** Catalogues that are remembered: one of 5,000 tables takes some 20 MB. */
const REMEMBERED = 3
/** A catalogue that takes longer is given up. */
const READ_TIMEOUT_MS = 60_000

/** Shows what tables datasources have, and remembers their catalogues for a while. */
export class SchemaBrowser {
  readonly #tools: OpeningTools
  /** By id of the datasource; the one that was asked for last comes last. */
  readonly #catalogues = new Map<string, Catalogue>()

  constructor(tools: OpeningTools) {
    this.#tools = tools
  }

  /** One page of tables and views, in the order of schema and name. @throws AppError where the database cannot be read */
  async browse(datasource: Datasource, question: BrowseQuestion, signal: AbortSignal): Promise<SchemaPage> {
    const { tables, place } = await this.#catalogue(datasource, question.fresh)
    const { list, at } = await abortable(tables, signal)
    const { schemas = null, after, limit } = question
    const search = question.search?.toLowerCase() ?? ''
    const found = list.filter(({ table: { schema, name } }) => {
      const offered = schemas === null ? offersSchema(place, schema) : schemas.includes(schema)
      return offered && `${schema}.${name}`.toLowerCase().includes(search)
    })
    const rest = after === null ? found : found.filter(({ table }) => compare(table, after) > 0)
    return { tables: rest.slice(0, limit), more: rest.length > limit, total: found.length, at }
  }

  /** The first rows of a table. @throws AppError `table_not_found` and as above */
  async preview(
    datasource: Datasource,
    question: { readonly table: TableRef; readonly limit: number },
    signal: AbortSignal,
  ): Promise<RowsPreview> {
    const table = atHome(question.table, { homeSchema: homeSchemaOf(datasource) })
    return previewRows(await describeDatasource(this.#tools, datasource), { ...question, table }, signal)
  }

  async #catalogue(datasource: Datasource, fresh: boolean): Promise<Catalogue> {
    const { id, version } = datasource
    const known = this.#catalogues.get(id)
    const now = systemClock.elapsed()
    if (known !== undefined && !fresh && known.version === version && now - known.readAt < FRESH_MS) {
      this.#catalogues.delete(id)
      this.#catalogues.set(id, known)
      return known
    }
    const place = await describeDatasource(this.#tools, datasource)
    const at = this.#tools.store.clock.now()
    // Whoever asked first may go away while others wait for the same.
    const tables = listTables(place, AbortSignal.timeout(READ_TIMEOUT_MS)).then((list) => ({ list, at }))
    const catalogue = { version, readAt: now, tables, place }
    this.#remember(id, catalogue)
    tables.catch(() => {
      if (this.#catalogues.get(id) === catalogue) this.#catalogues.delete(id)
    })
    return catalogue
  }

  #remember(id: string, catalogue: Catalogue): void {
    this.#catalogues.delete(id)
    this.#catalogues.set(id, catalogue)
    const [oldest] = this.#catalogues.keys()
    if (this.#catalogues.size > REMEMBERED && oldest !== undefined) this.#catalogues.delete(oldest)
  }
}

/** By code points, as the catalogue orders them under "C". */
function compare(a: TableRef, b: TableRef): number {
  return (
    Buffer.compare(Buffer.from(a.schema), Buffer.from(b.schema)) ||
    Buffer.compare(Buffer.from(a.name), Buffer.from(b.name))
  )
}

function abortable<T>(work: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  const { promise, reject } = Promise.withResolvers<never>()
  const end = (): void => reject(signal.reason)
  signal.addEventListener('abort', end, { once: true })
  return Promise.race([work, promise]).finally(() => signal.removeEventListener('abort', end))
}
