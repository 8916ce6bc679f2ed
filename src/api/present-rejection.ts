import type { OpenedRejection } from '#control/rejection-list.ts'
import type { StoredRejection } from '#control/rejections.ts'
import { describeType } from '#model/column-type.ts'
import type { EditableColumn, NamedCells } from '#model/rejection.ts'

/** A row that was set aside, without its values. */
export function presentRejectionEntry(found: StoredRejection) {
  return {
    id: found.id,
    config_id: found.configId,
    first_job_id: found.firstJobId,
    last_job_id: found.lastJobId,
    replay_job_id: found.replayJobId,
    seq: found.seq,
    source: { ...found.source },
    target: { ...found.target },
    op: found.op,
    key: found.key.map((part) => (part instanceof Uint8Array ? Buffer.from(part).toString('utf8') : part)),
    key_in: found.keyIn,
    column: found.column,
    code: found.code,
    reason: found.reason,
    status: found.status,
    first_at: found.firstAt,
    last_at: found.lastAt,
    version: found.version,
  }
}

/** The same with its values, where the caller may see them. */
export function presentRejection(
  found: OpenedRejection,
  fields: readonly EditableColumn[],
  { withValues }: { withValues: boolean },
) {
  const { image, edits } = found
  const shown = withValues ? image : null
  return {
    ...presentRejectionEntry(found),
    reason: shown?.reason ?? found.reason,
    values_shown: withValues,
    value: shown?.value ?? null,
    row: toCells(shown?.source ?? null),
    mapped: toCells(shown?.mapped ?? null),
    edited: toCells(withValues ? edits : null),
    fields: fields.map(({ name, type, nullable }) => ({ name, type: describeType(type), nullable })),
    note: image?.note ?? (image === null ? 'It was sealed with a key that is not known any more.' : null),
  }
}

function toCells(cells: NamedCells | null) {
  return cells === null ? null : cells.map(([column, value]) => ({ column, value }))
}
