import { Button, Group, Menu, Stack, Text } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { Link, useSearch } from '@tanstack/react-router'
import { useMay } from '#app/session.ts'
import { ALL, ChangeFilterBar } from '#features/jobs/change-filters.tsx'
import { ChangeRows } from '#features/jobs/change-rows.tsx'
import { ChangeTables } from '#features/jobs/change-tables.tsx'
import { decisionMeans, useDecide, type Ticking } from '#features/jobs/decide.ts'
import { isApprovable } from '#features/jobs/job-actions.tsx'
import {
  changesQuery,
  changeSummaryQuery,
  type ChangeFilters,
  type ChangeSummary,
  type Job,
} from '#features/jobs/queries.ts'
import { PlannedDdl } from '#features/jobs/planned-ddl.tsx'
import { Notes } from '#features/jobs/receipt-view.tsx'
import { given } from '#lib/filters.ts'
import { formatCount, plural } from '#lib/format.ts'
import { CopyAs } from '#ui/copy.tsx'
import { ShowMore } from '#ui/data-table.tsx'
import { Notice } from '#ui/notice.tsx'
import { Answer, Empty, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'
import { Time } from '#ui/time.tsx'

/** Everything that a job would change or has changed, to be looked at, ticked out and taken along. */
export function ChangesTab({ job }: { readonly job: Job }) {
  const summary = useQuery(changeSummaryQuery(job.id))
  return <Answer query={summary}>{(found) => <Changes job={job} summary={found} />}</Answer>
}

interface ChangesProps {
  readonly job: Job
  readonly summary: ChangeSummary
}

function Changes({ job, summary }: ChangesProps) {
  const { table, op, column, key, mark: chosen } = useSearch({ from: '/shell/jobs/$id' })
  const may = useMay('operator')
  const ticking: Ticking = !may
    ? null
    : isTickable(job, summary)
      ? 'plan'
      : job.status === 'awaiting_resolution' && summary.open > 0
        ? 'moved'
        : null
  // What somebody has to decide on comes first.
  const mark = chosen ?? (ticking === 'moved' ? 'moved' : ALL)
  const filters: ChangeFilters = given({ table, op, column, key, mark: mark === ALL ? null : mark })
  if (summary.state !== 'ready' && summary.tables.length === 0) return <Missing summary={summary} />
  if (summary.changes === 0) {
    const rows = summary.tables.reduce((sum, one) => sum + one.unchanged, 0)
    return (
      <Stack gap="md">
        {summary.ddl.length === 0 ? (
          <Empty title="Nothing to change">
            {`${plural(rows, 'row')} in ${plural(summary.tables.length, 'table')} are in step.`}
          </Empty>
        ) : (
          <Text size="sm">No row is changed; tables of the target are.</Text>
        )}
        <PlannedDdl job={job} statements={summary.ddl} />
        <Notes notes={summary.notes} />
      </Stack>
    )
  }
  return (
    <Stack gap="md">
      {summary.stop !== null && isApprovable(job, summary) && (
        <Notice tone="failed" title={summary.stop.message}>
          <Text size="sm">An approval names this very number, and the target.</Text>
        </Notice>
      )}
      <Fate job={job} summary={summary} />
      <ChangeTables job={job} summary={summary} ticking={ticking} />
      <PlannedDdl job={job} statements={summary.ddl} />
      <Notes notes={summary.notes} />
      {summary.state === 'ready' ? (
        <>
          <ChangeFilterBar summary={summary} mark={mark} />
          <Bulk job={job} summary={summary} filters={filters} ticking={ticking} />
          <Rows job={job} summary={summary} filters={filters} ticking={ticking} />
        </>
      ) : (
        <Text size="sm" className="quiet">
          The changes themselves are not kept any more; what was written is under Audit.
        </Text>
      )}
    </Stack>
  )
}

function isTickable(job: Job, summary: ChangeSummary): boolean {
  if (summary.state !== 'ready' || summary.approval !== null || summary.taken_by !== null) return false
  return job.status === 'awaiting_approval' || (job.kind === 'sync' && job.dry_run && job.status === 'succeeded')
}

function Missing({ summary }: { readonly summary: ChangeSummary }) {
  if (summary.state === 'building') {
    return (
      <Stack gap="xs" aria-live="polite">
        <Text size="sm">The changes are being computed. They are shown as soon as all are found.</Text>
        <Lines count={4} />
      </Stack>
    )
  }
  return (
    <Empty title={summary.state === 'expired' ? 'The changes have expired' : 'The changes are lost'}>
      {summary.state === 'expired'
        ? 'Nobody approved them in time. Start another dry run.'
        : 'They are computed again when the job goes on.'}
    </Empty>
  )
}

/** What has become of the changes as a whole. */
function Fate({ job, summary }: ChangesProps) {
  const { approval, taken_by: taken } = summary
  if (approval === null) return null
  return (
    <Text size="sm">
      Approved by {approval.name} <Time at={approval.at} />
      {taken !== null && taken !== job.id && (
        <>
          {'; applied by '}
          <Link to="/jobs/$id" params={{ id: taken }}>
            {taken}
          </Link>
        </>
      )}
      .
    </Text>
  )
}

interface RowsProps extends ChangesProps {
  readonly filters: ChangeFilters
  readonly ticking: Ticking
}

/** What is said of all rows that the filters let through, and the file of them. */
function Bulk({ job, summary, filters, ticking }: RowsProps) {
  const decide = useDecide(job.id)
  const narrowed = Object.keys(filters).length > 0
  const what = narrowed ? 'all that the filters show' : 'all'
  const filter: ChangeFilters = ticking === 'moved' ? { ...filters, mark: 'moved' } : filters
  return (
    <Group gap="xs" justify="space-between">
      <Group gap="xs">
        {ticking !== null && (
          <>
            <Button
              variant="default"
              loading={decide.isPending}
              onClick={() => decide.mutate({ verdict: 'leave', filter })}
            >
              {ticking === 'plan' ? `Leave out ${what}` : `Leave ${what} as they are`}
            </Button>
            <Button
              variant="default"
              loading={decide.isPending}
              onClick={() => decide.mutate({ verdict: 'apply', filter })}
            >
              {ticking === 'plan' ? `Include ${what}` : `Apply ${what} to the rows as they are now`}
            </Button>
            <CopyAs
              of={[
                [ticking === 'plan' ? 'Leave out' : 'Leave', decisionMeans(job.id, 'leave', filter)],
                [ticking === 'plan' ? 'Include' : 'Apply', decisionMeans(job.id, 'apply', filter)],
              ]}
            />
          </>
        )}
      </Group>
      {summary.values_shown && <Download id={job.id} filters={filters} />}
    </Group>
  )
}

const FORMATS = [
  ['json', 'JSON'],
  ['csv', 'CSV, a line for each cell'],
  ['sql', 'SQL that makes the changes'],
] as const

function Download({ id, filters }: { readonly id: string; readonly filters: ChangeFilters }) {
  return (
    <Menu position="bottom-end">
      <Menu.Target>
        <Button variant="subtle" color="gray" leftSection={<IconDownload size={14} aria-hidden />}>
          Download
        </Button>
      </Menu.Target>
      <Menu.Dropdown>
        {FORMATS.map(([format, word]) => (
          <Menu.Item
            key={format}
            component="a"
            download
            href={`/api/v1/jobs/${id}/changes/download?${new URLSearchParams({ format, ...filters }).toString()}`}
          >
            {word}
          </Menu.Item>
        ))}
      </Menu.Dropdown>
    </Menu>
  )
}

function Rows({ job, summary, filters, ticking }: RowsProps) {
  const found = useInfiniteQuery(changesQuery(job.id, filters))
  if (found.data === undefined) {
    return found.error === null ? (
      <Lines count={8} />
    ) : (
      <Problem error={found.error} retry={() => void found.refetch()} />
    )
  }
  const rows = found.data.pages.flatMap(({ items }) => items)
  if (rows.length === 0) return <Text size="sm">No change is like that.</Text>
  return (
    <div>
      <ChangeRows job={job} summary={summary} rows={rows} ticking={ticking} />
      <Group justify="space-between" pt="xs">
        <Text size="xs" className="quiet numbers" aria-live="polite">
          {found.hasNextPage
            ? `the first ${formatCount(rows.length)}`
            : `${formatCount(rows.length)} of ${plural(summary.changes, 'change')}`}
        </Text>
        <ShowMore of={found} />
      </Group>
    </div>
  )
}
