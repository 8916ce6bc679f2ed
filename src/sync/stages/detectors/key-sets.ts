import type { KeyFingerprint, RowSource, Scan, Snapshot } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import type { TablePlan } from '#sync/plan.ts'
import { chooseBuckets, DigestTable } from '#sync/stages/buckets.ts'
import { BucketReader, type Detection } from '#sync/stages/detect.ts'
import type { Candidates } from './candidates.ts'

interface Sides {
  readonly source: RowSource
  readonly target: Snapshot
  readonly signal: AbortSignal
}

/**
 * The keys that one side alone has: digests of buckets over the key's columns, then the keys of the buckets that differ.
 * Both sides are read from beginning to end in one moment each, so that a key which is missing is missing (hazard A12).
 * `target`: only those that the source has no row for, also none that its filter leaves out.
 */
export function keysOfOneSide(plan: TablePlan, which: 'either' | 'target', sides: Sides): Candidates {
  const counted = { source: 0, target: 0 }
  let whole = false
  const sourceScan = keyScan(which === 'target' ? { ...plan.sourceScan, filter: null } : plan.sourceScan)
  const targetScan = keyScan(plan.write.scan)
  const read = async function* (): AsyncGenerator<Key> {
    const bucketing = await chooseBuckets(plan, sides)
    const digestsOf = async (side: RowSource, scan: Scan): Promise<DigestTable> => {
      const digests = new DigestTable(bucketing.count)
      for await (const slice of side.digests(scan, bucketing)) {
        sides.signal.throwIfAborted()
        digests.add(slice)
      }
      return digests
    }
    const [here, there] = await Promise.all([digestsOf(sides.source, sourceScan), digestsOf(sides.target, targetScan)])
    counted.source = here.total
    counted.target = there.total
    whole = true
    const bad = Array.from({ length: bucketing.count }, (_, bucket) => bucket).filter((b) => !here.agrees(there, b))
    if (bad.length === 0) return
    const some = bad.length === bucketing.count ? 'all' : bad
    const sourceKeys = new BucketReader(sides.source.keys(sourceScan, bucketing, some))
    const targetKeys = new BucketReader(sides.target.keys(targetScan, bucketing, some))
    try {
      for (const bucket of bad) {
        sides.signal.throwIfAborted()
        const [own, other] = await Promise.all([sourceKeys.read(bucket), targetKeys.read(bucket)])
        yield* without(other, own)
        if (which === 'either') yield* without(own, other)
      }
    } finally {
      await Promise.all([sourceKeys.close(), targetKeys.close()])
    }
  }
  return { keys: read(), ofRows: (): Detection['ofRows'] | null => (whole ? counted : null) }
}

function keyScan(scan: Scan): Scan {
  return { ...scan, columns: scan.columns.slice(0, scan.keyLength) }
}

function without(rows: readonly KeyFingerprint[], others: readonly KeyFingerprint[]): Key[] {
  const known = new Set(others.map(({ key }) => JSON.stringify(key)))
  return rows.filter(({ key }) => !known.has(JSON.stringify(key))).map(({ key }) => key)
}
