import type { RowSource } from '#adapters/adapter.ts'

/** What a source gives by keys. */
export type ByKeys = Pick<RowSource, 'rows' | 'largeRows' | 'fingerprints' | 'proof'>

/** A source whose rows by keys are others; all else is as the base has it. */
export function withOwnRows(base: RowSource, own: ByKeys): RowSource {
  return {
    count: (scan) => base.count(scan),
    estimate: (scan) => base.estimate(scan),
    keyBounds: (scan) => base.keyBounds(scan),
    keyFaults: (scan) => base.keyFaults(scan),
    digests: (scan, bucketing) => base.digests(scan, bucketing),
    partDigests: (scan, parts) => base.partDigests(scan, parts),
    keys: (scan, bucketing, buckets) => base.keys(scan, bucketing, buckets),
    sample: (scan, limit) => base.sample(scan, limit),
    copyFormats: (scan) => base.copyFormats(scan),
    pieces: (scan, bytes) => base.pieces(scan, bytes),
    copyOut: (scan, piece, format) => base.copyOut(scan, piece, format),
    sequences: (table) => base.sequences(table),
    ...own,
  }
}
