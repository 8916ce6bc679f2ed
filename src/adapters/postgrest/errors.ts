import { RowsRefused } from '#adapters/rows-refused.ts'
import { isRecord } from '#lib/record.ts'
import { AppError, type ErrorCode } from '#model/errors.ts'
import type { Answer } from './http.ts'
import { KEY_HINT, type RestPlace } from './place.ts'

/** What the API says of an error: `{code, message, details, hint}`, `code` being its own (PGRST…) or PostgreSQL's. */
interface Said {
  readonly code: string
  readonly message: string
  readonly details: string | null
}

/** Source: docs.postgrest.org, "Errors". */
const BY_CODE: Readonly<Record<string, ErrorCode>> = {
  PGRST000: 'server_unavailable',
  PGRST001: 'server_unavailable',
  PGRST002: 'server_unavailable',
  PGRST003: 'server_unavailable',
  PGRST106: 'schema_not_exposed',
  PGRST202: 'rest_not_prepared',
  PGRST205: 'table_not_found',
  PGRST300: 'authentication_failed',
  PGRST301: 'authentication_failed',
  PGRST302: 'authentication_failed',
  PGRST303: 'authentication_failed',
  '25006': 'read_only_server',
  '42501': 'missing_privilege',
  '42P01': 'table_not_found',
  '42703': 'schema_changed',
}

const BY_STATUS: Readonly<Record<number, ErrorCode>> = {
  401: 'authentication_failed',
  403: 'missing_privilege',
  414: 'key_too_long',
  429: 'server_unavailable',
  431: 'key_too_long',
  540: 'server_unavailable',
}

/** Longer texts are pages of something else that answers. */
const SHOWN = 300

/** An answer that is none of success as an error of ours. Never with the question's URL, nor with its headers. */
export function toRestError({ status, headers, body }: Answer, doing: string, place: RestPlace): AppError {
  if (status >= 300 && status < 400) return redirected(headers.location, place)
  const said = readSaid(body)
  const code = policyHides(said)
    ? 'row_level_security'
    : (BY_CODE[said?.code ?? ''] ?? BY_STATUS[status] ?? (status >= 500 ? 'server_unavailable' : null))
  const words = said === null ? `The API answered ${status}` : `${said.message.replace(/\.$/, '')} (${said.code})`
  const message = `${words} (while ${doing}).`
  const hint =
    (code === 'row_level_security' ? undefined : HINTS[said?.code ?? '']) ??
    (code === 'authentication_failed' ? KEY_HINT : undefined)
  return new AppError(code ?? (said === null ? 'unexpected_answer' : 'database_error'), message, {
    ...(hint === undefined ? {} : { hint }),
    ...(status === 429 || status >= 500 ? { retry: 'later' as const } : {}),
  })
}

const HINTS: Readonly<Record<string, string>> = {
  '42501':
    'Give the role of the key the right: GRANT USAGE ON SCHEMA … and GRANT SELECT (for a target INSERT, UPDATE, DELETE too) ON ALL TABLES IN SCHEMA … TO service_role; the right to functions of Syncline comes with the script of syncline datasources prepare.',
  PGRST205: "Check the spelling; a table that was made just now is seen after NOTIFY pgrst, 'reload schema'.",
}

/** A policy of the table stands in the way of the role, which is to see and to write every row. */
function policyHides(said: Said | null): boolean {
  return said?.code === '42501' && /row-level security/i.test(said.message)
}

/** Whether the server refused rows for what they hold, as `asRowsRefused` of `postgres/errors.ts` tells it. */
export function asRowsRefused({ body }: Answer, schema: string): RowsRefused | null {
  const said = readSaid(body)
  if (said === null || !/^(?:2[23]...|P0001|44000)$/.test(said.code)) return null
  const { code, message, details } = said
  const named = (what: string): string | null => new RegExp(`${what} "(.*?)"`).exec(message)?.[1] ?? null
  const index = code === '23505' ? named('unique constraint') : null
  return new RowsRefused(code, `${message}.${details === null ? '' : ` ${details}`}`, {
    orderMatters: code === '23505' || code === '23503' || code === '23P01',
    column: code === '23502' ? named('column') : null,
    index: index === null ? null : { schema, name: index },
    cause: undefined,
  })
}

function redirected(location: string | undefined, place: RestPlace): AppError {
  const host = location === undefined ? null : (URL.parse(location, place.base.href)?.host ?? null)
  return new AppError(
    'unexpected_answer',
    `${place.base.host} sends elsewhere${host === null ? '' : `, to ${host}`}, and the key is not sent after it.`,
  )
}

function readSaid(body: string): Said | null {
  let parsed: unknown
  try {
    parsed = JSON.parse(body)
  } catch {
    return null
  }
  if (!isRecord(parsed)) return null
  const { code, message, details } = parsed
  if (typeof message !== 'string') return null
  return {
    code: typeof code === 'string' ? code.slice(0, 20) : 'no code',
    message: message.slice(0, SHOWN),
    details: typeof details === 'string' ? details.slice(0, SHOWN) : null,
  }
}
