import { once } from 'node:events'
import { Socket } from 'node:net'
import { callbackify } from 'node:util'
import type { Resolve } from '#lib/network-address.ts'
import { AppError } from '#model/errors.ts'

/** A socket that connects to the very addresses that the endpoint's own look-up has let through, one after the other. */
export function openSocket({ resolve }: { readonly resolve: Resolve }): Socket {
  const socket = new Socket()
  const connect = socket.connect.bind(socket)
  const lookUp = callbackify(resolve)
  const byAddress = (port: number, host: string): Socket =>
    connect({
      port,
      host,
      autoSelectFamily: true,
      lookup: (name, _options, done) => lookUp(name, (error, addresses) => done(error, [...(addresses ?? [])])),
    })
  return Object.assign(socket, { connect: byAddress })
}

interface Reachable {
  readonly host: string
  readonly port: number
  readonly connectTimeoutMs: number
  readonly resolve: Resolve
}

/** A socket that is connected. @throws AppError `connection_timeout`, and what the system says */
export async function reach(endpoint: Reachable): Promise<Socket> {
  const { host, port, connectTimeoutMs } = endpoint
  const socket = openSocket(endpoint)
  const timeout = new AppError('connection_timeout', `${host}:${port} does not answer.`)
  const timer = setTimeout(() => socket.destroy(timeout), connectTimeoutMs)
  try {
    socket.connect(port, host)
    await once(socket, 'connect')
    return socket
  } catch (error) {
    socket.destroy()
    throw error
  } finally {
    clearTimeout(timer)
  }
}
