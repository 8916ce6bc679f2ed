import { StoredHistory, type HistoryTools } from '#control/history.ts'
import type { Job } from '#control/jobs.ts'
import type { Conduct } from '#model/config-document.ts'
import type { JobKind } from '#model/job.ts'
import type { History } from '#sync/history.ts'
import { fromStore } from './from-store.ts'

const WRITING: readonly JobKind[] = ['sync', 'revert']

/**
 * Where a claimed job tells what it writes: operations and keys at `standard`, the rows as well at `detailed`; null where
 * nothing is kept, or nothing is written. What the store fails with is `store_failed`, worth another try.
 */
export function historyOf(job: Job, level: Conduct['auditLevel'], tools: HistoryTools): History | null {
  if (level === 'none' || level === 'summary' || !WRITING.includes(job.kind) || job.request.dryRun) return null
  const history = new StoredHistory(tools, job, level === 'detailed' ? 'images' : 'keys')
  return {
    level: history.level,
    keep: (batch) => fromStore(history.keep(batch)),
    begin: (mappingId, committedBatches) => fromStore(history.begin(mappingId, committedBatches)),
    loaded: (load) => fromStore(history.loaded(load)),
  }
}
