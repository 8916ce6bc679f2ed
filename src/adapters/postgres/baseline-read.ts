import type { Bucketing, MappingIdentity } from '#adapters/adapter.ts'
import type { AgreedRow, Baseline } from '#adapters/baseline.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { Digest } from '#model/fingerprint.ts'
import type { Connection, TextRow } from './connection.ts'
import type { Sessions } from './snapshot.ts'
import { quote, xorSql } from './sql.ts'
import { baselineTable } from './state.ts'
import { keyParameters, type TableSql } from './table-sql.ts'

/** Keys in one statement. */
const KEYS_PER_QUERY = 5_000

/** The baseline of a mapping as a snapshot sees it. */
export class PostgresBaseline implements Baseline {
  readonly complete: boolean
  readonly #sessions: Sessions
  readonly #sql: TableSql
  readonly #table: string
  readonly #fields: boolean

  private constructor(sessions: Sessions, sql: TableSql, of: { table: string; complete: boolean; fields: boolean }) {
    this.complete = of.complete
    this.#sessions = sessions
    this.#sql = sql
    this.#table = of.table
    this.#fields = of.fields
  }

  /** Null where there is none that means something under this mapping. */
  static async open(
    sessions: Sessions,
    sql: TableSql,
    { mappingId, mappingHash }: Pick<MappingIdentity, 'mappingId' | 'mappingHash'>,
  ): Promise<PostgresBaseline | null> {
    const table = baselineTable(mappingId)
    return sessions.use(async (connection) => {
      const [there] = await connection.query(
        `SELECT pg_catalog.to_regclass('syncline.state') IS NOT NULL AND pg_catalog.to_regclass($1) IS NOT NULL`,
        [table],
      )
      if (there?.[0] !== 't') return null
      const [state] = await connection.query(
        `SELECT s.baseline_complete, EXISTS (SELECT FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = $3::pg_catalog.regclass AND a.attname = 'fields' AND NOT a.attisdropped)
         FROM syncline.state s WHERE s.mapping_id = $1 AND s.mapping_hash = $2`,
        [mappingId, mappingHash, table],
      )
      if (state === undefined) return null
      return new PostgresBaseline(sessions, sql, { table, complete: state[0] === 't', fields: state[1] === 't' })
    })
  }

  /** The baseline as a relation in which the key's columns have the names that they have in the table. */
  get #from(): string {
    const { columns, keyLength } = this.#sql.scan
    const key = columns.slice(0, keyLength).map(({ name }, i) => `o.k${i} AS ${quote(name)}`)
    const fields = this.#fields ? ', o.fields' : ', NULL::int8[] AS fields'
    return `(SELECT ${key.join(', ')}, o.source_fingerprint, o.target_fingerprint${fields} FROM ${this.#table} o) t`
  }

  get #columns(): string {
    return `t.source_fingerprint, t.target_fingerprint, t.fields, ${this.#sql.keyExpressions.join(', ')}`
  }

  digests(bucketing: Bucketing): ReturnType<Baseline['digests']> {
    const sums = (column: string, major: number): string =>
      `count(${column}), coalesce(${xorSql(column, major)}, 0), coalesce(sum(${column}), 0)`
    return this.#sessions.use(async (connection) => {
      const rows = await connection.query(
        `SELECT b, ${sums('s', connection.major)}, ${sums('t', connection.major)}, count(*) FILTER (WHERE s <> t),
           count(*) FILTER (WHERE t IS NULL), count(*) FILTER (WHERE s IS NULL)
         FROM (SELECT ${this.#sql.bucket(bucketing)} AS b, t.source_fingerprint AS s, t.target_fingerprint AS t
               FROM ${this.#from} OFFSET 0) x GROUP BY b`,
      )
      return rows.map((row) => ({
        bucket: Number(row[0]),
        source: toDigest(row, 1),
        target: toDigest(row, 4),
        differing: { both: Number(row[7]), sourceOnly: Number(row[8]), targetOnly: Number(row[9]) },
      }))
    })
  }

  async *rows(bucketing: Bucketing, buckets: readonly number[] | 'all'): AsyncGenerator<AgreedRow> {
    const bucket = this.#sql.bucket(bucketing)
    const connection = await this.#sessions.acquire()
    try {
      const some = buckets === 'all' ? '' : `WHERE ${bucket} = ANY($1::int8[])`
      const statement = `SELECT ${bucket}, ${this.#columns} FROM ${this.#from} ${some} ORDER BY 1`
      for await (const row of connection.stream(statement, buckets === 'all' ? [] : [buckets])) yield toAgreed(row)
    } finally {
      this.#sessions.release(connection)
    }
  }

  find(keys: readonly Key[]): Promise<readonly AgreedRow[]> {
    return this.#sessions.use(async (connection) => {
      const found: AgreedRow[] = []
      for (let start = 0; start < keys.length; start += KEYS_PER_QUERY) {
        found.push(...(await this.#findSome(connection, keys.slice(start, start + KEYS_PER_QUERY))))
      }
      return found
    })
  }

  async #findSome(connection: Connection, keys: readonly Key[]): Promise<AgreedRow[]> {
    const rows = await connection.query(
      `SELECT 0, ${this.#columns} FROM ${this.#sql.keysFrom(1)} JOIN ${this.#from} ON ${this.#sql.keyEquals('k.k')}`,
      keyParameters(keys, this.#sql.scan.keyLength),
    )
    return rows.map(toAgreed)
  }

  async *differing(): AsyncGenerator<Key> {
    const connection = await this.#sessions.acquire()
    try {
      const statement = `SELECT ${this.#sql.keyExpressions.join(', ')} FROM ${this.#from}
        WHERE t.source_fingerprint IS DISTINCT FROM t.target_fingerprint`
      for await (const row of connection.stream(statement, [])) yield row
    } finally {
      this.#sessions.release(connection)
    }
  }
}

function toDigest(row: TextRow, at: number): Digest {
  return {
    count: Number(row[at]),
    xor: BigInt(must(row[at + 1], 'xor')),
    sum: BigInt.asIntN(64, BigInt(must(row[at + 2], 'sum'))),
  }
}

function toAgreed(row: TextRow): AgreedRow {
  const [bucket, source, target, fields, ...key] = row
  return {
    bucket: Number(bucket),
    source: source ?? null,
    target: target ?? null,
    // The text of an array of numbers: {1,-2}
    fields: fields === null || fields === undefined ? null : fields.slice(1, -1).split(','),
    key,
  }
}
