import { must } from '#lib/assert.ts'
import type { BatchKind, BatchPart, BatchResult, BatchRow } from './adapter.ts'
import type { BatchRecord } from './commits.ts'
import type { CommittedCounts } from './sync-state.ts'
import type { RowImage, WrittenRows } from './written-rows.ts'

/** Which rows of a batch were applied; the others had moved, or are blocked by rows outside of a `together` batch. */
export interface Applied {
  readonly moved: ReadonlySet<number>
  readonly blocked: ReadonlySet<number>
  readonly inserted: number
  readonly updated: number
  readonly deleted: number
  /** Of the rows that were hit, by their places; empty where none are wanted. */
  readonly images: ReadonlyMap<number, RowImage>
}

const NOTHING = { inserted: 0, updated: 0, deleted: 0 }

interface BatchWriting<C> {
  readonly record: (connection: C) => Promise<BatchRecord>
  /** Told of the number of the batch, before its COMMIT. */
  readonly tell: (batch: number) => Promise<void>
  readonly found: (committed: CommittedCounts) => BatchResult
}

/**
 * A batch of one table as it is written, maybe more than once where a transaction is tried again, and what came of it once
 * it was committed. `number` counts the batches of a writer.
 */
export function batchWriting<C>(
  { rows, telling }: Pick<BatchPart, 'rows' | 'telling'>,
  { kind, number, apply }: { kind: BatchKind; number: number; apply: (connection: C) => Promise<Applied> },
): BatchWriting<C> {
  const moved: BatchRow[] = []
  const blocked: BatchRow[] = []
  const hit: WrittenRows['rows'][number][] = []
  // Two batches are under way at once: by its label one that was lost is told from one that got its number (hazard B3).
  const label = `${rows.length} rows, write ${number}`
  return {
    record: async (connection) => {
      moved.length = 0
      blocked.length = 0
      hit.length = 0
      const applied = await apply(connection)
      const missed = (seq: number): boolean => applied.moved.has(seq) || applied.blocked.has(seq)
      for (const [seq, { op, key }] of rows.entries()) {
        if (telling !== null && !missed(seq)) hit.push({ op, key, image: applied.images.get(seq) ?? null })
      }
      for (const index of applied.moved) moved.push(must(rows[index], 'a row of the batch'))
      for (const index of applied.blocked) blocked.push(must(rows[index], 'a row of the batch'))
      // A patch completes rows that were counted when they were inserted.
      const { inserted, updated, deleted } = kind === 'patch' ? NOTHING : applied
      return { kind: kind === 'patch' ? kind : 'apply', label, inserted, updated, deleted }
    },
    // Told also where nothing was hit: a number that is missing would be a batch that was lost.
    tell: async (batch) => telling?.tell({ batch, rows: hit }),
    found: (committed) => ({ committed, moved, blocked }),
  }
}
