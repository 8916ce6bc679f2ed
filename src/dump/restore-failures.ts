/** What is said of a restore that does not come through. */
import type { RestoreFacts, StatementRefused } from '#adapters/restore-target.ts'
import { plural } from '#lib/amounts.ts'
import { AppError } from '#model/errors.ts'
import { publicReason } from '#model/rejection.ts'
import type { RestorePlan } from './plan-import.ts'

/** A statement: its line in the file, 0 where it comes from none, and what it is called. */
interface Place {
  readonly line: number
  readonly label: string
}

/** Where something stands: a line of the file, or a row of what comes from no file. */
function whereOf(line: number, row: number | null): string {
  if (line > 0) return `Line ${line + (row ?? 0)}: `
  return row === null ? '' : `Row ${row}: `
}

/** @throws AppError `restore_failed` where the server left rows out of what it was sent */
export function assertTaken({ line, label }: Place, { taken, sent }: { taken: number; sent: number }): void {
  if (taken === sent) return
  const told = `the server took ${taken} of ${plural(sent, 'row')}`
  throw new AppError('restore_failed', `${whereOf(line, null)}${label}: ${told}. Everything was rolled back.`, {
    hint: 'A trigger or a rule of the table leaves rows out: switch it off, or drop it, and import again.',
  })
}

/** What the server says of a statement, and where it stands. */
export function toFailure(error: StatementRefused, { line, label }: Place, plan: RestorePlan): AppError {
  const { state, row, column } = error
  const where = whereOf(line, row)
  const what = column === null ? label : `${label}, column ${column}`
  const hint = hintOf(state, plan)
  return new AppError(
    'restore_failed',
    `${where}${what}: ${withoutValues(error)} (SQLSTATE ${state}). Everything was rolled back.`,
    { cause: error, ...(hint === null ? {} : { hint }) },
  )
}

const OUT_OF_LOCKS = '53200'
/** States of words that a server does not know, and of what it cannot do. */
export const UNKNOWN = /^(?:42|0A)/

function hintOf(state: string, { serverMajor, target }: RestorePlan): string | null {
  if (state === OUT_OF_LOCKS) {
    return 'One transaction holds a lock on each table and index that it makes: raise max_locks_per_transaction of the target and restart it, or import the tables in several dumps.'
  }
  if (serverMajor === null || serverMajor <= target.major || !UNKNOWN.test(state)) return null
  return `The dump is of PostgreSQL ${serverMajor}, the target of ${target.major}: import it into a newer server.`
}

/** What the server says, without what a row has (invariant 7). */
function withoutValues({ state, message }: StatementRefused): string {
  const reason = publicReason({ code: state, reason: message })
  return state.startsWith('22') ? reason.replaceAll(/"[^"]*"/g, '"…"') : reason
}

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

export function planChanged({ name }: RestorePlan): AppError {
  return new AppError(
    'plan_changed',
    `What ${name} would make or replace is not what was agreed to. Nothing was written.`,
  )
}
