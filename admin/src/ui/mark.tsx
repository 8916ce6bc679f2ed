import {
  IconAlertTriangle,
  IconCircleCheck,
  IconCircleDashed,
  IconCircleX,
  IconLoader,
  IconPlayerPause,
  IconUserQuestion,
  type Icon,
} from '@tabler/icons-react'
import classes from './mark.module.css'

export type Tone = 'done' | 'running' | 'person' | 'failed' | 'resting'

const ICONS: Readonly<Record<Tone, Icon>> = {
  done: IconCircleCheck,
  running: IconLoader,
  person: IconAlertTriangle,
  failed: IconCircleX,
  resting: IconCircleDashed,
}

interface MarkProps {
  readonly tone: Tone
  /** The word: colour and icon alone say nothing. */
  readonly children: string
  readonly icon?: Icon
  /** What it means, on hover. */
  readonly about?: string
}

/** A state, by icon, word and colour. */
export function Mark({ tone, children, icon: Shape = ICONS[tone], about }: MarkProps) {
  return (
    <span className={classes['mark']} data-tone={tone} title={about}>
      <Shape size={15} stroke={1.75} aria-hidden />
      {children}
    </span>
  )
}

const JOB_MARKS: Readonly<Record<string, readonly [Tone, string, Icon?]>> = {
  queued: ['resting', 'Queued'],
  running: ['running', 'Running'],
  awaiting_resolution: ['person', 'Needs decisions', IconUserQuestion],
  awaiting_approval: ['person', 'Needs approval', IconUserQuestion],
  stopping: ['running', 'Stopping'],
  stopped: ['resting', 'Stopped', IconPlayerPause],
  succeeded: ['done', 'Succeeded'],
  failed: ['failed', 'Failed'],
  cancelled: ['resting', 'Cancelled'],
}

/** The words of job statuses, in the order in which a filter lists them. */
export const JOB_STATUS_WORDS: readonly (readonly [string, string])[] = Object.entries(JOB_MARKS).map(
  ([status, [, word]]) => [status, word],
)

export function JobStatus({ status }: { readonly status: string }) {
  const [tone, word, icon] = JOB_MARKS[status] ?? ['resting', status]
  return (
    <Mark tone={tone} {...(icon === undefined ? {} : { icon })}>
      {word}
    </Mark>
  )
}

const ENVIRONMENTS: Readonly<Record<string, string>> = {
  production: 'production',
  staging: 'staging',
  development: 'development',
  local: 'local',
}

/** Where a database is in the life of its data: production is red, whatever else is on the page. */
export function Environment({ name }: { readonly name: string }) {
  return (
    <span className={classes['environment']} data-environment={ENVIRONMENTS[name] ?? 'local'}>
      {name}
    </span>
  )
}
