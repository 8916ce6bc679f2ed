import { once } from 'node:events'
import { isIP, type Socket } from 'node:net'
import { connect as connectTls, type TLSSocket } from 'node:tls'
import type { Address } from '#lib/network-address.ts'
import { toError } from '#lib/assert.ts'
import { pass, warn, type Finding } from '#adapters/finding.ts'
import { reach } from '#adapters/socket.ts'
import { AppError } from '#model/errors.ts'
import { tlsOptions } from './connection.ts'
import { isLocalHost, type Endpoint } from './endpoint.ts'
import { failed } from './finding.ts'
import { adviceOn, adviceOnFailure, recognise } from './presets.ts'

/** SSLRequest of the PostgreSQL protocol: its length and its code. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f])

/** The way to a server, step by step: whose address it is, its name, its port, its TLS. Ends after the first failure. */
export async function* examineWay(endpoint: Endpoint): AsyncGenerator<Finding & { step: string }> {
  if (endpoint.host.startsWith('/')) {
    yield { step: 'encryption', ...pass('none, over a socket of this machine') }
    return
  }
  const preset = recognise(endpoint)
  if (preset !== null) yield { step: 'provider', ...pass(adviceOn(preset, endpoint).found) }
  let addresses: readonly Address[] = []
  const advised = (finding: Finding): Finding => {
    const next =
      finding.state === 'fail'
        ? adviceOnFailure(
            endpoint,
            addresses.map(({ family }) => family),
          )
        : null
    return next === null ? finding : { ...finding, next }
  }
  try {
    addresses = await endpoint.resolve(endpoint.host)
    yield { step: 'host name', ...pass(`${endpoint.host} is ${addresses.map(({ address }) => address).join(', ')}`) }
  } catch (error) {
    yield { step: 'host name', ...advised(failed(error)) }
    return
  }
  try {
    const socket = await reach(endpoint)
    yield { step: 'port', ...pass(`${endpoint.host}:${endpoint.port} accepts connections`) }
    try {
      const finding = await lookAtEncryption(endpoint, socket)
      if (finding !== null) yield { step: 'encryption', ...finding }
    } finally {
      socket.destroy()
    }
  } catch (error) {
    yield { step: 'port', ...advised(failed(error)) }
  }
}

/** Null where what answers is no PostgreSQL server: the login will say so. */
async function lookAtEncryption(endpoint: Endpoint, socket: Socket): Promise<Finding | null> {
  const { host, ssl } = endpoint
  const local = isLocalHost(host)
  if (ssl === 'disable') return inTheClear(local)
  try {
    const answer = await askForTls(socket, endpoint.connectTimeoutMs)
    if (answer === 'N' && local && ssl === 'prefer') return inTheClear(local)
    if (answer === 'N') {
      throw new AppError('tls_failed', 'The server offers no TLS, or something in between has refused it.', {
        hint: 'Switch TLS on in the server, or choose ssl=disable knowingly.',
      })
    }
    if (answer !== 'S') return null
    const encrypted = await handshake(endpoint, socket)
    const found = `${encrypted.getProtocol()}, ${encrypted.getCipher().name}`
    const until = encrypted.getPeerCertificate().valid_to
    encrypted.destroy()
    if (ssl.startsWith('verify') || endpoint.ca !== null) return pass(`${found}, verified, certificate until ${until}`)
    if (local) return pass(found)
    return warn(
      `${found}, and the server is not verified`,
      'Choose verify-full, and paste the CA where it is not a public one.',
    )
  } catch (error) {
    // A server that hangs up on the question may still take the login, as one before TLS would.
    return ssl === 'prefer' && local ? null : failed(error)
  }
}

function inTheClear(local: boolean): Finding {
  if (local) return pass('none, on this machine')
  return warn('not encrypted', 'Switch TLS on in the server, and use sslmode=verify-full.')
}

async function askForTls(socket: Socket, timeoutMs: number): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>()
  const timer = setTimeout(
    () => reject(new AppError('connection_timeout', 'The server did not answer in time.')),
    timeoutMs,
  )
  socket.once('data', (bytes) => resolve(bytes.toString('latin1', 0, 1)))
  socket.once('error', reject)
  socket.once('close', () => reject(new AppError('connection_lost', 'The server hung up.')))
  socket.write(SSL_REQUEST)
  try {
    return await promise
  } finally {
    clearTimeout(timer)
    socket.removeAllListeners('data').pause()
  }
}

async function handshake(endpoint: Endpoint, socket: Socket): Promise<TLSSocket> {
  const { host, connectTimeoutMs } = endpoint
  const options = tlsOptions(endpoint) || {}
  const encrypted = connectTls({ socket, host, ...(isIP(host) === 0 ? { servername: host } : {}), ...options })
  const timer = setTimeout(() => {
    encrypted.destroy(new AppError('connection_timeout', 'The server did not answer in time.'))
  }, connectTimeoutMs)
  try {
    await once(encrypted, 'secureConnect')
    return encrypted
  } catch (error) {
    encrypted.on('error', () => undefined).destroy()
    throw toError(error)
  } finally {
    clearTimeout(timer)
  }
}
