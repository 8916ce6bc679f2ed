import type { z } from 'zod'
import type * as contract from '#api/contract/schema-drift.ts'
import type { SchemaDrift } from '#control/schema-drift.ts'
import { driftWords } from '#model/schema-drift.ts'

/** What has become of the tables of a sync config; null where nobody has looked yet. */
export function presentSchemaDrift(drift: SchemaDrift | null): z.infer<typeof contract.SchemaDrift> {
  if (drift === null) return { known_at: null, seen_at: null, digest: null, changes: [] }
  const { knownAt, seenAt, digest, changes } = drift
  return {
    known_at: knownAt,
    seen_at: seenAt,
    digest,
    changes: changes.map((change) => ({ ...change, table: { ...change.table }, words: driftWords(change) })),
  }
}

export function presentSchemaDriftSummary(drift: SchemaDrift | null) {
  const [first] = drift?.changes ?? []
  if (drift === null || first === undefined) return null
  return { changes: drift.changes.length, first: driftWords(first), seen_at: drift.seenAt }
}
