/**
 * A sync in two ways that is killed at each step of its batches, while both sides are edited before and after: no edit is
 * lost, and none is taken for a conflict, because the sides edit rows of their own (RELIABILITY F1, I1, I2, D15). Once of
 * tables that are alike, and once through a mapping that turns rows round and has a field that only the source decides.
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

/** What an editor does to a row with a key and a number, and how all rows are read. */
interface Statements {
  readonly insert: string
  readonly update: string
  readonly delete: string
  readonly read: string
}

const ITEM: Statements = {
  insert: 'INSERT INTO item VALUES ($1, $2)',
  update: 'UPDATE item SET n = $2 WHERE id = $1',
  delete: 'DELETE FROM item WHERE id = $1',
  read: 'SELECT id, n FROM item ORDER BY id',
}

/** The number is turned round, and the label is the source's to decide: a row that is out of step with itself shows. */
const THING: Statements = {
  insert: 'INSERT INTO thing VALUES ($1, -$2::int)',
  update: 'UPDATE thing SET negated = -$2::int WHERE nr = $1',
  delete: 'DELETE FROM thing WHERE nr = $1',
  read: `SELECT nr, -negated FROM thing WHERE label = '#' || -negated ORDER BY nr`,
}

interface Variant {
  readonly name: string
  readonly table: string
  readonly target: Statements
  readonly document: Parameters<TestService['addConfig']>[1]
  readonly steps: 'all' | 'some'
}

const VARIANTS = [
  { name: 'alike', table: 'CREATE TABLE item (id int PRIMARY KEY, n int)', target: ITEM, document: {}, steps: 'all' },
  {
    name: 'mapped',
    table: 'CREATE TABLE thing (nr bigint PRIMARY KEY, negated int, label text)',
    target: THING,
    document: {
      tables: [
        {
          source: 'item',
          target: 'thing',
          field_mappings: [
            { target: 'nr', column: 'id' },
            { target: 'negated', column: 'n', transforms: ['negate'] },
            { target: 'label', expression: `'#' + string(n)` },
          ],
        },
      ],
    },
    steps: 'some',
  },
] satisfies readonly Variant[]

/** Edits the rows of one side: those with a key of its parity, which the other side leaves alone. */
class Editor {
  readonly rows = new Map<number, number>()
  readonly #db: Database
  readonly #random: () => number
  readonly #into: Statements
  #next: number
  #edits = 0

  constructor(db: Database, parity: number, { random, into }: { random: () => number; into: Statements }) {
    this.#into = into
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
        await this.#db.sql(this.#into.insert, [String(fresh), String(n)])
        this.rows.set(fresh, n)
      } else if (what < 0.35) {
        await this.#db.sql(this.#into.delete, [String(id)])
        this.rows.delete(id)
      } else {
        await this.#db.sql(this.#into.update, [String(id), String(n)])
        this.rows.set(id, n)
      }
    }
  }
}

test.each(VARIANTS)(
  '$name: whatever step it is killed at, every edit is on both sides, and none is in conflict',
  async (variant) => {
    const random = randomFrom(printedSeed())
    await using service = await TestService.create('sqlite')
    await using source = await createDatabase(sharedServers().source)
    await using target = await createDatabase(sharedServers().target)
    await source.sql('CREATE TABLE item (id int PRIMARY KEY, n int)')
    await target.sql(variant.table)
    await source.sql(`INSERT INTO item SELECT i, 0 FROM generate_series(1, ${ROWS}) i`)
    const config = await service.addConfig(
      { source: source.url, target: target.url },
      { ...MIRROR_POLICIES, direction: 'two_way', conflict_strategy: 'manual', batch_size: 5, ...variant.document },
    )
    const finish = async (): Promise<void> => {
      const { job } = await service.work()
      expect(job.status, JSON.stringify(job.error)).toBe('succeeded')
      expect(job.counts).toMatchObject({ conflicted: 0, rejected: 0 })
    }
    await service.start(config)
    await finish()
    const editors = [
      new Editor(source, 0, { random, into: ITEM }),
      new Editor(target, 1, { random, into: variant.target }),
    ]
    const edit = async (): Promise<void> => {
      for (const editor of editors) await editor.edit(EDITS)
    }
    const steps = [...STEPS, ...LATE_STEPS].filter((_, i) => variant.steps === 'all' || i % 2 === 1)
    for (const step of steps) {
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
      expect(await source.sql(ITEM.read), `the source after ${step}`).toEqual(wanted)
      expect(await target.sql(variant.target.read), `the target after ${step}`).toEqual(wanted)
    }
    expect(await listConflicts(service.store, {}, { after: null, limit: 10 })).toEqual([])
    const [[notes]] = (await source.sql(`SELECT format('SELECT count(*) FROM syncline.%I', relname) FROM pg_class
    WHERE relnamespace = 'syncline'::regnamespace AND relname LIKE 'baseline%' AND relkind = 'r'`)) as [[string]]
    expect(await source.sql(notes), 'nothing is noted any more').toEqual([['0']])
  },
)
