/** What is said of a file whose code does more than it may. */
import type { RestoreFacts } from '#adapters/restore-target.ts'
import { AppError } from '#model/errors.ts'

/** They run with the restore, and what they write nobody tells from what the file has written. */
export function ownTriggers({ eventTriggers }: RestoreFacts): string {
  if (eventTriggers.length === 0) return ''
  return `The target has event triggers of its own, which may have written that: ${eventTriggers.join(', ')}. If so, switch them off for the import (ALTER EVENT TRIGGER … DISABLE). Else: `
}

/** @param first what somebody may do before anything else */
export function codeRefused(deed: string, first: string): AppError {
  return new AppError('dump_refused', `Code that the file brings or calls ${deed}. Everything was rolled back.`, {
    hint: `${first}Look at its functions, triggers, rules and defaults. Import it with --trust-file only if you want that.`,
  })
}
