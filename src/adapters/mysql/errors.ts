import { toError } from '#lib/assert.ts'
import { describeNetworkFailure } from '#adapters/network-words.ts'
import { RowsRefused } from '#adapters/rows-refused.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'

/** An error packet of the server, as the driver throws it. */
export interface ServerError extends Error {
  readonly errno: number
  readonly sqlState: string
}

export function isServerError(error: unknown): error is ServerError {
  return (
    error instanceof Error &&
    'errno' in error &&
    typeof error.errno === 'number' &&
    error.errno >= 1_000 &&
    'sqlState' in error &&
    typeof error.sqlState === 'string'
  )
}

/**
 * Errors after which the same batch may well succeed on the same or a new connection: locks, limits, shutdown, a statement
 * whose table was altered, and a transaction that a cluster has not let through.
 */
const TRANSIENT: ReadonlySet<number> = new Set([
  1020, 1040, 1041, 1053, 1077, 1079, 1180, 1203, 1205, 1213, 1317, 1615, 1927, 1969, 3024, 3101,
])

/** The server has as many sessions as it may have, or the account has. */
const AT_LIMIT: ReadonlySet<number> = new Set([1040, 1203, 1226])

/** Null for a connection that was refused for the number of those that are open; any other error is thrown. */
export function toleratingLimit(error: unknown): null {
  if (error instanceof AppError && isServerError(error.cause) && AT_LIMIT.has(error.cause.errno)) return null
  throw error
}

/**
 * After a deadlock, or where a row is another one than the transaction has seen (`innodb_snapshot_isolation`), the server has
 * rolled back the whole transaction; after a lock that was waited for in vain it may have (`innodb_rollback_on_timeout`); a
 * savepoint that it does not know went with its transaction.
 */
const ENDS_TRANSACTION: ReadonlySet<number> = new Set([1020, 1205, 1213, 1305])

/** Whether the transaction that a statement failed in may be over, and the session commits each statement by itself. */
export function endsTransaction(error: unknown): boolean {
  return isServerError(error) && ENDS_TRANSACTION.has(error.errno)
}

const BY_NUMBER: Readonly<Record<number, ErrorCode>> = {
  1021: 'disk_full',
  1040: 'server_unavailable',
  1044: 'missing_privilege',
  1045: 'authentication_failed',
  1049: 'database_not_found',
  1053: 'connection_lost',
  1054: 'schema_changed',
  1114: 'disk_full',
  1129: 'server_unavailable',
  1130: 'authentication_failed',
  1142: 'missing_privilege',
  1143: 'missing_privilege',
  1146: 'schema_changed',
  1203: 'server_unavailable',
  1226: 'server_unavailable',
  1227: 'missing_privilege',
  1370: 'missing_privilege',
  1412: 'schema_changed',
  1698: 'authentication_failed',
  1792: 'read_only_server',
  1836: 'read_only_server',
  1927: 'connection_lost',
}

/** The row's own fault: types, ranges, NULL, duplicates, foreign keys, checks, what a trigger signals. */
const ROW_FAULTS: ReadonlySet<number> = new Set([
  1048, 1062, 1216, 1217, 1263, 1264, 1265, 1292, 1364, 1365, 1366, 1367, 1369, 1406, 1411, 1416, 1441, 1451, 1452,
  1525, 1526, 1557, 1586, 1644, 1690, 1761, 1762, 3037, 3140, 3141, 3156, 3548, 3616, 3617, 3643, 3730, 3819, 4025,
  4078,
])

/** Another row may be in the way that is still to come or to go. */
const ORDER_MATTERS: ReadonlySet<number> = new Set([1062, 1216, 1217, 1451, 1452, 1557, 1586, 1761, 1762])

/**
 * What MySQL says of words that a later version will not know, of character sets and lengths in definitions of users too:
 * nothing of it is about a value.
 */
const DEPRECATIONS: ReadonlySet<number> = new Set([1287, 1681, 3719, 3778])

/** Of the warnings that a statement left, as `SHOW WARNINGS` gives them, the one that fails it; null where none does. */
export function failingWarning(rows: readonly (readonly (string | null)[])[]): Error | null {
  const first = rows.find(([level, errno]) => level !== 'Note' && !DEPRECATIONS.has(Number(errno)))
  if (first === undefined && rows.length > 0) return null
  // One that was counted and is not shown is one all the same: 1105 is "unknown error".
  const [, errno, message] = first ?? ['Warning', '1105', 'a warning that the server does not show']
  return Object.assign(new Error(message ?? 'a warning'), { errno: Number(errno), sqlState: '01000' })
}

/** Whether the server refused rows for their contents, so that halving the batch helps. */
export function asRowsRefused(error: unknown): RowsRefused | null {
  if (!isServerError(error) || !ROW_FAULTS.has(error.errno)) return null
  return new RowsRefused(String(error.errno), error.message, {
    orderMatters: ORDER_MATTERS.has(error.errno),
    column: /(?:for|in) column (?:`[^`]*`\.`[^`]*`\.)?[`']([^`']+)[`']/.exec(error.message)?.[1] ?? null,
    cause: error,
  })
}

/** Turns whatever the driver threw into an AppError: `doing` ends the sentence "while …". */
export function toAppError(thrown: unknown, doing: string): AppError {
  if (thrown instanceof AppError) return thrown
  const error = toError(thrown)
  if (isServerError(error)) {
    const code = codeOf(error)
    const retry = TRANSIENT.has(error.errno) || isUnprepared(error) ? { retry: 'later' as const } : {}
    const hint = hintOf(error)
    return new AppError(code, `${error.message} (error ${error.errno}, while ${doing})`, {
      cause: error,
      ...retry,
      ...(hint === null ? {} : { hint }),
    })
  }
  const failure = describeNetworkFailure(error)
  if (failure !== null) {
    const { code, words, system, hint } = failure
    const next = hint === undefined ? {} : { hint }
    return new AppError(code, `${words} (${system}, while ${doing}).`, { cause: error, ...next })
  }
  const message = `${error.message} (while ${doing})`
  if (/does not support secure/i.test(error.message)) {
    return new AppError('tls_failed', `The server offers no TLS (while ${doing})`, {
      hint: 'Switch TLS on in the server, or choose ssl=disable knowingly.',
      cause: error,
    })
  }
  if (/timeout/i.test(error.message)) return new AppError('connection_timeout', message, { cause: error })
  if (/closed state|connection lost|packets out of order|closed the connection/i.test(error.message)) {
    return new AppError('connection_lost', message, { cause: error })
  }
  return new AppError('internal', message, { cause: error })
}

function codeOf(error: ServerError): ErrorCode {
  if (isUnprepared(error)) return 'server_unavailable'
  // Many an option keeps a server from a statement.
  if (error.errno === 1290 && /read[-_]only/i.test(error.message)) return 'read_only_server'
  return BY_NUMBER[error.errno] ?? 'database_error'
}

/** A node of a Galera cluster that is on its way in or out; else the number is that of a command nobody knows. */
function isUnprepared({ errno, message }: ServerError): boolean {
  return errno === 1047 && /wsrep/i.test(message)
}

/** The next step, such as what a refused login may come from beside a wrong password; null where the usual one says enough. */
function hintOf({ errno, message }: ServerError): string | null {
  const [, user = '', host = ''] = /for user '(.*)'@'(.*?)'/.exec(message) ?? []
  switch (errno) {
    case 1045:
      if (/using password: NO/.test(message)) return 'No password was sent: give one, or an account that needs none.'
      return (
        `Check user and password; in a URL a password with @ : / # is percent-encoded. The account for '${host}' counts, ` +
        `and an anonymous one (''@'${host}') stands before '${user}'@'%': DROP USER ''@'${host}'; or CREATE USER for that host.`
      )
    case 1130:
      return 'No account may come from this machine: CREATE USER with its address, or with %, as the host.'
    case 1698:
      return 'This account logs in over the socket of its own machine alone: CREATE USER with a password for this.'
    case 1129:
      return 'The server has blocked this machine after too many failed connections: FLUSH HOSTS on the server.'
    case 1153:
      return 'Raise max_allowed_packet on the server above the largest row, to 64M for example, and run it again.'
    case 1665:
      return 'Set binlog_format to ROW or MIXED on the server: single statements are no log of READ COMMITTED transactions.'
    default:
      return null
  }
}
