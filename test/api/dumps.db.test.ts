import { createHash, randomBytes } from 'node:crypto'
import { mkdirSync, readdirSync, readFileSync, renameSync, rmdirSync, statSync, writeFileSync } from 'node:fs'
import { request as ask } from 'node:http'
import { join } from 'node:path'

import { describe, expect, test } from 'vitest'

import { beginDump, getDump, listDumps } from '#control/dumps.ts'
import { claimNextJob, releaseJob } from '#control/leases.ts'
import { getJob } from '#control/jobs.ts'
import { Store } from '#control/store.ts'
import { DumpDirectory, UNBOUNDED, type FileRoom, type NewFile } from '#dump/directory.ts'
import { drillNewest } from '#jobs/drill-newest.ts'
import { expireDumps, removeDump, sweepDumps, writeDump, type DumpTools } from '#jobs/dumps.ts'
import { startJob, type JobWish } from '#jobs/start-job.ts'
import { must } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import { SYSTEM, type Actor } from '#model/access.ts'

import { testId, type ApiUnderTest } from '#test/harness/api.ts'
import { createDatabase } from '#test/harness/database.ts'
import { dump, isWhole, restoreByPsql, unpack } from '#test/harness/dump.ts'
import { startFaultProxyFor } from '#test/harness/fault-proxy.ts'
import { sharedServers } from '#test/harness/postgres.ts'
import { createStorePlace, STORE_KINDS } from '#test/harness/store.ts'
import { createShop, localUrl } from './dump-shop.ts'

const LEASE_MS = 60_000

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, unknown>>
  readonly body: Buffer
}

/** The API over a socket, for bodies that are streams. */
async function overHttp(
  api: ApiUnderTest,
  {
    secret,
    method,
    path,
    headers = {},
    body = [],
  }: {
    readonly secret: string
    readonly method: string
    readonly path: string
    readonly headers?: Readonly<Record<string, string>>
    readonly body?: readonly Buffer[]
  },
): Promise<Answer> {
  const { port } = new URL(api.app.listeningOrigin)
  const { promise, resolve, reject } = Promise.withResolvers<Answer>()
  const sent = ask(
    { host: '127.0.0.1', port, method, path, headers: { 'x-api-key': secret, ...headers } },
    (response) => {
      const chunks: Buffer[] = []
      response.on('data', (chunk: Buffer) => chunks.push(chunk))
      response.on('error', reject)
      response.on('end', () =>
        resolve({ status: response.statusCode ?? 0, headers: response.headers, body: Buffer.concat(chunks) }),
      )
    },
  )
  sent.on('error', reject)
  for (const chunk of body) sent.write(chunk)
  sent.end()
  return promise
}

function folderOf({ changeSets }: ApiUnderTest): string {
  return join(changeSets.folder, 'dumps')
}

async function keep(tools: DumpTools, origin: 'export' | 'backup', createdAt: string, bytes: number): Promise<string> {
  const draft = {
    origin,
    database: 'shop',
    datasourceId: null,
    writer: null,
    compression: 'none',
    sealed: false,
    createdBy: 'somebody',
    createdAt,
  } as const
  const { id } = await writeDump(tools, { draft, content: 'all', actor: SYSTEM }, async (file) => {
    await file.write(Buffer.alloc(bytes))
    return { head: null, rows: null, sqlBytes: null, notes: [] }
  })
  return id
}

describe.each(STORE_KINDS)('dumps on %s', (kind) => {
  test('an export is a job: its receipt names a dump, which is listed, taken along, restored and deleted', async () => {
    await using shop = await createShop(kind)
    const { api, operator } = shop
    const started = await shop.post('/api/sync/export', { datasource: 'shop', parallel: 2 })
    const id = await shop.work()
    expect(id).toBe(started['job_id'])
    const job = (await api.send(operator, 'GET', `/api/jobs/${id}`)).json<Record<string, unknown>>()
    expect(job).toMatchObject({
      kind: 'export',
      status: 'succeeded',
      progress: { phase: 'done', percent: 100, rows: 500 },
    })
    const { receipt } = (await api.send(operator, 'GET', `/api/jobs/${id}/receipt`)).json<{
      receipt: { dump: { id: string; file: string; sha256: string }; rows: number }
    }>()
    expect(receipt.rows).toBe(500)
    const list = (await api.send(operator, 'GET', '/api/dumps')).json<{ items: unknown[]; total: unknown }>()
    expect(list.items).toEqual([
      expect.objectContaining({
        id: receipt.dump.id,
        origin: 'export',
        rows: 500,
        job_id: id,
        head: expect.objectContaining({ content: 'all', tables: 1 }) as unknown,
      }),
    ])
    expect(receipt.dump.file).toMatch(/^syncline_test_\w+_\d{4}-\d\d-\d\dT\d\d-\d\d-\d\d_all_\w{8}\.sql\.zst$/)
    const file = await overHttp(api, { secret: operator, method: 'GET', path: `/api/dumps/${receipt.dump.id}/file` })
    expect(file.headers['content-length']).toBe(String(file.body.length))
    expect(createHash('sha256').update(file.body).digest('hex')).toBe(receipt.dump.sha256)
    const sql = unpack(file.body, 'zstd')
    expect(isWhole(sql)).toBe(true)
    await using restored = await createDatabase(sharedServers().source)
    await restoreByPsql(restored, sql)
    expect(await restored.sql('SELECT count(*), max(name) FROM item')).toEqual([['500', 'item 99']])
    const gone = await api.send(operator, 'DELETE', `/api/dumps/${receipt.dump.id}`)
    expect(gone.statusCode).toBe(200)
    expect(readdirSync(folderOf(api))).toEqual([])
    expect((await api.send(operator, 'GET', `/api/dumps/${receipt.dump.id}`)).statusCode).toBe(404)
  })

  test('P14: the newest export is tried by itself, once, and what came of it is told with it', async () => {
    await using shop = await createShop(kind)
    const { api } = shop
    const { store } = api
    await api.send(shop.admin, 'PUT', '/api/datasources/shop', {
      body: { name: 'shop', url: localUrl(shop.db), writable: true },
    })
    for (const _ of ['an older one', 'the newest']) {
      await shop.post('/api/sync/export', { datasource: 'shop' })
      await shop.work()
    }
    const begin = (wish: JobWish, actor: Actor) =>
      startJob({ store, rules: { protectedEnvironments: [] }, newJobId: () => testId('job') }, wish, actor)
    const plan = { into: 'shop', trusted: true }
    const [started, ...others] = await drillNewest(store, plan, begin)
    expect(others).toEqual([])
    expect(await drillNewest(store, plan, begin)).toEqual([])
    const id = await shop.work()
    expect(started).toEqual({ dump: expect.any(String) as unknown, jobId: id })
    expect(await getJob(store, id)).toMatchObject({ status: 'succeeded', result: { works: true, rows: 500 } })
    const { items } = (await api.send(shop.operator, 'GET', '/api/dumps')).json<{ items: Record<string, unknown>[] }>()
    expect(items.map(({ drill }) => drill)).toEqual([expect.objectContaining({ works: true, job_id: id }), null])
    expect(await drillNewest(store, plan, begin)).toEqual([])
  })

  test('D14: a file that was altered on the disk does not work: the trial fails, and the dump says so', async () => {
    await using shop = await createShop(kind)
    const { api } = shop
    await api.send(shop.admin, 'PUT', '/api/datasources/shop', {
      body: { name: 'shop', url: localUrl(shop.db), writable: true },
    })
    await shop.post('/api/sync/export', { datasource: 'shop', compression: 'none' })
    await shop.work()
    const { items } = (await api.send(shop.operator, 'GET', '/api/dumps')).json<{
      items: { id: string; file: string }[]
    }>()
    const { id: dumpId, file } = must(items[0], 'the dump')
    const path = join(folderOf(api), file)
    writeFileSync(path, readFileSync(path, 'utf8').replace('item 77', 'item 78'))
    const refused = await api.send(shop.operator, 'POST', `/api/dumps/${dumpId}/drill`, {
      body: { into: 'shop', trust_file: true },
    })
    expect(refused.statusCode).toBe(403)
    await api.send(shop.admin, 'POST', `/api/dumps/${dumpId}/drill`, { body: { into: 'shop', trust_file: true } })
    const job = await shop.work()
    expect(await getJob(api.store, job)).toMatchObject({ status: 'failed', error: { code: 'drill_failed' } })
    const shown = (await api.send(shop.operator, 'GET', `/api/dumps/${dumpId}`)).json<Record<string, unknown>>()
    expect(shown['drill']).toMatchObject({ works: false, faults: [expect.stringMatching(/digest is another/)] })
    expect(await shop.db.sql(`SELECT count(*) FROM pg_database WHERE datname = 'syncline_drill_${job}'`)).toEqual([
      ['0'],
    ])
  })

  test('the same export twice at once is one, another one is another', async () => {
    await using shop = await createShop(kind)
    await shop.post('/api/sync/export', { datasource: 'shop' })
    const again = await shop.api.send(shop.operator, 'POST', '/api/sync/export', { body: { datasource: 'shop' } })
    expect(again.statusCode).toBe(409)
    await shop.post('/api/sync/export', { datasource: 'shop', content: 'schema' })
  })

  test('an export that fails leaves no file and no entry, and says why', async () => {
    await using shop = await createShop(kind)
    await shop.post('/api/sync/export', { datasource: 'shop', tables: ['nowhere.*'] })
    const id = await shop.work()
    expect(await getJob(shop.api.store, id)).toMatchObject({ status: 'failed', error: { code: 'table_not_found' } })
    expect(readdirSync(folderOf(shop.api))).toEqual([])
    expect(await shop.api.store.db.selectFrom('dump').selectAll().execute()).toEqual([])
  })

  test('an upload goes by as a stream, and is known by its head', async () => {
    await using shop = await createShop(kind)
    const { api, operator } = shop
    const { packed, head } = await dump(shop.db, { style: 'insert' })
    const headers = { 'content-type': 'application/octet-stream' }
    const half = Math.floor(packed.length / 2)
    const body = [packed.subarray(0, half), packed.subarray(half)]
    const sent = await overHttp(api, { secret: operator, method: 'POST', path: '/api/dumps', headers, body })
    expect(sent.status, sent.body.toString()).toBe(201)
    const made = JSON.parse(sent.body.toString()) as Record<string, unknown>
    expect(made).toMatchObject({
      origin: 'upload',
      database: head.database,
      compression: 'zstd',
      bytes: packed.length,
      head: { style: 'insert', made_at: head.madeAt },
    })
    const back = await overHttp(api, { secret: operator, method: 'GET', path: `/api/dumps/${String(made['id'])}/file` })
    expect(back.body.equals(packed)).toBe(true)
    const scoped = (await api.key('operator', [shop.datasource])).secret
    expect((await api.send(scoped, 'GET', `/api/dumps/${String(made['id'])}`)).statusCode).toBe(404)
    const foreign = await overHttp(api, { secret: scoped, method: 'POST', path: '/api/dumps', headers, body })
    expect(foreign.status).toBe(403)
    const noise = [randomBytes(1000)]
    const other = await overHttp(api, { secret: operator, method: 'POST', path: '/api/dumps', headers, body: noise })
    expect(JSON.parse(other.body.toString())).toMatchObject({ head: null, database: null, compression: 'none' })
    const empty = await overHttp(api, { secret: operator, method: 'POST', path: '/api/dumps', headers })
    expect([400, 422]).toContain(empty.status)
  })

  test('S40: all dumps together have no more bytes than they may; the oldest go, and backups of this week stay', async () => {
    await using shop = await createShop(kind, { DUMP_MAX_BYTES: '3000' })
    const { api } = shop
    const [old, backup, young] = [
      await keep(api.dumps, 'export', '2026-01-01T00:00:00.000Z', 1000),
      await keep(api.dumps, 'backup', systemClock.now(), 1000),
      await keep(api.dumps, 'export', systemClock.now(), 1000),
    ]
    await expect(keep(api.dumps, 'export', systemClock.now(), 1000)).rejects.toMatchObject({ code: 'dump_space' })
    const bounded = (mostBytes: number): DumpTools => ({
      ...api.dumps,
      limits: async () => ({ maxAgeMs: 86_400_000, mostBytes, freeBytes: 0 }),
    })
    expect(await expireDumps(bounded(3000))).toBe(1)
    expect(await expireDumps(bounded(500))).toBe(1)
    const left = await api.store.db.selectFrom('dump').select('id').execute()
    expect(left.map(({ id }) => id)).toEqual([backup])
    expect([old, young]).not.toContain(backup)
  })

  test('S40: a disk that is nearly full takes no dump', async () => {
    await using shop = await createShop(kind, { DUMP_FREE_BYTES: String(Number.MAX_SAFE_INTEGER) })
    await expect(keep(shop.api.dumps, 'export', systemClock.now(), 10)).rejects.toMatchObject({ code: 'dump_space' })
    expect(readdirSync(folderOf(shop.api))).toEqual([])
  })

  test('S40: what somebody sets holds at once: for how long dumps are kept, in how much room, and what stays free', async () => {
    await using shop = await createShop(kind)
    const { api, admin } = shop
    const { dumps } = api
    const set = async (body: object) => {
      const answer = await api.send(admin, 'PUT', '/api/settings/retention', { body })
      expect(answer.statusCode, answer.body).toBe(200)
    }
    await set({ dumps_bytes: 1500 })
    const old = await keep(dumps, 'export', '2026-01-01T00:00:00.000Z', 1000)
    await expect(keep(dumps, 'export', systemClock.now(), 1000)).rejects.toMatchObject({ code: 'dump_space' })
    const list = (await api.send(admin, 'GET', '/api/dumps?search=SHOP_')).json<{ items: unknown[]; total: unknown }>()
    expect(list).toMatchObject({ items: [{ id: old }], total: { dumps: 1, bytes: 1000, most_bytes: 1500 } })
    expect((await api.send(admin, 'GET', '/api/dumps?search=nowhere')).json()).toMatchObject({ items: [] })
    await set({ dumps_days: 36_500 })
    const young = await keep(dumps, 'export', systemClock.now(), 1000)
    expect(await expireDumps(dumps)).toBe(0)
    await set({ dumps_days: 1 })
    expect(await expireDumps(dumps)).toBe(1)
    expect(await api.store.db.selectFrom('dump').select('id').execute()).toEqual([{ id: young }])
  })

  test('S9: a key that is bound to datasources sees what was done with their dumps, also of those that are gone', async () => {
    await using shop = await createShop(kind)
    const { api, operator } = shop
    await shop.post('/api/sync/export', { datasource: 'shop' })
    const job = await shop.work()
    const [dump] = (await api.send(operator, 'GET', '/api/dumps')).json<{ items: { id: string }[] }>().items
    const id = must(dump, 'the dump').id
    await overHttp(api, { secret: operator, method: 'GET', path: `/api/dumps/${id}/file` })
    const actions = async (secret: string, query: string): Promise<readonly string[]> =>
      (await api.send(secret, 'GET', `/api/audit?sort=seq&action=dump&${query}`))
        .json<{ items: { action: string }[] }>()
        .items.map(({ action }) => action)
    const theirs = (await api.key('viewer', [shop.datasource])).secret
    const others = (await api.key('viewer', ['ds_other'])).secret
    const none = (await api.key('viewer', [])).secret
    const seen = async (secret: string): Promise<number> =>
      (await api.send(secret, 'GET', '/api/dumps')).json<{ total: { dumps: number } }>().total.dumps
    await keep(api.dumps, 'export', systemClock.now(), 10)
    expect([await seen(operator), await seen(theirs), await seen(others), await seen(none)]).toEqual([2, 1, 0, 0])
    expect(await actions(theirs, `job=${job}`)).toEqual(['dump.create', 'dump.download'])
    await api.send(operator, 'DELETE', `/api/dumps/${id}`)
    expect(await actions(operator, '')).toEqual(['dump.create', 'dump.download', 'dump.create', 'dump.delete'])
    expect(await actions(theirs, '')).toEqual(['dump.create', 'dump.download', 'dump.delete'])
    expect(await actions(theirs, 'datasource=shop')).toEqual(['dump.create', 'dump.download', 'dump.delete'])
    expect(await actions(others, '')).toEqual([])
  })

  test('S41: files are for their owner alone', async () => {
    await using shop = await createShop(kind)
    await keep(shop.api.dumps, 'export', systemClock.now(), 10)
    const folder = folderOf(shop.api)
    expect(statSync(folder).mode & 0o777).toBe(0o700)
    for (const name of readdirSync(folder)) expect(statSync(join(folder, name)).mode & 0o777, name).toBe(0o600)
  })

  test('S38: no name leads out of the directory', async () => {
    await using shop = await createShop(kind)
    const directory = new DumpDirectory(folderOf(shop.api))
    for (const name of ['../x', '..', '.hidden', 'a/b', '/etc/passwd', 'a\0b', '', 'x'.repeat(300)]) {
      await expect(directory.open(name), name).rejects.toThrow('a name that we do not make')
      await expect(directory.create(name, UNBOUNDED), name).rejects.toThrow('a name that we do not make')
    }
    for (const id of ['..%2f..%2fetc%2fpasswd', '%2e%2e', 'dmp_%00']) {
      const answer = await shop.api.send(shop.admin, 'GET', `/api/dumps/${id}/file`)
      expect([400, 404]).toContain(answer.statusCode)
    }
  })

  test('S40: what is left of a dump whose deletion was interrupted is swept, and nobody sees it meanwhile', async () => {
    await using shop = await createShop(kind)
    const { api } = shop
    const id = await keep(api.dumps, 'export', '2026-01-01T00:00:00.000Z', 10)
    const { file } = await getDump(api.store, id)
    const path = join(folderOf(api), file)
    // What cannot be removed as a file stands in for a process that ends before it does.
    renameSync(path, `${path}.aside`)
    mkdirSync(path)
    await expect(removeDump(api.dumps, id, { actor: SYSTEM, action: 'dump.delete' })).rejects.toThrow(/directory/i)
    rmdirSync(path)
    renameSync(`${path}.aside`, path)
    expect((await api.send(shop.operator, 'GET', `/api/dumps/${id}`)).statusCode).toBe(404)
    expect(await sweepDumps(api.dumps)).toBe(1)
    expect(readdirSync(folderOf(api))).toEqual([])
    expect(await api.store.db.selectFrom('dump').selectAll().execute()).toEqual([])
  })

  test('S40: what a process left in the middle is swept: by the next one of its job, or once nobody writes it', async () => {
    await using shop = await createShop(kind)
    const { api } = shop
    const { store } = api
    await shop.post('/api/sync/export', { datasource: 'shop' })
    const owner = 'a process that dies'
    const { id, epoch } = must(await claimNextJob(store, { owner, leaseMs: LEASE_MS }), 'a queued job')
    const file = 'shop_half.sql'
    const draft = {
      id: testId('dump'),
      file,
      origin: 'export',
      database: 'shop',
      datasourceId: shop.datasource,
      writer: { jobId: id, epoch },
      compression: 'none',
      sealed: false,
      createdBy: 'somebody',
      createdAt: '2026-01-01T00:00:00.000Z',
    } as const
    await beginDump(store, draft)
    const half = await api.dumps.directory.create(file, UNBOUNDED)
    await half.write(Buffer.from('half'))
    expect(readdirSync(folderOf(api))).toEqual([`${file}.part`])
    expect(await sweepDumps(api.dumps)).toBe(0)
    await releaseJob(store, { jobId: id, owner, epoch }, { death: 'killed' })
    expect(await shop.work()).toBe(id)
    expect(readdirSync(folderOf(api)).filter((name) => name.startsWith('shop_half'))).toEqual([])
    expect(await getJob(store, id)).toMatchObject({ status: 'succeeded' })
    // It wakes up, and gives no file its name.
    await expect(half.complete()).rejects.toThrow('ENOENT')
    await half[Symbol.asyncDispose]()
    expect(readdirSync(folderOf(api)).filter((name) => name.startsWith('shop_half'))).toEqual([])
  })
})

test('B3: a dump whose completion the store committed without an answer is there, with its file', async () => {
  await using shop = await createShop('sqlite')
  await using place = await createStorePlace('postgres')
  if (!('url' in place.location)) throw new Error('a store on a server')
  await using proxy = await startFaultProxyFor(place.location.url)
  const url = proxy.url(place.location.url)
  await using store = await Store.open({ url }, { clock: systemClock, migrate: true })
  // The space is asked for once more when all bytes are there: the COMMIT after that is the one that completes the dump.
  class Cutting extends DumpDirectory {
    override create(name: string, { freeBytes, grow }: FileRoom): Promise<NewFile> {
      return super.create(name, {
        freeBytes,
        grow: async (bytes) => {
          await grow(bytes)
          await proxy.faults.set({ dropCommitReply: 1 }, { live: true })
        },
      })
    }
  }
  const directory = new Cutting(folderOf(shop.api))
  const tools = { ...shop.api.dumps, store, directory }
  const draft = {
    origin: 'backup',
    database: 'shop',
    datasourceId: null,
    writer: null,
    compression: 'none',
    sealed: false,
    createdBy: 'somebody',
    createdAt: systemClock.now(),
  } as const
  const writing = writeDump(tools, { draft, content: 'all', actor: SYSTEM }, async (file) => {
    await file.write(Buffer.alloc(10))
    return { head: null, rows: null, sqlBytes: null, notes: [] }
  })
  await expect(writing).rejects.toThrow(/connection|reset|terminated/i)
  await proxy.faults.clear()
  expect(proxy.counts.commitRepliesDropped).toBe(1)
  const dumps = await listDumps(store, {}, { sort: 'created_at', descending: true, after: null, limit: 10 })
  expect(dumps).toHaveLength(1)
  await using handle = await tools.directory.open(must(dumps[0], 'the dump').file)
  expect((await handle.stat()).size).toBe(10)
})
