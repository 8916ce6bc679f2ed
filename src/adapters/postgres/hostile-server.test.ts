/** S37: a server that lies about lengths or never ends is hung up on, with an error that says so and memory that stays flat. */
import { once } from 'node:events'
import { createServer, type AddressInfo, type Socket } from 'node:net'
import { expect, test } from 'vitest'
import { AppError } from '#model/errors.ts'
import { Connection } from './connection.ts'
import { parseEndpoint } from './endpoint.ts'
import { Gatherer, MessageLimits } from './protocol-limits.ts'

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeUInt32BE(value)
  return bytes
}

const READY = Buffer.concat([message('R', int32(0)), message('Z', Buffer.from('I'))])
const NOTICE = message('N', Buffer.from(`SNOTICE\0C00000\0Mhello ${'x'.repeat(500)}\0\0`))

/** Sends the same bytes for as long as somebody takes them. */
function flood(socket: Socket, bytes: Buffer): void {
  const send = (): void => {
    while (!socket.destroyed && socket.write(bytes)) if (socket.writableEnded) return
  }
  socket.on('drain', send)
  send()
}

function columns(n: number): Buffer {
  const count = Buffer.alloc(2)
  count.writeUInt16BE(n)
  const one = Buffer.concat([Buffer.from('c\0'), Buffer.alloc(18)])
  return message('T', Buffer.concat([count, ...Array.from({ length: n }, () => one)]))
}

const BEHAVIOURS: Record<string, { start?: (socket: Socket) => void; query?: (socket: Socket) => void; says: RegExp }> =
  {
    'a length of 2 GB at the start': {
      start: (socket) => {
        socket.write(Buffer.concat([Buffer.from('R'), int32(2 ** 31)]))
        flood(socket, Buffer.alloc(1 << 20))
      },
      says: /message of 2147483648 bytes/,
    },
    'a length of 0': {
      start: (socket) => flood(socket, Buffer.concat([Buffer.from('R'), int32(0)])),
      says: /message of 0 bytes/,
    },
    'notices without end at the start': { start: (socket) => flood(socket, NOTICE), says: /notices and nothing else/ },
    'a length of 2 GB in a result': {
      query: (socket) => {
        socket.write(Buffer.concat([message('1', Buffer.alloc(0)), Buffer.from('D'), int32(2 ** 31)]))
        flood(socket, Buffer.alloc(1 << 20))
      },
      says: /message of 2147483648 bytes/,
    },
    'notices without end in a result': { query: (socket) => flood(socket, NOTICE), says: /notices and nothing else/ },
    'settings without end in a result': {
      query: (socket) => flood(socket, message('S', Buffer.from('TimeZone\0UTC\0'))),
      says: /notices and nothing else/,
    },
    '30,000 columns': { query: (socket) => socket.write(columns(30_000)), says: /row of 30000 columns/ },
    '65,535 columns': { query: (socket) => socket.write(columns(65_535)), says: /row of 65535 columns/ },
  }

test.each(Object.entries(BEHAVIOURS))('S37: %s', async (_name, { start, query, says }) => {
  await using server = createServer((socket) => {
    socket.on('error', () => undefined)
    let asked = false
    socket.on('data', () => {
      if (!asked && start) start(socket)
      else if (!asked) socket.write(READY)
      else query?.(socket)
      asked = true
    })
  })
  server.listen(0, '127.0.0.1')
  await once(server, 'listening')
  const { port } = server.address() as AddressInfo
  const before = process.memoryUsage()
  const opened = Connection.open(parseEndpoint(`postgres://u@127.0.0.1:${port}/d?sslmode=disable&connect_timeout=20`))
  const error: unknown = await opened.catch((reason: unknown) => reason)
  const after = process.memoryUsage()
  expect(error).toBeInstanceOf(AppError)
  expect(error).toMatchObject({ code: 'server_not_supported', message: expect.stringMatching(says) })
  const grown = after.heapTotal + after.arrayBuffers - before.heapTotal - before.arrayBuffers
  expect(grown).toBeLessThan(64 * 1024 * 1024)
})

test('S37: limits hold wherever the stream is cut, and what PostgreSQL sends passes', () => {
  const lawful = Buffer.concat([
    READY,
    NOTICE,
    columns(1_664),
    message('D', Buffer.from([0, 0])),
    message('C', Buffer.from('SELECT 1\0')),
  ])
  const rude = columns(1_665)
  for (const step of [1, 2, 3, 7, 1_000, lawful.length]) {
    const limits = new MessageLimits()
    const look = (bytes: Buffer): string[] => {
      const wrongs: string[] = []
      for (let at = 0; at < bytes.length; at += step)
        wrongs.push(...[limits.look(bytes.subarray(at, at + step))].filter((wrong) => wrong !== null))
      return wrongs
    }
    expect(look(lawful)).toEqual([])
    expect(look(lawful)).toEqual([])
    expect(look(rude)[0]).toBe('sent a row of 1665 columns')
  }
})

test('S37: a result without end is too much, and many results of the same size together are not', () => {
  const row = message('D', Buffer.alloc(1 << 20))
  const endless = new MessageLimits()
  const wrongs = Array.from({ length: 257 }, () => endless.look(row)).filter((wrong) => wrong !== null)
  expect(wrongs[0]).toMatch(/^sent a result of more than/)
  const many = new MessageLimits()
  for (let i = 0; i < 600; i++) expect(many.look(i % 100 === 99 ? message('C', Buffer.from('x\0')) : row)).toBeNull()
})

test('a long message is handed on whole, in memory of its size, and nothing is lost wherever the stream is cut', () => {
  const long = message('D', Buffer.concat([Buffer.from([0, 1]), Buffer.alloc(3 << 20, 'x')]))
  const stream = Buffer.concat([NOTICE, READY, long, NOTICE, long, long, READY])
  for (const step of [1_000, 64 * 1024, 65_537, 2 << 20, stream.length]) {
    const limits = new MessageLimits()
    const given: Buffer[] = []
    const gatherer = new Gatherer((bytes) => given.push(bytes))
    for (let at = 0; at < stream.length; at += step) {
      const chunk = stream.subarray(at, at + step)
      expect(limits.look(chunk)).toBeNull()
      gatherer.take(chunk, limits.missing)
    }
    expect(Buffer.concat(given).equals(stream)).toBe(true)
    if (step >= 2 << 20) continue
    const pieces = given.filter(({ length }) => length > step)
    expect(pieces.length).toBe(3)
    expect(Math.max(...pieces.map(({ length }) => length))).toBeLessThanOrEqual(long.length + step)
  }
})
