import type { Check } from '#model/check.ts'
import { AppError } from '#model/errors.ts'
import type { Adapter } from './adapter.ts'
import { examine, openPostgres } from './postgres/adapter.ts'
import { parseEndpoint } from './postgres/endpoint.ts'

export interface OpenOptions {
  /** Without it the adapter has no writer, and its sessions are read-only in the database itself. */
  readonly write: boolean
  readonly signal: AbortSignal
}

/** Opens the database that a URL names: the one place that knows every kind. @throws AppError with cause and next step */
export function openDatabase(url: string, options: OpenOptions): Promise<Adapter> {
  if (isPostgres(url)) return openPostgres(parseEndpoint(url), options)
  throw noAdapter(url)
}

/** Looks at the database that a URL names, step by step. @throws AppError `invalid_url` */
export function examineDatabase(url: string, signal: AbortSignal): AsyncIterable<Check> {
  if (isPostgres(url)) return examine(parseEndpoint(url), signal)
  throw noAdapter(url)
}

function isPostgres(url: string): boolean {
  return /^postgres(ql)?:\/\//i.test(url)
}

function noAdapter(url: string): AppError {
  const scheme = /^([a-z][a-z0-9+.-]*):/i.exec(url)?.[1]
  return new AppError(
    'invalid_url',
    scheme === undefined ? 'A database is named by its URL.' : `There is no adapter for ${scheme}: URLs.`,
  )
}
