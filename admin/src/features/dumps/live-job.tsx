import { Group, Stack } from '@mantine/core'
import { useQuery, useQueryClient } from '@tanstack/react-query'
import { useEffect, type ReactNode } from 'react'
import { ProgressTab } from '#features/jobs/progress-tab.tsx'
import { JobActions } from '#features/jobs/job-actions.tsx'
import { Ends } from '#features/jobs/job-name.tsx'
import { kindWords } from '#features/jobs/job-words.ts'
import { isActive, receiptQuery, useLiveJob, type Job } from '#features/jobs/queries.ts'
import { readReceipt, type Found } from '#features/jobs/receipt.ts'
import { Standing } from '#features/jobs/standing.tsx'
import { TextLink } from '#ui/link.tsx'
import { JobStatus } from '#ui/mark.tsx'
import { Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Duration } from '#ui/time.tsx'
import classes from './dumps.module.css'

export interface LiveJobProps {
  readonly id: string
  /** What it came to, once it has come to an end that leaves a receipt. */
  readonly children: (job: Job, found: Found) => ReactNode
}

/** A job of dumps where it was started: how far it is, why it failed, what it came to. */
export function LiveJob({ id, children }: LiveJobProps) {
  const client = useQueryClient()
  const job = useLiveJob(id)
  const status = job.data?.status
  useEffect(() => {
    if (status === 'succeeded' || status === 'failed') void client.invalidateQueries({ queryKey: ['dumps'] })
  }, [status, client])
  if (job.data === undefined) {
    return job.error === null ? <Lines count={4} /> : <Problem error={job.error} retry={() => void job.refetch()} />
  }
  return (
    <Stack gap="md">
      <Stack gap="md" className={classes['job']} component="section" aria-label="The job">
        <Head job={job.data} />
        <Standing job={job.data} summary={undefined} />
        {isActive(job.data) && <ProgressTab job={job.data} />}
      </Stack>
      {leavesReceipt(job.data) && <Came job={job.data}>{children}</Came>}
    </Stack>
  )
}

/** A trial that found a dump not to work has come to its end all the same. */
function leavesReceipt({ status, error }: Job): boolean {
  return status === 'succeeded' || (status === 'failed' && error?.code === 'drill_failed')
}

function Head({ job }: { readonly job: Job }) {
  const end = isActive(job) ? null : (job.finished_at ?? job.updated_at)
  return (
    <Group justify="space-between" gap="xs">
      <div className={classes['facts']} aria-live="polite">
        <JobStatus status={job.status} />
        <span>{kindWords(job)}</span>
        <Ends job={job} marked />
        {job.started_at !== null && (
          <span className="quiet">
            {end === null ? 'for' : 'took'} <Duration from={job.started_at} to={end} />
          </span>
        )}
        <TextLink to="/jobs/$id" params={{ id: job.id }}>
          Open the job
        </TextLink>
      </div>
      {job.status !== 'succeeded' && (
        <Group gap="xs">
          <JobActions job={job} summary={undefined} />
        </Group>
      )}
    </Group>
  )
}

function Came({ job, children }: { readonly job: Job; readonly children: LiveJobProps['children'] }) {
  const receipt = useQuery({ ...receiptQuery(job.id), staleTime: Infinity })
  if (receipt.data !== undefined) return children(job, readReceipt(job, receipt.data.receipt))
  return receipt.error === null ? (
    <Lines count={4} />
  ) : (
    <Problem error={receipt.error} retry={() => void receipt.refetch()} />
  )
}
