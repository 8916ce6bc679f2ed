/** The whole service as somebody starts it, and its API as a stranger calls it: over HTTP, with what it prints. */
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'

import { runProgram, startProgram, type Exit, type Program } from './process.ts'
import { MIRROR_POLICIES } from './service.ts'

const POLL_MS = 50

export type Answer = Readonly<Record<string, unknown>>

export interface JobEvent {
  readonly seq: number
  readonly event: string
  readonly data: Answer
}

/** A data directory with a service on it, which can be killed and started again. */
export class ServeUnderTest implements AsyncDisposable {
  readonly folder = mkdtempSync(join(tmpdir(), 'syncline-serve-'))
  readonly #given: Readonly<Record<string, string>>
  readonly #env: Readonly<Record<string, string>>
  #program: Program | null = null
  #url = ''
  key = ''

  constructor(env: Readonly<Record<string, string>> = {}) {
    this.#given = env
    this.#env = {
      SYNCLINE_DATA_DIR: this.folder,
      SYNCLINE_ENV_FILE: '/dev/null',
      SYNCLINE_LEASE_SECONDS: '5',
      PORT: '0',
      ...env,
    }
  }

  get url(): string {
    return this.#url
  }

  get program(): Program {
    if (this.#program === null) throw new Error('The service is not started.')
    return this.#program
  }

  /**
   * Another service on the same store, with a data directory of its own, whose API takes the same key. Both must have been
   * given the store and SECRET_KEY.
   */
  beside(env: Readonly<Record<string, string>> = {}): ServeUnderTest {
    const other = new ServeUnderTest({ ...this.#given, ...env })
    other.key = this.key
    return other
  }

  /** Starts it, and makes the first key where there is none. */
  async start(): Promise<this> {
    await this.#serve()
    if (this.key === '') {
      const made = await this.call('POST', '/api/v1/setup', { token: await this.#readSetupToken() })
      this.key = String(made.body['key'])
    }
    return this
  }

  /** Starts it for the first time. Returns the token by which the first key can be made. */
  async startWithoutKey(): Promise<string> {
    await this.#serve()
    return this.#readSetupToken()
  }

  async #serve(): Promise<void> {
    this.#program = startProgram(['serve'], { env: this.#env })
    const [, url = ''] = await this.#program.untilOutput(/Syncline serves at (http:\/\/\S+),/)
    this.#url = url
  }

  async #readSetupToken(): Promise<string> {
    const [token = ''] = await this.program.untilOutput(/setup_[\w-]+/)
    return token
  }

  async call(
    method: string,
    path: string,
    body?: unknown,
    headers: Readonly<Record<string, string>> = {},
  ): Promise<{ readonly status: number; readonly body: Answer; readonly text: string }> {
    const response = await fetch(`${this.#url}${path}`, {
      method,
      headers: {
        ...(this.key === '' ? {} : { 'x-api-key': this.key }),
        ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
    const text = await response.text()
    const parsed: unknown = text.startsWith('{') ? JSON.parse(text) : {}
    return { status: response.status, body: parsed as Answer, text }
  }

  /** A call that must succeed. */
  async ask(method: string, path: string, body?: unknown): Promise<Answer> {
    const answer = await this.call(method, path, body)
    if (answer.status >= 400) throw new Error(`${method} ${path} answered ${answer.status}: ${answer.text}`)
    return answer.body
  }

  /** Registers two databases, `shop` and the writable `copy`, and the sync config `shop copy` between them: a mirror. */
  async register(ends: { readonly source: string; readonly target: string }): Promise<void> {
    await this.ask('POST', '/api/v1/datasources', { name: 'shop', url: ends.source })
    await this.ask('POST', '/api/v1/datasources', { name: 'copy', url: ends.target, writable: true })
    await this.ask('POST', '/api/v1/sync-configs', {
      name: 'shop copy',
      source_datasource_id: 'shop',
      target_datasource_id: 'copy',
      ...MIRROR_POLICIES,
    })
  }

  /** Starts a job of that config. Returns its id. */
  async run(body: object = {}): Promise<string> {
    return String((await this.ask('POST', '/api/v1/sync/shop%20copy', body))['job_id'])
  }

  /** Waits until a job has one of these statuses, over times in which the service says that its store is away (503). */
  async until(id: string, statuses: readonly string[], timeoutMs = 180_000): Promise<Answer> {
    for (const deadline = performance.now() + timeoutMs; performance.now() < deadline;) {
      const { status, body, text } = await this.call('GET', `/api/v1/jobs/${id}`)
      if (status === 200 && statuses.includes(String(body['status']))) return body
      if (status !== 200 && status !== 503) throw new Error(`The job ${id}: ${status} ${text}`)
      await pause(POLL_MS)
    }
    throw new Error(`The job ${id} did not become ${statuses.join(' or ')}.`)
  }

  /** Waits for the end of a job, which must be a good one. */
  async succeeded(id: string): Promise<Answer> {
    const job = await this.until(id, ['succeeded', 'failed', 'stopped', 'cancelled'])
    if (job['status'] === 'succeeded') return job
    throw new Error(`The job ${id}: ${JSON.stringify(job)}`)
  }

  /**
   * The events of a job as they come, from the first one to its end, over streams that break off: a reader comes back with
   * the number that it saw last. @throws where a number is missing or comes twice
   */
  async *follow(id: string): AsyncGenerator<JobEvent> {
    for (let last = 0; ; await pause(POLL_MS)) {
      const headers = { 'x-api-key': this.key, 'last-event-id': String(last) }
      const answer = await fetch(`${this.#url}/api/v1/jobs/${id}/events`, { headers })
      if (answer.status === 204) return
      if (answer.status === 503) continue
      if (answer.body === null || answer.status !== 200) throw new Error(`The events of ${id}: ${await answer.text()}`)
      for await (const frame of frames(answer.body)) {
        if (frame.event === 'end') break
        if (frame.event === 'progress') continue
        if (frame.seq !== last + 1) throw new Error(`The event ${frame.seq} of ${id} came after ${last}.`)
        last = frame.seq
        yield frame
      }
    }
  }

  /** All events of a job, once it has come to its end. */
  async followToEnd(id: string): Promise<readonly JobEvent[]> {
    const events: JobEvent[] = []
    for await (const event of this.follow(id)) events.push(event)
    return events
  }

  /** A command that speaks to this service, or to its store. */
  cli(args: readonly string[], { local = false }: { local?: boolean } = {}): Promise<Exit> {
    const remote = { SYNCLINE_SERVER: this.#url, SYNCLINE_API_KEY: this.key }
    return runProgram(args, { env: { ...this.#env, ...(local ? {} : remote) } })
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#program?.kill()
    rmSync(this.folder, { recursive: true, force: true })
  }
}

/** The frames of an event stream, until it ends or breaks off. */
async function* frames(body: ReadableStream<Uint8Array>): AsyncGenerator<JobEvent> {
  let text = ''
  try {
    for await (const chunk of body.pipeThrough(new TextDecoderStream())) {
      text += chunk
      for (let end = text.indexOf('\n\n'); end >= 0; end = text.indexOf('\n\n')) {
        const lines = text.slice(0, end).split('\n')
        text = text.slice(end + 2)
        const field = (name: string): string =>
          lines.find((line) => line.startsWith(`${name}: `))?.slice(name.length + 2) ?? ''
        if (field('event') === '') continue
        yield { seq: Number(field('id')), event: field('event'), data: JSON.parse(field('data')) as Answer }
      }
    }
  } catch (error) {
    // A service that is killed breaks its streams off.
    if (!(error instanceof TypeError)) throw error
  }
}
