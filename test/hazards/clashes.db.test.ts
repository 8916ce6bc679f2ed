/** Unique values that two rows are to have: who gets them is for somebody to decide, on real servers. */
import { describe, expect, test } from 'vitest'

import { written } from '#model/counts.ts'
import type { SyncConfig } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createPair, type Pair } from '#test/harness/sync.ts'

const { source, target } = sharedServers()

const MANUAL = {
  conflictStrategy: 'manual',
  deletePolicy: 'delete',
  maxDeletePercent: 100,
  maxOverwritePercent: 100,
} as const satisfies Partial<SyncConfig>

const PERSON = 'CREATE TABLE person (id int PRIMARY KEY, mail text UNIQUE, name text)'

/** Ann and Bob are in step; then the source has a new Cid and the target a new Dan, both by the mail that was nobody's. */
async function wantedByTwo(config: Partial<SyncConfig> = MANUAL): Promise<Pair> {
  const pair = await createPair(source, target)
  await pair.both(PERSON)
  await pair.source.sql("INSERT INTO person VALUES (1, 'ann@x', 'Ann'), (2, 'bob@x', 'Bob')")
  await pair.run(config, { twoWays: config.direction === 'two_way' })
  await pair.source.sql("INSERT INTO person VALUES (3, 'new@x', 'Cid'), (5, 'eve@x', 'Eve')")
  await pair.target.sql("INSERT INTO person VALUES (4, 'new@x', 'Dan')")
  return pair
}

async function people(pair: Pair, side: 'source' | 'target' = 'target'): Promise<string> {
  const rows = await pair[side].sql('SELECT id, mail, name FROM person ORDER BY id')
  return rows.map(([id, mail, name]) => `${id} ${mail?.replace('@x', '') ?? '–'} ${name}`).join(', ')
}

async function expectQuiet(
  pair: Pair,
  conflicts: MemoryConflicts,
  config: Partial<SyncConfig> = MANUAL,
): Promise<void> {
  const again = await pair.run({ ...config, verifyAfter: 'full' }, { conflicts })
  expect(written(again.counts)).toBe(0)
  expect(again.tables[0]?.verification).toMatchObject({ mode: 'full', changedSince: 0 })
}

describe('D3: one way', () => {
  test('a row that is kept out waits, with the row that holds its value, and holds up no other', async () => {
    await using pair = await wantedByTwo()
    const conflicts = new MemoryConflicts()
    const receipt = await pair.run(MANUAL, { conflicts })
    expect(await people(pair)).toBe('1 ann Ann, 2 bob Bob, 4 new Dan, 5 eve Eve')
    expect(receipt.counts).toMatchObject({ inserted: 1, conflicted: 1, rejected: 0 })
    expect(conflicts.open).toMatchObject([
      {
        key: ['3'],
        kind: 'unique_clash',
        fields: ['mail'],
        source: ['3', 'new@x', 'Cid'],
        target: null,
        holder: { side: 'target', key: ['4'], row: ['4', 'new@x', 'Dan'], index: 'person_mail_key', yields: 'mail' },
      },
    ])
    await expectQuiet(pair, conflicts)
    expect(conflicts.open).toHaveLength(1)
  })

  test('source_wins: it is set aside, as ever', async () => {
    const config = { ...MANUAL, conflictStrategy: 'source_wins' } as const
    await using pair = await wantedByTwo(config)
    const receipt = await pair.run(config)
    expect(receipt.counts).toMatchObject({ inserted: 1, conflicted: 0, rejected: 1 })
    expect(receipt.tables[0]?.rejections).toMatchObject([{ op: 'insert', key: ['3'], code: '23505' }])
  })

  test.each(['target_wins', 'merge', 'newer_wins'] as const)('%s leaves it to somebody too', async (strategy) => {
    const config = { ...MANUAL, conflictStrategy: strategy, newerBy: 'name' } as const
    await using pair = await wantedByTwo(config)
    const conflicts = new MemoryConflicts()
    const receipt = await pair.run(config, { conflicts })
    expect(receipt.counts).toMatchObject({ conflicted: 1, rejected: 0 })
    expect(conflicts.open).toMatchObject([{ kind: 'unique_clash', strategy }])
  })

  test.each([
    ['source', '1 ann Ann, 2 bob Bob, 3 new Cid, 4 – Dan, 5 eve Eve'],
    ['target', '1 ann Ann, 2 bob Bob, 4 new Dan, 5 eve Eve'],
    ['skip', '1 ann Ann, 2 bob Bob, 4 new Dan, 5 eve Eve'],
  ] as const)('decided for %s', async (resolution, after) => {
    await using pair = await wantedByTwo()
    const conflicts = new MemoryConflicts()
    await pair.run(MANUAL, { conflicts })
    conflicts.resolve(resolution)
    const receipt = await pair.run(MANUAL, { conflicts })
    expect(receipt.counts).toMatchObject({ conflicted: 0, rejected: 0 })
    expect(await people(pair)).toBe(after)
    expect([...conflicts.all.values()].map(({ status }) => status)).toEqual(['applied'])
    await expectQuiet(pair, conflicts)
    expect(conflicts.open).toEqual([])
  })

  test('a row that somebody built has another value, and goes in', async () => {
    await using pair = await wantedByTwo()
    const conflicts = new MemoryConflicts()
    await pair.run(MANUAL, { conflicts })
    conflicts.resolve('row', { row: ['3', 'bob@x', 'Cid'] })
    await pair.run(MANUAL, { conflicts })
    // Another one has that as well: it is open again, with who is in the way of the source's row.
    expect(conflicts.open).toMatchObject([{ key: ['3'], source: ['3', 'new@x', 'Cid'], holder: { key: ['2'] } }])
    conflicts.resolve('row', { row: ['3', 'cid@x', 'Cid'] })
    await pair.run(MANUAL, { conflicts })
    expect(await people(pair)).toBe('1 ann Ann, 2 bob Bob, 3 cid Cid, 4 new Dan, 5 eve Eve')
    await expectQuiet(pair, conflicts)
    expect(conflicts.open).toEqual([])
  })

  test('D15: a decision is for the row in the way as it was, and opens again when that has moved', async () => {
    await using pair = await wantedByTwo()
    const conflicts = new MemoryConflicts()
    await pair.run(MANUAL, { conflicts })
    conflicts.resolve('skip')
    await pair.target.sql("UPDATE person SET name = 'Dora' WHERE id = 4")
    await pair.run(MANUAL, { conflicts })
    expect(conflicts.open).toMatchObject([{ key: ['3'], holder: { row: ['4', 'new@x', 'Dora'] } }])
    conflicts.resolve('source')
    await pair.target.sql("UPDATE person SET name = 'Dan' WHERE id = 4")
    await pair.run(MANUAL, { conflicts })
    expect(await people(pair)).toBe('1 ann Ann, 2 bob Bob, 4 new Dan, 5 eve Eve')
    expect(conflicts.open).toMatchObject([{ key: ['3'], holder: { row: ['4', 'new@x', 'Dan'] } }])
  })

  test('it goes away by itself when the value is given up, on either side', async () => {
    for (const [side, change] of [
      ['target', "UPDATE person SET mail = 'dan@x' WHERE id = 4"],
      ['target', 'DELETE FROM person WHERE id = 4'],
      ['source', "UPDATE person SET mail = 'cid@x' WHERE id = 3"],
    ] as const) {
      await using pair = await wantedByTwo()
      const conflicts = new MemoryConflicts()
      await pair.run(MANUAL, { conflicts })
      await pair[side].sql(change)
      const receipt = await pair.run(MANUAL, { conflicts })
      expect(receipt.counts).toMatchObject({ inserted: 1, conflicted: 0 })
      expect(await pair.target.sql('SELECT name FROM person WHERE id = 3')).toEqual([['Cid']])
      expect([...conflicts.all.values()].map(({ status }) => status)).toEqual(['closed'])
    }
  })

  test('a row that cannot go without its value does not give way', async () => {
    await using pair = await createPair(source, target)
    await pair.both(PERSON.replace('UNIQUE', 'NOT NULL UNIQUE'))
    await pair.source.sql("INSERT INTO person VALUES (1, 'ann@x', 'Ann')")
    await pair.run(MANUAL)
    await pair.source.sql("INSERT INTO person VALUES (3, 'new@x', 'Cid')")
    await pair.target.sql("INSERT INTO person VALUES (4, 'new@x', 'Dan')")
    const conflicts = new MemoryConflicts()
    await pair.run(MANUAL, { conflicts })
    expect(conflicts.open).toMatchObject([{ holder: { key: ['4'], yields: null } }])
    conflicts.resolve('source')
    await pair.run(MANUAL, { conflicts })
    expect(await people(pair)).toBe('1 ann Ann, 4 new Dan')
    expect(conflicts.open).toHaveLength(1)
  })

  test('values that an index makes of columns, of some rows alone, and of several columns', async () => {
    await using pair = await createPair(source, target)
    await pair.both(`CREATE TABLE "a b" (id int PRIMARY KEY, "Mail" text, org int, gone boolean NOT NULL);
      CREATE UNIQUE INDEX once ON "a b" (org, lower("Mail")) INCLUDE (gone) WHERE NOT gone`)
    await pair.source.sql(`INSERT INTO "a b" VALUES (1, 'Ann@x', 1, false)`)
    await pair.run(MANUAL)
    await pair.source.sql(
      `INSERT INTO "a b" VALUES (2, 'NEW@x', 7, false), (3, 'NEW@x', 8, false), (4, 'Ann@x', 1, true)`,
    )
    await pair.target.sql(`INSERT INTO "a b" VALUES (9, 'new@X', 7, false), (8, 'new@x', 8, true)`)
    const conflicts = new MemoryConflicts()
    const receipt = await pair.run(MANUAL, { conflicts })
    expect(receipt.counts).toMatchObject({ inserted: 2, conflicted: 1, rejected: 0 })
    expect(conflicts.open).toMatchObject([
      { key: ['2'], fields: ['org', 'Mail'], holder: { key: ['9'], index: 'once', yields: 'Mail' } },
    ])
    conflicts.resolve('source')
    await pair.run(MANUAL, { conflicts })
    expect(await pair.target.sql('SELECT * FROM "a b" ORDER BY id')).toEqual([
      ['1', 'Ann@x', '1', 'f'],
      ['2', 'NEW@x', '7', 'f'],
      ['3', 'NEW@x', '8', 'f'],
      ['4', 'Ann@x', '1', 't'],
      ['8', 'new@x', '8', 't'],
      ['9', null, '7', 'f'],
    ])
  })
})

describe('D4: what only stands in one another’s way', () => {
  const SLOTS = 'CREATE TABLE person (id int PRIMARY KEY, mail text NOT NULL UNIQUE, name text)'

  test.each([1, 1_000])('swaps, chains and values that are freed are written, in batches of %i', async (batchSize) => {
    await using pair = await createPair(source, target)
    await pair.both(SLOTS)
    await pair.source.sql("INSERT INTO person SELECT n, 'm' || n, 'P' FROM generate_series(1, 20) n")
    await pair.run(MANUAL)
    // 1 and 2 swap, 3 to 6 go round, 7 takes what 8 frees, 9 goes and 30 takes its value, 10 wants what is another's there.
    await pair.source.sql(`UPDATE person SET mail = 'x' || id WHERE id IN (1, 2, 3, 4, 5, 6, 8);
      UPDATE person SET mail = 'm' || (3 - id) WHERE id IN (1, 2);
      UPDATE person SET mail = 'm' || (3 + (id - 2) % 4) WHERE id BETWEEN 3 AND 6;
      UPDATE person SET mail = 'm8' WHERE id = 7; DELETE FROM person WHERE id = 9; INSERT INTO person VALUES (30, 'm9', 'P');
      UPDATE person SET mail = 'own' WHERE id = 10`)
    await pair.target.sql("INSERT INTO person VALUES (40, 'own', 'T')")
    const conflicts = new MemoryConflicts()
    const receipt = await pair.run({ ...MANUAL, batchSize }, { conflicts })
    expect(receipt.counts).toMatchObject({ updated: 8, deleted: 1, inserted: 1, conflicted: 1, rejected: 0 })
    expect(conflicts.open).toMatchObject([{ key: ['10'], kind: 'unique_clash', holder: { key: ['40'], yields: null } }])
    const [there, here] = await Promise.all(
      (['target', 'source'] as const).map((side) =>
        pair[side].sql('SELECT id, mail FROM person WHERE id NOT IN (10, 40) ORDER BY id'),
      ),
    )
    expect(there).toEqual(here)
  })

  test('a row that waits for one that waits: both are parked, and both go in when the last one gives way', async () => {
    await using pair = await createPair(source, target)
    await pair.both(SLOTS)
    await pair.source.sql("INSERT INTO person VALUES (1, 'a', 'P'), (2, 'b', 'P')")
    await pair.run(MANUAL)
    await pair.source.sql("UPDATE person SET mail = 'c' WHERE id = 1; UPDATE person SET mail = 'a' WHERE id = 2")
    await pair.target.sql("INSERT INTO person VALUES (3, 'c', 'T')")
    const conflicts = new MemoryConflicts()
    await pair.run(MANUAL, { conflicts })
    expect(conflicts.open.map(({ key, holder }) => [...key, ...(holder?.key ?? [])])).toEqual([
      ['1', '3'],
      ['2', '1'],
    ])
    await pair.target.sql("UPDATE person SET mail = 'd' WHERE id = 3")
    const receipt = await pair.run(MANUAL, { conflicts })
    expect(receipt.counts).toMatchObject({ updated: 2, conflicted: 0 })
    expect(conflicts.open).toEqual([])
  })

  test('I9: rows that refer to it wait with it, and no others', async () => {
    await using pair = await createPair(source, target)
    await pair.both(`${PERSON}; CREATE TABLE letter (id int PRIMARY KEY, person int NOT NULL REFERENCES person)`)
    await pair.source.sql("INSERT INTO person VALUES (1, 'ann@x', 'Ann'); INSERT INTO letter VALUES (1, 1)")
    await pair.run(MANUAL)
    await pair.source.sql(`INSERT INTO person VALUES (3, 'new@x', 'Cid'), (5, 'eve@x', 'Eve');
      INSERT INTO letter VALUES (2, 3), (3, 5)`)
    await pair.target.sql("INSERT INTO person VALUES (4, 'new@x', 'Dan')")
    const conflicts = new MemoryConflicts()
    await pair.run(MANUAL, { conflicts })
    expect(await pair.target.sql('SELECT id FROM letter ORDER BY id')).toEqual([['1'], ['3']])
    conflicts.resolve('source')
    const receipt = await pair.run(MANUAL, { conflicts })
    expect(receipt.counts).toMatchObject({ inserted: 2, updated: 1, conflicted: 0, rejected: 0 })
    expect(await pair.target.sql('SELECT id FROM letter ORDER BY id')).toEqual([['1'], ['2'], ['3']])
  })
})

describe('D3: two ways', () => {
  const BOTH = { ...MANUAL, direction: 'two_way' } as const satisfies Partial<SyncConfig>

  async function run(pair: Pair, conflicts: MemoryConflicts, config: Partial<SyncConfig> = BOTH) {
    return await pair.run(config, { conflicts, twoWays: true })
  }

  /** Both sides are the same, and there is nothing left to do or to decide. */
  async function expectInStep(pair: Pair, conflicts: MemoryConflicts, after: string): Promise<void> {
    const receipt = await run(pair, conflicts, { ...BOTH, verifyAfter: 'full' })
    expect(written(receipt.counts)).toBe(0)
    expect(conflicts.open).toEqual([])
    expect(await people(pair, 'source')).toBe(after)
    expect(await people(pair, 'target')).toBe(after)
  }

  test('each side wants to give the other a row with the value: both wait', async () => {
    await using pair = await wantedByTwo(BOTH)
    const conflicts = new MemoryConflicts()
    const receipt = await run(pair, conflicts)
    expect(await people(pair, 'source')).toBe('1 ann Ann, 2 bob Bob, 3 new Cid, 5 eve Eve')
    expect(await people(pair, 'target')).toBe('1 ann Ann, 2 bob Bob, 4 new Dan, 5 eve Eve')
    expect(receipt.counts).toMatchObject({ inserted: 1, conflicted: 2, rejected: 0 })
    const open = conflicts.open.map(({ key, source: here, target: there, holder }) => ({
      key,
      rows: [here?.[2] ?? null, there?.[2] ?? null],
      holder: holder === null ? null : [holder.side, ...holder.key],
    }))
    expect(open).toEqual([
      { key: ['4'], rows: [null, 'Dan'], holder: ['source', '3'] },
      { key: ['3'], rows: ['Cid', null], holder: ['target', '4'] },
    ])
    const again = await run(pair, conflicts)
    expect(written(again.counts)).toBe(0)
    expect(conflicts.open).toHaveLength(2)
  })

  test.each([
    ['3', 'source', '1 ann Ann, 2 bob Bob, 3 new Cid, 4 – Dan, 5 eve Eve'],
    ['3', 'target', '1 ann Ann, 2 bob Bob, 4 new Dan, 5 eve Eve'],
    ['4', 'target', '1 ann Ann, 2 bob Bob, 3 – Cid, 4 new Dan, 5 eve Eve'],
    ['4', 'source', '1 ann Ann, 2 bob Bob, 3 new Cid, 5 eve Eve'],
  ] as const)(
    'the conflict of %s is decided for the %s: the other one goes away by itself',
    async (id, side, after) => {
      await using pair = await wantedByTwo(BOTH)
      const conflicts = new MemoryConflicts()
      await run(pair, conflicts)
      conflicts.resolve(side, { which: ({ key }) => key[0] === id })
      await run(pair, conflicts)
      await run(pair, conflicts)
      await expectInStep(pair, conflicts, after)
      expect([...conflicts.all.values()].map(({ status }) => status).toSorted()).toEqual(['applied', 'closed'])
    },
  )

  test('both are decided for one side at once: nothing is done twice, and nothing is lost but what was decided', async () => {
    await using pair = await wantedByTwo(BOTH)
    const conflicts = new MemoryConflicts()
    await run(pair, conflicts)
    conflicts.resolve('source')
    await run(pair, conflicts)
    await run(pair, conflicts)
    await expectInStep(pair, conflicts, '1 ann Ann, 2 bob Bob, 3 new Cid, 5 eve Eve')
  })

  test('a built row goes to both sides, and a clash of a row that both had is one in the source alone', async () => {
    await using pair = await wantedByTwo(BOTH)
    const conflicts = new MemoryConflicts()
    await run(pair, conflicts)
    conflicts.resolve('row', { row: ['3', 'cid@x', 'Cid'], which: ({ key }) => key[0] === '3' })
    await run(pair, conflicts)
    await run(pair, conflicts)
    await expectInStep(pair, conflicts, '1 ann Ann, 2 bob Bob, 3 cid Cid, 4 new Dan, 5 eve Eve')
    await pair.source.sql('ALTER TABLE person DROP CONSTRAINT person_mail_key; CREATE UNIQUE INDEX u ON person (mail)')
    await pair.target.sql(
      "ALTER TABLE person DROP CONSTRAINT person_mail_key; UPDATE person SET mail = 'bob@x' WHERE id = 1",
    )
    await run(pair, conflicts)
    expect(conflicts.open).toMatchObject([
      { key: ['1'], holder: { side: 'source', key: ['2'], index: 'u' }, agreed: { source: expect.any(String) } },
    ])
    conflicts.resolve('target')
    await run(pair, conflicts)
    await run(pair, conflicts)
    await expectInStep(pair, conflicts, '1 bob Ann, 2 – Bob, 3 cid Cid, 4 new Dan, 5 eve Eve')
  })

  test('source_wins: who is kept out is a conflict here too', async () => {
    const config = { ...BOTH, conflictStrategy: 'source_wins' } as const
    await using pair = await wantedByTwo(config)
    const conflicts = new MemoryConflicts()
    const receipt = await run(pair, conflicts, config)
    expect(receipt.counts).toMatchObject({ conflicted: 2, rejected: 0 })
    expect(conflicts.open.map(({ kind, strategy }) => `${kind} ${strategy}`)).toEqual([
      'unique_clash source_wins',
      'unique_clash source_wins',
    ])
  })
})
