/**
 * A private PgBouncer in transaction mode in front of a server, on a free port of loopback. On Debian as root the package
 * is installed where it is missing.
 */
import { execFile, spawn } from 'node:child_process'
import { once } from 'node:events'
import { chown, mkdtemp, rm, writeFile } from 'node:fs/promises'
import { createConnection } from 'node:net'
import { tmpdir, userInfo } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { promisify } from 'node:util'

import { freePort } from '#lib/free-port.ts'

import { needProgram } from './debian.ts'
import type { TestServer } from './postgres.ts'

const run = promisify(execFile)
const START_MS = 20_000

export interface PgBouncer extends AsyncDisposable {
  /** The same database and login, by way of the pooler. */
  url(direct: string): string
}

export interface PgBouncerOptions {
  readonly mode?: 'transaction' | 'session'
  /** Sessions that it holds open to the server: fewer than clients make them share. */
  readonly poolSize?: number
}

export async function startPgBouncer(server: TestServer, options: PgBouncerOptions = {}): Promise<PgBouncer> {
  const program = await needProgram(['/usr/sbin/pgbouncer'], 'pgbouncer')
  const { hostname, port, username } = new URL(server.url)
  const folder = await mkdtemp(join(tmpdir(), 'syncline-pgbouncer-'))
  const own = await freePort()
  const user = decodeURIComponent(username) || 'postgres'
  await writeFile(
    join(folder, 'pgbouncer.ini'),
    `[databases]
* = host=${hostname.replace(/^\[|\]$/g, '')} port=${port || 5432}
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = ${own}
unix_socket_dir =
auth_type = any
auth_file =
pool_mode = ${options.mode ?? 'transaction'}
default_pool_size = ${options.poolSize ?? 20}
max_client_conn = 200
ignore_startup_parameters = extra_float_digits,options
`.replace('* = ', `* = user=${user} `),
  )
  const stack = new AsyncDisposableStack()
  stack.defer(() => rm(folder, { recursive: true, force: true }))
  // It refuses to run as root; the servers of the tests do the same.
  const identity = userInfo().uid === 0 ? await idsOf('postgres') : null
  if (identity !== null) await chownAll(folder, identity)
  const child = spawn(program, [join(folder, 'pgbouncer.ini')], {
    ...identity,
    stdio: ['ignore', 'ignore', 'pipe'],
  })
  let said = ''
  child.stderr.setEncoding('utf8').on('data', (text: string) => (said += text))
  const exit = once(child, 'exit')
  const end = (): void => void child.kill('SIGKILL')
  process.on('exit', end)
  stack.defer(async () => {
    process.off('exit', end)
    child.kill('SIGKILL')
    await exit
  })
  try {
    await answers(
      own,
      () => child.exitCode !== null,
      () => said,
    )
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
  return {
    url: (direct) => {
      const url = new URL(direct)
      url.hostname = '127.0.0.1'
      url.port = String(own)
      return url.href
    },
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  }
}

async function idsOf(user: string): Promise<{ uid: number; gid: number }> {
  const [uid, gid] = await Promise.all(['-u', '-g'].map(async (flag) => Number((await run('id', [flag, user])).stdout)))
  return { uid: uid ?? 0, gid: gid ?? 0 }
}

async function chownAll(folder: string, { uid, gid }: { uid: number; gid: number }): Promise<void> {
  for (const path of [folder, join(folder, 'pgbouncer.ini')]) await chown(path, uid, gid)
}

async function answers(port: number, gone: () => boolean, said: () => string): Promise<void> {
  const deadline = performance.now() + START_MS
  for (;;) {
    const socket = createConnection({ host: '127.0.0.1', port })
    const connected = await once(socket, 'connect').then(
      () => true,
      () => false,
    )
    socket.destroy()
    if (connected) return
    if (gone() || performance.now() > deadline) throw new Error(`PgBouncer did not start: ${said()}`)
    await pause(20)
  }
}
