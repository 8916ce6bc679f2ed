import { Progress, Stack, Text } from '@mantine/core'
import { phaseWord, leftOf, percentOf, rowsOf, tableWords } from '#features/jobs/job-words.ts'
import { isActive, useJobLog, type Job } from '#features/jobs/queries.ts'
import { CountsTable } from '#features/jobs/counts-table.tsx'
import { linesOf } from '#features/jobs/log-text.ts'
import { formatBytes, formatCount } from '#lib/format.ts'
import { Mark, type Tone } from '#ui/mark.tsx'
import { Duration, Time } from '#ui/time.tsx'
import tables from '#ui/data-table.module.css'
import classes from './jobs.module.css'

type JobProgress = NonNullable<Job['progress']>

/** Where a job is: as a whole, table by table, and what it stumbled over. */
export function ProgressTab({ job }: { readonly job: Job }) {
  const { progress } = job
  return (
    <Stack gap="lg">
      {isActive(job) && <Whole job={job} />}
      {job.counts !== null && !isActive(job) && (
        <CountsTable counts={job.counts} complete={job.status === 'succeeded'} />
      )}
      <Interruptions job={job} />
      {progress !== null && progress.tables.length > 0 && <Tables progress={progress} isOver={!isActive(job)} />}
      {progress === null && !isActive(job) && job.counts === null && (
        <Text size="sm" className="quiet">
          It ended before it had begun with a table.
        </Text>
      )}
    </Stack>
  )
}

function Whole({ job }: { readonly job: Job }) {
  const { progress, status } = job
  if (progress === null)
    return <Text size="sm">{BEGINNINGS[`${job.kind} ${status}`] ?? BEFORE[status] ?? 'It begins.'}</Text>
  const percent = percentOf(progress)
  const done = progress.tables.filter(({ state }) => state === 'done').length
  const facts = [
    ['Rows', progress.rows === 0 ? '–' : formatCount(progress.rows)],
    ['Data', progress.bytes === 0 ? '–' : formatBytes(progress.bytes)],
    ['Rate', progress.rows_per_second === 0 ? '–' : `${formatCount(progress.rows_per_second)} rows/s`],
    ['Throughput', progress.bytes_per_second === 0 ? '–' : `${formatBytes(progress.bytes_per_second)}/s`],
    ['Time left', leftOf(progress.seconds_left) ?? 'not known yet'],
  ] as const
  return (
    <Stack gap="xs">
      <div className={classes['whole']}>
        <Text fw={600}>
          {phaseWord(progress.phase)}
          {progress.tables.length > 0 && `, ${formatCount(done)} of ${formatCount(progress.tables.length)} tables done`}
        </Text>
        <Text className="numbers">{percent ?? 'the whole is not known yet'}</Text>
      </div>
      <Progress
        value={progress.percent ?? 100}
        striped={progress.percent === null}
        animated={progress.percent === null && status === 'running'}
        color="var(--tone-running)"
        transitionDuration={100}
        aria-label="Progress of the job"
      />
      <dl className={classes['figures']}>
        {facts.map(([name, value]) => (
          <div key={name}>
            <dt>{name}</dt>
            <dd>{value}</dd>
          </div>
        ))}
        <div>
          <dt>Elapsed</dt>
          <dd>
            <Duration from={job.started_at} to={null} />
          </dd>
        </div>
      </dl>
      <span className="sr-only" aria-live="polite">
        {spoken(job)}
      </span>
    </Stack>
  )
}

const BEFORE: Readonly<Record<string, string>> = {
  queued: 'It waits for a process, for connections or for its next try.',
  running: 'Planning: both schemas are read.',
}

const BEGINNINGS: Readonly<Record<string, string>> = {
  'export running': 'The catalogue is read, and its tables are locked against being altered.',
  'import running': 'The whole file is read and checked. Nothing is written before that.',
}

/** Told in steps of ten, so that whoever listens is not drowned. */
function spoken({ progress }: Job): string {
  if (progress === null || progress.percent === null) return ''
  return `${phaseWord(progress.phase)}, ${Math.floor(progress.percent / 10) * 10} %`
}

const STATES: Readonly<Record<JobProgress['tables'][number]['state'], Tone>> = {
  waiting: 'resting',
  running: 'running',
  done: 'done',
}

interface TablesProps {
  readonly progress: JobProgress
  readonly isOver: boolean
}

function Tables({ progress, isOver }: TablesProps) {
  return (
    <table className={`${tables['table']} ${classes['progress']}`} aria-label="Progress by table">
      <thead>
        <tr>
          <th>Table</th>
          <th>Phase</th>
          <th data-align="right">Rows</th>
          <th className={classes['bar']}>Of the phase</th>
          <th data-align="right">Data</th>
        </tr>
      </thead>
      <tbody>
        {progress.tables.map((table) => {
          const name = tableWords(table.table)
          const { state, phase, rows, total, bytes } = table
          const word = state === 'done' ? 'Done' : phaseWord(phase)
          const tone = isOver && state === 'running' ? 'resting' : STATES[state]
          const part = total === null || total === 0 ? null : Math.min(100, (100 * rows) / total)
          return (
            <tr key={name}>
              <td className="mono">{name}</td>
              <td>
                <Mark tone={tone}>{isOver && state === 'running' ? `Left while ${word.toLowerCase()}` : word}</Mark>
              </td>
              <td data-align="right">{state === 'waiting' || (rows === 0 && total === null) ? '–' : rowsOf(table)}</td>
              <td className={classes['bar']}>
                {state === 'running' && part !== null && (
                  <Progress value={part} size="sm" color="var(--tone-running)" aria-label={`Progress of ${name}`} />
                )}
                {state === 'running' && part === null && <span className="quiet">total unknown</span>}
              </td>
              <td data-align="right">{bytes === 0 ? '–' : formatBytes(bytes)}</td>
            </tr>
          )
        })}
      </tbody>
    </table>
  )
}

/** The last of them; the log has all. */
const SHOWN = 5

/** What a job stumbled over and went on from. */
function Interruptions({ job }: { readonly job: Job }) {
  const { data: log } = useJobLog(job.id)
  const warnings = linesOf(log ?? [])
    .filter(({ level }) => level !== 'info')
    .slice(-SHOWN)
  if (warnings.length === 0) return null
  return (
    <Stack gap={4} component="section" aria-label="Interruptions">
      {warnings.map(({ seq, at, level, text }) => (
        <Text key={seq} size="sm">
          <Mark tone={level === 'error' ? 'failed' : 'person'}>{level === 'error' ? 'Error' : 'Warning'}</Mark> {text}{' '}
          <span className="quiet">
            <Time at={at} />
          </span>
        </Text>
      ))}
    </Stack>
  )
}
