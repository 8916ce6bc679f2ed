import type { SecretBox } from '#lib/secret-box.ts'
import type { ChangeSetSummary, StagingKind } from '#model/change-set.ts'
import { AppError } from '#model/errors.ts'
import { unpackIndex, type ChunkEntry, type PackedIndex } from './change-chunks.ts'
import type { ChunkPlaces, Generation } from './chunk-store.ts'
import { FileChunkPlaces } from './file-chunks.ts'
import type { ChangeSetRow } from './schema.ts'
import { StoreChunkPlaces } from './store-chunks.ts'
import type { Store } from './store.ts'

export interface ChangeSetTools {
  readonly store: Store
  readonly box: SecretBox
  /** Where the files of embedded change sets lie, where the store is a file itself. */
  readonly folder: string
  /** Bytes that all change sets of the store may take up at once, by where they are kept. */
  readonly limits: Readonly<Record<StagingKind, number>>
  /** Null where no Redis is set up. */
  readonly redis: ChunkPlaces | null
}

export type ChangeSetState = ChangeSetRow['state']

/** A change set as it is kept, without its changes. */
export interface StoredChangeSet {
  readonly jobId: string
  readonly generation: string
  readonly state: ChangeSetState
  readonly staging: StagingKind
  /** Null until it is sealed, and for one that is being computed again. */
  readonly summary: ChangeSetSummary | null
  /** Decisions that did not hold when it was computed again. */
  readonly dropped: number
  readonly approval: ChangeSetApproval | null
  /** Until when it may be approved, or, once it is, applied. */
  readonly expiresAt: string | null
  readonly takenBy: string | null
}

export interface ChangeSetApproval {
  /** The id of the key, and its name then. */
  readonly by: string
  readonly name: string
  readonly at: string
  readonly digest: string
}

export function toChangeSet(row: Omit<ChangeSetRow, 'chunk_index'>): StoredChangeSet {
  const { approved_by: by, approved_at: at, approved_digest: digest } = row
  return {
    jobId: row.job_id,
    generation: row.generation,
    state: row.state,
    staging: row.staging as StagingKind,
    summary: row.summary === null ? null : (JSON.parse(row.summary) as ChangeSetSummary),
    dropped: row.dropped,
    approval: by === null || at === null || digest === null ? null : { by, name: row.approved_name ?? by, at, digest },
    expiresAt: row.expires_at,
    takenBy: row.taken_by,
  }
}

/** All columns but the index, which may be long. */
export const CHANGE_SET_COLUMNS = [
  'job_id',
  'generation',
  'marks_generation',
  'state',
  'staging',
  'held_bytes',
  'bytes',
  'changes',
  'digest',
  'summary',
  'dropped',
  'created_at',
  'sealed_at',
  'approved_by',
  'approved_name',
  'approved_digest',
  'approved_at',
  'expires_at',
  'taken_by',
] as const satisfies readonly (keyof ChangeSetRow)[]

export async function findChangeSet(
  { store }: Pick<ChangeSetTools, 'store'>,
  jobId: string,
): Promise<StoredChangeSet | null> {
  const row = await store.db
    .selectFrom('change_set')
    .select(CHANGE_SET_COLUMNS)
    .where('job_id', '=', jobId)
    .executeTakeFirst()
  return row === undefined ? null : toChangeSet(row)
}

/** @throws AppError `not_found` */
export async function getChangeSet(tools: Pick<ChangeSetTools, 'store'>, jobId: string): Promise<StoredChangeSet> {
  const found = await findChangeSet(tools, jobId)
  if (found === null) throw changeSetNotFound(jobId)
  return found
}

/** A change set whose changes can be read. */
export interface ReadyChangeSet extends Generation {
  readonly staging: StagingKind
  readonly summary: ChangeSetSummary
  readonly index: readonly ChunkEntry[]
  readonly approved: boolean
}

/** @throws AppError `not_found`, `wrong_state`, `change_set_lost`, `change_set_expired` */
export async function readyChangeSet({ store }: Pick<ChangeSetTools, 'store'>, jobId: string): Promise<ReadyChangeSet> {
  const row = await store.db.selectFrom('change_set').selectAll().where('job_id', '=', jobId).executeTakeFirst()
  if (row === undefined) throw changeSetNotFound(jobId)
  const { summary } = toChangeSet(row)
  if (row.state !== 'ready' || summary === null || row.chunk_index === null) throw notReady(row)
  return {
    jobId,
    generation: row.generation,
    staging: row.staging as StagingKind,
    summary,
    index: unpackIndex(JSON.parse(row.chunk_index) as PackedIndex),
    approved: row.approved_at !== null,
  }
}

/** Why a change set that is not ready cannot be used. */
export function notReady({ job_id: jobId, state }: Pick<ChangeSetRow, 'job_id' | 'state'>): AppError {
  switch (state) {
    case 'lost':
      return changeSetLost(jobId, 'a part of it is gone')
    case 'expired':
      return new AppError('change_set_expired', `The change set of the job ${jobId} was put away.`)
    case 'applied':
      return new AppError('wrong_state', `The change set of the job ${jobId} has been applied.`, {
        hint: 'See the receipt of the job, and the history of what it has written.',
      })
    case 'building':
    case 'ready':
      return new AppError('wrong_state', `The changes of the job ${jobId} are still being computed.`, {
        hint: 'Wait until the job says that its change set is ready.',
      })
    default:
      throw new Error(`unknown state ${String(state satisfies never)}`)
  }
}

export function changeSetLost(jobId: string, why: string): AppError {
  return new AppError('change_set_lost', `The change set of the job ${jobId} cannot be read any more: ${why}.`)
}

export function changeSetNotFound(jobId: string): AppError {
  return new AppError('not_found', `The job ${jobId} has no change set.`)
}

/** Where chunks of a kind are kept. @throws AppError `redis_unavailable` where there is no Redis */
export function placesOf({ store, folder, redis }: ChangeSetTools, staging: StagingKind): ChunkPlaces {
  if (staging === 'embedded') return store.isPostgres ? new StoreChunkPlaces(store) : new FileChunkPlaces(folder)
  if (redis !== null) return redis
  throw new AppError('redis_unavailable', 'No Redis is set up.', {
    hint: 'Set REDIS_URL, or set it up with PUT /api/settings/redis; or use staging: embedded.',
    retry: 'after-fix',
  })
}
