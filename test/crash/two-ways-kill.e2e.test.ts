/**
 * A sync in two ways whose process is killed at any instant, while both sides are edited: no edit is lost, and none is
 * taken for a conflict, because the sides edit rows of their own (RELIABILITY F2, I1, I2, D15). SYNCLINE_TEST_KILLS sets
 * how many kills.
 */
import { setTimeout as pause } from 'node:timers/promises'

import { expect, test } from 'vitest'

import { listConflicts } from '#control/conflict-list.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, killNow } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { jobProcesses, MIRROR_POLICIES, TestService } from '#test/harness/service.ts'

import { randomFrom } from './runs.ts'

const KILLS = Number(process.env['SYNCLINE_TEST_KILLS'] ?? 8)
const ROWS = 400

expectNoProgramSurvives()

/** The rows of one side: those with a key of its parity, which nobody else edits. */
class Editor implements AsyncDisposable {
  readonly rows = new Map<number, number>()
  readonly #db: Database
  readonly #random: () => number
  readonly #parity: number
  #next: number
  #edits = 0
  #stopped = false
  #work: Promise<void> = Promise.resolve()

  constructor(db: Database, parity: number, random: () => number) {
    this.#db = db
    this.#parity = parity
    this.#random = random
    this.#next = ROWS + 2 - parity
    for (let id = 1; id <= ROWS; id++) if (id % 2 === parity) this.rows.set(id, 0)
  }

  get edits(): number {
    return this.#edits
  }

  start(): this {
    this.#work = this.#goOn()
    // Held until disposal, so that a failure there is the test's and not an unhandled rejection.
    this.#work.catch(() => undefined)
    return this
  }

  async #goOn(): Promise<void> {
    while (!this.#stopped) {
      await this.#edit()
      await pause(this.#random() * 10)
    }
  }

  /** Rows are few enough that most are edited again while a run is under way with them. */
  async #edit(): Promise<void> {
    const n = (this.#edits += 1)
    const ids = [...this.rows.keys()]
    const id = ids[Math.floor(this.#random() * ids.length)] ?? this.#parity
    const what = this.#random()
    if (what < 0.15) {
      const fresh = (this.#next += 2)
      await this.#db.sql('INSERT INTO item VALUES ($1, $2)', [String(fresh), String(n)])
      this.rows.set(fresh, n)
    } else if (what < 0.3) {
      await this.#db.sql('DELETE FROM item WHERE id = $1', [String(id)])
      this.rows.delete(id)
    } else {
      await this.#db.sql('UPDATE item SET n = $2 WHERE id = $1', [String(id), String(n)])
      this.rows.set(id, n)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopped = true
    await this.#work
  }
}

test(`${KILLS} kills of a sync in two ways, with editors on both sides: every edit is on both, and nothing in conflict`, async () => {
  const random = randomFrom(printedSeed())
  await using service = await TestService.create('sqlite')
  await using source = await createDatabase(sharedServers().source)
  await using target = await createDatabase(sharedServers().target)
  for (const db of [source, target]) await db.sql('CREATE TABLE item (id int PRIMARY KEY, n int)')
  await source.sql(`INSERT INTO item SELECT i, 0 FROM generate_series(1, ${ROWS}) i`)
  const config = await service.addConfig(
    { source: source.url, target: target.url },
    { ...MIRROR_POLICIES, direction: 'two_way', conflict_strategy: 'manual', batch_size: 10 },
  )
  await using worker = service.startWorker()
  const finish = async (id: string): Promise<void> => {
    const { counts } = await service.succeeded(id, 240_000)
    expect(counts).toMatchObject({ conflicted: 0, rejected: 0 })
  }
  await finish((await service.start(config)).id)
  const [even, odd] = [new Editor(source, 0, random), new Editor(target, 1, random)]
  {
    await using _source = even.start()
    await using _target = odd.start()
    for (let kills = 0; kills < KILLS;) {
      const { id } = await service.start(config)
      for (let most = 1 + Math.floor(random() * 3); most > 0 && kills < KILLS; most--) {
        if ((await service.until(id, ['running', 'succeeded'], 60_000)).status === 'succeeded') break
        await pause(400 + random() * 1_200)
        for (const pid of await jobProcesses(worker)) {
          killNow(pid)
          kills += 1
        }
      }
      await finish(id)
    }
  }
  expect(Math.min(even.edits, odd.edits)).toBeGreaterThan(KILLS)
  await finish((await service.start(config)).id)
  const wanted = [...even.rows, ...odd.rows].toSorted(([a], [b]) => a - b).map((row) => row.map(String))
  for (const db of [source, target]) expect(await db.sql('SELECT id, n FROM item ORDER BY id')).toEqual(wanted)
  expect(await listConflicts(service.store, {}, { after: null, limit: 10 })).toEqual([])
})
