import { ApiClient, HttpTransport, type Transport } from '#api/client.ts'
import { readConfig } from './config.ts'

/** The API of the service at an address (null: what SYNCLINE_SERVER says, else the store of this machine). */
export async function connect(address: string | null, signal: AbortSignal): Promise<ApiClient> {
  const config = readConfig()
  const server = address ?? config.server
  return new ApiClient(server === null ? await openHere() : new HttpTransport(server, config.serverKey), signal)
}

/** Who speaks to a service elsewhere needs none of what a service is made of. */
async function openHere(): Promise<Transport> {
  return await (await import('./local-api.ts')).openLocalApi()
}
