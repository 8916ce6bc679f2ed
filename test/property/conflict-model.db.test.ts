/**
 * The model of conflicts against real servers, on each pair of engines: the same random histories of edits, rounds and
 * decisions are told to the model in memory and carried out on two databases, and after each round both have the same rows
 * and the same rows that wait for somebody, also where a run was broken off before (RELIABILITY I1, I3, I5, I8, I9, I10).
 * SYNCLINE_TEST_HISTORIES sets how many histories, in all.
 */
import assert from 'node:assert/strict'

import fc from 'fast-check'
import { test } from 'vitest'

import type { ColumnType } from '#model/column-type.ts'
import { RESOLUTIONS, type FieldStrategy, type Resolution } from '#model/conflict.ts'
import { written } from '#model/counts.ts'
import type { Receipt } from '#model/receipt.ts'
import { NO_OWN_CONFLICT, plainMapping, type SyncConfig } from '#model/sync-config.ts'
import type { Row } from '#model/value.ts'
import type { MergeColumn } from '#sync/conflicts/merge.ts'
import type { Side } from '#sync/drift.ts'
import { emptyWorld, POLICIES, runRound, type Rows, type Rules, type World } from '#test/harness/conflict-model.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { PAIRS, usePairs, type AnyPair } from '#test/harness/pairs.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { MIRROR, type RunHooks } from '#test/harness/sync.ts'

const HISTORIES = Number(process.env['SYNCLINE_TEST_HISTORIES'] ?? 4)

const open = usePairs()

const TABLE = `CREATE TABLE item (k varchar(9) PRIMARY KEY, a varchar(20), b varchar(20), n bigint NOT NULL, changed bigint NOT NULL)`

/** Places in a row; the key is the first. */
const [A, B, N, CHANGED] = [1, 2, 3, 4] as const

const TEXT: ColumnType = { kind: 'text', maxLength: 20 }
const BIGINT: ColumnType = { kind: 'integer', bits: 64 }
const TEXTS = [null, '', 'é', '😀', 'Z'] as const

type FieldRules = readonly (readonly [name: string, strategy: FieldStrategy])[]

function fieldRules(text: FieldStrategy): FieldRules {
  return [
    ['a', text],
    ['b', text],
    ['n', 'sum'],
    ['changed', 'max'],
  ]
}

function columnsOf(fields: FieldRules): MergeColumn[] {
  const column = (type: ColumnType, strategy: FieldStrategy, isKey = false): MergeColumn => ({
    type,
    form: 'own',
    isKey,
    strategy,
  })
  return [
    column(TEXT, 'manual', true),
    ...fields.map(([name, strategy]) => column(name === 'a' || name === 'b' ? TEXT : BIGINT, strategy)),
  ]
}

const anySide = fc.constantFrom<Side>('source', 'target')
/** Keys that a collation which is blind to case would take for one would be two here, and are left to other tests. */
const anyKey = fc.constantFrom('k1', 'k2', 'k3')

const anySet = fc.record({
  is: fc.constant('set' as const),
  side: anySide,
  key: anyKey,
  field: fc.constantFrom(A, B, N),
  value: fc.nat(4),
  /** The clock goes on before. */
  ticks: fc.boolean(),
})

const anyStep = fc.oneof(
  { arbitrary: anySet, weight: 10 },
  { arbitrary: fc.record({ is: fc.constant('delete' as const), side: anySide, key: anyKey }), weight: 3 },
  { arbitrary: fc.record({ is: fc.constant('rekey' as const), side: anySide, key: anyKey, to: anyKey }), weight: 1 },
  {
    arbitrary: fc.record({
      is: fc.constant('round' as const),
      /** At which write a run breaks off before the one that goes through. */
      breaks: fc.option(fc.integer({ min: 1, max: 5 }), { nil: null }),
    }),
    weight: 5,
  },
  {
    arbitrary: fc.record({
      is: fc.constant('click' as const),
      which: fc.nat(2),
      resolution: fc.constantFrom(...RESOLUTIONS),
    }),
    weight: 4,
  },
)

type Step = typeof anyStep extends fc.Arbitrary<infer T> ? T : never

const history = fc.record({
  // A program that is asked decides as somebody does.
  policy: fc.constantFrom(...POLICIES.filter(({ strategy }) => strategy !== 'webhook')),
  text: fc.constantFrom<FieldStrategy>('manual', 'manual', 'newer_wins', 'max', 'non_null', 'source_wins'),
  tieBreak: anySide,
  batchSize: fc.constantFrom(1, 1_000),
  first: fc.array(anySet, { maxLength: 6, size: 'max' }),
  steps: fc.array(anyStep, { minLength: 12, maxLength: 16, size: 'max' }),
})

type Given = typeof history extends fc.Arbitrary<infer T> ? T : never

/** A history that goes on in the model and on two databases at once. */
class BothWorlds {
  readonly world: World = emptyWorld()
  readonly #pair: AnyPair
  readonly #rules: Rules
  readonly #config: Partial<SyncConfig>
  readonly #conflicts = new MemoryConflicts()
  #clock = 0

  constructor(pair: AnyPair, { policy, text, tieBreak, batchSize }: Given) {
    const fields = fieldRules(text)
    this.#pair = pair
    this.#rules = { ...policy, columns: columnsOf(fields), timeAt: CHANGED, tieBreak, skewMs: 0 }
    const conflict = { ...NO_OWN_CONFLICT, newerBy: 'changed', fields: new Map(fields) }
    this.#config = {
      ...MIRROR,
      direction: policy.direction,
      conflictStrategy: policy.strategy,
      tieBreak,
      tables: [{ ...plainMapping(pair.source.ref('item'), pair.target.ref('item')), conflict }],
      baseline: 'images',
      maxDeletePercent: 100,
      maxOverwritePercent: 100,
      batchSize,
    }
    // Before the two have met nobody knows what they agree on.
    this.world.baselineComplete = false
  }

  async take(step: Step): Promise<void> {
    switch (step.is) {
      case 'set': {
        const { side, key, field, value, ticks } = step
        const row = [...(this.world[side].get(key) ?? [key, 'a', '', '0', '0'])]
        row[field] = field === N ? String(Number(row[N]) + value) : (TEXTS[value] ?? null)
        if (ticks) this.#clock += 1
        row[CHANGED] = String(this.#clock)
        return await this.#put(side, key, row)
      }
      case 'delete':
        return await this.#put(step.side, step.key, null)
      case 'rekey': {
        const row = this.world[step.side].get(step.key)
        if (row === undefined || step.to === step.key) return
        await this.#put(step.side, step.key, null)
        return await this.#put(step.side, step.to, [step.to, ...row.slice(1)])
      }
      case 'click':
        return this.#click(step)
      case 'round':
        return await this.round(step.breaks)
    }
  }

  async #put(side: Side, key: string, row: Row | null): Promise<void> {
    const db = this.#pair[side]
    const values = row?.map((cell) => db.literal(cell === null ? null : String(cell))).join(', ')
    await db.each([
      `DELETE FROM item WHERE k = ${db.literal(key)}`,
      ...(values === undefined ? [] : [`INSERT INTO item VALUES (${values})`]),
    ])
    if (row === null) this.world[side].delete(key)
    else this.world[side].set(key, row)
  }

  /** Somebody decides on a conflict that the last round found, whatever has become of its rows since. */
  #click({ which, resolution }: { which: number; resolution: Resolution }): void {
    const waiting = [...this.world.parked.keys()].toSorted()
    const key = waiting[which % Math.max(waiting.length, 1)]
    const parked = this.world.parked.get(key ?? '')
    if (key === undefined || parked === undefined) return
    const built: Row | null = which === 2 ? null : [key, 'built', 'é', '7', String(this.#clock)]
    const row = resolution === 'row' ? built : null
    this.world.decisions.set(key, { source: parked.source, target: parked.target, resolution, row })
    this.#conflicts.resolve(resolution, {
      row,
      which: (one) => one.key[0] === key && (one.status === 'open' || one.status === 'resolved'),
    })
  }

  #run(hooks: RunHooks = {}): Promise<Receipt> {
    const twoWays = this.#rules.direction === 'two_way'
    return this.#pair.run(this.#config, { conflicts: this.#conflicts, twoWays, approve: true, ...hooks })
  }

  async round(breaks: number | null): Promise<void> {
    if (breaks !== null) {
      let writes = 0
      const beforeWrite = async (): Promise<void> => {
        if ((writes += 1) === breaks) throw new Error('broken off by the test')
      }
      const failure = await this.#run({ beforeWrite }).then(
        () => null,
        (error: unknown) => (error instanceof Error ? error.message : String(error)),
      )
      assert.ok(failure === null || failure === 'broken off by the test', String(failure))
    }
    await this.#run()
    runRound(this.world, this.#rules)
    await this.compare()
    const again = await this.#run()
    assert.equal(written(again.counts), 0, 'I3: a further round writes nothing')
    await this.compare()
  }

  async compare(): Promise<void> {
    for (const side of ['source', 'target'] as const) {
      const rows = await this.#pair[side].sql('SELECT k, a, b, n, changed FROM item ORDER BY k')
      assert.deepEqual({ side, rows: rows.map((row) => [...row]) }, { side, rows: rowsOf(this.world[side]) })
    }
    const waiting = this.#conflicts.open.map(({ key }) => String(key[0])).toSorted()
    assert.deepEqual(waiting, [...this.world.parked.keys()].toSorted())
  }
}

function rowsOf(rows: Rows): unknown[] {
  return [...rows.values()].map((row) => [...row]).toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1))
}

test.each(PAIRS)(
  'the rules of conflicts do on two servers what they do in memory ($name)',
  async (engines) => {
    const property = fc.asyncProperty(history, async (given) => {
      await using pair = await open(engines)
      await pair.both(TABLE)
      const both = new BothWorlds(pair, given)
      for (const step of given.first) await both.take(step)
      await both.round(null)
      for (const step of given.steps) await both.take(step)
      await both.round(null)
    })
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns: Math.ceil(HISTORIES / PAIRS.length),
      endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
    })
  },
  1_800_000,
)
