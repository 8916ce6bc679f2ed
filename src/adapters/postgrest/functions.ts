import { assert, must } from '#lib/assert.ts'
import { isRecord } from '#lib/record.ts'
import { AppError } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import { CATALOGUE, introspect, type PgTable } from '#adapters/postgres/introspect.ts'
import { STATE_VERSION } from '#adapters/postgres/state.ts'
import type { CommittedCounts, StatePhase } from '#adapters/adapter.ts'
import type { RestClient } from './http.ts'
import { FUNCTIONS_VERSION } from './script.ts'

interface Called {
  readonly doing: string
  /** As in `Question`. */
  readonly rowsOf?: string
}

/** A mapping as the project's state has it. */
export interface MappingState extends CommittedCounts {
  readonly mapping: string
  readonly job: string
  readonly epoch: bigint
  readonly phase: StatePhase
  readonly hash: string
  readonly detection: string | null
  readonly columns: string | null
  readonly source: string
  readonly target: TableRef
  readonly verifiedSecondsAgo: number | null
}

/** The functions of a prepared project (`script.ts`), as calls. */
export class ProjectFunctions {
  readonly #client: RestClient

  constructor(client: RestClient) {
    this.#client = client
  }

  /** @throws AppError `rest_not_prepared`, `state_too_new`, `server_not_supported` */
  async refuseOtherVersion(): Promise<void> {
    const about = await this.call('about', {}, { doing: 'looking at the functions of the project' })
    const { functions, state, server } = isRecord(about) ? about : {}
    const { address } = this.#client.place
    if (Number(server) < 140_000) {
      throw new AppError('server_not_supported', `${address} is PostgreSQL ${String(server)}; it needs 14.`)
    }
    if (Number(state) > STATE_VERSION) {
      const has = `The schema syncline of ${address} has version ${Number(state)}`
      throw new AppError('state_too_new', `${has}; this program knows ${STATE_VERSION}.`)
    }
    if (functions === FUNCTIONS_VERSION && state === STATE_VERSION) return
    throw new AppError(
      'rest_not_prepared',
      `The functions of ${address} are of version ${String(functions)} over a state of version ${String(state)}; this program needs ${FUNCTIONS_VERSION} over ${STATE_VERSION}.`,
    )
  }

  /** The tables as their catalogue tells, also what the API's description leaves out. */
  async tables(wanted: readonly TableRef[] | 'all'): Promise<readonly PgTable[]> {
    const names =
      wanted === 'all'
        ? { schemas: null, names: null }
        : { schemas: wanted.map(({ schema }) => schema), names: wanted.map(({ name }) => name) }
    const read = await this.call('catalogue', names, { doing: 'reading the catalogue' })
    const answers = isRecord(read) ? read : {}
    const named = new Map(Object.entries(CATALOGUE).map(([name, sql]) => [sql, name]))
    const query = (sql: string): ReturnType<Parameters<typeof introspect>[0]['query']> => {
      const rows = answers[must(named.get(sql), 'a question of the catalogue')]
      if (!Array.isArray(rows)) throw unexpected('catalogue')
      return Promise.resolve(rows.map((row: unknown) => toTexts(row)))
    }
    const major = Math.floor(Number(answers['server']) / 10_000)
    // Projects are in UTF-8, as their provider makes them.
    return await introspect({ major, utf8: true, query }, wanted)
  }

  /** What is known of mappings, of a job, or of the tables that sources fill; the newest comes first. */
  async states(of: {
    readonly mappings?: readonly string[]
    readonly job?: string
    readonly sources?: readonly string[]
  }): Promise<readonly MappingState[]> {
    const request = { mappings: of.mappings ?? [], job: of.job ?? null, sources: of.sources ?? [] }
    return toStates(await this.call('state', request, { doing: 'reading the state of the project' }))
  }

  /**
   * @param name of the function, without what all their names begin with
   * @throws AppError, RowsRefused, StatementTimedOut
   */
  async call(name: string, request: unknown, { doing, rowsOf }: Called): Promise<unknown> {
    const answer = await this.#client.ask({
      method: 'POST',
      path: `rpc/syncline_${name}`,
      query: '',
      schema: must(this.#client.place.schemas[0], 'a schema'),
      body: JSON.stringify({ request }),
      doing,
      ...(rowsOf === undefined ? {} : { rowsOf }),
    })
    try {
      return JSON.parse(answer.body) as unknown
    } catch (error) {
      throw new AppError('connection_lost', `An answer is cut off (while ${doing}).`, { cause: error })
    }
  }
}

function unexpected(name: string): AppError {
  return new AppError('unexpected_answer', `The function syncline_${name} does not answer as it was made to.`)
}

function toTexts(row: unknown): (string | null)[] {
  assert(Array.isArray(row), 'a row of the catalogue is an array')
  return row.map((cell: unknown) => (typeof cell === 'string' ? cell : null))
}

/** @throws AppError `unexpected_answer` */
export function toStates(rows: unknown): MappingState[] {
  if (!Array.isArray(rows)) throw unexpected('state')
  return rows.map((row: unknown): MappingState => {
    if (!isRecord(row)) throw unexpected('state')
    const text = (name: string): string => String(row[name])
    const textOrNull = (name: string): string | null => (typeof row[name] === 'string' ? row[name] : null)
    const phase = text('phase')
    return {
      mapping: text('mapping'),
      job: text('job'),
      epoch: BigInt(text('epoch')),
      phase: phase === 'loading' || phase === 'applying' || phase === 'done' ? phase : 'new',
      inserted: Number(row['inserted']),
      updated: Number(row['updated']),
      deleted: Number(row['deleted']),
      batches: Number(row['batches']),
      hash: text('hash'),
      detection: textOrNull('detection'),
      columns: textOrNull('columns'),
      source: text('source'),
      target: { schema: text('schema'), name: text('table') },
      verifiedSecondsAgo: typeof row['verified'] === 'number' ? row['verified'] : null,
    }
  })
}
