import { execFile } from 'node:child_process'
import { promisify } from 'node:util'

import pg from 'pg'
import { expect, test } from 'vitest'

import { createDatabase, hasPsql, type Database } from './database.ts'
import { startFaultProxy, startFaultProxyFor, type CutKind, type FaultProxy } from './fault-proxy.ts'
import { sharedServers, startPrivateServer } from './postgres.ts'

const run = promisify(execFile)

interface Scene extends AsyncDisposable {
  readonly db: Database
  readonly proxy: FaultProxy
  /** A session by way of the proxy. */
  connect(): Promise<pg.Client>
}

async function openScene(): Promise<Scene> {
  const stack = new AsyncDisposableStack()
  const db = stack.use(await createDatabase(sharedServers().source))
  await db.sql('CREATE TABLE t (id int PRIMARY KEY)')
  const proxy = stack.use(await startFaultProxyFor(db.url))
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: proxy.url(db.url) })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }
  return { db, proxy, connect, [Symbol.asyncDispose]: () => stack.disposeAsync() }
}

/** Whether a promise is still open, judged after the server has surely answered another session. */
async function isPending(promise: Promise<unknown>, db: Database): Promise<boolean> {
  let pending = true
  const settle = (): void => void (pending = false)
  promise.then(settle, settle)
  for (let round = 0; round < 5; round += 1) await db.sql('SELECT pg_sleep(0.02)')
  return pending
}

const ids = async (db: Database): Promise<unknown[]> => (await db.sql('SELECT id FROM t ORDER BY 1')).flat()

const sessions = async (db: Database): Promise<unknown> =>
  (
    await db.sql(`SELECT count(*) FROM pg_stat_activity WHERE datname = $1 AND application_name = ''`, [db.name])
  )[0]?.[0]

test('without faults everything passes, and is counted', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  const { rows } = await client.query<{ text: string }>("SELECT repeat('x', 3000000) AS text")
  expect(rows[0]?.text).toHaveLength(3_000_000)
  await client.query('INSERT INTO t SELECT length($1)', ['y'.repeat(2_000_000)])
  expect(await ids(scene.db)).toEqual(['2000000'])
  expect(scene.proxy.bytes.toClient).toBeGreaterThan(3_000_000)
  expect(scene.proxy.bytes.toServer).toBeGreaterThan(2_000_000)
  expect(scene.proxy).toMatchObject({ live: 1, counts: { accepted: 1, cut: 0, commitRepliesDropped: 0 } })
  await client.end()
  await expect.poll(() => scene.proxy.live).toBe(0)
  await expect.poll(() => sessions(scene.db)).toBe('0')
})

test('latency delays both ways, and does not stretch a stream', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  await scene.proxy.faults.set({ latencyMs: 100 }, { live: true })
  const begin = performance.now()
  await client.query("SELECT repeat('x', 5000000)")
  const elapsed = performance.now() - begin
  expect(elapsed).toBeGreaterThan(199)
  expect(elapsed).toBeLessThan(4000)
  await client.end()
})

test('bandwidth has a ceiling', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  await scene.proxy.faults.set({ bytesPerSecond: 400_000 }, { live: true })
  const begin = performance.now()
  await client.query("SELECT repeat('x', 200000)")
  expect(performance.now() - begin).toBeGreaterThan(440)
  await client.end()
})

test.each<CutKind>(['fin', 'rst'])('a cut by %s comes after the very byte', async (by) => {
  await using scene = await openScene()
  const client = await scene.connect()
  const before = scene.proxy.bytes.toClient
  await scene.proxy.faults.set({ cut: { after: 123_457, direction: 'toClient', by } }, { live: true })
  await expect(client.query("SELECT repeat('x', 1000000)")).rejects.toThrow(/terminated|ECONNRESET/)
  expect(scene.proxy.bytes.toClient - before).toBe(123_457)
  expect(scene.proxy.counts.cut).toBe(1)
  await expect.poll(() => sessions(scene.db)).toBe('0')
  await expect.poll(() => scene.proxy.live).toBe(0)
})

test('a statement that is cut on its way to the server is not executed', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  await scene.proxy.faults.set({ cut: { after: 20, direction: 'toServer', by: 'fin' } }, { live: true })
  await expect(client.query('INSERT INTO t VALUES (1)')).rejects.toThrow(/terminated|ECONNRESET/)
  expect(await ids(scene.db)).toEqual([])
})

test('faults are for the connections to come, unless the open ones are named', async () => {
  await using scene = await openScene()
  const old = await scene.connect()
  await scene.proxy.faults.set({ cut: { after: 0, direction: 'toClient', by: 'rst' } })
  await expect(scene.connect()).rejects.toThrow(/terminated|ECONNRESET/)
  await old.query('SELECT 1')
  await old.end()
})

test('in silence nothing passes and nobody learns, until the network is whole again', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  scene.proxy.cut('silence')
  const insert = client.query('INSERT INTO t VALUES (1)')
  expect(await isPending(insert, scene.db)).toBe(true)
  expect(await ids(scene.db)).toEqual([])
  expect(await sessions(scene.db)).toBe('1')
  await scene.proxy.faults.clear()
  await insert
  expect(await ids(scene.db)).toEqual(['1'])
  await client.end()
})

test('silence after n bytes gives those bytes and holds the rest', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  const before = scene.proxy.bytes.toClient
  await scene.proxy.faults.set({ cut: { after: 5000, direction: 'toClient', by: 'silence' } }, { live: true })
  const query = client.query<{ text: string }>("SELECT repeat('x', 100000) AS text")
  await expect.poll(() => scene.proxy.bytes.toClient - before).toBe(5000)
  expect(await isPending(query, scene.db)).toBe(true)
  expect(scene.proxy.bytes.toClient - before).toBe(5000)
  await scene.proxy.faults.clear()
  expect((await query).rows[0]?.text).toHaveLength(100_000)
  await client.end()
})

test('one-way silence: the server does not hear', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  await scene.proxy.faults.set({ mute: 'toServer' }, { live: true })
  const insert = client.query('INSERT INTO t VALUES (1)')
  expect(await isPending(insert, scene.db)).toBe(true)
  expect(await ids(scene.db)).toEqual([])
  await scene.proxy.faults.clear()
  await insert
  await client.end()
})

test('one-way silence: the server does, and is not heard', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  await scene.proxy.faults.set({ mute: 'toClient' }, { live: true })
  const insert = client.query('INSERT INTO t VALUES (1)')
  await expect.poll(() => ids(scene.db)).toEqual(['1'])
  expect(await isPending(insert, scene.db)).toBe(true)
  await scene.proxy.faults.clear()
  await insert
  await client.end()
})

test('half-open: the server has lost the session, the client does not know', async () => {
  await using scene = await openScene()
  const client = await scene.connect()
  scene.proxy.cut('half-open')
  await expect.poll(() => sessions(scene.db)).toBe('0')
  const query = client.query('SELECT 1')
  expect(await isPending(query, scene.db)).toBe(true)
  await Promise.all([expect(query).rejects.toThrow(/terminated|ECONNRESET/), scene.proxy.faults.clear()])
})

// Not in the driver's declared types.
const EXTENDED = { queryMode: 'extended' }

const COMMITS: Record<string, (client: pg.Client) => Promise<unknown>> = {
  'the simple protocol': (client) => client.query('COMMIT'),
  'the extended protocol': (client) => client.query({ text: 'COMMIT', ...EXTENDED }),
  'a prepared statement': (client) => client.query({ name: 'c', text: 'COMMIT', values: [] }),
  END: (client) => client.query('END'),
  'several statements at once': (client) => client.query('SELECT 1; COMMIT; SELECT 2'),
}

test.each(Object.entries(COMMITS))('a COMMIT whose reply is lost has happened (%s)', async (_name, commit) => {
  await using scene = await openScene()
  const client = await scene.connect()
  await scene.proxy.faults.set({ dropCommitReply: 1 }, { live: true })
  await client.query('BEGIN')
  await client.query('INSERT INTO t VALUES (1)')
  await expect(commit(client)).rejects.toThrow(/terminated|ECONNRESET/)
  expect(await ids(scene.db)).toEqual(['1'])
  expect(scene.proxy.counts).toMatchObject({ cut: 1, commitRepliesDropped: 1 })
})

test('only the COMMIT that is meant is lost, and only a COMMIT', async () => {
  await using scene = await openScene()
  await scene.proxy.faults.set({ dropCommitReply: 2 })
  const client = await scene.connect()
  const { rows } = await client.query("SELECT E'C\\\\x00\\\\x00\\\\x00\\\\x0bCOMMIT' AS text, 'COMMIT'")
  expect(rows).toHaveLength(1)
  await client.query('BEGIN; ROLLBACK')
  await client.query('BEGIN')
  await expect(client.query('SELECT 1/0')).rejects.toThrow('division')
  // Answers ROLLBACK.
  await client.query('COMMIT')
  await client.query('BEGIN; INSERT INTO t VALUES (1); COMMIT')
  await expect(client.query('BEGIN; INSERT INTO t VALUES (2); COMMIT')).rejects.toThrow(/terminated|ECONNRESET/)
  expect(await ids(scene.db)).toEqual(['1', '2'])
})

test('the reply to COMMIT is found in pieces of one byte', async () => {
  await using scene = await openScene()
  await using outer = await startFaultProxy({ target: scene.proxy })
  const client = new pg.Client({ connectionString: outer.url(scene.db.url) })
  client.on('error', () => undefined)
  await client.connect()
  await client.query('BEGIN; INSERT INTO t VALUES (1)')
  await outer.faults.set({ dropCommitReply: 1 }, { live: true })
  await scene.proxy.faults.set({ bytesPerSecond: 39 }, { live: true })
  await expect(client.query('COMMIT')).rejects.toThrow(/terminated|ECONNRESET/)
  expect(outer.counts.commitRepliesDropped).toBe(1)
  expect(await ids(scene.db)).toEqual(['1'])
})

test.runIf(await hasPsql())('psql, which asks for encryption first, loses its COMMIT too', async () => {
  await using scene = await openScene()
  await scene.proxy.faults.set({ dropCommitReply: 1 })
  const args = [
    '-X',
    '-d',
    scene.proxy.url(scene.db.url),
    '-c',
    'BEGIN',
    '-c',
    'INSERT INTO t VALUES (1)',
    '-c',
    'COMMIT',
  ]
  await expect(run('psql', args)).rejects.toThrow('server closed the connection')
  expect(scene.proxy.counts.commitRepliesDropped).toBe(1)
  expect(await ids(scene.db)).toEqual(['1'])
})

test('a refused connection is refused, and the port is the same afterwards', async () => {
  await using scene = await openScene()
  const old = await scene.connect()
  await scene.proxy.faults.set({ connect: 'refuse' })
  await expect(scene.connect()).rejects.toThrow('ECONNREFUSED')
  await old.query('SELECT 1')
  await scene.proxy.faults.clear()
  const client = await scene.connect()
  await Promise.all([old.end(), client.end()])
})

test('a silent host accepts and never answers', async () => {
  await using scene = await openScene()
  await scene.proxy.faults.set({ connect: 'silent' })
  const client = new pg.Client({ connectionString: scene.proxy.url(scene.db.url), connectionTimeoutMillis: 300 })
  client.on('error', () => undefined)
  await expect(client.connect()).rejects.toThrow('timeout')
  expect(scene.proxy.counts.accepted).toBe(1)
  expect(await sessions(scene.db)).toBe('0')
})

test('a server that is down behind the proxy resets, and is reached again when it is back', async () => {
  await using server = await startPrivateServer()
  await using proxy = await startFaultProxyFor(server.url())
  const connect = async (): Promise<pg.Client> => {
    const client = new pg.Client({ connectionString: proxy.url(server.url()) })
    client.on('error', () => undefined)
    await client.connect()
    return client
  }
  const before = await connect()
  await server.kill()
  // The server's own last words may still arrive ("terminating connection …").
  await expect(before.query('SELECT 1')).rejects.toThrow(/terminat(ed|ing)|ECONNRESET|queryable/)
  await expect(connect()).rejects.toThrow(/terminated|ECONNRESET/)
  await server.start()
  const after = await connect()
  await after.query('SELECT 1')
  await after.end()
})

test('a proxy that is disposed of leaves no session behind', async () => {
  await using scene = await openScene()
  {
    await using proxy = await startFaultProxyFor(scene.db.url)
    const client = new pg.Client({ connectionString: proxy.url(scene.db.url) })
    client.on('error', () => undefined)
    await client.connect()
    proxy.cut('silence')
    client.connection.stream.destroy()
    expect(await sessions(scene.db)).toBe('1')
  }
  await expect.poll(() => sessions(scene.db)).toBe('0')
})
