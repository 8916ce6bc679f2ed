/**
 * Servers that restart or crash under a run (RELIABILITY F3). The run never gives up by itself, and what it has said it
 * wrote is there. SYNCLINE_TEST_RESTARTS sets how many rounds there are.
 */
import { setTimeout as pause } from 'node:timers/promises'

import pg from 'pg'
import { expect, test } from 'vitest'

import type { LocalPostgres } from '#service/local-postgres.ts'
import { createDatabase, Database, expectSameTables } from '#test/harness/database.ts'
import { startPrivateServer } from '#test/harness/postgres.ts'
import { expectNoProgramSurvives, killNow, type Exit } from '#test/harness/process.ts'
import { printedSeed } from '#test/harness/seed.ts'

import { Books, expectWhole, finishSync, randomFrom, startSync, untilStopped } from './runs.ts'
import { changeShop, createShop, fillShop, keepLedger, SHOP_TABLES } from './shop.ts'

const ROUNDS = Number(process.env['SYNCLINE_TEST_RESTARTS'] ?? 4)

/** From the end of a restart to the end of a small run. */
const RECOVERY_MS = 40_000

/** Commits that are not waited for stay unwritten long enough to be lost by a crash. */
const SLOW_WRITER = { wal_writer_delay: '10s', synchronous_commit: 'on' }

/** Nobody else commits or flushes either, as autovacuum and the cleaning of buffers would. */
const ALONE = { ...SLOW_WRITER, autovacuum: 'off', bgwriter_lru_maxpages: '0', checkpoint_timeout: '1h' }

expectNoProgramSurvives()

type Event = (ends: Ends) => Promise<unknown>

interface Ends {
  readonly source: LocalPostgres
  readonly target: LocalPostgres
}

/** What may happen to servers. */
const EVENTS: readonly (readonly [name: string, event: Event])[] = [
  ['the target stops as in a crash', ({ target }) => target.restart('immediate')],
  ['the target is killed', ({ target }) => crash(target)],
  ['the source stops as in a crash', ({ source }) => source.restart('immediate')],
  ['the source is killed', ({ source }) => crash(source)],
  ['both are killed', ({ source, target }) => Promise.all([crash(source), crash(target)])],
  ['a backend of the target is killed', ({ target }) => killBackend(target)],
  ['a backend of the source is killed', ({ source }) => killBackend(source)],
  ['the target restarts in order', ({ target }) => target.restart('fast')],
  ['the source restarts in order', ({ source }) => source.restart('fast')],
]

const NOTHING: readonly [string, Event] = ['nothing', () => Promise.resolve()]

test(`${ROUNDS} restarts and crashes at random moments: the same run ends equal, with true counters (F3)`, async () => {
  const random = randomFrom(printedSeed())
  await using sourceServer = await startPrivateServer({ fsync: true })
  await using targetServer = await startPrivateServer({ fsync: true, settings: SLOW_WRITER })
  const servers = { source: sourceServer, target: targetServer }
  let source = await openShop(sourceServer)
  let target = await openShop(targetServer)
  await keepLedger(target)
  await fillShop(source, 500)
  const books = new Books()
  const offset = Math.floor(random() * EVENTS.length)
  for (let round = 0; round < ROUNDS;) {
    const [name, event] = EVENTS[(round + offset) % EVENTS.length] ?? NOTHING
    await using program = startSync(source.url, target.url)
    await Promise.race([program.exit, pause(300 + random() * 900)])
    await event(servers)
    const back = performance.now()
    const exit = await program.exit
    source = await reopen(sourceServer, source)
    target = await reopen(targetServer, target)
    if (neverConnected(exit)) continue
    expect(exit, `${name}: ${exit.stderr}`).toMatchObject({ code: 0 })
    expect(performance.now() - back, name).toBeLessThan(RECOVERY_MS)
    books.enter(exit)
    await changeShop(source, (round += 1))
  }
  await expectWhole(source, target, books)
})

test('commits that the target had answered and then lost in a crash are noticed and made again (F3, B1)', async () => {
  await using sourceServer = await startPrivateServer()
  await using targetServer = await startPrivateServer({ fsync: true, settings: ALONE })
  const source = await openShop(sourceServer)
  const target = await openShop(targetServer)
  await keepLedger(target)
  await fillShop(source, 150)
  const books = new Books()
  books.enter(await finishSync(source.url, target.url))
  await changeShop(source, 1)
  await stopWalWriter(target)
  await using paused = startSync(source.url, target.url, {
    // In the midst of one table: what comes next is another batch of it, which a new connection would take.
    flags: ['--parallel', '1'],
    env: { FAILPOINT: 'batch.committed:3:stop' },
  })
  await untilStopped(paused)

  await crash(targetServer)

  const again = await reopen(targetServer, target)
  const [[kept] = []] = await again.sql(
    'SELECT count(*) FROM syncline.batch b JOIN syncline.state s USING (mapping_id, job_id)',
  )
  expect(Number(kept), 'batches that survived: the test shows nothing if all did').toBeLessThan(3)
  paused.resume()
  books.enter(await paused.exit)
  expect(books.failures).toEqual([])
  await expectWhole(source, again, books)
})

test('a run that has said it is done loses nothing in a crash, whatever the server waits for by default (P3)', async () => {
  await using sourceServer = await startPrivateServer()
  const settings = { ...SLOW_WRITER, synchronous_commit: 'off' }
  await using targetServer = await startPrivateServer({ fsync: true, settings })
  const source = await openShop(sourceServer)
  const target = await openShop(targetServer)
  await fillShop(source, 100)
  await finishSync(source.url, target.url)
  await crash(targetServer)
  const loaded = await reopen(targetServer, target)
  await expectSameTables(source, loaded, SHOP_TABLES)
  await changeShop(source, 1)
  await finishSync(source.url, target.url)
  await crash(targetServer)
  const changed = await reopen(targetServer, target)
  await expectSameTables(source, changed, SHOP_TABLES)
  expect(await changed.sql(`SELECT DISTINCT phase FROM syncline.state`)).toEqual([['done']])
})

test('a target that stays away fails the run after about a minute, and the same line goes on (F3)', async () => {
  await using sourceServer = await startPrivateServer()
  await using targetServer = await startPrivateServer()
  const source = await openShop(sourceServer)
  const target = await openShop(targetServer)
  await keepLedger(target)
  await fillShop(source, 100)
  await using paused = startSync(source.url, target.url, { env: { FAILPOINT: 'table.loading:2:stop' } })
  await untilStopped(paused)
  await targetServer.stop({ mode: 'immediate' })
  const gone = performance.now()
  paused.resume()
  const exit = await paused.exit
  expect(exit, exit.stderr).toMatchObject({ code: 1, stdout: expect.stringContaining('"connection_lost"') })
  expect(performance.now() - gone).toBeGreaterThan(30_000)
  expect(performance.now() - gone).toBeLessThan(100_000)
  await targetServer.start()
  await expectWhole(source, await reopen(targetServer, target), new Books())
})

/** The event came before the run had begun, which is refused at once; once begun, a run does not end like this. */
function neverConnected({ code, stderr }: Exit): boolean {
  return code === 4 && /: The (source|target): /.test(stderr)
}

async function openShop(server: LocalPostgres): Promise<Database> {
  const db = await createDatabase({ url: server.url(), major: server.major })
  await createShop(db)
  return db
}

/** The database over a new connection, as soon as its server accepts one. */
async function reopen(server: LocalPostgres, { name }: Database): Promise<Database> {
  let db = new Database({ url: server.url(), major: server.major }, name)
  const answers = async (): Promise<boolean> => {
    db = new Database({ url: server.url(), major: server.major }, name)
    return (await db.sql('SELECT 1').catch(() => [])).length === 1
  }
  await expect.poll(answers, { timeout: 60_000 }).toBe(true)
  return db
}

async function crash(server: LocalPostgres): Promise<void> {
  await server.kill()
  await server.start()
}

/** What is committed without waiting is then written by nobody, however long it takes until the crash. */
async function stopWalWriter(target: Database): Promise<void> {
  const [[pid] = []] = await target.sql(`SELECT pid FROM pg_stat_activity WHERE backend_type = 'walwriter'`)
  process.kill(Number(pid), 'SIGSTOP')
}

/** Ends a session of the run's, if there is one, as the kernel does when memory is short; the server then recovers. */
async function killBackend(server: LocalPostgres): Promise<void> {
  const client = new pg.Client({ connectionString: server.url() })
  client.on('error', () => undefined)
  await client.connect()
  const { rows } = await client.query<{ pid: number }>(
    `SELECT pid FROM pg_stat_activity WHERE application_name = 'syncline' ORDER BY random() LIMIT 1`,
  )
  for (const { pid } of rows) killNow(pid)
  await client.end().catch(() => undefined)
}
