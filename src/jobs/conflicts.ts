import { randomBytes } from 'node:crypto'
import {
  closeConflicts,
  parkConflicts,
  resolvedConflicts,
  settleConflicts,
  type ConflictJob,
  type ConflictTools,
} from '#control/conflicts.ts'
import type { Job } from '#control/jobs.ts'
import { wallMs } from '#lib/clock.ts'
import { makeId } from '#model/id.ts'
import { tableId, type TableRef } from '#model/table.ts'
import type { Conflicts } from '#sync/conflicts.ts'
import { fromStore } from './from-store.ts'

/** Where the conflicts of a job are known: once for all jobs of a sync config. */
export function conflictScopeOf({ id, configId, request }: Pick<Job, 'id' | 'configId' | 'request'>): string {
  return request.conflictScope ?? configId ?? id
}

/** Conflicts as the run of a job knows them. */
export function conflictsOf(job: Pick<Job, 'id' | 'configId' | 'request'>, tools: ConflictTools): Conflicts {
  const of: ConflictJob = { id: job.id, configId: job.configId, scope: conflictScopeOf(job) }
  // Somebody may decide anew while the run carries out what they decided before.
  const versions = new Map<string, number>()
  const looked = new Map<string, string>()
  return {
    resolved: async function* (target) {
      looked.set(tableId(target), await fromStore(tools.store.now(tools.store.db)))
      yield* readDecisions(target, of, tools, versions)
    },
    park: async (table, conflicts) => {
      const withIds = conflicts.map((one) => ({ ...one, id: makeId('conflict', wallMs(), randomBytes(10)) }))
      const ruled = await fromStore(parkConflicts(tools, of, table, withIds))
      for (const { id, version } of ruled) versions.set(id, version)
      return ruled
    },
    settle: (target, outcomes) => {
      const read = outcomes.flatMap((outcome) => {
        const version = versions.get(outcome.id)
        return version === undefined ? [] : [{ ...outcome, version }]
      })
      return fromStore(settleConflicts(tools, of, { target, outcomes: read }))
    },
    close: (target, decisions) => {
      const since = looked.get(tableId(target)) ?? ''
      return fromStore(closeConflicts(tools.store, of, target, { since, keepDecided: decisions === 'kept' }))
    },
  }
}

async function* readDecisions(
  target: TableRef,
  { scope }: ConflictJob,
  tools: ConflictTools,
  versions: Map<string, number>,
): AsyncGenerator<Awaited<ReturnType<typeof nextPage>>> {
  const pages = resolvedConflicts(tools, { scope, target })
  for (let page = await nextPage(pages); page.length > 0; page = await nextPage(pages)) {
    for (const { id, version } of page) versions.set(id, version)
    yield page
  }
}

/** Empty at the end. */
async function nextPage(pages: ReturnType<typeof resolvedConflicts>) {
  const { value } = await fromStore(pages.next())
  return value ?? []
}
