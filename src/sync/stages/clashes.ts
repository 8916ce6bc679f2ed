import type { KeyFingerprint, RowSource, Scan, Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { FoundConflict, Holder } from '#model/conflict.ts'
import type { TableRef } from '#model/table.ts'
import { LARGE_ROW_BYTES, type Row } from '#model/value.ts'
import type { Side } from '#sync/drift.ts'
import type { TablePlan } from '#sync/plan.ts'
import { byKey, type Outcome, type Waiting } from './apply.ts'
import { rowsByKey } from './set-aside.ts'

/** Rows whose cells are in memory at once. */
const BATCH_ROWS = 100

/** A table in which rows cannot be written, because another row of it holds a unique value of theirs. */
export interface ClashSides {
  /** The plan of the way in which they are written. */
  readonly plan: TablePlan
  /** The plan in whose terms people see conflicts: the same one, or the one whose way back this is. */
  readonly shown: TablePlan
  /** The rows as they are to be written, and as the side that they come from has them. */
  readonly rows: RowSource
  readonly from: RowSource
  /** The side in which they are written, as it is now. */
  readonly into: Snapshot
  /** Holds what both sides last agreed on. */
  readonly home: Snapshot
}

/** A row that another one keeps out, by which index. */
export interface KeptOut {
  readonly key: Key
  readonly index: TableRef
}

/**
 * Takes those out of the rows that wait which the target refused for a unique value, and that some other row has it for,
 * and tells whoever keeps conflicts. Called when nothing gets on any more: rows that can change places have done so.
 */
export async function clashesAmong(
  { later, conflicts }: Outcome,
  sides: ClashSides,
  tell: (found: readonly FoundConflict[]) => Promise<void>,
): Promise<void> {
  const waiting = later.splice(0)
  const keptOut = waiting.flatMap(({ key, refusal: { index } }: Waiting): KeptOut[] =>
    index === null ? [] : [{ key, index }],
  )
  const ids = new Set<string>()
  for await (const found of findClashes(keptOut, sides)) {
    await tell(found)
    for (const { key } of found) {
      ids.add(JSON.stringify(key))
      conflicts.push(key)
    }
  }
  later.push(...waiting.filter(({ key }) => !ids.has(JSON.stringify(key))))
}

/** Who keeps them out. Rows that nobody is seen to keep out are left, and so are those that are too large to be looked at. */
export async function* findClashes(
  keptOut: readonly KeptOut[],
  sides: ClashSides,
): AsyncGenerator<readonly FoundConflict[]> {
  const indexes = Map.groupBy(keptOut, ({ index }) => JSON.stringify([index.schema, index.name]))
  for (const some of indexes.values()) {
    const { index } = must(some[0], 'a row that is kept out')
    for (let start = 0; start < some.length; start += BATCH_ROWS) {
      const keys = some.slice(start, start + BATCH_ROWS).map(({ key }) => key)
      const found = await findHeld(keys, index, sides)
      if (found.length > 0) yield found
    }
  }
}

async function findHeld(keys: readonly Key[], index: TableRef, sides: ClashSides): Promise<FoundConflict[]> {
  const { plan, rows, into } = sides
  const { scan } = plan.write
  const wanted = [...(await smallRows(rows, plan.sourceScan, keys)).rows.values()]
  const held = await into.holders(scan, index, wanted)
  // Of several rows that hold it (a filter of the index was changed, say) one is enough to know that it is held.
  const first = new Map(held.map((one) => [one.place, one]))
  const holders = await smallRows(
    into,
    scan,
    [...first.values()].map(({ row }) => row.key),
  )
  const known = await look(
    sides,
    [...first.keys()].map((place) => keyOf(plan.sourceScan, wanted[place])),
  )
  return [...first.values()].map(({ place, columns, row: { key, fingerprint } }) => {
    const own = keyOf(plan.sourceScan, wanted[place])
    const row = holders.rows.get(JSON.stringify(key)) ?? null
    return conflictOf(sides, known(own), { key, fingerprint, index: index.name, names: columns, row })
  })
}

function keyOf({ keyLength }: Scan, row: Row | undefined): Key {
  return must(row, 'a row that is to be written').slice(0, keyLength)
}

/** Of these keys, by their JSON: all fingerprints, and the rows that are not too large. */
async function smallRows(
  rows: RowSource,
  scan: Scan,
  keys: readonly Key[],
): Promise<{ readonly known: ReadonlyMap<string, KeyFingerprint>; readonly rows: ReadonlyMap<string, Row> }> {
  if (keys.length === 0) return { known: new Map(), rows: new Map() }
  const known = byKey(await rows.fingerprints(scan, keys))
  const small = [...known.values()].filter(({ bytes }) => bytes < LARGE_ROW_BYTES).map(({ key }) => key)
  return { known, rows: await rowsByKey(rows, scan, small) }
}

type Known = Pick<
  FoundConflict,
  'key' | 'source' | 'target' | 'sourceFingerprint' | 'targetFingerprint' | 'agreed' | 'large'
>

/** What both sides have under the keys, in the terms of the plan that people see. */
async function look({ plan, shown, from, into, home }: ClashSides, keys: readonly Key[]): Promise<(key: Key) => Known> {
  const [left, right] = [await smallRows(from, plan.sourceScan, keys), await smallRows(into, plan.write.scan, keys)]
  const [source, target] = plan === shown ? [left, right] : [right, left]
  const agreed = await (await home.baseline(shown, shown.write.scan))?.find(keys)
  const of = new Map(agreed?.map((row) => [JSON.stringify(row.key), row]))
  return (key) => {
    const id = JSON.stringify(key)
    const last = of.get(id)
    const isLarge = (side: typeof source): boolean => side.known.has(id) && !side.rows.has(id)
    return {
      key,
      source: source.rows.get(id) ?? null,
      target: target.rows.get(id) ?? null,
      sourceFingerprint: source.known.get(id)?.fingerprint ?? null,
      targetFingerprint: target.known.get(id)?.fingerprint ?? null,
      agreed: last === undefined ? null : { source: last.source, target: last.target },
      large: isLarge(source) || isLarge(target),
    }
  }
}

/** `names`: of the columns of the index, in the side that is written. */
type Held = Pick<Holder, 'key' | 'fingerprint' | 'index'> & {
  readonly names: readonly string[]
  readonly row: Row | null
}

function conflictOf({ plan, shown }: ClashSides, known: Known, held: Held): FoundConflict {
  const side: Side = plan === shown ? 'target' : 'source'
  const { names, index, ...row } = held
  const shownAs = (name: string): string => {
    const place = plan.write.scan.columns.findIndex((column) => column.name === name)
    return shown.write.scan.columns[place]?.name ?? name
  }
  const yields = yieldingColumn(plan, names)
  const columns = names.map(shownAs)
  return {
    ...known,
    kind: 'unique_clash',
    fields: columns,
    base: null,
    merged: null,
    holder: { side, ...row, index, columns, yields: yields === null ? null : shownAs(yields) },
    strategy: shown.conflict.strategy,
    reason: `Another row of the ${side} has its value of (${columns.join(', ')}), which ${index} lets one row have.`,
  }
}

/** The last one is what tells rows apart, where others say whose they are. */
function yieldingColumn({ target, write: { scan, written } }: TablePlan, names: readonly string[]): string | null {
  const keys = scan.columns.slice(0, scan.keyLength).map(({ name }) => name)
  const mayBeNull = (name: string): boolean => target.columns.some((each) => each.name === name && each.nullable)
  return names.findLast((name) => mayBeNull(name) && written.includes(name) && !keys.includes(name)) ?? null
}
