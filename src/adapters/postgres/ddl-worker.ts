/**
 * The thread that runs pg_dump (compiled to WebAssembly). libpq's reads and writes are synchronous, so this thread
 * blocks while the main thread carries the bytes over a connection that is already authenticated.
 */
import { parentPort, receiveMessageOnPort, workerData, type MessagePort } from 'node:worker_threads'

export interface DumpJob {
  /** Arguments of pg_dump, without connection or file. */
  readonly args: readonly string[]
  /** The server's answer to libpq's startup packet: AuthenticationOk to ReadyForQuery. */
  readonly startup: Uint8Array
  /** Bytes of the server come in here; `null` says that the connection has ended. */
  readonly server: MessagePort
  /** One Int32, counted up and notified with each message to `server`. */
  readonly arrivals: SharedArrayBuffer
  /** How long the server may stay silent, in milliseconds. */
  readonly silenceMs: number
}

export type DumpMessage =
  | { readonly kind: 'send'; readonly bytes: Uint8Array }
  | { readonly kind: 'dump'; readonly text: string }
  | { readonly kind: 'failure'; readonly reason: FailureReason; readonly message: string; readonly sqlState?: string }

/** Why there is no dump: the server or pg_dump refused, the connection failed, or an answer was too large. */
export type FailureReason = 'refused' | 'connection' | 'too_large'

/** The largest answer to one query of pg_dump; the rows of a catalog of 100,000 columns take about 20 MB. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024

/** Frame types and request codes of the PostgreSQL protocol 3 ("Message Formats" in its manual). */
const READY_FOR_QUERY = 0x5a
const ERROR_RESPONSE = 0x45
const ASKS_FOR_READY = new Set(Buffer.from('QSF'))
const TERMINATE = 'X'.charCodeAt(0)
const SSL_REQUEST = 80877103
const GSS_REQUEST = 80877104

class DumpFailure extends Error {
  readonly reason: FailureReason

  constructor(reason: FailureReason, message: string) {
    super(message)
    this.reason = reason
  }
}

interface ServerError {
  readonly sqlState: string
  readonly message: string
}

/** Fields of an ErrorResponse: a type byte and a zero-terminated text each. */
function parseServerError(body: Buffer): ServerError {
  const fields = new Map(
    body
      .toString('utf8')
      .split('\0')
      .map((field) => [field.slice(0, 1), field.slice(1)]),
  )
  return { sqlState: fields.get('C') ?? '', message: fields.get('M') ?? 'unknown error' }
}

/** libpq's side of the connection: takes what it writes, and answers with what the server says to it. */
class ServerConnection {
  /** The last thing that the server refused. */
  lastError: ServerError | undefined
  readonly #job: DumpJob
  readonly #arrivals: Int32Array
  readonly #send: (bytes: Uint8Array) => void
  #started = false
  #unsent: Buffer = Buffer.alloc(0)

  constructor(job: DumpJob, send: (bytes: Uint8Array) => void) {
    this.#job = job
    this.#arrivals = new Int32Array(job.arrivals)
    this.#send = send
  }

  /** Takes bytes that libpq writes, a message or a part of one; returns what it can read after that. */
  write(bytes: Uint8Array): Uint8Array {
    this.#unsent = Buffer.concat([this.#unsent, bytes])
    if (!this.#started) return this.#answerStartup()
    let end = 0
    let awaited = 0
    while (this.#unsent.length >= end + 5) {
      const next = end + 1 + this.#unsent.readInt32BE(end + 1)
      if (next > this.#unsent.length) break
      const type = this.#unsent.readUInt8(end)
      // The owner of the connection ends it.
      if (type === TERMINATE) return new Uint8Array()
      if (ASKS_FOR_READY.has(type)) awaited += 1
      end = next
    }
    // Copied: the thread's message must not carry a view of a pooled buffer.
    if (end > 0) this.#send(new Uint8Array(this.#unsent.subarray(0, end)))
    this.#unsent = this.#unsent.subarray(end)
    return awaited > 0 ? this.#readUntilReady(awaited) : new Uint8Array()
  }

  #answerStartup(): Uint8Array {
    if (this.#unsent.length < 8 || this.#unsent.length < this.#unsent.readInt32BE(0)) return new Uint8Array()
    const code = this.#unsent.readInt32BE(4)
    this.#unsent = Buffer.alloc(0)
    if (code === SSL_REQUEST || code === GSS_REQUEST) return Buffer.from('N')
    this.#started = true
    return this.#job.startup
  }

  #readUntilReady(awaited: number): Uint8Array {
    const chunks: Uint8Array[] = []
    let size = 0
    let tail = Buffer.alloc(0)
    for (let left = awaited; left > 0;) {
      const chunk = this.#receive()
      chunks.push(chunk)
      size += chunk.length
      if (size > MAX_ANSWER_BYTES) {
        throw new DumpFailure('too_large', `an answer of the server exceeds ${MAX_ANSWER_BYTES} bytes`)
      }
      const scanned = this.#scan(tail.length > 0 ? Buffer.concat([tail, chunk]) : Buffer.from(chunk.buffer))
      left -= scanned.ready
      tail = scanned.tail
    }
    return Buffer.concat(chunks)
  }

  /** Counts the ReadyForQuery messages in `bytes`, and returns what is left behind the last whole message. */
  #scan(bytes: Buffer<ArrayBuffer>): { ready: number; tail: Buffer<ArrayBuffer> } {
    let ready = 0
    let at = 0
    while (bytes.length >= at + 5) {
      const next = at + 1 + bytes.readInt32BE(at + 1)
      if (next > bytes.length) break
      const type = bytes.readUInt8(at)
      if (type === READY_FOR_QUERY) ready += 1
      if (type === ERROR_RESPONSE) this.lastError = parseServerError(bytes.subarray(at + 5, next))
      at = next
    }
    return { ready, tail: bytes.subarray(at) }
  }

  #receive(): Uint8Array<ArrayBuffer> {
    for (;;) {
      const seen = Atomics.load(this.#arrivals, 0)
      const arrived: { message: Uint8Array<ArrayBuffer> | null } | undefined = receiveMessageOnPort(this.#job.server)
      if (arrived?.message) return arrived.message
      if (arrived) throw new DumpFailure('connection', 'the server closed the connection')
      if (Atomics.wait(this.#arrivals, 0, seen, this.#job.silenceMs) === 'timed-out') {
        throw new DumpFailure('connection', `the server was silent for ${this.#job.silenceMs} ms`)
      }
    }
  }
}

/** How every plain dump begins. */
const DUMP_HEAD = '--\n-- PostgreSQL database dump\n--\n'

const strictDecoder = new TextDecoder('utf-8', { fatal: true })

let dumpText: string | undefined

/**
 * The wrapper of pg_dump deletes each line that begins with \restrict or \unrestrict from its result, also in the body
 * of a function or in a name. So the text is taken at the one place where it passes whole: its decoding.
 */
class DumpDecoder extends TextDecoder {
  override decode(...input: Parameters<InstanceType<typeof TextDecoder>['decode']>): string {
    const text = super.decode(...input)
    if (!text.startsWith(DUMP_HEAD)) return text
    dumpText = strictDecoder.decode(...input)
    return text
  }
}

async function runDump(job: DumpJob, send: (bytes: Uint8Array) => void): Promise<DumpMessage> {
  const connection = new ServerConnection(job, send)
  globalThis.TextDecoder = DumpDecoder
  const { pgDump } = await import('@electric-sql/pglite-tools/pg_dump')
  // What the wrapper asks of an embedded database around the dump; here that is the owner's business.
  const database = {
    query: () => Promise.resolve({ rows: [{ search_path: '' }] }),
    exec: () => Promise.resolve(),
    execProtocolRawStream: (bytes: Uint8Array, { onRawData }: { onRawData: (bytes: Uint8Array) => void }) => {
      onRawData(connection.write(bytes))
    },
  }
  try {
    await pgDump({ pg: database, args: [...job.args] })
  } catch (error) {
    if (error instanceof DumpFailure) return { kind: 'failure', reason: error.reason, message: error.message }
    return { kind: 'failure', reason: 'refused', ...(connection.lastError ?? { message: ownMessage(error) }) }
  }
  if (dumpText === undefined) throw new Error('pg_dump ended without a dump')
  return { kind: 'dump', text: dumpText }
}

/**
 * pg_dump reports its progress and its error on one stream, without line ends: the error is the last. It calls itself by the
 * file of this thread, which nobody need know.
 */
function ownMessage(error: unknown): string {
  const message = error instanceof Error ? error.message : String(error)
  return `pg_dump: ${message.slice(Math.max(0, message.lastIndexOf(ERROR_MARK))).replace(/^: /, '')}`.trim()
}

const ERROR_MARK = ': error: '

const parent = parentPort
if (parent) {
  const job: DumpJob = workerData
  const post = (message: DumpMessage): void => parent.postMessage(message)
  post(await runDump(job, (bytes) => post({ kind: 'send', bytes })))
  job.server.close()
}
