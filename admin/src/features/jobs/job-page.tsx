import { Code, Skeleton, Stack, Tabs, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useParams, useSearch } from '@tanstack/react-router'
import { ApiProblem } from '#api/client.ts'
import { AuditTab } from '#features/jobs/audit-tab.tsx'
import { ChangesTab } from '#features/jobs/changes-tab.tsx'
import { ConflictsTab } from '#features/jobs/conflicts-tab.tsx'
import { JobActions, isApprovable } from '#features/jobs/job-actions.tsx'
import { Ends, useJobTitle } from '#features/jobs/job-name.tsx'
import { kindWords } from '#features/jobs/job-words.ts'
import { LogTab } from '#features/jobs/log-tab.tsx'
import { ProgressTab } from '#features/jobs/progress-tab.tsx'
import {
  changeSummaryQuery,
  isActive,
  jobConflictsQuery,
  useLiveJob,
  useRejections,
  type ChangeSummary,
  type Job,
} from '#features/jobs/queries.ts'
import { ReceiptTab } from '#features/jobs/receipt-tab.tsx'
import { RejectionsTab } from '#features/jobs/rejections-tab.tsx'
import { Standing } from '#features/jobs/standing.tsx'
import { formatCount } from '#lib/format.ts'
import { JobStatus, Mark } from '#ui/mark.tsx'
import { Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Duration, Time } from '#ui/time.tsx'
import classes from './jobs.module.css'
import { TextLink } from '#ui/link.tsx'

/** One job: where it is, what it found, what it did and proved, and what can be done with it. */
export function JobPage() {
  const { id } = useParams({ from: '/shell/jobs/$id' })
  const job = useLiveJob(id)
  if (job.data !== undefined) return <JobView job={job.data} error={job.error} />
  return (
    <Page title="Job" state={<Code>{id}</Code>}>
      {job.error === null ? (
        <Stack aria-busy="true">
          <Skeleton height={32} />
          <Skeleton height={200} />
        </Stack>
      ) : (
        <Problem error={job.error} retry={() => void job.refetch()} />
      )}
    </Page>
  )
}

interface JobViewProps {
  readonly job: Job
  /** Why it could not be asked for again; what is shown is from before. */
  readonly error: Error | null
}

function JobView({ job, error }: JobViewProps) {
  const title = useJobTitle(job)
  const keeps = job.links.changes !== null
  const changes = useQuery({ ...changeSummaryQuery(job.id), enabled: keeps })
  const summary = keeps ? changes.data : undefined
  return (
    <Page title={title} state={<State job={job} />} action={<JobActions job={job} summary={summary} />}>
      {error !== null && <Away error={error} />}
      <Standing job={job} summary={summary} />
      <JobTabs job={job} summary={summary} />
    </Page>
  )
}

function State({ job }: { readonly job: Job }) {
  const { id, started_by: by, requested_by: key } = job
  const end = isActive(job) ? null : (job.finished_at ?? job.updated_at)
  const related = job.approves ?? job.reverts ?? job.replays
  return (
    <Stack gap={2} mt={4}>
      <div className={classes['facts']}>
        <JobStatus status={job.status} />
        <span>
          {kindWords(job)}
          {related !== null && (
            <>
              {' of '}
              <TextLink to="/jobs/$id" params={{ id: related }} size="sm">
                {related}
              </TextLink>
            </>
          )}
        </span>
        <Ends job={job} marked />
        <span>
          asked for by {by ?? key} <Time at={job.created_at} />
        </span>
        {job.started_at !== null && (
          <span>
            {end === null ? 'for' : 'took'} <Duration from={job.started_at} to={end} />
          </span>
        )}
      </div>
      <Text size="xs" className="quiet mono">
        {id}
      </Text>
    </Stack>
  )
}

function Away({ error }: { readonly error: Error }) {
  return (
    <output>
      <Mark tone="person">{`${error.message} What is shown is from before; it is asked for again by itself.`}</Mark>
      {error instanceof ApiProblem && error.status !== 0 && <Text size="sm">{error.hint}</Text>}
    </output>
  )
}

const TABS = ['progress', 'log', 'changes', 'rejections', 'conflicts', 'receipt', 'audit'] as const

type Tab = (typeof TABS)[number]

const TAB_WORDS: Readonly<Record<Tab, string>> = {
  progress: 'Progress',
  log: 'Log',
  changes: 'Changes',
  rejections: 'Rejections',
  conflicts: 'Conflicts',
  receipt: 'Receipt',
  audit: 'Audit',
}

/** The tab that shows what somebody comes for: what is to be approved, what was proved, else how it goes. */
function firstTab(job: Job, summary: ChangeSummary | undefined): Tab {
  if (isApprovable(job, summary) || job.status === 'awaiting_resolution' || job.status === 'awaiting_approval') {
    return job.links.changes === null ? 'progress' : 'changes'
  }
  return job.status === 'succeeded' ? 'receipt' : 'progress'
}

function JobTabs({ job, summary }: { readonly job: Job; readonly summary: ChangeSummary | undefined }) {
  const search = useSearch({ from: '/shell/jobs/$id' })
  const navigate = useNavigate()
  const { id } = job
  const writes = job.kind === 'sync' || job.kind === 'revert'
  const rejections = useRejections(id, {})
  const conflicts = useQuery({ ...jobConflictsQuery(id), enabled: writes })
  const rejected = rejections.data?.pages[0]?.groups.reduce((sum, { rows }) => sum + rows, 0) ?? 0
  const conflicted = conflicts.data?.reduce((sum, group) => sum + group.conflicts, 0) ?? 0
  const shown = TABS.filter((tab) => {
    if (tab === 'changes') return summary !== undefined || (job.links.changes !== null && isActive(job))
    if (tab === 'rejections') return rejected > 0 || search.tab === tab
    if (tab === 'conflicts') return conflicted > 0 || search.tab === tab
    return tab !== 'receipt' || !isActive(job)
  })
  const counts: Partial<Record<Tab, number>> = {
    ...(summary === undefined ? {} : { changes: summary.changes }),
    rejections: rejected,
    conflicts: conflicted,
  }
  const tab = shown.find((one) => one === search.tab) ?? firstTab(job, summary)
  return (
    <Tabs
      value={tab}
      keepMounted={false}
      onChange={(next) =>
        void navigate({
          to: '/jobs/$id',
          params: { id },
          search: next === null ? {} : { tab: next },
          replace: true,
          resetScroll: false,
        })
      }
    >
      <Tabs.List mb="md">
        {shown.map((one) => (
          <Tabs.Tab key={one} value={one}>
            {TAB_WORDS[one]}
            {counts[one] !== undefined && ' '}
            {counts[one] !== undefined && <span className={classes['count']}>{formatCount(counts[one])}</span>}
          </Tabs.Tab>
        ))}
      </Tabs.List>
      <Tabs.Panel value={tab}>
        <Panel tab={tab} job={job} />
      </Tabs.Panel>
    </Tabs>
  )
}

function Panel({ tab, job }: { readonly tab: Tab; readonly job: Job }) {
  switch (tab) {
    case 'progress':
      return <ProgressTab job={job} />
    case 'log':
      return <LogTab job={job} />
    case 'changes':
      return <ChangesTab job={job} />
    case 'rejections':
      return <RejectionsTab job={job} />
    case 'conflicts':
      return <ConflictsTab job={job} />
    case 'receipt':
      return <ReceiptTab job={job} />
    case 'audit':
      return <AuditTab job={job} />
  }
}
