import type { AuditCheck } from '#control/audit.ts'
import type { BatchFacts, KeptChange, TableWrites } from '#control/history-list.ts'
import type { AuditEventRow } from '#control/schema.ts'
import { includesRole, type Actor } from '#model/access.ts'
import type { Row, Value } from '#model/value.ts'

/** The audit log and the history of rows in answers, as far as the caller may see them. */

/** Nouns of events about who may do what, and about failed tries of it: for admins, as keys and sessions are. */
export const ADMIN_NOUNS = ['access', 'key', 'login', 'secret_key', 'session', 'setup'] as const

export function presentAuditEvent({ data, address, ...event }: AuditEventRow, actor: Actor) {
  return { ...event, address: includesRole(actor.role, 'admin') ? address : null, data: JSON.parse(data) as unknown }
}

export function presentCheck({ events, cutThrough, head, damage }: AuditCheck) {
  return {
    whole: damage === null,
    events,
    cut_through: cutThrough,
    head: head === null ? null : `${head.seq}:${head.hash}`,
    damage: damage === null ? null : { ...damage },
  }
}

export function presentWrites({ targetDatasourceId, target, ...counts }: TableWrites) {
  return { datasource_id: targetDatasourceId, table: { ...target }, ...counts }
}

const UNREADABLE = 'It cannot be read: the key that sealed it is not known any more, or it was tampered with.'

export function presentChange({ batch, change }: Pick<KeptChange, 'batch' | 'change'>, withValues: boolean) {
  const image = withValues ? (change?.image ?? null) : null
  const isLoad = batch.kind === 'load'
  return {
    job_id: batch.jobId,
    at: batch.at,
    table: { ...batch.target },
    batch: batch.batch,
    kind: batch.kind,
    rows: change === null ? batch.rows : 1,
    op: isLoad ? ('insert' as const) : (change?.op ?? null),
    key_columns: [...batch.key],
    key: change === null ? null : change.key.map(valueText),
    before: toCells(batch.columns, image?.before ?? null),
    after: toCells(batch.columns, image?.after ?? null),
    note: isLoad ? noteOfLoad(batch) : change === null ? UNREADABLE : null,
  }
}

function noteOfLoad({ digest, rows }: BatchFacts): string {
  if (digest === null) return UNREADABLE
  return `${rows} rows came at once, by a load of the whole table.${digest === '' ? '' : ` Their digest: ${digest}.`}`
}

/** A value as text; bytes as PostgreSQL writes them. */
export function valueText(value: Value): string | null {
  return value instanceof Uint8Array ? String.raw`\x${Buffer.from(value).toString('hex')}` : value
}

function toCells(columns: readonly string[], row: Row | null) {
  return row === null ? null : row.map((value, i) => ({ column: columns[i] ?? '', value: valueText(value) }))
}
