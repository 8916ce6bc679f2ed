import type { ServerInfo } from '#adapters/adapter.ts'
import type { Finding } from '#adapters/finding.ts'
import type { Connection, TextRow } from './connection.ts'
import { toAppError } from './errors.ts'

/** A step that is taken on an open connection. */
export interface Step {
  readonly step: string
  readonly look: (connection: Connection, server: ServerInfo) => Promise<Finding>
}

export function failed(thrown: unknown): Finding {
  const { message, hint } = toAppError(thrown, 'examining the database')
  return { state: 'fail', found: message, next: hint }
}

export async function caught(look: () => Promise<Finding>): Promise<Finding> {
  try {
    return await look()
  } catch (error) {
    return failed(error)
  }
}

/** One question in a transaction that can only read. */
export function ask(connection: Connection, sql: string, values: unknown[] = []): Promise<TextRow[]> {
  return connection.transaction('read', () => connection.query(sql, values))
}
