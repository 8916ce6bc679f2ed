import type { Transaction } from 'kysely'
import { SYSTEM } from '#model/access.ts'
import { toConduct } from '#model/config-document.ts'
import type { JobRequest } from '#model/job-request.ts'
import { appendAudit } from './audit.ts'
import type { JobRow, Tables } from './schema.ts'
import type { Store } from './store.ts'

/**
 * Tells the audit log how a job has ended, inside the transaction that ends it, which holds the end of the chain. How
 * much of its history there is comes along, so that it shows later where some of it is gone.
 */
export async function auditEnd(
  store: Store,
  tx: Transaction<Tables>,
  { id, kind, status, request, counts, error }: JobRow,
): Promise<void> {
  const { policies } = JSON.parse(request) as JobRequest
  if (toConduct(policies).auditLevel === 'none') return
  const history = await tx
    .selectFrom('history_batch')
    .select((select) => [select.fn.countAll().as('batches'), select.fn.sum('row_count').as('rows')])
    .where('job_id', '=', id)
    .executeTakeFirstOrThrow()
  const data = {
    status,
    kind,
    counts: counts === null ? null : (JSON.parse(counts) as unknown),
    error: error === null ? null : (JSON.parse(error) as { readonly code: string }).code,
    history: { batches: Number(history.batches), rows: Number(history.rows ?? 0) },
  }
  await appendAudit(tx, { actor: SYSTEM, at: store.clock.now() }, { action: 'job.end', subject: id, data })
}
