/** Both directions over one baseline: what either side changed reaches the other, and nothing comes back as news. */
import { describe, expect, test } from 'vitest'

import type { Receipt } from '#model/receipt.ts'
import { written } from '#model/counts.ts'
import { plainMapping, type SyncConfig } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const TWO_WAYS = {
  direction: 'two_way',
  deletePolicy: 'delete',
  maxDeletePercent: 100,
  maxOverwritePercent: 100,
} as const

/** See `everyState` of the conflicts in one way: the same fourteen states. */
async function everyState(config: Partial<SyncConfig>): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, b text)')
  await pair.source.sql(`INSERT INTO item SELECT n, 'a', 'b' FROM generate_series(1, 10) n`)
  await run(pair, config)
  await pair.source.sql(`UPDATE item SET a = 's' WHERE id IN (2, 5, 10); UPDATE item SET a = 'x' WHERE id = 4;
    DELETE FROM item WHERE id IN (6, 8, 9); INSERT INTO item VALUES (11, 's', 'n'), (13, 'x', 'n'), (14, 's', 'n')`)
  await pair.target.sql(`UPDATE item SET a = 't' WHERE id IN (3, 5, 9); UPDATE item SET a = 'x' WHERE id = 4;
    DELETE FROM item WHERE id IN (7, 8, 10); INSERT INTO item VALUES (12, 't', 'n'), (13, 'x', 'n'), (14, 't', 'n')`)
  return pair
}

function run(pair: Pair, config: Partial<SyncConfig>, conflicts = new MemoryConflicts()): Promise<Receipt> {
  return pair.run(config, { conflicts, twoWays: true })
}

async function stateOf(pair: Pair, side: 'source' | 'target'): Promise<string> {
  const rows = await pair[side].sql('SELECT id, a, b FROM item ORDER BY id')
  return rows.map(([id, a, b]) => `${id}${a}${b}`).join(' ')
}

async function expectQuiet(pair: Pair, config: Partial<SyncConfig>, conflicts = new MemoryConflicts()): Promise<void> {
  const before = [await stateOf(pair, 'source'), await stateOf(pair, 'target')]
  for (const verifyAfter of ['auto', 'full'] as const) {
    const again = await run(pair, { ...config, verifyAfter }, conflicts)
    expect(written(again.counts)).toBe(0)
    expect([await stateOf(pair, 'source'), await stateOf(pair, 'target')]).toEqual(before)
  }
}

describe('what becomes of every state', () => {
  test.each([
    ['source_wins', '1ab 2sb 3tb 4xb 5sb 10sb 11sn 12tn 13xn 14sn'],
    ['target_wins', '1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn'],
  ] as const)('I1, I3: %s: both sides come to be the same, and stay so', async (conflictStrategy, after) => {
    const config = { ...TWO_WAYS, conflictStrategy }
    await using pair = await everyState(config)
    await run(pair, config)
    expect(await stateOf(pair, 'source')).toBe(after)
    expect(await stateOf(pair, 'target')).toBe(after)
    await expectQuiet(pair, config)
  })

  test.each([
    ['source', '1ab 2sb 3tb 4xb 5sb 10sb 11sn 12tn 13xn 14sn'],
    ['target', '1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn'],
  ] as const)(
    'manual: what is not in conflict goes both ways at once, and what is waits for %s',
    async (side, after) => {
      const config = { ...TWO_WAYS, conflictStrategy: 'manual' } as const
      await using pair = await everyState(config)
      const conflicts = new MemoryConflicts()
      await run(pair, config, conflicts)
      expect(await stateOf(pair, 'source')).toBe('1ab 2sb 3tb 4xb 5sb 10sb 11sn 12tn 13xn 14sn')
      expect(await stateOf(pair, 'target')).toBe('1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn')
      expect(new Set(conflicts.open.map(({ key }) => key[0]))).toEqual(new Set(['5', '9', '10', '14']))
      await expectQuiet(pair, config, conflicts)
      conflicts.resolve(side)
      await run(pair, config, conflicts)
      expect(await stateOf(pair, 'source')).toBe(after)
      expect(await stateOf(pair, 'target')).toBe(after)
      await expectQuiet(pair, config, conflicts)
      // Decided once more though nothing differs any more: the rows are counted once.
      conflicts.resolve('target')
      expect((await run(pair, config, conflicts)).counts).toMatchObject({ read: 10, conflicted: 0 })
      expect(await stateOf(pair, 'target')).toBe(after)
    },
  )

  test.each([
    ['source', '1ab 2sb 3tb 4xb 5sb 10sb 11sn 12tn 13xn 14sn'],
    ['target', '1ab 2sb 3tb 4xb 5tb 9tb 11sn 12tn 13xn 14tn'],
  ] as const)('manual: decided once for all for %s, both sides are the same after one run', async (side, after) => {
    const config = { ...TWO_WAYS, conflictStrategy: 'manual' } as const
    await using pair = await everyState(config)
    const conflicts = new MemoryConflicts()
    conflicts.rule = () => side
    await run(pair, config, conflicts)
    expect(await stateOf(pair, 'source')).toBe(after)
    expect(await stateOf(pair, 'target')).toBe(after)
    expect([...conflicts.all.values()].map(({ status }) => status)).toEqual(Array(4).fill('applied'))
    await expectQuiet(pair, config, conflicts)
  })

  test('manual: rows that somebody built reach both sides, and so does that there is to be none', async () => {
    const config = { ...TWO_WAYS, conflictStrategy: 'manual' } as const
    await using pair = await everyState(config)
    const conflicts = new MemoryConflicts()
    await run(pair, config, conflicts)
    const isOf = (id: string) => ({ which: ({ key }: { key: readonly unknown[] }) => key[0] === id })
    for (const id of ['5', '9', '10']) conflicts.resolve('row', { row: [id, 'm', 'm'], ...isOf(id) })
    conflicts.resolve('row', { row: null, ...isOf('14') })
    await run(pair, config, conflicts)
    const after = '1ab 2sb 3tb 4xb 5mm 9mm 10mm 11sn 12tn 13xn'
    expect(await stateOf(pair, 'source')).toBe(after)
    expect(await stateOf(pair, 'target')).toBe(after)
    await expectQuiet(pair, config, conflicts)
  })

  test('I7: merge keeps what either side changed of a row, on both', async () => {
    const config = { ...TWO_WAYS, conflictStrategy: 'merge' } as const
    await using pair = await createPair(source, target)
    await pair.both('CREATE TABLE item (id int PRIMARY KEY, a text, b text)')
    await pair.source.sql(`INSERT INTO item SELECT n, 'a', 'b' FROM generate_series(1, 3) n`)
    await run(pair, config)
    await pair.source.sql(`UPDATE item SET a = 's' WHERE id < 3`)
    await pair.target.sql(`UPDATE item SET b = 't' WHERE id IN (1, 3); UPDATE item SET a = 't' WHERE id = 2`)
    const conflicts = new MemoryConflicts()
    await run(pair, config, conflicts)
    expect(await stateOf(pair, 'source')).toBe('1st 2sb 3at')
    expect(await stateOf(pair, 'target')).toBe('1st 2tb 3at')
    expect(conflicts.open.map(({ key, fields }) => [key[0], ...fields])).toEqual([['2', 'a']])
    await expectQuiet(pair, config, conflicts)
  })
})

test('renamed columns and another name of the table go both ways', async () => {
  await using pair = await createPair(source, target)
  await pair.source.sql(
    `CREATE TABLE item (id int PRIMARY KEY, a text, own int); INSERT INTO item VALUES (1, 'a', 7), (2, 'b', 8)`,
  )
  await pair.target.sql('CREATE TABLE thing (nr int PRIMARY KEY, label text, theirs int DEFAULT 5)')
  const ref = (name: string) => ({ schema: 'public', name })
  const tables = [
    {
      ...plainMapping(ref('item'), ref('thing')),
      exclude: ['own'],
      rename: new Map([
        ['id', 'nr'],
        ['a', 'label'],
      ]),
    },
  ]
  const config = { ...TWO_WAYS, conflictStrategy: 'manual', tables } as const
  await run(pair, config)
  await pair.source.sql(`UPDATE item SET a = 's' WHERE id = 1`)
  await pair.target.sql(`UPDATE thing SET label = 't' WHERE nr = 2; INSERT INTO thing VALUES (3, 'n', 1)`)
  await run(pair, config)
  expect(await pair.source.sql('SELECT * FROM item ORDER BY id')).toEqual([
    ['1', 's', '7'],
    ['2', 't', '8'],
    ['3', 'n', null],
  ])
  expect(await pair.target.sql('SELECT nr, label FROM thing ORDER BY nr')).toEqual([
    ['1', 's'],
    ['2', 't'],
    ['3', 'n'],
  ])
  expect(written((await run(pair, config)).counts)).toBe(0)
})

test('D1: a number that one side gave out comes from neither side again', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE item (id int GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY, a text, b text)')
  const config = { ...TWO_WAYS, conflictStrategy: 'manual' } as const
  await pair.source.sql(`INSERT INTO item (a, b) VALUES ('s', 'n')`)
  expect(await run(pair, config)).toMatchObject({ sequencesAdvanced: 1 })
  await pair.target.sql(`INSERT INTO item (a, b) VALUES ('t', 'n'), ('t', 'n')`)
  expect(await run(pair, config)).toMatchObject({ sequencesAdvanced: 1 })
  await pair.source.sql(`INSERT INTO item (a, b) VALUES ('s', 'n')`)
  await run(pair, config)
  await pair.target.sql(`INSERT INTO item (a, b) VALUES ('t', 'n')`)
  await run(pair, config)
  expect(await stateOf(pair, 'source')).toBe('1sn 2tn 3tn 4sn 5tn')
  expect(await stateOf(pair, 'target')).toBe('1sn 2tn 3tn 4sn 5tn')
})
