import type { BucketDigest, Bucketing, KeyFingerprint, Parts } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { Row } from '#model/value.ts'
import { hashLargeRow } from './cells.ts'
import type { Connection, TextRow } from './connection.ts'
import type { ServerVersion } from './server-version.ts'
import { APART, asBytes } from './sql.ts'
import { keyParameter, type TableSql } from './table-sql.ts'
import { openWalker, type Range } from './walk.ts'

/** Keys in one statement, and bytes of them: enough that the round trip does not matter, few enough for a packet. */
const KEYS_PER_QUERY = 2_000
const KEY_BYTES_PER_QUERY = 512 * 1024
/** Buckets whose parts one statement digests: what it answers with stands in memory. */
export const BUCKETS_PER_QUERY = 512
/** Beyond this share of bad buckets one pass over the table is cheaper than a range scan for each. */
const RANGE_SCAN_SHARE = 0.2

/**
 * The difference pass (DESIGN 8.4): count, xor and sum of the row fingerprints per bucket, by GROUP BY inside the
 * server, in ranges of the key that follow the clock. Ranges add up because all three are commutative.
 */
export async function* readDigests(
  connection: Connection,
  sql: TableSql,
  bucketing: Bucketing,
): AsyncGenerator<readonly BucketDigest[]> {
  const walker = await openWalker(connection, sql)
  for (let range = await walker.next(); range !== null; range = await walker.next()) {
    const started = performance.now()
    const digests = await digestRows(connection, sql, { bucket: sql.bucket(bucketing), where: range.where })
    const rows = digests.reduce((sum, { digest }) => sum + digest.count, 0)
    walker.adapt({ ms: performance.now() - started, rows, tooFine: digests.length * 4 > rows })
    yield digests
  }
}

/** Digests of parts of buckets, whose rows an index finds: of what differs, so that it costs little beside the pass before. */
export async function* readPartDigests(
  connection: Connection,
  sql: TableSql,
  { of, buckets, finer }: Parts,
): AsyncGenerator<readonly BucketDigest[]> {
  for (const some of chunks(buckets, BUCKETS_PER_QUERY)) {
    const where = [inRanges(sql.keyColumn(0), keyRanges(of, some))]
    yield await digestRows(connection, sql, { bucket: sql.bucket(finer), where })
  }
}

async function digestRows(
  connection: Connection,
  sql: TableSql,
  { bucket, where }: { bucket: string; where: Range['where'] },
): Promise<BucketDigest[]> {
  const rows = await connection.query(
    `SELECT CAST(b AS CHAR), CAST(COUNT(*) AS CHAR), CAST(COUNT(h) AS CHAR), CAST(BIT_XOR(h) AS CHAR), CAST(SUM(h) AS CHAR)
     FROM (SELECT ${bucket} AS b, ${sql.fingerprint} AS h FROM ${sql.from} t ${sql.where(...where)} ${APART}) x GROUP BY b`,
  )
  const digests = rows.map(toBucketDigest)
  if (rows.every(([, count, hashed]) => count === hashed)) return digests
  for (const large of await readLargeOnes(connection, sql, { bucket, where })) {
    const hash = BigInt(large.fingerprint)
    digests.push({ bucket: large.bucket, digest: { count: 0, xor: hash, sum: hash } })
  }
  return digests
}

/** Rows that the server cannot hash, hashed here. */
async function readLargeOnes(
  connection: Connection,
  sql: TableSql,
  { bucket, where }: { bucket: string; where: Range['where'] },
): Promise<KeyFingerprint[]> {
  const found = await connection.query(
    `SELECT CAST(${bucket} AS CHAR), CAST(${sql.bytes} AS CHAR), ${sql.keyExpressions.join(', ')} FROM ${sql.from} t
     ${sql.where(...where, `${sql.bytes} > @@max_allowed_packet DIV 8`, `${sql.fingerprint} IS NULL`)}`,
  )
  const large: KeyFingerprint[] = []
  for (const [of, bytes, ...key] of found) {
    const fingerprint = (await hashLargeRow(connection, sql, key)).readBigInt64BE(0).toString()
    large.push({ bucket: Number(of), key, fingerprint, bytes: Number(bytes) })
  }
  return large
}

function toBucketDigest(row: TextRow): BucketDigest {
  return {
    bucket: Number(row[0]),
    digest: {
      count: Number(row[1]),
      xor: BigInt.asIntN(64, BigInt(must(row[3], 'xor'))),
      sum: BigInt.asIntN(64, BigInt(row[4] ?? '0')),
    },
  }
}

/** Keys and fingerprints of the rows in some buckets, ordered by bucket. */
export async function* readKeys(
  connection: Connection,
  sql: TableSql,
  { bucketing, buckets }: { bucketing: Bucketing; buckets: readonly number[] | 'all' },
): AsyncGenerator<KeyFingerprint> {
  const bucket = sql.bucket(bucketing)
  const where = bucketCondition(sql, bucketing, buckets)
  // While rows are under way the session answers nothing else: those that the server cannot hash are hashed before.
  const packet = await connection.query('SELECT CAST(@@max_allowed_packet AS CHAR)')
  const mayBeLarge = sql.mostBytes > Number(packet[0]?.[0]) / 8
  const large = new Map<string, KeyFingerprint>()
  for (const one of mayBeLarge ? await readLargeOnes(connection, sql, { bucket, where }) : []) {
    large.set(JSON.stringify(one.key), one)
  }
  const statement = `
    SELECT CAST(x.b AS CHAR), CAST(x.h AS CHAR), CAST(x.bytes AS CHAR), ${keyNames(sql)}
    FROM (SELECT ${bucket} AS b, ${sql.fingerprint} AS h, ${sql.bytes} AS bytes, ${keyAliases(sql)}
          FROM ${sql.from} t ${sql.where(...where)} ${APART}) x
    ORDER BY x.b`
  for await (const row of connection.stream(statement)) {
    const [, hash, , ...key] = row
    yield hash === null ? must(large.get(JSON.stringify(key)), 'a large row') : toKeyFingerprint(row)
  }
}

/** How the rows of the buckets are found: by index ranges where they are few and the key allows, else by a pass. */
function bucketCondition(sql: TableSql, bucketing: Bucketing, buckets: readonly number[] | 'all'): string[] {
  if (buckets === 'all') return []
  if (buckets.length === 0) return ['FALSE']
  if (sql.seeksKeys && bucketing.by === 'key range' && buckets.length <= bucketing.count * RANGE_SCAN_SHARE) {
    return [inRanges(sql.keyColumn(0), keyRanges(bucketing, buckets))]
  }
  return [`${sql.bucket(bucketing)} IN (${buckets.join(', ')})`]
}

interface KeyRange {
  /** Null: from the first, or to the last. */
  readonly lo: bigint | null
  readonly hi: bigint | null
}

/** Inclusive key ranges of buckets, neighbours joined. The first and the last bucket are open at their outer end. */
function keyRanges(bucketing: Extract<Bucketing, { by: 'key range' }>, buckets: readonly number[]): KeyRange[] {
  const ranges: (KeyRange & { last: number })[] = []
  for (const bucket of [...buckets].sort((a, b) => a - b)) {
    const lo = bucket === 0 ? null : bucketing.start + BigInt(bucket) * bucketing.width
    const hi = bucket === bucketing.count - 1 ? null : bucketing.start + BigInt(bucket + 1) * bucketing.width - 1n
    const previous = ranges.at(-1)
    if (previous?.last === bucket - 1) ranges.splice(-1, 1, { lo: previous.lo, hi, last: bucket })
    else ranges.push({ lo, hi, last: bucket })
  }
  return ranges
}

/** The condition that a whole number is in these buckets. */
export function bucketRanges(
  key: string,
  bucketing: Extract<Bucketing, { by: 'key range' }>,
  buckets: readonly number[],
): string {
  return inRanges(key, keyRanges(bucketing, buckets))
}

function inRanges(key: string, ranges: readonly KeyRange[]): string {
  const each = ranges.map(({ lo, hi }) => {
    if (lo !== null && hi !== null) return `${key} BETWEEN ${lo} AND ${hi}`
    return lo !== null ? `${key} >= ${lo}` : hi !== null ? `${key} <= ${hi}` : 'TRUE'
  })
  return each.length === 0 ? 'FALSE' : each.join(' OR ')
}

/** The rows that these keys have. Keys of whichever side: what is no value here is the key of no row. */
export async function readRows(connection: Connection, sql: TableSql, keys: readonly Key[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const part of keyChunks(keys)) {
    const found = await connection.query(`SELECT ${sql.expressions.join(', ')} ${byKeys(sql)}`, [keyParameter(part)])
    for (const row of found) rows.push(row)
  }
  return rows
}

export async function readFingerprints(
  connection: Connection,
  sql: TableSql,
  keys: readonly Key[],
): Promise<KeyFingerprint[]> {
  const fingerprints: KeyFingerprint[] = []
  for (const part of keyChunks(keys)) {
    const found = await connection.query(
      `SELECT '0', CAST(${sql.fingerprint} AS CHAR), CAST(${sql.bytes} AS CHAR), ${sql.keyExpressions.join(', ')} ${byKeys(sql)}`,
      [keyParameter(part)],
    )
    for (const row of found) {
      const [bucket, hash, bytes, ...key] = row
      const own = hash ?? (await hashLargeRow(connection, sql, key)).readBigInt64BE(0).toString()
      fingerprints.push(toKeyFingerprint([bucket ?? null, own, bytes ?? null, ...key]))
    }
  }
  return fingerprints
}

/** The rows of table `t` that the keys of one parameter name, from FROM on. */
export function byKeys(sql: TableSql, ...conditions: readonly string[]): string {
  return `FROM ${sql.keysFrom} STRAIGHT_JOIN ${sql.from} t ON ${sql.keyEquals('k.k')} ${sql.where(...conditions)}`
}

function toKeyFingerprint(row: TextRow): KeyFingerprint {
  const [bucket, fingerprint, bytes, ...key] = row
  return { bucket: Number(bucket), fingerprint: must(fingerprint, 'fingerprint'), bytes: Number(bytes), key }
}

function keyAliases(sql: TableSql): string {
  return sql.keyExpressions.map((expression, i) => `${expression} AS k${i}`).join(', ')
}

function keyNames(sql: TableSql): string {
  return sql.keyExpressions.map((_, i) => `x.k${i}`).join(', ')
}

/** Keys are told apart as texts, by their bytes: the other side tells them apart so. */
export async function readKeyFaults(
  connection: Connection,
  sql: TableSql,
): Promise<{ nulls: number; duplicates: number; sample: Key | null }> {
  const columns = sql.keyExpressions.map((_, i) => sql.keyColumn(i))
  const isNull = columns.map((column) => `${column} IS NULL`).join(' OR ')
  const [nulls] = await connection.query(`SELECT CAST(COUNT(*) AS CHAR) FROM ${sql.from} t ${sql.where(isNull)}`)
  const groups = sql.keyExpressions.map(asBytes).join(', ')
  const duplicates = await connection.query(
    `SELECT CAST(COUNT(*) OVER () AS CHAR), ${keyNames(sql)}
     FROM (SELECT ${sql.keyExpressions.map((e, i) => `MIN(${e}) AS k${i}`).join(', ')} FROM ${sql.from} t
           ${sql.where(`NOT (${isNull})`)} GROUP BY ${groups} HAVING COUNT(*) > 1) x LIMIT 1`,
  )
  const [first] = duplicates
  return {
    nulls: Number(nulls?.[0] ?? 0),
    duplicates: Number(first?.[0] ?? 0),
    sample: first === undefined ? null : first.slice(1),
  }
}

/** A plan as a table: MySQL may be set to write a tree, and MariaDB has no word for it. */
export function explainSql({ mariadb }: Pick<ServerVersion, 'mariadb'>, statement: string): string {
  return `EXPLAIN ${mariadb ? '' : 'FORMAT=TRADITIONAL '}${statement}`
}

/** By the server's statistics; of what a filter, a view or a query leaves, by its plan. */
export async function readEstimate(connection: Connection, sql: TableSql): Promise<number> {
  const rows = await connection.query(explainSql(connection.version, `SELECT 1 FROM ${sql.from} t ${sql.where()}`))
  // Columns: id, select_type, table, (partitions), type, possible_keys, key, key_len, ref, rows, …
  const place = connection.version.mariadb ? 8 : 9
  return rows.reduce((most, row) => Math.max(most, Number(row[place] ?? 0)), 0)
}

export async function readKeyBounds(
  connection: Connection,
  sql: TableSql,
): Promise<{ min: bigint; max: bigint } | null> {
  const key = sql.keyColumn(0)
  const [row] = await connection.query(
    `SELECT CAST(MIN(${key}) AS CHAR), CAST(MAX(${key}) AS CHAR) FROM ${sql.from} t ${sql.where()}`,
  )
  const [min, max] = row ?? []
  return min && max ? { min: BigInt(min), max: BigInt(max) } : null
}

export function* keyChunks(keys: readonly Key[]): Generator<readonly Key[]> {
  let part: Key[] = []
  let bytes = 0
  for (const key of keys) {
    const size = key.reduce((sum, cell) => sum + 4 + (cell?.length ?? 0), 0)
    if (part.length > 0 && (part.length >= KEYS_PER_QUERY || bytes + size > KEY_BYTES_PER_QUERY)) {
      yield part
      part = []
      bytes = 0
    }
    part.push(key)
    bytes += size
  }
  if (part.length > 0) yield part
}

export function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
