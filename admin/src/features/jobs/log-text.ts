import type { JobEvent } from '#features/jobs/queries.ts'
import { phaseWord } from '#features/jobs/job-words.ts'
import { formatCount } from '#lib/format.ts'

export type Level = 'info' | 'warn' | 'error'

type Fields = Readonly<Record<string, unknown>>

function fieldsOf({ data }: JobEvent): Fields {
  return typeof data === 'object' && data !== null ? (data as Fields) : {}
}

/** A line of the log, as people read it. */
export interface Line {
  readonly seq: number
  readonly at: string
  readonly level: Level
  readonly text: string
}

/** The log in words. What a status means depends on the one before it: queued again is an interruption, or a resumption. */
export function linesOf(events: readonly JobEvent[]): readonly Line[] {
  let before = ''
  let again = false
  return events.map((event) => {
    const fields = fieldsOf(event)
    const { seq, at } = event
    if (event.type !== 'status') return { seq, at, ...(event.type === 'phase' ? phaseLine(fields) : logLine(event)) }
    const status = String(fields['status'])
    const line = statusLine(status, { before, again, error: fields['error'] })
    again = status === 'queued' && before !== ''
    before = status
    return { seq, at, ...line }
  })
}

type Said = Pick<Line, 'level' | 'text'>

function logLine(event: JobEvent): Said {
  const { level, text } = fieldsOf(event)
  return {
    level: level === 'warn' || level === 'error' ? level : 'info',
    text: typeof text === 'string' ? text : JSON.stringify(event.data),
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

interface Context {
  readonly before: string
  /** It has run before, and was queued since. */
  readonly again: boolean
  readonly error: unknown
}

function statusLine(status: string, { before, again, error }: Context): Said {
  if (status === 'queued' && before === 'running') {
    return { level: 'warn', text: 'Interrupted. It goes on from the checkpoint by itself.' }
  }
  if (status === 'queued' && before !== '') {
    return { level: 'info', text: before.startsWith('awaiting_') ? 'Decided: it goes on.' : 'Resumed by somebody.' }
  }
  if (status === 'running' && again) return { level: 'info', text: 'Running again, resumed from the checkpoint.' }
  const text = STATUSES[status] ?? status
  if (typeof error !== 'object' || error === null) return { level: status === 'failed' ? 'error' : 'info', text }
  const { message, hint } = error as Fields
  return { level: 'error', text: [text, message, hint].filter((part) => typeof part === 'string').join(' ') }
}

function phaseLine({ table, phase, state, total, estimated }: Fields): Said {
  const what = `${String(table)}: ${phaseWord(String(phase)).toLowerCase()}`
  if (state === 'done') return { level: 'info', text: `${what}, done` }
  if (typeof total !== 'number') return { level: 'info', text: what }
  return { level: 'info', text: `${what} ${estimated === true ? 'about ' : ''}${formatCount(total)} rows` }
}

/** The log as a file: a line an event. */
export function logFile(lines: readonly Line[]): string {
  return lines.map(({ at, level, text }) => `${at}\t${level}\t${text}\n`).join('')
}
