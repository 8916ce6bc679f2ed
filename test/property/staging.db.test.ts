import fc from 'fast-check'
import { describe, expect, test } from 'vitest'

import { ALL_CHANGES, pageChanges } from '#control/change-pages.ts'
import type { PagedChange } from '#control/change-marks.ts'
import { openChangeSet } from '#control/change-sets.ts'
import type { ChangeSetTools } from '#control/change-set-tools.ts'
import { RedisChunkPlaces } from '#control/redis-chunks.ts'
import { RedisLink } from '#control/redis-link.ts'
import { resolveHost } from '#lib/network-address.ts'
import type { ChangeFilter, ChangeOutcome, ImagedChange } from '#model/change-set.ts'
import { parseRedisUrl } from '#model/redis.ts'
import type { Value } from '#model/value.ts'

import { addJob, createChangeSets, factsOf, readAll } from '#test/harness/change-sets.ts'
import { startRedis } from '#test/harness/redis.ts'
import { printedSeed } from '#test/harness/seed.ts'

const seed = printedSeed()
const RUNS = 25

const LARGE = 'ü'.repeat(512 * 1_024)
const HOSTILE = [
  '',
  '\0',
  '\\x00',
  '"',
  "'; DROP TABLE change_set; --",
  '{"b":"AA=="}',
  '\ud800',
  '\u2028',
  '__proto__',
  'null',
  LARGE,
]

const value: fc.Arbitrary<Value> = fc.oneof(
  { arbitrary: fc.constant(null), weight: 2 },
  { arbitrary: fc.string({ unit: 'binary', maxLength: 30 }), weight: 6 },
  { arbitrary: fc.uint8Array({ maxLength: 40 }), weight: 2 },
  { arbitrary: fc.constantFrom(...HOSTILE), weight: 1 },
)
const row = fc.array(value, { maxLength: 5 })
const fingerprint = fc.option(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }).map(String))
const change: fc.Arbitrary<ImagedChange> = fc.record({
  op: fc.constantFrom('insert', 'update', 'delete'),
  key: row,
  expect: fingerprint,
  source: fingerprint,
  bytes: fc.nat(),
  before: fc.option(row),
  after: fc.option(row),
  large: fc.boolean(),
})
/** Batches of changes, each of one of a few tables. */
const batches = fc.array(fc.tuple(fc.nat({ max: 3 }), fc.array(change, { maxLength: 12 })), { maxLength: 12 })
const now = fc.record({ expect: fingerprint, row: fc.option(row) })

const NAMES = ['t', '"; --', 'ünï\u2028', 'a.b']

describe.each(['sqlite', 'postgres', 'redis'] as const)('change sets in %s', (place) => {
  test('what was appended is read back exactly, in its order', async () => {
    await using stack = new AsyncDisposableStack()
    const held = stack.use(await createChangeSets(place === 'postgres' ? 'postgres' : 'sqlite'))
    const { store } = held
    let { tools } = held
    if (place === 'redis') {
      const { url } = stack.use(await startRedis())
      const link = stack.use(new RedisLink({ place: async () => parseRedisUrl(url), resolve: resolveHost }))
      tools = { ...tools, redis: new RedisChunkPlaces(link, store) }
    }
    const staging = place === 'redis' ? 'redis' : 'embedded'
    await fc.assert(
      fc.asyncProperty(batches, now, async (appended, found) => {
        const jobId = await addJob(store)
        await using set = openChangeSet(tools, { jobId, staging })
        await set.begin()
        for (const [table, changes] of appended) await set.append(table, changes)
        const summary = await set.seal(factsOf(NAMES))
        const tables = NAMES.map((_, table) => appended.flatMap(([of, changes]) => (of === table ? changes : [])))
        const wanted = tables.flatMap((changes, table) => changes.map((one) => ({ ...one, table })))
        const numbered = wanted.map((one, i) => ({ ...one, seq: i + 1 }))
        expect(summary.changes).toBe(wanted.length)
        const read = (await Promise.all(NAMES.map((_, table) => readAll(set, table)))).flat()
        expect(read).toEqual(numbered)
        const changes = await allPages(tools, jobId, ALL_CHANGES)
        expect(changes.map(({ mark: _m, reason: _r, moved: _v, now: _n, decided: _d, ...one }) => one)).toEqual(
          numbered,
        )
        const outcomes = numbered.map(({ seq }): ChangeOutcome => ({ seq, mark: 'moved', reason: null, now: found }))
        await set.settle(outcomes)
        const marked = await allPages(tools, jobId, { ...ALL_CHANGES, marks: ['moved'] })
        expect(marked.map((one) => one.now)).toEqual(numbered.map(() => found))
      }),
      { seed, numRuns: RUNS },
    )
  })
})

/** Pages are bounded by rows and by bytes. */
async function allPages(tools: ChangeSetTools, jobId: string, filter: ChangeFilter): Promise<PagedChange[]> {
  const all: PagedChange[] = []
  for (let after: number | null = null; ;) {
    const { changes, next } = await pageChanges(tools, jobId, filter, { after, limit: 10_000 })
    all.push(...changes)
    if (next === null) return all
    after = next
  }
}
