/**
 * Two ways between tables that look different: fields that have an inverse go both ways, all others are the source's to
 * decide on, and after each run the next one finds nothing to do (RELIABILITY I1, I2, I3, invariant 4).
 */
import { describe, expect, test } from 'vitest'

import { AppError } from '#model/errors.ts'
import type { FieldMapping } from '#model/field-mapping.ts'
import type { Receipt } from '#model/receipt.ts'
import { written } from '#model/counts.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { field } from '#test/harness/fields.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, mapping, type Pair, type RunHooks } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const TWO_WAYS = {
  direction: 'two_way',
  conflictStrategy: 'manual',
  deletePolicy: 'delete',
  maxDeletePercent: 100,
  maxOverwritePercent: 100,
} as const satisfies Partial<SyncConfig>

function run(pair: Pair, config: Partial<SyncConfig>, hooks: RunHooks = {}): Promise<Receipt> {
  return pair.run({ ...TWO_WAYS, ...config }, { conflicts: new MemoryConflicts(), twoWays: true, ...hooks })
}

/** Writes nothing on either side, by buckets or by a proof of everything (I3). */
async function expectQuiet(pair: Pair, config: Partial<SyncConfig>, hooks: RunHooks = {}): Promise<void> {
  for (const verifyAfter of ['auto', 'full'] as const) {
    const again = await run(pair, { ...config, verifyAfter }, hooks)
    expect(written(again.counts), verifyAfter).toBe(0)
    for (const { verification } of again.tables) expect(verification.changedSince).toBe(0)
  }
}

const CUSTOMER = `CREATE TABLE customer (
  id int PRIMARY KEY, first_name text NOT NULL, last_name text NOT NULL, total numeric(10,2) NOT NULL DEFAULT 0,
  vip boolean NOT NULL DEFAULT false, code text, note varchar(10))`
const PERSON = `CREATE TABLE person (
  nr bigint PRIMARY KEY, first text, full_name text, cents integer, kind text, sku text, memo text, origin text,
  theirs text DEFAULT 'own')`

const FIELDS: readonly FieldMapping[] = [
  field('nr', { columns: ['id'] }),
  field('first', { columns: ['first_name'] }),
  field('full_name', { columns: ['first_name', 'last_name'] }, [['concat', { separator: ' ' }]]),
  field('cents', { columns: ['total'] }, [['scale', { power: 2 }]]),
  field('kind', { expression: "vip ? 'vip' : 'plain'" }),
  field('sku', { columns: ['code'] }, [['affix', { before: 'SKU-' }]]),
  field('memo', { columns: ['note'] }),
  field('origin', { constant: 'shop' }),
]

const MAPPED = { tables: [mapping('customer', { as: 'person', fields: FIELDS })] } as const

async function customers(): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.source.sql(CUSTOMER.replace('last_name text NOT NULL', "last_name text NOT NULL DEFAULT ''"))
  await pair.target.sql(PERSON)
  await pair.source.sql(`INSERT INTO customer VALUES (1, 'Ada', 'Lovelace', 10.50, true, 'a', 'n1'),
    (2, 'Alan', 'Turing', 0, false, 'b', NULL), (3, 'Grace', 'Hopper', 7, false, NULL, 'n3')`)
  await run(pair, MAPPED)
  return pair
}

const inSource = (pair: Pair) => pair.source.sql('SELECT * FROM customer ORDER BY id')
const inTarget = (pair: Pair) => pair.target.sql('SELECT * FROM person ORDER BY nr')

describe('fields that can be turned round', () => {
  test('I1, I3: an edit of the target comes back through the inverse, and what the source decides follows it', async () => {
    await using pair = await customers()
    await expectQuiet(pair, MAPPED)
    await pair.target.sql(`UPDATE person SET first = 'Augusta', cents = 1999, sku = 'SKU-z' WHERE nr = 1;
      UPDATE person SET memo = 'edited' WHERE nr = 2; INSERT INTO person (nr, first, cents, sku) VALUES (4, 'Edsger', 5, 'SKU-d');
      DELETE FROM person WHERE nr = 3`)
    await run(pair, MAPPED)
    expect(await inSource(pair)).toEqual([
      ['1', 'Augusta', 'Lovelace', '19.99', 't', 'z', 'n1'],
      ['2', 'Alan', 'Turing', '0.00', 'f', 'b', 'edited'],
      ['4', 'Edsger', '', '0.05', 'f', 'd', null],
    ])
    expect(await inTarget(pair)).toEqual([
      ['1', 'Augusta', 'Augusta Lovelace', '1999', 'vip', 'SKU-z', 'n1', 'shop', 'own'],
      ['2', 'Alan', 'Alan Turing', '0', 'plain', 'SKU-b', 'edited', 'shop', 'own'],
      ['4', 'Edsger', 'Edsger ', '5', 'plain', 'SKU-d', null, 'shop', 'own'],
    ])
    await expectQuiet(pair, MAPPED)
  })
})

void AppError
