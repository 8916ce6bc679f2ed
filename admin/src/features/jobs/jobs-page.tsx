import { Button, Code, Select, Stack, Text } from '@mantine/core'
import { useQuery } from '@tanstack/react-query'
import { useNavigate, useSearch } from '@tanstack/react-router'
import { useMemo } from 'react'
import { datasourcesQuery } from '#features/datasources/queries.ts'
import { jobColumns } from '#features/jobs/job-columns.tsx'
import { KIND_WORDS } from '#features/jobs/job-words.ts'
import { isActive, useJobs, type Job } from '#features/jobs/queries.ts'
import { configsQuery } from '#features/sync-configs/queries.ts'
import { given, useSetFilters } from '#lib/filters.ts'
import { formatCount, plural } from '#lib/format.ts'
import { CopyButton } from '#ui/copy.tsx'
import { DataTable } from '#ui/data-table.tsx'
import { FilterBar } from '#ui/filter-bar.tsx'
import { ButtonLink } from '#ui/link.tsx'
import { JOB_STATUS_WORDS } from '#ui/mark.tsx'
import { Empty, Lines, Page } from '#ui/page.tsx'
import { Problem } from '#ui/problem.tsx'

/** Statuses that mean the same to somebody who looks for work. */
const GROUPS = [
  ['queued,running,stopping', 'Under way'],
  ['awaiting_resolution,awaiting_approval', 'Needs a person'],
] as const

/** All jobs, the newest first. */
export function JobsPage() {
  const search = useSearch({ from: '/shell/jobs' })
  const { status, kind, config, datasource } = search
  const jobs = useJobs(given({ status, kind, config_id: config, datasource }) as Parameters<typeof useJobs>[0])
  const navigate = useNavigate()
  const rows = useMemo(() => jobs.data?.pages.flatMap(({ items }) => items) ?? [], [jobs.data])
  const isFiltered = Object.keys(search).length > 0
  return (
    <Page
      title="Jobs"
      state={<ListState rows={rows} more={jobs.hasNextPage} />}
      filters={(isFiltered || rows.length > 0) && <JobFilters />}
    >
      {jobs.error !== null && jobs.data === undefined ? (
        <Problem error={jobs.error} retry={() => void jobs.refetch()} />
      ) : jobs.data === undefined ? (
        <Lines count={8} />
      ) : rows.length === 0 ? (
        <NoJobs isFiltered={isFiltered} />
      ) : (
        <DataTable
          name="jobs"
          label="Jobs"
          columns={COLUMNS}
          rows={rows}
          keyOf={({ id }) => id}
          onOpen={({ id }) => void navigate({ to: '/jobs/$id', params: { id } })}
          more={jobs}
        />
      )}
    </Page>
  )
}

function ListState({ rows, more }: { readonly rows: readonly Job[]; readonly more: boolean }) {
  if (rows.length === 0) return 'What runs, what has run, and what waits for somebody.'
  const active = rows.filter(isActive)
  const waiting = active.filter(({ status }) => status.startsWith('awaiting_'))
  const failed = rows.filter(({ status }) => status === 'failed').length
  const parts = [
    more ? `The newest ${formatCount(rows.length)} jobs` : plural(rows.length, 'job'),
    `${formatCount(active.length - waiting.length)} under way`,
    ...(waiting.length > 0 ? [`${formatCount(waiting.length)} waiting for somebody`] : []),
    ...(failed > 0 ? [`${formatCount(failed)} failed`] : []),
  ]
  return <span aria-live="polite">{`${parts.join(', ')}.`}</span>
}

const COLUMNS = jobColumns('status', 'job', 'kind', 'ends', 'by', 'when', 'took', 'written', 'read', 'error')

function JobFilters() {
  const search = useSearch({ from: '/shell/jobs' })
  const set = useSetFilters()
  const configs = useQuery(configsQuery)
  const datasources = useQuery(datasourcesQuery)
  const choice = (name: keyof typeof search) => ({
    w: 180,
    size: 'xs',
    clearable: true,
    value: search[name] ?? null,
    onChange: (value: string | null) => set({ [name]: value }),
  })
  return (
    <FilterBar label="Filters of jobs">
      <Select
        {...choice('status')}
        aria-label="Status"
        placeholder="Any status"
        data={[
          { group: 'Several', items: GROUPS.map(([value, label]) => ({ value, label })) },
          { group: 'One', items: JOB_STATUS_WORDS.map(([value, label]) => ({ value, label })) },
        ]}
        maxDropdownHeight={400}
      />
      <Select
        {...choice('kind')}
        aria-label="Kind"
        placeholder="Any kind"
        data={KIND_WORDS.map(([value, label]) => ({ value, label }))}
      />
      <Select
        {...choice('config')}
        searchable
        aria-label="Sync config"
        placeholder="Any sync config"
        data={(configs.data ?? []).map(({ id, name }) => ({ value: id, label: name }))}
      />
      <Select
        {...choice('datasource')}
        searchable
        aria-label="Datasource"
        placeholder="Any datasource"
        data={(datasources.data ?? []).map(({ id, name }) => ({ value: id, label: name }))}
      />
    </FilterBar>
  )
}

const FIRST = 'syncline sync SOURCE TARGET'

function NoJobs({ isFiltered }: { readonly isFiltered: boolean }) {
  const set = useSetFilters()
  if (isFiltered) {
    const clear = (): void => set({ status: null, kind: null, config: null, datasource: null })
    return (
      <Empty
        title="No job is like that"
        action={
          <Button variant="default" onClick={clear}>
            Clear the filters
          </Button>
        }
      >
        Other jobs may be there: the filters hide them.
      </Empty>
    )
  }
  return (
    <Empty
      title="Nothing has run yet"
      action={
        <>
          <ButtonLink to="/sync-configs">Go to sync configs</ButtonLink>
          <CopyButton text={FIRST}>Copy the command</CopyButton>
        </>
      }
    >
      <Stack gap="xs">
        <Text size="sm">
          A job is one run: a sync, a dry run that writes nothing, a verification, the undoing of an earlier job, an
          export or an import. It shows its progress here, and leaves a log and a receipt.
        </Text>
        <Text size="sm">Run a sync config, or sync two databases from the command line:</Text>
        <Code block>{FIRST}</Code>
      </Stack>
    </Empty>
  )
}
