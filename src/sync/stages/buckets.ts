import type { BucketDigest, Bucketing, RowSource } from '#adapters/adapter.ts'
import type { TablePlan } from '#sync/plan.ts'

/** Rows that should fall into a bucket: small enough to re-read cheaply, large enough that digests stay few. */
const ROWS_PER_BUCKET = 256
const MAX_BUCKETS = 65_536
/** Ranges of an integer key serve as buckets only where at least one key in so many is taken. */
const SPARSEST = 16n

/** Chooses how rows fall into buckets: by ranges of a dense integer key, which an index can seek, else by key hash. */
export async function chooseBuckets(
  plan: TablePlan,
  { source, target }: { source: RowSource; target: RowSource },
  rows: number,
): Promise<Bucketing> {
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
  const count = BigInt(wanted)
  const width = (span + count - 1n) / count
  return { by: 'key range', start: min, width, count: Number((span + width - 1n) / width) }
}

/** The digests of one side by bucket, in flat arrays: 65,536 buckets are 1.5 MB. */
export class DigestTable {
  readonly #count: Float64Array
  readonly #xor: BigInt64Array
  readonly #sum: BigInt64Array

  constructor(buckets: number) {
    this.#count = new Float64Array(buckets)
    this.#xor = new BigInt64Array(buckets)
    this.#sum = new BigInt64Array(buckets)
  }

  /** Adds what a slice found; BigInt64Array wraps, as sums modulo 2^64 must. */
  add(slice: readonly BucketDigest[]): number {
    let rows = 0
    for (const { bucket, digest } of slice) {
      rows += digest.count
      this.#count[bucket] = (this.#count[bucket] ?? 0) + digest.count
      this.#xor[bucket] = (this.#xor[bucket] ?? 0n) ^ digest.xor
      this.#sum[bucket] = (this.#sum[bucket] ?? 0n) + digest.sum
    }
    return rows
  }

  rows(bucket: number): number {
    return this.#count[bucket] ?? 0
  }

  get total(): number {
    return this.#count.reduce((sum, count) => sum + count, 0)
  }

  agrees(other: DigestTable, bucket: number): boolean {
    return (
      this.#count[bucket] === other.#count[bucket] &&
      this.#xor[bucket] === other.#xor[bucket] &&
      this.#sum[bucket] === other.#sum[bucket]
    )
  }
}
