import { isRecord } from '#lib/record.ts'
import { AppError } from '#model/errors.ts'
import { tableName } from '#model/table.ts'
import type { Key } from '#model/change.ts'
import type { RestTable } from './description.ts'
import { after, among, anyNull, order, parameter, select } from './filters.ts'
import { refuseCutFloats } from './float-digits.ts'
import { AnswerTooLarge, MAX_QUERY_BYTES, StatementTimedOut, type Answer, type RestClient } from './http.ts'

/** Rows that are asked for at once; a server may have a lower limit of its own (`max-rows`), and says nothing of it. */
const PAGE_ROWS = 1_000
/** Pages are made to hold about so much. */
const PAGE_BYTES = 1024 * 1024

/** A row as the server writes it, column by column in the order of the table. */
export type OwnRow = readonly (string | null)[]

/**
 * Reads a whole table page by page, each page behind the last key of the one before, in the order of that key. It ends
 * where as many rows are read as the server counted, or at an empty page, and never at a short one (hazard A11). Rows that
 * are there all the time, under an unchanged key, are read once; of those that come or go meanwhile, some are.
 * @throws AppError `incomplete_read` where the rows are not as many as were counted, before or after
 */
export async function* readPages(
  client: RestClient,
  table: RestTable,
  key: readonly string[],
): AsyncGenerator<readonly OwnRow[]> {
  const { schema, texts } = table
  const places = key.map((name) => schema.columns.findIndex((column) => column.name === name))
  const asked = schema.columns.map(({ name }, i) => ({ name, cast: texts[i]?.cast ?? true }))
  const fixed = [select(asked), order(key)]
  let limit = PAGE_ROWS
  let last: Key | null = null
  let counted: number | null = null
  let read = 0
  for (;;) {
    const query = [...fixed, parameter('limit', String(limit)), ...(last === null ? [] : [after(key, last)])].join('&')
    let answer: Answer
    try {
      answer = await ask(client, table, { query, ...(last === null ? { count: 'exact' as const } : {}) })
    } catch (error) {
      limit = smaller(error, limit, table)
      continue
    }
    counted ??= countOf(answer, table)
    const rows = rowsOf(answer, table)
    if (last === null) await refuseCutFloats(table, rows, { key, count: (filter) => countRows(client, table, filter) })
    read += rows.length
    if (rows.length > 0) yield rows
    const end = rows.at(-1)
    if (end === undefined || read >= counted) break
    last = places.map((place) => end[place] ?? null)
    limit = fit(limit, rows.length, answer.body.length)
  }
  if (read !== counted) await refuseCut(client, table, { key, read, before: counted })
}

/** Keys that are named in one URL. */
const KEYS_AT_ONCE = 100

/**
 * Reads the rows of some keys, as they are now.
 * @throws AppError `incomplete_read` where the server gives fewer than it counts; `key_too_long`
 */
export async function readKeys(
  client: RestClient,
  table: RestTable,
  { columns, keys }: { columns: readonly string[]; keys: readonly Key[] },
): Promise<readonly OwnRow[]> {
  const asked = select(table.schema.columns.map(({ name }, i) => ({ name, cast: table.texts[i]?.cast ?? true })))
  const found: OwnRow[] = []
  let limit = KEYS_AT_ONCE
  for (let start = 0; start < keys.length;) {
    const some = keys.slice(start, start + limit)
    const query = [asked, among(columns, some)].join('&')
    if (query.length > MAX_QUERY_BYTES && limit > 1) {
      limit = Math.ceil(limit / 2)
      continue
    }
    let answer: Answer
    try {
      answer = await ask(client, table, { query, count: 'exact' })
    } catch (error) {
      limit = smaller(error, limit, table)
      continue
    }
    const rows = rowsOf(answer, table)
    const counted = countOf(answer, table)
    // A limit of the server's own cuts in silence; fewer keys may pass below it.
    if (rows.length < counted && limit > 1) {
      limit = Math.ceil(limit / 2)
      continue
    }
    if (rows.length !== counted) {
      const name = tableName(table.schema.ref)
      throw new AppError('incomplete_read', `${name}: the API counts ${counted} rows and gave ${rows.length}.`)
    }
    if (found.length === 0) {
      await refuseCutFloats(table, rows, { key: columns, count: (filter) => countRows(client, table, filter) })
    }
    found.push(...rows)
    start += some.length
  }
  return found
}

/** How many rows there are. */
export async function countRows(client: RestClient, table: RestTable, filter?: string): Promise<number> {
  const query = [oneColumn(table), parameter('limit', '1'), ...(filter === undefined ? [] : [filter])].join('&')
  try {
    return countOf(await ask(client, table, { query, count: 'exact', method: 'HEAD' }), table)
  } catch (error) {
    if (!(error instanceof StatementTimedOut)) throw error
    throw tooSlow(table)
  }
}

/** Rows that the server's statistics promise; null where it gives none. */
export async function estimateRows(client: RestClient, table: RestTable): Promise<number | null> {
  const query = [oneColumn(table), parameter('limit', '1')].join('&')
  const answer = await ask(client, table, { query, count: 'planned', method: 'HEAD' })
  return totalOf(answer)
}

/** The first rows, in whatever order. */
export async function firstRows(client: RestClient, table: RestTable, limit: number): Promise<readonly OwnRow[]> {
  const asked = table.schema.columns.map(({ name }, i) => ({ name, cast: table.texts[i]?.cast ?? true }))
  const query = [select(asked), parameter('limit', String(limit))].join('&')
  try {
    return rowsOf(await ask(client, table, { query }), table)
  } catch (error) {
    smaller(error, 1, table)
    throw error
  }
}

export function countNullKeys(client: RestClient, table: RestTable, key: readonly string[]): Promise<number> {
  return countRows(client, table, anyNull(key))
}

function oneColumn({ schema: { columns } }: RestTable): string {
  return select(columns.slice(0, 1).map(({ name }) => ({ name, cast: false })))
}

interface Asked {
  readonly query: string
  readonly count?: 'exact' | 'planned'
  readonly method?: 'GET' | 'HEAD'
}

function ask(
  client: RestClient,
  { schema: { ref } }: RestTable,
  { query, count, method = 'GET' }: Asked,
): Promise<Answer> {
  return client.ask({
    method,
    path: encodeURIComponent(ref.name),
    query,
    schema: ref.schema,
    ...(count === undefined ? {} : { count }),
    doing: `reading ${tableName(ref)}`,
  })
}

/** What to ask for next, so that a page holds neither too much nor too little. */
function fit(limit: number, rows: number, bytes: number): number {
  const wanted = Math.floor((PAGE_BYTES / Math.max(1, bytes)) * rows)
  return Math.max(1, Math.min(PAGE_ROWS, wanted, limit * 2))
}

/** A page that is too much for us or for the server's clock is cut; a single row cannot be. */
function smaller(error: unknown, limit: number, { schema: { ref } }: RestTable): number {
  if (!(error instanceof AnswerTooLarge) && !(error instanceof StatementTimedOut)) throw error
  if (limit > 1) return Math.max(1, Math.floor(limit / 8))
  if (error instanceof StatementTimedOut) throw tooSlow({ schema: { ref } })
  throw new AppError('unexpected_answer', `A row of ${tableName(ref)} is too large to be read over the API.`, {
    hint: 'Use the connection string of the database in place of the project URL.',
  })
}

function tooSlow({ schema: { ref } }: { schema: Pick<RestTable['schema'], 'ref'> }): AppError {
  return new AppError(
    'server_unavailable',
    `The API ends statements before the rows of ${tableName(ref)} are counted and read (statement_timeout).`,
    {
      hint: "Raise the time-out of the API's role, for example ALTER ROLE service_role SET statement_timeout = '25s';, or use the connection string of the database.",
    },
  )
}

/** `0-24/3573`, or a star for the range where it is empty. */
function totalOf({ headers }: Answer): number | null {
  const total = /^(?:\d+-\d+|\*)\/(\d+)$/.exec(headers['content-range'] ?? '')?.[1]
  return total === undefined ? null : Number(total)
}

function countOf(answer: Answer, { schema: { ref } }: RestTable): number {
  const total = totalOf(answer)
  if (total !== null) return total
  throw new AppError(
    'unexpected_answer',
    `The API does not count the rows of ${tableName(ref)}, so that nobody can tell whether all have come.`,
  )
}

/** The rows of an answer, each value as the server's own text. @throws AppError where one is not exactly told */
function rowsOf({ body }: Answer, { schema, texts }: RestTable): OwnRow[] {
  const where = tableName(schema.ref)
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch (error) {
    throw new AppError('connection_lost', `A page of ${where} is cut off.`, { cause: error })
  }
  if (!Array.isArray(parsed)) throw new AppError('unexpected_answer', `The API gives no rows of ${where}.`)
  return parsed.map((row: unknown) =>
    texts.map(({ toOwn, setting }, i) => {
      const value = isRecord(row) ? row[`c${i}`] : undefined
      if (value === null) return null
      const own = typeof value === 'string' ? toOwn(value) : null
      if (own !== null) return own
      const column = `${where}.${schema.columns[i]?.name}`
      if (typeof value === 'string' && setting !== '') {
        throw new AppError(
          'ambiguous_text',
          `The API writes ${column} in a form that does not say its exact value: the setting ${setting} of its role is not the default.`,
        )
      }
      throw new AppError('unexpected_answer', `The API does not give ${column} as a text.`)
    }),
  )
}

/** Rows may have come and gone: then the number lies between the two counts. */
async function refuseCut(
  client: RestClient,
  table: RestTable,
  { key, read, before }: { key: readonly string[]; read: number; before: number },
): Promise<void> {
  const now = await countRows(client, table)
  if (now !== before && read >= Math.min(before, now) && read <= Math.max(before, now)) return
  throw new AppError(
    'incomplete_read',
    `${tableName(table.schema.ref)}: the API counts ${now} rows and gave ${read}, in the order of (${key.join(', ')}).`,
  )
}
