/**
 * Runs pg_dump against a server over a connection that `pg` has opened (TLS, passwords and sockets are its business):
 * a worker thread computes, this one carries the bytes.
 */
import { extname } from 'node:path'
import type { Duplex } from 'node:stream'
import { MessageChannel, Worker } from 'node:worker_threads'

import type { Client } from 'pg'

import { AppError } from '#model/errors.ts'

import type { DumpJob, DumpMessage, FailureReason } from './ddl-worker.ts'

/** The newest server that the bundled pg_dump knows. */
export const NEWEST_SERVER = 18

/** What a server reports of itself at the start of a session, as far as libpq and pg_dump look at it. */
const REPORTED_SETTINGS = [
  'server_version',
  'server_encoding',
  'client_encoding',
  'standard_conforming_strings',
  'integer_datetimes',
  'is_superuser',
  'session_authorization',
  'in_hot_standby',
  'default_transaction_read_only',
  'DateStyle',
  'IntervalStyle',
  'TimeZone',
]

export interface PgDumpOptions {
  /** Connected and idle. Its bytes go to pg_dump from here on: it is of no other use, and the caller ends it. */
  readonly client: Client
  readonly args: readonly string[]
  readonly signal: AbortSignal
  /** How long the server may stay silent, in milliseconds. */
  readonly silenceMs: number
}

/**
 * The text of a plain dump in UTF-8, with its backslash lines.
 *
 * @throws {AppError} `missing_privilege` or `database_error` in the server's or pg_dump's own words,
 *   `connection_lost`; the reason of the signal if it is aborted.
 */
export async function runPgDump(options: PgDumpOptions): Promise<string> {
  const { client, signal } = options
  const startup = await readStartup(client)
  signal.throwIfAborted()
  const arrivals = new SharedArrayBuffer(4)
  const { port1: ours, port2: theirs } = new MessageChannel()
  const stream = takeStream(client)
  const detach = forwardBytes(stream, (bytes) => {
    ours.postMessage(bytes, bytes ? [bytes.buffer] : [])
    Atomics.add(new Int32Array(arrivals), 0, 1)
    Atomics.notify(new Int32Array(arrivals), 0)
  })
  const job: DumpJob = { args: options.args, startup, server: theirs, arrivals, silenceMs: options.silenceMs }
  // The worker sees nothing of this process: neither its environment nor its output.
  const worker = new Worker(new URL(`./ddl-worker${extname(import.meta.url)}`, import.meta.url), {
    workerData: job,
    transferList: [theirs],
    env: {},
    execArgv: [],
    stdout: true,
    stderr: true,
  })
  try {
    return await dumpOf(worker, stream, signal)
  } finally {
    detach()
    ours.close()
    await worker.terminate()
  }
}

function dumpOf(worker: Worker, stream: Duplex, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const abort = (): void => reject(signal.reason)
  signal.addEventListener('abort', abort, { once: true })
  worker.on('message', (message: DumpMessage) => {
    if (message.kind === 'send') stream.write(message.bytes)
    else if (message.kind === 'dump') resolve(message.text)
    else reject(dumpError(message.reason, message.message, message.sqlState))
  })
  worker.on('error', (error) => reject(new AppError('internal', 'the thread of pg_dump failed', { cause: error })))
  worker.on('exit', () => reject(new AppError('internal', 'the thread of pg_dump ended without a result')))
  if (signal.aborted) abort()
  return promise.finally(() => signal.removeEventListener('abort', abort))
}

/** SQLSTATE. */
export const INSUFFICIENT_PRIVILEGE = '42501'

function dumpError(reason: FailureReason, message: string, sqlState?: string): AppError {
  const text = `the definitions could not be read: ${message}`
  if (reason === 'connection') return new AppError('connection_lost', text)
  return new AppError(sqlState === INSUFFICIENT_PRIVILEGE ? 'missing_privilege' : 'database_error', text)
}

/** What the server would answer to a startup packet: libpq must not log in again, it has joined a session. */
async function readStartup(client: Client): Promise<Uint8Array> {
  // The first two change how pg_dump writes what it reads; compiling its queries takes longer than running them.
  await client.query("SET client_encoding = 'UTF8'; SET standard_conforming_strings = on; SET jit = off")
  const { rows } = await client.query<[string, string]>({
    text: `SELECT s.name, v.value FROM unnest($1::text[]) s(name), current_setting(s.name, true) v(value)
            WHERE v.value IS NOT NULL`,
    values: [REPORTED_SETTINGS],
    rowMode: 'array',
  })
  const authenticationOk = message('R', int32(0))
  const settings = rows.map(([name, value]) => message('S', Buffer.from(`${name}\0${value}\0`)))
  // pg_dump never cancels, so that the key may be any.
  const backendKey = message('K', Buffer.concat([int32(1), int32(1)]))
  return new Uint8Array(Buffer.concat([authenticationOk, ...settings, backendKey, message('Z', Buffer.from('I'))]))
}

function message(type: string, body: Buffer): Buffer {
  return Buffer.concat([Buffer.from(type), int32(body.length + 4), body])
}

function int32(value: number): Buffer {
  const bytes = Buffer.alloc(4)
  bytes.writeInt32BE(value)
  return bytes
}

/** The plain bytes below the driver (above TLS); the driver no longer sees them. */
function takeStream(client: Client): Duplex {
  const { stream } = client.connection
  stream.removeAllListeners('data')
  return stream
}

/** Passes on what arrives, and null at the end; returns the way to stop it. */
function forwardBytes(stream: Duplex, pass: (bytes: Uint8Array<ArrayBuffer> | null) => void): () => void {
  // Copied: a chunk is a view of a larger buffer, which would be sent whole.
  const onData = (chunk: Buffer): void => pass(new Uint8Array(chunk))
  const onClose = (): void => pass(null)
  stream.on('data', onData)
  stream.on('close', onClose)
  stream.on('end', onClose)
  if (stream.destroyed) onClose()
  return () => {
    stream.off('data', onData)
    stream.off('close', onClose)
    stream.off('end', onClose)
    // What still arrives is read and dropped, so that the end of the stream is seen.
    stream.resume()
  }
}
