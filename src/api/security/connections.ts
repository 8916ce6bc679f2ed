import { STATUS_CODES, type Server } from 'node:http'
import { Socket } from 'node:net'
import type { FastifyInstance } from 'fastify'
import type { ApiLimits } from '#api/tools.ts'

/** Keeps one address from taking every connection (S58). What cannot be read as HTTP gets a short answer and is cut off. */
export function boundConnections(server: Server, { connectionsPerAddress }: ApiLimits): void {
  const open = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const address = socket.remoteAddress ?? ''
    const count = (open.get(address) ?? 0) + 1
    open.set(address, count)
    socket.once('close', () => {
      const left = (open.get(address) ?? 1) - 1
      if (left === 0) open.delete(address)
      else open.set(address, left)
    })
    if (count > connectionsPerAddress) socket.destroy()
  })
}

/**
 * A body that does not come in time ends its connection (S58): as a whole within the time of a request, or, on a route that
 * takes large files, each part of it.
 */
export function boundBodies(app: FastifyInstance, { requestMs }: ApiLimits): void {
  app.addHook('onRequest', async ({ raw, routeOptions }) => {
    const { socket } = raw
    // What this process asks itself has no connection.
    if (!(socket instanceof Socket)) return
    const isSlow = routeOptions.config.slowBody === true
    let last = socket.bytesRead
    const timer = setInterval(() => {
      if (raw.complete || socket.destroyed) return clearInterval(timer)
      const isSilent = socket.bytesRead === last
      last = socket.bytesRead
      if (isSlow && !isSilent) return
      clearInterval(timer)
      const late = Object.assign(new Error('The body does not come.'), { code: 'ERR_HTTP_REQUEST_TIMEOUT' })
      answerUnreadable(late, socket)
    }, requestMs)
    raw.once('close', () => clearInterval(timer))
  })
}

const STATUS_OF: Readonly<Record<string, number>> = {
  ERR_HTTP_REQUEST_TIMEOUT: 408,
  HPE_HEADER_OVERFLOW: 431,
}

/** Answers what could not be read as a request, and closes. */
export function answerUnreadable(error: Error & { readonly code?: string }, socket: Socket): void {
  if (error.code === 'ECONNRESET' || !socket.writable) {
    socket.destroy()
    return
  }
  const status = STATUS_OF[error.code ?? ''] ?? 400
  socket.end(
    `HTTP/1.1 ${status} ${STATUS_CODES[status]}\r\nConnection: close\r\nContent-Length: 0\r\nX-Content-Type-Options: nosniff\r\nCache-Control: no-store\r\n\r\n`,
  )
}
