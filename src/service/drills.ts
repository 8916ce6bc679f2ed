/** The part of the service that has dumps tried which nobody has tried, where somebody has said on which server. */
import { drillNewest } from '#jobs/drill-newest.ts'
import { startJob } from '#jobs/start-job.ts'
import { Turns } from '#jobs/turns.ts'
import { newId } from './api-tools.ts'
import type { Base } from './base.ts'

/** What happens to such dumps, for a log. */
export type DrillEvent =
  | { readonly type: 'dump tried'; readonly dump: string; readonly jobId: string }
  | { readonly type: 'dump not tried'; readonly dump: string; readonly reason: string }
  /** They cannot be looked for: the store does not answer, or there is no such datasource. */
  | { readonly type: 'dumps not looked for'; readonly reason: string }

const POLL_MS = 60_000

/**
 * Any number of these may be at work on a store: a dump has one trial at once, and whoever comes second starts none.
 * `onJob`: a job has been put into the store.
 */
export function createDriller(
  { store, rules, config }: Pick<Base, 'store' | 'rules' | 'config'>,
  { onEvent, onJob = () => undefined }: { onEvent: (event: DrillEvent) => void; onJob?: () => void },
): { run(signal: AbortSignal): Promise<void> } {
  const { dumpDrillInto: into, dumpDrillTrust: trusted } = config
  const look = async (plan: { readonly into: string; readonly trusted: boolean }): Promise<void> => {
    const started = await drillNewest(store, plan, (...wish) =>
      startJob({ store, rules, newJobId: () => newId('job') }, ...wish),
    )
    for (const each of started) {
      if ('jobId' in each) onEvent({ type: 'dump tried', ...each })
      else if (each.refused.code !== 'already_running') {
        onEvent({ type: 'dump not tried', dump: each.dump, reason: each.refused.message })
      }
    }
    if (started.some((each) => 'jobId' in each)) onJob()
  }
  return {
    run: async (signal) => {
      if (into === null) return
      const onStoreFailed = (reason: string): void => onEvent({ type: 'dumps not looked for', reason })
      const turns = new Turns({ pollMs: POLL_MS, onStoreFailed })
      await turns.run(() => look({ into, trusted }), signal)
    },
  }
}
