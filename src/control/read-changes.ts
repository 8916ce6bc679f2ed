import type { ImagedChange } from '#model/change-set.ts'
import { failpoint } from '#lib/failpoint.ts'
import { openChunk, type ChunkEntry } from './change-chunks.ts'
import { changeSetLost, placesOf, type ChangeSetTools, type ReadyChangeSet } from './change-set-tools.ts'

export interface OpenedChunk {
  readonly entry: ChunkEntry
  readonly changes: readonly ImagedChange[]
}

/**
 * The chunks that are wanted, in the order of their changes. Each one is the one that was sealed, whole, or the change set
 * is lost, and is known to be from then on. @throws AppError `change_set_lost`, `redis_unavailable`
 */
export async function* readChunks(
  tools: ChangeSetTools,
  set: Pick<ReadyChangeSet, 'jobId' | 'generation' | 'staging'>,
  entries: Iterable<ChunkEntry> | AsyncIterable<ChunkEntry>,
): AsyncGenerator<OpenedChunk> {
  await using chunks = placesOf(tools, set.staging).open(set)
  for await (const entry of entries) {
    failpoint('change_set.read')
    const body = await chunks.get(entry.n)
    const changes = body && openChunk(tools.box, set, entry, body)
    if (changes === null)
      throw await lose(tools, set, body === null ? 'a part of it is gone' : 'a part of it was altered')
    yield { entry, changes }
  }
}

/** From now on the generation counts as lost. */
export async function lose(
  { store }: Pick<ChangeSetTools, 'store'>,
  { jobId, generation }: Pick<ReadyChangeSet, 'jobId' | 'generation'>,
  why: string,
): Promise<Error> {
  await store.db
    .updateTable('change_set')
    .set({ state: 'lost' })
    .where('job_id', '=', jobId)
    .where('generation', '=', generation)
    .where('state', '=', 'ready')
    .execute()
  return changeSetLost(jobId, why)
}
