/** What both sides had last, kept by its values: sums, lists, and the row before a conflict, on real servers. */
import { afterEach, describe, expect, test } from 'vitest'

import { openChangeSet } from '#control/change-sets.ts'
import { StoredHistory } from '#control/history.ts'
import { writtenJob } from '#control/written-job.ts'
import { armFailpoint } from '#lib/failpoint.ts'
import { written } from '#model/counts.ts'
import { addJob, createChangeSets } from '#test/harness/change-sets.ts'
import type { FieldStrategy } from '#model/conflict.ts'
import type { Receipt } from '#model/receipt.ts'
import { NO_OWN_CONFLICT, plainMapping, type SyncConfig, type TableMapping } from '#model/sync-config.ts'
import { MemoryConflicts } from '#test/harness/conflicts.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createLab, type Fields, type Lab } from '#test/harness/quarantine.ts'
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

/** The baseline of the only mapping, as its keys and what it keeps of each row. */
async function imagesOf(pair: Pick<Pair, 'target'>): Promise<(string | null)[]> {
  const [[name = ''] = []] = await pair.target.sql(
    `SELECT tablename FROM pg_tables WHERE schemaname = 'syncline' AND tablename LIKE 'baseline%'`,
  )
  return (await pair.target.sql(`SELECT b.image::text FROM syncline.${name} b ORDER BY b.k0`)).map(
    ([image]) => image ?? null,
  )
}

/** Both sides add to one number; what waits afterwards, and what each side has. */
async function addOnBoth(
  pair: Pair,
  config: Partial<SyncConfig>,
  id: number,
): Promise<{ open: string[]; n: unknown[] }> {
  await pair.source.sql('UPDATE stock SET n = n + 1 WHERE id = $1', [String(id)])
  await pair.target.sql('UPDATE stock SET n = n + 20 WHERE id = $1', [String(id)])
  const conflicts = new MemoryConflicts()
  await run(pair, config, conflicts)
  const n = [pair.source, pair.target].map((db) => db.sql('SELECT n FROM stock WHERE id = $1', [String(id)]))
  return {
    open: conflicts.open.map(({ key, fields }) => [...key, ...fields].join(' ')).toSorted(),
    n: (await Promise.all(n)).map(([row]) => row?.[0]),
  }
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

  test('a side that adds while the other one is written: nothing is added twice, and nothing is lost', async () => {
    const conflicts = new MemoryConflicts()
    await using pair = await inStock(TWO_WAYS)
    await pair.source.sql('UPDATE stock SET n = n + 1')
    await pair.target.sql('UPDATE stock SET n = n + 20 WHERE id < 5')
    const added = new Set<string>()
    await run(pair, TWO_WAYS, conflicts, {
      beforeWrite: async (what) => {
        if (what === 'baseline' || added.has(what)) return
        added.add(what)
        // When the target is written, the source has the merged rows already.
        await pair[what].sql(`UPDATE stock SET n = n + 300 WHERE id ${what === 'source' ? '= 1' : 'IN (2, 5)'}`)
      },
    })
    expect([...added]).toEqual(['source', 'target'])
    await pair.target.sql('UPDATE stock SET n = n + 4000 WHERE id IN (1, 2, 3)')
    await pair.source.sql('UPDATE stock SET n = n + 50000 WHERE id IN (1, 2, 3)')
    for (let i = 0; i < 2; i++) await run(pair, TWO_WAYS, conflicts)
    expect(conflicts.open).toEqual([])
    for (const db of [pair.source, pair.target]) {
      expect(await db.sql('SELECT n FROM stock ORDER BY id')).toEqual(
        [54331, 54331, 54031, 31, 311].map((n) => [`${n}.00`]),
      )
    }
  })
})

describe.each([
  ['one way', SUM],
  ['two ways', TWO_WAYS],
] as const)('what is kept, %s', (_, config) => {
  const isBoth = 'direction' in config
  const summed = isBoth ? ['31.00', '31.00'] : ['11.00', '31.00']

  test('a row that somebody edits before it is remembered is known all the same', async () => {
    await using pair = await inStock(config)
    await pair.both('UPDATE stock SET n = 50 WHERE id = 1')
    if (isBoth) await pair.target.sql('UPDATE stock SET n = 60 WHERE id = 2')
    let told = false
    await run(pair, config, new MemoryConflicts(), {
      beforeWrite: async (what) => {
        if (told || what !== 'baseline') return
        told = true
        await pair.target.sql('UPDATE stock SET n = n + 100 WHERE id < 3')
      },
    })
    expect(told).toBe(true)
    await pair.source.sql('UPDATE stock SET n = n + 1 WHERE id < 3')
    await pair.target.sql('UPDATE stock SET n = n + 20 WHERE id < 3')
    const conflicts = new MemoryConflicts()
    await run(pair, config, conflicts)
    expect(conflicts.open).toEqual([])
    expect(await pair.target.sql('SELECT n FROM stock WHERE id < 3 ORDER BY id')).toEqual([
      ['171.00'],
      [isBoth ? '181.00' : '131.00'],
    ])
  })

  test('images are chosen on a baseline of fingerprints: they fill in, and what is not known is never made up', async () => {
    const plain = { ...config, tables: null } as const
    await using pair = await inStock(plain)
    expect(new Set(await imagesOf(pair))).toEqual(new Set([null]))
    await pair.source.sql(`INSERT INTO stock SELECT i, 10, '{}', 'quiet' FROM generate_series(1000, 30999) i`)
    await run(pair, plain, new MemoryConflicts())
    // With an estimate of its rows, most of them are in buckets that nobody looks into.
    await pair.both('ANALYZE stock')
    const drifted = isBoth ? [] : [5]
    if (!isBoth) {
      await pair.target.sql('UPDATE stock SET n = 11 WHERE id = 5')
      await run(pair, plain, new MemoryConflicts())
    }
    // The run that chooses them begins without any.
    expect(await addOnBoth(pair, config, 1)).toMatchObject({ open: ['1 n'] })
    const [images, quiet] = [(await imagesOf(pair)).slice(0, 5), (await imagesOf(pair)).slice(5)]
    expect([quiet.length, quiet.includes(null)]).toEqual([30000, false])
    expect(images.map((image) => image !== null)).toEqual(
      [1, 2, 3, 4, 5].map((id) => id !== 1 && !drifted.includes(id)),
    )
    expect(images[1]).toBe('{2,10.00,"{a,b}",x}')
    expect(await addOnBoth(pair, config, 2)).toEqual({ open: ['1 n'], n: summed })
    expect((await addOnBoth(pair, config, 5)).open).toEqual(['1 n', ...drifted.map((id) => `${id} n`)])
  })

  test('images come with the rows that are looked at, where nothing is proved whole', async () => {
    const unproved = { ...config, verifyAfter: 'changed' } as const
    await using pair = await inStock({ ...config, tables: null })
    await pair.source.sql('UPDATE stock SET n = 12 WHERE id = 1')
    await run(pair, unproved, new MemoryConflicts())
    expect((await imagesOf(pair)).includes(null)).toBe(false)
  })

  test('values that nobody kept up are forgotten, and not taken for the last ones', async () => {
    const plain = { ...config, tables: null, conflictStrategy: 'manual' } as const
    await using pair = await inStock(config)
    await run(pair, plain, new MemoryConflicts())
    expect(new Set(await imagesOf(pair))).toEqual(new Set([null]))
    await pair.source.sql('UPDATE stock SET n = 30 WHERE id = 1')
    await run(pair, plain, new MemoryConflicts())
    expect(await addOnBoth(pair, config, 1)).toMatchObject({ open: ['1 n'] })
    expect(await addOnBoth(pair, config, 2)).toEqual({ open: ['1 n'], n: summed })
  })

  test('another mapping of the same tables makes what this one knew too old', async () => {
    const fewer = { ...config, tables: [stockBy({ n: 'sum' }, { exclude: ['note'] })] } as const
    await using pair = await inStock(config)
    await run(pair, fewer, new MemoryConflicts())
    await pair.source.sql('UPDATE stock SET n = 30 WHERE id = 1')
    await run(pair, fewer, new MemoryConflicts())
    expect(await addOnBoth(pair, fewer, 2)).toMatchObject({ open: [], n: summed })
    // Back to the columns of the first: what it had of them is from before the second wrote.
    expect((await addOnBoth(pair, config, 1)).open).toContain('1 n')
    expect((await addOnBoth(pair, config, 3)).n).toEqual(summed)
  })

  test('a mapping of other columns of the same tables leaves it what it knows', async () => {
    const notes = { ...config, conflictStrategy: 'manual', tables: [stockBy({}, { columns: ['id', 'note'] })] } as const
    const numbers = { ...config, tables: [stockBy({ n: 'sum' }, { columns: ['id', 'n'] })] } as const
    await using pair = await inStock({ ...config, tables: null })
    await run(pair, numbers, new MemoryConflicts())
    await pair.source.sql(`UPDATE stock SET note = 'other' WHERE id = 1`)
    await run(pair, notes, new MemoryConflicts())
    expect(await addOnBoth(pair, numbers, 1)).toEqual({ open: [], n: summed })
  })

  test('a column that comes, goes or has another type: values of other columns are never taken for its own', async () => {
    await using pair = await inStock(config)
    const tables = [stockBy({ n: 'sum', more: 'sum' })]
    await pair.both('ALTER TABLE stock ADD more int DEFAULT 7')
    await run(pair, { ...config, tables }, new MemoryConflicts())
    await pair.source.sql('UPDATE stock SET more = 8, n = 11 WHERE id = 1')
    await pair.target.sql('UPDATE stock SET more = 17, n = 30 WHERE id = 1')
    await run(pair, { ...config, tables }, new MemoryConflicts())
    expect(await pair.target.sql('SELECT n, more FROM stock WHERE id = 1')).toEqual([['31.00', '18']])
    await pair.both('ALTER TABLE stock DROP tags, ALTER n TYPE numeric(12,3), ALTER more TYPE text')
    const left = { ...config, tables: [stockBy({ n: 'sum' })] }
    // Of a row that both sides have changed since, what both had was of another table.
    expect((await addOnBoth(pair, left, 2)).open).toContain('2 n')
    expect((await addOnBoth(pair, left, 3)).n).toEqual(summed.map((n) => `${n}0`))
  })

  test('a large row is kept without its values, and a sum of it is left to somebody', async () => {
    await using pair = await inStock(config)
    await pair.source.sql(
      `UPDATE stock SET note = repeat('é', 600000) WHERE id = 1; UPDATE stock SET note = repeat('é', 400000) WHERE id = 2`,
    )
    await run(pair, config, new MemoryConflicts())
    expect((await imagesOf(pair)).map((image) => image !== null)).toEqual([false, true, true, true, true])
    await pair.both(`UPDATE stock SET note = 'small' WHERE id < 3`)
    // The row before was large, the rows are not.
    expect(await addOnBoth(pair, config, 1)).toMatchObject({ open: ['1 n'] })
    expect(await addOnBoth(pair, config, 2)).toEqual({ open: ['1 n'], n: summed })
  })

  test('manual: a conflict shows the row that both had, in texts, NULL and all', async () => {
    const manual = { ...config, conflictStrategy: 'manual', baseline: 'images', tables: null } as const
    await using pair = await inStock(manual)
    const note = String.raw`say "a\b", {x} é😀`
    await pair.source.sql('UPDATE stock SET note = $1, tags = NULL WHERE id = 1', [note])
    await pair.source.sql(`UPDATE stock SET note = 'NULL', tags = '{}' WHERE id = 2`)
    await pair.source.sql(`UPDATE stock SET note = '', tags = '{NULL,"NULL"}' WHERE id = 3`)
    await run(pair, manual, new MemoryConflicts())
    await pair.source.sql('UPDATE stock SET n = 1 WHERE id < 4; DELETE FROM stock WHERE id = 4')
    await pair.target.sql('UPDATE stock SET n = 2 WHERE id < 5')
    const conflicts = new MemoryConflicts()
    await run(pair, manual, conflicts)
    expect(Object.fromEntries(conflicts.open.map(({ key, base }) => [key[0], base]))).toEqual({
      1: ['1', '10.00', null, note],
      2: ['2', '10.00', '{}', 'NULL'],
      3: ['3', '10.00', '{NULL,"NULL"}', ''],
      4: ['4', '10.00', '{a,b}', 'x'],
    })
    conflicts.resolve('target')
    await run(pair, manual, conflicts)
    // Agreed to differ: there is no row that both had.
    await pair.both('UPDATE stock SET n = n + 5 WHERE id = 1')
    await run(pair, manual, conflicts)
    expect(conflicts.open.map(({ base }) => base)).toEqual(isBoth ? [] : [null])
  })

  test('the state of an older version is taken over: what it kept of each field is kept', async () => {
    const plain = { ...config, tables: null } as const
    await using pair = await inStock(plain)
    const [[name = ''] = []] = await pair.target.sql(
      `SELECT tablename FROM pg_tables WHERE schemaname = 'syncline' AND tablename LIKE 'baseline%'`,
    )
    await pair.target.sql(`ALTER TABLE syncline.state DROP carried, DROP baseline_details;
      ALTER TABLE syncline.${name} DROP image; UPDATE syncline.meta SET version = 3`)
    await pair.preview(plain, { conflicts: new MemoryConflicts() })
    await pair.source.sql(`UPDATE stock SET note = 's' WHERE id = 1`)
    await pair.target.sql(`UPDATE stock SET n = 40 WHERE id = 1`)
    const conflicts = new MemoryConflicts()
    await run(pair, config, conflicts)
    expect(conflicts.open).toEqual([])
    expect(await pair.target.sql('SELECT n, note FROM stock WHERE id = 1')).toEqual([['40.00', 's']])
    expect(await addOnBoth(pair, config, 2)).toEqual({ open: [], n: summed })
  })
})

test('a sum with a baseline that keeps no values is refused, with what helps', async () => {
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE stock (id int PRIMARY KEY, n int, tags text[])')
  const refused = run(pair, { ...SUM, baseline: 'fingerprints' }, new MemoryConflicts())
  await expect(refused).rejects.toMatchObject({
    code: 'impossible_mapping',
    message: expect.stringMatching(/"n" of public\.stock .*baseline: fingerprints.*Leave baseline out/) as string,
  })
})

test('D16: undoing a job gives back what was known of a row, by its values too', async () => {
  await using pair = await inStock(SUM)
  await using kept = await createChangeSets('sqlite')
  const before = await imagesOf(pair)
  const tellingOf = (id: string) => {
    const job = { id, configId: null, sourceDatasourceId: 'ds_1', targetDatasourceId: 'ds_2', epoch: 0 }
    return {
      history: new StoredHistory(kept.tools, job, 'images'),
      job: { id, lease: 1, confirm: () => Promise.resolve() },
    }
  }
  await pair.source.sql(
    'UPDATE stock SET n = 15 WHERE id = 1; DELETE FROM stock WHERE id = 2; INSERT INTO stock VALUES (9, 1)',
  )
  await pair.target.sql('UPDATE stock SET n = 12 WHERE id = 1')
  const jobId = await addJob(kept.store)
  await run(pair, SUM, new MemoryConflicts(), tellingOf(jobId))
  expect(await imagesOf(pair)).not.toEqual(before)
  const own = await addJob(kept.store)
  await using set = openChangeSet(kept.tools, { jobId: own, staging: 'embedded' })
  const summary = await pair.planRevert({
    job: await writtenJob(kept.tools, jobId),
    set,
    choice: { tables: null, keys: null },
  })
  await pair.revert(set, summary, tellingOf(own))
  expect(await imagesOf(pair)).toEqual(before)
  expect(await pair.target.sql('SELECT n FROM stock WHERE id IN (1, 2) ORDER BY id')).toEqual([['12.00'], ['10.00']])
  // 10 is still what both had: the source's 5 and the target's 2 and 4 come to it.
  await pair.target.sql('UPDATE stock SET n = n + 4 WHERE id = 1')
  const conflicts = new MemoryConflicts()
  await run(pair, SUM, conflicts)
  expect(await pair.target.sql('SELECT n FROM stock WHERE id = 1')).toEqual([['21.00']])
  expect(conflicts.open).toEqual([])
})

describe('staged', () => {
  afterEach(() => armFailpoint('none:1:throw'))

  const TABLE = 'CREATE TABLE stock (id int PRIMARY KEY, n int, note text)'

  async function staged(): Promise<Lab> {
    const lab = await createLab(
      'sqlite',
      { source: `${TABLE}; INSERT INTO stock SELECT i, 10, 'x' FROM generate_series(1, 4) i`, target: TABLE },
      {
        conflict_strategy: 'merge',
        commit_mode: 'staged',
        max_overwrite_percent: 100,
        tables: [{ source: 'stock', conflict_fields: { n: 'sum' } }],
      },
    )
    await lab.run()
    return lab
  }

  test.each(['transaction.commit', 'transaction.committed'])(
    'P3: a job that breaks off at %s adds once, and the next merge begins with what both had',
    async (step) => {
      await using lab = await staged()
      const numbers = () => lab.target.sql('SELECT n FROM stock ORDER BY id')
      await lab.source.sql('UPDATE stock SET n = n + 1 WHERE id < 3')
      await lab.target.sql('UPDATE stock SET n = n + 20 WHERE id = 1')
      armFailpoint(`${step}:1:throw`)
      const { id } = await lab.run({}, 'failed')
      armFailpoint('none:1:throw')
      await lab.ask('POST', `/api/jobs/${id}/resume`, {})
      await lab.work()
      expect(await numbers()).toEqual([['31'], ['11'], ['10'], ['10']])
      await lab.source.sql('UPDATE stock SET n = n + 1 WHERE id < 3')
      await lab.target.sql('UPDATE stock SET n = n + 20 WHERE id < 3')
      await lab.run()
      expect(await numbers()).toEqual([['52'], ['32'], ['10'], ['10']])
    },
  )

  test('the row that both had is kept sealed with a conflict, and shown to who may see values', async () => {
    await using lab = await staged()
    await lab.source.sql(`UPDATE stock SET note = 's' WHERE id = 1`)
    await lab.target.sql(`UPDATE stock SET note = 't' WHERE id = 1`)
    await lab.run({}, 'awaiting_resolution')
    const { items } = await lab.ask('GET', `/api/sync/${lab.config}/conflicts`)
    const [{ id } = {}] = items as readonly Fields[]
    const shown = await lab.ask('GET', `/api/conflicts/${String(id)}`)
    expect(shown).toMatchObject({
      base_row: [
        { column: 'id', value: '1' },
        { column: 'n', value: '10' },
        { column: 'note', value: 'x' },
      ],
      differences: [{ column: 'note', source: 's', target: 't', base: 'x', changed_by: 'both' }],
    })
    const hidden = await lab.api.send(lab.viewer, 'GET', `/api/conflicts/${String(id)}`)
    expect(hidden.json<Fields>()).toMatchObject({ base_row: null })
  })
})
