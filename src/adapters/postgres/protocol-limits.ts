import type { Duplex } from 'node:stream'
import type pg from 'pg'
import { AppError } from '#model/errors.ts'

/**
 * What a server may send before we hang up (S37). The driver gathers each message whole and each result whole, so that
 * a server that lies about lengths, or never ends, could fill our memory. COPY data does not pass here: its stream is
 * handed on as it comes.
 */
const LIMITS = {
  /** One message: a row of this size would not fit into the memory of a job together with its copies. */
  messageBytes: 256 * 1024 * 1024,
  /** Rows of one result, between two answers that end one. */
  resultBytes: 256 * 1024 * 1024,
  /** PostgreSQL's own limit of a target list (MaxTupleAttributeNumber). */
  columns: 1_664,
  /** Notices and settings between two messages that get anywhere. */
  asides: 10_000,
}

const HEADER_BYTES = 5
const COUNT_BYTES = 2

const ROW_DESCRIPTION = 0x54
const DATA_ROW = 0x44
/** NoticeResponse, ParameterStatus, NotificationResponse. */
const ASIDES: readonly number[] = [0x4e, 0x53, 0x41]
/** CommandComplete, PortalSuspended, ReadyForQuery. */
const ENDS: readonly number[] = [0x43, 0x73, 0x5a]

/** A message that is longer is put together here: the driver would double its buffer until it is large enough. */
const GATHERED_BYTES = 1024 * 1024

/** Looks at the headers of a stream of messages. */
export class MessageLimits {
  readonly #head = Buffer.alloc(HEADER_BYTES + COUNT_BYTES)
  #have = 0
  /** Bytes of the present message that are still to come, behind what was looked at. */
  #rest = 0
  #resultBytes = 0
  #asides = 0

  /** Bytes that are still to come of the message in which the last chunk ended. */
  get missing(): number {
    return this.#rest
  }

  /** What the server does wrong, as the end of a sentence; null while all is well. */
  look(chunk: Uint8Array): string | null {
    let at = 0
    while (at < chunk.length) {
      if (this.#rest > 0) {
        const skipped = Math.min(this.#rest, chunk.length - at)
        this.#rest -= skipped
        at += skipped
        continue
      }
      this.#head[this.#have++] = chunk[at++] ?? 0
      if (this.#have < HEADER_BYTES) continue
      const wrong = this.#judge()
      if (wrong !== null) return wrong
    }
    return null
  }

  #judge(): string | null {
    const code = this.#head[0] ?? 0
    const length = this.#head.readUInt32BE(1)
    if (length < 4) return `sent a message of ${length} bytes`
    if (length > LIMITS.messageBytes) return `announced a message of ${length} bytes`
    const counts = (code === ROW_DESCRIPTION || code === DATA_ROW) && length >= 4 + COUNT_BYTES
    const wanted = counts ? HEADER_BYTES + COUNT_BYTES : HEADER_BYTES
    if (this.#have < wanted) return null
    if (counts && this.#head.readUInt16BE(HEADER_BYTES) > LIMITS.columns) {
      return `sent a row of ${this.#head.readUInt16BE(HEADER_BYTES)} columns`
    }
    this.#rest = length - 4 - (this.#have - HEADER_BYTES)
    this.#have = 0
    return this.#count(code, length)
  }

  #count(code: number, length: number): string | null {
    if (ASIDES.includes(code)) {
      return (this.#asides += 1) > LIMITS.asides ? `sent more than ${LIMITS.asides} notices and nothing else` : null
    }
    this.#asides = 0
    if (ENDS.includes(code)) this.#resultBytes = 0
    if (code === DATA_ROW) this.#resultBytes += length
    return this.#resultBytes > LIMITS.resultBytes ? `sent a result of more than ${LIMITS.resultBytes} bytes` : null
  }
}

/** Hands on what comes; a message that is long only once it is whole, from memory of its own size. */
export class Gatherer {
  readonly #give: (bytes: Buffer) => void
  #whole: Buffer | null = null
  #have = 0

  constructor(give: (bytes: Buffer) => void) {
    this.#give = give
  }

  /** @param missing bytes that are still to come of the message in which the chunk ends */
  take(chunk: Buffer, missing: number): void {
    if (this.#whole === null) {
      if (missing <= GATHERED_BYTES) return this.#give(chunk)
      this.#whole = Buffer.allocUnsafeSlow(chunk.length + missing)
      this.#have = 0
    }
    const whole = this.#whole
    const taken = chunk.copy(whole, this.#have)
    this.#have += taken
    if (this.#have < whole.length) return
    this.#whole = null
    this.#give(whole)
    if (taken < chunk.length) this.take(chunk.subarray(taken), missing)
  }
}

/** Hangs up on a server that goes beyond the limits. Must be called before the client connects. */
export function limitMessages(client: pg.Client, hangUp: (error: AppError) => void): void {
  const wire: unknown = client.connection
  const guard = (): void => guardStream(client.connection.stream, hangUp)
  if (!isEmitter(wire)) throw new AppError('internal', 'The driver has changed its connection.')
  // Over TLS messages begin on another stream; in the clear they begin on the first one.
  wire.once('sslconnect', guard)
  wire.once('connect', () => {
    if (!('ssl' in wire) || !wire.ssl) guard()
  })
}

/** The one listener of the stream's data (a COPY takes it away and gives it back) is called only with what passes. */
function guardStream(stream: Duplex, hangUp: (error: AppError) => void): void {
  const [parse, ...others] = stream.listeners('data')
  if (parse === undefined || others.length > 0) throw new AppError('internal', 'The driver reads in another way now.')
  const limits = new MessageLimits()
  const gatherer = new Gatherer((bytes) => parse.call(stream, bytes))
  stream.removeListener('data', parse as (chunk: Buffer) => void)
  stream.on('data', (chunk: Buffer) => {
    const wrong = limits.look(chunk)
    if (wrong === null) return gatherer.take(chunk, limits.missing)
    hangUp(
      new AppError('server_not_supported', `What answers there is no PostgreSQL server: it ${wrong}.`, {
        hint: 'Check host and port: another program listens there, or something in between answers for it.',
      }),
    )
  })
}

function isEmitter(value: unknown): value is { once(event: string, listener: () => void): unknown } {
  return typeof value === 'object' && value !== null && 'once' in value && typeof value.once === 'function'
}
