/**
 * Merges in two ways between tables that look different: what either side adds or edits is on both, once, whatever the source
 * decides besides, and also where a run is cut off between the ways (RELIABILITY I2, I3, I7).
 */
import { describe, expect, test } from 'vitest'

import { NO_OWN_CONFLICT } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { field } from '#test/harness/fields.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, type Pair } from '#test/harness/sync.ts'
import { expectQuiet, runTwoWays } from '#test/harness/two-ways.ts'

const { source, target } = sharedServers()

const BOTH = [
  field('nr', { columns: ['id'] }),
  field('cents', { columns: ['price'] }, [['scale', { power: 2 }]]),
  field('amount', { columns: ['n'] }),
  field('memo', { columns: ['note'] }),
]

function merged(fields: typeof BOTH) {
  const fieldsBy = new Map([
    ['amount', 'sum'],
    ['cents', 'sum'],
  ] as const)
  const table = mapping('item', { as: 'thing', fields })
  return {
    conflictStrategy: 'merge',
    tables: [{ ...table, conflict: { ...NO_OWN_CONFLICT, fields: fieldsBy } }],
  } as const
}

/** `size`: what the source decides. Without it, a row has as many columns on either side. */
const WAYS = [
  ['beside a field that goes one way', merged([...BOTH, field('size', { expression: "n > 100 ? 'big' : 'small'" })])],
  ['of fields that all go both ways', merged(BOTH)],
] as const

type Config = (typeof WAYS)[number][1]

/** Between the ways: the source is written, and the target is not. */
async function breakOffAtTarget(what: string): Promise<void> {
  if (what === 'target') throw new Error('cut off by the test')
}

async function items(config: Parameters<typeof runTwoWays>[1]): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.source
    .sql(`CREATE TABLE item (id int PRIMARY KEY, n int, price numeric(10,2), note text, own text DEFAULT 'own');
    INSERT INTO item SELECT i, 10, 1.5, 'x' FROM generate_series(1, 6) i`)
  await pair.target.sql('CREATE TABLE thing (nr bigint PRIMARY KEY, cents int, amount int, memo text, size text)')
  await runTwoWays(pair, config)
  return pair
}

/** What either side adds to the numbers of some rows. */
async function add(pair: Pair, side: 'source' | 'target', ids: readonly number[], n: number): Promise<void> {
  const list = `{${ids.join(',')}}`
  if (side === 'source') {
    await pair.source.sql('UPDATE item SET n = n + $2, price = price + $2::int WHERE id = ANY($1)', [list, String(n)])
  } else {
    await pair.target.sql('UPDATE thing SET amount = amount + $2, cents = cents + 100 * $2 WHERE nr = ANY($1)', [
      list,
      String(n),
    ])
  }
}

/** Both sides have begun with 10 and 1.50, and `added` has come to either. */
async function expectAdded(pair: Pair, { tables }: Config, added: readonly number[]): Promise<void> {
  const hasSize = tables[0].fields?.some(({ target: name }) => name === 'size')
  const size = (n: number): string | null => (hasSize ? (n > 100 ? 'big' : 'small') : null)
  expect(await pair.source.sql('SELECT n, price, note FROM item ORDER BY id')).toEqual(
    added.map((n) => [String(10 + n), (1.5 + n).toFixed(2), 'x']),
  )
  expect(await pair.target.sql('SELECT amount, cents, memo, size FROM thing ORDER BY nr')).toEqual(
    added.map((n) => [String(10 + n), String(150 + 100 * n), 'x', size(10 + n)]),
  )
}

describe.each(WAYS)('a sum %s', (_, config) => {
  test('both sides add, time and again', async () => {
    await using pair = await items(config)
    const conflicts = new MemoryConflicts()
    for (const [round, added] of [
      [1, [21, 21, 20, 20, 1, 0]],
      [2, [42, 42, 40, 40, 2, 0]],
      [5, [147, 147, 140, 140, 7, 0]],
    ] as const) {
      await add(pair, 'source', [1, 2, 5], round === 5 ? 5 : 1)
      await add(pair, 'target', [1, 2, 3, 4], round === 5 ? 100 : 20)
      await runTwoWays(pair, config, { conflicts })
      await expectAdded(pair, config, added)
    }
    expect(conflicts.open).toEqual([])
    await expectQuiet(pair, config)
  })

  test('a run that is cut off between the ways: what is added before and after it is there once', async () => {
    await using pair = await items(config)
    const conflicts = new MemoryConflicts()
    // 1 to 4 are made of both, 5 goes to the source, and 6 goes to the target, where the run is cut off.
    await add(pair, 'source', [1, 2, 3, 4, 6], 1)
    await add(pair, 'target', [1, 2, 3, 4, 5], 20)
    const cutOff = runTwoWays(pair, config, {
      conflicts,
      beforeWrite: breakOffAtTarget,
    })
    await expect(cutOff).rejects.toThrow('cut off by the test')
    expect(await pair.source.sql('SELECT n FROM item ORDER BY id')).toEqual(
      [31, 31, 31, 31, 30, 11].map((n) => [String(n)]),
    )
    expect(await pair.target.sql('SELECT amount FROM thing ORDER BY nr')).toEqual(
      [30, 30, 30, 30, 30, 10].map((n) => [String(n)]),
    )
    await add(pair, 'source', [1, 3, 5, 6], 300)
    await add(pair, 'target', [2, 3, 5, 6], 4000)
    await runTwoWays(pair, config, { conflicts })
    expect(conflicts.open).toEqual([])
    await expectAdded(pair, config, [321, 4021, 4321, 21, 4320, 4301])
    await add(pair, 'source', [1, 2, 3, 4, 5, 6], 1)
    await add(pair, 'target', [1, 2, 3, 4, 5, 6], 20)
    await runTwoWays(pair, config, { conflicts })
    expect(conflicts.open).toEqual([])
    await expectAdded(pair, config, [342, 4042, 4342, 42, 4341, 4322])
    await expectQuiet(pair, config)
  })
})

describe.each(WAYS)('fields of a row %s', (_, { tables, ...given }) => {
  test('a merged row that is edited after a run was cut off is in conflict in fields alone that both sides edited', async () => {
    const config = { ...given, tables: tables.map((table) => ({ ...table, conflict: NO_OWN_CONFLICT })) }
    await using pair = await items(config)
    await pair.source.sql(`UPDATE item SET note = 's'`)
    await pair.target.sql('UPDATE thing SET amount = 20')
    const cutOff = runTwoWays(pair, config, { beforeWrite: breakOffAtTarget })
    await expect(cutOff).rejects.toThrow('cut off by the test')
    await pair.target.sql(`UPDATE thing SET cents = 7 WHERE nr < 4; UPDATE thing SET memo = 't' WHERE nr = 4`)
    const conflicts = new MemoryConflicts()
    await runTwoWays(pair, config, { conflicts })
    expect(conflicts.open.map(({ key, fields }) => [...key, ...fields])).toEqual([['4', 'memo']])
    expect(await pair.target.sql('SELECT nr, cents, amount, memo FROM thing ORDER BY nr')).toEqual([
      ...['1', '2', '3'].map((nr) => [nr, '7', '20', 's']),
      ['4', '150', '20', 't'],
      ...['5', '6'].map((nr) => [nr, '150', '20', 's']),
    ])
    expect(await pair.source.sql('SELECT id, price, n, note FROM item ORDER BY id')).toEqual([
      ...['1', '2', '3'].map((id) => [id, '0.07', '20', 's']),
      ...['4', '5', '6'].map((id) => [id, '1.50', '20', 's']),
    ])
  })
})

describe.each(WAYS)('images %s', (_, given) => {
  test('a conflict shows the row that both had, in terms of the target, of rows that were sent and received', async () => {
    const config = {
      tables: given.tables.map((table) => ({ ...table, conflict: NO_OWN_CONFLICT })),
      baseline: 'images',
    } as const
    await using pair = await items(given)
    await runTwoWays(pair, config)
    await pair.source.sql(`UPDATE item SET note = 'received' WHERE id = 1`)
    await pair.target.sql(`UPDATE thing SET memo = 'sent', cents = 7 WHERE nr = 2`)
    await runTwoWays(pair, config)
    await pair.source.sql(`UPDATE item SET note = 's' WHERE id < 4`)
    await pair.target.sql(`UPDATE thing SET memo = 't' WHERE nr < 4`)
    const conflicts = new MemoryConflicts()
    await runTwoWays(pair, config, { conflicts })
    const size = config.tables[0]?.fields?.length === 5 ? ['small'] : []
    expect(conflicts.open.map(({ base }) => base).toSorted((a, b) => Number(a?.[0]) - Number(b?.[0]))).toEqual([
      ['1', '150', '10', 'received', ...size],
      ['2', '7', '10', 'sent', ...size],
      ['3', '150', '10', 'x', ...size],
    ])
  })
})
