/** Runs of the real program that are killed or cut off, and what is kept of those that came to their end. */
import { expect } from 'vitest'

import type { Database } from '#test/harness/database.ts'
import { expectSameTable } from '#test/harness/database.ts'
import { startProgram, type Exit, type Program } from '#test/harness/process.ts'

import { readLedger, SHOP_TABLES } from './shop.ts'

/** Mulberry32, by Tommy Ettinger: small, and the same for a seed everywhere. */
export function randomFrom(seed: number): () => number {
  let state = seed >>> 0
  return () => {
    state = (state + 0x6d2b79f5) >>> 0
    let t = Math.imul(state ^ (state >>> 15), state | 1)
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61)
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296
  }
}

/** A mirror run, whatever it deletes; batches are small, so that there are many places to be killed in. */
const MIRROR = [
  '--yes',
  '--json',
  '--delete',
  '--delete-scope',
  'mirror',
  '--max-delete-percent',
  '100',
  '--batch-size',
  '50',
]

export function startSync(source: string, target: string, more: readonly string[] = []): Program {
  return startProgram(['sync', source, target, ...MIRROR, ...more])
}

type Written = Record<'inserted' | 'updated' | 'deleted', number>

/** The books of a suite: what all finished jobs say they wrote. */
export class Books {
  readonly written: Written = { inserted: 0, updated: 0, deleted: 0 }
  finished = 0
  killed = 0
  /** What runs that neither finished nor were killed had to say. */
  readonly failures: string[] = []

  /** Takes in how a run ended. */
  enter(exit: Exit): void {
    if (exit.signal !== null) this.killed += 1
    else if (exit.code !== 0) this.failures.push(exit.stderr || exit.stdout)
    else {
      this.finished += 1
      const counts = countsOf(exit)
      for (const op of ['inserted', 'updated', 'deleted'] as const) this.written[op] += counts[op]
    }
  }
}

export function countsOf(exit: Exit): Written {
  const envelope = JSON.parse(exit.stdout) as { result: { counts: Written } }
  return envelope.result.counts
}

/** The end of every crash suite: a last run, equality by the second reader, counters by the ledger, then rest. */
export async function expectWhole(source: Database, target: Database, books: Books): Promise<void> {
  books.enter(await end(startSync(source.url, target.url)))
  for (const table of SHOP_TABLES) await expectSameTable(source, target, table)
  expect(books.written, 'rows that the finished jobs say they wrote, against the triggers of the target').toEqual(
    await readLedger(target),
  )
  await expectBatchesAddUp(target)
  const again = await end(startSync(source.url, target.url))
  expect(countsOf(again)).toMatchObject({ inserted: 0, updated: 0, deleted: 0 })
}

async function end(program: Program): Promise<Exit> {
  await using running = program
  const exit = await running.exit
  expect(exit, exit.stderr).toMatchObject({ code: 0 })
  return exit
}

/** The counters of a job are the sum of its batches, table by table, and every job is closed. */
async function expectBatchesAddUp(target: Database): Promise<void> {
  const rows = await target.sql(`
    SELECT s.target_table FROM syncline.state s LEFT JOIN LATERAL (
      SELECT count(*) n, coalesce(sum(inserted), 0) i, coalesce(sum(updated), 0) u, coalesce(sum(deleted), 0) d
      FROM syncline.batch b WHERE b.mapping_id = s.mapping_id AND b.job_id = s.job_id) b ON true
    WHERE (s.batches, s.inserted, s.updated, s.deleted) <> (b.n, b.i, b.u, b.d) OR s.phase <> 'done'`)
  expect(rows).toEqual([])
}
