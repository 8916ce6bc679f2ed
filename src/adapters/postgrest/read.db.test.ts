/** Reading over REST: nothing is cut in silence, no key is taken for syntax, and faults are told or outlasted. */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import { openDatabase } from '#adapters/registry.ts'
import type { Snapshot } from '#adapters/adapter.ts'
import { plainMapping, type SyncConfig } from '#model/sync-config.ts'

import { createDatabase, expectSameTable, type Database } from '#test/harness/database.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { SECRET_KEY, startRestApi, tokenOf, type Fault, type RestApi } from '#test/harness/postgrest.ts'
import { createPair, wroteNothing } from '#test/harness/sync.ts'
import { RestClient } from './http.ts'
import { toRestPlace } from './place.ts'
import { printedSeed } from '#test/harness/seed.ts'

const { source: server, target: other } = sharedServers()
const POLICIES: Partial<SyncConfig> = { maxOverwritePercent: 100, verifyAfter: 'full' }
const REF = { schema: 'public', name: 't' }
const SCAN = {
  table: REF,
  columns: [
    { name: 'id', form: 'own', hash: 'integer' },
    { name: 'v', form: 'own', hash: 'text' },
  ],
  keyLength: 1,
  algorithm: 'md5',
  filter: null,
} as const

async function rowsOf(api: RestApi, key?: string): Promise<number> {
  return await withSnapshot(api, async (moment) => (await moment.proof(SCAN)).rows, key)
}

async function withSnapshot<T>(api: RestApi, use: (moment: Snapshot) => Promise<T>, key?: string): Promise<T> {
  const { signal } = new AbortController()
  await using adapter = await openDatabase(api.place(key === undefined ? {} : { key }), { write: null, signal })
  await adapter.describe([REF])
  await using moment = await adapter.snapshot(1, signal)
  return await use(moment)
}

async function fill(db: Database, rows: number): Promise<void> {
  await db.sql(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT n * 3, md5(n::text) FROM generate_series(1, ${rows}) n`)
}

test.each([50, 77, 1000, 4999])('A11: 5,000 rows arrive whole through a hidden cap of %i', async (maxRows) => {
  await using pair = await createPair(server, other)
  await fill(pair.source, 5_000)
  await pair.target.sql('CREATE TABLE t (id int PRIMARY KEY, v text)')
  await using api = await startRestApi(pair.source, { maxRows })
  const receipt = await pair.run(POLICIES, { sourceUrl: api.place() })
  expect(receipt).toMatchObject({ completeness: 'bounded', counts: { inserted: 5_000 } })
  await expectSameTable(pair.source, pair.target, 't')
  expect(wroteNothing(await pair.run(POLICIES, { sourceUrl: api.place() }))).toBe(true)
})

const LOSSES: readonly [string, (number: number) => Fault | null][] = [
  ['the rows of every page but the first', (number) => (number > 1 ? { lose: 1_000 } : null)],
  ['one row at the end of the last page', () => ({ lose: 1 })],
]

test.each(LOSSES)('A11: a server that keeps back %s fails the run', async (_name, fault) => {
  await using db = await createDatabase(server)
  await fill(db, 1_500)
  await using api = await startRestApi(db, { maxRows: 1_000 })
  // Estimates and counts have no rows to lose.
  let pages = 0
  api.fault = (_number, { method }) => (method === 'GET' ? fault((pages += 1)) : null)
  await expect(rowsOf(api)).rejects.toMatchObject({ code: 'incomplete_read', message: expect.stringContaining('1500') })
})

test('A11: a server that does not count is refused', async () => {
  await using db = await createDatabase(server)
  await fill(db, 10)
  await using api = await startRestApi(db)
  api.fault = () => ({ uncounted: true })
  await expect(rowsOf(api)).rejects.toMatchObject({ code: 'unexpected_answer' })
})

test.each([
  ['an error object', { status: 200, body: '{"message":"maintenance"}', headers: { 'content-range': '0-0/1' } }],
  ['an empty list without a count', { status: 200, body: '[]' }],
  ['a page of HTML', { status: 200, body: '<html>' }],
])('A13: %s in place of rows is no empty table, and nothing is deleted', async (_name, answer) => {
  await using pair = await createPair(server, other)
  await fill(pair.source, 10)
  await fill(pair.target, 10)
  await using api = await startRestApi(pair.source)
  api.fault = () => answer
  const config = { ...POLICIES, deletePolicy: 'delete', deleteScope: 'mirror' } as const
  await expect(pair.run(config, { sourceUrl: api.place() })).rejects.toMatchObject({
    code: expect.stringMatching(/^(unexpected_answer|connection_lost)$/),
  })
  expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['10']])
})

test('A14: a key of a role that sees only some rows is refused, whatever its policies show', async () => {
  await using db = await createDatabase(server)
  await fill(db, 10)
  await db.sql('ALTER TABLE t ENABLE ROW LEVEL SECURITY')
  await using api = await startRestApi(db)
  await db.sql('CREATE POLICY few ON t TO anon USING (id < 10)')
  expect(await rowsOf(api)).toBe(10)
  expect(await rowsOf(api, SECRET_KEY)).toBe(10)
  for (const key of [tokenOf('anon'), tokenOf('authenticated'), 'sb_publishable_x', 'neither']) {
    await expect(rowsOf(api, key)).rejects.toMatchObject({ code: 'row_level_security' })
  }
})

test('A15: an answer that is cut at whatever byte is asked for again, and no row is lost', async () => {
  await using db = await createDatabase(server)
  await fill(db, 200)
  await using api = await startRestApi(db, { maxRows: 20 })
  const cuts = [0, 1, 2, 50, 333, 700]
  const left = [...cuts]
  api.fault = (_number, { method }) => {
    const cutAfter = method === 'GET' ? left.shift() : undefined
    return cutAfter === undefined ? null : { cutAfter }
  }
  // Each is cut once more than the last: a question is asked six times at most.
  expect(await rowsOf(api).catch((error: unknown) => error)).toMatchObject({ code: 'connection_lost' })
  expect(left).toEqual([])
  left.push(...cuts.slice(1))
  expect(await rowsOf(api)).toBe(200)
})

test.each([429, 503, 504])('a status of %i is outlasted, and the server says how long', async (status) => {
  await using db = await createDatabase(server)
  await fill(db, 200)
  await using api = await startRestApi(db, { maxRows: 100 })
  const busy = new Set<string>()
  api.fault = (_number, { url, method }) => {
    if (busy.has(method + url)) return null
    busy.add(method + url)
    return { status, headers: { 'retry-after': '0' } }
  }
  expect(await rowsOf(api)).toBe(200)
})

test('a statement that takes too long for the server is asked for in smaller pages', async () => {
  await using db = await createDatabase(server)
  await fill(db, 500)
  await using api = await startRestApi(db)
  const limits: number[] = []
  api.fault = (_number, { url, method }) => {
    const limit = Number(new URL(url, api.url).searchParams.get('limit'))
    if (method === 'GET') limits.push(limit)
    return limit <= 150
      ? null
      : { status: 500, body: '{"code":"57014","message":"canceling statement due to statement timeout"}' }
  }
  // It grows again after a page that went well, and is cut again.
  expect(await rowsOf(api)).toBe(500)
  expect(limits.some((limit) => limit <= 125)).toBe(true)
})

test('S37: headers without end and rows beyond all measure are refused', async () => {
  await using db = await createDatabase(server)
  await fill(db, 5)
  await using api = await startRestApi(db)
  const answers: Fault[] = [
    { status: 200, headers: { 'x-endless': 'x'.repeat(200_000) }, body: '[]' },
    { status: 200, headers: { 'content-range': '0-0/1' }, body: `[{"c0":"1","c1":"${'x'.repeat(65 * 1024 * 1024)}"}]` },
  ]
  for (const answer of answers) {
    api.fault = () => answer
    await expect(rowsOf(api)).rejects.toMatchObject({ code: 'unexpected_answer' })
  }
})

test('A15: a server that falls silent ends the wait, and a stop ends it at once', async () => {
  await using db = await createDatabase(server)
  await fill(db, 5)
  await using api = await startRestApi(db)
  api.fault = () => ({ silent: true })
  const stop = new AbortController()
  const place = toRestPlace(api.place())
  await using client = new RestClient(place, new AbortController().signal, { idleMs: 200 })
  const question = { method: 'GET', path: 't', query: '', schema: 'public', doing: 'reading' } as const
  await expect(client.ask(question)).rejects.toMatchObject({ code: 'connection_timeout' })
  await using patient = new RestClient(place, new AbortController().signal)
  const asked = patient.within(stop.signal).ask(question)
  stop.abort(new Error('stopped'))
  await expect(asked).rejects.toThrow('stopped')
})

test('a redirect is not followed, and the key is not sent after it', async () => {
  await using db = await createDatabase(server)
  await fill(db, 5)
  await using elsewhere = await startRestApi(db)
  await using api = await startRestApi(db)
  api.fault = () => ({ status: 302, headers: { location: `${elsewhere.url}/rest/v1/t` } })
  await expect(rowsOf(api)).rejects.toMatchObject({
    code: 'unexpected_answer',
    message: expect.stringContaining('elsewhere'),
  })
  expect(elsewhere.seen).toEqual([])
})

test('S10: the key stands in headers alone, and errors do not hold it', async () => {
  await using db = await createDatabase(server)
  await fill(db, 5)
  await using api = await startRestApi(db)
  await rowsOf(api)
  const key = tokenOf('service_role')
  expect(api.seen.length).toBeGreaterThan(2)
  for (const { url, headers } of api.seen) {
    expect(url).not.toContain(key)
    expect(headers).toMatchObject({ apikey: key, authorization: `Bearer ${key}` })
  }
  api.fault = () => ({ status: 403, body: '{"code":"42501","message":"permission denied for table t"}' })
  const error: unknown = await rowsOf(api).catch((thrown: unknown) => thrown)
  expect(error).toMatchObject({ code: 'missing_privilege' })
  expect(JSON.stringify(error) + String(error) + String((error as Error).stack)).not.toContain(key)
})

test('a source that moves under a run is seen as it was read, and the next run brings the rest', async () => {
  await using pair = await createPair(server, other)
  await fill(pair.source, 3_000)
  await pair.target.sql(`CREATE TABLE t (id int PRIMARY KEY, v text);
    INSERT INTO t SELECT n * 3, 'old' FROM generate_series(1, 3000, 2) n`)
  await using api = await startRestApi(pair.source)
  let moved = 0
  const receipt = await pair.run(
    { ...POLICIES, batchSize: 500 },
    {
      sourceUrl: api.place(),
      beforeBatch: async (batch) => {
        if (batch !== 2) return
        moved += 1
        await pair.source.sql(
          `DELETE FROM t WHERE id % 2 = 0; UPDATE t SET v = 'new' WHERE id % 5 = 0; INSERT INTO t VALUES (-1, 'x')`,
        )
      },
    },
  )
  expect(moved).toBe(1)
  expect(receipt).toMatchObject({ completeness: 'bounded', counts: { inserted: 1_500, updated: 1_500 } })
  expect(receipt.tables[0]?.verification).toMatchObject({ mode: 'full', changedSince: 0, rows: 3_000 })
  const config = { ...POLICIES, deletePolicy: 'delete', deleteScope: 'mirror', maxDeletePercent: 100 } as const
  await pair.run(config, { sourceUrl: api.place() })
  await expectSameTable(pair.source, pair.target, 't')
})

test('rows that come and go while pages are read are no fault; rows that are there are all read', async () => {
  await using db = await createDatabase(server)
  await fill(db, 1_000)
  await using api = await startRestApi(db, { maxRows: 100 })
  const changes = [`INSERT INTO t VALUES (100000, 'late'), (100001, 'late')`, `DELETE FROM t WHERE id IN (3, 6, 2997)`]
  await using adapter = await openDatabase(api.place(), { write: null, signal: new AbortController().signal })
  await adapter.describe([REF])
  for (const change of changes) {
    let pages = 0
    api.fault = (_number, { method }) => {
      if (method === 'GET' && (pages += 1) === 3) moving = db.sql(change)
      return null
    }
    let moving: Promise<unknown> = Promise.resolve()
    await using moment = await adapter.snapshot(1, new AbortController().signal)
    const read = await moment.sample(SCAN, Infinity)
    await moving
    const ids = new Set(read.map(([id]) => String(id)))
    expect(ids.size).toBe(read.length)
    for (const [id] of await db.sql(`SELECT id FROM t WHERE id < 100000`)) expect(ids.has(String(id))).toBe(true)
  }
})

test('texts as keys fall into the same buckets on both sides, and changes are found', async () => {
  await using pair = await createPair(server, other)
  await pair.both(`CREATE TABLE t (k text COLLATE "C" PRIMARY KEY, v float8);
    INSERT INTO t SELECT 'é ' || md5(n::text), n / 7.0 FROM generate_series(1, 5000) n; ANALYZE t`)
  await pair.target.sql(`UPDATE t SET v = 0 WHERE k LIKE '%0'; DELETE FROM t WHERE k LIKE '%1'`)
  await using api = await startRestApi(pair.source)
  const before = await pair.compare('rows', {}, { sourceUrl: api.place() })
  const receipt = await pair.run(POLICIES, { sourceUrl: api.place() })
  expect(receipt.counts.inserted).toBe(before.tables[0]?.onlyInSource)
  expect(receipt.counts.updated).toBe(before.tables[0]?.different)
  expect(receipt.counts.inserted * receipt.counts.updated).toBeGreaterThan(0)
  await expectSameTable(pair.source, pair.target, 't')
  expect(wroteNothing(await pair.run(POLICIES, { sourceUrl: api.place() }))).toBe(true)
})

test('a project as a target is compared and previewed, and stays as it is', async () => {
  await using pair = await createPair(server, other)
  await fill(pair.source, 300)
  await fill(pair.target, 300)
  await pair.target.sql(`UPDATE t SET v = 'x' WHERE id = 3; DELETE FROM t WHERE id = 6; INSERT INTO t VALUES (7, 'y')`)
  await using api = await startRestApi(pair.target)
  const preview = await pair.preview(POLICIES, { targetUrl: api.place() })
  expect(preview.tables[0]).toMatchObject({ inserts: 1, updates: 1, kept: 1, unchanged: 298 })
  const compared = await pair.compare('rows', {}, { targetUrl: api.place() })
  expect(compared.tables[0]).toMatchObject({ onlyInSource: 1, different: 1, onlyInTarget: 1 })
  const before = await pair.compare('proof', {}, { sourceUrl: api.place(), targetUrl: api.place() })
  expect(before.tables[0]?.proof?.equal).toBe(true)
})

test.each([
  ['smallint', 'numeric', ['-32768', '0', '7']],
  ['integer', 'double precision', ['-2147483648', '0', '123456789', '1000000']],
  ['bigint', 'numeric(21,2)', ['9223372036854775807', '-9223372036854775808', '0', '10']],
  [
    'real',
    'double precision',
    ['0.1', '-0', '1e-45', '3.4028235e38', 'NaN', '-Infinity', '123456.79', '1e15', '1e14', '0.0001', '0.00001'],
  ],
  ['numeric', 'numeric(12,4)', ['1.10', '-0.0001', '99999999.9999', 'NaN', '0.0000', '100', '-5.000000']],
  ['date', 'timestamp', ['2024-02-29', '0044-03-15 BC', 'infinity', '294276-12-31']],
])('%s goes to %s in the form that the server gives it', async (from, to, values) => {
  await using pair = await createPair(server, other)
  await pair.source.sql(`CREATE TABLE t (id int PRIMARY KEY, v ${from})`)
  await pair.target.sql(`CREATE TABLE t (id int PRIMARY KEY, v ${to})`)
  for (const [id, value] of values.entries())
    await pair.source.sql('INSERT INTO t VALUES ($1, $2)', [String(id), value])
  await using api = await startRestApi(pair.source)
  await pair.run(POLICIES, { sourceUrl: api.place() })
  await pair.source.sql(`CREATE VIEW "as target" AS SELECT id, v::${to} FROM t`)
  await expectSameTable(pair.source, pair.target, 'as target', { as: 't' })
  expect(wroteNothing(await pair.run(POLICIES, { sourceUrl: api.place() }))).toBe(true)
  await pair.target.sql('UPDATE t SET v = NULL')
  await pair.run(POLICIES, { sourceUrl: api.place() })
  await expectSameTable(pair.source, pair.target, 'as target', { as: 't' })
})

test('D6: a declared key that is NULL or not unique is refused, and a view with a good one is read', async () => {
  await using pair = await createPair(server, other)
  await pair.source
    .sql(`CREATE TABLE base (a int, b text); INSERT INTO base SELECT n, 'b' || n FROM generate_series(1, 30) n;
    CREATE VIEW t AS SELECT * FROM base`)
  await pair.target.sql('CREATE TABLE t (a int PRIMARY KEY, b text)')
  await using api = await startRestApi(pair.source, { maxRows: 7 })
  const tables = [{ ...plainMapping(REF, REF), key: ['a'] }]
  const run = () => pair.run({ ...POLICIES, tables }, { sourceUrl: api.place() })
  await run()
  await expectSameTable(pair.source, pair.target, 't')
  for (const row of ['(NULL, $1)', '(8, $1)', '(7, $1)']) {
    await pair.source.sql(`INSERT INTO base VALUES ${row}`, ['again'])
    await expect(run()).rejects.toMatchObject({ code: expect.stringMatching(/^(key_not_unique|incomplete_read)$/) })
    await pair.source.sql(`DELETE FROM base WHERE b = 'again'`)
  }
})

const CONDITIONS = [
  'i > 10 && i <= 20',
  'i in [1, 2, 3]',
  's == "b"',
  's >= "É" && s < "é"',
  's.startsWith("a%")',
  's == null || s != "b"',
  'n == 1.1',
  'n < 0.5 || n > 99.0',
  'f == 0.1',
  'r < 0.2',
  '!b',
  'b || i == 3',
  'd >= date("2024-01-01")',
  't < timestamp("2024-06-01T00:00:00Z")',
]

test.each(CONDITIONS)('the filter %s selects the rows that a database selects', async (filter) => {
  await using pair = await createPair(server, other)
  const columns = 'i int PRIMARY KEY, s text, n numeric, f float8, r float4, b boolean, d date, t timestamptz'
  await pair.source.sql(`CREATE TABLE t (${columns});
    INSERT INTO t SELECT n, (ARRAY['a', 'b', 'É', 'é', 'a%x', '', NULL])[n % 7 + 1], (ARRAY[1.10, 0.2, 'NaN', NULL, 100])[n % 5 + 1],
      (ARRAY[0.1, 'NaN', '-Infinity', NULL]::float8[])[n % 4 + 1], (ARRAY[0.1, 0.2, 'NaN'])[n % 3 + 1]::float4, (ARRAY[true, false, NULL])[n % 3 + 1],
      (ARRAY['2024-01-01', '0044-01-01 BC', 'infinity', '12024-01-01'])[n % 4 + 1]::date,
      (ARRAY['2024-05-31 23:59:59.999999+00', '2024-06-01 00:00:00+00', '-infinity', '12024-01-01 00:00+00'])[n % 4 + 1]::timestamptz
    FROM generate_series(1, 100) n`)
  await pair.target.sql(`CREATE TABLE t (${columns}); CREATE TABLE own (LIKE t INCLUDING ALL)`)
  await using api = await startRestApi(pair.source, { maxRows: 30 })
  const mapping = { ...plainMapping(REF, REF), filter }
  const own = { ...mapping, target: { schema: 'public', name: 'own' } }
  await pair.run({ ...POLICIES, tables: [own] })
  const receipt = await pair.run({ ...POLICIES, tables: [mapping] }, { sourceUrl: api.place() })
  expect(receipt.counts.inserted).toBeGreaterThan(0)
  await expectSameTable(pair.target, pair.target, 'own', { as: 't' })
  expect(wroteNothing(await pair.run({ ...POLICIES, tables: [mapping] }, { sourceUrl: api.place() }))).toBe(true)
})

const hostile = fc.oneof(
  fc.constantFrom(
    '"',
    '\\',
    '\\"',
    ',',
    ')',
    '(',
    '.',
    'and(',
    'is.null',
    'null',
    '"a",b',
    '*',
    '%',
    '+',
    '&',
    '#',
    '?x=1',
    '{1}',
    '{}',
    ' a ',
    '',
    '😀',
    'é',
    "'",
  ),
  fc.string({ unit: 'binary', maxLength: 20 }).map((text) => text.replaceAll('\0', '')),
)

test('keys and names of hostile characters are values and names, and never syntax', async () => {
  await using pair = await createPair(server, other)
  const table = `t"'%/?#&,(.é😀`
  const name = (text: string): string => `"${text.replaceAll('"', '""')}"`
  const [a, b, c] = [`a","b::int`, 'c0', `__proto__`].map(name)
  await pair.both(
    `CREATE TABLE ${name(table)} (${c} int, ${a} text COLLATE "C", ${b} text COLLATE "C", PRIMARY KEY (${a}, ${b}))`,
  )
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(fc.tuple(hostile, hostile), { minLength: 20, maxLength: 60, selector: String }),
      async (keys) => {
        const unique = [...new Map(keys.map((key) => [JSON.stringify(key), key])).values()]
        await pair.both(`TRUNCATE ${name(table)}`)
        for (const [i, key] of unique.entries()) {
          await pair.source.sql(`INSERT INTO ${name(table)} (${c}, ${a}, ${b}) VALUES ($1, $2, $3)`, [
            String(i),
            ...key,
          ])
        }
        await using api = await startRestApi(pair.source, { maxRows: 3 })
        await pair.run(POLICIES, { sourceUrl: api.place() })
        await expectSameTable(pair.source, pair.target, table)
        await pair.target.sql(
          `UPDATE ${name(table)} SET ${c} = -1 WHERE ${c} % 2 = 0; DELETE FROM ${name(table)} WHERE ${c} % 3 = 0`,
        )
        await pair.run(POLICIES, { sourceUrl: api.place() })
        await expectSameTable(pair.source, pair.target, table)
      },
    ),
    { numRuns: 5, seed: printedSeed() },
  )
})

test('a project that was never prepared is asked what a job has written, and knows nothing', async () => {
  await using db = await createDatabase(server)
  await fill(db, 1)
  await using api = await startRestApi(db)
  const { signal } = new AbortController()
  await using adapter = await openDatabase(api.place(), { write: null, signal })
  expect(await adapter.committedBy('job')).toBeNull()
})
