import type { RowSource, Scan, Snapshot } from '#adapters/adapter.ts'
import { must } from '#lib/assert.ts'
import type { ChangeSetTable, ImagedChange } from '#model/change-set.ts'
import type { Key } from '#model/change.ts'
import { fingerprint, type Fingerprint } from '#model/fingerprint.ts'
import { LARGE_ROW_BYTES, type Row } from '#model/value.ts'
import type { ChangeSet } from '#sync/change-set.ts'
import type { TablePlan } from '#sync/plan.ts'
import type { StagedChange, Staging } from '#sync/staging.ts'
import type { TableSync } from '#sync/sync-table.ts'
import { rowsByKey } from './set-aside.ts'
import { rowImages } from './three-way-lists.ts'

/** Rows whose cells are in memory at once. */
const BATCH = { rows: 500, bytes: 4 * 1024 * 1024 }

/**
 * Puts what was found for one table into a change set, with the cells of each row as they are on both sides in the moments
 * that they were compared in. In the order in which it is written: what goes, what changes, what comes.
 */
export async function keepChanges(
  { plan, detection, source }: TableSync,
  given: { set: ChangeSet; place: number; staging: Staging; target: Snapshot | null; signal: AbortSignal },
): Promise<ChangeSetTable> {
  const found = must(detection, 'what was found, row by row')
  const { set, place, staging, target, signal } = given
  const { columns, keyLength } = plan.write.scan
  const changed = columns.map(() => 0)
  for (const ops of [['delete'], ['update'], ['insert']] as const) {
    for (const batch of staging.read(plan.mappingId, ops, BATCH)) {
      signal.throwIfAborted()
      const changes = await withImages(batch, { plan, source, target, staging })
      for (const { before, after } of changes) {
        if (before === null || after === null) continue
        for (const i of columns.keys()) if (!isSame(before[i], after[i])) changed[i] = (changed[i] ?? 0) + 1
      }
      await set.append(place, changes)
    }
  }
  return {
    source: plan.source.ref,
    target: plan.target.ref,
    mappingId: plan.mappingId,
    mappingHash: plan.mappingHash,
    key: columns.slice(0, keyLength).map(({ name }) => name),
    columns: columns.map(({ name }) => ({
      name,
      type: must(
        plan.target.columns.find((column) => column.name === name),
        'a column of the target',
      ).type,
      ...(plan.write.written.includes(name) ? {} : { computed: true as const }),
    })),
    created: target === null,
    ...(target !== null && columns.some(({ absent }) => absent)
      ? { added: columns.flatMap(({ name, absent }) => (absent ? [name] : [])) }
      : {}),
    inserts: found.inserts,
    updates: found.updates,
    deletes: found.deletes,
    changedColumns: columns.flatMap(({ name }, i) => {
      const rows = changed[i] ?? 0
      return rows === 0 ? [] : [{ column: name, rows }]
    }),
    unchanged: found.unchanged,
    kept: found.kept,
    rejected: found.rejections.length,
    ...(isJudgedAgain(plan) ? { conflicts: found.left.conflicted } : {}),
  }
}

/** Whether the changes of a table are held against its baseline once more when they are applied. */
export function isJudgedAgain({ threeWay, back }: TablePlan): boolean {
  return threeWay && back === null
}

interface Sides {
  readonly plan: TablePlan
  readonly source: RowSource
  /** Null where the table is to be made. */
  readonly target: Snapshot | null
  readonly staging: Staging
}

/**
 * The fingerprints of the rows that are to be written, by the JSON of their keys. Rows that no side has are known by their
 * canonical one.
 */
export async function comingFingerprints(
  { plan, source, staging }: Pick<Sides, 'plan' | 'source' | 'staging'>,
  keys: readonly Key[],
): Promise<ReadonlyMap<string, Fingerprint>> {
  const own = plan.threeWay ? staging.images(rowImages(plan)).find(keys) : []
  const found = await source.fingerprints(plan.sourceScan, keys)
  return new Map([
    ...found.map((row) => [JSON.stringify(row.key), row.fingerprint] as const),
    ...own.flatMap(({ key, row }) => (row === null ? [] : [[JSON.stringify(key), fingerprint(row)] as const])),
  ])
}

async function withImages(
  batch: readonly StagedChange[],
  { plan, source, target, staging }: Sides,
): Promise<readonly ImagedChange[]> {
  const keysOf = (some: readonly StagedChange[]): Key[] => some.map(({ key }) => key)
  const small = batch.filter(({ bytes }) => bytes < LARGE_ROW_BYTES)
  const coming = keysOf(batch.filter(({ op }) => op !== 'delete'))
  const hashes = await comingFingerprints({ plan, source, staging }, coming)
  const after = await rowsByKey(source, plan.sourceScan, keysOf(small.filter(({ op }) => op !== 'delete')))
  const before = await beforeImages(keysOf(small.filter(({ op }) => op !== 'insert')), plan.write.scan, target)
  return batch.flatMap((change): ImagedChange[] => {
    const { op, key, expect, bytes } = change
    if (op === 'keep') return []
    const id = JSON.stringify(key)
    const source = op === 'delete' ? null : must(hashes.get(id), 'the fingerprint of a row of the source')
    const large = bytes >= LARGE_ROW_BYTES
    return [{ op, key, expect, bytes, source, before: before.get(id) ?? null, after: after.get(id) ?? null, large }]
  })
}

/** The size of a change is that of the row that comes: the one that goes may be large all the same, and is left out then. */
async function beforeImages(
  keys: readonly Key[],
  scan: Scan,
  target: Snapshot | null,
): Promise<ReadonlyMap<string, Row>> {
  if (target === null || keys.length === 0) return new Map()
  const sizes = await target.fingerprints(scan, keys)
  const small = sizes.filter(({ bytes }) => bytes < LARGE_ROW_BYTES).map(({ key }) => key)
  return rowsByKey(target, scan, small)
}

function isSame(a: Row[number] | undefined, b: Row[number] | undefined): boolean {
  if (a instanceof Uint8Array && b instanceof Uint8Array) return Buffer.compare(a, b) === 0
  return a === b
}
