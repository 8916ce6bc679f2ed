/**
 * A TCP proxy before a database server, which makes the network fail on demand.
 *
 * A connection is a link of two lanes. A lane takes bytes from one socket, holds them as long as the faults want, and
 * delivers them to the other. Bytes that a silence holds back are delivered when the faults are cleared, as TCP would
 * once a network is whole again. Faults count bytes from the moment they were set on a link.
 */
import { createServer, connect, type Server, type Socket } from 'node:net'
import { setTimeout as pause } from 'node:timers/promises'

import { freePort } from '#lib/free-port.ts'

export type Direction = 'toServer' | 'toClient'

/**
 * How a link is cut: both sides get a FIN; both get an RST (which may overtake bytes that were delivered before it);
 * nothing passes any more and both stay open; or the server sees an RST while the client's side stays open and silent,
 * as after the crash of a router.
 */
export type CutKind = 'fin' | 'rst' | 'silence' | 'half-open'

export interface Faults {
  /** Each byte arrives this much later, in both directions. */
  readonly latencyMs?: number
  /** In each direction. */
  readonly bytesPerSecond?: number
  /** Cut as soon as exactly so many bytes have been delivered in a direction. */
  readonly cut?: { readonly after: number; readonly direction: Direction; readonly by: CutKind }
  /** Nothing is delivered in this direction. */
  readonly mute?: Direction
  /**
   * The n-th COMMIT from now (1 is the next) reaches the server, which commits and answers; the answer is kept from the
   * client, whose connection is reset.
   */
  readonly dropCommitReply?: number
  /** New connections are refused as by a host where nothing listens, or are accepted and never answered. */
  readonly connect?: 'refuse' | 'silent'
}

export interface FaultProxyOptions {
  readonly target: { readonly host: string; readonly port: number }
}

/** Starts a proxy on a free port of the loopback interface; faultless until faults are set. */
export async function startFaultProxy(options: FaultProxyOptions): Promise<FaultProxy> {
  const proxy = new FaultProxy(options.target)
  await proxy.listen()
  return proxy
}

/** A proxy before the server of a database's URL. */
export async function startFaultProxyFor(databaseUrl: string): Promise<FaultProxy> {
  const { hostname, port } = new URL(databaseUrl)
  return startFaultProxy({ target: { host: hostname.replaceAll(/[[\]]/g, ''), port: Number(port || 5432) } })
}

export class FaultProxy implements AsyncDisposable {
  readonly host = '127.0.0.1'
  port = 0
  /** Bytes delivered over all links so far. */
  readonly bytes: Record<Direction, number> = { toServer: 0, toClient: 0 }
  /** Connections accepted, links that a fault has cut, and answers to COMMIT that were kept back, so far. */
  readonly counts = { accepted: 0, cut: 0, commitRepliesDropped: 0 }
  readonly #target: FaultProxyOptions['target']
  readonly #links = new Set<Link>()
  #server: Server | undefined
  #faults: Faults = {}
  #dropsOne = false

  constructor(target: FaultProxyOptions['target']) {
    this.#target = target
  }

  /** The database's URL by way of the proxy. */
  url(databaseUrl: string): string {
    const url = new URL(databaseUrl)
    url.hostname = this.host
    url.port = String(this.port)
    return url.href
  }

  /** Links that are open now. */
  get live(): number {
    return this.#links.size
  }

  readonly faults = {
    /** Sets the faults of the connections to come, and with `live` of those that are open too. */
    set: async (faults: Faults, { live = false }: { readonly live?: boolean } = {}): Promise<void> => {
      this.#faults = faults
      if (live) for (const link of this.#links) link.setFaults(faults)
      if (faults.connect === 'refuse') this.#stopListening()
      else if (!this.#server) await this.listen()
    },
    /** No faults from now on; what a silence has held back is delivered. */
    clear: (): Promise<void> => this.faults.set({}, { live: true }),
  }

  /** The next COMMIT over any link, open or to come, loses its answer, and no other one does. */
  async dropNextCommitReply(): Promise<void> {
    this.#dropsOne = true
    await this.faults.set({ dropCommitReply: 1 }, { live: true })
  }

  /** Cuts all open links now. */
  cut(by: CutKind): void {
    for (const link of this.#links) link.cut(by)
  }

  async listen(): Promise<void> {
    const { promise, resolve, reject } = Promise.withResolvers<void>()
    // It must be there again after it has refused connections for a while.
    if (this.port === 0) this.port = await freePort()
    // Each side's FIN travels on its own.
    const server = createServer({ allowHalfOpen: true, noDelay: true }, (client) => this.#accept(client))
    server.once('error', reject).listen(this.port, this.host, resolve)
    await promise
    this.#server = server
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#stopListening()
    for (const link of this.#links) link.destroy()
  }

  #stopListening(): void {
    this.#server?.close()
    this.#server = undefined
  }

  #accept(client: Socket): void {
    this.counts.accepted += 1
    const link = new Link(client, this.#faults.connect === 'silent' ? undefined : this.#connect(), {
      delivered: (direction, bytes) => void (this.bytes[direction] += bytes),
      cut: () => void (this.counts.cut += 1),
      commitReplyDropped: () => this.#commitReplyDropped(),
      closed: () => void this.#links.delete(link),
    })
    this.#links.add(link)
    link.setFaults(this.#faults)
  }

  #commitReplyDropped(): void {
    this.counts.commitRepliesDropped += 1
    if (!this.#dropsOne) return
    this.#dropsOne = false
    void this.faults.clear()
  }

  #connect(): Socket {
    return connect({ ...this.#target, allowHalfOpen: true, noDelay: true })
  }
}

interface LinkListener {
  delivered(direction: Direction, bytes: number): void
  cut(): void
  commitReplyDropped(): void
  closed(): void
}

/** One connection of a client, and the one to the server that stands for it (none where the server is silent). */
class Link {
  faults: Faults = {}
  readonly #client: Socket
  readonly #server: Socket | undefined
  readonly #listener: LinkListener
  readonly #lanes: Lane[] = []
  readonly #commits = new CommitReplies()
  /** COMMIT went to a server of MySQL, whose answer is due. */
  #mysqlCommit = false
  /** Bytes and commits that may still pass before a fault strikes. */
  #bytesToCut = Infinity
  #commitsToDrop = Infinity
  #silent = false

  constructor(client: Socket, server: Socket | undefined, listener: LinkListener) {
    this.#client = client
    this.#server = server
    this.#listener = listener
    // What ends one side in disorder ends the other the same way.
    client.on('error', () => this.#lose())
    client.on('close', () => this.#closeIfDone())
    server?.on('error', () => this.#lose())
    server?.on('close', () => this.#closeIfDone())
    if (server) this.#lanes.push(new Lane('toServer', client, server, this), new Lane('toClient', server, client, this))
    else client.resume()
  }

  setFaults(faults: Faults): void {
    this.faults = faults
    this.#bytesToCut = faults.cut?.after ?? Infinity
    this.#commitsToDrop = faults.dropCommitReply ?? Infinity
    // A client that has long lost its server learns so when packets reach it again.
    if (this.#silent && this.#server?.destroyed) this.#client.resetAndDestroy()
    this.#silent = false
    for (const lane of this.#lanes) lane.wake()
  }

  isHeld(direction: Direction): boolean {
    return this.#silent || this.faults.mute === direction
  }

  /** Splits bytes that are due into those to deliver now and the cut, if any, that comes after them. */
  admit(direction: Direction, bytes: Buffer): { readonly pass: Buffer; readonly andThen?: () => void } {
    const { cut } = this.faults
    const counted = cut?.direction === direction
    const reached = counted && bytes.length >= this.#bytesToCut
    const pass = reached ? bytes.subarray(0, this.#bytesToCut) : bytes
    if (direction === 'toServer' && isMysqlCommit(pass)) this.#mysqlCommit = true
    else if (direction === 'toClient' && this.#mysqlCommit) {
      // A server of MySQL answers each statement before the next one is sent.
      this.#mysqlCommit = false
      this.#commitsToDrop -= 1
      if (this.#commitsToDrop === 0) return { pass: pass.subarray(0, 0), andThen: () => this.#dropCommitReply() }
    } else if (direction === 'toClient') {
      const { commits, start } = this.#commits.find(pass, this.#commitsToDrop)
      this.#commitsToDrop -= commits
      if (start !== undefined) return { pass: pass.subarray(0, start), andThen: () => this.#dropCommitReply() }
    }
    if (counted) this.#bytesToCut = reached ? Infinity : this.#bytesToCut - pass.length
    return reached ? { pass, andThen: () => this.cut(cut.by) } : { pass }
  }

  delivered(direction: Direction, bytes: number): void {
    this.#listener.delivered(direction, bytes)
  }

  cut(by: CutKind): void {
    this.#listener.cut()
    switch (by) {
      case 'fin':
        for (const lane of this.#lanes) lane.abandon()
        for (const socket of this.#sockets()) socket.resume().end()
        return
      case 'rst':
        for (const socket of this.#sockets()) socket.resetAndDestroy()
        return
      case 'silence':
        this.#silent = true
        return
      case 'half-open':
        this.#silent = true
        this.#server?.resetAndDestroy()
        return
      default:
        throw new Error(`unknown kind of cut: ${String(by satisfies never)}`)
    }
  }

  destroy(): void {
    for (const socket of this.#sockets()) socket.destroy()
  }

  #dropCommitReply(): void {
    this.#listener.commitReplyDropped()
    this.cut('rst')
  }

  #sockets(): Socket[] {
    return this.#server ? [this.#client, this.#server] : [this.#client]
  }

  #lose(): void {
    // In silence nobody learns of the other's end.
    if (this.#silent) return
    for (const socket of this.#sockets()) if (!socket.destroyed) socket.resetAndDestroy()
  }

  #closeIfDone(): void {
    for (const lane of this.#lanes) lane.wake()
    if (this.#client.destroyed && !this.#silent) this.#server?.destroy()
    if (this.#sockets().every((socket) => socket.destroyed)) this.#listener.closed()
  }
}

/** What a lane takes in before it stops reading, which the sender then feels. */
const LANE_BYTES = 1 << 20
const SLICES_PER_SECOND = 20

interface Due {
  /** Empty at the end of the stream. */
  readonly bytes: Buffer
  readonly at: number
}

class Lane {
  readonly #direction: Direction
  readonly #from: Socket
  readonly #to: Socket
  readonly #link: Link
  readonly #queue: Due[] = []
  #queuedBytes = 0
  #abandoned = false
  #wake: () => void = () => undefined

  constructor(direction: Direction, from: Socket, to: Socket, link: Link) {
    this.#direction = direction
    this.#from = from
    this.#to = to
    this.#link = link
    from.on('data', (bytes: Buffer) => this.#take(bytes))
    from.on('end', () => this.#take(Buffer.alloc(0)))
    void this.#run()
  }

  wake(): void {
    this.#wake()
  }

  /** Nothing more is delivered, and what comes in is thrown away. */
  abandon(): void {
    this.#abandoned = true
    this.#from.removeAllListeners('data')
    this.wake()
  }

  #take(bytes: Buffer): void {
    this.#queue.push({ bytes, at: performance.now() + (this.#link.faults.latencyMs ?? 0) })
    this.#queuedBytes += bytes.length
    if (this.#queuedBytes > LANE_BYTES) this.#from.pause()
    this.wake()
  }

  async #run(): Promise<void> {
    while (!this.#abandoned && !this.#to.destroyed) {
      const [due] = this.#queue
      if (!due || this.#link.isHeld(this.#direction)) {
        await this.#woken()
        continue
      }
      const wait = due.at - performance.now()
      if (wait > 0) {
        await pause(wait)
        continue
      }
      this.#queue.shift()
      if (due.bytes.length === 0) {
        this.#to.end()
        return
      }
      await this.#deliver(due.bytes)
      this.#queuedBytes -= due.bytes.length
      if (this.#queuedBytes <= LANE_BYTES) this.#from.resume()
    }
  }

  #woken(): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>()
    this.#wake = resolve
    return promise
  }

  async #deliver(bytes: Buffer): Promise<void> {
    const { pass, andThen } = this.#link.admit(this.#direction, bytes)
    const { bytesPerSecond } = this.#link.faults
    const size =
      bytesPerSecond === undefined ? pass.length : Math.max(1, Math.floor(bytesPerSecond / SLICES_PER_SECOND))
    for (let start = 0; start < pass.length; start += size) {
      const slice = pass.subarray(start, start + size)
      if (!(await this.#write(slice))) return
      this.#link.delivered(this.#direction, slice.length)
      if (bytesPerSecond !== undefined) await pause((slice.length / bytesPerSecond) * 1000)
    }
    andThen?.()
    // What a silence holds back behind the cut is due once the faults are cleared.
    if (andThen && pass.length < bytes.length) this.#queue.unshift({ bytes: bytes.subarray(pass.length), at: 0 })
  }

  #write(bytes: Buffer): Promise<boolean> {
    const { promise, resolve } = Promise.withResolvers<boolean>()
    this.#to.write(bytes, (error) => resolve(!error))
    return promise
  }
}

/** The packet by which MySQL is sent a statement: its length in three bytes, its number 0, the command, the text. */
const MYSQL_COMMIT = Buffer.from('\x07\0\0\0\x03COMMIT', 'latin1')

function isMysqlCommit(bytes: Buffer): boolean {
  return bytes.equals(MYSQL_COMMIT)
}

const COMMAND_COMPLETE = 'C'.charCodeAt(0)
const COMMIT_TAG = Buffer.from('COMMIT\0')
const HEADER_BYTES = 5

/**
 * Finds the answers to COMMIT in what a PostgreSQL server sends: the message CommandComplete with the tag COMMIT, which
 * comes for every way of committing (simple or extended protocol, prepared, END) and only after the commit. Messages are
 * a type byte and a length that counts itself; the one-byte refusal of encryption before them is passed over. An
 * encrypted connection cannot be read.
 */
class CommitReplies {
  #started = false
  /** The part of a message that has come so far, as far as it matters: the header and the tag. */
  #head = Buffer.alloc(0)
  #toSkip = 0

  /**
   * Goes on with the next bytes. `commits` is how many answers begin in them, up to and with the one that is the
   * `nth`; `start` is where that one begins (0 where its first bytes have passed already).
   */
  find(bytes: Buffer, nth: number): { readonly commits: number; readonly start?: number } {
    let commits = 0
    let position = 0
    if (!this.#started && bytes.length === 1 && bytes.toString('latin1') === 'N') return { commits }
    this.#started = true
    while (position < bytes.length) {
      if (this.#toSkip > 0) {
        const skipped = Math.min(this.#toSkip, bytes.length - position)
        this.#toSkip -= skipped
        position += skipped
        continue
      }
      const start = Math.max(0, position - this.#head.length)
      const taken = this.#takeHead(bytes.subarray(position))
      position += taken
      if (!this.#headIsWhole()) continue
      if (this.#isCommit()) commits += 1
      this.#toSkip = 1 + this.#head.readUInt32BE(1) - this.#head.length
      this.#head = Buffer.alloc(0)
      if (commits === nth) return { commits, start }
    }
    return { commits }
  }

  #takeHead(bytes: Buffer): number {
    const taken = Math.min(this.#headLength() - this.#head.length, bytes.length)
    this.#head = Buffer.concat([this.#head, bytes.subarray(0, taken)])
    // The length may only now be known.
    return taken < bytes.length && !this.#headIsWhole() ? taken + this.#takeHead(bytes.subarray(taken)) : taken
  }

  #headIsWhole(): boolean {
    return this.#head.length >= HEADER_BYTES && this.#head.length === this.#headLength()
  }

  #headLength(): number {
    if (this.#head.length < HEADER_BYTES || this.#head[0] !== COMMAND_COMPLETE) return HEADER_BYTES
    return Math.min(1 + this.#head.readUInt32BE(1), HEADER_BYTES + COMMIT_TAG.length)
  }

  #isCommit(): boolean {
    return this.#head[0] === COMMAND_COMPLETE && this.#head.subarray(HEADER_BYTES).equals(COMMIT_TAG)
  }
}
