/**
 * Disposable databases, and the second reader: what a table holds in the server's own words, read by psql and sorted
 * here, with no driver or codec of the product in between.
 */
import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { Writable } from 'node:stream'
import { pipeline } from 'node:stream/promises'
import { promisify } from 'node:util'

import pg from 'pg'
import { to as copyTo } from 'pg-copy-streams'
import { expect } from 'vitest'

import type { TableRef } from '#model/table.ts'

import type { TestServer } from './postgres.ts'
import type { Side, TextRow } from './side.ts'

const run = promisify(execFile)

/** Room for a table's text in psql's output. */
const MAX_OUTPUT_BYTES = 1 << 30

/** Each value as the server writes it, whatever its defaults are; NULL is null. */
const AS_TEXT: pg.CustomTypesConfig = { getTypeParser: () => String }

/** The settings under which two servers write equal values equally. */
const SESSION = {
  timezone: 'UTC',
  datestyle: 'ISO, YMD',
  intervalstyle: 'postgres',
  bytea_output: 'hex',
  extra_float_digits: '1',
  client_encoding: 'UTF8',
  row_security: 'off',
} as const

const SESSION_OPTIONS = Object.entries(SESSION)
  .map(([name, value]) => `-c ${name}=${value.replaceAll(' ', '\\ ')}`)
  .join(' ')

/** A database that goes away with its holder: `await using db = await createDatabase(server)`. */
export class Database implements Side {
  readonly engine = 'PostgreSQL'
  readonly home = 'public'
  readonly name: string
  readonly url: string
  readonly major: number
  readonly #server: TestServer
  #client: Promise<pg.Client> | undefined

  constructor(server: TestServer, name: string) {
    const url = new URL(server.url)
    url.pathname = `/${name}`
    this.name = name
    this.url = url.href
    this.major = server.major
    this.#server = server
  }

  /**
   * Runs a statement, or several separated by `;` where there are no parameters (the rows are then those of the last).
   * Parameters are text, which the server converts; the session's settings are the same on every server.
   */
  async sql(text: string, params: readonly (string | null)[] = []): Promise<TextRow[]> {
    const client = await (this.#client ??= connect(this.url))
    // Without parameters the simple protocol, which alone takes several statements.
    const values = params.length > 0 ? { values: [...params] } : {}
    const result: unknown = await client.query({ text, rowMode: 'array', types: AS_TEXT, ...values })
    const last: unknown = Array.isArray(result) ? result.at(-1) : result
    return last instanceof pg.Result ? last.rows : []
  }

  async each(statements: readonly string[]): Promise<void> {
    if (statements.length > 0) await this.sql(statements.join(';\n'))
  }

  ref(table: string): TableRef {
    return { schema: this.home, name: table }
  }

  quote(name: string): string {
    return quote(name)
  }

  literal(value: string | null): string {
    return value === null ? 'NULL' : `'${value.replaceAll("'", "''")}'`
  }

  numbers(first: number, last: number): string {
    return `generate_series(${first}::bigint, ${last}::bigint) AS numbers(n)`
  }

  analyze(table: string): Promise<unknown> {
    return this.sql(`ANALYZE ${quote(table)}`)
  }

  own(table: string): string {
    return `syncline.${quote(table)}`
  }

  sessions(): Promise<TextRow[]> {
    return this.sql(
      `SELECT pid, state, query FROM pg_stat_activity WHERE application_name = 'syncline' AND datname = current_database()`,
    )
  }

  /** A client of its own for a test that holds a transaction open or watches notices. */
  async connect(): Promise<pg.Client & AsyncDisposable> {
    const client = await connect(this.url)
    return Object.assign(client, { [Symbol.asyncDispose]: () => client.end() })
  }

  /** Ends its session, and leaves the database. */
  async close(): Promise<void> {
    const client = await this.#client?.catch(() => undefined)
    await client?.end().catch(() => undefined)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close()
    await withClient(this.#server.url, (admin) =>
      admin.query(`DROP DATABASE IF EXISTS ${quote(this.name)} WITH (FORCE)`),
    )
  }
}

export async function createDatabase(server: TestServer, encoding = 'UTF8'): Promise<Database> {
  const name = `syncline_test_${randomBytes(6).toString('hex')}`
  // Copied as files, as every server did before 15: by way of the log each block is written twice.
  const strategy = server.major >= 15 ? 'STRATEGY file_copy' : ''
  const like = `TEMPLATE template0 ENCODING '${encoding}' LC_COLLATE 'C' LC_CTYPE 'C' ${strategy}`
  await withClient(server.url, (admin) => admin.query(`CREATE DATABASE ${quote(name)} ${like}`))
  return new Database(server, name)
}

/** A copy of a database of the same server, as it is now; nobody else may be connected to it. */
export async function copyDatabase(server: TestServer, of: Database): Promise<Database> {
  const name = `syncline_test_${randomBytes(6).toString('hex')}`
  await of.close()
  await withClient(server.url, (admin) => admin.query(`CREATE DATABASE ${quote(name)} TEMPLATE ${quote(of.name)}`))
  return new Database(server, name)
}

async function connect(url: string): Promise<pg.Client> {
  const client = new pg.Client({ connectionString: url, options: SESSION_OPTIONS, application_name: 'syncline test' })
  // A server that is killed in a test ends this session too: the next statement says so.
  client.on('error', () => undefined)
  await client.connect()
  return client
}

async function withClient(url: string, use: (client: pg.Client) => Promise<unknown>): Promise<void> {
  const client = await connect(url)
  try {
    await use(client)
  } finally {
    await client.end()
  }
}

/** Quotes an identifier. */
export function quote(name: string): string {
  return `"${name.replaceAll('"', '""')}"`
}

/** A table by name, or by schema and name, as they are stored (unquoted). */
export type TableName = string | readonly [schema: string, name: string]

function quoteTable(table: TableName): string {
  return typeof table === 'string' ? quote(table) : table.map(quote).join('.')
}

/**
 * The lines of the whole table in the server's own COPY text, sorted by bytes. Columns are in the given order, else in
 * the table's.
 */
export async function tableText(db: Database, table: TableName, columns?: readonly string[]): Promise<string[]> {
  const [lines = []] = await textsOf(db, [table], columns)
  return lines
}

async function textsOf(db: Database, tables: readonly TableName[], columns?: readonly string[]): Promise<string[][]> {
  const list = columns ? columns.map(quote).join(', ') : '*'
  const copies = tables.map((table) => `COPY (SELECT ${list} FROM ${quoteTable(table)}) TO STDOUT`)
  const texts = (await hasPsql()) ? await copiesByPsql(db, copies) : await copiesByStream(db, copies)
  return texts.map((bytes) => {
    // Latin-1 keeps every byte apart, so that the order is that of the bytes; a row is one line in COPY text.
    const lines = bytes.toString('latin1').split('\n').slice(0, -1).toSorted()
    return lines.map((line) => Buffer.from(line, 'latin1').toString('utf8'))
  })
}

let psql: Promise<boolean> | undefined

export function hasPsql(): Promise<boolean> {
  return (psql ??= run('psql', ['--version']).then(
    () => true,
    () => false,
  ))
}

/** The bytes of each COPY statement as psql writes them: one process for all, which costs more than a statement. */
export async function copiesByPsql({ url }: Database, copies: readonly string[]): Promise<Buffer[]> {
  const mark = randomBytes(16).toString('hex')
  const commands = copies.flatMap((copy) => ['-c', copy, '-c', `\\echo ${mark}`])
  const { stdout } = await run('psql', ['-X', '-q', '-v', 'ON_ERROR_STOP=1', '-d', url, ...commands], {
    env: { ...process.env, PGOPTIONS: SESSION_OPTIONS, PGCLIENTENCODING: 'UTF8' },
    encoding: 'buffer',
    maxBuffer: MAX_OUTPUT_BYTES,
  })
  const found: Buffer[] = []
  for (let from = 0; from < stdout.length;) {
    const to = stdout.indexOf(`${mark}\n`, from)
    if (to < 0) throw new Error('psql ended in the middle.')
    found.push(stdout.subarray(from, to))
    from = to + mark.length + 1
  }
  return found
}

/** The same where there is no psql: the raw bytes of the protocol's messages. */
export async function copiesByStream({ url }: Database, copies: readonly string[]): Promise<Buffer[]> {
  const found: Buffer[] = []
  await withClient(url, async (client) => {
    for (const copy of copies) {
      const chunks: Buffer[] = []
      const keep = new Writable({
        write(chunk: Buffer, _encoding, done) {
          chunks.push(chunk)
          done()
        },
      })
      await pipeline(client.query(copyTo(copy)), keep)
      found.push(Buffer.concat(chunks))
    }
  })
  return found
}

export interface SameTableOptions {
  /** Name of the table in the second database, where it differs. */
  readonly as?: TableName
  /** Columns to compare, by the names of the first database; all in the table's order where not given. */
  readonly columns?: readonly string[]
  /** The columns' names in the second database, where they differ. */
  readonly columnsAs?: readonly string[]
}

/** Fails unless both tables hold the same rows, by the second reader; says which rows one side lacks. */
export async function expectSameTable(
  a: Database,
  b: Database,
  table: TableName,
  options: SameTableOptions = {},
): Promise<void> {
  const { as = table, columns, columnsAs = columns } = options
  const [left, right] = await Promise.all([tableText(a, table, columns), tableText(b, as, columnsAs)])
  const difference = differenceOf(left, right)
  if (difference) expect.fail(`${quoteTable(table)}: ${difference}`)
}

/** The same of several tables that have the same names and columns on both sides. */
export async function expectSameTables(a: Database, b: Database, tables: readonly TableName[]): Promise<void> {
  const [left, right] = await Promise.all([textsOf(a, tables), textsOf(b, tables)])
  for (const [i, table] of tables.entries()) {
    const difference = differenceOf(left[i] ?? [], right[i] ?? [])
    if (difference) expect.fail(`${quoteTable(table)}: ${difference}`)
  }
}

const SHOWN_LINES = 10
const SHOWN_CHARACTERS = 500

/** What two sorted lists of lines differ by, for people; undefined if by nothing. */
export function differenceOf(left: readonly string[], right: readonly string[]): string | undefined {
  const onlyLeft = without(left, right)
  const onlyRight = without(right, left)
  if (onlyLeft.length === 0 && onlyRight.length === 0) return undefined
  return [
    `${left.length} rows in the first, ${right.length} in the second`,
    ...shown('-', onlyLeft, 'the first'),
    ...shown('+', onlyRight, 'the second'),
  ].join('\n')
}

function shown(mark: string, lines: readonly string[], side: string): string[] {
  const cut = lines.slice(0, SHOWN_LINES).map((line) => `  ${mark} ${shorten(line)}`)
  return [`${lines.length} only in ${side}`, ...cut]
}

function shorten(line: string): string {
  return line.length > SHOWN_CHARACTERS ? `${line.slice(0, SHOWN_CHARACTERS)}… (${line.length} characters)` : line
}

/** The lines that are in the first list more often than in the second. */
function without(lines: readonly string[], others: readonly string[]): string[] {
  const left = new Map<string, number>()
  for (const line of others) left.set(line, (left.get(line) ?? 0) + 1)
  return lines.filter((line) => {
    const count = left.get(line) ?? 0
    left.set(line, count - 1)
    return count <= 0
  })
}
