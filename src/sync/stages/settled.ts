import type { Snapshot } from '#adapters/adapter.ts'
import type { Key, RowFault } from '#model/change.ts'
import type { SettledRow } from '#model/rejection.ts'
import type { TablePlan } from '#sync/plan.ts'
import { rawScan, rowsByKey, sourceFingerprint } from './set-aside.ts'

/** Rows that are looked at at once. */
const BATCH_ROWS = 500

/** The rows of a table that people have settled, and that are in the source as they were then. */
export interface Settled {
  /** As detection knows them: see `settledId`. */
  readonly inSource: ReadonlySet<string>
  /** What the target has for them, by key as JSON. */
  readonly inTarget: ReadonlySet<string>
  /** Rows of the target alone that somebody wants to stay. */
  readonly staying: ReadonlySet<string>
  /** `inTarget` as keys. */
  readonly targetKeys: readonly Key[]
  readonly heeded: readonly string[]
  /** Settled for a row that is another one by now: it is judged anew. */
  readonly stale: readonly string[]
}

export const NOTHING_SETTLED: Settled = {
  inSource: new Set(),
  inTarget: new Set(),
  staying: new Set(),
  targetKeys: [],
  heeded: [],
  stale: [],
}

export function settledId(key: Key, fault: RowFault | undefined): string {
  return JSON.stringify([fault?.keyIn ?? 'target', key])
}

/** Looks whether the source's rows are still those that somebody settled. */
export async function lookAtSettled(plan: TablePlan, rows: readonly SettledRow[], source: Snapshot): Promise<Settled> {
  if (rows.length === 0) return NOTHING_SETTLED
  const scan = rawScan(plan)
  const heeded: SettledRow[] = []
  const stale: string[] = []
  for (let start = 0; start < rows.length; start += BATCH_ROWS) {
    const some = rows.slice(start, start + BATCH_ROWS)
    const found = await rowsByKey(
      source,
      scan,
      some.map(({ sourceKey, key }) => sourceKey ?? key),
    )
    for (const row of some) {
      const now = found.get(JSON.stringify(row.sourceKey ?? row.key))
      const same = (now === undefined ? null : sourceFingerprint(plan, now)) === row.sourceFingerprint
      if (same) heeded.push(row)
      else stale.push(row.id)
    }
  }
  const keysOf = (some: readonly SettledRow[]): Key[] =>
    some.flatMap(({ targetKey }) => (targetKey === null ? [] : [targetKey]))
  const present = heeded.filter(({ sourceFingerprint: hash }) => hash !== null)
  const alone = heeded.filter(({ sourceFingerprint: hash }) => hash === null)
  return {
    inSource: new Set(present.map(({ key, keyIn }) => JSON.stringify([keyIn, key]))),
    inTarget: new Set(keysOf(present).map((key) => JSON.stringify(key))),
    staying: new Set(keysOf(alone).map((key) => JSON.stringify(key))),
    targetKeys: keysOf(present),
    heeded: heeded.map(({ id }) => id),
    stale,
  }
}
