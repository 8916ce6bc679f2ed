import { Agent as PlainAgent, request as requestPlain, type IncomingMessage } from 'node:http'
import { Agent as TlsAgent, request as requestTls } from 'node:https'
import type { LookupFunction } from 'node:net'
import { toAppError } from '#adapters/postgres/errors.ts'
import { toError } from '#lib/assert.ts'
import { backoffMs } from '#lib/backoff.ts'
import { abortReason, delay } from '#lib/clock.ts'
import { AppError } from '#model/errors.ts'
import { asRowsRefused, toRestError } from './errors.ts'
import { readKey, type RestPlace } from './place.ts'

/** A question to the API. Everything in `path` and `query` is percent-encoded already. */
export interface Question {
  readonly method: 'GET' | 'HEAD' | 'POST'
  /** Of the table or the function, or empty for the description of the API. */
  readonly path: string
  readonly query: string
  readonly schema: string
  readonly count?: 'exact' | 'planned'
  /** JSON, with POST. What it asks for may be done twice: its answer may be lost, and then it is asked again. */
  readonly body?: string
  /** The schema of the rows that are written: what the server refuses for what it holds is told as that. */
  readonly rowsOf?: string
  /** For errors, in words that end the sentence "while …". */
  readonly doing: string
}

export interface Answer {
  readonly status: number
  readonly headers: Readonly<IncomingMessage['headers']>
  readonly body: string
}

/** No byte for so long ends the wait (hazard A15). Statements of the API's roles are ended by the server before that. */
const IDLE_MS = 30_000
/** What one answer may hold: pages are cut to much less, so that only a single row can come near. */
export const MAX_ANSWER_BYTES = 64 * 1024 * 1024
const MAX_HEADER_BYTES = 64 * 1024
/** Gateways in front of projects refuse longer ones. */
export const MAX_QUERY_BYTES = 6 * 1024
const ATTEMPTS = 6
const BACKOFF = { firstMs: 200, ceilingMs: 10_000 }
const LONGEST_WAIT_MS = 60_000
/** Requests under way at once: a project has a few dozen connections for all its users. */
const SOCKETS = 4

/** The answer is larger than may be held; a smaller page may do. */
export class AnswerTooLarge extends Error {
  override readonly name = 'AnswerTooLarge'
}

/** What answered ended the statement because it took too long; a smaller page may do. */
export class StatementTimedOut extends Error {
  override readonly name = 'StatementTimedOut'
}

/** What stands between here and the database takes no body of this size; a smaller one may do. */
export class QuestionTooLarge extends Error {
  override readonly name = 'QuestionTooLarge'
}

interface Connecting {
  /** Silence after which a wait ends. */
  readonly idleMs?: number
  readonly agent?: PlainAgent
}

/** Worth another try, and when. */
class Transient extends Error {
  override readonly name = 'Transient'
  readonly error: AppError
  readonly waitMs: number | null

  constructor(error: AppError, waitMs: number | null) {
    super(error.message, { cause: error })
    this.error = error
    this.waitMs = waitMs
  }
}

/**
 * Asks a REST API of one place, and no other: redirects are not followed, addresses are judged before they are connected
 * to, and the key stands in headers alone. What may pass by itself (429, 5xx, a cut connection) is asked again a few
 * times, after as long as the server says: all questions may be asked twice.
 */
export class RestClient implements AsyncDisposable {
  readonly place: RestPlace
  readonly #signal: AbortSignal
  readonly #agent: PlainAgent
  readonly #idleMs: number
  readonly #headers: Readonly<Record<string, string>>

  constructor(place: RestPlace, signal: AbortSignal, { idleMs = IDLE_MS, agent }: Connecting = {}) {
    this.place = place
    this.#signal = signal
    this.#idleMs = idleMs
    const options = { keepAlive: true, maxSockets: SOCKETS }
    this.#agent = agent ?? (place.base.protocol === 'https:' ? new TlsAgent(options) : new PlainAgent(options))
    const key = place.key.reveal().trim()
    // Only a token may stand as one: the newer keys of Supabase are refused there.
    const token = readKey(place.key).kind === 'token'
    this.#headers = { apikey: key, ...(token ? { authorization: `Bearer ${key}` } : {}) }
  }

  /** The same connections, for questions that another signal ends as well. It is not to be disposed of. */
  within(signal: AbortSignal): RestClient {
    const both = AbortSignal.any([this.#signal, signal])
    return new RestClient(this.place, both, { idleMs: this.#idleMs, agent: this.#agent })
  }

  /** @throws AppError, AnswerTooLarge, StatementTimedOut, RowsRefused */
  async ask(question: Question): Promise<Answer> {
    for (let attempt = 1; ; attempt++) {
      try {
        return await this.#once(question)
      } catch (thrown) {
        if (this.#signal.aborted) throw abortReason(this.#signal)
        if (!(thrown instanceof Transient)) throw thrown
        const { error, waitMs } = thrown
        if (attempt >= ATTEMPTS) throw error
        await delay(waitMs ?? backoffMs(BACKOFF, attempt, Math.random()), this.#signal)
      }
    }
  }

  /** One request, tried once: for looking at a place step by step. @throws AppError */
  async tryOnce(question: Question): Promise<Answer> {
    try {
      return await this.#once(question)
    } catch (thrown) {
      if (thrown instanceof Transient) throw thrown.error
      if (thrown instanceof AppError) throw thrown
      throw new AppError('unexpected_answer', toError(thrown).message, { cause: thrown })
    }
  }

  async #once(question: Question): Promise<Answer> {
    let answer: Answer
    try {
      answer = await this.#send(question)
    } catch (thrown) {
      if (thrown instanceof AnswerTooLarge) throw thrown
      if (isMalformed(thrown)) {
        throw new AppError('unexpected_answer', `The answer is no proper HTTP (while ${question.doing}).`, {
          cause: thrown,
        })
      }
      const error = toAppError(thrown, question.doing)
      // Whoever fell silent has had the time that a wait may take.
      const again = error.retry === 'later' && error.code !== 'connection_timeout'
      throw again ? new Transient(error, null) : error
    }
    if (answer.status >= 200 && answer.status < 300) return answer
    if (answer.body.includes('"57014"')) throw new StatementTimedOut(`the server ended it (while ${question.doing})`)
    if (answer.status === 413) throw new QuestionTooLarge(`the request is too large (while ${question.doing})`)
    const refused = question.rowsOf === undefined ? null : asRowsRefused(answer, question.rowsOf)
    if (refused !== null) throw refused
    const error = toRestError(answer, question.doing, this.place)
    throw answer.status === 429 || answer.status >= 500 ? new Transient(error, retryAfterMs(answer)) : error
  }

  async #send(question: Question): Promise<Answer> {
    const { method, path, query, body, doing } = question
    if (query.length > MAX_QUERY_BYTES) {
      throw new AppError('key_too_long', `A key is too long to be named in a URL (while ${doing}).`)
    }
    // An address in place of a name is connected to without a look-up: it is judged here.
    await this.place.resolve(this.place.base.hostname.replace(/^\[|\]$/g, ''))
    const url = new URL(this.place.base)
    url.pathname += path
    url.search = query
    const { promise, resolve, reject } = Promise.withResolvers<Answer>()
    const send = url.protocol === 'https:' ? requestTls : requestPlain
    const request = send(url, {
      method,
      agent: this.#agent,
      signal: this.#signal,
      maxHeaderSize: MAX_HEADER_BYTES,
      lookup: this.#lookup,
      headers: {
        ...this.#headers,
        accept: path === '' ? 'application/openapi+json, application/json' : 'application/json',
        'accept-encoding': 'identity',
        ...(body === undefined
          ? { 'accept-profile': question.schema }
          : {
              'content-profile': question.schema,
              'content-type': 'application/json',
              'content-length': Buffer.byteLength(body),
            }),
        // Times with a zone come in one zone, whatever the role's own is.
        prefer: ['timezone=UTC', ...(question.count === undefined ? [] : [`count=${question.count}`])].join(', '),
        'user-agent': 'syncline',
      },
      ...(this.place.ca === null ? {} : { ca: this.place.ca }),
    })
    const timer = setTimeout(() => request.destroy(silent(this.place)), this.place.connectTimeoutMs)
    request.on('socket', (socket) => {
      if (!socket.connecting) clearTimeout(timer)
      else socket.once(url.protocol === 'https:' ? 'secureConnect' : 'connect', () => clearTimeout(timer))
    })
    request.setTimeout(this.#idleMs, () => request.destroy(silent(this.place)))
    request.on('error', reject)
    request.on('response', (response) => {
      collect(response).then(resolve, (error: unknown) => {
        request.destroy()
        reject(toError(error))
      })
    })
    request.end(body)
    try {
      return await promise
    } finally {
      clearTimeout(timer)
    }
  }

  /** What is connected to are the very addresses that were judged (S33). */
  readonly #lookup: LookupFunction = (host, options, callback) => {
    const look = async (): Promise<void> => {
      const [error, addresses] = await this.place.resolve(host).then(
        (found) => [null, found] as const,
        (thrown: unknown) => [toError(thrown), []] as const,
      )
      if (options.all === true) callback(error, [...addresses])
      else callback(error, addresses[0]?.address ?? '', addresses[0]?.family)
    }
    void look()
  };

  [Symbol.asyncDispose](): Promise<void> {
    this.#agent.destroy()
    return Promise.resolve()
  }
}

/** What the parser of HTTP holds against an answer: headers without end, for one (S37). */
function isMalformed(thrown: unknown): boolean {
  return thrown instanceof Error && 'code' in thrown && String(thrown.code).startsWith('HPE_')
}

function silent(place: RestPlace): AppError {
  return new AppError('connection_timeout', `${place.base.host} did not answer in time.`)
}

/** The whole body, whose end is the protocol's own: a body that is cut rejects. */
async function collect(response: IncomingMessage): Promise<Answer> {
  const parts: Buffer[] = []
  let bytes = 0
  for await (const part of response as AsyncIterable<Buffer>) {
    bytes += part.length
    if (bytes > MAX_ANSWER_BYTES) throw new AnswerTooLarge(`an answer is larger than ${MAX_ANSWER_BYTES} bytes`)
    parts.push(part)
  }
  if (!response.complete) throw new AppError('connection_lost', 'An answer ended in the middle.')
  let body: string
  try {
    body = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(Buffer.concat(parts))
  } catch (error) {
    throw new AppError('unexpected_answer', 'An answer is not UTF-8.', { cause: error })
  }
  return { status: response.statusCode ?? 0, headers: response.headers, body }
}

/** Only the form in seconds; a date waits as long as the back-off says. */
function retryAfterMs({ headers }: Answer): number | null {
  const text = headers['retry-after'] ?? ''
  return /^\d{1,6}$/.test(text) ? Math.min(LONGEST_WAIT_MS, Number(text) * 1_000) : null
}
