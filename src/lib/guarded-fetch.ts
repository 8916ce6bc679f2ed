import type { LookupFunction } from 'node:net'
import { request as requestHttp, type IncomingMessage } from 'node:http'
import { request as requestHttps } from 'node:https'
import {
  isForbiddenAddress,
  isLocalAddress,
  isPublicAddress,
  resolveHost,
  type Address,
  type Networks,
  type Resolve,
} from './network-address.ts'

/** Why nothing usable came back: in words that follow "the endpoint", and never with anything of what it sent. */
export class FetchRefused extends Error {
  override readonly name = 'FetchRefused'
}

export interface GuardedRequest {
  readonly url: URL
  readonly method: 'GET' | 'POST'
  readonly headers: Readonly<Record<string, string>>
  readonly body: string | null
  /** From the look-up of the name to the last byte. */
  readonly timeoutMs: number
  /** Of the answer's body. */
  readonly maxBytes: number
  readonly signal: AbortSignal
  /**
   * Given, only public addresses are called and those of these networks, and without TLS these networks alone. Not given,
   * this machine and its own network are called as well, also without TLS.
   */
  readonly allowed?: Networks
  /** Finds the addresses of hosts; `resolveHost` where not given. */
  readonly resolve?: Resolve
}

export interface GuardedAnswer {
  readonly status: number
  readonly type: string
  readonly body: string
}

/**
 * One request to an address that somebody configured, with bounds (S30 to S32): the name is looked up once, every address
 * is judged, and the connection goes to one of those that were judged. Redirects are answers, and are not followed.
 * @throws FetchRefused
 */
export async function guardedFetch(wanted: GuardedRequest): Promise<GuardedAnswer> {
  const signal = AbortSignal.any([wanted.signal, AbortSignal.timeout(wanted.timeoutMs)])
  try {
    const address = await judgedAddress(wanted)
    signal.throwIfAborted()
    return await read(await send(wanted, address, signal), wanted.maxBytes)
  } catch (error) {
    wanted.signal.throwIfAborted()
    if (error instanceof FetchRefused) throw error
    const reason = signal.aborted ? `did not answer within ${wanted.timeoutMs / 1_000} s` : 'cannot be reached'
    throw new FetchRefused(reason, { cause: error })
  }
}

async function judgedAddress({ url, allowed, resolve = resolveHost }: GuardedRequest): Promise<Address> {
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const found = await resolve(host)
  const [first] = found
  if (first === undefined || found.some(({ address }) => isForbiddenAddress(address))) {
    throw new FetchRefused('has an address that must not be called')
  }
  if (allowed !== undefined && !found.every(({ address }) => isPublicAddress(address) || allowed.has(address))) {
    throw new FetchRefused('has an address that is neither public nor in a network that is allowed')
  }
  if (url.protocol === 'https:') return first
  const isNear = (address: string): boolean => (allowed === undefined ? isLocalAddress(address) : allowed.has(address))
  if (url.protocol === 'http:' && found.every(({ address }) => isNear(address))) return first
  throw new FetchRefused('is not of this network, and has no TLS: its URL has to begin with https:')
}

function send(
  { url, method, headers, body }: GuardedRequest,
  to: Address,
  signal: AbortSignal,
): Promise<IncomingMessage> {
  const { promise, resolve, reject } = Promise.withResolvers<IncomingMessage>()
  // The connection is made to the address that was judged, whatever the name has come to mean since.
  const lookup: LookupFunction = (_host, { all }, done) => {
    if (all) done(null, [{ address: to.address, family: to.family }])
    else done(null, to.address, to.family)
  }
  const request = (url.protocol === 'https:' ? requestHttps : requestHttp)(url, {
    method,
    headers: { ...headers, 'accept-encoding': 'identity' },
    lookup,
    signal,
    agent: false,
  })
  request.once('response', resolve)
  request.once('error', reject)
  request.end(body ?? undefined)
  return promise
}

async function read(answer: IncomingMessage, maxBytes: number): Promise<GuardedAnswer> {
  const { headers, statusCode: status = 0 } = answer
  const refuse = (reason: string): never => {
    answer.destroy()
    throw new FetchRefused(reason)
  }
  if ((headers['content-encoding'] ?? 'identity') !== 'identity')
    refuse('sent a packed answer, which was not asked for')
  if (Number(headers['content-length'] ?? 0) > maxBytes) refuse(`sent more than ${maxBytes} bytes`)
  const chunks: Buffer[] = []
  let bytes = 0
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length
    if (bytes > maxBytes) refuse(`sent more than ${maxBytes} bytes`)
    chunks.push(chunk)
  }
  return { status, type: headers['content-type'] ?? '', body: Buffer.concat(chunks).toString('utf8') }
}
