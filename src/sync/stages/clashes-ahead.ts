import type { Key } from '#model/change.ts'
import { LARGE_ROW_BYTES } from '#model/value.ts'
import type { FoundConflict } from '#model/conflict.ts'
import type { BatchBounds, StagedChange, StagedOperation, Staging } from '#sync/staging.ts'
import { findClashes, type ClashSides, type KeptOut } from './clashes.ts'
import type { Detection } from './detect.ts'
import { rowsByKey } from './set-aside.ts'

const BATCH: BatchBounds = { rows: 500, bytes: 4 * 1024 * 1024 }
const EVERYTHING: readonly StagedOperation[] = ['keep', 'delete', 'update', 'insert']

/**
 * Takes rows out of what was found that could not be written, because a row of the target that stays as it is has a unique
 * value of theirs: where all is written at once, that is decided before. Of a row in the way that is to change or to go
 * itself nobody can tell before it is tried. Returns what is left of the detection.
 */
export async function setClashesApartAhead(
  found: Detection,
  sides: ClashSides,
  {
    staging,
    signal,
    tell,
  }: { staging: Staging; signal: AbortSignal; tell: (found: readonly FoundConflict[]) => Promise<void> },
): Promise<Detection> {
  const { mappingId } = sides.plan
  const [moving, left] = [staging.images(`${mappingId} moving`), `${mappingId} left`]
  moving.clear()
  for (const batch of staging.read(mappingId, ['update', 'delete'], BATCH)) moving.put(batch.map(asImage))
  staging.clear(left)
  const apart = { insert: 0, update: 0 }
  for (const batch of staging.read(mappingId, EVERYTHING, BATCH)) {
    signal.throwIfAborted()
    const keptOut = await keptOutOf(batch, sides, (keys) => moving.find(keys).map(({ key }) => key))
    const waits = new Set<string>()
    for await (const conflicts of findClashes(keptOut, sides)) {
      await tell(conflicts)
      for (const { key } of conflicts) waits.add(JSON.stringify(key))
    }
    staging.append(
      left,
      batch.map((change) => {
        const { op, key, expect } = change
        if (!waits.has(JSON.stringify(key)) || (op !== 'insert' && op !== 'update')) return change
        apart[op] += 1
        return { op: 'keep', key, expect, bytes: 0 }
      }),
    )
  }
  const all = apart.insert + apart.update
  if (all === 0) return found
  staging.clear(mappingId)
  for (const batch of staging.read(left, EVERYTHING, BATCH)) staging.append(mappingId, batch)
  staging.clear(left)
  return {
    ...found,
    inserts: found.inserts - apart.insert,
    updates: found.updates - apart.update,
    left: { ...found.left, conflicted: found.left.conflicted + all },
    apart: { source: found.apart.source + all, target: found.apart.target + apart.update },
  }
}

function asImage({ key }: StagedChange) {
  return { key, fingerprint: '', row: null, bytes: 0 }
}

/** The rows of a batch that a row which stays keeps out. */
async function keptOutOf(
  batch: readonly StagedChange[],
  { plan, rows, into }: ClashSides,
  movingAmong: (keys: readonly Key[]) => readonly Key[],
): Promise<KeptOut[]> {
  const keys = batch.flatMap(({ op, key, bytes }) =>
    (op === 'insert' || op === 'update') && bytes < LARGE_ROW_BYTES ? [key] : [],
  )
  const wanted = [...(await rowsByKey(rows, plan.sourceScan, keys)).values()]
  if (wanted.length === 0) return []
  const held = await into.holders(plan.write.scan, null, wanted)
  const moving = new Set(movingAmong(held.map(({ row }) => row.key)).map((key) => JSON.stringify(key)))
  const staying = held.filter(({ row }) => !moving.has(JSON.stringify(row.key)))
  const first = new Map(staying.map((one) => [one.place, one]))
  return [...first].map(([place, { index }]) => ({
    key: (wanted[place] ?? []).slice(0, plan.sourceScan.keyLength),
    index,
  }))
}
