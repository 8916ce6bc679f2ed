import { randomBytes } from 'node:crypto'
import {
  closeRejections,
  closeReplay,
  keepRejections,
  rejectionsToReplay,
  settledRejections,
  type MarkedRejection,
  type RejectingJob,
  type RejectionTools,
} from '#control/rejections.ts'
import type { Job } from '#control/jobs.ts'
import { must } from '#lib/assert.ts'
import { wallMs } from '#lib/clock.ts'
import { makeId } from '#model/id.ts'
import type { ReplayRequest } from '#model/job-request.ts'
import type { Quarantine, Replay } from '#sync/quarantine.ts'
import { fromStore } from './from-store.ts'

/** Where the rows of a job are known: once for all jobs of a sync config. */
export function scopeOf({ id, configId, request }: Pick<Job, 'id' | 'configId' | 'request'>): string {
  return request.replay?.scope ?? configId ?? id
}

function rejecting(job: Job): RejectingJob {
  return { id: job.id, configId: job.configId, scope: scopeOf(job) }
}

/** The quarantine as the run of a job knows it. */
export function quarantineOf(job: Job, tools: RejectionTools): Quarantine {
  const of = rejecting(job)
  return {
    keep: (table, rows) => {
      const withIds = rows.map((row) => ({ ...row, id: makeId('rejection', wallMs(), randomBytes(10)) }))
      return fromStore(keepRejections(tools, of, table, withIds))
    },
    settled: async (target) => {
      const rows = await fromStore(settledRejections(tools, { scope: of.scope, target }))
      return rows.flatMap(({ id, key, keyIn, marks }) => {
        if (marks === null) return []
        const { sourceKey, sourceFingerprint, targetKey } = marks
        return [
          { id, key, keyIn, sourceKey, sourceFingerprint, targetKey: targetKey ?? (keyIn === 'target' ? key : null) },
        ]
      })
    },
    close: (target, { heeded, stale }) => fromStore(closeRejections(tools.store, of, { target, heeded, stale })),
  }
}

/** The rows that a job is to try again. */
export function replayOf(job: Job, { scope, ids }: ReplayRequest, tools: RejectionTools): Replay {
  const versions = new Map<string, number>()
  const known = (id: string): { id: string; version: number } => ({
    id,
    version: must(versions.get(id), 'the version of a row that was replayed'),
  })
  return {
    rows: async (target) => {
      const rows = await fromStore(rejectionsToReplay(tools, { scope, target, ids }))
      for (const { id, version } of rows) versions.set(id, version)
      return rows.flatMap(toReplayRow)
    },
    done: (rows, gone) =>
      fromStore(
        closeReplay(tools, rejecting(job), {
          through: rows.map((row) => ({ ...row, ...known(row.id) })),
          gone: gone.map(known),
        }),
      ),
  }
}

/** A row that cannot be read any more, because the key that sealed it is gone, cannot be replayed. */
function toReplayRow({ id, op, key, keyIn, status, marks, edits }: MarkedRejection) {
  if (marks === null) return []
  const { sourceKey, sourceFingerprint, targetFingerprint } = marks
  return [
    { id, op, key, keyIn, sourceKey, sourceFingerprint, targetFingerprint, edits: status === 'edited' ? edits : null },
  ]
}
