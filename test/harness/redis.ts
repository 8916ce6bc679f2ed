/**
 * A private Redis on a free port of loopback, in a folder of its own. On Debian as root the package is installed where it
 * is missing.
 */
import { spawn, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { mkdtemp, readFile, rm } from 'node:fs/promises'
import { createServer, type AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { Redis } from 'ioredis'

import { needProgram } from './debian.ts'

const START_MS = 20_000

export interface RedisServer extends AsyncDisposable {
  readonly port: number
  readonly url: string
  /** A command of its own, as whoever administers it. */
  command(...words: readonly (string | number)[]): Promise<unknown>
  kill(): Promise<void>
  start(): Promise<void>
  /** Everything that it would write to its disk, as it would. */
  dump(): Promise<Buffer>
}

export interface RedisServerOptions {
  /** Of the default user. */
  readonly password?: string
  readonly args?: readonly string[]
}

export async function startRedis({ password, args = [] }: RedisServerOptions = {}): Promise<RedisServer> {
  const program = await needProgram(['redis-server'], 'redis-server')
  const folder = await mkdtemp(join(tmpdir(), 'syncline-redis-'))
  const port = await freePort()
  const login = password === undefined ? [] : ['--requirepass', password]
  // As Debian sets it up, but for where it listens.
  const words = ['--port', String(port), '--bind', '127.0.0.1', '--dir', folder, ...login, ...args]
  let child: ChildProcess | null = null
  const end = (): void => void child?.kill('SIGKILL')
  process.on('exit', end)
  const admin = new Redis({ port, ...(password === undefined ? {} : { password }), lazyConnect: true, protocol: 2 })
  admin.on('error', () => undefined)
  const server: RedisServer = {
    port,
    url: `redis://${password === undefined ? '' : `:${encodeURIComponent(password)}@`}127.0.0.1:${port}/0`,
    command: (word = '', ...rest) => admin.call(String(word), ...rest),
    kill: async () => {
      const ending = child
      child = null
      if (ending === null) return
      const exit = once(ending, 'exit')
      ending.kill('SIGKILL')
      await exit
    },
    start: async () => {
      child = spawn(program, words, { stdio: 'ignore' })
      await answers(admin, child)
    },
    dump: async () => {
      await admin.call('SAVE')
      return readFile(join(folder, 'dump.rdb'))
    },
    [Symbol.asyncDispose]: async () => {
      process.off('exit', end)
      admin.disconnect()
      await server.kill()
      await rm(folder, { recursive: true, force: true })
    },
  }
  try {
    await server.start()
    return server
  } catch (error) {
    await server[Symbol.asyncDispose]()
    throw error
  }
}

export async function freePort(): Promise<number> {
  const server = createServer().listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  server.close()
  await once(server, 'close')
  return port
}

async function answers(admin: Redis, child: ChildProcess): Promise<void> {
  for (const deadline = performance.now() + START_MS; ; await pause(20)) {
    const pong = await admin.ping().catch(() => null)
    if (pong === 'PONG') return
    if (child.exitCode !== null || performance.now() > deadline) throw new Error('Redis did not start.')
  }
}
