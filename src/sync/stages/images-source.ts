import type { RowSource } from '#adapters/adapter.ts'
import type { Images } from '#sync/staging.ts'
import { mappedProof } from '#sync/verify/mapped-proof.ts'
import { addProofs } from '#sync/verify/verify-table.ts'
import { withOwnRows } from './own-rows.ts'

/**
 * The rows that a change set brings, as writing and proof ask for them: by their keys. Those that were too large to be kept
 * come from the source itself, and so does all else.
 */
export function imagesSource(base: RowSource, images: Images): RowSource {
  const rows: RowSource['rows'] = async (scan, keys) => {
    const found = images.find(keys)
    const large = found.filter(({ row }) => row === null).map(({ key }) => key)
    const kept = found.flatMap(({ row }) => (row === null ? [] : [row]))
    return large.length === 0 ? kept : [...kept, ...(await base.rows(scan, large))]
  }
  return withOwnRows(base, {
    rows,
    largeRows: (scan, keys) => base.largeRows(scan, keys),
    fingerprints: async (_, keys) =>
      images.find(keys).map(({ key, fingerprint, bytes }) => ({ bucket: 0, key, fingerprint, bytes })),
    proof: async (scan, keys = []) => {
      const found = images.find(keys)
      const large = found.filter(({ row }) => row === null).map(({ key }) => key)
      const own = await mappedProof(async (take) => take(found.flatMap(({ row }) => (row === null ? [] : [row]))))
      return large.length === 0 ? own : addProofs(own, await base.proof(scan, large))
    },
  })
}
