import { connect as dial, createServer, type AddressInfo } from 'node:net'

/** A relay that counts the bytes which pass between a client and a server, in both directions. */
export interface Wire extends AsyncDisposable {
  readonly url: string
  bytes: number
}

export async function tapWire(url: string): Promise<Wire> {
  const behind = new URL(url)
  const server = createServer((client) => {
    const upstream = dial(Number(behind.port), behind.hostname)
    const count = (data: Buffer): void => void (wire.bytes += data.length)
    client.on('data', count).on('error', () => upstream.destroy())
    upstream.on('data', count).on('error', () => client.destroy())
    client.pipe(upstream).pipe(client)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const tapped = new URL(url)
  tapped.port = String((server.address() as AddressInfo).port)
  const wire: Wire = {
    url: tapped.href,
    bytes: 0,
    [Symbol.asyncDispose]: () => new Promise((resolve) => void server.close(() => resolve())),
  }
  return wire
}
