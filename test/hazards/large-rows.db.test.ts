/** Values that are too large for memory and go from one COPY into another: nothing of them changes (P10, invariants 4, 9). */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import type { Adapter, Scan } from '#adapters/adapter.ts'
import { assert } from '#lib/assert.ts'
import { decodeCell } from '#model/row-text.ts'
import { isLarge, LARGE_ROW_BYTES, sizeOfRow, type LargeValue } from '#model/value.ts'

import { createDatabase, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, MIRROR } from '#test/harness/sync.ts'

const COLUMNS = ['id', 'v', 'b', 'a'] as const

async function openTable(db: Database): Promise<{ adapter: Adapter; scan: Scan }> {
  await db.sql('CREATE TABLE t (id text PRIMARY KEY, v text, b bytea, a text[])')
  const adapter = await openDatabase(db.url, { write: null, signal: new AbortController().signal })
  await adapter.describe([{ schema: 'public', name: 't' }])
  const columns = COLUMNS.map((name) => ({ name, form: 'own' as const, hash: 'text' as const }))
  const scan: Scan = { table: { schema: 'public', name: 't' }, columns, keyLength: 1, algorithm: 'md5', filter: null }
  return { adapter, scan }
}

async function textOf(large: LargeValue): Promise<string | null> {
  const pieces: Uint8Array[] = []
  for await (const piece of large.read()) pieces.push(piece)
  return decodeCell(Buffer.concat(pieces).toString('latin1'))
}

/** Enough of a text to be large, with a beginning and an end of its own. */
const largeText = fc
  .record({
    first: fc.string({ unit: 'binary' }),
    filler: fc.string({ unit: 'grapheme', minLength: 1, maxLength: 40 }),
    special: fc.constantFrom('', '\\', '\n', '\r\n\t', '\\.\n', '\\N', '😀', 'é☯'),
    last: fc.string({ unit: 'binary' }),
    bytes: fc.integer({ min: LARGE_ROW_BYTES - 3, max: LARGE_ROW_BYTES + 200_000 }),
  })
  .map(({ first, filler, special, last, bytes }) => {
    const part = `${filler}${special}`
    return `${first}${part.repeat(Math.ceil(bytes / Buffer.byteLength(part)))}${last}`
  })
  // PostgreSQL has no NUL, and no half of a character.
  .map((text) => text.replaceAll('\0', '').toWellFormed())

test('the pieces of a large value are the value: no character is torn, whatever stands in it or in its key', async () => {
  await using db = await createDatabase(sharedServers().source)
  const { adapter, scan } = await openTable(db)
  await using _ = adapter
  const keyOf = fc
    .tuple(fc.constantFrom('', "it's", '\\', "\\'", '$1', '%'), fc.string({ unit: 'grapheme', maxLength: 20 }))
    .map(([mark, text]) => `${mark}${text}`.replaceAll('\0', '').toWellFormed())
  const property = fc.asyncProperty(keyOf, largeText, async (id, text) => {
    await db.sql('TRUNCATE t')
    const bytes = `\\x${Buffer.from(text).toString('hex')}`
    await db.sql('INSERT INTO t VALUES ($1, $2, $3, ARRAY[$2, NULL, $1])', [id, text, bytes])
    const [stored] = await db.sql('SELECT * FROM t')
    await using snapshot = await adapter.snapshot(1, new AbortController().signal)

    const [row = []] = await snapshot.largeRows(scan, [[id]])
    expect(row.map((cell) => cell !== null && isLarge(cell))).toEqual([false, true, true, true])
    expect(row.map((cell) => sizeOfRow([cell]))).toEqual(stored?.map((value) => Buffer.byteLength(value ?? '')))
    const values: unknown[] = []
    for (const cell of row) values.push(cell !== null && isLarge(cell) ? await textOf(cell) : cell)
    // A comparison of texts of megabytes that fails would print them.
    expect(values.map((value, i) => value === stored?.[i])).toEqual([true, true, true, true])
  })
  await fc.assert(property, { seed: printedSeed(), numRuns: 12 })
})

test('whoever stops in the middle of a large value leaves the snapshot to the others', async () => {
  await using db = await createDatabase(sharedServers().source)
  const { adapter, scan } = await openTable(db)
  await using _ = adapter
  await db.sql(`INSERT INTO t (id, v) VALUES ('one', repeat('é', 4000000))`)
  await using snapshot = await adapter.snapshot(1, new AbortController().signal)
  await db.sql(`UPDATE t SET v = 'gone'`)
  const [row = []] = await snapshot.largeRows(scan, [['one']])
  const [large] = row.filter((cell) => cell !== null && isLarge(cell))
  assert(large !== undefined, 'the value is large')

  for await (const piece of large.read()) {
    expect(piece.length).toBeLessThan(large.bytes)
    break
  }

  expect(await snapshot.count(scan)).toBe(1)
  expect((await textOf(large)) === 'é'.repeat(4_000_000)).toBe(true)
})

const LARGE_SQL = `repeat('☯é\\😀', 400000)`

test('a large value that changes in the target between detection and batch is decided on again (invariant 9)', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY, v text)')
  await pair.source.sql(`INSERT INTO t SELECT i, i || ${LARGE_SQL} FROM generate_series(1, 3) i`)
  await pair.target.sql(`INSERT INTO t SELECT i, 'old' || ${LARGE_SQL} FROM generate_series(1, 2) i`)
  const batches: number[] = []

  const { counts } = await pair.run(
    { ...MIRROR, maxOverwritePercent: 100, batchSize: 1 },
    {
      // One comes into step by itself, the other becomes another row than the one that was decided on.
      beforeBatch: async (batch) => {
        batches.push(batch)
        if (batch > 1) return
        await pair.target.sql(`UPDATE t SET v = CASE id WHEN 1 THEN id || ${LARGE_SQL} ELSE 'moved' || v END`)
      },
    },
  )

  expect(counts).toMatchObject({ inserted: 1, updated: 1, unchanged: 1, conflicted: 0, rejected: 0 })
  expect(batches.length).toBeGreaterThan(3)
  const digest = 'SELECT id, length(v), md5(v) FROM t ORDER BY id'
  expect(await pair.target.sql(digest)).toEqual(await pair.source.sql(digest))
})

test('a large row that the target refuses is set aside, and the others go on', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY, v text)')
  await pair.target.sql(`ALTER TABLE t ADD CHECK (v NOT LIKE '%refused'); INSERT INTO t VALUES (0, 'there')`)
  await pair.source.sql(`INSERT INTO t VALUES (0, 'there');
    INSERT INTO t SELECT i, i || ${LARGE_SQL} || CASE i WHEN 2 THEN 'refused' ELSE '' END FROM generate_series(1, 4) i`)

  const { counts } = await pair.run()

  expect(counts).toMatchObject({ inserted: 3, rejected: 1 })
  const digest = `SELECT id, md5(v) FROM t WHERE v NOT LIKE '%refused' ORDER BY id`
  expect(await pair.target.sql(digest)).toEqual(await pair.source.sql(digest))
})

test('readers that are lost before a large value is sent are replaced, and the batch is written anew (B1)', async () => {
  const { source, target } = sharedServers()
  await using pair = await createPair(source, target)
  await pair.both('CREATE TABLE t (id int PRIMARY KEY, v text)')
  await pair.target.sql(`INSERT INTO t VALUES (0, 'old')`)
  await pair.source.sql(`INSERT INTO t SELECT i, i || ${LARGE_SQL} FROM generate_series(0, 3) i`)
  let ended = 0
  const sessions: string[][] = []

  const { counts } = await pair.run(
    { maxOverwritePercent: 100 },
    {
      beforeBatch: async (batch) => {
        const pids = await pair.target.sql(
          `SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND application_name = 'syncline'`,
        )
        sessions.push(pids.map(([pid]) => pid ?? ''))
        if (batch > 1) return
        // The oldest one holds the snapshot.
        const [row] = await pair.source.sql(
          `SELECT count(pg_terminate_backend(pid)) FROM (SELECT pid FROM pg_stat_activity
           WHERE datname = current_database() AND application_name = 'syncline' ORDER BY backend_start OFFSET 1) a`,
        )
        ended = Number(row?.[0])
      },
    },
  )

  expect(ended).toBeGreaterThan(0)
  // The COPY that got no more was ended, and not the target's session: the batch is written anew in it.
  expect(sessions.length).toBeGreaterThan(1)
  expect(sessions[1]).toEqual(expect.arrayContaining(sessions[0] ?? []))
  expect(counts).toMatchObject({ inserted: 3, updated: 1 })
  const digest = 'SELECT id, length(v), md5(v) FROM t ORDER BY id'
  expect(await pair.target.sql(digest)).toEqual(await pair.source.sql(digest))
})
