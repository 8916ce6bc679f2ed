/** What bisection asks of a server, for each engine: checksums and rows of a segment, and that rows be written. */
import pg from 'pg'
import { Connection } from '#adapters/mysql/connection.ts'
import { parseMysqlEndpoint } from '#adapters/mysql/endpoint.ts'

/** How a column is made the same text on two engines; `plain`: by a cast. */
export type Kind = 'plain' | 'boolean' | 'time' | 'moment' | 'float' | 'bytes'

export interface BisectColumn {
  readonly name: string
  readonly kind: Kind
}

export type Cells = (string | null)[]

export interface Segment {
  /** `[from, to)` of the integer key. */
  readonly from: bigint
  readonly to: bigint
}

/** One side of a bisection; the first column is the key. */
export interface BisectSide {
  bounds(): Promise<Cells>
  /** How many rows, and the sum of 60 bits of the MD5 of each. */
  checksum(segment: Segment): Promise<Cells>
  rows(segment: Segment): Promise<Cells[]>
  apply(upserts: readonly Cells[], deletes: readonly string[]): Promise<void>
  end(): Promise<void>
}

export function openBisectSide(url: string, table: string, columns: readonly BisectColumn[]): Promise<BisectSide> {
  return url.startsWith('mysql:') ? openMariadb(url, table, columns) : openPostgres(url, table, columns)
}

const CONNECTIONS = 1
const TEXT = { getTypeParser: () => (value: string | Buffer) => value }

/** The columns of a table of PostgreSQL, each as its text. */
export async function columnsOf(url: string, table: string): Promise<BisectColumn[]> {
  const client = new pg.Client({ connectionString: url })
  await client.connect()
  const { rows } = await client.query<{ name: string }>(
    `SELECT quote_ident(attname) AS name FROM pg_attribute WHERE attrelid = $1::regclass AND attnum > 0 AND NOT attisdropped ORDER BY attnum`,
    [table],
  )
  await client.end()
  return rows.map(({ name }) => ({ name, kind: 'plain' }))
}

const POSTGRES: Readonly<Record<Kind, (name: string) => string>> = {
  plain: (name) => `${name}::text`,
  boolean: (name) => `${name}::int::text`,
  time: (name) => `to_char(${name}, 'YYYY-MM-DD HH24:MI:SS.US')`,
  moment: (name) => `to_char(${name} AT TIME ZONE 'UTC', 'YYYY-MM-DD HH24:MI:SS.US')`,
  float: (name) => `${name}::numeric(30, 8)::text`,
  bytes: (name) => `encode(${name}, 'hex')`,
}

async function openPostgres(url: string, table: string, columns: readonly BisectColumn[]): Promise<BisectSide> {
  const pool = new pg.Pool({ connectionString: url, max: CONNECTIONS, types: TEXT, options: '-c timezone=UTC' })
  const ask = async (text: string, values: unknown[] = []): Promise<Cells[]> =>
    (await pool.query<Cells>({ text, values, rowMode: 'array' })).rows
  const key = columns[0]?.name ?? 'id'
  const row = columns.map(({ name, kind }) => `coalesce(${POSTGRES[kind](name)}, '<null>')`).join(` || '|' || `)
  const exact = columns.map(({ name, kind }) => POSTGRES[kind === 'float' ? 'plain' : kind](name))
  const within = `${table} WHERE ${key} >= $1 AND ${key} < $2`
  const sum = `SELECT count(*), sum(('x' || substring(md5(${row}), 18))::bit(60)::int8) FROM ${within}`
  return {
    bounds: async () => (await ask(`SELECT min(${key}), max(${key}), count(*) FROM ${table}`))[0] ?? [],
    checksum: async ({ from, to }) => (await ask(sum, [from, to]))[0] ?? [],
    rows: ({ from, to }) => ask(`SELECT ${exact.join(', ')} FROM ${within}`, [from, to]),
    apply: async (upserts, deletes) => {
      const client = await pool.connect()
      await client.query('BEGIN')
      for (const id of deletes) await client.query(`DELETE FROM ${table} WHERE ${key} = $1`, [id])
      const names = columns.map(({ name }) => name)
      const sets = names.slice(1).map((name) => `${name} = excluded.${name}`)
      const marks = columns.map(({ kind }, i) => (kind === 'bytes' ? `decode($${i + 1}, 'hex')` : `$${i + 1}`))
      for (const values of upserts) {
        await client.query({
          name: 'upsert',
          text: `INSERT INTO ${table} (${names.join(', ')}) VALUES (${marks.join(', ')}) ON CONFLICT (${key}) DO UPDATE SET ${sets.join(', ')}`,
          values,
        })
      }
      await client.query('COMMIT')
      client.release()
    },
    end: () => pool.end(),
  }
}

const MARIADB: Readonly<Record<Kind, (name: string) => string>> = {
  plain: (name) => `CONVERT(${name} USING utf8mb4)`,
  boolean: (name) => `CAST(${name} AS CHAR)`,
  time: (name) => `DATE_FORMAT(${name}, '%Y-%m-%d %H:%i:%s.%f')`,
  moment: (name) => `DATE_FORMAT(${name}, '%Y-%m-%d %H:%i:%s.%f')`,
  float: (name) => `CAST(CAST(${name} AS DECIMAL(30, 8)) AS CHAR)`,
  bytes: (name) => `LOWER(HEX(${name}))`,
}

async function openMariadb(url: string, table: string, columns: readonly BisectColumn[]): Promise<BisectSide> {
  const connection = await Connection.open(parseMysqlEndpoint(url), { readOnly: false })
  const key = columns[0]?.name ?? 'id'
  const row = `CONCAT_WS('|', ${columns.map(({ name, kind }) => `IFNULL(${MARIADB[kind](name)}, '<null>')`).join(', ')})`
  const exact = columns.map(({ name, kind }) => MARIADB[kind === 'float' ? 'plain' : kind](name))
  const within = ({ from, to }: Segment): string => `${table} WHERE ${key} >= ${from} AND ${key} < ${to}`
  const sum = `SELECT CAST(COUNT(*) AS CHAR), CAST(SUM(CAST(CONV(SUBSTRING(MD5(${row}), 18), 16, 10) AS UNSIGNED)) AS CHAR)`
  return {
    bounds: async () => (await connection.query(`SELECT MIN(${key}), MAX(${key}), COUNT(*) FROM ${table}`))[0] ?? [],
    checksum: async (segment) => (await connection.query(`${sum} FROM ${within(segment)}`))[0] ?? [],
    rows: (segment) => connection.query(`SELECT ${exact.join(', ')} FROM ${within(segment)}`),
    apply: async (upserts, deletes) => {
      const names = columns.map(({ name }) => name)
      const sets = names.slice(1).map((name) => `${name} = VALUES(${name})`)
      const marks = columns.map(({ kind }) => (kind === 'bytes' ? 'UNHEX(?)' : '?'))
      const upsert = `INSERT INTO ${table} (${names.join(', ')}) VALUES (${marks.join(', ')}) ON DUPLICATE KEY UPDATE ${sets.join(', ')}`
      await connection.transaction('write', async () => {
        for (const id of deletes) await connection.execute(`DELETE FROM ${table} WHERE ${key} = ?`, [id])
        for (const values of upserts) await connection.execute(upsert, values)
      })
    },
    end: () => connection[Symbol.asyncDispose](),
  }
}
