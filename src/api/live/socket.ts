import { setInterval } from 'node:timers/promises'
import type { WebSocket } from '@fastify/websocket'
import type { FastifyRequest } from 'fastify'
import { z } from 'zod'
import { principalOf, type Context } from '#api/context.ts'
import { idOf } from '#api/contract/ids.ts'
import { followJob } from '#api/live/follow-job.ts'
import { presentEvent, presentProgress } from '#api/present.ts'
import { toProblem } from '#api/problem.ts'
import { isStillGood, type Principal } from '#api/security/principal.ts'
import { visibleJob } from '#api/visible.ts'
import { AppError } from '#model/errors.ts'

/** What somebody at the other end may say. */
const Message = z.discriminatedUnion('type', [
  z.strictObject({ type: z.literal('subscribe'), job_id: idOf('job'), after: z.int().min(0).optional() }),
  z.strictObject({ type: z.literal('unsubscribe'), job_id: idOf('job') }),
  z.strictObject({ type: z.literal('ping') }),
])

type Message = z.infer<typeof Message>

/** Messages in a window of time, above which a socket is closed; and jobs that one socket follows. */
const MESSAGES = 60
const WINDOW_MS = 10_000
const MOST_JOBS = 50

/** Bytes that wait for a slow reader, above which it is given up: what it missed it can ask for again. */
const MOST_WAITING = 1_048_576

/** Close codes of RFC 6455, and one of our own for a key that is no longer good. */
const CLOSE = { going: 1001, refused: 4001, policy: 1008, overload: 1013 } as const

/** Serves one socket until it closes: it follows the jobs that the other end names. */
export function serveSocket(context: Context, socket: WebSocket, request: FastifyRequest): void {
  const principal = principalOf(request)
  let leave: () => void
  try {
    leave = context.streams.take(principal.key.id)
  } catch {
    socket.close(CLOSE.overload, 'too many streams')
    return
  }
  const session = new SocketSession(context, socket, principal)
  const end = (): void => session.end(CLOSE.going)
  context.closing.addEventListener('abort', end, { once: true })
  socket.on('message', (data, isBinary) => session.hear(isBinary ? null : String(data as Buffer), request))
  socket.on('close', () => {
    context.closing.removeEventListener('abort', end)
    session.end(CLOSE.going)
    leave()
  })
  void session.watchKey().catch((error: unknown) => {
    request.log.error({ err: error }, 'a socket broke off')
    session.end(CLOSE.overload)
  })
}

class SocketSession {
  readonly #context: Context
  readonly #socket: WebSocket
  readonly #principal: Principal
  readonly #ended = new AbortController()
  readonly #jobs = new Map<string, AbortController>()
  #windowStart: number
  #heard = 0

  constructor(context: Context, socket: WebSocket, principal: Principal) {
    this.#context = context
    this.#socket = socket
    this.#principal = principal
    this.#windowStart = context.store.clock.elapsed()
  }

  hear(text: string | null, request: FastifyRequest): void {
    const now = this.#context.store.clock.elapsed()
    if (now - this.#windowStart > WINDOW_MS) {
      this.#windowStart = now
      this.#heard = 0
    }
    if (++this.#heard > MESSAGES) return this.end(CLOSE.policy)
    const message = read(text)
    if (message === null) {
      this.#send({ type: 'error', code: 'invalid_request', message: 'This message is not known here.' })
      return
    }
    this.#act(message).catch((error: unknown) => {
      const { code, detail, hint, status } = toProblem(error, request.id)
      if (status >= 500) request.log.error({ err: error }, 'a message on a socket failed')
      const job = message.type === 'ping' ? {} : { job_id: message.job_id }
      this.#send({ type: 'error', ...job, code, message: detail, hint })
    })
  }

  /** Closes the socket when the key behind it is no longer good, also where it follows nothing (S12). */
  async watchKey(): Promise<void> {
    const { limits } = this.#context.config
    try {
      for await (const _ of setInterval(limits.pollMs, null, { signal: this.#ended.signal })) {
        if (!(await this.#isGood())) return this.end(CLOSE.refused)
      }
    } catch (error) {
      if (!this.#ended.signal.aborted) throw error
    }
  }

  end(code: number): void {
    if (this.#ended.signal.aborted) return
    this.#ended.abort()
    this.#socket.close(code)
  }

  async #act(message: Message): Promise<void> {
    switch (message.type) {
      case 'ping':
        return this.#send({ type: 'pong' })
      case 'unsubscribe':
        this.#jobs.get(message.job_id)?.abort()
        this.#jobs.delete(message.job_id)
        return this.#send({ type: 'unsubscribed', job_id: message.job_id })
      case 'subscribe':
        return this.#follow(message.job_id, message.after ?? 0)
      default:
        throw new Error(`unknown message ${String(message satisfies never)}`)
    }
  }

  async #follow(jobId: string, after: number): Promise<void> {
    if (this.#jobs.size >= MOST_JOBS && !this.#jobs.has(jobId)) {
      throw new AppError('rate_limited', `A socket follows at most ${MOST_JOBS} jobs.`)
    }
    // A second subscription takes the place of the first.
    this.#jobs.get(jobId)?.abort()
    const stop = new AbortController()
    this.#jobs.set(jobId, stop)
    try {
      await visibleJob(this.#context.store, this.#principal.actor, jobId)
      this.#send({ type: 'subscribed', job_id: jobId, after })
      const signal = AbortSignal.any([stop.signal, this.#ended.signal])
      for await (const step of followJob(this.#context, { jobId, after, signal }, () => this.#isGood())) {
        if (step.kind === 'events') {
          for (const event of step.events) {
            const { type, ...rest } = presentEvent(jobId, event)
            this.#send({ type: 'event', event: type, ...rest })
          }
        }
        if (step.kind === 'progress') {
          this.#send({ type: 'progress', job_id: jobId, progress: presentProgress(step.progress) })
        }
        if (step.kind === 'end') this.#send({ type: 'end', job_id: jobId, reason: step.reason })
      }
    } finally {
      if (this.#jobs.get(jobId) === stop) this.#jobs.delete(jobId)
    }
  }

  #isGood(): Promise<boolean> {
    return isStillGood(this.#context, this.#principal)
  }

  #send(message: Readonly<Record<string, unknown>>): void {
    if (this.#socket.readyState !== this.#socket.OPEN) return
    if (this.#socket.bufferedAmount > MOST_WAITING) return this.end(CLOSE.overload)
    this.#socket.send(JSON.stringify(message))
  }
}

/** A message in the form that we know, or null. */
function read(text: string | null): Message | null {
  if (text === null) return null
  try {
    const found = Message.safeParse(JSON.parse(text))
    return found.success ? found.data : null
  } catch {
    return null
  }
}
