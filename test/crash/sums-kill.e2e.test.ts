/**
 * A field that is summed up, in a sync that is killed at each step of its batches while both sides add to the same rows
 * before and after: whatever was added on either side is there once (RELIABILITY F1, I2, I7).
 */
import { expect, test } from 'vitest'

import { listConflicts } from '#control/conflict-list.ts'
import type { ConfigPolicies } from '#model/config-document.ts'
import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { MIRROR_POLICIES, TestService } from '#test/harness/service.ts'

import { randomFrom } from './runs.ts'

const ROWS = 20
const EDITS = 30

const STEPS = ['batch.staged:1', 'batch.written:2', 'batch.record:1', 'batch.commit:1', 'batch.committed:1'] as const
/** Two ways, batches go to the source first, then to the target. */
const LATE_STEPS = ['batch.committed:3', 'batch.commit:5', 'batch.committed:5', 'run.finish:1', 'run.finish:2'] as const

expectNoProgramSurvives()

/** Adds to rows of one side, by a number that the other side never adds: the same number on both would count once. */
class Adder {
  readonly added = Array.from({ length: ROWS }, () => 0)
  readonly #db: Database
  readonly #unit: number
  readonly #random: () => number

  constructor(db: Database, unit: number, random: () => number) {
    this.#db = db
    this.#unit = unit
    this.#random = random
  }

  async add(statement: string): Promise<void> {
    for (let i = 0; i < EDITS; i++) {
      const row = Math.floor(this.#random() * ROWS)
      const more = this.#unit * (1 + Math.floor(this.#random() * 9))
      await this.#db.sql(statement, [String(row), String(more)])
      this.added[row] = (this.added[row] ?? 0) + more
    }
  }
}

const CREATE = 'CREATE TABLE item (id int PRIMARY KEY, n numeric(30,2))'
const ADD = 'UPDATE item SET n = n + $2 WHERE id = $1'
const READ = 'SELECT n FROM item ORDER BY id'

/** What the target is, and how a sync goes into it. */
interface Into {
  readonly create: string
  readonly add: string
  readonly read: string
  readonly table: NonNullable<ConfigPolicies['tables']>[number]
}

const ALIKE = {
  create: CREATE,
  add: ADD,
  read: READ,
  table: { source: 'item', conflict_fields: { n: 'sum' } },
} as const

/** The number is turned round, and the label is the source's to decide: a row that is out of step with itself does not show. */
const MAPPED = {
  create: 'CREATE TABLE thing (nr bigint PRIMARY KEY, cents numeric(30,0), label text)',
  add: 'UPDATE thing SET cents = cents + 100 * $2::int WHERE nr = $1',
  read: `SELECT (cents / 100)::numeric(30,2) FROM thing WHERE label = 'row ' || nr ORDER BY nr`,
  table: {
    source: 'item',
    target: 'thing',
    conflict_fields: { cents: 'sum' },
    field_mappings: [
      { target: 'nr', column: 'id' },
      { target: 'cents', column: 'n', transforms: [{ scale: { power: 2 } }] },
      { target: 'label', expression: `'row ' + string(id)` },
    ],
  },
} satisfies Into

test.each([
  ['one way', 'one_way', ALIKE, STEPS],
  ['two ways', 'two_way', ALIKE, [...STEPS, ...LATE_STEPS]],
  ['two ways through a mapping', 'two_way', MAPPED, [...STEPS, ...LATE_STEPS]],
] as const)(
  '%s: whatever step it is killed at, each side has what was added, once',
  async (_, direction, into, steps) => {
    const random = randomFrom(printedSeed())
    await using service = await TestService.create('sqlite')
    await using source = await createDatabase(sharedServers().source)
    await using target = await createDatabase(sharedServers().target)
    await source.sql(CREATE)
    await target.sql(into.create)
    await source.sql(`INSERT INTO item SELECT i, 0 FROM generate_series(0, ${ROWS - 1}) i`)
    const config = await service.addConfig(
      { source: source.url, target: target.url },
      {
        ...MIRROR_POLICIES,
        direction,
        conflict_strategy: 'merge',
        tables: [into.table],
        batch_size: 4,
        max_overwrite_percent: 100,
      },
    )
    const finish = async (): Promise<void> => {
      const { job } = await service.work()
      expect(job.status, JSON.stringify(job.error)).toBe('succeeded')
      expect(job.counts).toMatchObject({ conflicted: 0, rejected: 0 })
    }
    await service.start(config)
    await finish()
    // A step adds less than a thousand to any row of the source.
    const [here, there] = [new Adder(source, 1, random), new Adder(target, 1_000, random)]
    for (const step of steps) {
      await here.add(ADD)
      await there.add(into.add)
      await service.start(config)
      const { signal } = await service.work({ FAILPOINT: `${step}:kill` })
      expect(signal, step).toBe('SIGKILL')
      await here.add(ADD)
      await there.add(into.add)
      await finish()
      await service.start(config)
      await finish()
      const all = here.added.map((n, row) => [`${n + (there.added[row] ?? 0)}.00`])
      const own = direction === 'two_way' ? all : here.added.map((n) => [`${n}.00`])
      expect(await target.sql(into.read), `target after ${step}`).toEqual(all)
      expect(await source.sql(READ), `source after ${step}`).toEqual(own)
    }
    expect(await listConflicts(service.store, {}, { after: null, limit: 10 })).toEqual([])
  },
)
