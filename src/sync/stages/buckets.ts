import type { BucketDigest, Bucketing, Parts, RowSource, Scan } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { TablePlan } from '#sync/plan.ts'

/** Rows that should fall into a bucket: small enough to re-read cheaply, large enough that digests stay few. */
const ROWS_PER_BUCKET = 256
const MAX_BUCKETS = 65_536
/** Ranges of an integer key serve as buckets only where at least one key in so many is taken. */
const SPARSEST = 16n
/** Into so many parts a bucket is cut that differs: a change then costs the digests of these and the rows of one. */
const PARTS = 16
/** Beyond this share of differing buckets their rows are read at once. */
const MOST_CUT = 0.2

/**
 * Chooses how rows fall into buckets: by ranges of a dense integer key, which an index can seek, else by key hash. Whatever
 * the server's statistics say, or do not say yet, a bucket stays small enough to stand in memory.
 */
export async function chooseBuckets(
  plan: TablePlan,
  { source, target }: { source: RowSource; target: RowSource },
): Promise<Bucketing> {
  const estimates = await Promise.all([source.estimate(plan.sourceScan), target.estimate(plan.write.scan)])
  const rows = Math.max(plan.source.rowEstimate ?? 0, plan.target.rowEstimate ?? 0, ...estimates, 1)
  const wanted = Math.min(MAX_BUCKETS, Math.max(1, Math.ceil(rows / ROWS_PER_BUCKET)))
  const byHash: Bucketing = { by: 'key hash', count: 2 ** Math.ceil(Math.log2(wanted)) }
  if (!plan.integerKey) return byHash
  const bounds = await Promise.all([source.keyBounds(plan.sourceScan), target.keyBounds(plan.write.scan)])
  const known = bounds.filter((bound) => bound !== null)
  if (known.length === 0) return byHash
  const min = known.reduce((low, bound) => (bound.min < low ? bound.min : low), known[0]?.min ?? 0n)
  const max = known.reduce((high, bound) => (bound.max > high ? bound.max : high), known[0]?.max ?? 0n)
  const span = max - min + 1n
  if (span > BigInt(Math.max(rows, 1)) * SPARSEST) return byHash
  // Estimates of small tables are too high: a range of so many keys has no more rows than a bucket should have.
  const even = divideUp(span, BigInt(Math.min(wanted, Number(divideUp(span, BigInt(ROWS_PER_BUCKET))))))
  const width = divideUp(even, BigInt(PARTS)) * BigInt(PARTS)
  return { by: 'key range', start: min, width, count: Number((span + width - 1n) / width) }
}

function divideUp(a: bigint, b: bigint): bigint {
  return (a + b - 1n) / b
}

/** How buckets that differ are cut; null where that is not worth it. */
export function cutBuckets(bucketing: Bucketing, buckets: readonly number[]): Parts | null {
  if (bucketing.by !== 'key range') return null
  if (buckets.length === 0 || buckets.length > bucketing.count * MOST_CUT) return null
  const finer = { ...bucketing, width: bucketing.width / BigInt(PARTS), count: bucketing.count * PARTS }
  return { of: bucketing, buckets, finer }
}

export function* bucketsOf({ count }: Bucketing): Generator<number> {
  for (let bucket = 0; bucket < count; bucket++) yield bucket
}

export function* partsOf({ buckets }: Parts): Generator<number> {
  for (const bucket of buckets) for (let part = 0; part < PARTS; part++) yield bucket * PARTS + part
}

/** Digests of the parts of some buckets on both sides; null where a side would have to pass over its table for them. */
export function readParts(
  { sourceScan, write }: { readonly sourceScan: Scan; readonly write: { readonly scan: Scan } },
  { source, target }: { source: RowSource; target: RowSource },
  parts: Parts,
): Promise<{ source: DigestTable; target: DigestTable }> | null {
  const [here, there] = [source.partDigests(sourceScan, parts), target.partDigests(write.scan, parts)]
  if (here === null || there === null) return null
  const fold = async (slices: AsyncIterable<readonly BucketDigest[]>): Promise<DigestTable> => {
    const digests = DigestTable.ofParts(parts)
    for await (const slice of slices) digests.add(slice)
    return digests
  }
  return Promise.all([fold(here), fold(there)]).then(([sourceParts, targetParts]) => ({
    source: sourceParts,
    target: targetParts,
  }))
}

/** The digests of one side by bucket, in flat arrays: 65,536 buckets are 1.5 MB. */
export class DigestTable {
  readonly #count: Float64Array
  readonly #xor: BigInt64Array
  readonly #sum: BigInt64Array
  readonly #placeOf: (bucket: number) => number

  constructor(buckets: number, placeOf: (bucket: number) => number = (bucket) => bucket) {
    this.#count = new Float64Array(buckets)
    this.#xor = new BigInt64Array(buckets)
    this.#sum = new BigInt64Array(buckets)
    this.#placeOf = placeOf
  }

  /** Room for the parts of these buckets alone. */
  static ofParts({ buckets }: Parts): DigestTable {
    const first = new Map(buckets.map((bucket, i) => [bucket, i * PARTS]))
    return new DigestTable(
      buckets.length * PARTS,
      (part) => must(first.get(Math.floor(part / PARTS)), 'a bucket that was asked for') + (part % PARTS),
    )
  }

  /** Adds what a slice found; BigInt64Array wraps, as sums modulo 2^64 must. */
  add(slice: readonly BucketDigest[]): number {
    let rows = 0
    for (const { bucket, digest } of slice) {
      rows += digest.count
      const at = this.#placeOf(bucket)
      this.#count[at] = (this.#count[at] ?? 0) + digest.count
      this.#xor[at] = (this.#xor[at] ?? 0n) ^ digest.xor
      this.#sum[at] = (this.#sum[at] ?? 0n) + digest.sum
    }
    return rows
  }

  rows(bucket: number): number {
    return this.#count[this.#placeOf(bucket)] ?? 0
  }

  get total(): number {
    return this.#count.reduce((sum, count) => sum + count, 0)
  }

  agrees(other: DigestTable, bucket: number): boolean {
    const at = this.#placeOf(bucket)
    return this.#count[at] === other.#count[at] && this.#xor[at] === other.#xor[at] && this.#sum[at] === other.#sum[at]
  }
}
