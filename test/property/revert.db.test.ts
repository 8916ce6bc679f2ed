/**
 * Undoing a random run gives the target back as it was before, with its baseline, and never touches what somebody has
 * edited since; undoing that undoing gives what the run had made, on each pair of engines (hazard D16, promise P8).
 * SYNCLINE_TEST_SCHEMAS sets how many schemas, in all.
 */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { openChangeSet } from '#control/change-sets.ts'
import { StoredHistory } from '#control/history.ts'
import { writtenJob } from '#control/written-job.ts'
import type { ChangeOutcome } from '#model/change-set.ts'
import type { RunHooks } from '#test/harness/sync.ts'

import { addJob, createChangeSets, type KeptChangeSets } from '#test/harness/change-sets.ts'
import { mutate, mutation } from '#test/harness/mutate.ts'
import { usePairs, type AnyPair } from '#test/harness/pairs.ts'
import { plainTables } from '#test/harness/plain-rows.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { loadSchema, randomSchema, type RandomSchema } from '#test/harness/random-schema.ts'
import { inTarget, postgresWays, waysWithMariadb } from '#test/harness/random-ways.ts'
import { printedSeed } from '#test/harness/seed.ts'
import type { Side } from '#test/harness/side.ts'
import { MIRROR } from '#test/harness/sync.ts'

const SCHEMAS = Number(process.env['SYNCLINE_TEST_SCHEMAS'] ?? 5)
const EVERYTHING = { tables: null, keys: null }

const { source, target } = sharedServers()
const WAYS = [
  ...postgresWays([
    [source, target],
    [target, source],
  ]),
  ...waysWithMariadb(usePairs()),
]

test.each(WAYS)(
  'D16: undoing a run restores what was there before, but for what was edited since ($name)',
  async ({ open, dialect }) => {
    const input = fc.record({
      schema: randomSchema({ dialect }),
      changes: fc.array(mutation, { minLength: 1, maxLength: 30, size: 'max' }),
      edits: fc.oneof(fc.constant([]), fc.array(mutation, { minLength: 1, maxLength: 10, size: 'max' })),
      batchSize: fc.constantFrom(1, 3, 1_000),
      owned: fc.boolean(),
    })
    const property = fc.asyncProperty(input, async ({ schema, changes, edits, batchSize, owned }) => {
      await using pair = await open()
      await using kept = await createChangeSets('sqlite')
      await loadSchema(pair.source, schema)
      const policies = {
        ...MIRROR,
        deleteScope: owned ? ('owned' as const) : ('mirror' as const),
        create: true,
        batchSize,
        maxDeletePercent: 100,
        maxOverwritePercent: 100,
      }
      await pair.run(policies, { approve: true })
      const before = await stateOf(pair.target, schema)
      for (const each of changes) await mutate(pair.source, schema, each)
      const jobId = await addJob(kept.store)
      await pair.run(policies, { ...tellingOf(kept, jobId), approve: true })
      const after = await stateOf(pair.target, schema)

      for (const each of edits) await mutate(pair.target, inTarget(schema, pair), each)
      const edited = await stateOf(pair.target, schema)
      const undoing = await undo(pair, kept, jobId)
      const undone = await stateOf(pair.target, schema)
      for (const [place, { name }] of schema.tables.entries()) {
        const refused = new Set(undoing.outcomes.filter(({ mark }) => mark === 'refused').map(({ id }) => id))
        const [b, a, e, u] = [before, after, edited, undone].map(({ rows }) => rows[place] ?? new Map<string, string>())
        for (const key of new Set([...(b?.keys() ?? []), ...(a?.keys() ?? []), ...(e?.keys() ?? [])])) {
          const touched = e?.get(key) !== a?.get(key) || refused.has(key)
          const wanted = touched ? e?.get(key) : b?.get(key)
          expect(u?.get(key), `${name} ${key}, ${touched ? 'edited since' : 'as the job left it'}`).toBe(wanted)
        }
      }
      if (edits.length > 0) return
      expect(undone.baselines, 'the baseline goes back with the rows').toEqual(before.baselines)
      await undo(pair, kept, undoing.jobId)
      const again = await stateOf(pair.target, schema)
      expect(again.rows, 'undoing the undoing gives what the job had made').toEqual(after.rows)
      expect(again.baselines).toEqual(after.baselines)
    })
    await fc.assert(property, {
      seed: printedSeed(),
      numRuns: Math.ceil(SCHEMAS / WAYS.length),
      endOnFailure: process.env['SYNCLINE_TEST_SHRINK'] === undefined,
    })
  },
  Math.max(240_000, SCHEMAS * 30_000),
)

/** A run that keeps the images of what it writes, under the id of a job of the store. */
function tellingOf({ tools }: KeptChangeSets, id: string): Pick<RunHooks, 'history' | 'job'> {
  const job = { id, configId: null, sourceDatasourceId: 'ds_1', targetDatasourceId: 'ds_2', epoch: 0 }
  return {
    history: new StoredHistory(tools, job, 'images'),
    job: { id, lease: 1, confirm: () => Promise.resolve() },
  }
}

/** Undoes a job, and says as which job, and which rows it had to leave, by the JSON of their keys. */
async function undo(
  pair: AnyPair,
  kept: KeptChangeSets,
  jobId: string,
): Promise<{ jobId: string; outcomes: readonly (ChangeOutcome & { id: string })[] }> {
  const own = await addJob(kept.store)
  const written = await writtenJob(kept.tools, jobId)
  if (written.tables.length === 0) return { jobId: own, outcomes: [] }
  await using set = openChangeSet(kept.tools, { jobId: own, staging: 'embedded' })
  const summary = await pair.planRevert({ job: written, set, choice: EVERYTHING })
  const keys = new Map<number, string>()
  for (const place of summary.tables.keys()) {
    for await (const changes of set.read(place)) for (const { seq, key } of changes) keys.set(seq, JSON.stringify(key))
  }
  const outcomes: (ChangeOutcome & { id: string })[] = []
  const settle = set.settle.bind(set)
  set.settle = async (settled) => {
    outcomes.push(...settled.map((outcome) => ({ ...outcome, id: keys.get(outcome.seq) ?? '' })))
    await settle(settled)
  }
  await pair.revert(set, summary, tellingOf(kept, own))
  return { jobId: own, outcomes }
}

interface State {
  /** By table, then by the JSON of the key. */
  readonly rows: readonly ReadonlyMap<string, string>[]
  /** All baselines, row by row. */
  readonly baselines: readonly string[]
}

async function stateOf(side: Side, { tables }: RandomSchema): Promise<State> {
  const found = await plainTables(
    side,
    tables.map(({ name }) => name),
  )
  const rows = found.map(({ columns, rows: all }, place) => {
    const key = tables[place]?.key.columns ?? []
    const places = key.map((name) => columns.findIndex((column) => column.name === name))
    return new Map(all.map((row) => [JSON.stringify(places.map((i) => row[i])), JSON.stringify(row)]))
  })
  const names = await side.sql(
    `SELECT table_name FROM information_schema.tables WHERE table_schema IN ('syncline', ${side.literal(side.home)})
      AND table_name LIKE '%baseline_%' ORDER BY 1`,
  )
  const baselines: string[] = []
  for (const [name] of names) {
    const own = side.own((name ?? '').replace(/^syncline_/, ''))
    const kept = await side.sql(`SELECT * FROM ${own}`)
    baselines.push(...kept.map((row) => `${name} ${JSON.stringify(row)}`).toSorted())
  }
  return { rows, baselines }
}
