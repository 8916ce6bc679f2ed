import type { ErrorEntry } from './error-entry.ts'
import { EXIT } from './exit.ts'

/** The codes of change sets and of what was written: a part of the registry in `errors.ts`. */
export const CHANGE_ERRORS = {
  change_set_outdated: {
    cause: 'A table is mapped or defined otherwise than when the changes were computed.',
    hint: 'Compute the changes again: what was decided on means something else by now.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  changes_moved: {
    cause: 'Rows were changed by others between the computing of the changes and their commit; nothing was written.',
    hint: 'It is computed again by itself; where that does not help, choose a quieter time or commit_mode streaming.',
    retry: 'never',
    exit: EXIT.failed,
  },
  nothing_to_approve: {
    cause: 'The job has no changes that wait for an approval.',
    hint: 'Approve a dry run that has ended, or a job that is awaiting_approval.',
    retry: 'never',
    exit: EXIT.refused,
  },
  not_revertible: {
    cause: 'The rows that the job wrote were not kept, or are not all kept any more.',
    hint: 'Only jobs that ran at audit_level detailed can be reverted, for as long as the audit retention keeps them.',
    retry: 'never',
    exit: EXIT.refused,
  },
} as const satisfies Record<string, ErrorEntry>
