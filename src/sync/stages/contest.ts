import type { FoundRow } from '#adapters/baseline.ts'
import type { Key } from '#model/change.ts'
import type { ConflictTable, FieldBase, FoundConflict } from '#model/conflict.ts'
import { fingerprint } from '#model/fingerprint.ts'
import { LARGE_ROW_BYTES, type Row } from '#model/value.ts'
import { must } from '#lib/assert.ts'
import { isSameCell } from '#sync/conflicts/compare.ts'
import { mergeRows, type MergeColumn, type Merged } from '#sync/conflicts/merge.ts'
import { newerSide, type Newer } from '#sync/conflicts/newer.ts'
import type { Side } from '#sync/drift.ts'
import type { TablePlan } from '#sync/plan.ts'
import { rowsByKey } from './set-aside.ts'
import type { Contested, Settlement, ThreeWayContext } from './three-way.ts'

/** The rows of contested keys; a side that is large, or is not there, has none. */
interface Rows {
  readonly source: Row | null
  readonly target: Row | null
  /** What both had last, where that is known by its values. */
  readonly base: Row | null
  readonly large: boolean
  /** The fingerprint of each column of the row that both had last, where it is known and asked for. */
  readonly fields: FoundRow['fields']
}

type ContestContext = Pick<ThreeWayContext, 'source' | 'target' | 'baseline' | 'clockSkewMs'>

/**
 * Decides on rows that both sides changed, by their values: by time, field by field, or not at all, so that somebody has
 * to. What is too large to stand in memory is always left to somebody.
 */
export async function contest(
  plan: TablePlan,
  contested: readonly Contested[],
  context: ContestContext,
): Promise<Settlement[]> {
  const rows = await readRows(plan, contested, context)
  return contested.map((of, i) => settle(plan, { of, rows: must(rows[i], 'the rows of a conflict') }, context))
}

async function readRows(
  plan: TablePlan,
  contested: readonly Contested[],
  { source, target, baseline }: ContestContext,
): Promise<Rows[]> {
  const small = (side: Side): Key[] =>
    contested.flatMap((of) => (of[side] !== undefined && of[side].bytes < LARGE_ROW_BYTES ? [of.key] : []))
  const known = (which: 'hasImage' | 'hasFields'): Key[] =>
    contested.flatMap(({ agreed, key }) => (agreed?.[which] === true ? [key] : []))
  const isByField = plan.conflict.strategy === 'merge' || (plan.turning?.oneWay.length ?? 0) > 0
  const fingerprinted = isByField ? known('hasFields') : []
  const imaged = known('hasImage')
  const [here, there, images] = await Promise.all([
    rowsByKey(source, plan.sourceScan, small('source')),
    rowsByKey(target, plan.write.scan, small('target')),
    imaged.length === 0 ? [] : (baseline?.images(imaged, plan.write.scan.columns.length) ?? []),
  ])
  const found = fingerprinted.length === 0 ? [] : ((await baseline?.find(fingerprinted)) ?? [])
  const before = new Map(images.map(({ key, row }) => [JSON.stringify(key), row]))
  const fields = new Map(found.map((row) => [JSON.stringify(row.key), row.fields]))
  return contested.map((of) => {
    const id = JSON.stringify(of.key)
    const large = [of.source, of.target].some((row) => row !== undefined && row.bytes >= LARGE_ROW_BYTES)
    const sides = { source: here.get(id) ?? null, target: there.get(id) ?? null }
    return { ...sides, base: before.get(id) ?? null, fields: fields.get(id) ?? null, large }
  })
}

interface Case {
  readonly of: Contested
  readonly rows: Rows
}

function settle(plan: TablePlan, one: Case, { clockSkewMs }: Pick<ThreeWayContext, 'clockSkewMs'>): Settlement {
  const { of, rows } = one
  const { strategy } = plan.conflict
  if (rows.large) return leave(plan, one, 'A row is too large to be compared here.')
  const changed = changedBothWays(plan, one)
  if (changed !== null) return { of, take: changed }
  if (strategy === 'source_wins') return { of, take: 'source' }
  if (strategy === 'target_wins') return { of, take: 'target' }
  if (strategy === 'manual' || strategy === 'webhook') return leave(plan, one, null)
  if (strategy === 'newer_wins') {
    const newer = newerOf(plan, rows, clockSkewMs)
    if ('refused' in newer) return leave(plan, one, newer.refused)
    return newer.newer === null ? leave(plan, one, newer.reason) : { of, take: newer.newer }
  }
  return merge(plan, one, clockSkewMs)
}

/**
 * The side that alone has changed fields that go both ways; what the other one has changed besides is the source's to
 * decide on. The source where both have the same in them; null where nobody knows, or there are two sides.
 */
function changedBothWays(
  { turning }: TablePlan,
  { rows: { source, target, fields } }: Case,
): 'source' | 'target' | null {
  if (turning === null || turning.oneWay.length === 0 || source === null || target === null) return null
  const places = source.flatMap((_, i) => (turning.oneWay.includes(i) ? [] : [i]))
  if (places.every((i) => isSameCell(source[i] ?? null, target[i] ?? null))) return 'source'
  if (fields === null) return null
  const isChanged = (row: Row): boolean => places.some((i) => fingerprint([row[i] ?? null]) !== fields[i])
  if (!isChanged(target)) return 'source'
  return isChanged(source) ? null : 'target'
}

function newerOf(plan: TablePlan, { source, target }: Rows, clockSkewMs: number): Newer {
  const { newerBy, tieBreak } = plan.conflict
  const at = plan.write.scan.columns.findIndex(({ name }) => name === newerBy)
  if (at < 0) return { newer: null, reason: 'No column says which row is newer.' }
  const column = { at, type: typeOf(plan, at) }
  return newerSide({ source, target }, column, { skewMs: clockSkewMs, forced: false, tieBreak })
}

function merge(plan: TablePlan, one: Case, clockSkewMs: number): Settlement {
  const { of, rows } = one
  const { source, target } = rows
  if (source === null || target === null) return leave(plan, one, 'One side deleted the row that the other changed.')
  const newer = newerOf(plan, rows, clockSkewMs)
  const merged = mergeRows(mergeColumns(plan), {
    source,
    target,
    base: baseOf(one),
    newer: 'newer' in newer ? newer.newer : null,
  })
  if (merged.conflicts.length > 0) return leave(plan, one, null, merged)
  const isThere = merged.row.every((cell, i) => isSameCell(cell, target[i] ?? null))
  return { of, take: 'merged', row: isThere ? null : merged.row, source, target }
}

function baseOf({ rows: { base, fields } }: Case): FieldBase | null {
  if (base !== null) return { row: base }
  return fields && { fingerprints: fields }
}

export function mergeColumns(plan: TablePlan): MergeColumn[] {
  const { columns, keyLength } = plan.write.scan
  return columns.map(({ name, form }, i) => ({
    type: typeOf(plan, i),
    form,
    isKey: i < keyLength,
    strategy: plan.turning?.oneWay.includes(i) ? 'source_owns' : (plan.conflict.fields.get(name) ?? 'manual'),
  }))
}

function typeOf({ target, write }: TablePlan, place: number): MergeColumn['type'] {
  const name = write.scan.columns[place]?.name
  return must(
    target.columns.find((column) => column.name === name),
    'the column of a scan',
  ).type
}

function leave(plan: TablePlan, { of, rows }: Case, reason: string | null, merged?: Merged): Settlement {
  const { columns } = plan.write.scan
  const found: FoundConflict = {
    key: of.key,
    kind: of.kind,
    sourceFingerprint: of.source?.fingerprint ?? null,
    targetFingerprint: of.target?.fingerprint ?? null,
    agreed: of.agreed === undefined ? null : { source: of.agreed.source, target: of.agreed.target },
    fields: merged === undefined ? differing(plan, rows) : merged.conflicts.map((i) => columns[i]?.name ?? ''),
    source: rows.source,
    target: rows.target,
    base: rows.base,
    merged: merged?.row ?? null,
    holder: null,
    large: rows.large,
    strategy: plan.conflict.strategy,
    reason,
  }
  return { of, take: 'nothing', found }
}

/** Columns in which the rows differ; none where one of them is not there. */
function differing({ write }: TablePlan, { source, target }: Rows): string[] {
  if (source === null || target === null) return []
  return write.scan.columns.flatMap(({ name }, i) => (isSameCell(source[i] ?? null, target[i] ?? null) ? [] : [name]))
}

/** The table as people see its conflicts. */
export function conflictTable({ source, target, mappingId, mappingHash, write }: TablePlan): ConflictTable {
  const { columns, keyLength } = write.scan
  return {
    source: source.ref,
    target: target.ref,
    mappingId,
    mappingHash,
    key: columns.slice(0, keyLength).map(({ name }) => name),
    columns: columns.map(({ name, form }) => {
      const column = must(
        target.columns.find((each) => each.name === name),
        'the column of a scan',
      )
      return { name, type: column.type, nullable: column.nullable, form }
    }),
  }
}
