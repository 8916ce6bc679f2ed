/** Runs of the real program that are killed or cut off, and what is kept of those that came to their end. */
import { execFile } from 'node:child_process'
import { mkdtempSync } from 'node:fs'
import { readdir, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { promisify } from 'node:util'

import { expect } from 'vitest'

import type { Database } from '#test/harness/database.ts'
import { expectSameTables } from '#test/harness/database.ts'
import { runInside, startProgram, type Exit, type Program } from '#test/harness/process.ts'
import type { Side } from '#test/harness/side.ts'

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

export interface SyncOptions {
  /** Further flags; they win over those of the mirror. */
  readonly flags?: readonly string[]
  readonly env?: Readonly<Record<string, string>>
}

export function startSync(source: string, target: string, { flags = [], env = {} }: SyncOptions = {}): Program {
  return startProgram(['sync', source, target, ...MIRROR, ...flags], { env })
}

/** A run that must come to its end by itself, and well. */
export async function finishSync(
  source: string,
  target: string,
  { flags = [], env = {} }: SyncOptions = {},
): Promise<Exit> {
  const exit = await runInside(['sync', source, target, ...MIRROR, ...flags], env)
  expect(exit, exit.stderr).toMatchObject({ code: 0 })
  return exit
}

type Written = Record<'inserted' | 'updated' | 'deleted', number>

const OPERATIONS = ['inserted', 'updated', 'deleted'] as const

/** The books of a suite: what all closed jobs wrote, by their own counters. */
export class Books {
  finished = 0
  killed = 0
  /** What runs that neither finished nor were killed had to say. */
  readonly failures: string[] = []
  readonly #jobs = new Map<string, Written>()

  /** Takes in how a run ended. */
  enter(exit: Exit): void {
    if (exit.signal !== null) this.killed += 1
    else if (exit.code !== 0) this.failures.push(exit.stderr || exit.stdout)
    else {
      this.finished += 1
      const { jobId, counts } = receiptOf(exit)
      this.#jobs.set(jobId, counts)
    }
  }

  /** Takes in a job that a run closed just before it ended otherwise: only the target knows of it. */
  async enterClosed(target: Side): Promise<void> {
    await untilNoSession(target)
    const there = await target.sql(`SELECT 1 FROM information_schema.tables
      WHERE (table_schema, table_name) IN (('syncline', 'state'), (${target.literal(target.home)}, 'syncline_state'))`)
    if (there.length === 0) return
    const jobs = await target.sql(`SELECT job_id, sum(inserted), sum(updated), sum(deleted) FROM ${target.own('state')}
      GROUP BY job_id HAVING min(CASE WHEN phase = 'done' THEN 1 ELSE 0 END) = 1`)
    for (const [job, ...counts] of jobs) {
      const [inserted = 0, updated = 0, deleted = 0] = counts.map(Number)
      this.#jobs.set(job ?? '', { inserted, updated, deleted })
    }
  }

  get written(): Written {
    const sum: Written = { inserted: 0, updated: 0, deleted: 0 }
    for (const counts of this.#jobs.values()) for (const op of OPERATIONS) sum[op] += counts[op]
    return sum
  }
}

/** A COMMIT that was under way when its process was killed may still happen. */
export async function untilNoSession(target: Side): Promise<void> {
  await expect.poll(() => target.sessions(), { timeout: 60_000 }).toEqual([])
}

function receiptOf(exit: Exit): { jobId: string; counts: Written } {
  const envelope = JSON.parse(exit.stdout) as { result: { jobId: string; counts: Written } }
  return envelope.result
}

export function countsOf(exit: Exit): Written {
  return receiptOf(exit).counts
}

/** The code of the error that a run ended with. */
export function codeOf(exit: Exit): string {
  const envelope = JSON.parse(exit.stdout) as { error: { code: string } | null }
  return envelope.error?.code ?? 'none'
}

/** The end of every crash suite: a last run, equality by the second reader, counters by the ledger, then rest. */
export async function expectWhole(
  source: Database,
  target: Database,
  books: Books,
  options: SyncOptions = {},
): Promise<void> {
  books.enter(await finishSync(source.url, target.url, options))
  await expectSameTables(source, target, SHOP_TABLES)
  expect(books.written, 'rows that the finished jobs say they wrote, against the triggers of the target').toEqual(
    await readLedger(target),
  )
  await expectBatchesAddUp(target)
  const again = await finishSync(source.url, target.url, options)
  expect(countsOf(again)).toMatchObject({ inserted: 0, updated: 0, deleted: 0 })
}

const execute = promisify(execFile)

/** Waits until a program that stops itself at a failpoint has done so. @throws if it ends before */
export async function untilStopped(program: Program): Promise<void> {
  const state = async (): Promise<string> => {
    const { stdout } = await execute('ps', ['-o', 'state=', '-p', String(program.pid)]).catch(() => ({
      stdout: 'gone',
    }))
    return stdout.trim()
  }
  const seen = (): Promise<string> => Promise.race([state(), program.exit.then(() => 'gone')])
  await expect.poll(seen, { timeout: 60_000, interval: 20, message: 'T: stopped' }).toMatch(/^T|gone/)
  expect(await seen(), `the run ended before its failpoint: ${program.stdout}${program.stderr}`).toMatch(/^T/)
}

/** What of a run must not outlive it, on either server and in the folder of its temporary files. */
export async function expectNothingLeft(source: Database, target: Database, temporary: string): Promise<void> {
  // A server notices that a killed client is gone when it next reads from it or writes to it.
  await untilNoSession(source)
  await untilNoSession(target)
  for (const db of [source, target]) {
    const left = await db.sql(`
      SELECT 'advisory lock', pid::text FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())
      UNION ALL SELECT 'temporary table', relname FROM pg_class WHERE relpersistence = 't' AND relkind = 'r'
      UNION ALL SELECT 'prepared transaction', gid FROM pg_prepared_xacts WHERE database = current_database()
      UNION ALL SELECT 'replication slot', slot_name FROM pg_replication_slots WHERE database = current_database()`)
    expect(left).toEqual([])
  }
  expect(await target.sql('SELECT * FROM syncline.pending_ddl')).toEqual([])
  expect(await readdir(temporary)).toEqual([])
}

/** A folder of its own for the temporary files of runs, and the environment that names it. */
export class TemporaryFolder implements AsyncDisposable {
  readonly path = mkdtempSync(join(tmpdir(), 'syncline-test-'))
  readonly env = { SYNCLINE_TEMP_DIR: this.path }

  async [Symbol.asyncDispose](): Promise<void> {
    await rm(this.path, { recursive: true, force: true })
  }
}

/** The counters of a job are the sum of its batches, table by table, and every job is closed. */
export async function expectBatchesAddUp(target: Side): Promise<void> {
  const rows = await target.sql(`
    SELECT s.target_table FROM ${target.own('state')} s LEFT JOIN (
      SELECT mapping_id, job_id, count(*) AS n, sum(inserted) AS i, sum(updated) AS u, sum(deleted) AS d
      FROM ${target.own('batch')} GROUP BY mapping_id, job_id) b ON b.mapping_id = s.mapping_id AND b.job_id = s.job_id
    WHERE s.batches <> coalesce(b.n, 0) OR s.inserted <> coalesce(b.i, 0) OR s.updated <> coalesce(b.u, 0)
      OR s.deleted <> coalesce(b.d, 0) OR s.phase <> 'done'`)
  expect(rows).toEqual([])
}
