import type { ErrorEntry } from './error-entry.ts'
import { EXIT } from './exit.ts'

/** The codes of dumps: a part of the registry in `errors.ts`. */
export const DUMP_ERRORS = {
  unsafe_definition: {
    cause:
      'A server gave a definition or rows that would run a command on the machine of whoever restores the dump: no PostgreSQL server does.',
    hint: 'Look into who has altered the server.',
    retry: 'never',
    exit: EXIT.refused,
  },
  dump_space: {
    cause: 'A dump would take up more of the directory of dumps, or of its disk, than it may.',
    hint: 'Delete dumps that nobody needs, or change their room under Settings, Retention (or in DUMP_MAX_BYTES and DUMP_FREE_BYTES).',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 507,
  },
  dump_damaged: {
    cause: 'The file of a dump is cut or altered, or is no dump.',
    hint: 'Export again, or upload the file again.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 422,
  },
  dump_sealed: {
    cause: 'A dump is sealed, and its passphrase was not given, or is another one.',
    hint: 'Name where the passphrase is found: env:NAME or file:PATH.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 422,
  },
  dump_missing: {
    cause: 'The file of a dump is not in the directory of dumps any more.',
    hint: 'Delete its entry; see that DUMP_DIRECTORY is the same for all processes of the service.',
    retry: 'after-fix',
    exit: EXIT.failed,
    status: 410,
  },
} as const satisfies Record<string, ErrorEntry>
