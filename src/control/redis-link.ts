import { isIP } from 'node:net'
import type { Redis } from 'ioredis'
import { toError } from '#lib/assert.ts'
import { backoffMs } from '#lib/backoff.ts'
import { delay, systemClock } from '#lib/clock.ts'
import type { Resolve } from '#lib/network-address.ts'
import { AppError } from '#model/errors.ts'
import { describeRedis, type RedisPlace } from '#model/redis.ts'

export interface RedisLinkOptions {
  /** Where it is, asked at each connection. @throws AppError where nobody can say */
  readonly place: () => Promise<RedisPlace>
  /** Finds the addresses of a host, and refuses those that must not be connected to. */
  readonly resolve: Resolve
  /** How long one question may take, with all repetitions of it. */
  readonly deadlineMs?: number
}

const DEADLINE_MS = 10_000
/** A connection that nobody has used for so long is ended: another Redis may have been set up meanwhile. */
const IDLE_MS = 15_000
const BACKOFF = { firstMs: 50, ceilingMs: 1_000 }

/**
 * The connection to a Redis. It is made when it is needed, and made anew, with growing pauses, where it broke: what is
 * asked must be of the kind that can be asked twice. No question waits longer than its deadline. What went wrong is told
 * without the error of the driver, which carries what was sent: the password among it.
 */
export class RedisLink implements AsyncDisposable {
  readonly #options: RedisLinkOptions
  readonly #deadlineMs: number
  #connection: Connection | null = null
  #where = 'The Redis'
  #idle: NodeJS.Timeout | null = null
  #asking = 0

  constructor(options: RedisLinkOptions) {
    this.#options = options
    this.#deadlineMs = options.deadlineMs ?? DEADLINE_MS
  }

  /** @throws AppError `redis_unavailable`, `redis_unsuitable`, `staging_full`, and those of `place` and `resolve` */
  async ask<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#asking += 1
    try {
      return await this.#insist(question)
    } finally {
      this.#asking -= 1
      if (this.#asking === 0) this.#idle = setTimeout(() => this.#drop(), IDLE_MS).unref()
    }
  }

  async #insist<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    const deadline = systemClock.elapsed() + this.#deadlineMs
    for (let attempt = 1; ; attempt++) {
      const fault = await within(deadline, this.#once(question)).then(
        (answer) => ({ answer }),
        (error: unknown) => this.#judge(toError(error)),
      )
      if ('answer' in fault) return fault.answer
      if (fault.lost) this.#drop()
      const pause = backoffMs(BACKOFF, attempt, Math.random())
      if (!fault.again || systemClock.elapsed() + pause >= deadline) throw fault.error
      await delay(pause)
    }
  }

  async #once<T>(question: (redis: Redis) => Promise<T>): Promise<T> {
    this.#connection ??= new Connection((opened) => this.#connect(opened))
    return question(await this.#connection.ready)
  }

  async #connect(opened: (redis: Redis) => void): Promise<Redis> {
    const place = await this.#options.place()
    this.#where = `The Redis at ${describeRedis(place)}`
    const [address] = await this.#options.resolve(place.host)
    if (address === undefined) throw Object.assign(new Error('no address'), { code: 'ENOTFOUND' })
    const servername = isIP(place.host) === 0 ? { servername: place.host } : {}
    // Most programs that may ask a Redis never do.
    const driver = await import('ioredis')
    const client = new driver.Redis({
      // The address that was judged, whatever the name has come to mean since.
      host: address.address,
      port: place.port,
      ...(place.tls ? { tls: { host: address.address, port: place.port, ...servername } } : {}),
      lazyConnect: true,
      // Repetitions and deadlines are ours: the driver tries each thing once.
      retryStrategy: null,
      maxRetriesPerRequest: 0,
      enableOfflineQueue: false,
      enableReadyCheck: false,
      autoResendUnfulfilledCommands: false,
      connectTimeout: this.#deadlineMs,
      disableClientInfo: true,
      protocol: 2,
    })
    let said: Error | null = null
    client.on('error', (error: Error) => (said = error))
    opened(client)
    try {
      await client.connect()
      // Not by the driver, which writes to the console where they fail.
      if (place.password !== null) {
        const secret = place.password.reveal()
        await (place.user === null ? client.auth(secret) : client.auth(place.user, secret))
      }
      if (place.db !== 0) await client.select(place.db)
      return client
    } catch (error) {
      client.disconnect()
      // The connection says why it was closed.
      throw said ?? error
    }
  }

  #judge(error: Error): { error: AppError; again: boolean; lost: boolean } {
    if (error instanceof AppError) return { error, again: false, lost: true }
    const where = this.#where
    if (error.name === 'ReplyError') return judgeReply(where, error.message)
    const { code } = error as NodeJS.ErrnoException
    const why =
      error instanceof TooLate ? `has not answered within ${this.#deadlineMs / 1_000} s` : wordsFor(error, code)
    return { error: new AppError('redis_unavailable', `${where} ${why}.`), again: true, lost: true }
  }

  #drop(): void {
    this.#connection?.end()
    this.#connection = null
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#idle !== null) clearTimeout(this.#idle)
    this.#drop()
    return Promise.resolve()
  }
}

/** One connection, from the look-up on: it can be ended at each moment, also while nobody answers. */
class Connection {
  readonly ready: Promise<Redis>
  #redis: Redis | null = null
  #ended = false

  constructor(connect: (opened: (redis: Redis) => void) => Promise<Redis>) {
    this.ready = connect((redis) => {
      this.#redis = redis
      if (this.#ended) redis.disconnect()
    })
    this.ready.catch(() => undefined)
  }

  end(): void {
    this.#ended = true
    this.#redis?.disconnect()
  }
}

class TooLate extends Error {
  override readonly name = 'TooLate'
}

/** What comes later is not waited for, and hurts nobody. */
async function within<T>(deadline: number, work: Promise<T>): Promise<T> {
  const over = new AbortController()
  work.catch(() => undefined)
  const late = delay(Math.max(0, deadline - systemClock.elapsed()), over.signal).then(
    () => Promise.reject(new TooLate()),
    () => new Promise<never>(() => undefined),
  )
  try {
    return await Promise.race([work, late])
  } finally {
    over.abort()
  }
}

/** A reply begins with a word in capitals that says what kind of error it is. */
function judgeReply(where: string, message: string): { error: AppError; again: boolean; lost: boolean } {
  const [word = ''] = message.split(' ', 1)
  switch (word) {
    case 'WRONGPASS':
    case 'NOAUTH':
    case 'NOPERM': {
      const hint =
        'Check user and password of the URL, and that the user may read and write keys that begin with syncline:.'
      const error = new AppError('redis_unavailable', `${where} refuses the login or what it may do (${word}).`, {
        hint,
        retry: 'after-fix',
      })
      return { error, again: false, lost: word !== 'NOPERM' }
    }
    case 'OOM': {
      const error = new AppError('staging_full', `${where} has no memory left: it has reached its maxmemory.`, {
        hint: 'Raise maxmemory of the Redis, discard change sets that nobody needs any more, or use staging: embedded.',
      })
      return { error, again: false, lost: false }
    }
    case 'READONLY':
      return {
        error: new AppError('redis_unsuitable', `${where} is a replica, which cannot be written.`, {
          hint: 'Give the address of the primary.',
        }),
        again: false,
        lost: true,
      }
    case 'LOADING':
    case 'BUSY':
    case 'MASTERDOWN':
      return { error: new AppError('redis_unavailable', `${where} is not ready (${word}).`), again: true, lost: false }
    case 'MISCONF':
      return {
        error: new AppError('redis_unavailable', `${where} takes no writes, because it cannot save to its disk.`),
        again: false,
        lost: false,
      }
    default:
      // The rest of it may repeat what was sent.
      return {
        error: new AppError('redis_unavailable', `${where} answers with an error (${word}).`, { retry: 'after-fix' }),
        again: false,
        lost: true,
      }
  }
}

const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'cannot be reached: nothing listens at this host and port',
  ENOTFOUND: 'cannot be reached: its host name does not resolve',
  EAI_AGAIN: 'cannot be reached: its host name cannot be looked up now',
  ETIMEDOUT: 'cannot be reached: it did not answer in time',
  EHOSTUNREACH: 'cannot be reached: there is no way to it',
  ENETUNREACH: 'cannot be reached: there is no way to it',
  ECONNRESET: 'has cut the connection',
  EPIPE: 'has cut the connection',
  ERR_SSL_WRONG_VERSION_NUMBER: 'does not speak TLS at this port: its URL begins with redis://',
}

function wordsFor({ message }: Error, code: string | undefined): string {
  const known = WORDS[code ?? '']
  if (known !== undefined) return known
  if (code !== undefined && /CERT|SIGNATURE|ISSUER|ALTNAME/.test(code))
    return `has a certificate that is not trusted (${code})`
  if (/closed|writeable/i.test(message)) return 'has closed the connection'
  return `cannot be reached (${code ?? 'no reason given'})`
}
