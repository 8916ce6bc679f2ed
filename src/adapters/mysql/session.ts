/**
 * What every session of ours pins. Texts of values and the meaning of statements depend on it (hazards C4, C11, C14): a
 * value that does not fit is an error and never a warning, times are UTC, text is utf8mb4, compared byte by byte.
 */

/** `write alone`: what a statement looked for and did not find stays away until the end of the transaction. */
export type Mode = 'read snapshot' | 'read' | 'write' | 'write alone'

/** A wait for somebody else's lock ends after this many seconds, and the batch is tried again. */
const LOCK_SECONDS = 30
/** The server gives up on us where we read or send nothing for this long: a slow other side is no reason. */
const IDLE_SECONDS = 3_600

export const SQL_MODE =
  'STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ZERO_IN_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,NO_AUTO_VALUE_ON_ZERO'

/** A session that takes days of zeros for values, or refuses them (hazard C5). */
export function zeroDatesSql(takes: boolean): string {
  const mode = takes ? SQL_MODE.replace('NO_ZERO_DATE,NO_ZERO_IN_DATE,', '') : SQL_MODE
  return `SET SESSION sql_mode = '${mode}'`
}

const PINNED: readonly (readonly [name: string, value: string])[] = [
  ['sql_mode', `'${SQL_MODE}'`],
  ['time_zone', `'+00:00'`],
  ['autocommit', '1'],
  ['sql_safe_updates', '0'],
  ['sql_auto_is_null', '0'],
  ['sql_select_limit', 'DEFAULT'],
  // What is a note alone is not counted, and leaves the place to what is a warning: that is shown, and refused.
  ['sql_notes', '0'],
  ['max_error_count', '64'],
  ['foreign_key_checks', '1'],
  ['unique_checks', '1'],
  ['innodb_lock_wait_timeout', String(LOCK_SECONDS)],
  ['lock_wait_timeout', String(LOCK_SECONDS)],
  ['net_read_timeout', String(IDLE_SECONDS)],
  ['net_write_timeout', String(IDLE_SECONDS)],
  ['wait_timeout', String(IDLE_SECONDS)],
]

const MARIADB = [['max_statement_time', '0']] as const
/** MySQL 8 would tell sizes and counters of a day ago. */
const MYSQL = [
  ['max_execution_time', '0'],
  ['information_schema_stats_expiry', '0'],
] as const

/** Pins anew what a session has waited otherwise by for a while. */
export const PIN_WAITS = `SET SESSION lock_wait_timeout = ${LOCK_SECONDS}, SESSION wait_timeout = ${IDLE_SECONDS}`

/** Statements that pin a session; `readOnly` makes the database itself refuse every write in it (invariant 5). */
export function pinSql({ mariadb, readOnly }: { mariadb: boolean; readOnly: boolean }): string[] {
  const settings = [...PINNED, ...(mariadb ? MARIADB : MYSQL)]
  return [
    'SET NAMES utf8mb4 COLLATE utf8mb4_bin',
    `SET ${settings.map(([name, value]) => `SESSION ${name} = ${value}`).join(', ')}`,
    `SET SESSION TRANSACTION ${readOnly ? 'READ ONLY' : 'READ WRITE'}`,
  ]
}

/** The statements that begin a transaction. */
export function beginSql(mode: Mode): string[] {
  switch (mode) {
    case 'read snapshot':
      return [
        'SET TRANSACTION ISOLATION LEVEL REPEATABLE READ',
        'START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY',
      ]
    case 'read':
      return ['SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'START TRANSACTION READ ONLY']
    case 'write':
      return ['SET TRANSACTION ISOLATION LEVEL READ COMMITTED', 'START TRANSACTION READ WRITE']
    case 'write alone':
      return ['SET TRANSACTION ISOLATION LEVEL REPEATABLE READ', 'START TRANSACTION READ WRITE']
  }
}
