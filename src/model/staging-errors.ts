import type { ErrorEntry } from './error-entry.ts'
import { EXIT } from './exit.ts'

/** The codes of change sets and of where they are kept: a part of the registry in `errors.ts`. */
export const STAGING_ERRORS = {
  change_set_lost: {
    cause:
      'A change set cannot be read whole and unchanged any more: what kept it has lost, evicted or altered a part of it.',
    hint: 'Resume the job, or preview it again: the changes are computed anew, decisions on changes that are still the same hold, and an approval has to be given again.',
    retry: 'later',
    exit: EXIT.failed,
    status: 410,
  },
  change_set_expired: {
    cause: 'A change set is too old to be approved, or was put away.',
    hint: 'Preview again, look at the new change set and approve that.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 410,
  },
  change_set_moved: {
    cause:
      'The change set that was approved or decided on is no longer the present one: it was computed again meanwhile.',
    hint: 'Look at the present change set, and decide on that.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
  staging_full: {
    cause: 'The change sets that are kept at once would become larger than they may.',
    hint: 'Discard change sets that nobody needs any more, raise STAGING_MAX_BYTES or REDIS_STAGING_MAX_BYTES, or sync fewer tables at once.',
    retry: 'after-fix',
    exit: EXIT.refused,
    status: 507,
  },
  redis_unavailable: {
    cause:
      'The Redis in which change sets are to be kept cannot be reached, does not answer in time or refuses the login.',
    hint: 'Test it with POST /api/settings/redis/test; the job goes on by itself when it answers again. staging: embedded does without Redis.',
    retry: 'later',
    exit: EXIT.cannotConnect,
    status: 503,
  },
  redis_unsuitable: {
    cause: 'The Redis that is set up cannot keep change sets safely: it may evict them, or is too old.',
    hint: 'Set maxmemory-policy noeviction on a Redis of its own (version 7, at least 6.2), or use staging: embedded.',
    retry: 'after-fix',
    exit: EXIT.refused,
  },
} as const satisfies Record<string, ErrorEntry>
