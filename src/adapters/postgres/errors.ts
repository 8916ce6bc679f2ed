import pg from 'pg'
import { AppError, type ErrorCode } from '#model/errors.ts'
import type { TableRef } from '#model/table.ts'
import { toError } from '#lib/assert.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import { describeNetworkFailure } from '#adapters/network-words.ts'

/** SQLSTATEs after which the same batch may well succeed on the same or a new connection. */
const TRANSIENT = new Set([
  '40001',
  '40P01',
  '55P03',
  '57014',
  '57P01',
  '57P02',
  '57P03',
  '53300',
  '53400',
  '25P03',
  '25P04',
])

const BY_STATE: Readonly<Record<string, ErrorCode>> = {
  '28000': 'authentication_failed',
  '28P01': 'authentication_failed',
  '3D000': 'database_not_found',
  '42501': 'missing_privilege',
  '53100': 'disk_full',
  '53200': 'server_unavailable',
  '53300': 'server_unavailable',
  '57P01': 'connection_lost',
  '57P02': 'connection_lost',
  '57P03': 'server_unavailable',
  '57P05': 'connection_lost',
  '25006': 'read_only_server',
  '42P01': 'schema_changed',
  '42703': 'schema_changed',
}

/** The server's SQLSTATE of an error, where it has one. */
export function sqlStateOf(error: unknown): string | null {
  return error instanceof pg.DatabaseError ? (error.code ?? null) : null
}

/** Null for a connection that was refused for the number of those that are open; any other error is thrown. */
export function toleratingLimit(error: unknown): null {
  if (error instanceof AppError && sqlStateOf(error.cause) === '53300') return null
  throw error
}

/** Whether the server refused rows for their contents, so that halving the batch helps. */
export function asRowsRefused(error: unknown): RowsRefused | null {
  if (!(error instanceof pg.DatabaseError) || error.code === undefined) return null
  const rowFault =
    error.code.startsWith('22') || error.code.startsWith('23') || error.code === 'P0001' || error.code === '44000'
  if (!rowFault) return null
  const detail = error.detail ? ` ${error.detail}` : ''
  return new RowsRefused(error.code, `${error.message}.${detail}`, {
    orderMatters: error.code === '23505' || error.code === '23503' || error.code === '23P01',
    column: error.column ?? null,
    index: brokenIndex(error),
    cause: error,
  })
}

function brokenIndex({ code, schema, constraint }: pg.DatabaseError): TableRef | null {
  return code === '23505' && schema && constraint ? { schema, name: constraint } : null
}

/**
 * Turns whatever the driver threw into an AppError: `doing` says what was under way, in words that end the sentence
 * "while …".
 */
export function toAppError(thrown: unknown, doing: string): AppError {
  if (thrown instanceof AppError) return thrown
  const error = toError(thrown)
  if (error instanceof pg.DatabaseError) return fromDatabase(error, doing)
  const message = `${error.message} (while ${doing})`
  const failure = describeNetworkFailure(error)
  if (failure !== null) {
    const { code, words, system, hint } = failure
    return new AppError(code, `${words} (${system}, while ${doing}).`, {
      cause: error,
      ...(hint === undefined ? {} : { hint }),
    })
  }
  if (/does not support SSL/i.test(error.message)) {
    return new AppError('tls_failed', `The server offers no TLS (while ${doing})`, {
      hint: 'Switch TLS on in the server, or choose sslmode=disable knowingly.',
      cause: error,
    })
  }
  if (/timeout expired|timeout exceeded/i.test(error.message)) {
    return new AppError('connection_timeout', message, { cause: error })
  }
  if (/terminated|closed|not queryable|ended/i.test(error.message)) {
    return new AppError('connection_lost', message, { cause: error })
  }
  if (/error establishing an SSL connection/i.test(error.message)) {
    return new AppError('server_not_supported', `What answers there is no PostgreSQL server (while ${doing})`, {
      hint: 'Check host and port: another program listens there, or something in between answers for it.',
      cause: error,
    })
  }
  if (/client password must be/i.test(error.message)) {
    return new AppError(
      'authentication_failed',
      `The server asks for a password, and the URL has none (while ${doing})`,
      {
        cause: error,
      },
    )
  }
  return new AppError('internal', message, { cause: error })
}

function fromDatabase(error: pg.DatabaseError, doing: string): AppError {
  const state = error.code ?? ''
  const message = `${error.message} (SQLSTATE ${state}, while ${doing})`
  if (state === '42501' && /row-level security/i.test(error.message)) {
    return new AppError('row_level_security', message, { cause: error })
  }
  if (state === '08P01' && /unsupported startup parameter/i.test(error.message)) {
    return new AppError('pooler_not_supported', message, { cause: error })
  }
  const code = BY_STATE[state] ?? (state.startsWith('08') ? 'connection_lost' : 'database_error')
  return new AppError(code, message, { cause: error, ...(TRANSIENT.has(state) ? { retry: 'later' as const } : {}) })
}
