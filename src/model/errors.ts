/**
 * The registry of error codes: what each means, what to do about it, and what it does to an exit code.
 * `docs/errors.md` is generated from this table, and a test keeps the two equal.
 */

/** May the same call succeed if it is made again: never, later by itself, or after somebody mended something. */
export type Retry = 'never' | 'later' | 'after-fix'

/** Exit codes of the command line. */
export const EXIT = {
  done: 0,
  failed: 1,
  usage: 2,
  findings: 3,
  cannotConnect: 4,
  refused: 5,
  interrupted: 130,
} as const

export type ExitCode = (typeof EXIT)[keyof typeof EXIT]

interface ErrorEntry {
  /** What has happened, for somebody who meets the code in the docs. */
  readonly cause: string
  /** The usual next step; a thrower may give a nearer one. */
  readonly hint: string
  readonly retry: Retry
  readonly exit: ExitCode
}

export const ERRORS = {
  internal: {
    cause: 'A state that the program holds to be impossible, such as counts that do not add up.',
    hint: 'Report it with the output of the same command and --debug.',
    retry: 'never',
    exit: EXIT.failed,
  },
  usage: {
    cause: 'The command line has an unknown option, a missing argument or a value out of range.',
    hint: 'See --help of the command.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  invalid_url: {
    cause: 'A connection URL cannot be read, or has an option that is not supported.',
    hint: 'Write it as postgres://user:password@host:5432/database?sslmode=verify-full and percent-encode @ : / # in the password.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  host_not_found: {
    cause: 'The host name does not resolve.',
    hint: 'Check the spelling of the host, and that this machine can resolve it.',
    retry: 'after-fix',
    exit: EXIT.cannotConnect,
  },
  connection_refused: {
    cause: 'Nothing listens at this host and port, or a firewall refuses it.',
    hint: 'Check the port, that the server runs, and its listen_addresses.',
    retry: 'later',
    exit: EXIT.cannotConnect,
  },
  connection_timeout: {
    cause: 'The server did not answer in time.',
    hint: 'Check host, port and firewall; a suspended serverless database may need a second try.',
    retry: 'later',
    exit: EXIT.cannotConnect,
  },
  connection_lost: {
    cause: 'An open connection was cut, or fell silent for longer than its deadline.',
    hint: 'Run the same command again: it goes on from the last committed batch.',
    retry: 'later',
    exit: EXIT.failed,
  },
  authentication_failed: {
    cause: 'The server refused the user name or the password.',
    hint: 'Check user and password; a password with @ : / # must be percent-encoded in a URL.',
    retry: 'after-fix',
    exit: EXIT.cannotConnect,
  },
  database_not_found: {
    cause: 'The server has no database of this name.',
    hint: 'Check the name, or create it with CREATE DATABASE.',
    retry: 'after-fix',
    exit: EXIT.cannotConnect,
  },
  tls_failed: {
    cause: 'The TLS connection could not be made or verified.',
    hint: 'Give the CA with sslrootcert=FILE, or choose sslmode=require (encrypted, not verified) knowingly.',
    retry: 'after-fix',
    exit: EXIT.cannotConnect,
  },
  server_not_supported: {
    cause: 'The server is not PostgreSQL 13 to 18, or is a product that only resembles it.',
    hint: 'Use a server of a supported version.',
    retry: 'never',
    exit: EXIT.cannotConnect,
  },
  server_unavailable: {
    cause: 'The server is starting, stopping, recovering, or has no connection left.',
    hint: 'Try again in a moment; raise max_connections or lower --parallel if it persists.',
    retry: 'later',
    exit: EXIT.cannotConnect,
  },
  pooler_not_supported: {
    cause: 'The connection goes through a transaction pooler, which cannot carry what this step needs.',
    hint: 'Use the direct connection string (Neon: the host without -pooler; Supabase: port 5432).',
    retry: 'after-fix',
    exit: EXIT.cannotConnect,
  },
  read_only_server: {
    cause: 'The target is a standby or is set to read only.',
    hint: 'Give the primary server as the target.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  same_database: {
    cause: 'Source and target are one and the same database.',
    hint: 'Give another database as the target.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  target_not_writable: {
    cause: 'Nobody has agreed to writing to this target.',
    hint: 'Look at the plan with --dry-run, then add --yes.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  target_protected: {
    cause: 'The target counts as production or staging, where a write needs a second yes.',
    hint: 'Add --allow-protected-write, or say what it is with --target-env development.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  delete_brake: {
    cause: 'The run would delete more rows than max_delete_percent allows, or the source has become empty.',
    hint: 'Check that the source is whole; then approve the very number with --approve-deletes N.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  overwrite_brake: {
    cause: 'On first contact the run would overwrite more existing rows of the target than is usual.',
    hint: 'Check the direction of the sync; then approve the very number with --approve-overwrites N.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  already_running: {
    cause: 'Another run of the same sync is alive.',
    hint: 'Wait for it, or stop it.',
    retry: 'later',
    exit: EXIT.refused,
  },
  table_not_found: {
    cause: 'A named table does not exist, or this login may not see it.',
    hint: 'Check the spelling (names are case-sensitive as stored); --create makes missing tables on the target.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  column_not_found: {
    cause: 'A named or mapped column does not exist.',
    hint: 'Check the spelling, rename it with --rename, or leave it out with --exclude.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  no_tables: {
    cause: 'There is nothing to do: no table matches on both sides.',
    hint: 'Name tables with --table, or make the missing ones with --create.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  no_key: {
    cause: 'The table has no primary key and no unique index over columns that are never NULL.',
    hint: 'Declare columns that identify a row with --key TABLE=COLUMN,COLUMN.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  key_not_unique: {
    cause: 'The key has NULLs or duplicates, so a row cannot be told from another.',
    hint: 'Mend the rows, or declare another key with --key.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  impossible_mapping: {
    cause: 'A source column cannot be carried into its target column without losing or inventing values.',
    hint: 'Change the target column, or leave the column out with --exclude.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  missing_privilege: {
    cause: 'The login lacks a right that the run needs.',
    hint: 'Run the GRANT that the message shows, as the owner.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  row_level_security: {
    cause: 'Row-level security would hide rows from this login, and a hidden row would count as deleted.',
    hint: 'Use a login with BYPASSRLS, or the owner of the table.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  create_failed: {
    cause: 'The target could not be given the tables of the source.',
    hint: 'See the statement in the message; create what it names, then run the same command again.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  schema_changed: {
    cause: 'A table changed its shape while the run was under way.',
    hint: 'Run the same command again: it plans anew.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  state_too_new: {
    cause: 'The schema syncline in the target was written by a newer version of the program.',
    hint: 'Use that version or a newer one.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  stale_epoch: {
    cause: 'Another run has taken over this sync; this one may no longer write.',
    hint: 'Let the other run finish.',
    retry: 'never',
    exit: EXIT.failed,
  },
  disk_full: {
    cause: 'A disk of the server or of this machine is full.',
    hint: 'Free space, then run the same command again: it goes on from the last committed batch.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  too_many_rejections: {
    cause: 'More rows were refused by the target than the run may set aside.',
    hint: 'See the reasons that are listed; mend the rows or the target.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  verification_failed: {
    cause: 'After the run the two sides still differ, and nobody changed them meanwhile.',
    hint: 'Run diff to see the rows, and report it: this should not happen.',
    retry: 'later',
    exit: EXIT.failed,
  },
  database_error: {
    cause: 'The server refused a statement for a reason that has no code of its own here.',
    hint: "The message is the server's own.",
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  no_local_server: {
    cause: 'A private PostgreSQL server is wanted, and none of its programs were found on this machine.',
    hint: 'Install PostgreSQL (Debian: apt install postgresql), or name the directory of its programs.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  local_server_failed: {
    cause: 'A private PostgreSQL server on this machine could not be made, started or stopped.',
    hint: "See the server's own words in the message.",
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  interrupted: {
    cause: 'The run was stopped by a signal.',
    hint: 'Run the same command again: it goes on from the last committed batch.',
    retry: 'later',
    exit: EXIT.interrupted,
  },
} as const satisfies Record<string, ErrorEntry>

export type ErrorCode = keyof typeof ERRORS

/** The one error that crosses module borders: a code of the registry, what happened here, and the next step. */
export class AppError extends Error {
  readonly code: ErrorCode
  readonly hint: string
  readonly retry: Retry

  constructor(code: ErrorCode, message: string, options: { hint?: string; retry?: Retry; cause?: unknown } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause })
    this.name = 'AppError'
    this.code = code
    this.hint = options.hint ?? ERRORS[code].hint
    this.retry = options.retry ?? ERRORS[code].retry
  }

  get exit(): ExitCode {
    return ERRORS[this.code].exit
  }
}
