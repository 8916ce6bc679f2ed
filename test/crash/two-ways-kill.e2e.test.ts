/**
 * A sync in two ways that is killed at each step of its batches, while both sides are edited before and after: no edit is
 * lost, and none is taken for a conflict, because the sides edit rows of their own (RELIABILITY F1, I1, I2, D15).
 */
import { expect, test } from 'vitest'

import { listConflicts } from '#control/conflict-list.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { MIRROR_POLICIES, TestService } from '#test/harness/service.ts'

import { randomFrom } from './runs.ts'

/** So few rows that most are edited again after the kill. */
const ROWS = 30
const EDITS = 40

/** Batches go to the source first, then to the target. */
const STEPS = ['batch.staged:2', 'batch.record:1', 'batch.commit:2', 'batch.committed:1', 'batch.committed:3'] as const
const LATE_STEPS = ['batch.committed:5', 'batch.commit:6', 'batch.committed:7', 'run.finish:1', 'run.finish:2'] as const

expectNoProgramSurvives()

/** Edits the rows of one side: those with a key of its parity, which the other side leaves alone. */
class Editor {
  readonly rows = new Map<number, number>()
  readonly #db: Database
  readonly #random: () => number
  #next: number
  #edits = 0

  constructor(db: Database, parity: number, random: () => number) {
    this.#db = db
    this.#random = random
    this.#next = ROWS + 2 - parity
    for (let id = 1; id <= ROWS; id++) if (id % 2 === parity) this.rows.set(id, 0)
  }

  async edit(times: number): Promise<void> {
    for (let i = 0; i < times; i++) {
      const n = (this.#edits += 1)
      const ids = [...this.rows.keys()]
      const id = ids[Math.floor(this.#random() * ids.length)]
      const what = this.#random()
      if (id === undefined || what < 0.2) {
        const fresh = (this.#next += 2)
        await this.#db.sql('INSERT INTO item VALUES ($1, $2)', [String(fresh), String(n)])
        this.rows.set(fresh, n)
      } else if (what < 0.35) {
        await this.#db.sql('DELETE FROM item WHERE id = $1', [String(id)])
        this.rows.delete(id)
      } else {
        await this.#db.sql('UPDATE item SET n = $2 WHERE id = $1', [String(id), String(n)])
        this.rows.set(id, n)
      }
    }
  }
}

test('whatever step it is killed at, every edit is on both sides, and none is in conflict', async () => {
  const random = randomFrom(printedSeed())
  await using service = await TestService.create('sqlite')
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const db of [source, target]) await db.sql('CREATE TABLE item (id int PRIMARY KEY, n int)')
  await source.sql(`INSERT INTO item SELECT i, 0 FROM generate_series(1, ${ROWS}) i`)
  const config = await service.addConfig(
    { source: source.url, target: target.url },
    { ...MIRROR_POLICIES, direction: 'two_way', conflict_strategy: 'manual', batch_size: 5 },
  )
  const finish = async (): Promise<void> => {
    const { job } = await service.work()
    expect(job.status, JSON.stringify(job.error)).toBe('succeeded')
    expect(job.counts).toMatchObject({ conflicted: 0, rejected: 0 })
  }
  await service.start(config)
  await finish()
  const editors = [new Editor(source, 0, random), new Editor(target, 1, random)]
  const edit = async (): Promise<void> => {
    for (const editor of editors) await editor.edit(EDITS)
  }
  for (const step of [...STEPS, ...LATE_STEPS]) {
    await edit()
    await service.start(config)
    const { signal } = await service.work({ FAILPOINT: `${step}:kill` })
    expect(signal, step).toBe('SIGKILL')
    await edit()
    await finish()
    await service.start(config)
    await finish()
    const rows = editors.flatMap((editor) => [...editor.rows]).toSorted(([a], [b]) => a - b)
    const wanted = rows.map((row) => row.map(String))
    for (const db of [source, target]) {
      expect(await db.sql('SELECT id, n FROM item ORDER BY id'), `after ${step}`).toEqual(wanted)
    }
  }
  expect(await listConflicts(service.store, {}, { after: null, limit: 10 })).toEqual([])
  const [[notes]] = (await source.sql(`SELECT format('SELECT count(*) FROM syncline.%I', relname) FROM pg_class
    WHERE relnamespace = 'syncline'::regnamespace AND relname LIKE 'baseline%' AND relkind = 'r'`)) as [[string]]
  expect(await source.sql(notes), 'nothing is noted any more').toEqual([['0']])
})
