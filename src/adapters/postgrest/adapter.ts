import type {
  Addition,
  Adapter,
  DetectionFacts,
  FactsQuestion,
  CommittedCounts,
  KnownColumns,
  ServerInfo,
  Snapshot,
  SourceOfTarget,
  Writer,
} from '#adapters/adapter.ts'
import type { DescribedDatabase } from '#adapters/place.ts'
import type { PgTable } from '#adapters/postgres/introspect.ts'
import { readKnown } from '#adapters/postgres/new-columns.ts'
import { grantSql } from '#adapters/postgres/sql.ts'
import { must } from '#lib/assert.ts'
import { httpDateMs, systemClock, wallMs } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import {
  sameTable,
  tableId,
  tableName,
  type Column,
  type Right,
  type TableRef,
  type TableSchema,
} from '#model/table.ts'
import { readDescription, type ApiDescription, type RestTable } from './description.ts'
import { ProjectFunctions } from './functions.ts'
import { RestClient, type Answer } from './http.ts'
import { estimateRows } from './pages.ts'
import { refuseBlindKey, toRestPlace, type RestPlace } from './place.ts'
import { RestSnapshot } from './snapshot.ts'
import { ProjectState } from './state.ts'
import { RestWriter } from './write.ts'

/** Tables whose sizes are asked for: for more of them it would take longer than it saves. */
const ESTIMATED = 200
const ESTIMATES_AT_ONCE = 4

/**
 * Opens a project by its REST API. It is written by functions that somebody has put there (`script.ts`): a request is a
 * transaction of its own, so that rows, counters and checkpoint can be committed together by such a function alone.
 * @throws AppError `rest_not_prepared`, `row_level_security`, and whatever keeps the API from being read
 */
export async function openPostgrest(
  described: DescribedDatabase,
  { write, signal }: { write: boolean; signal: AbortSignal },
): Promise<Adapter> {
  const place = toRestPlace(described)
  refuseBlindKey(place)
  const client = new RestClient(place, signal)
  try {
    const answer = await askDescription(client, must(place.schemas[0], 'a schema'))
    const functions = new ProjectFunctions(client)
    if (write) await functions.refuseOtherVersion()
    const server = describeServer(place, answer)
    return new RestAdapter(client, write ? { ...server, readOnly: null } : server, { functions, write })
  } catch (error) {
    await client[Symbol.asyncDispose]()
    throw error
  }
}

/** The description of a schema, as the API gives it. */
export function askDescription(client: RestClient, schema: string): Promise<Answer> {
  return client.ask({
    method: 'GET',
    path: '',
    query: '',
    schema,
    doing: `reading the description of the schema ${schema}`,
  })
}

/** What the API tells of its server. */
export function describeServer(place: RestPlace, answer: Answer): ServerInfo {
  const date = httpDateMs(answer.headers.date ?? '')
  return {
    kind: 'postgrest',
    product: readDescription(answer, must(place.schemas[0], 'a schema')).product,
    major: 0,
    address: place.address,
    identity: `postgrest/${place.base.host}`,
    homeSchema: 'public',
    local: place.local,
    pooled: true,
    readOnly: 'it is reached over its REST API',
    hashProbe: '',
    clockSkewMs: date === null ? 0 : skew(date),
    moments: 'bounded',
    writes: 'requests',
  }
}

/** The server tells its time in whole seconds. */
function skew(date: number): number {
  const ahead = date - wallMs()
  return Math.abs(ahead) < 1_500 ? 0 : ahead
}

class RestAdapter implements Adapter {
  readonly server: ServerInfo
  readonly writer: Writer | null
  readonly ddl = null
  readonly drafts = null
  readonly dump = null
  readonly restore = null
  readonly #client: RestClient
  readonly #functions: ProjectFunctions
  readonly #state: ProjectState
  readonly #known = new Map<string, RestTable>()
  /** What the catalogue says of them, where it is asked. */
  readonly #catalogue = new Map<string, PgTable>()
  readonly #estimates = new Map<string, number | null>()

  constructor(
    client: RestClient,
    server: ServerInfo,
    { functions, write }: { functions: ProjectFunctions; write: boolean },
  ) {
    this.#client = client
    this.server = server
    this.#functions = functions
    this.#state = new ProjectState(functions)
    const tableOf = (ref: TableRef): PgTable =>
      must(this.#catalogue.get(tableId(ref)), `${tableName(ref)} was not described`)
    this.writer = write ? new RestWriter(functions, tableOf) : null
  }

  async describe(wanted: readonly TableRef[] | 'all'): Promise<readonly TableSchema[]> {
    const { schemas } = this.#client.place
    const of = wanted === 'all' ? schemas : [...new Set(wanted.map(({ schema }) => schema))]
    const found: RestTable[] = []
    for (const schema of of) {
      const { tables } = await this.#readSchema(schema, wanted === 'all')
      const asked = (table: RestTable): boolean =>
        wanted === 'all' || wanted.some((ref) => sameTable(ref, table.schema.ref))
      found.push(...tables.filter(asked))
    }
    const tables = this.writer === null ? found : await this.#asCatalogued(found)
    for (const table of tables) this.#known.set(tableId(table.schema.ref), table)
    await this.#estimate(tables)
    return tables.map(({ schema }) => ({ ...schema, rowEstimate: this.#estimates.get(tableId(schema.ref)) ?? null }))
  }

  /**
   * What is written must be known as it is: precisions, keys, generated columns, rights, which the API does not tell.
   * @throws AppError `schema_changed` where the API does not know of a column yet
   */
  async #asCatalogued(tables: readonly RestTable[]): Promise<readonly RestTable[]> {
    const catalogued = await this.#functions.tables(tables.map(({ schema }) => schema.ref))
    return tables.flatMap((table) => {
      const found = catalogued.find(({ schema }) => sameTable(schema.ref, table.schema.ref))
      if (found === undefined) return []
      this.#catalogue.set(tableId(table.schema.ref), found)
      const texts = found.schema.columns.map(({ name }) => {
        const place = table.schema.columns.findIndex((column) => column.name === name)
        const text = table.texts[place]
        if (text !== undefined) return text
        throw new AppError(
          'schema_changed',
          `The API does not know the column ${tableName(table.schema.ref)}.${name} yet.`,
          {
            hint: "It does after NOTIFY pgrst, 'reload schema';",
          },
        )
      })
      return [{ schema: found.schema, texts }]
    })
  }

  /** The API takes no SQL. */
  describeQuery(name: TableRef): Promise<TableSchema> {
    return Promise.reject(
      new AppError('invalid_query', `${tableName(name)} is a query, and a REST API takes none.`, {
        hint: 'Make a view of the query in an exposed schema, and name the view as the table, with its key.',
      }),
    )
  }

  /** Tables are altered over a database connection alone. */
  additions(_: TableRef, columns: readonly Column[]): Promise<readonly Addition[]> {
    const refused = 'a REST API alters no table: add the column over a database connection'
    return Promise.resolve(columns.map((column) => ({ column: { ...column, nullable: true }, sql: '', refused })))
  }

  rename(table: TableRef, from: string, to: string): string {
    return `rename the column "${from}" of ${tableName(table)} to "${to}"`
  }

  async lastColumns(mappings: readonly SourceOfTarget[]): Promise<readonly (KnownColumns | null)[]> {
    const states = await this.#state.ofSources(mappings.map(({ source }) => source))
    return mappings.map(({ source, target }) => {
      const of = states.find((state) => state.source === source && sameTable(state.target, target) && state.columns)
      return readKnown(of?.columns ?? null)
    })
  }

  /** A schema that was named with a table and is not offered has no tables. */
  async #readSchema(schema: string, offered: boolean): Promise<ApiDescription> {
    try {
      return readDescription(await askDescription(this.#client, schema), schema)
    } catch (error) {
      if (offered || !(error instanceof AppError) || error.code !== 'schema_not_exposed') throw error
      return { product: '', tables: [] }
    }
  }

  /** An estimate is worth no failure: what is wrong with a table comes to light when it is read. */
  async #estimate(tables: readonly RestTable[]): Promise<void> {
    const unknown = tables.filter(({ schema }) => !this.#estimates.has(tableId(schema.ref))).slice(0, ESTIMATED)
    for (let start = 0; start < unknown.length; start += ESTIMATES_AT_ONCE) {
      const some = unknown.slice(start, start + ESTIMATES_AT_ONCE)
      const rows = await Promise.all(some.map((table) => estimateRows(this.#client, table).catch(() => null)))
      for (const [i, { schema }] of some.entries()) this.#estimates.set(tableId(schema.ref), rows[i] ?? null)
    }
  }

  async definitions(tables: readonly TableRef[]): Promise<readonly (string | null)[]> {
    if (this.writer !== null) {
      const found = await this.#functions.tables(tables)
      return tables.map((ref) => found.find(({ schema }) => sameTable(schema.ref, ref))?.schema.definition ?? null)
    }
    const described = new Map<string, string>()
    for (const schema of new Set(tables.map((ref) => ref.schema))) {
      for (const table of (await this.#readSchema(schema, false)).tables) {
        described.set(tableId(table.schema.ref), table.schema.definition)
      }
    }
    return tables.map((ref) => described.get(tableId(ref)) ?? null)
  }

  grant(table: TableRef, rights: readonly Right[]): string {
    return grantSql(table, rights, 'service_role')
  }

  horizon(): Promise<never> {
    return Promise.reject(new AppError('impossible_mapping', 'A REST API shows no transactions.'))
  }

  /** The API shows rows, and nothing of how they come about. */
  detectionFacts(wanted: readonly FactsQuestion[]): Promise<DetectionFacts> {
    return Promise.resolve({
      sessions: { complete: false, why: 'a REST API shows no transactions', remedy: null },
      tables: wanted.map(({ table }) => ({
        rows: this.#estimates.get(tableId(table)) ?? null,
        bytes: null,
        writes: null,
        replicated: null,
        columns: [],
        sample: null,
        unknown: ['A REST API shows no indexes, defaults, triggers and statistics; no rows were sampled.'],
      })),
    })
  }

  snapshot(_connections: number, signal: AbortSignal): Promise<Snapshot> {
    const tableOf = (ref: TableRef): RestTable =>
      must(this.#known.get(tableId(ref)), `${tableName(ref)} was not described`)
    return Promise.resolve(
      new RestSnapshot(this.#client.within(signal), {
        tableOf,
        state: this.#state,
        at: systemClock.now(),
        looksUp: this.writer !== null,
      }),
    )
  }

  /** The API shows no locks: nobody can find out over it whether two ends are the same database. */
  plantMark(): Promise<AsyncDisposable & { id: string }> {
    return Promise.resolve({ id: '0', [Symbol.asyncDispose]: () => Promise.resolve() })
  }

  seesMark(): Promise<boolean> {
    return Promise.resolve(false)
  }

  async committedBy(jobId: string): Promise<CommittedCounts | null> {
    return await this.#state.committedBy(jobId)
  }

  pendingDdl(): Promise<readonly []> {
    return Promise.resolve([])
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.#client[Symbol.asyncDispose]()
  }
}
