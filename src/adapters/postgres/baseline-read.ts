import type { Bucketing, MappingIdentity, Parts } from '#adapters/adapter.ts'
import type { AgreedRow, BaseImage, Baseline, BaselineDigest, FoundRow } from '#adapters/baseline.ts'
import { DETAILS } from '#adapters/state-row.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { BaselineDetail } from '#model/conflict.ts'
import type { Digest } from '#model/fingerprint.ts'
import { DETAIL_TYPES } from './baseline-details.ts'
import type { Connection, TextRow } from './connection.ts'
import { BUCKETS_PER_QUERY, chunks, fewRanges, keyRanges, KEYS_PER_QUERY, rangeSelection } from './read.ts'
import type { Sessions } from './snapshot.ts'
import { quote, xorSql } from './sql.ts'
import { baselineTable } from './state.ts'
import { keyParameters, type TableSql } from './table-sql.ts'

interface BaselineFacts {
  readonly table: string
  readonly complete: boolean
  readonly details: readonly BaselineDetail[]
}

/** The baseline of a mapping as a snapshot sees it. */
export class PostgresBaseline implements Baseline {
  readonly complete: boolean
  readonly #sessions: Sessions
  readonly #sql: TableSql
  readonly #table: string
  readonly #details: readonly BaselineDetail[]

  private constructor(sessions: Sessions, sql: TableSql, of: BaselineFacts) {
    this.complete = of.complete
    this.#sessions = sessions
    this.#sql = sql
    this.#table = of.table
    this.#details = of.details
  }

  /** Null where there is none that means something under this mapping. */
  static async open(
    sessions: Sessions,
    sql: TableSql,
    { mappingId, mappingHash }: Pick<MappingIdentity, 'mappingId' | 'mappingHash'>,
  ): Promise<PostgresBaseline | null> {
    const table = baselineTable(mappingId)
    return sessions.use(async (connection) => {
      const [made] = await connection.query(
        `SELECT pg_catalog.to_regclass('syncline.state') IS NOT NULL AND pg_catalog.to_regclass($1) IS NOT NULL`,
        [table],
      )
      if (made?.[0] !== 't') return null
      const [state] = await connection.query(
        // The state of an earlier version does not say what it keeps.
        `SELECT s.baseline_complete, coalesce(pg_catalog.to_jsonb(s) ->> 'baseline_details', 'fields'), ARRAY(SELECT a.attname::text FROM pg_catalog.pg_attribute a
           WHERE a.attrelid = $3::pg_catalog.regclass AND a.attname = ANY($4::text[]) AND NOT a.attisdropped)
         FROM syncline.state s WHERE s.mapping_id = $1 AND s.mapping_hash = $2`,
        [mappingId, mappingHash, table, DETAILS],
      )
      if (state === undefined) return null
      const kept = (state[1] ?? '').split(',')
      const there = must(state[2], 'names of columns').slice(1, -1).split(',')
      const details = DETAILS.filter((name) => kept.includes(name) && there.includes(name))
      return new PostgresBaseline(sessions, sql, { table, complete: state[0] === 't', details })
    })
  }

  /** The baseline as a relation in which the key's columns have the names that they have in the table. */
  get #from(): string {
    const { columns, keyLength } = this.#sql.scan
    const key = columns.slice(0, keyLength).map(({ name }, i) => `o.k${i} AS ${quote(name)}`)
    const details = DETAILS.map((name) =>
      this.#details.includes(name) ? `o.${name}` : `NULL::${DETAIL_TYPES[name]} AS ${name}`,
    )
    return `(SELECT ${key.join(', ')}, o.source_fingerprint, o.target_fingerprint, ${details.join(', ')} FROM ${this.#table} o)`
  }

  get #columns(): string {
    return `t.source_fingerprint, t.target_fingerprint, t.fields IS NOT NULL, t.image IS NOT NULL, ${this.#sql.keyExpressions.join(', ')}`
  }

  digests(bucketing: Bucketing): ReturnType<Baseline['digests']> {
    return this.#sessions.use((connection) =>
      this.#digests(connection, bucketing, { from: `${this.#from} t`, parameters: [] }),
    )
  }

  async *partDigests({ of, buckets, finer }: Parts): AsyncGenerator<readonly BaselineDigest[]> {
    const key = this.#sql.keyExpressions[0]
    for (const some of chunks(buckets, BUCKETS_PER_QUERY)) {
      const selection = rangeSelection(this.#from, { key, ranges: keyRanges(of, some) })
      yield await this.#sessions.use((connection) => this.#digests(connection, finer, selection))
    }
  }

  async #digests(
    connection: Connection,
    bucketing: Bucketing,
    { from, parameters }: ReturnType<typeof rangeSelection>,
  ): Promise<BaselineDigest[]> {
    const sums = (column: string): string =>
      `count(${column}), coalesce(${xorSql(column, connection.major)}, 0), coalesce(sum(${column}), 0)`
    const rows = await connection.query(
      `SELECT b, ${sums('s')}, ${sums('t')}, count(*) FILTER (WHERE s <> t),
         count(*) FILTER (WHERE t IS NULL), count(*) FILTER (WHERE s IS NULL)
       FROM (SELECT ${this.#sql.bucket(bucketing)} AS b, t.source_fingerprint AS s, t.target_fingerprint AS t
             FROM ${from} OFFSET 0) x GROUP BY b`,
      parameters,
    )
    return rows.map((row) => ({
      bucket: Number(row[0]),
      source: toDigest(row, 1),
      target: toDigest(row, 4),
      differing: { both: Number(row[7]), sourceOnly: Number(row[8]), targetOnly: Number(row[9]) },
    }))
  }

  async *rows(bucketing: Bucketing, buckets: readonly number[] | 'all'): AsyncGenerator<AgreedRow> {
    const bucket = this.#sql.bucket(bucketing)
    const { from, parameters } = this.#selection(bucketing, buckets)
    const connection = await this.#sessions.acquire()
    try {
      const statement = `SELECT ${bucket}, ${this.#columns} FROM ${from} ORDER BY 1`
      for await (const row of connection.stream(statement, parameters)) yield toAgreed(row)
    } finally {
      this.#sessions.release(connection)
    }
  }

  #selection(bucketing: Bucketing, buckets: readonly number[] | 'all'): ReturnType<typeof rangeSelection> {
    if (buckets === 'all') return { from: `${this.#from} t`, parameters: [] }
    const ranges = fewRanges(bucketing, buckets)
    if (ranges !== null) return rangeSelection(this.#from, { key: this.#sql.keyExpressions[0], ranges })
    return { from: `${this.#from} t WHERE ${this.#sql.bucket(bucketing)} = ANY($1::int8[])`, parameters: [buckets] }
  }

  find(keys: readonly Key[]): Promise<readonly FoundRow[]> {
    return this.#sessions.use(async (connection) => {
      const found: FoundRow[] = []
      for await (const [fields, ...row] of this.#byKeys(connection, `t.fields, 0, ${this.#columns}`, keys)) {
        // The text of an array of numbers: {1,-2}
        found.push({ ...toAgreed(row), fields: fields?.slice(1, -1).split(',') ?? null })
      }
      return found
    })
  }

  async *#byKeys(connection: Connection, columns: string, keys: readonly Key[]): AsyncGenerator<TextRow> {
    const sql = this.#sql
    for (const some of chunks(keys, KEYS_PER_QUERY)) {
      yield* await connection.query(
        `SELECT ${columns} FROM ${sql.keysFrom(1)} JOIN ${this.#from} t ON ${sql.keyEquals('k.k')}`,
        keyParameters(some, sql.scan.keyLength),
      )
    }
  }

  images(keys: readonly Key[], columns: number): Promise<readonly BaseImage[]> {
    const { keyLength } = this.#sql.scan
    const cells = Array.from({ length: columns }, (_, i) => `t.image[${i + 1}]`)
    return this.#sessions.use(async (connection) => {
      const rows = await connection.query(
        `SELECT ${[...this.#sql.keyExpressions, ...cells].join(', ')}
         FROM ${this.#sql.keysFrom(1)} JOIN ${this.#from} t ON ${this.#sql.keyEquals('k.k')}
         WHERE pg_catalog.cardinality(t.image) = ${columns}`,
        keyParameters(keys, keyLength),
      )
      return rows.map((row) => ({ key: row.slice(0, keyLength), row: row.slice(keyLength) }))
    })
  }

  async *differing(): AsyncGenerator<Key> {
    const connection = await this.#sessions.acquire()
    try {
      const statement = `SELECT ${this.#sql.keyExpressions.join(', ')} FROM ${this.#from} t
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
  const [bucket, source, target, hasFields, hasImage, ...key] = row
  return {
    bucket: Number(bucket),
    source: source ?? null,
    target: target ?? null,
    hasFields: hasFields === 't',
    hasImage: hasImage === 't',
    key,
  }
}
