import type { Secret } from '#lib/secret.ts'
import { AppError, ERRORS, type ErrorCode, type Retry } from '#model/errors.ts'

/** One request to the API, before anybody decided how it travels. */
export interface ApiRequest {
  readonly method: 'GET' | 'POST' | 'PUT' | 'DELETE'
  /** Below `/api/v1`, with its query. */
  readonly path: string
  readonly headers: Readonly<Record<string, string>>
  /** A text, or bytes of any number. */
  readonly body: string | AsyncIterable<Uint8Array> | null
}

export interface ApiResponse {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

/** An answer that is read while it comes. */
export interface ApiStream {
  readonly status: number
  readonly body: AsyncIterable<Uint8Array>
}

/** How requests reach a service: over HTTP, or into one that runs in this very process. */
export interface Transport extends AsyncDisposable {
  /** @throws AppError `service_unreachable` */
  send(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse>
  /** The same for an answer of any size. */
  open(request: ApiRequest, signal: AbortSignal): Promise<ApiStream>
}

/** How long an answer may take: connection tests are the slowest. */
const ANSWER_MS = 120_000

/** Over HTTP, to a service at an address, with a key. */
export class HttpTransport implements Transport {
  readonly #base: string
  readonly #key: Secret | null

  /** @param address for example `http://127.0.0.1:8001` */
  constructor(address: string, key: Secret | null) {
    this.#base = `${address.replace(/\/+$/, '')}/api/v1`
    this.#key = key
  }

  async send(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    // A body of any size takes any time.
    const until = isStream(request.body) ? signal : AbortSignal.any([signal, AbortSignal.timeout(ANSWER_MS)])
    return this.#ask(request, until, async (response) => ({
      status: response.status,
      headers: Object.fromEntries(response.headers),
      body: await response.text(),
    }))
  }

  async open(request: ApiRequest, signal: AbortSignal): Promise<ApiStream> {
    return this.#ask(request, signal, async ({ status, body }) => ({ status, body: body ?? new Blob([]).stream() }))
  }

  async #ask<T>(
    { method, path, headers, body }: ApiRequest,
    signal: AbortSignal,
    read: (response: Response) => Promise<T>,
  ): Promise<T> {
    try {
      const keyed = { ...headers, ...(this.#key === null ? {} : { 'x-api-key': this.#key.reveal() }) }
      const url = `${this.#base}${path}`
      const sent = isStream(body) ? ({ body: ReadableStream.from(body), duplex: 'half' } as const) : { body }
      return await read(await fetch(url, { method, headers: keyed, ...sent, redirect: 'error', signal }))
    } catch (error) {
      if (signal.aborted && !isTimeout(signal.reason)) throw signal.reason
      const reason = error instanceof Error && error.cause instanceof Error ? error.cause.message : String(error)
      throw new AppError('service_unreachable', `The service at ${this.#base} does not answer: ${reason}.`, {
        cause: error,
      })
    }
  }

  [Symbol.asyncDispose](): Promise<void> {
    return Promise.resolve()
  }
}

export function isStream(body: ApiRequest['body']): body is AsyncIterable<Uint8Array> {
  return typeof body === 'object' && body !== null
}

function isTimeout(reason: unknown): boolean {
  return reason instanceof Error && reason.name === 'TimeoutError'
}

const OUR_HEADERS = { accept: 'application/json', 'x-syncline-request': 'cli' } as const

/** What a call may say besides path and body. */
export interface CallOptions {
  /** The version that a change is made on; refused where it is another one by now. */
  readonly ifMatch?: string
  /** The same key never starts work twice. */
  readonly idempotencyKey?: string
}

/** The API as the command line calls it. Answers are JSON; problems come back as the errors that they were. */
export class ApiClient implements AsyncDisposable {
  readonly #transport: Transport
  readonly #signal: AbortSignal

  constructor(transport: Transport, signal: AbortSignal) {
    this.#transport = transport
    this.#signal = signal
  }

  get(path: string): Promise<unknown> {
    return this.#call({ method: 'GET', path, body: null })
  }

  post(path: string, body: unknown, options: CallOptions = {}): Promise<unknown> {
    return this.#call({ method: 'POST', path, body }, options)
  }

  put(path: string, body: unknown, options: CallOptions = {}): Promise<unknown> {
    return this.#call({ method: 'PUT', path, body }, options)
  }

  delete(path: string, options: CallOptions = {}): Promise<unknown> {
    return this.#call({ method: 'DELETE', path, body: null }, options)
  }

  /** All entries of a list, page by page. */
  async *list(path: string): AsyncGenerator<Readonly<Record<string, unknown>>> {
    for (let cursor: string | null = null; ;) {
      const mark: string =
        cursor === null ? '' : `${path.includes('?') ? '&' : '?'}cursor=${encodeURIComponent(cursor)}`
      const page = asObject(await this.get(`${path}${mark}`))
      const { items, next_cursor: next } = page
      for (const item of Array.isArray(items) ? items : []) yield asObject(item)
      if (typeof next !== 'string') return
      cursor = next
    }
  }

  /** The same, all at once. */
  async all(path: string): Promise<Readonly<Record<string, unknown>>[]> {
    const entries: Readonly<Record<string, unknown>>[] = []
    for await (const entry of this.list(path)) entries.push(entry)
    return entries
  }

  /** An answer that is no JSON, or too large to be held, as it comes. @throws AppError for a problem */
  async download(path: string): Promise<AsyncIterable<Uint8Array>> {
    const request = { method: 'GET', path, headers: { 'x-syncline-request': 'cli' }, body: null } as const
    const { status, body } = await this.#transport.open(request, this.#signal)
    if (status < 400) return body
    const pieces: Uint8Array[] = []
    for await (const piece of body) pieces.push(piece)
    throw toError(status, readJson({ status, headers: {}, body: Buffer.concat(pieces).toString('utf8') }))
  }

  /** Sends a file as the body, however large it is. */
  upload(path: string, bytes: AsyncIterable<Uint8Array>): Promise<unknown> {
    const headers = { ...OUR_HEADERS, 'content-type': 'application/octet-stream' }
    return this.#send({ method: 'POST', path, headers, body: bytes })
  }

  async #call(
    { method, path, body }: { method: ApiRequest['method']; path: string; body: unknown },
    { ifMatch, idempotencyKey }: CallOptions = {},
  ): Promise<unknown> {
    const headers = {
      ...OUR_HEADERS,
      ...(body === null ? {} : { 'content-type': 'application/json' }),
      ...(ifMatch === undefined ? {} : { 'if-match': ifMatch }),
      ...(idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey }),
    }
    return this.#send({ method, path, headers, body: body === null ? null : JSON.stringify(body) })
  }

  async #send(request: ApiRequest): Promise<unknown> {
    const response = await this.#transport.send(request, this.#signal)
    const answer = readJson(response)
    if (response.status >= 400) throw toError(response.status, answer)
    return answer
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#transport[Symbol.asyncDispose]()
  }
}

export function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? Object.fromEntries(Object.entries(value))
    : {}
}

function readJson({ status, body }: ApiResponse): unknown {
  if (body === '') return null
  try {
    return JSON.parse(body)
  } catch (error) {
    throw new AppError('service_unreachable', `What answers there is no Syncline service (status ${status}).`, {
      hint: 'Check the address in --server or SYNCLINE_SERVER.',
      retry: 'after-fix',
      cause: error,
    })
  }
}

/** The error that a problem (RFC 9457) tells of. */
function toError(status: number, answer: unknown): AppError {
  const problem = asObject(answer)
  const { code, detail, title, hint, retry, errors } = problem
  const places = (Array.isArray(errors) ? errors : []).map(asObject)
  const again = isRetry(retry) ? { retry } : {}
  if (code === 'invalid_request' && places.length > 0) return new AppError(code, ...inWordsOfCommands(places, again))
  const words = [
    detail ?? title ?? `The service answered ${status}.`,
    ...places.map(({ place, message }) => `${String(place)}: ${String(message)}`),
  ]
  const said = typeof hint === 'string' ? { hint } : {}
  return new AppError(isCode(code) ? code : 'internal', words.map(String).join('\n  '), { ...said, ...again })
}

/** Whoever gave a word to a command does not know in which part of a request it went. */
function inWordsOfCommands(
  places: readonly Readonly<Record<string, unknown>>[],
  again: { readonly retry?: Retry },
): [message: string, options: { hint: string; retry?: Retry }] {
  const isNamed = places.every(({ place }) => String(place).startsWith('path#'))
  const words = places.map(({ place, message }) => {
    const field = String(place).replace(/^\w+#\/?/, '')
    return isNamed || field === '' ? String(message) : `${field}: ${String(message)}`
  })
  const hint = isNamed ? ERRORS.not_found.hint : 'The help of the command (--help) says what it takes.'
  return [words.join('\n  '), { hint, ...again }]
}

function isCode(code: unknown): code is ErrorCode {
  return typeof code === 'string' && Object.hasOwn(ERRORS, code)
}

function isRetry(retry: unknown): retry is Retry {
  return retry === 'never' || retry === 'later' || retry === 'after-fix'
}
