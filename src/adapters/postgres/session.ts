/**
 * What every transaction of ours begins with. The settings are local to the transaction, so that they hold through a
 * transaction pooler as well and never leak into somebody else's session. They pin the text of every value (hazards
 * C1 to C9), resolve no name through a search path (security item S25), and turn rows that a policy would hide into an
 * error (hazard A14).
 */

export type Mode = 'read snapshot' | 'read' | 'write'

/** What the texts of values, and the meaning of statements, depend on. */
export const TEXT_SETTINGS: readonly (readonly [name: string, value: string])[] = [
  ['timezone', 'UTC'],
  ['datestyle', 'ISO, YMD'],
  ['intervalstyle', 'postgres'],
  ['extra_float_digits', '1'],
  ['bytea_output', 'hex'],
  ['lc_monetary', 'C'],
  ['xmloption', 'content'],
  ['search_path', ''],
  ['row_security', 'off'],
  ['standard_conforming_strings', 'on'],
  ['backslash_quote', 'safe_encoding'],
]

/** Values must look alike whatever the role, the database or the server's file says. */
const PINNED: typeof TEXT_SETTINGS = [
  ...TEXT_SETTINGS,
  ['client_min_messages', 'warning'],
  ['statement_timeout', '0'],
  ['idle_in_transaction_session_timeout', '0'],
  ['synchronize_seqscans', 'off'],
  ['jit', 'off'],
]

/** A wait for somebody else's lock ends after this, and the batch is tried again. */
const LOCK_TIMEOUT = '30s'

export function beginSql(mode: Mode, major: number): string {
  const begin = {
    'read snapshot': 'BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY',
    read: 'BEGIN ISOLATION LEVEL READ COMMITTED READ ONLY',
    write: 'BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE',
  }[mode]
  const settings = [...PINNED, ['lock_timeout', LOCK_TIMEOUT] as const]
  if (major >= 17) settings.push(['transaction_timeout', '0'])
  return [begin, ...settings.map(([name, value]) => `SET LOCAL ${name} = '${value}'`)].join('; ')
}
