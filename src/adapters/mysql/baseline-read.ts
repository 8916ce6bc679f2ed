import type { Bucketing, MappingIdentity, Parts } from '#adapters/adapter.ts'
import type { AgreedRow, BaseImage, Baseline, BaselineDigest, FoundRow } from '#adapters/baseline.ts'
import { toDetails } from '#adapters/state-row.ts'
import type { Key } from '#model/change.ts'
import type { BaselineDetail } from '#model/conflict.ts'
import type { Digest } from '#model/fingerprint.ts'
import { must } from '#lib/assert.ts'
import type { Column } from '#model/table.ts'
import { readFields, readImage } from './baseline-details.ts'
import { baselineKeyEquals, baselineKeyText, keyColumns } from './baseline-sql.ts'
import type { Connection, TextRow } from './connection.ts'
import { keyHashBucketSql } from './fingerprint-sql.ts'
import { baselineName, baselineTable, ownTable } from './own-tables.ts'
import { bucketRanges, BUCKETS_PER_QUERY, chunks, keyChunks } from './read.ts'
import type { Sessions } from './snapshot.ts'
import { APART } from './sql.ts'
import { orNothing } from './state-read.ts'
import { hasTable } from './state-tables.ts'
import { keyParameter, rangeBucketSql, type TableSql } from './table-sql.ts'

interface BaselineFacts {
  readonly table: string
  readonly complete: boolean
  readonly details: readonly BaselineDetail[]
}

/** The baseline of a mapping as a snapshot sees it. */
export class MysqlBaseline implements Baseline {
  readonly complete: boolean
  readonly #sessions: Sessions
  readonly #sql: TableSql
  readonly #table: string
  readonly #details: readonly BaselineDetail[]
  readonly #key: readonly Column[]

  private constructor(sessions: Sessions, sql: TableSql, of: BaselineFacts) {
    this.complete = of.complete
    this.#sessions = sessions
    this.#sql = sql
    this.#table = of.table
    this.#details = of.details
    const { columns, keyLength } = sql.scan
    this.#key = keyColumns(
      sql.table,
      columns.slice(0, keyLength).map(({ name }) => name),
    )
  }

  /** Null where there is none that means something under this mapping. */
  static async open(
    sessions: Sessions,
    sql: TableSql,
    { mappingId, mappingHash }: Pick<MappingIdentity, 'mappingId' | 'mappingHash'>,
  ): Promise<MysqlBaseline | null> {
    return sessions.use(async (connection) => {
      if (!(await hasTable(connection, baselineName(mappingId)))) return null
      const { database } = connection.endpoint
      const table = baselineTable(database, mappingId)
      return await orNothing(null, async () => {
        const [state] = await connection.query(
          `SELECT baseline_complete, baseline_details FROM ${ownTable(database, 'state')}
           WHERE mapping_id = ? AND mapping_hash = ?`,
          [mappingId, mappingHash],
        )
        await connection.query(`SELECT 1 FROM ${table} LIMIT 1`)
        if (state === undefined) return null
        return new MysqlBaseline(sessions, sql, { table, complete: state[0] === '1', details: toDetails(state[1]) })
      })
    })
  }

  /** The key's canonical texts. */
  get #keyTexts(): string[] {
    return this.#key.map((column, i) => baselineKeyText(column, `b.k${i}`))
  }

  #detail(name: BaselineDetail): string {
    return this.#details.includes(name) ? `b.${name}` : 'NULL'
  }

  get #columns(): string {
    const known = (name: BaselineDetail): string => `CAST(${this.#detail(name)} IS NOT NULL AS CHAR)`
    return `CAST(b.source_fingerprint AS CHAR), CAST(b.target_fingerprint AS CHAR), ${known('fields')}, ${known('image')}, ${this.#keyTexts.join(', ')}`
  }

  #bucket(bucketing: Bucketing): string {
    if (bucketing.by === 'key range') return rangeBucketSql('b.k0', bucketing)
    const texts = this.#keyTexts.map((text) => ({ column: text, text }))
    return keyHashBucketSql(texts, bucketing.count)
  }

  digests(bucketing: Bucketing): ReturnType<Baseline['digests']> {
    return this.#sessions.use((connection) => this.#digests(connection, bucketing, ''))
  }

  async *partDigests({ of, buckets, finer }: Parts): AsyncGenerator<readonly BaselineDigest[]> {
    for (const some of chunks(buckets, BUCKETS_PER_QUERY)) {
      const where = `WHERE ${bucketRanges('b.k0', of, some)}`
      yield await this.#sessions.use((connection) => this.#digests(connection, finer, where))
    }
  }

  async #digests(connection: Connection, bucketing: Bucketing, where: string): Promise<BaselineDigest[]> {
    const sums = (column: string): string =>
      `CAST(COUNT(${column}) AS CHAR), CAST(BIT_XOR(${column}) AS CHAR), CAST(COALESCE(SUM(${column}), 0) AS CHAR)`
    const count = (condition: string): string => `CAST(COALESCE(SUM(${condition}), 0) AS CHAR)`
    const rows = await connection.query(
      `SELECT CAST(x.b AS CHAR), ${sums('x.s')}, ${sums('x.t')}, ${count('COALESCE(x.s <> x.t, 0)')},
         ${count('x.t IS NULL')}, ${count('x.s IS NULL')}
       FROM (SELECT ${this.#bucket(bucketing)} AS b, b.source_fingerprint AS s, b.target_fingerprint AS t
             FROM ${this.#table} b ${where} ${APART}) x GROUP BY x.b`,
    )
    return rows.map((row) => ({
      bucket: Number(row[0]),
      source: toDigest(row, 1),
      target: toDigest(row, 4),
      differing: { both: Number(row[7]), sourceOnly: Number(row[8]), targetOnly: Number(row[9]) },
    }))
  }

  async *rows(bucketing: Bucketing, buckets: readonly number[] | 'all'): AsyncGenerator<AgreedRow> {
    const bucket = this.#bucket(bucketing)
    const connection = await this.#sessions.acquire()
    try {
      const statement = `SELECT CAST(${bucket} AS CHAR), ${this.#columns} FROM ${this.#table} b
        ${this.#inBuckets(bucketing, buckets)} ORDER BY ${bucket}`
      for await (const row of connection.stream(statement)) yield toAgreed(row)
    } finally {
      this.#sessions.release(connection)
    }
  }

  #inBuckets(bucketing: Bucketing, buckets: readonly number[] | 'all'): string {
    if (buckets === 'all') return ''
    if (buckets.length === 0) return 'WHERE FALSE'
    if (bucketing.by === 'key range') return `WHERE ${bucketRanges('b.k0', bucketing, buckets)}`
    return `WHERE ${this.#bucket(bucketing)} IN (${buckets.join(', ')})`
  }

  find(keys: readonly Key[]): Promise<readonly FoundRow[]> {
    return this.#sessions.use(async (connection) => {
      const found: FoundRow[] = []
      const columns = `${this.#detail('fields')}, '0', ${this.#columns}`
      for await (const [fields, ...row] of this.#byKeys(connection, columns, keys)) {
        found.push({ ...toAgreed(row), fields: readFields(fields) })
      }
      return found
    })
  }

  async *#byKeys(connection: Connection, columns: string, keys: readonly Key[]): AsyncGenerator<TextRow> {
    const { keysFrom, scan, table } = this.#sql
    const same = baselineKeyEquals(table, scan, 'k.k')
    for (const some of keyChunks(keys)) {
      const statement = `SELECT ${columns} FROM ${keysFrom} STRAIGHT_JOIN ${this.#table} b ON ${same}`
      yield* await connection.query(statement, [keyParameter(some)])
    }
  }

  images(keys: readonly Key[], columns: number): Promise<readonly BaseImage[]> {
    return this.#sessions.use(async (connection) => {
      const found: BaseImage[] = []
      const wanted = [this.#detail('image'), ...this.#keyTexts].join(', ')
      for await (const [image, ...key] of this.#byKeys(connection, wanted, keys)) {
        const row = image ? readImage(image) : []
        if (image && row.length === columns) found.push({ key, row })
      }
      return found
    })
  }

  async *differing(): AsyncGenerator<Key> {
    const connection = await this.#sessions.acquire()
    try {
      const statement = `SELECT ${this.#keyTexts.join(', ')} FROM ${this.#table} b
        WHERE NOT (b.source_fingerprint <=> b.target_fingerprint)`
      for await (const row of connection.stream(statement)) yield row
    } finally {
      this.#sessions.release(connection)
    }
  }
}

function toDigest(row: TextRow, at: number): Digest {
  return {
    count: Number(row[at]),
    xor: BigInt.asIntN(64, BigInt(must(row[at + 1], 'xor'))),
    sum: BigInt.asIntN(64, BigInt(must(row[at + 2], 'sum'))),
  }
}

function toAgreed(row: TextRow): AgreedRow {
  const [bucket, source, target, hasFields, hasImage, ...key] = row
  return {
    bucket: Number(bucket),
    source: source ?? null,
    target: target ?? null,
    hasFields: hasFields === '1',
    hasImage: hasImage === '1',
    key,
  }
}
