import { existsSync } from 'node:fs'
import { spawn, spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { readdir, stat } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'

import pg from 'pg'
import { expect, test } from 'vitest'

import { startPrivateServer } from '#test/harness/postgres.ts'

import { findPostgresBinaries, removeAbandonedServers, startLocalPostgres } from './local-postgres.ts'

async function ask(url: string, text: string): Promise<unknown[]> {
  const client = new pg.Client({ connectionString: url })
  client.on('error', () => undefined)
  await client.connect()
  try {
    const { rows } = await client.query<unknown[]>({ text, rowMode: 'array' })
    return rows
  } finally {
    await client.end()
  }
}

const binaries = await findPostgresBinaries()

test.each(binaries)('PostgreSQL $major starts, keeps its data over each way of ending, and goes', async ({ major }) => {
  let folder
  {
    await using server = await startPrivateServer({ major })
    folder = server.folder
    expect(await ask(server.url(), "SELECT current_setting('server_encoding'), current_setting('fsync')")).toEqual([
      ['UTF8', 'off'],
    ])
    await ask(server.url(), 'CREATE TABLE t AS SELECT 0 AS n')
    await server.restart('fast')
    await ask(server.url(), 'UPDATE t SET n = n + 1')
    await server.restart('immediate')
    await ask(server.url(), 'UPDATE t SET n = n + 1')
    await server.kill()
    await expect(ask(server.url(), 'SELECT 1')).rejects.toThrow('ECONNREFUSED')
    await server.start()
    expect(await ask(server.url(), 'SELECT n FROM t')).toEqual([[2]])
    expect(await server.log()).toContain('database system was not properly shut down')
  }
  expect(existsSync(folder)).toBe(false)
})

test('a server is made from a template, listens on its socket and takes settings', async () => {
  await using server = await startPrivateServer({
    fsync: true,
    settings: { timezone: 'Asia/Kolkata', work_mem: '7MB' },
  })
  // A cluster that initdb makes has an identifier of its own.
  await using other = await startPrivateServer()
  const identifier = 'SELECT system_identifier FROM pg_control_system()'
  expect(await ask(server.url(), identifier)).toEqual(await ask(other.url(), identifier))
  const viaSocket = `postgres://postgres@/postgres?host=${encodeURIComponent(server.folder)}&port=${server.port}`
  expect(await ask(viaSocket, "SELECT current_setting('timezone'), current_setting('work_mem')")).toEqual([
    ['Asia/Kolkata', '7MB'],
  ])
  expect(await ask(server.url(), "SELECT current_setting('fsync')")).toEqual([['on']])
})

test('a server that cannot start says why, and leaves nothing', async () => {
  const before = await ownFolders()
  await expect(startPrivateServer({ settings: { shared_buffers: 'nonsense' } })).rejects.toMatchObject({
    code: 'local_server_failed',
    message: expect.stringContaining('shared_buffers'),
  })
  expect(await ownFolders()).toEqual(before)
})

test('a directory without programs is refused', async () => {
  await expect(findPostgresBinaries(tmpdir())).rejects.toMatchObject({ code: 'no_local_server' })
})

test('an explicit directory may be the one above the programs', async () => {
  for (const { directory, major } of binaries) {
    expect(await findPostgresBinaries(join(directory, '..'))).toMatchObject([{ major }])
  }
})

const CHILD = `
  const { findPostgresBinaries, startLocalPostgres } = await import(${JSON.stringify(import.meta.resolve('./local-postgres.ts'))})
  const [binaries] = await findPostgresBinaries()
  const server = await startLocalPostgres({ binaries })
  process.stdout.write(JSON.stringify({ pid: server.pid, folder: server.folder }))
  if (process.argv[1] === 'stay') setInterval(() => {}, 1000)
`

async function startInChild(mode: 'stay' | 'end'): Promise<{ pid: number; folder: string; end: () => Promise<void> }> {
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, mode], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  const exit = once(child, 'exit')
  const [output]: unknown[] = await once(child.stdout, 'data')
  const { pid, folder } = JSON.parse(String(output))
  const end = async (): Promise<void> => {
    child.kill('SIGKILL')
    await exit
  }
  if (mode === 'end') await exit
  return { pid, folder, end }
}

/** Whether a process of this id runs; one that has ended and is not reaped does not. */
function runs(pid: number): boolean {
  const { stdout } = spawnSync('ps', ['-o', 'stat=', '-p', String(pid)], { encoding: 'utf8' })
  return /^[^Z\s]/.test(stdout)
}

test('a server does not outlive the program that started it', async () => {
  const { folder, pid } = await startInChild('end')
  expect(existsSync(folder)).toBe(false)
  await expect.poll(() => runs(pid)).toBe(false)
})

test('the server of a program that was killed is stopped and removed later, and not before', async () => {
  const { folder, pid, end } = await startInChild('stay')
  await removeAbandonedServers()
  expect((await stat(folder)).isDirectory()).toBe(true)
  expect(runs(pid)).toBe(true)
  await end()
  await removeAbandonedServers()
  expect(existsSync(folder)).toBe(false)
  await expect.poll(() => runs(pid)).toBe(false)
})

test('two servers at once do not meet', async () => {
  const [first] = binaries
  if (!first) throw new Error('no PostgreSQL')
  await using a = await startPrivateServer()
  await using b = await startLocalPostgres({ binaries: first })
  await ask(a.url(), 'CREATE TABLE only_in_a ()')
  await expect(ask(b.url(), 'SELECT FROM only_in_a')).rejects.toThrow('does not exist')
})

async function ownFolders(): Promise<string[]> {
  const names = await readdir(tmpdir())
  return names.filter((name) => name.startsWith(`syncline-postgres-${process.pid}-`)).toSorted()
}
