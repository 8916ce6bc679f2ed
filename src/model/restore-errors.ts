import type { ErrorEntry } from './error-entry.ts'
import { EXIT } from './exit.ts'

/** The codes of dumps that are read and restored: a part of the registry in `errors.ts`. */
export const RESTORE_ERRORS = {
  not_a_dump: {
    cause: 'The file is no plain SQL dump, nor one that gzip or zstd has packed.',
    hint: 'Give a file of syncline export or of pg_dump in its plain format (pg_dump without -Fc, -Fd or -Ft); pg_restore -f FILE makes one of an archive.',
    retry: 'after-fix',
    exit: EXIT.usage,
  },
  dump_encoding: {
    cause: 'The file is not UTF-8 throughout, or says of itself that it has another encoding.',
    hint: 'Make the dump with pg_dump in the encoding UTF8, which is its option -E.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 422,
  },
  dump_too_large: {
    cause: 'The file grows beyond what may be unpacked, or a single statement in it beyond what is read at once.',
    hint: 'Unpack a file of your own first, or raise the limits that the message names; rows that are written as COPY have no such bound.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 413,
  },
  dump_refused: {
    cause: 'The file holds statements that a dump does not need, or that could run code or reach beyond the database.',
    hint: 'Make the dump with pg_dump in its plain format, without --create; what it cannot leave out has to be made by hand.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 422,
  },
  dump_unfit: {
    cause:
      'The target lacks what the dump builds on: a version, an extension, a role, a language, a tablespace or a table.',
    hint: 'Make what the message lists in the target, or leave it out of the import.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 409,
  },
  restore_exists: {
    cause: 'The target has objects or rows that the dump would replace.',
    hint: 'Look at the list, then ask for the import with replace; what is replaced is backed up first.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 409,
  },
  restore_dependents: {
    cause: 'Objects that the dump does not bring depend on what it would replace.',
    hint: 'Drop what the message lists, or take it into the dump, and import again.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 409,
  },
  restore_unswappable: {
    cause: 'What is in the schemas besides cannot be carried over when the replaced tables are exchanged at the end.',
    hint: 'Take what the message lists into the dump or move it to another schema, or import without --swap: readers of the replaced tables then wait for the end of the import.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 409,
  },
  plan_changed: {
    cause: 'The file, the source or the target has changed since somebody agreed to what would be done.',
    hint: 'Look at what would be done now (a dry run shows it), and agree to that.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 409,
  },
  restore_privileged: {
    cause:
      'The login of the target is a superuser or may read and write files of the server, and so could what a dump brings.',
    hint: 'Import with the login that owns the database, or say that you trust the file (--trust-file).',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 409,
  },
  restore_failed: {
    cause: 'The target refused a statement of the dump; everything was rolled back.',
    hint: 'See the line and the statement in the message; the target is as it was.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  mask_failed: {
    cause: 'A value of a row that is copied cannot be masked or filtered as somebody wants it.',
    hint: 'See the column in the message: let its transforms take what it holds (many have miss: "null"), or leave the row out by a filter.',
    retry: 'after-fix',
    exit: EXIT.failed,
  },
  drill_failed: {
    cause: 'A dump was restored on trial, and could not be, or did not come back as it says of itself.',
    hint: 'Do not rely on it: make another dump and try that.',
    retry: 'never',
    exit: EXIT.findings,
    status: 409,
  },
  backup_failed: {
    cause: 'What would be replaced could not be kept first, as a dump that can be read back: nothing was replaced.',
    hint: 'Mend or drop in the target what the message names. Where nobody needs what is replaced, import without a backup (--no-backup; over the API backup: false).',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 409,
  },
  restore_unknown: {
    cause: 'The connection broke while the import was committed, and the server could not be asked how that ended.',
    hint: 'Compare the target with the dump (import --dry-run lists what is there): it is wholly old or wholly new.',
    retry: 'never',
    exit: EXIT.failed,
  },
} as const satisfies Record<string, ErrorEntry>
