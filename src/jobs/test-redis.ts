import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { createConnection, isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import { judgeRedis, readFacts } from '#control/redis-facts.ts'
import { RedisLink } from '#control/redis-link.ts'
import type { RedisUrl } from '#control/redis-settings.ts'
import { toError } from '#lib/assert.ts'
import { systemClock } from '#lib/clock.ts'
import { isLocalAddress, type Address } from '#lib/network-address.ts'
import type { Check } from '#model/check.ts'
import type { ConnectionTest } from '#model/datasource.ts'
import { AppError } from '#model/errors.ts'
import { describeRedis, type RedisPlace } from '#model/redis.ts'
import { placeOf, redisPlace, type RedisOpening } from './open-redis.ts'

const CONNECT_MS = 5_000
const PINGS = 5

/** What a step has come to. */
type Found = Pick<Check, 'state' | 'found' | 'next'>

/**
 * Connects to a Redis step by step, and tells of each step what was found and the one next thing to do. A failure is a
 * result. Null: the one that is set up.
 */
export async function testRedis(
  tools: RedisOpening,
  url: RedisUrl | null,
  signal: AbortSignal,
): Promise<ConnectionTest> {
  const at = tools.store.clock.now()
  const checks: Check[] = []
  for await (const check of steps(tools, url, signal)) {
    checks.push(check)
    signal.throwIfAborted()
    if (check.state === 'fail' && STOPPING.includes(check.step)) break
  }
  return { at, ok: checks.every(({ state }) => state !== 'fail'), checks }
}

/** Without these there is nothing left to look at. */
const STOPPING = ['address', 'reachable', 'TLS', 'login']

async function* steps(tools: RedisOpening, url: RedisUrl | null, signal: AbortSignal): AsyncGenerator<Check> {
  let place: RedisPlace | null = null
  let address: Address | null = null
  yield await timed('address', async () => {
    place = await (url === null ? redisPlace(tools) : placeOf(tools, url))
    address = (await tools.resolve(place.host))[0] ?? null
    return address === null
      ? failed(`${place.host} has no address`, 'Check the host.')
      : passed(`${describeRedis(place)} is at ${address.address}`)
  })
  if (place === null || address === null) return
  yield* overNetwork(place, address, signal)
  const known: RedisPlace = place
  await using link = new RedisLink({ place: async () => known, resolve: tools.resolve })
  yield* overLink(link)
}

async function* overNetwork(place: RedisPlace, address: Address, signal: AbortSignal): AsyncGenerator<Check> {
  const limit = AbortSignal.any([signal, AbortSignal.timeout(CONNECT_MS)])
  let socket: Socket | null = null
  try {
    yield await timed('reachable', async () => {
      socket = createConnection({ host: address.address, port: place.port, family: address.family })
      await once(socket, 'connect', { signal: limit })
      return passed(`port ${place.port} takes connections`)
    })
    if (socket === null) return
    const open: Socket = socket
    yield await timed('TLS', () => secure(open, place, { address, signal: limit }))
  } finally {
    ;(socket as Socket | null)?.destroy()
  }
}

async function secure(
  socket: Socket,
  { tls, host }: RedisPlace,
  { address, signal }: { address: Address; signal: AbortSignal },
): Promise<Found> {
  if (!tls) {
    if (isLocalAddress(address.address)) return passed('not used; the address is of this network')
    return {
      state: 'warn',
      found: 'not used: the password crosses a foreign network as it is (what is kept is sealed)',
      next: 'Use rediss:// in the URL.',
    }
  }
  const secured: TLSSocket = connectTls({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}) })
  try {
    await once(secured, 'secureConnect', { signal })
  } catch (error) {
    if (toError(error).name !== 'AbortError') throw error
    return failed('it does not answer in TLS', 'Use redis:// in the URL, or the port at which it speaks TLS.')
  }
  return passed(`${secured.getProtocol() ?? 'TLS'}, the certificate is trusted`)
}

async function* overLink(link: RedisLink): AsyncGenerator<Check> {
  yield await timed('login', async () => {
    await link.ask((redis) => redis.ping())
    return passed('the login is accepted')
  })
  const before = systemClock.elapsed()
  const facts = await link.ask(readFacts).catch((error: unknown) => error)
  const ms = Math.round(systemClock.elapsed() - before)
  if (facts instanceof AppError) yield { step: 'server', ...failed(facts.message, facts.hint), ms }
  else {
    for (const { step, found, error, note } of judgeRedis(facts as Awaited<ReturnType<typeof readFacts>>)) {
      const state = error !== null ? 'fail' : note === null ? 'pass' : 'warn'
      yield { step, state, found: error?.message ?? found, next: error?.hint ?? note, ms }
    }
  }
  yield await timed('rights', async () => {
    const key = `syncline:test:${randomBytes(8).toString('hex')}`
    await link.ask(async (redis) => {
      await redis.hset(key, '0', 'x')
      await redis.hlen(key)
      await redis.unlink(key)
    })
    return passed('keys that begin with syncline: can be written, read and removed')
  })
  yield await timed('latency', async () => {
    const times: number[] = []
    for (let i = 0; i < PINGS; i++) {
      const start = systemClock.elapsed()
      await link.ask((redis) => redis.ping())
      times.push(systemClock.elapsed() - start)
    }
    const median = times.toSorted((a, b) => a - b)[Math.floor(PINGS / 2)] ?? 0
    return passed(`${median.toFixed(1)} ms`)
  })
}

const passed = (found: string): Found => ({ state: 'pass', found, next: null })
const failed = (found: string, next: string): Found => ({ state: 'fail', found, next })

async function timed(step: string, look: () => Promise<Found>): Promise<Check> {
  const before = systemClock.elapsed()
  const found = await look().catch((error: unknown) => faultOf(toError(error)))
  return { step, ...found, ms: Math.round(systemClock.elapsed() - before) }
}

/** What the system says of addresses and certificates holds no secret. */
function faultOf(error: Error): Found {
  if (error instanceof AppError) return failed(error.message, error.hint)
  const { code } = error as NodeJS.ErrnoException
  if (error.name === 'AbortError')
    return failed(`no answer within ${CONNECT_MS / 1_000} s`, 'Check host, port and firewall.')
  if (code === 'ECONNREFUSED')
    return failed(
      'nothing listens at this host and port',
      'Check the port, and that the server runs and listens on this address (bind).',
    )
  if (code === 'ENOTFOUND' || code === 'EAI_AGAIN')
    return failed('the host name does not resolve', 'Check the spelling of the host.')
  return failed(
    `it failed (${code ?? error.name})`,
    'Check the URL; for a certificate of your own, name its CA in NODE_EXTRA_CA_CERTS.',
  )
}
