/**
 * What an adapter must show before the engine may trust it, on each engine alike: moments that stay as they are, digests
 * that tell rows apart, reads that end whole or in an error, walls against writing, a state that one run alone moves on,
 * and errors in our words (RELIABILITY P1, M1, A15, B7, D10, S30).
 */
import { inspect } from 'node:util'

import { describe, expect, test } from 'vitest'

import { TEXT_ROWS, type Adapter, type MappingIdentity, type Scan, type Snapshot } from '#adapters/adapter.ts'
import { openDatabase } from '#adapters/registry.ts'
import { watch } from '#adapters/watchdog.ts'
import { must } from '#lib/assert.ts'
import { AppError } from '#model/errors.ts'

import { startFaultProxyFor, type CutKind } from '#test/harness/fault-proxy.ts'
import { ENGINES, usePairs } from '#test/harness/pairs.ts'
import { permitWrite } from '#test/harness/permit.ts'
import { scanOf } from '#test/harness/scan.ts'
import { printedSeed } from '#test/harness/seed.ts'
import type { Side } from '#test/harness/side.ts'

const openPair = usePairs()
const { signal } = new AbortController()

const reading = (url: string): Promise<Adapter> => openDatabase(url, { write: null, signal })
const writing = (url: string): Promise<Adapter> => openDatabase(url, { write: permitWrite(url), signal })

const AMOUNTS = 50 * 100_000

async function makeAmounts(side: Side): Promise<void> {
  await side.each([
    'CREATE TABLE a (id int PRIMARY KEY, amount int NOT NULL)',
    'CREATE TABLE b (id int PRIMARY KEY, amount int NOT NULL)',
    `INSERT INTO a SELECT n, 100000 FROM ${side.numbers(1, 50)}`,
  ])
}

/** Moves amounts between two tables until it is told to stop; no transaction of it changes the sum of both. */
async function moveAmounts(side: Side, { from, stop }: { from: number; stop: AbortSignal }): Promise<number> {
  let moves = 0
  while (!stop.aborted) {
    await side.each([
      'BEGIN',
      `UPDATE a SET amount = amount - 1 WHERE id = ${1 + (moves % 50)}`,
      `INSERT INTO b VALUES (${from + moves}, 1)`,
      'COMMIT',
    ])
    moves += 1
  }
  return moves
}

async function textOf(stream: AsyncIterable<unknown>): Promise<string> {
  let text = ''
  for await (const chunk of stream) text += String(chunk)
  return text
}

/** Every row of a table as it travels. Whoever reads a stream watches its connection, which says what became of it. */
async function linesOf(moment: Snapshot, scan: Scan, bytes = 1e9): Promise<string[]> {
  const lines: string[] = []
  for (const piece of await moment.pieces(scan, bytes)) {
    await using rows = await moment.copyOut(scan, piece, TEXT_ROWS)
    const text = await watch([rows.connection], textOf(rows.stream)).catch(async (error: unknown) => {
      throw error instanceof AppError ? error : await new Promise((resolve) => rows.connection.onLost(resolve))
    })
    lines.push(...text.split('\n').filter((line) => line !== ''))
  }
  return lines
}

async function amounts(moment: Snapshot, scan: Scan): Promise<number> {
  return (await linesOf(moment, scan)).reduce((sum, line) => sum + Number(line.split('\t')[1]), 0)
}

async function gather<T>(rows: AsyncIterable<T>): Promise<T[]> {
  const all: T[] = []
  for await (const row of rows) all.push(row)
  return all
}

describe.each(ENGINES)('%s', (engine) => {
  const open = () => openPair({ name: engine, source: engine, target: engine })

  test.each([1, 4])('P1: all of %i sessions see one moment while others write', async (connections) => {
    await using pair = await open()
    const { source: side } = pair
    await makeAmounts(side)
    await using adapter = await reading(side.url)
    const stop = new AbortController()
    const writers = [1, 2].map((n) => moveAmounts(side, { from: n * 1_000_000, stop: stop.signal }))
    try {
      const { scan: a } = await scanOf(adapter, side.ref('a'))
      const { scan: b } = await scanOf(adapter, side.ref('b'))
      for (let round = 0; round < 6; round += 1) {
        await using moment = await adapter.snapshot(connections, signal)
        await moment.hold([a.table, b.table])
        const sums = await Promise.all([amounts(moment, a), amounts(moment, b)])
        expect(sums[0] + sums[1]).toBe(AMOUNTS)
        const proofs = await Promise.all(Array.from({ length: connections }, () => moment.proof(b)))
        expect(new Set(proofs.map(({ rows, digest }) => `${rows} ${digest}`)).size).toBe(1)
      }
    } finally {
      stop.abort()
    }
    for (const moves of await Promise.all(writers)) expect(moves).toBeGreaterThan(0)
  })

  test('M1: what is committed after the moment is not in it, and a new moment has it', async () => {
    await using pair = await open()
    const { source: side } = pair
    await makeAmounts(side)
    await using adapter = await reading(side.url)
    const { scan } = await scanOf(adapter, side.ref('a'))
    await using before = await adapter.snapshot(2, signal)
    // A moment may be that of the first read.
    expect(await before.count(scan)).toBe(50)
    await side.each(['UPDATE a SET amount = 0', 'DELETE FROM a WHERE id > 10'])
    await using after = await adapter.snapshot(2, signal)
    expect([await before.count(scan), await amounts(before, scan)]).toEqual([50, AMOUNTS])
    expect([await after.count(scan), await amounts(after, scan)]).toEqual([10, 0])
    expect(before.position.order < after.position.order).toBe(true)
  })

  test('a table is told with its key, and every row of it travels, NULL apart from the empty text', async () => {
    await using pair = await open()
    const { source: side } = pair
    await side.each([
      'CREATE TABLE t (v varchar(20), id int PRIMARY KEY, n decimal(10,2) NOT NULL)',
      `INSERT INTO t VALUES (NULL, 1, 1.5), ('', 2, -2), (${side.literal('tab\there\\N')}, 3, 0)`,
    ])
    await using adapter = await reading(side.url)
    const { schema, scan } = await scanOf(adapter, side.ref('t'))
    expect(schema.primaryKey?.columns).toEqual(['id'])
    expect(schema.columns.map(({ name, nullable, type }) => [name, nullable, type.kind])).toEqual([
      ['v', true, 'text'],
      ['id', false, 'integer'],
      ['n', false, 'decimal'],
    ])
    await using moment = await adapter.snapshot(1, signal)
    expect((await linesOf(moment, scan)).toSorted()).toEqual([
      String.raw`1${'\t'}\N${'\t'}1.50`,
      String.raw`2${'\t'}${'\t'}-2.00`,
      String.raw`3${'\t'}tab\there\\N${'\t'}0.00`,
    ])
    const rows = await moment.rows(scan, [['3'], ['1'], ['4'], ['no number']], 'the other side')
    expect(rows.toSorted(([a], [b]) => Number(a) - Number(b))).toEqual([
      ['1', null, '1.50'],
      ['3', 'tab\there\\N', '0.00'],
    ])
    expect(await moment.keyBounds(scan)).toEqual({ min: 1n, max: 3n })
    expect(await moment.count(scan)).toBe(3)
  })

  test('digests, keys and proofs of rows that are the same are the same, and one changed cell changes them', async () => {
    await using pair = await open()
    const sides = [pair.source, pair.target]
    for (const side of sides) {
      await side.each([
        'CREATE TABLE t (id int PRIMARY KEY, v varchar(20))',
        `INSERT INTO t SELECT n, concat('v', n % 7) FROM ${side.numbers(1, 1_000)}`,
      ])
    }
    const look = (side: Side) => async () => {
      await using adapter = await reading(side.url)
      const { scan } = await scanOf(adapter, side.ref('t'), { form: 'own' })
      await using moment = await adapter.snapshot(1, signal)
      const bucketing = { by: 'key range', start: 1n, width: 100n, count: 10 } as const
      const slices = (await gather(moment.digests(scan, bucketing))).flat()
      const rows = await gather(moment.keys(scan, bucketing, [3]))
      return {
        buckets: slices.map(({ bucket, digest }) => inspect([bucket, digest])).toSorted(),
        keys: rows.map(({ key, fingerprint }) => `${key.join()} ${fingerprint}`).toSorted(),
        proof: await moment.proof(scan),
      }
    }
    const [from, to] = [look(pair.source), look(pair.target)]
    const before = await from()
    expect(before.keys).toHaveLength(100)
    expect(await to()).toEqual(before)
    await pair.target.sql(`UPDATE t SET v = 'other' WHERE id = 350`)
    const after = await to()
    expect(after.buckets.filter((bucket, i) => bucket !== before.buckets[i])).toHaveLength(1)
    expect(after.keys.filter((key) => !before.keys.includes(key))).toEqual([expect.stringMatching(/^350 /)])
    expect(after.proof).toMatchObject({ rows: 1_000 })
    expect(after.proof.digest).not.toBe(before.proof.digest)
  })

  test('D10: a table that is held is not altered, and one that is gone is told', async () => {
    await using pair = await open()
    const { source: side } = pair
    await makeAmounts(side)
    await using adapter = await reading(side.url)
    const { scan } = await scanOf(adapter, side.ref('a'))
    const defined = await adapter.definitions([scan.table])
    {
      await using held = await adapter.snapshot(2, signal)
      await held.hold([scan.table])
      let altered = false
      const altering = side.sql('ALTER TABLE a ADD COLUMN more int').then(() => void (altered = true))
      expect(await held.count(scan)).toBe(50)
      expect(altered).toBe(false)
      await held[Symbol.asyncDispose]()
      await altering
    }
    expect(await adapter.definitions([scan.table])).not.toEqual(defined)
    await side.sql('DROP TABLE a')
    await using late = await adapter.snapshot(1, signal)
    await expect(late.hold([scan.table])).rejects.toMatchObject({ code: 'schema_changed', retry: 'later' })
  })

  test('S30: an adapter for reading has no writer, and takes no query that is more than one', async () => {
    await using pair = await open()
    const { source: side } = pair
    await makeAmounts(side)
    await using adapter = await reading(side.url)
    expect(adapter.writer).toBeNull()
    for (const query of [
      'DELETE FROM a',
      'SELECT 1 AS id) t; DROP TABLE a; -- ',
      'SELECT id FROM nothing',
      'garbage',
    ]) {
      await expect(adapter.describeQuery(side.ref('q'), query), query).rejects.toMatchObject({ code: 'invalid_query' })
    }
    expect(await side.sql('SELECT count(*) FROM a')).toEqual([['50']])
  })

  test('B7: one run alone moves the state on, and whoever was overtaken commits nothing', async () => {
    await using pair = await open()
    const { target: side } = pair
    await makeAmounts(side)
    await using first = await writing(side.url)
    await using second = await writing(side.url)
    const [older, newer] = [must(first.writer, 'a writer'), must(second.writer, 'a writer')]
    const mapping: MappingIdentity = {
      mappingId: 'm1',
      source: 'a source',
      target: side.ref('a'),
      mappingHash: 'h1',
      key: ['id'],
      carried: ['id', 'amount'],
      baseline: false,
      baselineDetails: [],
      columns: null,
      asItIs: false,
    }
    const [job, other] = [
      { id: 'j1', lease: null },
      { id: 'j2', lease: null },
    ]
    await older.keepOthersOut(['m1'], job)
    const [claim] = await older.claim([mapping], job)
    expect(claim).toMatchObject({ jobId: 'j1', epoch: 1n, phase: 'new', hasBaseline: false })
    await older.startPhase(must(claim, 'a claim'), 'applying')
    await expect(newer.keepOthersOut(['m1'], other)).rejects.toMatchObject({ code: 'already_running' })
    // It goes on with the job that is unfinished, and the epoch moves.
    const [taken] = await newer.claim([mapping], other)
    expect(taken).toMatchObject({ jobId: 'j1', epoch: 2n, phase: 'applying' })
    await expect(older.startPhase(must(claim, 'a claim'), 'loading')).rejects.toBeInstanceOf(AppError)
    expect(await second.committedBy('j1')).toMatchObject({ inserted: 0, batches: 0 })
    expect(await second.committedBy('j9')).toBeNull()
    const position = { label: 'here', order: '1' }
    await newer.finish([must(taken, 'a claim')], { position, verified: [], detection: new Map() })
    const [next] = await newer.claim([mapping], { id: 'j3', lease: null })
    expect(next).toMatchObject({ jobId: 'j3', epoch: 3n, phase: 'new' })
  })

  test('errors are of our own words, with the next step', async () => {
    await using pair = await open()
    const { source: side } = pair
    const changed = (change: (url: URL) => void): string => {
      const url = new URL(side.url)
      change(url)
      return url.href
    }
    await using proxy = await startFaultProxyFor(side.url)
    await proxy.faults.set({ connect: 'refuse' })
    const cases: readonly (readonly [code: string, url: string])[] = [
      ['connection_refused', proxy.url(side.url)],
      ['database_not_found', changed((url) => void (url.pathname = '/no_such_database'))],
      ['host_not_found', changed((url) => void (url.hostname = 'no-such-host.invalid'))],
    ]
    for (const [code, url] of cases) {
      const error = await reading(url).then(
        () => null,
        (reason: unknown) => reason,
      )
      expect(error, code).toBeInstanceOf(AppError)
      expect(error).toMatchObject({ code, hint: expect.stringMatching(/./) as string })
      expect(String((error as AppError).message)).not.toContain(new URL(side.url).password || 'no password')
    }
  })

  test('a mark is seen in the same database, and in no other', async () => {
    await using pair = await open()
    await using here = await reading(pair.source.url)
    await using same = await reading(pair.source.url)
    await using other = await reading(pair.target.url)
    await using mark = await here.plantMark()
    expect([await same.seesMark(mark.id), await other.seesMark(mark.id)]).toEqual([true, false])
  })

  describe('A15: a read that is cut ends in an error, and never as if it were whole', () => {
    /** Everything that reads much, each with its own session to be cut. */
    const READS: readonly [string, (moment: Snapshot, scan: Scan) => Promise<unknown>][] = [
      ['digests', (moment, scan) => gather(moment.digests(scan, { by: 'key hash', count: 4096 }))],
      ['keys', (moment, scan) => gather(moment.keys(scan, { by: 'key hash', count: 64 }, 'all'))],
      ['pieces', (moment, scan) => linesOf(moment, scan)],
    ]

    async function cutAt(side: Side, read: (typeof READS)[number][1], { by, share }: { by: CutKind; share: number }) {
      await using proxy = await startFaultProxyFor(side.url)
      const at = async (use: (moment: Snapshot, scan: Scan) => Promise<unknown>): Promise<void> => {
        await using adapter = await reading(proxy.url(side.url))
        const { scan } = await scanOf(adapter, side.ref('t'))
        await using moment = await adapter.snapshot(1, signal)
        await use(moment, scan)
      }
      let whole = 0
      await at(async (moment, scan) => {
        const before = proxy.bytes.toClient
        await read(moment, scan)
        whole = proxy.bytes.toClient - before
      })
      const after = 1 + Math.floor(share * (whole - 1))
      const outcome = at(async (moment, scan) => {
        await proxy.faults.set({ cut: { after, direction: 'toClient', by } }, { live: true })
        await read(moment, scan)
      })
      await expect(outcome, `cut by ${by} after ${after} of ${whole} bytes`).rejects.toMatchObject({
        name: 'AppError',
        code: 'connection_lost',
      })
    }

    // Most of it is waiting for those that fall silent: the three wait together.
    test.each(READS)('%s', { timeout: 240_000, concurrent: true }, async (_name, read) => {
      await using pair = await open()
      const { source: side } = pair
      await side.each([
        'CREATE TABLE t (id int PRIMARY KEY, v varchar(100))',
        `INSERT INTO t SELECT n, repeat(md5(concat(n, '')), 3) FROM ${side.numbers(1, 20_000)}`,
      ])
      let state = printedSeed()
      const random = (): number => (state = (state * 48_271 + 1) % 2_147_483_647) / 2_147_483_647
      const at = (kinds: readonly CutKind[]): Promise<unknown> =>
        Promise.all(kinds.map((by) => cutAt(side, read, { by, share: random() })))
      for (let round = 0; round < 6; round += 1) await at(['fin', 'rst'])
      // Who falls silent is asked twice before it is given up.
      await at(['silence', 'silence', 'silence', 'half-open'])
    })
  })
})
