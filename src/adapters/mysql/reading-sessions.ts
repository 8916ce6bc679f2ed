import { IdleSessions } from '#adapters/idle-sessions.ts'
import { Connection } from './connection.ts'
import type { MysqlEndpoint } from './endpoint.ts'

/** Sessions that read, and are read-only in the server itself (invariant 5). */
export class ReadingSessions extends IdleSessions<Connection> {
  readonly endpoint: MysqlEndpoint

  constructor(endpoint: MysqlEndpoint, signal: AbortSignal) {
    super((ends) => Connection.open(endpoint, { readOnly: true, signal: ends }), signal)
    this.endpoint = endpoint
  }
}
