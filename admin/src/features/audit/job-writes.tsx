import { Button, Group, Select, Stack, Text } from '@mantine/core'
import { IconDownload } from '@tabler/icons-react'
import { useInfiniteQuery, useQuery } from '@tanstack/react-query'
import { ChangesList } from '#features/audit/changes-list.tsx'
import type { TabProps } from '#features/audit/audit-page.tsx'
import { KeyFields } from '#features/audit/key-fields.tsx'
import { recentJobsQuery, writtenQuery, type AuditSearch } from '#features/audit/queries.ts'
import { JobLink, shortJob } from '#features/audit/subject.tsx'
import type { Job } from '#features/jobs/queries.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { formatAbsolute } from '#lib/format.ts'
import { CopyAs, curlOf } from '#ui/copy.tsx'
import { ShowMore } from '#ui/data-table.tsx'
import { Empty, Lines } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

/** What one job wrote, row by row, and its report to be kept. */
export function JobWrites({ search, change }: TabProps) {
  const { data: jobs = [] } = useQuery(recentJobsQuery)
  const { data: configs = [] } = useQuery(configsQuery)
  const { job = '' } = search
  const nameOf = ({ id, config_id: config, created_at: at, kind }: Job): string => {
    const name = configs.find((one) => one.id === config)?.name ?? kind
    return `${name}, ${formatAbsolute(Date.parse(at))}, ${shortJob(id)}`
  }
  const listed = jobs.map((one) => ({ value: one.id, label: nameOf(one) }))
  const isListed = job === '' || listed.some(({ value }) => value === job)
  return (
    <Stack gap="md">
      <Group gap="xs" align="flex-end">
        <Select
          size="xs"
          w={420}
          label="Job"
          placeholder={jobs.length === 0 ? 'No job has run yet' : 'Choose a job'}
          searchable
          clearable
          value={job === '' ? null : job}
          data={[...listed, ...(isListed ? [] : [{ value: job, label: job }])]}
          onChange={(next) => change({ job: next ?? '' })}
        />
        <KeyFields search={search} change={change} />
      </Group>
      {job === '' ? (
        <Empty title="Which job">
          Choose a job to see the rows that it wrote, narrowed by table, operation and key, and to download its report.
        </Empty>
      ) : (
        <>
          <Reports job={job} />
          <Written job={job} search={search} />
        </>
      )}
    </Stack>
  )
}

const FORMATS = [
  ['html', 'HTML'],
  ['csv', 'CSV'],
  ['json', 'JSON'],
] as const

function Reports({ job }: { readonly job: string }) {
  const path = `/api/v1/sync/audit/${job}/report`
  return (
    <Group gap="xs">
      <Text size="sm">
        Report of <JobLink id={job} />: who, when, what, its proof, and every change
      </Text>
      {FORMATS.map(([format, word]) => (
        <Button
          key={format}
          component="a"
          href={`${path}?format=${format}`}
          variant="default"
          leftSection={<IconDownload size={14} aria-hidden />}
          aria-label={`Report as ${word}`}
          {...(format === 'html' ? { target: '_blank' } : { download: `audit-${job}.${format}` })}
        >
          {word}
        </Button>
      ))}
      <CopyAs
        curl={`${curlOf('GET', `${path}?format=csv`)} \\\n  -o audit-${job}.csv`}
        cli={`syncline audit report ${job} --format csv --out audit-${job}.csv`}
      />
    </Group>
  )
}

function Written({ job, search }: { readonly job: string; readonly search: AuditSearch }) {
  const query = useInfiniteQuery(writtenQuery(job, search))
  const changes = query.data?.pages.flatMap(({ items }) => items)
  if (query.error !== null) return <Problem error={query.error} retry={() => void query.refetch()} />
  if (changes === undefined) return <Lines count={8} />
  if (changes.length === 0) {
    return (
      <Text size="sm" className="quiet">
        Nothing is kept of this job that fits. It wrote no such rows, its audit level keeps no rows, or its history was
        cut off by the retention.
      </Text>
    )
  }
  return (
    <Stack gap="xs">
      {query.data?.pages[0]?.values_shown === false && <ValuesHidden />}
      <ChangesList
        label="Rows that the job wrote"
        changes={changes.map((each, i) => ({ id: String(i), change: each }))}
      />
      {query.hasNextPage && (
        <Group justify="center">
          <ShowMore of={query} />
        </Group>
      )}
    </Stack>
  )
}

export function ValuesHidden() {
  return (
    <Text size="sm" className="quiet">
      Keys are shown; values of rows are for operators and admins.
    </Text>
  )
}
