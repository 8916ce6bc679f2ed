import type { Adapter, Horizon, Snapshot } from '#adapters/adapter.ts'
import type { Slots } from '#lib/slots.ts'
import type { ChangeSetSummary } from '#model/change-set.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import type { ChangeSet } from './change-set.ts'
import type { Conflicts } from './conflicts.ts'
import type { History } from './history.ts'
import type { Journal } from './journal.ts'
import type { Quarantine, Replay } from './quarantine.ts'
import type { Staging } from './staging.ts'

/** A change set that is applied, and what its tables were planned as. */
export interface ChangeSetInHand {
  readonly set: ChangeSet
  readonly summary: ChangeSetSummary
  /** What becomes of all others where a row has moved since the change set was computed. */
  readonly onMoved: 'apply the others' | 'apply nothing'
  /** It undoes a job: rows are those of the target alone, by all their columns. */
  readonly reverting: boolean
  /** The job that applies it has computed it. */
  readonly ownPlan: boolean
}

/** What all tables of an attempt share. */
export interface Attempt {
  readonly source: Snapshot
  /** Asked before the source's snapshot was opened; null where no table goes by a cursor. */
  readonly horizon: Horizon | null
  readonly target: Adapter
  readonly config: SyncConfig
  readonly staging: Staging
  /** By which values are masked and tokenised; null where none was given. */
  readonly maskKey: Uint8Array | null
  /** What is disposed of when the attempt has ended. */
  readonly resources: AsyncDisposableStack
  /** Null: rows that are left out are in the receipt alone. */
  readonly quarantine: Quarantine | null
  /** Where conflicts wait for somebody. Null: they are in the receipt alone. */
  readonly conflicts: Conflicts | null
  /** Milliseconds that the source's clock is ahead of the target's. */
  readonly clockSkewMs: number
  /** Null: everything that differs is brought in step; else the rows of the replay are tried again, and no others. */
  readonly replay: Replay | null
  /** Null: what differs is found now; else what was decided before is applied, in one transaction, and nothing else. */
  readonly changeSet: ChangeSetInHand | null
  /** Every change is found one by one, also where a table could be loaded whole: somebody will look at them. */
  readonly listing: boolean
  /** Who keeps what is written; null: nobody. */
  readonly history: History | null
  readonly journal: Journal
  readonly slots: Slots
  /** Taken around everything that is done to one table in a stage, before a slot. */
  readonly tableSlots: Slots
  /** Aborted when the run is stopped from outside, or when any part of the attempt has failed. */
  readonly signal: AbortSignal
  readonly stop: AbortController
}
