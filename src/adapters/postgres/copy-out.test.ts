import { once } from 'node:events'
import { PassThrough } from 'node:stream'
import fc from 'fast-check'
import pg from 'pg'
import { expect, test } from 'vitest'

import { printedSeed } from '#test/harness/seed.ts'

import { CopyOut } from './copy-out.ts'

/** A message of the protocol. */
function message(letter: string, body: Buffer | string = ''): Buffer {
  const bytes = Buffer.from(body)
  const header = Buffer.alloc(5, letter)
  header.writeUInt32BE(bytes.length + 4, 1)
  return Buffer.concat([header, bytes])
}

const BEGIN = message('H', Buffer.from([0, 0, 0]))
const NOTICE = message('N', 'SNOTICE\0MWhatever\0\0')
const END = Buffer.concat([message('C', 'COPY 3\0'), message('Z', 'I')])

/** A driver's connection whose socket a test writes to; what the driver itself understands is told by letters. */
function wireOf(copy: CopyOut): { socket: PassThrough; heard: string[] } {
  const socket = Object.assign(new PassThrough({ highWaterMark: 64 }), { setNoDelay: () => {}, connect: () => {} })
  const wire: pg.Connection = new pg.Connection({ stream: socket } as object)
  const heard: string[] = []
  Object.assign(wire, { query: () => {} })
  socket.on('data', (chunk: Buffer) => {
    heard.push(chunk.toString('latin1'))
    if (heard.join('') === END.toString('latin1')) copy.handleCommandComplete({ text: 'COPY 3' })
  })
  copy.submit(wire)
  return { socket, heard }
}

test('the data are what the messages hold, wherever the socket cuts them; the rest goes to the driver', async () => {
  const row = fc.oneof(
    fc.string(),
    fc.constant(''),
    fc.nat(2_000).map((length) => 'ü\0'.repeat(length)),
  )
  const messages = fc.array(fc.record({ row, notice: fc.boolean() }), { maxLength: 20 })
  const property = fc.asyncProperty(messages, fc.integer({ min: 1, max: 700 }), async (rows, size) => {
    const copy = new CopyOut('COPY')
    const { socket, heard } = wireOf(copy)
    const sent = rows.flatMap(({ row: text, notice }) => [...(notice ? [NOTICE] : []), message('d', text)])
    const bytes = Buffer.concat([BEGIN, ...sent, message('c'), END])
    const read: Buffer[] = []
    copy.on('data', (chunk: Buffer) => read.push(Buffer.from(chunk)))
    const ended = once(copy, 'end')
    for (let at = 0; at < bytes.length; at += size) socket.write(Buffer.from(bytes.subarray(at, at + size)))
    await ended
    expect(Buffer.concat(read).toString()).toBe(rows.map(({ row: text }) => text).join(''))
    expect(heard.join('')).toBe(END.toString('latin1'))
    expect(copy.rowCount).toBe(3)
  })
  await fc.assert(property, { seed: printedSeed(), numRuns: 200 })
})

test.each([1, 3, 1000])('an error among the rows goes to the driver whole, in chunks of %s bytes', async (size) => {
  const copy = new CopyOut('COPY')
  const { socket, heard } = wireOf(copy)
  const failure = Buffer.concat([message('E', 'SERROR\0MNo.\0\0'), message('Z', 'E')])
  const bytes = Buffer.concat([BEGIN, message('d', 'one\n'), failure])
  const read: string[] = []
  copy.on('data', (chunk: Buffer) => read.push(chunk.toString()))
  for (let at = 0; at < bytes.length; at += size) socket.write(Buffer.from(bytes.subarray(at, at + size)))
  socket.end()
  await once(socket, 'end')
  expect(read.join('')).toBe('one\n')
  expect(heard.join('')).toBe(failure.toString('latin1'))
  copy.on('error', () => {})
  copy.handleError(new Error('No.'))
  expect(copy.destroyed).toBe(true)
})

test('a reader that rests stops the socket', async () => {
  const copy = new CopyOut('COPY')
  const { socket } = wireOf(copy)
  socket.write(BEGIN)
  const row = message('d', 'x'.repeat(10_000))
  for (let i = 0; i < 100; i++) socket.write(Buffer.from(row))
  await once(copy, 'readable')
  expect(socket.isPaused()).toBe(true)
  expect(copy.readableLength).toBeLessThan(1_000_000)
  copy.resume()
  await once(socket, 'drain')
  expect(copy.rowCount).toBe(0)
})
