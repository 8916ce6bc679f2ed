import { AppError } from '#model/errors.ts'
import type { Adapter } from './adapter.ts'
import { openPostgres } from './postgres/adapter.ts'
import { parseEndpoint } from './postgres/endpoint.ts'

export interface OpenOptions {
  /** Without it the adapter has no writer, and its sessions are read-only in the database itself. */
  readonly write: boolean
  readonly signal: AbortSignal
}

/** Opens the database that a URL names: the one place that knows every kind. @throws AppError with cause and next step */
export function openDatabase(url: string, options: OpenOptions): Promise<Adapter> {
  if (/^postgres(ql)?:\/\//i.test(url)) return openPostgres(parseEndpoint(url), options)
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]
  throw new AppError(
    'invalid_url',
    scheme === undefined ? 'A database is named by its URL.' : `There is no adapter for ${scheme}: URLs.`,
  )
}
