import { Ends, JobName } from '#features/jobs/job-name.tsx'
import { kindWords, writtenOf } from '#features/jobs/job-words.ts'
import { isActive, type Job } from '#features/jobs/queries.ts'
import { formatCount } from '#lib/format.ts'
import type { DataColumn } from '#ui/data-table.tsx'
import { TextLink } from '#ui/link.tsx'
import { JobStatus } from '#ui/mark.tsx'
import { Duration, Time } from '#ui/time.tsx'
import classes from './jobs.module.css'

/** All that lists of jobs say of one. */
const COLUMNS = {
  status: { header: 'Status', cell: ({ status }) => <JobStatus status={status} />, value: ({ status }) => status },
  job: {
    header: 'Job',
    cell: (job) => (
      <TextLink to="/jobs/$id" params={{ id: job.id }} size="sm" className={classes['cut']}>
        <JobName job={job} />
      </TextLink>
    ),
    value: ({ id }) => id,
  },
  kind: { header: 'What', cell: kindWords, value: kindWords },
  /** Where all are of one sync config, what they did tells them apart. */
  linkedKind: {
    header: 'What',
    cell: (job) => (
      <TextLink to="/jobs/$id" params={{ id: job.id }} size="sm">
        {kindWords(job)}
      </TextLink>
    ),
    value: kindWords,
  },
  ends: { header: 'Source → target', cell: (job) => <Ends job={job} />, hidden: true },
  version: {
    header: 'Version',
    cell: ({ config_version: version }) => version,
    value: ({ config_version: version }) => version,
    align: 'right',
  },
  by: {
    header: 'Started by',
    cell: ({ started_by: name, requested_by: id }) => name ?? id,
    value: (job) => job.started_by,
  },
  when: {
    header: 'Asked for',
    cell: ({ created_at: at }) => <Time at={at} />,
    value: ({ created_at: at }) => at,
  },
  took: {
    header: 'Took',
    cell: (job) => <Duration from={job.started_at} to={isActive(job) ? null : (job.finished_at ?? job.updated_at)} />,
    align: 'right',
  },
  written: {
    header: 'Rows written',
    cell: (job) => <Rows count={writtenOf(job)} />,
    value: writtenOf,
    align: 'right',
  },
  read: { header: 'Rows read', cell: (job) => <Rows count={readOf(job)} />, value: readOf, align: 'right' },
  error: {
    header: 'What went wrong',
    cell: ({ error }) =>
      error === null ? null : (
        <span className={classes['cut']} title={`${error.message} ${error.hint}`}>
          {error.message}
        </span>
      ),
    value: ({ error }) => error?.message ?? null,
  },
} as const satisfies Readonly<Record<string, Omit<DataColumn<Job>, 'id'>>>

/** Columns for a list of jobs, in the order in which they are named. */
export function jobColumns(...ids: readonly (keyof typeof COLUMNS)[]): readonly DataColumn<Job>[] {
  return ids.map((id) => ({ id, ...COLUMNS[id] }))
}

/** Of a job that runs: what it has gone through until now. */
function readOf({ counts, progress, status }: Job): number | null {
  if (counts !== null && status === 'succeeded') return counts.read
  return progress === null || progress.rows === 0 ? null : progress.rows
}

function Rows({ count }: { readonly count: number | null }) {
  return count === null ? <span className="quiet">–</span> : <span className="numbers">{formatCount(count)}</span>
}
