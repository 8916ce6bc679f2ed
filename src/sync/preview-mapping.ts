import type { Adapter, Scan } from '#adapters/adapter.ts'
import type { Clock } from '#lib/clock.ts'
import { must } from '#lib/assert.ts'
import type { Key } from '#model/change.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import type { TableRef } from '#model/table.ts'
import type { Row } from '#model/value.ts'
import type { FieldReport } from './plan-fields.ts'
import type { TablePlan } from './plan.ts'
import { selectTables } from './select-tables.ts'
import { ReadRow, type Fault, type Mapper } from './stages/map.ts'
import { mapperOf } from './stages/mapped-source.ts'

/** What the mapping of one table makes of some rows. Nothing is written, nothing is kept. */
export interface MappingPreview {
  readonly source: TableRef
  readonly target: TableRef
  /** The columns of the source that the mapping reads, in the order of `RowPreview.source`. */
  readonly columns: readonly string[]
  /** The columns of the target, in the order of `RowPreview.before` and `after`; the key comes first. */
  readonly fields: readonly FieldReport[]
  readonly keyLength: number
  /** Columns of the source that go nowhere, and of the target that nothing feeds. */
  readonly unmapped: { readonly source: readonly string[]; readonly target: readonly string[] }
  readonly rows: readonly RowPreview[]
  readonly notes: readonly string[]
}

export interface RowPreview {
  readonly source: Row
  /** The row that the target has under the key now, or null. */
  readonly before: Row | null
  /** What it would be; null where it cannot be carried, or does not meet the filter. */
  readonly after: Row | null
  readonly fault: Fault | null
  /** Rules that the row breaks and that let it through, in words. */
  readonly warnings: readonly string[]
  readonly filtered: boolean
  /** What the mapping took, in microseconds. */
  readonly micros: number
}

interface Request {
  readonly source: Adapter
  readonly target: Adapter
  /** Of one table. */
  readonly config: SyncConfig
  readonly limit: number
}

/** Maps some rows of the source, as a run would. @throws AppError as planning does */
export async function previewMapping(
  { source, target, config, limit }: Request,
  { clock, maskKey, signal }: { clock: Clock; maskKey: Uint8Array | null; signal: AbortSignal },
): Promise<MappingPreview> {
  const { plans, notes } = await selectTables({ source, target }, config)
  const plan = must(plans[0], 'a planned table')
  await using from = await source.snapshot(1, signal)
  await using into = await target.snapshot(1, signal)
  const scan: Scan = plan.mapped?.raw ?? plan.sourceScan
  const raws = await from.sample(scan, limit)
  await using mapper = await mapperOf(plan, { snapshot: from, maskKey })
  const rows = raws.map((raw) => new ReadRow(raw))
  await mapper?.prepare(rows)
  const mapped = rows.map((raw) => mapRow(raw, mapper, clock))
  const keys = mapped.flatMap(({ after }): Key[] => (after === null ? [] : [after.slice(0, plan.write.scan.keyLength)]))
  const there = keys.length === 0 ? [] : await into.rows(plan.write.scan, keys)
  const before = new Map(there.map((row) => [idOf(row, plan), row]))
  return {
    source: plan.source.ref,
    target: plan.target.ref,
    columns: scan.columns.map(({ name }) => name),
    fields: plan.fields,
    keyLength: plan.write.scan.keyLength,
    unmapped: {
      source: plan.unmapped,
      target: plan.target.columns
        .map(({ name }) => name)
        .filter((name) => !plan.write.scan.columns.some((column) => column.name === name)),
    },
    rows: mapped.map((row) => ({ ...row, before: (row.after && before.get(idOf(row.after, plan))) ?? null })),
    notes,
  }
}

function idOf(row: Row, { write }: TablePlan): string {
  return JSON.stringify(row.slice(0, write.scan.keyLength))
}

function mapRow(raw: ReadRow, mapper: Mapper | null, clock: Clock): Omit<RowPreview, 'before'> {
  const { row } = raw
  if (mapper === null) return { source: row, after: row, fault: null, warnings: [], filtered: false, micros: 0 }
  const started = clock.elapsed()
  const mapped = mapper.map(raw)
  const micros = Math.round((clock.elapsed() - started) * 1_000)
  return {
    source: row,
    after: mapped.kind === 'row' ? mapper.row(raw, mapped.computed) : null,
    fault: mapped.kind === 'fault' ? mapped.fault : null,
    warnings: mapped.kind === 'row' ? mapped.warnings.map(({ column, reason }) => `${column}: ${reason}`) : [],
    filtered: mapped.kind === 'filtered',
    micros,
  }
}
