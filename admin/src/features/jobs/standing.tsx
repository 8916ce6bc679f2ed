import { Code, Text } from '@mantine/core'
import { plannedOf } from '#features/jobs/job-actions.tsx'
import { isWhole } from '#features/jobs/job-words.ts'
import type { ChangeSummary, Job } from '#features/jobs/queries.ts'
import { plural } from '#lib/format.ts'
import { Notice } from '#ui/notice.tsx'
import { Time } from '#ui/time.tsx'

/** Of a job that does all or nothing. */
const WHOLE = 'Nothing is half done; Resume begins anew.'

/** What somebody should know first: what it waits for, why it failed, how it goes on. */
export function Standing({ job, summary }: { readonly job: Job; readonly summary: ChangeSummary | undefined }) {
  if (job.error !== null && job.status === 'failed') {
    const { code, message, hint, retry } = job.error
    return (
      <Notice tone="failed" title={message}>
        <Text size="sm">{hint}</Text>
        <Text size="xs" className="quiet">
          <Code>{code}</Code> {RETRIES[retry] ?? ''} {isWhole(job) ? WHOLE : 'Resume goes on from what is committed.'}
        </Text>
      </Notice>
    )
  }
  switch (job.status) {
    case 'queued':
      return job.not_before === null ? null : (
        <Text size="sm">
          The next try begins <Time at={job.not_before} />
          {job.error !== null && <>: {job.error.message}</>}
        </Text>
      )
    case 'awaiting_approval':
      return (
        <Notice tone="person" title="It waits for somebody who approves its changes">
          {summary !== undefined && (
            <Text size="sm">
              {plural(plannedOf(summary), 'change')} in {plural(summary.tables.length, 'table')}. Nothing is written
              before.
              {summary.expires_at !== null && (
                <>
                  {' '}
                  They can be approved until <Time at={summary.expires_at} />.
                </>
              )}
            </Text>
          )}
        </Notice>
      )
    case 'awaiting_resolution':
      return (
        <Notice tone="person" title="It waits for decisions">
          <Text size="sm">
            {summary !== undefined && summary.open > 0
              ? `${plural(summary.open, 'row')} had moved when the changes were to be applied: decide on them under Changes. `
              : 'Rows that both sides changed wait for a decision. '}
            Once nothing is open it goes on by itself.
          </Text>
        </Notice>
      )
    case 'stopping':
      return (
        <Text size="sm">
          {isWhole(job) ? 'What it had begun is taken back.' : 'The batch in hand is being finished.'}
        </Text>
      )
    case 'stopped':
      return (
        <Text size="sm">
          {isWhole(job) ? WHOLE : 'Everything that resuming needs is kept: it goes on from the last committed batch.'}
        </Text>
      )
    default:
      return null
  }
}

const RETRIES: Readonly<Record<string, string>> = {
  automatic: 'Another try may help by itself.',
  manual: 'Another try helps once the cause is mended.',
  never: 'Another try alone does not help.',
}
