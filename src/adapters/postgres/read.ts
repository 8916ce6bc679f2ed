import type { BucketDigest, Bucketing, Claim, KeyFingerprint, Parts, Scan, SequenceState } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { Row } from '#model/value.ts'
import type { Connection, TextRow } from './connection.ts'
import type { PgTable } from './introspect.ts'
import { quoteTable, xorSql } from './sql.ts'
import { baselineTable } from './state.ts'
import { keyParameters, type TableSql } from './table-sql.ts'

/** How long a slice should take. Short slices let other work of the server pass, and show progress. */
const SLICE_MS = 500
const FIRST_SLICE_PAGES = 2_048
/** Keys in one statement: enough that the round trip does not matter, few enough to plan and send quickly. */
export const KEYS_PER_QUERY = 5_000
/** Buckets whose parts one statement digests: what it answers with stands in memory. */
export const BUCKETS_PER_QUERY = 512
/** Beyond this share of bad buckets one pass over the table is cheaper than a range scan for each. */
const RANGE_SCAN_SHARE = 0.2

/** Ranges of a table that one statement reads: heap blocks where the server can seek to them, else the whole. */
interface Slice {
  readonly from: string
  readonly where: string
  readonly pages: number
}

/**
 * The difference pass (DESIGN 8.4): count, xor and sum of the row fingerprints per bucket, by GROUP BY inside the
 * server, in slices of heap blocks whose size follows the clock. Slices add up because all three are commutative.
 */
export async function* readDigests(
  connection: Connection,
  sql: TableSql,
  bucketing: Bucketing,
): AsyncGenerator<readonly BucketDigest[]> {
  const slicer = new Slicer(sql, connection.major)
  for (let slice = slicer.next(); slice !== null; slice = slicer.next()) {
    const started = performance.now()
    const rows = await connection.query(
      `SELECT b, count(*), ${xorSql('h', connection.major)}, sum(h)
       FROM (SELECT ${sql.bucket(bucketing)} AS b, ${sql.fingerprint} AS h
             FROM ${slice.from} t ${slice.where} OFFSET 0) x GROUP BY b`,
    )
    const digests = rows.map(toBucketDigest)
    const examined = digests.reduce((sum, { digest }) => sum + digest.count, 0)
    // Buckets that are touched by few rows each cost more to send than to compute: then take larger slices.
    slicer.adapt(performance.now() - started, examined, rows.length * 4 > examined)
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
    const selection = rangeSelection(sql.from, { key: sql.keyExpressions[0], ranges: keyRanges(of, some) })
    const rows = await connection.query(
      `SELECT b, count(*), ${xorSql('h', connection.major)}, sum(h)
       FROM (SELECT ${sql.bucket(finer)} AS b, ${sql.fingerprint} AS h FROM ${selection.from} OFFSET 0) x GROUP BY b`,
      selection.parameters,
    )
    yield rows.map(toBucketDigest)
  }
}

/** Walks the heaps of a table in slices. One slice for the whole where there is nothing to seek by. */
class Slicer {
  readonly #heaps: readonly { from: string; pages: number }[]
  readonly #seekable: boolean
  #heap = 0
  #page = 0
  #size = FIRST_SLICE_PAGES

  constructor(sql: TableSql, major: number) {
    const { heaps, schema } = sql.table
    // TID range scans came with 14; before it a range of blocks would read the whole heap each time.
    this.#seekable = heaps.length > 0 && (major >= 14 || schema.kind === 'partitioned')
    this.#heaps = this.#seekable
      ? heaps.map(({ ref, pages }) => ({
          from: sql.filtered(`ONLY ${quoteTable(ref)}`),
          pages: major >= 14 ? pages : 0,
        }))
      : [{ from: sql.from, pages: 0 }]
  }

  next(): Slice | null {
    const heap = this.#heaps[this.#heap]
    if (heap === undefined) return null
    const first = this.#page
    const end = first + this.#size
    const last = end >= heap.pages
    this.#page = last ? 0 : end
    if (last) this.#heap += 1
    // The last slice has no upper end: the heap may have grown since its pages were counted.
    const bounds = [
      ...(first > 0 ? [`t.ctid >= '(${first},0)'::tid`] : []),
      ...(last ? [] : [`t.ctid < '(${end},0)'::tid`]),
    ]
    return {
      from: heap.from,
      where: bounds.length === 0 ? '' : `WHERE ${bounds.join(' AND ')}`,
      pages: this.#size,
    }
  }

  adapt(ms: number, rows: number, tooFine: boolean): void {
    if (rows === 0) return
    const factor = Math.min(4, Math.max(0.25, SLICE_MS / Math.max(ms, 1)))
    this.#size = Math.max(64, Math.round(this.#size * (tooFine ? Math.max(2, factor) : factor)))
  }
}

function toBucketDigest(row: TextRow): BucketDigest {
  return {
    bucket: Number(row[0]),
    digest: {
      count: Number(row[1]),
      xor: BigInt(must(row[2], 'xor')),
      sum: BigInt.asIntN(64, BigInt(must(row[3], 'sum'))),
    },
  }
}

/** Keys and fingerprints of the rows in some buckets, ordered by bucket. */
export async function* readKeys(
  connection: Connection,
  sql: TableSql,
  { bucketing, buckets }: { bucketing: Bucketing; buckets: readonly number[] | 'all' },
): AsyncGenerator<KeyFingerprint> {
  const { scan, sized } = sql
  const selection = bucketSelection(sql, bucketing, buckets)
  const statement = `
    SELECT x.b, ${sized.fingerprint}, ${sized.bytes}, ${keyNames(scan, 'x')}
    FROM (SELECT ${sql.bucket(bucketing)} AS b, ${sized.columns}, ${keyAliases(sql)}
          FROM ${selection.from} OFFSET 0) x
    ORDER BY x.b`
  for await (const row of connection.stream(statement, selection.parameters)) yield toKeyFingerprint(row)
}

/** How the rows of the buckets are found: by index ranges where they are few and the key allows, else by a pass. */
function bucketSelection(
  sql: TableSql,
  bucketing: Bucketing,
  buckets: readonly number[] | 'all',
): { from: string; parameters: unknown[] } {
  if (buckets === 'all') return { from: `${sql.from} t`, parameters: [] }
  const ranges = sql.seeksKeys ? fewRanges(bucketing, buckets) : null
  if (ranges !== null) return rangeSelection(sql.from, { key: sql.keyExpressions[0], ranges })
  return { from: `${sql.from} t WHERE ${sql.bucket(bucketing)} = ANY($1::int8[])`, parameters: [buckets] }
}

interface KeyRange {
  readonly lo: bigint
  readonly hi: bigint
}

/** The key ranges of buckets that are few of all; null where a pass finds them as fast. */
export function fewRanges(bucketing: Bucketing, buckets: readonly number[]): readonly KeyRange[] | null {
  if (bucketing.by !== 'key range' || buckets.length > bucketing.count * RANGE_SCAN_SHARE) return null
  return keyRanges(bucketing, buckets)
}

/** A subquery per range, kept apart by OFFSET 0, so that each is an index range scan. `key` is of row `t`. */
export function rangeSelection(
  from: string,
  { key, ranges }: { key: string | undefined; ranges: readonly KeyRange[] },
): { from: string; parameters: unknown[] } {
  return {
    from: `unnest($1::int8[], $2::int8[]) AS range(lo, hi) CROSS JOIN LATERAL (
             SELECT * FROM ${from} t WHERE ${key} >= range.lo AND ${key} <= range.hi OFFSET 0) t`,
    parameters: [ranges.map((range) => range.lo), ranges.map((range) => range.hi)],
  }
}

const INT8_MIN = -(2n ** 63n)
const INT8_MAX = 2n ** 63n - 1n

/** Inclusive key ranges of buckets, neighbours joined. The first and the last bucket are open at their outer end. */
export function keyRanges(bucketing: Extract<Bucketing, { by: 'key range' }>, buckets: readonly number[]): KeyRange[] {
  const ranges: (KeyRange & { last: number })[] = []
  for (const bucket of [...buckets].sort((a, b) => a - b)) {
    const lo = bucket === 0 ? INT8_MIN : bucketing.start + BigInt(bucket) * bucketing.width
    const hi = bucket === bucketing.count - 1 ? INT8_MAX : bucketing.start + BigInt(bucket + 1) * bucketing.width - 1n
    const previous = ranges.at(-1)
    if (previous?.last === bucket - 1) ranges.splice(-1, 1, { lo: previous.lo, hi, last: bucket })
    else ranges.push({ lo, hi, last: bucket })
  }
  return ranges
}

/** The rows that these keys have, and their fingerprints where asked for. */
export async function readRows(connection: Connection, sql: TableSql, keys: readonly Key[]): Promise<Row[]> {
  const rows: Row[] = []
  for (const part of chunks(keys, KEYS_PER_QUERY)) {
    const found = await connection.query(
      `SELECT ${sql.expressions.join(', ')} FROM ${sql.keysFrom(1)} JOIN ${sql.from} t ON ${sql.keyEquals('k.k')}`,
      keyParameters(part, sql.scan.keyLength),
    )
    for (const row of found) rows.push(row)
  }
  return rows
}

export async function readFingerprints(
  connection: Connection,
  sql: TableSql,
  keys: readonly Key[],
): Promise<KeyFingerprint[]> {
  const { scan, sized } = sql
  const fingerprints: KeyFingerprint[] = []
  for (const part of chunks(keys, KEYS_PER_QUERY)) {
    const found = await connection.query(
      `SELECT 0, ${sized.fingerprint}, ${sized.bytes}, ${keyNames(scan, 'x')}
       FROM (SELECT ${sized.columns}, ${keyAliases(sql)}
             FROM ${sql.keysFrom(1)} JOIN ${sql.from} t ON ${sql.keyEquals('k.k')} OFFSET 0) x`,
      keyParameters(part, scan.keyLength),
    )
    for (const row of found) fingerprints.push(toKeyFingerprint(row))
  }
  return fingerprints
}

function toKeyFingerprint(row: TextRow): KeyFingerprint {
  const [bucket, fingerprint, bytes, ...key] = row
  return {
    bucket: Number(bucket),
    fingerprint: must(fingerprint, 'fingerprint'),
    bytes: Number(bytes),
    key,
  }
}

function keyAliases(sql: TableSql): string {
  return sql.keyExpressions.map((expression, i) => `${expression} AS k${i}`).join(', ')
}

function keyNames(scan: Scan, alias: string): string {
  return Array.from({ length: scan.keyLength }, (_, i) => `${alias}.k${i}`).join(', ')
}

export async function readKeyFaults(
  connection: Connection,
  sql: TableSql,
): Promise<{ nulls: number; duplicates: number; sample: Key | null }> {
  const key = sql.keyExpressions
  const isNull = key.map((expression) => `${expression} IS NULL`).join(' OR ')
  const [nulls] = await connection.query(`SELECT count(*) FROM ${sql.from} t WHERE ${isNull}`)
  const duplicates = await connection.query(
    `SELECT count(*) OVER (), ${key.join(', ')} FROM ${sql.from} t WHERE NOT (${isNull})
     GROUP BY ${key.join(', ')} HAVING count(*) > 1 LIMIT 1`,
  )
  const [first] = duplicates
  return {
    nulls: Number(nulls?.[0] ?? 0),
    duplicates: Number(first?.[0] ?? 0),
    sample: first === undefined ? null : first.slice(1),
  }
}

/** What the planner expects of a scan: it knows how large a table is by now, its partitions, and what a filter leaves. */
export async function readEstimate(connection: Connection, sql: TableSql): Promise<number> {
  const [row] = await connection.query(`EXPLAIN (FORMAT JSON) SELECT FROM ${sql.from} t`)
  const [explained] = JSON.parse(must(row?.[0], 'a plan')) as readonly { Plan: { 'Plan Rows': number } }[]
  return must(explained, 'a plan').Plan['Plan Rows']
}

export async function readKeyBounds(
  connection: Connection,
  sql: TableSql,
): Promise<{ min: bigint; max: bigint } | null> {
  const key = must(sql.keyExpressions[0], 'a key column')
  const [row] = await connection.query(`SELECT min(${key}), max(${key}) FROM ${sql.from} t`)
  const [min, max] = row ?? []
  return min && max ? { min: BigInt(min), max: BigInt(max) } : null
}

/** Where the sequences that feed a table's columns stand. The names come quoted from the catalogue. */
export async function readSequences(connection: Connection, table: PgTable): Promise<SequenceState[]> {
  const states: SequenceState[] = []
  for (const column of table.schema.columns) {
    if (column.sequence === null) continue
    const [row] = await connection.query(`SELECT last_value, is_called FROM ${column.sequence}`)
    if (row?.[0]) states.push({ column: column.name, lastValue: BigInt(row[0]), called: row[1] === 't' })
  }
  return states
}

/** Which of these keys the baseline of a mapping holds, as JSON; none where there is no baseline. */
export async function readOwned(
  connection: Connection,
  sql: TableSql,
  { mappingId, keys }: { mappingId: string; keys: readonly Key[] },
): Promise<ReadonlySet<string>> {
  const baseline = baselineTable(mappingId)
  const [exists] = await connection.query('SELECT pg_catalog.to_regclass($1)', [baseline])
  const owned = new Set<string>()
  if (!exists?.[0]) return owned
  for (const part of chunks(keys, KEYS_PER_QUERY)) {
    const rows = await connection.query(
      `SELECT k.n FROM ${sql.keysFrom(1)} JOIN ${baseline} b ON ${sql.matches('b.k', 'k.k')}`,
      keyParameters(part, sql.scan.keyLength),
    )
    for (const [n] of rows) owned.add(JSON.stringify(part[Number(n) - 1]))
  }
  return owned
}

/** Which of these mappings a run has claimed before. */
export async function readKnownMappings(connection: Connection, ids: readonly string[]): Promise<ReadonlySet<string>> {
  const [exists] = await connection.query(`SELECT pg_catalog.to_regclass('syncline.state')`)
  if (!exists?.[0]) return new Set()
  const rows = await connection.query('SELECT mapping_id FROM syncline.state WHERE mapping_id = ANY($1)', [ids])
  return new Set(rows.map(([id]) => id ?? ''))
}

/**
 * Which of these keys' rows have a present version that a batch of the job made. A batch writes its record where it writes
 * its rows: in one transaction, or in one part of one, and both have its xmin. A record is never changed.
 */
export async function readWrittenBy(
  connection: Connection,
  sql: TableSql,
  { claim, keys }: { claim: Claim; keys: readonly Key[] },
): Promise<Key[]> {
  const ours: Key[] = []
  for (const part of chunks(keys, KEYS_PER_QUERY)) {
    const rows = await connection.query(
      `SELECT k.n FROM ${sql.keysFrom(1)} JOIN ${sql.from} t ON ${sql.keyEquals('k.k')}
       WHERE t.xmin::text IN (SELECT b.xmin::text FROM syncline.batch b
         WHERE b.mapping_id = $${sql.scan.keyLength + 1} AND b.job_id = $${sql.scan.keyLength + 2})`,
      [...keyParameters(part, sql.scan.keyLength), claim.mappingId, claim.jobId],
    )
    for (const [n] of rows) ours.push(part[Number(n) - 1] ?? [])
  }
  return ours
}

export function* chunks<T>(items: readonly T[], size: number): Generator<readonly T[]> {
  for (let start = 0; start < items.length; start += size) yield items.slice(start, start + size)
}
