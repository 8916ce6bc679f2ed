import type { StoredConflict } from '#control/conflict-codec.ts'
import type { OpenedConflict } from '#control/conflict-list.ts'
import type { ConflictSelection } from '#control/decide-conflicts.ts'
import { describeType } from '#model/column-type.ts'
import type { Asking } from '#model/conflict.ts'
import type { QuestionFacts } from '#jobs/webhook-asker.ts'
import type { Row, Value } from '#model/value.ts'

/** A conflict, without its rows. */
export function presentConflictEntry(found: StoredConflict) {
  const { resolvedBy: by } = found
  return {
    id: found.id,
    config_id: found.configId,
    first_job_id: found.firstJobId,
    last_job_id: found.lastJobId,
    seq: found.seq,
    source: { ...found.source },
    target: { ...found.target },
    key: found.key.map(textOf),
    kind: found.kind,
    fields: [...found.fields],
    strategy: found.strategy,
    reason: reasonOf(found),
    webhook: found.asking === null ? null : presentAsking(found.asking),
    large: found.large,
    status: found.status,
    resolution: found.resolution,
    resolved: by === null ? null : { by: by.id, name: by.name, at: by.at },
    reopened: found.reopened,
    first_at: found.firstAt,
    last_at: found.lastAt,
    version: found.version,
  }
}

/** Why somebody has to decide, where it is not for the strategy alone. */
function reasonOf({ reason, asking }: StoredConflict): string | null {
  if (asking?.status !== 'given_up') return reason
  const last = asking.lastError === null ? '' : ` ${asking.lastError}`
  return `The webhook has not decided after ${asking.attempts} attempts.${last}`
}

function presentAsking({ id, status, attempts, nextAt, lastAt, lastError, deadlineAt }: Asking) {
  return {
    id,
    status,
    attempts,
    next_at: nextAt,
    last_at: lastAt,
    last_error: lastError,
    deadline_at: deadlineAt,
  }
}

/** What a webhook is asked, as JSON. It says the same at every attempt, as long as the conflict is the same. */
export function writeQuestion(found: OpenedConflict, { id, askedAt, answerUntil, config }: QuestionFacts): string {
  const { webhook: _, ...conflict } = presentConflict(found, true)
  const { source = null, target = null } = found.marks?.images ?? {}
  return JSON.stringify({
    type: 'conflict.open',
    timestamp: askedAt,
    data: {
      id,
      config: { id: config.id, name: config.name },
      answer_until: answerUntil,
      fingerprints: { source, target },
      conflict,
    },
  })
}

/** The same with both rows, where the caller may see them. */
export function presentConflict(found: OpenedConflict, withValues: boolean) {
  const { image, built, table } = found
  const cells = (row: Row | null | undefined) => {
    if (!withValues || row === null || row === undefined) return null
    return table.columns.map(({ name }, place) => ({ column: name, value: textOf(row[place] ?? null) }))
  }
  return {
    ...presentConflictEntry(found),
    values_shown: withValues,
    key_columns: [...table.key],
    columns: table.columns.map(({ name, type, nullable }) => ({ name, type: describeType(type), nullable })),
    sides: { source: sideOf(found, 'source'), target: sideOf(found, 'target') },
    source_row: cells(image?.source),
    target_row: cells(image?.target),
    base_row: cells(image?.base),
    merged_row: cells(image?.merged),
    built_row: cells(built?.row),
    holder: presentHolder(found, cells),
    removes_row: built !== null && built.row === null,
    differences: differencesOf(found, withValues),
    note: image === null ? 'It was sealed with a key that is not known any more.' : null,
  }
}

function presentHolder<T>({ marks, image }: OpenedConflict, cells: (row: Row | null | undefined) => T) {
  if (marks?.holder === undefined) return null
  const { side, key, index, columns, yields } = marks.holder
  return { side, key: key.map(textOf), index, columns: [...columns], row: cells(image?.holder), yields }
}

function sideOf({ image, marks }: OpenedConflict, side: 'source' | 'target'): 'kept' | 'none' | 'not_kept' | 'unknown' {
  if (image === null || marks === null) return 'unknown'
  if (image[side] !== null) return 'kept'
  return marks.images[side] === null ? 'none' : 'not_kept'
}

/** The columns in which the rows differ. Where a side has no row, that is no difference of columns. */
function differencesOf({ image, fields, table }: OpenedConflict, withValues: boolean) {
  const { source, target, base } = image ?? { source: null, target: null, base: null }
  if (source === null || target === null) return []
  return table.columns.flatMap(({ name }, place) => {
    const sides = { source: textOf(source[place] ?? null), target: textOf(target[place] ?? null) }
    const before = base === null ? undefined : textOf(base[place] ?? null)
    if (sides.source === sides.target) return []
    const shown = withValues ? { ...sides, base: before ?? null } : { source: null, target: null, base: null }
    return [{ column: name, ...shown, changed_by: changedBy(sides, before), in_conflict: fields.includes(name) }]
  })
}

function changedBy(
  { source, target }: { readonly source: string | null; readonly target: string | null },
  base: string | null | undefined,
): 'source' | 'target' | 'both' | 'unknown' {
  if (base === undefined) return 'unknown'
  if (source === base) return 'target'
  return target === base ? 'source' : 'both'
}

function textOf(value: Value): string | null {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value
}

export function presentSelection({ conflicts, kinds, tables, digest }: ConflictSelection, dryRun: boolean) {
  return {
    dry_run: dryRun,
    conflicts,
    kinds: kinds.map((each) => ({ ...each })),
    tables: tables.map((each) => ({ target: { ...each.target }, conflicts: each.conflicts })),
    digest,
  }
}
