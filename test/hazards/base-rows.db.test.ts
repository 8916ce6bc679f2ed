/** What both sides had last, kept by its values: sums, lists, and the row before a conflict, on real servers. */
import { describe, expect, test } from 'vitest'

import { written } from '#model/counts.ts'
import type { FieldStrategy } from '#model/conflict.ts'
import type { Receipt } from '#model/receipt.ts'
import { NO_OWN_CONFLICT, plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, type Pair, type RunHooks } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const FREE = { deletePolicy: 'delete', maxDeletePercent: 100, maxOverwritePercent: 100 } as const
const STOCK = { schema: 'public', name: 'stock' }

function stockBy(fields: Readonly<Record<string, FieldStrategy>>, more: Partial<TableMapping> = {}): TableMapping {
  return {
    ...plainMapping(STOCK, STOCK),
    conflict: { ...NO_OWN_CONFLICT, fields: new Map(Object.entries(fields)) },
    ...more,
  }
}

const SUM = { ...FREE, conflictStrategy: 'merge', tables: [stockBy({ n: 'sum', tags: 'union' })] } as const
const TWO_WAYS = { ...SUM, direction: 'two_way' } as const

async function inStock(config: Partial<SyncConfig>, conflicts = new MemoryConflicts()): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.both('CREATE TABLE stock (id int PRIMARY KEY, n numeric(12,2), tags text[], note text)')
  await pair.source.sql(`INSERT INTO stock SELECT i, 10, '{a,b}', 'x' FROM generate_series(1, 5) i`)
  await run(pair, config, conflicts)
  return pair
}

function run(
  pair: Pair,
  config: Partial<SyncConfig>,
  conflicts: MemoryConflicts,
  hooks: RunHooks = {},
): Promise<Receipt> {
  return pair.run(config, { conflicts, twoWays: config.direction === 'two_way', ...hooks })
}

async function stateOf(pair: Pair, side: 'source' | 'target'): Promise<string> {
  const rows = await pair[side].sql('SELECT id, n, tags, note FROM stock ORDER BY id')
  return rows.map((row) => row.join(' ')).join('; ')
}

describe('one way', () => {
  test('a sum has what both added to the last common value, in every later merge too', async () => {
    const conflicts = new MemoryConflicts()
    await using pair = await inStock(SUM)
    await pair.source.sql(`UPDATE stock SET n = n + 0.05, tags = '{b,s}' WHERE id < 3`)
    await pair.target.sql(`UPDATE stock SET n = n + 3, tags = '{a,b,t}', note = 't' WHERE id IN (1, 3)`)
    const receipt = await run(pair, SUM, conflicts)
    expect(receipt.counts).toMatchObject({ updated: 2, conflicted: 0 })
    expect(await stateOf(pair, 'target')).toBe(
      '1 13.05 {b,t,s} t; 2 10.05 {b,s} x; 3 13.00 {a,b,t} t; 4 10.00 {a,b} x; 5 10.00 {a,b} x',
    )
    expect(written((await run(pair, SUM, conflicts)).counts)).toBe(0)
    // What the target has of its own stays its own: only what the source adds comes to it.
    await pair.source.sql('UPDATE stock SET n = n + 1 WHERE id IN (1, 3)')
    await run(pair, SUM, conflicts)
    await pair.source.sql('UPDATE stock SET n = n - 5 WHERE id = 1')
    await pair.target.sql('UPDATE stock SET n = n + 100 WHERE id = 1')
    await run(pair, SUM, conflicts)
    expect(await stateOf(pair, 'target')).toBe(
      '1 109.05 {b,t,s} t; 2 10.05 {b,s} x; 3 14.00 {a,b,t} t; 4 10.00 {a,b} x; 5 10.00 {a,b} x',
    )
    expect(conflicts.open).toEqual([])
  })
})

describe('two ways', () => {
  test('a sum has what both added, on both sides', async () => {
    const conflicts = new MemoryConflicts()
    await using pair = await inStock(TWO_WAYS)
    await pair.source.sql(`UPDATE stock SET n = n + 0.05, tags = '{b,s}' WHERE id < 3`)
    await pair.target.sql(`UPDATE stock SET n = n + 3, tags = '{a,b,t}', note = 't' WHERE id IN (1, 3)`)
    await run(pair, TWO_WAYS, conflicts)
    const after = '1 13.05 {b,t,s} t; 2 10.05 {b,s} x; 3 13.00 {a,b,t} t; 4 10.00 {a,b} x; 5 10.00 {a,b} x'
    expect([await stateOf(pair, 'source'), await stateOf(pair, 'target')]).toEqual([after, after])
    // Of rows that were merged, sent and received, the next merge knows what both had.
    await pair.source.sql('UPDATE stock SET n = n + 1')
    await pair.target.sql('UPDATE stock SET n = n + 20')
    await run(pair, TWO_WAYS, conflicts)
    const later = '1 34.05 {b,t,s} t; 2 31.05 {b,s} x; 3 34.00 {a,b,t} t; 4 31.00 {a,b} x; 5 31.00 {a,b} x'
    expect([await stateOf(pair, 'source'), await stateOf(pair, 'target')]).toEqual([later, later])
    expect(conflicts.open).toEqual([])
    expect(written((await run(pair, TWO_WAYS, conflicts)).counts)).toBe(0)
  })
})
