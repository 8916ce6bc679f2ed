import type { KeyFingerprint, RowSource } from '#adapters/adapter.ts'
import type { TablePlan } from '#sync/plan.ts'
import { sameRow } from '#sync/stages/replay-source.ts'
import { rowsByKey } from '#sync/stages/set-aside.ts'

/** Rows in memory at once, of each side. */
const CHUNK_ROWS = 1_000
const CHUNK_BYTES = 4 * 1024 * 1024

/**
 * Which rows differ in their values though their fingerprints agree, as JSON of the key: what two rows hold is compared
 * text by text, and no hash is trusted. Rows whose fingerprints differ do so in their values too, and are not read.
 */
export async function differingValues(
  plan: TablePlan,
  rows: Readonly<Record<'source' | 'target', readonly KeyFingerprint[]>>,
  sides: Readonly<Record<'source' | 'target', RowSource>>,
): Promise<ReadonlySet<string>> {
  const known = new Map(rows.target.map(({ key, fingerprint }) => [JSON.stringify(key), fingerprint]))
  const alike = rows.source.filter(({ key, fingerprint }) => known.get(JSON.stringify(key)) === fingerprint)
  const differing = new Set<string>()
  for (const rows of rowChunks(alike)) {
    const keys = rows.map(({ key }) => key)
    const [here, there] = await Promise.all([
      rowsByKey(sides.source, plan.sourceScan, keys),
      rowsByKey(sides.target, plan.write.scan, keys),
    ])
    for (const id of keys.map((key) => JSON.stringify(key))) {
      const [own, other] = [here.get(id), there.get(id)]
      if (own === undefined || other === undefined || !sameRow(own, other)) differing.add(id)
    }
  }
  return differing
}

/** Rows of which as many as may stand in memory are looked at together. */
export function* rowChunks<T extends { readonly bytes: number }>(rows: readonly T[]): Generator<readonly T[]> {
  let chunk: T[] = []
  let bytes = 0
  for (const row of rows) {
    if (chunk.length > 0 && (chunk.length >= CHUNK_ROWS || bytes + row.bytes > CHUNK_BYTES)) {
      yield chunk
      chunk = []
      bytes = 0
    }
    chunk.push(row)
    bytes += row.bytes
  }
  if (chunk.length > 0) yield chunk
}
