import type { JobEvent } from '#features/jobs/queries.ts'
import { phaseWord } from '#features/jobs/job-words.ts'
import { formatCount } from '#lib/format.ts'

export type Level = 'info' | 'warn' | 'error'

type Fields = Readonly<Record<string, unknown>>

function fieldsOf({ data }: JobEvent): Fields {
  return typeof data === 'object' && data !== null ? (data as Fields) : {}
}

export function levelOf(event: JobEvent): Level {
  const { level, status } = fieldsOf(event)
  if (event.type === 'status') return status === 'failed' ? 'error' : 'info'
  return level === 'warn' || level === 'error' ? level : 'info'
}

/** What happened, in a line. */
export function textOfEvent(event: JobEvent): string {
  const fields = fieldsOf(event)
  switch (event.type) {
    case 'status':
      return statusText(fields)
    case 'phase':
      return phaseText(fields)
    default:
      return typeof fields['text'] === 'string' ? fields['text'] : JSON.stringify(event.data)
  }
}

const STATUSES: Readonly<Record<string, string>> = {
  queued: 'Queued.',
  running: 'Running.',
  awaiting_resolution: 'It waits for decisions.',
  awaiting_approval: 'It waits for an approval.',
  stopping: 'Stopping: the batch in hand is being finished.',
  stopped: 'Stopped.',
  succeeded: 'Succeeded.',
  failed: 'Failed.',
  cancelled: 'Cancelled.',
}

function statusText({ status, attempt, error }: Fields): string {
  if (status === 'running' && typeof attempt === 'number' && attempt > 1) {
    return `Interrupted before; resumed from the checkpoint, attempt ${attempt}.`
  }
  const text = STATUSES[String(status)] ?? String(status)
  if (typeof error !== 'object' || error === null) return text
  const { message, hint } = error as Fields
  return [text, message, hint].filter((part) => typeof part === 'string').join(' ')
}

function phaseText({ table, phase, state, total, estimated }: Fields): string {
  const what = `${String(table)}: ${phaseWord(String(phase)).toLowerCase()}`
  if (state === 'done') return `${what}, done`
  if (typeof total !== 'number') return what
  return `${what} ${estimated === true ? 'about ' : ''}${formatCount(total)} rows`
}

/** The log as a file: a line an event. */
export function logFile(events: readonly JobEvent[]): string {
  return events.map((event) => `${event.at}\t${levelOf(event)}\t${textOfEvent(event)}\n`).join('')
}
