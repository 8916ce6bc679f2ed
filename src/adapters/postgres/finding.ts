import type { ServerInfo } from '#adapters/adapter.ts'
import type { Check } from '#model/check.ts'
import type { Connection, TextRow } from './connection.ts'
import { toAppError } from './errors.ts'

/** What one step of an examination found, but for its name and its time. */
export type Finding = Pick<Check, 'state' | 'found' | 'next'>

/** A step that is taken on an open connection. */
export interface Step {
  readonly step: string
  readonly look: (connection: Connection, server: ServerInfo) => Promise<Finding>
}

export function pass(found: string): Finding {
  return { state: 'pass', found, next: null }
}

export function warn(found: string, next: string): Finding {
  return { state: 'warn', found, next }
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
