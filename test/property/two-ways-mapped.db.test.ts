/**
 * Random mappings, and random edits on both sides of a sync in two ways through them: after each run both sides are what
 * the test itself makes of the mapping and of what each side changed, and the next run writes nothing (RELIABILITY I1 to
 * I6, I9, D7). SYNCLINE_TEST_HISTORIES sets how many histories, in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { FieldMapping } from '#model/field-mapping.ts'
import { written } from '#model/counts.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { field } from '#test/harness/fields.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, mapping, type Pair, type RunHooks } from '#test/harness/sync.ts'

const HISTORIES = Number(process.env['SYNCLINE_TEST_HISTORIES'] ?? 2)

const { source, target } = sharedServers()

type Cell = string | null
/** Of the source: a and b must have a value; c never comes back. */
type From = Readonly<Record<'a' | 'b' | 'c' | 'd', Cell>>
type To = Readonly<Record<'f1' | 'f2' | 'f3' | 'f4', Cell>>
type Name = keyof To

/** One field as the test understands it: the way there, and the way back of one column. */
interface Model {
  readonly mapping: (name: Name) => FieldMapping
  readonly forth: (row: From) => Cell
  /** Undefined: the value has no way back. */
  readonly back?: { readonly column: keyof From; readonly turn: (value: string) => string | undefined }
  readonly direct?: true
}

const direct = (column: 'a' | 'b' | 'd'): Model => ({
  mapping: (name) => field(name, { columns: [column] }),
  forth: (row) => row[column],
  // The source's number has 32 bits.
  back: { column, turn: (value) => (column === 'b' && Math.abs(Number(value)) > 2 ** 31 ? undefined : value) },
  direct: true,
})

const affixed = (column: 'a' | 'd'): Model => ({
  mapping: (name) => field(name, { columns: [column] }, [['affix', { before: 'P-' }]]),
  forth: (row) => (row[column] === null ? null : `P-${row[column]}`),
  back: { column, turn: (value) => (value.startsWith('P-') ? value.slice(2) : undefined) },
})

const MODELS = {
  'a as it is': direct('a'),
  'a with an affix': affixed('a'),
  'a in base64': {
    mapping: (name) => field(name, { columns: ['a'] }, [['base64_encode', {}]]),
    forth: (row) => (row.a === null ? null : Buffer.from(row.a, 'utf8').toString('base64')),
    back: {
      column: 'a',
      turn: (value) => {
        const bytes = Buffer.from(value, 'base64')
        const text = bytes.toString('utf8')
        return bytes.toString('base64') === value && Buffer.from(text, 'utf8').equals(bytes) ? text : undefined
      },
    },
  },
  'a in capitals': {
    mapping: (name) => field(name, { columns: ['a'] }, [['upper']]),
    forth: (row) => row.a?.toUpperCase() ?? null,
  },
  'b as it is': direct('b'),
  'b negated': {
    mapping: (name) => field(name, { columns: ['b'] }, [['negate']]),
    forth: (row) => (row.b === null ? null : String(0 - Number(row.b))),
    back: { column: 'b', turn: (value) => (Math.abs(Number(value)) > 2 ** 31 ? undefined : String(0 - Number(value))) },
  },
  'a constant': { mapping: (name) => field(name, { constant: 'same' }), forth: () => 'same' },
  'made of c': {
    mapping: (name) => field(name, { expression: `c == null ? 'none' : c + '!'` }),
    forth: (row) => (row.c === null ? 'none' : `${row.c}!`),
  },
  'made of a and c': {
    mapping: (name) => field(name, { expression: `a + '/' + (c == null ? '' : c)` }),
    forth: (row) => `${row.a}/${row.c ?? ''}`,
  },
  'd with an affix': affixed('d'),
  'd as it is': direct('d'),
} as const satisfies Record<string, Model>

const FILTERS: Record<string, { text: string; column: keyof From; meets: (row: From) => boolean }> = {
  'b >= 0': { text: 'b >= 0', column: 'b', meets: ({ b }) => b !== null && Number(b) >= 0 },
  "a != 'x'": { text: "a != 'x'", column: 'a', meets: ({ a }) => a !== 'x' },
}

const shape = fc.record({
  f1: fc.constantFrom('a as it is', 'a with an affix', 'a in base64', 'a in capitals'),
  f2: fc.constantFrom('b as it is', 'b negated'),
  f3: fc.constantFrom('a constant', 'made of c', 'made of a and c', 'a as it is', 'd with an affix'),
  f4: fc.constantFrom('d as it is', 'd with an affix', 'a in base64', 'a constant'),
  filter: fc.constantFrom('none', 'b >= 0', "a != 'x'"),
  exit: fc.constantFrom('ignore', 'delete'),
  /** The largest f2; null: any. */
  most: fc.constantFrom(null, 3),
} as const)

const TEXTS = ['', 'x', 'y', 'P-', 'P-x', 'P-é', 'eA==', 'eA', 'same', null]
const NUMBERS = ['-2', '-1', '0', '1', '5', '5000000000', null]

const edit = fc.record({
  side: fc.constantFrom('source', 'target'),
  op: fc.constantFrom('update', 'update', 'update', 'insert', 'delete'),
  key: fc.integer({ min: 1, max: 6 }),
  place: fc.integer({ min: 0, max: 3 }),
  text: fc.constantFrom(...TEXTS),
  number: fc.constantFrom(...NUMBERS),
} as const)

type Edit = typeof edit extends fc.Arbitrary<infer T> ? T : never

const history = fc.record({
  shape,
  strategy: fc.constantFrom('source_wins', 'target_wins', 'manual'),
  batchSize: fc.constantFrom(1, 2, 1_000),
  rounds: fc.array(
    fc.record({
      edits: fc.array(edit, { maxLength: 12, size: 'max' }),
      breaks: fc.option(fc.integer({ min: 1, max: 5 })),
      resolution: fc.constantFrom('source', 'target'),
    }),
    { minLength: 1, maxLength: 4, size: 'max' },
  ),
} as const)

type History = typeof history extends fc.Arbitrary<infer T> ? T : never

interface Ends {
  readonly from: From | undefined
  readonly to: To | undefined
}
/** What both sides last agreed on, in the target's terms. */
interface Base {
  readonly from: To | undefined
  readonly to: To | undefined
}
interface Row extends Ends {
  readonly base: Base
}

const NAMES = ['f1', 'f2', 'f3', 'f4'] as const
const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b)

/** The rules of docs/conflicts.md and docs/mapping.md for one mapping, one row at a time. */
class Oracle {
  readonly #models: Record<Name, Model>
  readonly #history: History
  /** The fields that go both ways. */
  readonly both: readonly Name[]

  constructor(given: History) {
    this.#history = given
    const { shape: of } = given
    this.#models = { f1: MODELS[of.f1], f2: MODELS[of.f2], f3: MODELS[of.f3], f4: MODELS[of.f4] }
    const taken = new Set<keyof From>()
    const both: Name[] = []
    for (const kind of [true, undefined]) {
      for (const name of NAMES) {
        const { back, direct: isDirect } = this.#models[name]
        if (back === undefined || isDirect !== kind || taken.has(back.column)) continue
        taken.add(back.column)
        both.push(name)
      }
    }
    this.both = both
  }

  get fields(): FieldMapping[] {
    const most = this.#history.shape.most
    return NAMES.map((name) => {
      const made = this.#models[name].mapping(name)
      if (name !== 'f2' || most === null) return made
      return { ...made, rules: [{ name: 'range', args: { max: most }, onFail: 'reject' }] }
    })
  }

  get filter(): (typeof FILTERS)[string] | null {
    const filter = FILTERS[this.#history.shape.filter] ?? null
    // Of a column that does not come back it would be refused.
    return filter !== null && this.both.some((name) => this.#models[name].back?.column === filter.column)
      ? filter
      : null
  }

  meets(row: From): boolean {
    return this.filter?.meets(row) ?? true
  }

  forth(row: From): To {
    const [f1, f2, f3, f4] = NAMES.map((name) => this.#models[name].forth(row)) as [Cell, Cell, Cell, Cell]
    return { f1, f2, f3, f4 }
  }

  #keepsRules(row: To): boolean {
    const { most } = this.#history.shape
    return most === null || row.f2 === null || Number(row.f2) <= most
  }

  #project(row: To): Cell[] {
    return this.both.map((name) => row[name])
  }

  /** What the source is to have for a row of the target; null: it has no way back. */
  #back(to: To, from: From | undefined): From | null {
    const made: Record<keyof From, Cell> = { ...(from ?? { a: '', b: '0', c: 'new', d: null }) }
    for (const name of this.both) {
      const { forth, back } = this.#models[name]
      if (back === undefined || (from !== undefined && forth(from) === to[name])) continue
      const value = to[name]
      const turned = value === null ? null : back.turn(value)
      if (turned === undefined) return null
      made[back.column] = turned
    }
    return made
  }

  /** A run. `decided`: what somebody said of a row in conflict. */
  after({ from, to, base }: Row, decided: 'source' | 'target' | null = null): Row & { readonly open: boolean } {
    const { exit } = this.#history.shape
    const stays = { from, to, base, open: false }
    if (from !== undefined && !this.meets(from)) {
      if (to === undefined) return { ...stays, base: { from: undefined, to: undefined } }
      if (exit === 'ignore') return base.from === undefined ? stays : { ...stays, base: { from: undefined, to } }
      if (base.to === undefined || !same(base.to, to)) return stays
      return { from, to: undefined, base: { from: undefined, to: undefined }, open: false }
    }
    const made = from && this.forth(from)
    if (made !== undefined && !this.#keepsRules(made)) return stays
    if (same(made, to)) return { ...stays, base: { from: made, to } }
    const [here, there] = [!same(made, base.from), !same(to, base.to)]
    if (decided === null && here && there) {
      const side = this.#oneSided(made, to, base) ?? this.#winner()
      if (side === null) return { ...stays, open: true }
      return side === 'source' ? this.#toTarget(from) : this.#toSource({ from, to, base })
    }
    if (decided === 'source' || (decided === null && here)) return this.#toTarget(from)
    if (decided === null && !there) return stays
    const taken = this.#toSource({ from, to, base })
    return decided !== null && same(taken, stays) ? { ...stays, open: true } : taken
  }

  #winner(): 'source' | 'target' | null {
    const { strategy } = this.#history
    return strategy === 'manual' ? null : strategy === 'source_wins' ? 'source' : 'target'
  }

  /** What only the source decides on is no change of the target, and none of what goes both ways. */
  #oneSided(made: To | undefined, to: To | undefined, base: Base): 'source' | 'target' | null {
    if (made === undefined || to === undefined || this.both.length === NAMES.length) return null
    if (same(this.#project(made), this.#project(to))) return 'source'
    if (base.from === undefined || !same(base.from, base.to)) return null
    if (same(this.#project(to), this.#project(base.from))) return 'source'
    return same(this.#project(made), this.#project(base.from)) ? 'target' : null
  }

  #toTarget(from: From | undefined): Row & { open: boolean } {
    const made = from && this.forth(from)
    return { from, to: made, base: { from: made, to: made }, open: false }
  }

  #toSource({ from, to, base }: Row): Row & { open: boolean } {
    const stays = { from, to, base, open: false }
    const none = { from: undefined, to: undefined }
    if (to === undefined) return { ...none, base: none, open: false }
    const turned = this.#back(to, from)
    if (turned === null) return stays
    if (same(turned, from)) return this.#toTarget(from)
    if (!this.meets(turned)) {
      if (from === undefined || turned.a === null || turned.b === null) return stays
      if (this.#history.shape.exit === 'delete') return { from: turned, to: undefined, base: none, open: false }
      return { from: turned, to, base: { from: undefined, to }, open: false }
    }
    // What the source refuses stays where it is.
    if (!this.#keepsRules(to) || turned.a === null || turned.b === null) return stays
    return this.#toTarget(turned)
  }
}

type State = Map<string, Row>

async function carryOut(pair: Pair, { side, op, key, place, text, number }: Edit): Promise<void> {
  const at = String(key)
  const db = pair[side]
  const table = side === 'source' ? 'item' : 'thing'
  if (op === 'delete') {
    await db.sql(`DELETE FROM ${table} WHERE k = $1`, [at])
    return
  }
  if (op === 'insert') {
    const columns = side === 'source' ? 'k, a, b' : 'k, f1, f2'
    const [a, b] = side === 'source' ? [text ?? '', small(number)] : [text, number]
    await db.sql(`INSERT INTO ${table} (${columns}) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING`, [at, a, b])
    return
  }
  const column = (side === 'source' ? ['a', 'b', 'c', 'd'] : NAMES)[place] ?? ''
  const isNumber = place === 1
  const cell = isNumber ? number : text
  const value = side === 'target' ? cell : isNumber ? small(cell) : column === 'a' ? (cell ?? '') : cell
  await db.sql(`UPDATE ${table} SET ${column} = $2 WHERE k = $1`, [at, value])
}

/** What a 32-bit number that must be there holds. */
function small(value: Cell): string {
  return value === null || Math.abs(Number(value)) > 2 ** 31 ? '9' : value
}

async function look(pair: Pair): Promise<{ from: Map<string, From>; to: Map<string, To> }> {
  const from = await pair.source.sql('SELECT k, a, b, c, d FROM item')
  const to = await pair.target.sql('SELECT k, f1, f2, f3, f4 FROM thing')
  const cell = (value: string | null | undefined): Cell => value ?? null
  return {
    from: new Map(from.map(([k, a, b, c, d]) => [k ?? '', { a: cell(a), b: cell(b), c: cell(c), d: cell(d) }])),
    to: new Map(to.map(([k, f1, f2, f3, f4]) => [k ?? '', { f1: cell(f1), f2: cell(f2), f3: cell(f3), f4: cell(f4) }])),
  }
}

const NOTHING: Base = { from: undefined, to: undefined }

/** What there is now, with what was agreed before. */
async function stateOf(pair: Pair, known: State): Promise<State> {
  const { from, to } = await look(pair)
  const keys = new Set([...from.keys(), ...to.keys(), ...known.keys()])
  return new Map(
    [...keys].map((key) => [key, { from: from.get(key), to: to.get(key), base: known.get(key)?.base ?? NOTHING }]),
  )
}

async function expectState(pair: Pair, wanted: State, what: string): Promise<void> {
  const now = await stateOf(pair, wanted)
  const ends = (state: State) =>
    [...state].map(([key, { from, to }]) => ({ key, from, to })).toSorted((x, y) => x.key.localeCompare(y.key))
  expect(ends(now), what).toEqual(ends(wanted))
}

/** Breaks off at its n-th write. */
function breakingOff(at: number): Pick<RunHooks, 'beforeWrite'> {
  let writes = 0
  return {
    beforeWrite: async () => {
      if ((writes += 1) === at) throw new Error('broken off by the test')
    },
  }
}

async function failureOf(run: Promise<unknown>): Promise<string | null> {
  try {
    await run
    return null
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

test('through any mapping, both sides are what was made of what each of them changed', async () => {
  await using pair = await createPair(source, target)
  const property = fc.asyncProperty(history, async (given) => {
    const oracle = new Oracle(given)
    await pair.both('DROP SCHEMA IF EXISTS syncline CASCADE; DROP TABLE IF EXISTS item, thing')
    await pair.source.sql(`CREATE TABLE item (k int PRIMARY KEY, a text NOT NULL DEFAULT '', b int NOT NULL DEFAULT 0,
        c text DEFAULT 'new', d text);
      INSERT INTO item SELECT n, 'a' || n, n - 2, NULL, 'd' FROM generate_series(1, 4) n`)
    await pair.target.sql(
      `CREATE TABLE thing (k int PRIMARY KEY, f1 text, f2 bigint, f3 text, f4 text, theirs text DEFAULT 'own')`,
    )
    const fields = [field('k', { columns: ['k'] }), ...oracle.fields]
    const filter = oracle.filter === null ? {} : { filter: oracle.filter.text, filterExit: given.shape.exit }
    const config = {
      direction: 'two_way',
      conflictStrategy: given.strategy,
      deletePolicy: 'delete',
      maxDeletePercent: 100,
      maxOverwritePercent: 100,
      batchSize: given.batchSize,
      tables: [mapping('item', { as: 'thing', fields, ...filter })],
    } as const satisfies Partial<SyncConfig>
    const conflicts = new MemoryConflicts()
    const run = (hooks: RunHooks = {}) => pair.run(config, { conflicts, twoWays: true, approve: true, ...hooks })
    const decide = (
      state: State,
      decided: 'source' | 'target' | null,
      keys: ReadonlySet<string>,
    ): { now: State; open: Set<string> } => {
      const now = new Map(
        [...state].map(([key, row]) => [key, oracle.after(row, keys.has(key) ? decided : null)] as const),
      )
      return { now, open: new Set([...now].flatMap(([key, { open }]) => (open ? [key] : []))) }
    }
    const waiting = () => new Set(conflicts.open.map(({ key }) => String(key[0])))
    const quiet = async (wanted: State): Promise<void> => {
      expect(written((await run()).counts), 'I3: a further round writes nothing').toBe(0)
      await expectState(pair, wanted, 'after a quiet round')
    }
    let state = decide(await stateOf(pair, new Map()), null, new Set()).now
    await run()
    await expectState(pair, state, 'after the first run')
    for (const { edits, breaks, resolution } of given.rounds) {
      for (const each of edits) await carryOut(pair, each)
      const after = decide(await stateOf(pair, state), null, new Set())
      const broken = breaks === null ? null : await failureOf(run(breakingOff(breaks)))
      expect([null, 'broken off by the test']).toContain(broken)
      await run()
      await expectState(pair, after.now, 'after a round')
      expect(waiting(), 'what waits for somebody').toEqual(after.open)
      await quiet(after.now)
      conflicts.resolve(resolution)
      const resolved = decide(after.now, resolution, after.open)
      await run()
      await expectState(pair, resolved.now, `after deciding for ${resolution}`)
      state = resolved.now
      await quiet(state)
      await expectOwn(pair)
    }
    const proved = await pair.run({ ...config, verifyAfter: 'full' }, { conflicts, twoWays: true })
    expect(written(proved.counts)).toBe(0)
  })
  await fc.assert(property, { seed: printedSeed(), numRuns: HISTORIES, endOnFailure: true })
}, 1_800_000)

/** A column of the target that nothing feeds is the target's own. */
async function expectOwn(pair: Pair): Promise<void> {
  expect(await pair.target.sql(`SELECT count(*) FROM thing WHERE theirs IS DISTINCT FROM 'own'`)).toEqual([['0']])
}
