import type { z } from 'zod'
import type { Change, ChangeSummary } from '#api/contract/changes.ts'
import { changedColumns } from '#control/change-pages.ts'
import type { MarkCount, PagedChange } from '#control/change-marks.ts'
import type { StoredChangeSet } from '#control/change-set-tools.ts'
import { describeType } from '#model/column-type.ts'
import type { ChangeMark, ChangeSetTable } from '#model/change-set.ts'
import { sameTable } from '#model/table.ts'
import type { Row, Value } from '#model/value.ts'

/** A change as it is shown: its values to those alone who may see rows. */
export function presentChange(
  tables: readonly ChangeSetTable[],
  change: PagedChange,
  withValues: boolean,
): z.infer<typeof Change> {
  const table = tables[change.table]
  const names = table?.columns.map(({ name }) => name) ?? []
  const shown = (row: Row | null) => (withValues ? toCells(names, row) : null)
  return {
    seq: change.seq,
    table: { schema: table?.target.schema ?? '', name: table?.target.name ?? '' },
    op: change.op,
    key: change.key.map(toText),
    changed: table === undefined ? null : mutable(changedColumns(table, change)),
    before: shown(change.before),
    after: shown(change.after),
    now: shown(change.now?.row ?? null),
    large: change.large,
    mark: change.mark ?? 'planned',
    moved: change.moved,
    reason: change.reason,
    decided: change.decided === null ? null : { ...change.decided },
  }
}

function toCells(names: readonly string[], row: Row | null) {
  return row === null ? null : row.map((value, i) => ({ column: names[i] ?? '', value: toText(value) }))
}

/** Bytes that are no UTF-8 as well as they can be read. */
export function toText(value: Value): string | null {
  return value instanceof Uint8Array ? Buffer.from(value).toString('utf8') : value
}

function mutable(list: readonly string[] | null): string[] | null {
  return list === null ? null : [...list]
}

/** What a change set comes to, without its changes: nothing of it is a value of a row. */
export function presentSummary(
  stored: StoredChangeSet,
  marks: readonly MarkCount[],
  { expiresAt, withValues }: { expiresAt: string | null; withValues: boolean },
): z.infer<typeof ChangeSummary> {
  const { summary, approval } = stored
  return {
    job_id: stored.jobId,
    state: stored.state,
    generation: stored.generation,
    digest: summary?.digest ?? null,
    changes: summary?.changes ?? 0,
    staging: stored.staging,
    sealed_at: summary?.sealedAt ?? null,
    position: summary?.position ?? null,
    tables: (summary?.tables ?? []).map((table) => presentTable(table, marks)),
    ddl: (summary?.ddl ?? []).map((statement) => ({
      ...statement,
      tables: statement.tables.map(({ schema, name }) => ({ schema, name })),
    })),
    notes: [...(summary?.notes ?? [])],
    stop: summary?.stop === undefined || summary.stop === null ? null : { ...summary.stop },
    open: marks.reduce((sum, { mark, changes }) => sum + (mark === 'moved' ? changes : 0), 0),
    approval: approval === null ? null : { ...approval },
    expires_at: expiresAt,
    taken_by: stored.takenBy,
    values_shown: withValues,
  }
}

function presentTable(table: ChangeSetTable, marks: readonly MarkCount[]) {
  const { inserts, updates, deletes } = table
  const of = (wanted: ChangeMark): number =>
    marks
      .filter(({ target, mark }) => mark === wanted && sameTable(target, table.target))
      .reduce((sum, { changes }) => sum + changes, 0)
  const marked = {
    left: of('left'),
    moved: of('moved'),
    again: of('again'),
    refused: of('refused'),
    in_step: of('in_step'),
    written: of('written'),
  }
  const planned = inserts + updates + deletes - Object.values(marked).reduce((sum, n) => sum + n, 0)
  return {
    source: { ...table.source },
    target: { ...table.target },
    key: [...table.key],
    columns: table.columns.map(({ name, type }) => ({ name, type: describeType(type) })),
    created: table.created,
    added: [...(table.added ?? [])],
    inserts,
    updates,
    deletes,
    changed_columns: table.changedColumns.map((column) => ({ ...column })),
    unchanged: table.unchanged,
    kept: table.kept,
    rejected: table.rejected,
    conflicts: table.conflicts ?? 0,
    marks: { planned: Math.max(0, planned), ...marked },
  }
}
