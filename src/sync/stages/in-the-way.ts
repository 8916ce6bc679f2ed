import type { KeyFingerprint } from '#adapters/adapter.ts'
import type { Key } from '#model/change.ts'
import { takesValue, type ResolvedConflict } from '#model/conflict.ts'
import { LARGE_ROW_BYTES, type Row } from '#model/value.ts'
import type { TablePlan } from '#sync/plan.ts'
import { rowsByKey } from './set-aside.ts'
import type { Judged, ThreeWayContext } from './three-way.ts'

/** The row that was in the way of what was decided (`unique_clash`), as it is now. */
export interface Held {
  readonly judged: Judged
  readonly moved: boolean
  /** The row once it has given way; null where it cannot. */
  readonly yielded: Row | null
}

/** The rows in the way of what was decided, by the ids of the decisions. */
export async function heldBy(
  decisions: readonly ResolvedConflict[],
  { sourceScan, write }: TablePlan,
  { source, target, baseline }: Pick<ThreeWayContext, 'source' | 'target' | 'baseline'>,
): Promise<ReadonlyMap<string, Held>> {
  const clashes = decisions.flatMap(({ id, holder }) => (holder === null ? [] : [{ id, holder }]))
  if (clashes.length === 0) return new Map()
  const keys = clashes.map(({ holder }) => holder.key)
  const [here, there, agreed] = [
    byId(await source.fingerprints(sourceScan, keys)),
    byId(await target.fingerprints(write.scan, keys)),
    byId((await baseline?.find(keys)) ?? []),
  ]
  const rows = {
    source: await rowsByKey(source, sourceScan, small(here)),
    target: await rowsByKey(target, write.scan, small(there)),
  }
  return new Map(
    clashes.map(({ id, holder: { side, key, fingerprint, yields } }) => {
      const of = JSON.stringify(key)
      const judged = { source: here.get(of), target: there.get(of), agreed: agreed.get(of), key }
      const moved = judged[side]?.fingerprint !== fingerprint
      const row = yields === null || moved ? undefined : rows[side].get(of)
      const place = write.scan.columns.findIndex(({ name }) => name === yields)
      return [id, { judged, moved, yielded: row?.map((cell, i) => (i === place ? null : cell)) ?? null }]
    }),
  )
}

function small(rows: ReadonlyMap<string, KeyFingerprint>): Key[] {
  return [...rows.values()].filter(({ bytes }) => bytes < LARGE_ROW_BYTES).map(({ key }) => key)
}

function byId<T extends { readonly key: Key }>(rows: readonly T[]): ReadonlyMap<string, T> {
  return new Map(rows.map((row) => [JSON.stringify(row.key), row]))
}

/**
 * What a decision finds of the row in the way. Whoever takes the side that is to be written gets the value: the other row
 * gives it up (`given`), or has done so. All else was decided for the clash as it was, and is `barred` once that moved.
 */
export function wayOf({ resolution, holder }: ResolvedConflict, { moved, yielded }: Held): 'free' | 'given' | 'barred' {
  if (holder === null || !takesValue(holder, resolution)) return moved ? 'barred' : 'free'
  if (moved) return 'free'
  return yielded === null ? 'barred' : 'given'
}
