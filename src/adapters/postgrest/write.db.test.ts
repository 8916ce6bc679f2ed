/** Writing over REST: rows, counters and the epoch stand together, whatever is lost, repeated, refused or moved. */
import fc from 'fast-check'
import { expect, test } from 'vitest'

import type { Adapter, Claim } from '#adapters/adapter.ts'
import { openDatabase, projectScript } from '#adapters/registry.ts'
import type { DescribedDatabase } from '#adapters/registry.ts'
import type { WrittenBatch } from '#sync/history.ts'
import type { SyncConfig } from '#model/sync-config.ts'

import { expectSameTable, type Database } from '#test/harness/database.ts'
import { permitWrite } from '#test/harness/permit.ts'
import { eachServer, sharedServers, type TestServer } from '#test/harness/postgres.ts'
import {
  prepareProject,
  startRestApi,
  startWritableApi,
  tokenOf,
  type Fault,
  type RestApi,
} from '#test/harness/postgrest.ts'
import { printedSeed } from '#test/harness/seed.ts'
import { createPair, mapping, MIRROR, wroteNothing, type Pair, type RunHooks } from '#test/harness/sync.ts'

const { source: first, target: second } = sharedServers()
const servers = eachServer().map((server) => [server.major, server] as const)
const POLICIES: Partial<SyncConfig> = {
  ...MIRROR,
  maxOverwritePercent: 100,
  maxDeletePercent: 100,
  verifyAfter: 'full',
}
const TABLE = 'CREATE TABLE t (id int PRIMARY KEY, v text, n numeric(12,3))'

function into(api: RestApi): RunHooks {
  return { targetUrl: api.place(), writesTarget: true }
}

/** A pair whose tables are there on both sides, and the API over its target. */
async function withApi(
  tables: string,
  use: (pair: Pair, api: RestApi) => Promise<void>,
  of: readonly [TestServer, TestServer] = [first, second],
): Promise<void> {
  await using pair = await createPair(...of)
  await pair.both(tables)
  await using api = await startWritableApi(pair.target)
  await use(pair, api)
}

function fill(db: Database, rows: number): Promise<unknown> {
  return db.sql(`INSERT INTO t SELECT n, md5(n::text), n / 8.0 FROM generate_series(1, ${rows}) n`)
}

test.each(servers)(
  'A table arrives over REST, follows what becomes of it, and is proved equal (PostgreSQL %i)',
  async (_major, server) => {
    await withApi(
      TABLE,
      async (pair, api) => {
        await fill(pair.source, 5_000)
        const loaded = await pair.run(POLICIES, into(api))
        expect(loaded).toMatchObject({
          completeness: 'bounded',
          counts: { inserted: 5_000, rejected: 0 },
          tables: [{ bulkLoaded: false, verification: { mode: 'full', rows: 5_000, changedSince: 0 } }],
          notes: [expect.stringContaining('takes effect once')],
        })
        await expectSameTable(pair.source, pair.target, 't')
        expect(wroteNothing(await pair.run(POLICIES, into(api)))).toBe(true)
        await pair.source.sql(`UPDATE t SET v = upper(v), n = NULL WHERE id % 1000 = 7`)
        await pair.source.sql('DELETE FROM t WHERE id BETWEEN 2000 AND 2009')
        await pair.source.sql(`INSERT INTO t VALUES (-5, E'tab\\t "quoted" \\\\ \\n 😀', 1.5), (-6, '', NULL)`)
        const receipt = await pair.run(POLICIES, into(api))
        expect(receipt).toMatchObject({ counts: { inserted: 2, updated: 4, deleted: 10 } })
        await expectSameTable(pair.source, pair.target, 't')
        for (const detectionStrategy of ['full', 'content'] as const) {
          expect(wroteNothing(await pair.run({ ...POLICIES, detectionStrategy }, into(api)))).toBe(true)
        }
      },
      [server, server],
    )
  },
)

test('B4, invariant 3: rows that the project refuses are set aside with its reason, and the others arrive', async () => {
  await using pair = await createPair(first, second)
  await pair.source.sql('CREATE TABLE t (id int PRIMARY KEY, v text NOT NULL)')
  await pair.target.sql(`CREATE TABLE t (id int PRIMARY KEY, v varchar(12) NOT NULL UNIQUE CHECK (v <> 'forbidden'))`)
  await pair.source.sql(`INSERT INTO t SELECT n, 'v' || n FROM generate_series(1, 400) n;
    UPDATE t SET v = 'forbidden' WHERE id = 17; UPDATE t SET v = 'v5' WHERE id = 300`)
  await pair.target.sql(`INSERT INTO t VALUES (1000, 'v250')`)
  await using api = await startWritableApi(pair.target)
  const receipt = await pair.run({ ...POLICIES, deletePolicy: 'ignore' }, into(api))
  expect(receipt).toMatchObject({ counts: { inserted: 397, rejected: 3 } })
  const rejected = receipt.tables[0]?.rejections.map(({ key, code }) => [key[0], code])
  expect(rejected?.toSorted()).toEqual([
    ['17', '23514'],
    ['250', '23505'],
    ['300', '23505'],
  ])
})

test('D2: children follow their parents, also in one table, and a cascade takes no row that nobody decided on', async () => {
  const tables = `CREATE TABLE parent (id int PRIMARY KEY, above int REFERENCES parent);
    CREATE TABLE child (id int PRIMARY KEY, parent int NOT NULL REFERENCES parent ON DELETE CASCADE)`
  await withApi(tables, async (pair, api) => {
    await pair.source.sql(`INSERT INTO parent SELECT n, nullif(n - 1, 0) FROM generate_series(1, 300) n;
      INSERT INTO child SELECT n, n FROM generate_series(1, 300) n`)
    await pair.run(POLICIES, into(api))
    await expectSameTable(pair.source, pair.target, 'child')
    await expectSameTable(pair.source, pair.target, 'parent')
    await pair.source.sql('DELETE FROM child WHERE id > 290; DELETE FROM parent WHERE id > 290')
    await pair.target.sql('INSERT INTO child VALUES (5000, 300)')
    const alone = await pair.run({ ...POLICIES, tables: [mapping('parent')] }, into(api))
    expect(alone).toMatchObject({ counts: { rejected: 10, deleted: 0 } })
    expect(await pair.target.sql('SELECT count(*) FROM child')).toEqual([['301']])
    expect(await pair.run(POLICIES, into(api))).toMatchObject({ counts: { deleted: 21, rejected: 0 } })
    await expectSameTable(pair.source, pair.target, 'parent')
  })
})

test('D4: rows in a ring of tables are written in one call', async () => {
  const tables = `CREATE TABLE a (id int PRIMARY KEY, b int NOT NULL); CREATE TABLE b (id int PRIMARY KEY, a int NOT NULL);
    ALTER TABLE a ADD FOREIGN KEY (b) REFERENCES b DEFERRABLE; ALTER TABLE b ADD FOREIGN KEY (a) REFERENCES a DEFERRABLE`
  await withApi(tables, async (pair, api) => {
    await pair.source.sql(`BEGIN; SET CONSTRAINTS ALL DEFERRED; INSERT INTO a SELECT n, n FROM generate_series(1, 50) n;
      INSERT INTO b SELECT n, n FROM generate_series(1, 50) n; COMMIT`)
    expect(await pair.run(POLICIES, into(api))).toMatchObject({ counts: { inserted: 100, rejected: 0 } })
    await expectSameTable(pair.source, pair.target, 'a')
    await expectSameTable(pair.source, pair.target, 'b')
  })
})

test('D4: rows that exchange a unique value are set aside, and the others arrive', async () => {
  await withApi('CREATE TABLE t (id int PRIMARY KEY, v text UNIQUE)', async (pair, api) => {
    await pair.both(`INSERT INTO t VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd')`)
    await pair.source.sql(`BEGIN; UPDATE t SET v = 'x' WHERE id = 1; UPDATE t SET v = 'a' WHERE id = 2;
      UPDATE t SET v = 'b' WHERE id = 1; UPDATE t SET v = 'e' WHERE id = 4; UPDATE t SET v = 'd' WHERE id = 3; COMMIT`)
    const receipt = await pair.run(POLICIES, into(api))
    expect(receipt).toMatchObject({ counts: { updated: 2, rejected: 2 } })
    expect(await pair.target.sql('SELECT string_agg(v, $$ $$ ORDER BY id) FROM t')).toEqual([['a b d e']])
  })
})

test('a table without a key of its own is written under the declared one', async () => {
  await using pair = await createPair(first, second)
  await pair.source.sql(TABLE)
  await pair.target.sql('CREATE TABLE t (id int NOT NULL, v text, n numeric(12,3))')
  await fill(pair.source, 300)
  await pair.target.sql(`INSERT INTO t SELECT n, 'old' FROM generate_series(200, 400) n`)
  await using api = await startWritableApi(pair.target)
  const config = { ...POLICIES, tables: [mapping('t', { key: ['id'] })] }
  expect(await pair.run(config, into(api))).toMatchObject({ counts: { inserted: 199, updated: 101, deleted: 100 } })
  await expectSameTable(pair.source, pair.target, 't')
})

test('D1, D6: generated columns and identities are the target’s own, and sequences go on behind what came', async () => {
  const tables = `CREATE TABLE t (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, v int,
    twice int GENERATED ALWAYS AS (v * 2) STORED)`
  await withApi(tables, async (pair, api) => {
    await pair.source.sql('INSERT INTO t (v) SELECT n FROM generate_series(1, 500) n')
    expect(await pair.run(POLICIES, into(api))).toMatchObject({ counts: { inserted: 500 }, sequencesAdvanced: 1 })
    expect(await pair.target.sql('INSERT INTO t (v) VALUES (7) RETURNING id, twice')).toEqual([['501', '14']])
    await pair.target.sql('REVOKE UPDATE ON SEQUENCE t_id_seq FROM service_role')
    await expect(pair.run(POLICIES, into(api))).rejects.toMatchObject({
      code: 'missing_privilege',
      hint: expect.stringContaining('GRANT SELECT, UPDATE ON SEQUENCE public.t_id_seq'),
    })
  })
})

const LOST: readonly [string, Fault][] = [
  ['whose answer is cut off', { cutAfter: 3 }],
  ['whose answer never begins', { cutAfter: 0 }],
  ['that a gateway answers in the place of the server', { status: 502 }],
  ['that is to wait', { status: 429, headers: { 'retry-after': '0' } }],
]

test.each(LOST)('B3, invariant 2: a batch %s is written once', async (_name, fault) => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 3_000)
    await fill(pair.target, 1_000)
    await pair.target.sql(
      `UPDATE t SET v = 'other' WHERE id % 3 = 0; INSERT INTO t SELECT -n FROM generate_series(1, 50) n`,
    )
    let writes = 0
    api.fault = (_number, { url }) => (url.includes('syncline_write') && (writes += 1) % 2 === 1 ? fault : null)
    const receipt = await pair.run({ ...POLICIES, batchSize: 200 }, into(api))
    expect(receipt).toMatchObject({ counts: { inserted: 2_000, updated: 333, deleted: 50 } })
    expect(writes).toBeGreaterThan(20)
    await expectSameTable(pair.source, pair.target, 't')
  })
})

test('B3: answers of every call are lost at random places, and what is counted is what was written', async () => {
  const seed = printedSeed()
  await fc.assert(
    fc.asyncProperty(fc.array(fc.integer({ min: 1, max: 30 }), { maxLength: 12 }), async (lost) => {
      await withApi(TABLE, async (pair, api) => {
        await fill(pair.source, 600)
        await pair.target.sql(`INSERT INTO t SELECT n, 'old' FROM generate_series(400, 900) n`)
        let calls = 0
        api.fault = (_number, { method }) =>
          method === 'POST' && lost.includes((calls += 1)) ? { cutAfter: calls % 2 } : null
        const receipt = await pair.run({ ...POLICIES, batchSize: 100 }, into(api))
        expect(receipt).toMatchObject({ counts: { inserted: 399, updated: 201, deleted: 300 } })
        const [state] = await pair.target.sql('SELECT inserted, updated, deleted, phase FROM syncline.state')
        expect(state).toEqual(['399', '201', '300', 'done'])
        await expectSameTable(pair.source, pair.target, 't')
      })
    }),
    { seed, numRuns: 8 },
  )
})

test('invariant 9: a row that moves after it was compared is decided again, and never overwritten unseen', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 400)
    await fill(pair.target, 400)
    await pair.target.sql(`UPDATE t SET v = 'old'; DELETE FROM t WHERE id = 10`)
    const told: WrittenBatch[] = []
    const history = {
      level: 'keys' as const,
      keep: (batch: WrittenBatch) => Promise.resolve(void told.push(batch)),
      begin: () => Promise.resolve(),
      loaded: () => Promise.resolve(),
    }
    let moved = false
    const hooks: RunHooks = {
      ...into(api),
      history,
      beforeBatch: async () => {
        if (moved) return
        moved = true
        await pair.target.sql(`UPDATE t SET v = 'edited' WHERE id = 5; DELETE FROM t WHERE id = 6;
          INSERT INTO t VALUES (10, 'by hand', 1); UPDATE t s SET v = md5(id::text) WHERE id = 7`)
      },
    }
    const receipt = await pair.run({ ...POLICIES, batchSize: 1_000 }, hooks)
    // Row 7 came into step by itself; 5 and 10 were compared again before they were overwritten, 6 is new.
    expect(receipt).toMatchObject({ counts: { inserted: 1, updated: 398, unchanged: 1, conflicted: 0 } })
    await expectSameTable(pair.source, pair.target, 't')
    // What was told last of each number is what was committed.
    const last = new Map(told.map((batch) => [batch.batch, batch.changes.length]))
    const batches = await pair.target.sql('SELECT batch, inserted + updated + deleted FROM syncline.batch ORDER BY 1')
    expect([...last].map(([batch, changes]) => [String(batch), String(changes)])).toEqual(batches)
  })
})

test('invariant 9: a row that somebody edits while the batch is written is seen by the batch', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 50)
    await fill(pair.target, 50)
    await pair.target.sql(`UPDATE t SET v = 'old'`)
    await using editor = await pair.target.connect()
    await editor.query(`BEGIN; UPDATE t SET n = -1, v = 'edited meanwhile' WHERE id = 20`)
    const written = Promise.withResolvers<void>()
    const committed = written.promise.then(() => waitsForLock(pair.target)).then(() => editor.query('COMMIT'))
    api.fault = (_number, { url }) => {
      if (url.includes('syncline_write')) written.resolve()
      return null
    }
    const [receipt] = await Promise.all([pair.run({ ...POLICIES }, into(api)), committed])
    expect(receipt).toMatchObject({ counts: { updated: 50 } })
    await expectSameTable(pair.source, pair.target, 't')
    expect(api.seen.filter(({ url }) => url.includes('syncline_write')).length).toBeGreaterThan(2)
  })
})

async function waitsForLock(db: Database): Promise<void> {
  for (;;) {
    const [row] = await db.sql(
      `SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()`,
    )
    if (row?.[0] !== '0') return
  }
}

test('invariant 8: a run that was overtaken writes nothing any more', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 500)
    let overtaken = false
    const hooks: RunHooks = {
      ...into(api),
      beforeBatch: async (batch) => {
        if (batch !== 3 || overtaken) return
        overtaken = true
        await pair.run({ ...POLICIES, batchSize: 100 }, into(api))
        await pair.target.sql('DELETE FROM t WHERE id > 250')
      },
    }
    await expect(pair.run({ ...POLICIES, batchSize: 100 }, hooks)).rejects.toMatchObject({ code: 'stale_epoch' })
    expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['250']])
  })
})

test('D10: a table that is altered between two batches is looked at again, and nothing is written that does not fit', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 600)
    const alter = (sql: string): RunHooks => ({
      ...into(api),
      beforeBatch: async (batch) => {
        if (batch === 2) await pair.target.sql(sql)
      },
    })
    const policies = { ...POLICIES, batchSize: 200 }
    await pair.run(policies, alter(`ALTER TABLE t ADD COLUMN more text; NOTIFY pgrst, 'reload schema'`))
    await expectSameTable(pair.source, pair.target, 't', { columns: ['id', 'v', 'n'] })
    await pair.target.sql('DELETE FROM t')
    await expect(pair.run(policies, alter('ALTER TABLE t ALTER n TYPE numeric(5,1)'))).rejects.toMatchObject({
      code: 'schema_changed',
    })
    expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['200']])
  })
})

test('a project is refused as a target until it is prepared, and by whom it must be', async () => {
  await using pair = await createPair(first, second)
  await pair.both(TABLE)
  await fill(pair.source, 10)
  await using api = await startRestApi(pair.target)
  await expect(pair.run(POLICIES, into(api))).rejects.toMatchObject({
    code: 'rest_not_prepared',
    hint: expect.stringContaining('syncline datasources prepare'),
  })
  await prepareProject(pair.target)
  // It may be run again.
  await prepareProject(pair.target)
  expect(await pair.run(POLICIES, into(api))).toMatchObject({ counts: { inserted: 10 } })
  await pair.target.sql(`CREATE OR REPLACE FUNCTION syncline_about(request json) RETURNS json LANGUAGE sql AS
    $$ SELECT json_build_object('functions', 0, 'state', 4, 'server', '150000') $$`)
  await expect(pair.run(POLICIES, into(api))).rejects.toMatchObject({ code: 'rest_not_prepared' })
  await prepareProject(pair.target)
  await pair.target.sql('UPDATE syncline.meta SET version = 99')
  await expect(pair.run(POLICIES, into(api))).rejects.toMatchObject({ code: 'state_too_new' })
})

test('S25: nobody but the service role may call the functions, and they take no SQL', async () => {
  await withApi(TABLE, async (pair, api) => {
    await pair.target.sql(`CREATE TABLE "t""; DROP TABLE t; --" (id int PRIMARY KEY, "a'b""c" text)`)
    await pair.source.sql(`CREATE TABLE "t""; DROP TABLE t; --" (id int PRIMARY KEY, "a'b""c" text);
      INSERT INTO "t""; DROP TABLE t; --" VALUES (1, $$'; DROP TABLE t; --$$)`)
    await pair.target.sql('GRANT ALL ON ALL TABLES IN SCHEMA public TO service_role')
    await pair.run(POLICIES, into(api))
    await expectSameTable(pair.source, pair.target, 't"; DROP TABLE t; --')
    const functions = [...projectScript('public').matchAll(/CREATE OR REPLACE FUNCTION "public"\.(\w+)/g)]
    expect(functions.length).toBeGreaterThan(5)
    for (const [, name = ''] of functions) {
      const answer = await fetch(`${api.url}/rest/v1/rpc/${name}`, {
        method: 'POST',
        headers: { apikey: tokenOf('anon'), authorization: `Bearer ${tokenOf('anon')}` },
        body: '{"request":{}}',
      })
      expect([answer.status, ((await answer.json()) as { code: string }).code], name).toEqual([403, '42501'])
    }
  })
})

test('S24: rights that are missing are told with the next step, and nothing is written', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 10)
    await pair.target.sql('REVOKE UPDATE, DELETE ON t FROM service_role')
    await expect(pair.run(POLICIES, into(api))).rejects.toMatchObject({
      code: 'missing_privilege',
      message: expect.stringContaining('GRANT UPDATE, DELETE ON "public"."t" TO "service_role";'),
    })
    await pair.target.sql('GRANT ALL ON t TO service_role; REVOKE INSERT ON syncline.batch FROM service_role')
    await expect(pair.run(POLICIES, into(api))).rejects.toMatchObject({
      code: 'missing_privilege',
      hint: expect.stringContaining('syncline datasources prepare'),
    })
    const wrong = { ...into(api), targetUrl: api.place({ key: `${tokenOf('service_role')}x` }) }
    await expect(pair.run(POLICIES, wrong)).rejects.toMatchObject({ code: 'authentication_failed' })
    expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['0']])
  })
})

const REFUSED: readonly [string, Partial<SyncConfig>][] = [
  ['two ways', { direction: 'two_way', deletePolicy: 'ignore' }],
  ['deletes of owned rows', { deleteScope: 'owned' }],
  ['a baseline', { baseline: 'fingerprints' }],
  ['the newer row', { conflictStrategy: 'target_wins' }],
]

test.each(REFUSED)('%s are refused before anything is written', async (_name, policies) => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 10)
    const hooks = { ...into(api), twoWays: true }
    await expect(pair.run({ ...POLICIES, ...policies }, hooks)).rejects.toMatchObject({ code: 'not_over_rest' })
    expect(api.seen.some(({ url }) => /syncline_(claim|write)/.test(url))).toBe(false)
  })
})

test('tables that are to be made, and audit images, are refused before anything is written', async () => {
  await using pair = await createPair(first, second)
  await pair.source.sql(TABLE)
  await using api = await startWritableApi(pair.target)
  await expect(pair.run({ ...POLICIES, create: true }, into(api))).rejects.toMatchObject({ code: 'create_failed' })
  await pair.target.sql(TABLE)
  const history = {
    level: 'images' as const,
    keep: () => Promise.resolve(),
    begin: () => Promise.resolve(),
    loaded: () => Promise.resolve(),
  }
  await expect(pair.run(POLICIES, { ...into(api), history })).rejects.toMatchObject({ code: 'not_over_rest' })
})

test('brakes hold over REST, and hold again once they were answered', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 100)
    await fill(pair.target, 1_000)
    const policies = { ...POLICIES, maxDeletePercent: 10 }
    await expect(pair.run(policies, into(api))).rejects.toMatchObject({ code: 'delete_brake' })
    expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['1000']])
    expect(await pair.run({ ...policies, approvedDeletes: 900 }, into(api))).toMatchObject({ counts: { deleted: 900 } })
  })
})

test('a call that takes too long is halved, and a single row that does is told', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 200)
    const timeout = { status: 500, body: '{"code":"57014","message":"canceling statement due to statement timeout"}' }
    const rowsOf = (body: string): number => (body.match(/\["i"/g) ?? []).length
    api.fault = (_number, { url, body }) => (url.includes('syncline_write') && rowsOf(body) > 30 ? timeout : null)
    expect(await pair.run(POLICIES, into(api))).toMatchObject({ counts: { inserted: 200, rejected: 0 } })
    await pair.target.sql('DELETE FROM t')
    api.fault = (_number, { url, body }) => (url.includes('syncline_write') && rowsOf(body) > 0 ? timeout : null)
    await expect(pair.run(POLICIES, into(api))).rejects.toMatchObject({
      code: 'server_unavailable',
      hint: expect.stringContaining('statement_timeout'),
    })
  })
})

test('a value of several megabytes arrives, and a row that no request can hold is set aside', async () => {
  await withApi('CREATE TABLE t (id int PRIMARY KEY, v text)', async (pair, api) => {
    await pair.source.sql(
      `INSERT INTO t VALUES (1, repeat(E'a\\t\\\\é', 600000)), (2, repeat('x', 34000000)), (3, 'short')`,
    )
    const receipt = await pair.run(POLICIES, into(api))
    expect(receipt).toMatchObject({ counts: { inserted: 2, rejected: 1 } })
    expect(await pair.target.sql('SELECT md5(v) FROM t WHERE id = 1')).toEqual(
      await pair.source.sql('SELECT md5(v) FROM t WHERE id = 1'),
    )
  })
})

test('B3: a call that comes late, after another run has begun, writes nothing', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 20)
    const late: { url: string; body: string; headers: Record<string, string> }[] = []
    api.fault = (_number, { url, body, headers }) => {
      if (!url.includes('syncline_write') || late.length > 0) return null
      late.push({
        url,
        body,
        headers: { apikey: String(headers['apikey']), authorization: String(headers.authorization) },
      })
      return { status: 503 }
    }
    await pair.run(POLICIES, into(api))
    const [call] = late
    const again = async (): Promise<unknown> =>
      await (
        await fetch(`${api.url}${call?.url}`, { method: 'POST', headers: call?.headers ?? {}, body: call?.body ?? '' })
      ).json()
    await pair.target.sql('DELETE FROM t')
    expect(await again()).toEqual({ done: true })
    expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['0']])
    await pair.run(POLICIES, into(api))
    await pair.target.sql('DELETE FROM t')
    expect(await again()).toMatchObject({ refused: 'stale epoch' })
    expect(await pair.target.sql('SELECT count(*) FROM t')).toEqual([['0']])
  })
})

test('A run that broke off is gone on with under its own job, and counts each row once', async () => {
  await withApi(TABLE, async (pair, api) => {
    await fill(pair.source, 500)
    const broken: RunHooks = {
      ...into(api),
      beforeBatch: (batch) => (batch === 3 ? Promise.reject(new Error('broken off')) : Promise.resolve()),
    }
    await expect(pair.run({ ...POLICIES, batchSize: 100 }, broken)).rejects.toThrow('broken off')
    const receipt = await pair.run({ ...POLICIES, batchSize: 100 }, into(api))
    expect(receipt).toMatchObject({ counts: { read: 500, inserted: 500, unchanged: 0 } })
    await expectSameTable(pair.source, pair.target, 't')
    const place: DescribedDatabase = api.place()
    const { signal } = new AbortController()
    await using reading: Adapter = await openDatabase(place, { write: null, signal })
    expect(await reading.committedBy(receipt.jobId)).toMatchObject({ inserted: 500 })
    await using writing = await openDatabase(place, { write: permitWrite(place), signal })
    await writing.describe([{ schema: 'public', name: 't' }])
    const claim = { mappingId: 'unknown', jobId: 'job', epoch: 1n } as Claim
    await expect(writing.writer?.startPhase(claim, 'applying')).rejects.toMatchObject({ code: 'stale_epoch' })
  })
})
