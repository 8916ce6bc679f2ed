import type { RowSource } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import type { Row } from '#model/value.ts'
import type { Images, KeptImage } from '#sync/staging.ts'
import { mappedProof } from '#sync/verify/mapped-proof.ts'
import { addProofs } from '#sync/verify/verify-table.ts'
import { withOwnRows } from './own-rows.ts'

/** The rows of the base, but for those of which there is an image: these are that. */
export function overlaidSource(base: RowSource, images: Images): RowSource {
  const split = (keys: readonly Key[]): { own: readonly KeptImage[]; rest: readonly Key[] } => {
    const own = images.find(keys)
    if (own.length === 0) return { own, rest: keys }
    const known = new Set(own.map(({ key }) => JSON.stringify(key)))
    return { own, rest: keys.filter((key) => !known.has(JSON.stringify(key))) }
  }
  const rowsOf = (own: readonly KeptImage[]): Row[] => own.flatMap(({ row }) => (row === null ? [] : [row]))
  return withOwnRows(base, {
    rows: async (scan, keys, of) => {
      const { own, rest } = split(keys)
      return rest.length === 0 ? rowsOf(own) : [...rowsOf(own), ...(await base.rows(scan, rest, of))]
    },
    largeRows: async (scan, keys) => {
      const { own, rest } = split(keys)
      return rest.length === 0 ? rowsOf(own) : [...rowsOf(own), ...(await base.largeRows(scan, rest))]
    },
    // Those of the images are of no side: they equal nothing that is there.
    fingerprints: async (scan, keys) => {
      const { own, rest } = split(keys)
      const found = own.map(({ key, bytes }) => ({ bucket: 0, key, fingerprint: '', bytes }))
      return rest.length === 0 ? found : [...found, ...(await base.fingerprints(scan, rest))]
    },
    proof: async (scan, keys) => {
      if (keys === undefined) return await base.proof(scan)
      const { own, rest } = split(keys)
      if (own.length === 0) return await base.proof(scan, keys)
      const proof = await mappedProof(async (take) => take(rowsOf(own)))
      return rest.length === 0 ? proof : addProofs(proof, await base.proof(scan, rest))
    },
  })
}

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
