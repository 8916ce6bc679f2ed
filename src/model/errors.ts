/**
 * The registry of error codes: what each means, what to do about it, and which exit code and HTTP status
 * go with it.
 * `docs/errors.md` is generated from this table, and a test keeps the two equal.
 */

import { CHANGE_ERRORS } from './change-errors.ts'
import type { ErrorEntry, Retry } from './error-entry.ts'
import { DUMP_ERRORS } from './dump-errors.ts'
import { EXIT, STATUS_OF_EXIT, type ExitCode } from './exit.ts'
import { MAPPING_ERRORS } from './mapping-errors.ts'
import { REST_ERRORS } from './rest-errors.ts'
import { RESTORE_ERRORS } from './restore-errors.ts'
import { STAGING_ERRORS } from './staging-errors.ts'

export { EXIT, type ExitCode } from './exit.ts'
export type { Retry } from './error-entry.ts'

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
    hint: 'Write it as postgres://user:password@host:5432/database?sslmode=verify-full, or mysql://user:password@host:3306/database?ssl-mode=verify-full, and percent-encode @ : / # in the password.',
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
    hint: 'Check the port, that the server runs, and the addresses that it listens on (PostgreSQL: listen_addresses, MySQL: bind_address).',
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
    hint: 'Give the CA (PostgreSQL: sslrootcert=FILE, MySQL: ssl-ca=FILE), or choose sslmode=require (encrypted, not verified) knowingly.',
    retry: 'after-fix',
    exit: EXIT.cannotConnect,
  },
  server_not_supported: {
    cause:
      'The server is none of PostgreSQL 13 to 18, MySQL from 8.0 on and MariaDB from 10.6 on, or is a product that only resembles one of them.',
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
  no_tables: {
    cause: 'There is nothing to do: no table matches on both sides.',
    hint: 'Name tables with --table, or make the missing ones with --create.',
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
  ...REST_ERRORS,
  ...DUMP_ERRORS,
  create_failed: {
    cause: 'The target could not be given the tables of the source.',
    hint: 'See the statement in the message; create what it names, then run the same command again.',
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
  demo_unavailable: {
    cause: 'Demo data is wanted where the service cannot hold databases of its own.',
    hint: 'Run syncline demo, or npm run demo in a checkout: it shows a sync, and a service, on databases of its own.',
    retry: 'never',
    exit: EXIT.refused,
  },
  invalid_request: {
    cause: 'A request or a configuration file has an unknown field, a missing one, or a value that is not allowed.',
    hint: 'See the list of problems with their places; /docs and the JSON Schema tell what is allowed.',
    retry: 'after-fix',
    exit: EXIT.usage,
    status: 400,
  },
  wrong_method: {
    cause: 'The path of the API is right, and does not take the method of the request.',
    hint: 'Use one of the methods that the header Allow names.',
    retry: 'after-fix',
    exit: EXIT.usage,
    status: 405,
  },
  not_found: {
    cause: 'There is nothing under this id or name, or this key may not see it.',
    hint: 'List what there is, and check the spelling.',
    retry: 'after-fix',
    exit: EXIT.usage,
    status: 404,
  },
  name_taken: {
    cause: 'Another datasource or sync config has this name.',
    hint: 'Choose another name, or change the one that has it.',
    retry: 'after-fix',
    exit: EXIT.usage,
    status: 409,
  },
  in_use: {
    cause: 'Something else refers to what was to be deleted.',
    hint: 'Delete or change what the message names first.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  version_conflict: {
    cause: 'Somebody changed the same thing since it was read (If-Match).',
    hint: 'Read it again, and make the change on what is there now.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 412,
  },
  read_only_datasource: {
    cause: 'The datasource is declared by an environment variable and is changed there.',
    hint: 'Change the variable and start the service again, or register a datasource of another name.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  wrong_server: {
    cause: 'The datasource leads to another server or database than the one it was when it was first opened.',
    hint: 'Check where its address leads; if the move was meant, test the datasource and confirm the new server.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  host_not_allowed: {
    cause: 'The address is one that no datasource may have, such as the metadata service of a cloud.',
    hint: 'Give the address of a database server.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 422,
  },
  secret_unreadable: {
    cause: 'A secret cannot be decrypted with the key of this service, or its reference leads nowhere.',
    hint: 'Start the service with the SECRET_KEY that it was stored under, or enter the secret again.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  weak_secret_key: {
    cause: 'SECRET_KEY is shorter than 32 bytes, or is one of the examples that everybody knows.',
    hint: 'Make one with: openssl rand -base64 32. Without SECRET_KEY the service makes a key file by itself.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  invalid_setting: {
    cause: 'A setting of the environment has a value that cannot be used.',
    hint: 'See syncline settings, and docs/operations.md for what each setting takes.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  exposed_without_tls: {
    cause: 'The service was to listen on an address that others can reach, without TLS in front of it.',
    hint: 'Listen on 127.0.0.1, or say with SYNCLINE_BEHIND_PROXY=true that a proxy adds TLS.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  address_in_use: {
    cause: 'Another program listens on the port already.',
    hint: 'End the other program, or choose another port with PORT.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  unauthenticated: {
    cause: 'The request carries no key, or one that is wrong, revoked or expired.',
    hint: 'Send a key as X-API-Key or as Authorization: Bearer. The first one comes from the setup token that serve prints.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 401,
  },
  forbidden: {
    cause: 'The role or the scope of the key does not allow this.',
    hint: 'Use a key with the role that the message names.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 403,
  },
  confirmation_needed: {
    cause: 'What was asked for cannot be taken back, and was not confirmed.',
    hint: 'Say what the message asks for in the field confirm, and enter the key again if it has been a while.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 403,
  },
  cross_site: {
    cause: 'A browser sent the request for another site, or to a host name that this service does not have.',
    hint: 'Open the service under its own address; add further names with SYNCLINE_HOSTS, further origins with CORS_ORIGINS.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 403,
  },
  rate_limited: {
    cause: 'Too many requests came from one address in a short time.',
    hint: 'Wait as long as Retry-After says.',
    retry: 'later',
    exit: EXIT.refused,
    status: 429,
  },
  idempotency_mismatch: {
    cause: 'An Idempotency-Key was used before for a different request.',
    hint: 'Send a new key for a new request.',
    retry: 'after-fix',
    exit: EXIT.usage,
    status: 422,
  },
  request_under_way: {
    cause: 'Another request with the same Idempotency-Key has not been answered yet.',
    hint: 'Send the same request again in a moment: it gets the answer of the first one.',
    retry: 'later',
    exit: EXIT.refused,
  },
  wrong_state: {
    cause: 'A job, a row that was set aside or a conflict cannot do in its present status what was asked.',
    hint: 'See its status.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  lease_lost: {
    cause: 'Another process has taken over the job, because this one was silent for too long.',
    hint: 'Nothing needs to be done: the other process goes on with it.',
    retry: 'never',
    exit: EXIT.failed,
  },
  circuit_open: {
    cause: 'A datasource failed several times in a row, and is left alone for a while.',
    hint: 'Test the datasource; the job goes on by itself when it answers again.',
    retry: 'later',
    exit: EXIT.cannotConnect,
  },
  memory_exceeded: {
    cause: 'The process of a job had more memory in use than a job may have, and was ended for it a second time.',
    hint: 'Lower batch_size, max_parallel_tables or max_parallel_operations of the sync config, or raise SYNCLINE_JOB_MEMORY_MB; then resume the job.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  worker_failed: {
    cause: 'The process that ran the job ended unexpectedly, more often than is tried again.',
    hint: 'See the log of the job for its last words; then resume it.',
    retry: 'later',
    exit: EXIT.failed,
  },
  store_failed: {
    cause: 'The control store, where the service keeps what it knows, cannot be opened, read or written.',
    hint: 'Check the path or the URL of the store, its rights and the free space.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  store_too_new: {
    cause: 'The control store was written by a newer version of the program.',
    hint: 'Use that version or a newer one, or go back to the copy that was made before the upgrade.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  store_not_migrated: {
    cause: 'The control store was written by an older version of the program.',
    hint: 'Run syncline migrate, or start syncline serve, which does it after making a copy.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  already_serving: {
    cause: 'Another service runs on the same data directory.',
    hint: 'Use the one that runs, or give this one a data directory of its own with SYNCLINE_DATA_DIR.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  service_unreachable: {
    cause: 'The service does not answer at its address.',
    hint: 'Start it with syncline serve, or give its address with --server.',
    retry: 'later',
    exit: EXIT.cannotConnect,
  },
  sandbox_failed: {
    cause:
      'The process that runs the JavaScript of a mapping could not be started, or was ended by that code again and again.',
    hint: 'Look at the rows that the code failed on; mend the code, or give the machine more memory.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  interrupted: {
    cause: 'The run was stopped by a signal.',
    hint: 'Run the same command again: it goes on from the last committed batch.',
    retry: 'later',
    exit: EXIT.interrupted,
  },
  ...MAPPING_ERRORS,
  ...CHANGE_ERRORS,
  ...STAGING_ERRORS,
  ...RESTORE_ERRORS,
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

  /** The status of an HTTP answer that carries this error. */
  get status(): number {
    const entry: ErrorEntry = ERRORS[this.code]
    return entry.status ?? STATUS_OF_EXIT[entry.exit]
  }
}

/** Whether after this error the target may be as it was, or as it was to be: nobody knows. */
export function leavesDoubt(error: unknown): boolean {
  return error instanceof AppError && error.code === 'restore_unknown'
}
